//! From saved files to "these services may have changed".
//!
//! [`Watch`] is told what there is ([`Layout`], made from a platform) and reports what may have
//! changed, once nothing more happens for a moment. A report is a hint, never a fact: whoever takes it
//! computes content digests, and those decide.
//!
//! How: the operating system tells of single folders (`folders`, over the narrow seam `ears`). Which
//! ones is found by the very walk that digests are made from, so an output folder is not even looked
//! at. Folders are watched first and then walked (again, until nothing new is found), so nothing that
//! appears in a new folder falls in between. What cannot be watched is looked at about once a second
//! (`look`), by the same walk. Everything that was noticed meets in `quiet`, which says when it is
//! enough. One thread, the `sentry`, does all this; it shares two mailboxes with the rest of the world
//! (`inbox`, `reports`), both bounded.
//!
//! It does not build, does not decide whether something has to be done, reads no file's content, never
//! follows a link, and says nothing to people: what they must know is a [`Notice`].
//!
//! Reading order: [`change`](Change) and [`notice`](Notice) (what comes out), [`layout`](Layout) and
//! `quiet` (pure), `handle`, `sentry`, `roots`, `folders`, `ears`, `limits`.

mod change;
mod layout;
mod notice;
mod quiet;

mod handle;

mod ears;
mod folders;
mod inbox;
mod limits;
mod look;
mod reports;
mod roots;
mod sentry;

pub use self::change::{Change, Sample, Touch};
pub use self::handle::{Method, Options, Report, Watch, WatchError};
pub use self::layout::{Affected, Layout, affected};
pub use self::notice::{Notice, Setting};
pub use self::quiet::Pace;

#[cfg(test)]
mod tests;
