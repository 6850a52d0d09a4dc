//! Rules of the house that no lint knows, over every file that git would track.

mod tests;
