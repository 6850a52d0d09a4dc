//! No two services share a name.

use std::collections::BTreeMap;

use crate::manifest::problems::Problems;
use crate::manifest::service_file::Draft;

pub fn check(drafts: &[Draft], problems: &Problems) {
    let mut first = BTreeMap::new();
    for draft in drafts {
        let name = &draft.name;
        let Some(place) = first.insert(&name.value, &name.place) else { continue };
        problems.report_with_notes(
            &name.place,
            format!("two services are called \"{}\"", name.value),
            vec![format!("the other one is at {place}")],
            "give one of them another name",
        );
    }
}
