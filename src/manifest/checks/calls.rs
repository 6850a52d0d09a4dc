//! A service calls services that are there, and not itself.

use crate::manifest::problems::Problems;
use crate::manifest::service_file::Draft;
use crate::manifest::suggestion::did_you_mean;

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
    let names: Vec<&str> = drafts.iter().map(|draft| draft.name.value.as_str()).collect();
    for draft in drafts {
        let others: Vec<&str> =
            names.iter().copied().filter(|name| *name != draft.name.value.as_str()).collect();
        for call in draft.calls.iter().filter(|call| !names.contains(&call.value.as_str())) {
            let message = format!("\"{}\" calls \"{}\", which is not there", draft.name.value, call.value);
            problems.report(&call.place, message, did_you_mean(call.value.as_str(), "the services", &others));
        }
    }
}
