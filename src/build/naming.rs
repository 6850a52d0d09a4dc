//! What images of a platform are called, and what they carry.

use crate::model::instance::BuildDigest;
use crate::model::name::{PlatformId, ServiceName};
use crate::runtime::labels;

/// Begins the tag of an image that other images are laid over.
const BASE: &str = "base-";

/// The names of one platform's images.
#[derive(Clone)]
pub struct Naming {
    pub platform: PlatformId,
}

impl Naming {
    /// The name of what was built from sources of this digest. Several digests may name one image.
    pub fn image(&self, service: &ServiceName, digest: &BuildDigest) -> String {
        format!("{}:{}", self.repository(service), digest.short())
    }

    /// The name of what copies are laid over.
    pub fn base(&self, service: &ServiceName, digest: &str) -> String {
        format!("{}:{BASE}{}", self.repository(service), digest.get(..12).unwrap_or(digest))
    }

    /// The name of the last image that is of no certain digest.
    pub fn unmarked(&self, service: &ServiceName) -> String {
        format!("{}:unmarked", self.repository(service))
    }

    /// The labels of a service's images: nothing that changes with each build, so that the same
    /// content is the same image.
    pub fn labels(&self, service: &ServiceName) -> Vec<(String, String)> {
        let mut labels = labels::of_platform(&self.platform);
        labels.push((labels::SERVICE.to_owned(), service.to_string()));
        labels
    }

    fn repository(&self, service: &ServiceName) -> String {
        format!("msctl/{}/{service}", self.platform)
    }
}
