use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use tempfile::TempDir;

use super::*;

struct Pair {
    folder: TempDir,
    key: KeyPair,
}

/// `cert.pem` and `key.pem`, good until 2100.
fn pair() -> Pair {
    let (folder, key) = (tempfile::tempdir().unwrap(), KeyPair::generate().unwrap());
    let mut params = CertificateParams::new(vec!["shop.example".to_owned()]).unwrap();
    params.not_after = rcgen::date_time_ymd(2100, 1, 1);
    let certificate = params.self_signed(&key).unwrap();
    std::fs::write(folder.path().join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.path().join("key.pem"), key.serialize_pem()).unwrap();
    Pair { folder, key }
}

impl Pair {
    fn write(&self, file: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.folder.path().join(file), text).unwrap();
    }

    fn load(&self) -> Result<Credential, FilesError> {
        self.load_at(SystemTime::now())
    }

    fn load_at(&self, now: SystemTime) -> Result<Credential, FilesError> {
        load(&self.folder.path().join("cert.pem"), &self.folder.path().join("key.pem"), now)
    }

    fn check_refused(&self, expected: &str) {
        let refused = self.load().unwrap_err();
        let shown = refused.to_string().replace(&format!("{}/", self.folder.path().display()), "");
        assert_eq!(shown, expected);
        assert!(refused.hint().is_some());
    }
}

#[test]
fn a_certificate_and_its_key_are_read_with_the_chain() {
    let pair = pair();
    let certificate = std::fs::read_to_string(pair.folder.path().join("cert.pem")).unwrap();
    pair.write("cert.pem", format!("some words\n{certificate}{certificate}"));
    let credential = pair.load().unwrap();
    assert_eq!(credential.key.cert.len(), 2);
    assert_eq!(humantime::format_rfc3339(credential.not_after).to_string(), "2100-01-01T00:00:00Z");
}

#[test]
fn a_key_of_another_certificate_is_refused() {
    let own = pair();
    own.write("key.pem", pair().key.serialize_pem());
    own.check_refused("use the key key.pem: it does not belong to the certificate cert.pem");
}

#[test]
fn files_that_hold_something_else_are_refused_by_name() {
    let pair = pair();
    pair.write("cert.pem", pair.key.serialize_pem());
    pair.check_refused("use the certificate cert.pem: it holds no \"BEGIN CERTIFICATE\"");
    pair.write("cert.pem", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    pair.check_refused("use the certificate cert.pem: it is damaged");
    pair.write("cert.pem", "-----BEGIN CERTIFICATE-----\n####\n-----END CERTIFICATE-----\n");
    pair.check_refused("use the certificate cert.pem: it is damaged");
    std::fs::remove_file(pair.folder.path().join("cert.pem")).unwrap();
    pair.check_refused("read cert.pem: No such file or directory (os error 2)");
    std::fs::create_dir(pair.folder.path().join("cert.pem")).unwrap();
    pair.check_refused("read cert.pem: not a regular file");
}

#[test]
fn a_key_that_cannot_be_used_says_why() {
    let pair = pair();
    pair.write("key.pem", "");
    pair.check_refused("use the key key.pem: it holds no \"BEGIN PRIVATE KEY\"");
    pair.write(
        "key.pem",
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n",
    );
    pair.check_refused("use the key key.pem: it is encrypted");
    pair.write("key.pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    assert!(matches!(pair.load(), Err(FilesError::Key { .. })));
}

#[test]
fn a_certificate_that_has_ended_is_refused() {
    let pair = pair();
    let end = pair.load().unwrap().not_after;
    assert!(pair.load_at(end - Duration::from_secs(1)).is_ok());
    let refused = pair.load_at(end).unwrap_err().to_string();
    assert!(refused.ends_with("it ended at 2100-01-01T00:00:00Z"), "{refused}");
}
