//! A service calls services that are there, and not itself.

use std::collections::BTreeSet;

use crate::manifest::problems::Problems;
use crate::manifest::service_file::Draft;
use crate::manifest::suggestion::closest;

pub fn check_self(drafts: &[Draft], problems: &Problems) {
    for draft in drafts {
        for call in draft.calls.iter().filter(|call| call.value == draft.name.value) {
            let message = format!("\"{}\" calls itself", call.value);
            problems.report(&call.place, message, "leave it out: within a service, no call is needed");
        }
    }
}

/// To be asked only when every service's name could be read: else one bad file makes all calls to
/// it look wrong.
pub fn check_known(drafts: &[Draft], problems: &Problems) {
    let names: BTreeSet<&str> = drafts.iter().map(|draft| draft.name.value.as_str()).collect();
    for draft in drafts {
        for call in draft.calls.iter().filter(|call| !names.contains(call.value.as_str())) {
            let callee = call.value.as_str();
            let others = names.iter().copied().filter(|name| *name != draft.name.value.as_str());
            let hint = match closest(callee, others) {
                Some(other) => format!("did you mean {other:?}?"),
                None => format!("create it with `msctl new service {callee}`, or leave it out here"),
            };
            let message = format!("\"{}\" calls \"{callee}\", which is not there", draft.name.value);
            problems.report(&call.place, message, hint);
        }
    }
}
