//! Which processes of a platform are there.

use std::time::Duration;

use crate::harness::platform::TestPlatform;
use crate::harness::processes::processes_of;
use crate::harness::wait::until;

/// Every process that has to do with the platform: msctl's own, builds, instances and their children.
pub fn processes(shop: &TestPlatform) -> Vec<String> {
    processes_of(&shop.home())
}

/// Waits until no process of the platform is left.
#[track_caller]
pub fn none_is_left(shop: &TestPlatform) {
    until(Duration::from_secs(5), &format!("the end of {:#?}", processes(shop)), || {
        processes(shop).is_empty().then_some(())
    });
}
