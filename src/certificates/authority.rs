//! A certificate authority for this user and this machine, made once and kept.
//!
//! Its certificate is constrained to `localhost` with everything below it and to loopback addresses
//! (RFC 5280, section 4.2.1.10): should its key be stolen, it still proves nothing about any other
//! site to those who trust it. The key never leaves its folder.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, Issuer, KeyPair, KeyUsagePurpose, NameConstraints, PublicKeyData,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::sign::CertifiedKey;
use sha2::{Digest, Sha256};

use super::Credential;
use super::inspect;
use crate::store::private::{self, PrivacyError};

const FOLDER: &str = "authority";
const CERTIFICATE: &str = "authority.pem";
const KEY: &str = "authority.key";

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const LIFETIME: Duration = DAY.saturating_mul(3650);
/// Far below the 398 days that browsers allow.
const LEAF_LIFETIME: Duration = DAY.saturating_mul(90);
/// Clocks differ, those of virtual machines above all.
const SKEW: Duration = Duration::from_secs(60 * 60);

#[derive(Debug, thiserror::Error)]
pub enum AuthorityError {
    #[error("keep the local certificate authority: {0}")]
    Privacy(#[from] PrivacyError),
    #[error("keep the local certificate authority: {}: {source}", path.display())]
    File { path: PathBuf, source: std::io::Error },
    #[error("make a certificate: {0}")]
    Made(#[from] rcgen::Error),
    #[error("make a certificate: {0}")]
    Unusable(#[from] rustls::Error),
}

/// Signs certificates for names of this machine.
#[derive(Debug)]
pub struct Authority {
    path: PathBuf,
    certificate: CertificateDer<'static>,
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    /// The authority that is kept below `base`; made if there is none yet, or none that lasts longer
    /// than what it would sign. Processes that ask at the same time get the same one.
    ///
    /// # Errors
    /// When it cannot be kept, or what is there is open to other users.
    pub fn open(base: &Path, now: SystemTime) -> Result<Self, AuthorityError> {
        let folder = private::ensure_folder(&base.join(FOLDER))?;
        let _lock = private::lock_folder(&folder)?;
        if let Some(kept) = read(&folder, now)? {
            return Ok(kept);
        }
        make(&folder, now)
    }

    /// The PEM file to trust.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// SHA-256 over the certificate, as tools show it: `AB:CD:…`.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        let bytes: Vec<String> =
            Sha256::digest(&self.certificate).iter().map(|b| format!("{b:02X}")).collect();
        bytes.join(":")
    }

    /// A certificate for `names` (host names, `*.` in front allowed, and addresses) with a key of its own.
    ///
    /// # Errors
    /// When a name is none that a certificate can have.
    pub fn issue(&self, names: Vec<String>, now: SystemTime) -> Result<Credential, AuthorityError> {
        let key = KeyPair::generate()?;
        let mut leaf = CertificateParams::new(names)?;
        leaf.distinguished_name = name("msctl");
        leaf.use_authority_key_identifier_extension = true;
        leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let not_after = now + LEAF_LIFETIME;
        (leaf.not_before, leaf.not_after) = ((now - SKEW).into(), not_after.into());
        let certificate = leaf.signed_by(&key, &self.issuer)?;
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
        let certified = CertifiedKey::from_der(vec![certificate.der().clone()], key, &default_provider())?;
        Ok(Credential { key: Arc::new(certified), not_after })
    }
}

/// `None` where nothing usable is kept.
fn read(folder: &Path, now: SystemTime) -> Result<Option<Authority>, AuthorityError> {
    let (Some(certificate), Some(key)) = (read_file(folder, CERTIFICATE)?, read_file(folder, KEY)?) else {
        return Ok(None);
    };
    let Ok(certificate) = CertificateDer::from_pem_slice(certificate.as_bytes()) else { return Ok(None) };
    let Ok(key) = KeyPair::from_pem(&key) else { return Ok(None) };
    let Some(facts) = inspect::facts(&certificate) else { return Ok(None) };
    // A crash between the two files leaves a pair that is none.
    let fits = facts.public_key == key.subject_public_key_info();
    let lasts = facts.not_before <= now && facts.not_after > now + LEAF_LIFETIME;
    let authority = || Authority { path: folder.join(CERTIFICATE), certificate, issuer: issuer(key) };
    Ok((fits && lasts).then(authority))
}

fn read_file(folder: &Path, file: &str) -> Result<Option<String>, AuthorityError> {
    let path = folder.join(file);
    let mut text = String::new();
    match private::open_file(&path) {
        Ok(mut file) => match file.read_to_string(&mut text) {
            Ok(_) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Ok(None),
            Err(source) => Err(AuthorityError::File { path, source }),
        },
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn make(folder: &Path, now: SystemTime) -> Result<Authority, AuthorityError> {
    let key = KeyPair::generate()?;
    let mut own = parameters(&key);
    (own.not_before, own.not_after) = ((now - SKEW).into(), (now + LIFETIME).into());
    let certificate = own.self_signed(&key)?;
    // The key first: without it, the certificate would be trusted for nothing.
    write(folder, KEY, &key.serialize_pem())?;
    write(folder, CERTIFICATE, &certificate.pem())?;
    let certificate = certificate.der().clone();
    Ok(Authority { path: folder.join(CERTIFICATE), certificate, issuer: issuer(key) })
}

/// Whole or not at all, and closed to others (0600) from its first byte.
fn write(folder: &Path, file: &str, text: &str) -> Result<(), AuthorityError> {
    let path = folder.join(file);
    let written = tempfile::NamedTempFile::new_in(folder).and_then(|mut new| {
        new.write_all(text.as_bytes())?;
        new.as_file().sync_all()?;
        new.persist(&path).map_err(|error| error.error)
    });
    written.map(drop).map_err(|source| AuthorityError::File { path, source })
}

fn issuer(key: KeyPair) -> Issuer<'static, KeyPair> {
    Issuer::new(parameters(&key), key)
}

/// All that follows from the key alone, so that it can be told again from the key.
fn parameters(key: &KeyPair) -> CertificateParams {
    let digest = Sha256::digest(key.subject_public_key_info());
    let mut own = CertificateParams::default();
    // Stores that compare names alone must not take two authorities for one.
    let short = format!("{:02x}{:02x}{:02x}{:02x}", digest[0], digest[1], digest[2], digest[3]);
    own.distinguished_name = name(&format!("msctl local authority {short}"));
    own.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    own.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    own.name_constraints = Some(NameConstraints {
        permitted_subtrees: vec![
            GeneralSubtree::DnsName("localhost".to_owned()),
            GeneralSubtree::IpAddress(CidrSubnet::from_v4_prefix([127, 0, 0, 0], 8)),
            GeneralSubtree::IpAddress(CidrSubnet::from_v6_prefix(
                std::net::Ipv6Addr::LOCALHOST.octets(),
                128,
            )),
        ],
        excluded_subtrees: Vec::new(),
    });
    own
}

fn name(common: &str) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    name
}

#[cfg(test)]
mod tests;
