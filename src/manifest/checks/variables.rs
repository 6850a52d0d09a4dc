//! Configuration does not set the address of a service that is called.

use std::collections::BTreeMap;

use crate::manifest::problems::Problems;
use crate::manifest::service_file::Draft;
use crate::manifest::source::{Located, Place};
use crate::manifest::variables::Variables;
use crate::model::name::ServiceName;

pub fn check(platform: &Variables, drafts: &[Draft], problems: &Problems) {
    let mut called: BTreeMap<String, &Place> = BTreeMap::new();
    for draft in drafts {
        for call in &draft.calls {
            let variable = variable_of(&call.value);
            let of_files = draft.env_files.iter().map(|file| &file.variables);
            let all = of_files.chain([&draft.configuration]);
            for set in all.filter_map(|variables| variables.get(&variable)) {
                report(&variable, set, &call.place, problems);
            }
            called.entry(variable).or_insert(&call.place);
        }
    }
    for (variable, set) in platform {
        if let Some(place) = called.get(variable) {
            report(variable, set, place, problems);
        }
    }
}

fn variable_of(service: &ServiceName) -> String {
    format!("{}_URL", service.to_variable_stem())
}

fn report(variable: &str, set: &Located<String>, call: &Place, problems: &Problems) {
    problems.report_with_notes(
        &set.place,
        format!("{variable} is set by the platform itself"),
        vec![format!("it is the address of the service called at {call}")],
        "choose another name, or leave it out",
    );
}
