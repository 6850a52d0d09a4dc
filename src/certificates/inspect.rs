//! The few things that have to be read out of a certificate.

use std::time::SystemTime;

use x509_cert::Certificate;
use x509_cert::der::{Decode, Encode};

/// What a certificate says of itself.
pub(super) struct Facts {
    pub(super) not_before: SystemTime,
    pub(super) not_after: SystemTime,
    /// The subject's `SubjectPublicKeyInfo`, in DER.
    pub(super) public_key: Vec<u8>,
}

/// `None` for what is no X.509 certificate.
pub(super) fn facts(der: &[u8]) -> Option<Facts> {
    let body = Certificate::from_der(der).ok()?.tbs_certificate;
    Some(Facts {
        not_before: body.validity.not_before.to_system_time(),
        not_after: body.validity.not_after.to_system_time(),
        public_key: body.subject_public_key_info.to_der().ok()?,
    })
}
