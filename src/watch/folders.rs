//! The folders that are watched, each as often as somebody needs it and not once more.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::path::{Path, PathBuf};

use super::ears::{Ears, Refusal};
use super::roots::Owner;

pub struct Folders {
    ears: Box<dyn Ears>,
    held: BTreeMap<PathBuf, BTreeSet<Owner>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// From now on. What happened in it before was not seen.
    Newly,
    Already,
}

impl Folders {
    pub fn new(ears: Box<dyn Ears>) -> Self {
        Self { ears, held: BTreeMap::new() }
    }

    pub fn hold(&mut self, folder: &Path, owner: &Owner) -> Result<Held, Refusal> {
        if let Some(owners) = self.held.get_mut(folder) {
            owners.insert(owner.clone());
            return Ok(Held::Already);
        }
        self.ears.watch(folder)?;
        self.held.insert(folder.to_owned(), [owner.clone()].into());
        Ok(Held::Newly)
    }

    /// Lets go of what this owner does not need any more.
    pub fn keep_only(&mut self, owner: &Owner, needed: &BTreeSet<PathBuf>) {
        let Self { ears, held } = self;
        held.retain(|folder, owners| {
            if !needed.contains(folder) && owners.remove(owner) && owners.is_empty() {
                ears.unwatch(folder);
            }
            !owners.is_empty()
        });
    }

    /// A folder was removed, renamed or replaced: its watch, and those of what was in it, are of no
    /// use, even where something of the same name is there again. Whether there were any.
    pub fn forget(&mut self, path: &Path) -> bool {
        let from = self.held.range::<Path, _>((Bound::Included(path), Bound::Unbounded));
        let below: Vec<PathBuf> =
            from.map(|(folder, _)| folder).take_while(|folder| folder.starts_with(path)).cloned().collect();
        for folder in &below {
            self.ears.unwatch(folder);
            self.held.remove(folder);
        }
        !below.is_empty()
    }

    pub fn forget_all(&mut self) {
        self.forget(Path::new("/"));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Noted(Arc<Mutex<BTreeSet<PathBuf>>>);

    impl Ears for Noted {
        fn watch(&mut self, folder: &Path) -> Result<(), Refusal> {
            assert!(self.0.lock().unwrap().insert(folder.to_owned()), "{folder:?} is watched already");
            Ok(())
        }

        fn unwatch(&mut self, folder: &Path) {
            assert!(self.0.lock().unwrap().remove(folder), "{folder:?} is not watched");
        }
    }

    impl Noted {
        fn folders(&self) -> Vec<String> {
            self.0.lock().unwrap().iter().map(|folder| folder.display().to_string()).collect()
        }
    }

    fn folders_of(owner: &Owner, names: &[&str], folders: &mut Folders) {
        for name in names {
            folders.hold(Path::new(name), owner).unwrap();
        }
    }

    #[test]
    fn a_folder_is_watched_once_for_as_long_as_somebody_needs_it() {
        let noted = Noted::default();
        let mut folders = Folders::new(Box::new(noted.clone()));
        let (ways, order) = (Owner::Ways, Owner::Tree("/s/order".into()));
        folders_of(&ways, &["/s", "/s/order"], &mut folders);
        folders_of(&order, &["/s/order", "/s/order/src"], &mut folders);
        assert_eq!(noted.folders(), ["/s", "/s/order", "/s/order/src"]);

        folders.keep_only(&order, &BTreeSet::new());
        assert_eq!(noted.folders(), ["/s", "/s/order"]);
        folders.keep_only(&ways, &["/s".into()].into());
        assert_eq!(noted.folders(), ["/s"]);
    }

    #[test]
    fn a_folder_that_went_takes_what_was_in_it_with_it_and_nothing_else() {
        let noted = Noted::default();
        let mut folders = Folders::new(Box::new(noted.clone()));
        folders_of(&Owner::Ways, &["/s/a", "/s/a/b/c", "/s/a-b", "/s/aa"], &mut folders);
        assert!(folders.forget(Path::new("/s/a")));
        assert!(!folders.forget(Path::new("/s/a")));
        assert_eq!(noted.folders(), ["/s/a-b", "/s/aa"]);
        assert_eq!(folders.hold(Path::new("/s/a"), &Owner::Ways), Ok(Held::Newly));
    }
}
