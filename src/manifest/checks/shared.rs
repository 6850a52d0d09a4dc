//! Shared folders keep clear of the folders of services: else one folder would be watched and ignored by
//! two rules, and a service be built from what another one's build leaves behind.

use std::path::Path;

use crate::manifest::problems::Problems;
use crate::manifest::service_file::Draft;

pub fn check(root: &Path, drafts: &[Draft], problems: &Problems) {
    for draft in drafts {
        for shared in &draft.shared {
            let overlaps = |other: &&Draft| overlap(&shared.value, &other.folder);
            let shown = shared.value.strip_prefix(root).unwrap_or(&shared.value).display().to_string();
            let (whose, hint) = if overlaps(&draft) {
                ("the service's own folder".to_owned(), "its own folder counts anyway: name one beside it")
            } else if let Some(other) = drafts.iter().find(overlaps) {
                let whose = format!("the folder of \"{}\"", other.name.value);
                (whose, "move what both are built from into a folder beside the services")
            } else {
                continue;
            };
            problems.report(&shared.place, format!("the shared folder {shown:?} overlaps {whose}"), hint);
        }
    }
}

fn overlap(one: &Path, other: &Path) -> bool {
    one.starts_with(other) || other.starts_with(one)
}
