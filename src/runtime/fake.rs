//! A runtime in memory, for tests of what only decides.
//!
//! [`Fake`] obeys the same contract as the real runtimes (`tests/contract/` proves it) and can be
//! told to go wrong: launches that fail, instances that end or fall silent, an engine that is gone.
//! Clones share one world, so a clone is what a second `msctl` would see. It runs no program: an
//! instance only looks like one, and with [`Fake::serving`] also answers HTTP on a loopback port.
//!
//! The variables that the tests' responder program obeys mean the same here: `EXIT_CODE` (ends at
//! once), `IGNORE_TERM` (has to be killed), `LOG_LINES` (prints so many lines first).

mod images;
mod responder;
mod runtime;
mod world;

use std::sync::Arc;

use crate::model::instance::InstanceName;
use crate::model::name::{PlatformId, ServiceName};

use self::images::{FakeImage, FakeImages};
use self::world::World;

/// One platform's view of a world in memory.
#[derive(Clone)]
pub struct Fake {
    platform: PlatformId,
    world: Arc<World>,
    addresses: Addresses,
    images: Option<FakeImages>,
}

/// What an instance's address leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Addresses {
    /// Nowhere: a number that no other instance has.
    MadeUp,
    /// A listener on loopback that answers HTTP.
    Real,
}

impl Fake {
    pub fn new(platform: PlatformId) -> Self {
        Self { platform, world: Arc::new(World::new()), addresses: Addresses::MadeUp, images: None }
    }

    /// Gives every instance launched from now on a loopback port that answers HTTP; needs tokio.
    #[must_use]
    pub fn serving(mut self) -> Self {
        self.addresses = Addresses::Real;
        self
    }

    /// Gives it an image side, which knows no image yet.
    #[must_use]
    pub fn with_images(mut self) -> Self {
        self.images = Some(FakeImages::new(self.platform.clone(), Arc::clone(&self.world)));
        self
    }

    /// Another platform in the same world.
    #[must_use]
    pub fn for_platform(&self, platform: PlatformId) -> Self {
        let images = self.images.as_ref().map(|_| FakeImages::new(platform.clone(), Arc::clone(&self.world)));
        Self { platform, images, ..self.clone() }
    }

    /// Everything that was done to the world, in order: `launch order.v1.1`, `stop order.v1.1`,
    /// `pull debian`. Looking (`observe`, `logs`, `changes`) is not recorded.
    pub fn calls(&self) -> Vec<String> {
        self.world.lock().calls.clone()
    }

    /// Like [`Fake::calls`], and forgets them.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut self.world.lock().calls)
    }

    /// Every launch of `service` fails for `reason`, until [`Fake::allow_launch`].
    pub fn fail_launch(&self, service: &ServiceName, reason: &str) {
        self.world.lock().launch_faults.insert(service.clone(), reason.to_owned());
    }

    pub fn allow_launch(&self, service: &ServiceName) {
        self.world.lock().launch_faults.remove(service);
    }

    /// Every instance of `service` launched from now on ends with `code` at once; `None` undoes it.
    pub fn exit_after_launch(&self, service: &ServiceName, code: Option<i32>) {
        let mut state = self.world.lock();
        match code {
            Some(code) => state.exits_after_launch.insert(service.clone(), code),
            None => state.exits_after_launch.remove(service),
        };
    }

    /// Whether instances of `service` go on running when they are told to end.
    pub fn ignore_stops(&self, service: &ServiceName, ignored: bool) {
        self.world.deaf.send_modify(|deaf| {
            if ignored {
                deaf.insert(service.clone());
            } else {
                deaf.remove(service);
            }
        });
    }

    /// The instance ends by itself.
    pub fn exit(&self, instance: &InstanceName, code: i32) {
        self.world.exit(&self.platform, instance, code);
    }

    /// The instance still runs but its port is closed from now on.
    pub fn unreachable(&self, instance: &InstanceName) {
        self.world.close_port(&self.platform, instance);
    }

    /// What `/health/ready` of every instance of `service` answers; 200 where nothing was said.
    pub fn set_health(&self, service: &ServiceName, status: u16) {
        self.world.lock().health.insert(service.clone(), status);
    }

    /// The instance writes a line.
    pub fn write_log(&self, instance: &InstanceName, line: &str) {
        self.world.write_log(&self.platform, instance, line);
    }

    /// Whether the engine is gone: everything fails as unreachable and every stream of changes ends.
    pub fn crash_engine(&self, gone: bool) {
        self.world.crash(gone);
    }

    /// The image exists on this machine.
    pub fn add_image(&self, reference: &str) {
        self.world.lock().name_image(reference, FakeImage::called(reference));
    }

    /// From now on images have to be built as a whole.
    pub fn refuse_parts(&self) {
        self.world.lock().refuses_parts = true;
    }

    /// A registry has the image.
    pub fn add_to_registry(&self, reference: &str) {
        self.world.lock().registry.insert(reference.to_owned());
    }
}
