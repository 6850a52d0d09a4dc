//! What a product is, and who may change one. Knows neither HTTP nor SQL.

mod caller;
mod price;
mod product;
mod text;

pub use caller::Caller;
pub use price::{NotAPrice, Price};
pub use product::{Draft, Product, ProductId};
pub use text::{Name, NotAText, Unit};
