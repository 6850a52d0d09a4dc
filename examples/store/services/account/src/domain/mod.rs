//! What an account is, and who may see it. Knows neither HTTP nor SQL.

mod account;
mod caller;
mod display_name;

pub use account::{Account, AccountId, NotAnAccountId};
pub use caller::Caller;
pub use display_name::{DisplayName, NotADisplayName};
