//! Turns a template and a name into files: template catalogue → render → write.
//!
//! A template is a plain folder with a `template.toml`. Files that end in `.hbs` are rendered and
//! lose that ending, all others are copied byte for byte, and `__variable__` in a file or folder name
//! stands for the variable's value. Rendering is pure and gives a [`FilePlan`], which can be shown
//! (`--plan`) or written; writing is all or nothing and never over anything that exists.
//!
//! It does **not** run anything: a template has no hooks, helpers only quote text, and a symbolic
//! link in a template is refused rather than followed. It knows nothing of manifests beyond the
//! text in its templates, and does not ask questions.
//!
//! Reading order: [`catalogue`] (which templates there are), [`template`] (what one says),
//! [`variables`] (what may be asked of the user), [`new`] (the two plans), [`render`],
//! [`file_plan`] (the result), [`mod@write`] (the only part that changes a disk), [`source`] (where
//! template files come from), [`quote`] (helpers for templates), [`error`].

pub mod catalogue;
pub mod template;
pub mod variables;

pub mod new;
pub mod render;

pub mod file_plan;
pub mod write;

pub mod error;
mod quote;
mod source;

pub use catalogue::{Catalogue, TemplateSummary};
pub use error::ScaffoldError;
pub use file_plan::{FileOp, FilePlan};
pub use new::{NewService, plan_platform, plan_service};
pub use template::Template;
pub use write::{Written, write};
