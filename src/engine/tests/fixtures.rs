//! Platforms to try things on.

pub use crate::model::testing::{instance, name_of, names, platform, platform_id, service, with_replicas};

use crate::model::platform::{Build, ServiceSpec};

/// The same service from another image: a new version.
pub fn of_version(mut service: ServiceSpec, version: u32) -> ServiceSpec {
    service.build = Build::Image { reference: format!("{}:{version}", service.name) };
    service
}
