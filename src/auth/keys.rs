//! The key that signs a platform's tokens: Ed25519, made once, kept in a private file.
//!
//! The private half never leaves [`SigningKey`]; everything else is given the public half. Replacing
//! a key while its tokens are still in use (rotation) is not done here yet.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use jsonwebtoken::jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse, ThumbprintHash};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey};

use super::base64;
use super::random::random_bytes;
use crate::store::private::{self, PrivacyError};

/// The one algorithm of our tokens. A token that names another is refused unread.
pub const ALGORITHM: Algorithm = Algorithm::EdDSA;

const FILE_NAME: &str = "signing-key.pem";
/// A key is 119 bytes of PEM; whatever is longer is something else.
const MAX_FILE_BYTES: u64 = 4096;
/// What precedes the 32 secret bytes of an Ed25519 key in PKCS #8 (RFC 8410, section 7).
const PKCS8_PREFIX: [u8; 16] =
    [0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20];

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("use the signing key: {0}")]
    Private(#[from] PrivacyError),
    #[error("write the signing key {}: {source}", path.display())]
    Write { path: PathBuf, source: std::io::Error },
    #[error("read the signing key {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    #[error(
        "use the signing key {}: it is not an Ed25519 private key in PKCS #8 PEM; hint: move it away, a new one \
         is made at the next start (tokens signed so far become invalid)",
        path.display()
    )]
    NotAKey { path: PathBuf },
}

/// A loaded signing key.
#[derive(Clone)]
pub struct SigningKey {
    private: EncodingKey,
    public: DecodingKey,
    document: Jwk,
    id: String,
}

impl SigningKey {
    /// Loads the key in `folder`; makes folder and key when there is none. However many processes
    /// do this at once, one key comes of it.
    ///
    /// # Errors
    /// When others could read the key, or the file is not one.
    pub fn open(folder: &Path) -> Result<Self, KeyError> {
        let path = private::ensure_folder(folder)?.join(FILE_NAME);
        match load(&path) {
            Err(KeyError::Private(error)) if error.is_not_found() => {
                create(&path)?;
                load(&path)
            }
            loaded => loaded,
        }
    }

    /// The `kid` of its tokens: the key's RFC 7638 thumbprint.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    #[must_use]
    pub fn private(&self) -> &EncodingKey {
        &self.private
    }

    /// What verifies its tokens.
    #[must_use]
    pub fn public(&self) -> &DecodingKey {
        &self.public
    }

    /// The document at `/.well-known/jwks.json` (RFC 7517, section 5): public members only.
    #[must_use]
    pub fn jwks(&self) -> JwkSet {
        JwkSet { keys: vec![self.document.clone()] }
    }
}

fn load(path: &Path) -> Result<SigningKey, KeyError> {
    let mut pem = Vec::new();
    private::open_file(path)?
        .take(MAX_FILE_BYTES)
        .read_to_end(&mut pem)
        .map_err(|source| KeyError::Read { path: path.to_owned(), source })?;
    parse(&pem).map_err(|_| KeyError::NotAKey { path: path.to_owned() })
}

fn parse(pem: &[u8]) -> Result<SigningKey, jsonwebtoken::errors::Error> {
    let private = EncodingKey::from_ed_pem(pem)?;
    let mut document = Jwk::from_encoding_key(&private, ALGORITHM)?;
    let id = document.thumbprint(ThumbprintHash::SHA256)?;
    document.common.key_id = Some(id.clone());
    document.common.key_algorithm = Some(KeyAlgorithm::EdDSA);
    document.common.public_key_use = Some(PublicKeyUse::Signature);
    let public = DecodingKey::from_jwk(&document)?;
    Ok(SigningKey { private, public, document, id })
}

/// Puts a new key at `path` unless one appears there first: written and synced under a name of its
/// own, then moved into place without replacing anything, so that no reader ever sees half a key.
fn create(path: &Path) -> Result<(), KeyError> {
    let failed = |source| KeyError::Write { path: path.to_owned(), source };
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().prefix(".signing-key-").tempfile_in(folder).map_err(failed)?;
    file.write_all(new_key_pem().as_bytes()).map_err(failed)?;
    file.as_file().sync_all().map_err(failed)?;
    match file.persist_noclobber(path) {
        Err(lost) if lost.error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(lost) => Err(failed(lost.error)),
        Ok(_) => std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed),
    }
}

fn new_key_pem() -> String {
    let der = [PKCS8_PREFIX.as_slice(), &random_bytes()].concat();
    let body = base64::encode(base64::STANDARD, &der);
    format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::*;

    fn folder() -> (tempfile::TempDir, PathBuf) {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("auth");
        (scratch, folder)
    }

    #[test]
    fn a_key_is_made_once_and_stays() {
        let (_scratch, folder) = folder();
        let made = SigningKey::open(&folder).unwrap();
        assert_eq!(SigningKey::open(&folder).unwrap().id(), made.id());
        let names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names, [FILE_NAME], "nothing else is left behind");
    }

    #[test]
    fn a_new_key_is_readable_by_its_owner_alone() {
        let (_scratch, folder) = folder();
        SigningKey::open(&folder).unwrap();
        let mode = |path: &Path| path.metadata().unwrap().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(FILE_NAME))), (0o700, 0o600));
    }

    #[test]
    fn a_key_that_others_can_read_is_refused_with_the_command_that_closes_it() {
        let (_scratch, folder) = folder();
        SigningKey::open(&folder).unwrap();
        let path = folder.canonicalize().unwrap().join(FILE_NAME);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let error = SigningKey::open(&folder).err().unwrap().to_string();
        assert!(error.ends_with(&format!("hint: chmod 600 {}", path.display())), "{error}");
    }

    #[test]
    fn a_folder_that_others_can_enter_is_refused() {
        let (_scratch, folder) = folder();
        SigningKey::open(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        let error = SigningKey::open(&folder).err().unwrap().to_string();
        assert!(error.contains("hint: chmod 700 "), "{error}");
    }

    #[test]
    fn a_link_in_the_place_of_the_key_is_not_followed() {
        let (scratch, folder) = folder();
        let elsewhere = scratch.path().join("elsewhere");
        SigningKey::open(&elsewhere).unwrap();
        private::ensure_folder(&folder).unwrap();
        symlink(elsewhere.join(FILE_NAME), folder.join(FILE_NAME)).unwrap();
        assert!(matches!(SigningKey::open(&folder), Err(KeyError::Private(_))));
    }

    #[test]
    fn what_is_not_a_key_is_refused_and_kept() {
        for content in ["", "secret", "-----BEGIN PRIVATE KEY-----\nMC4CAQ\n-----END PRIVATE KEY-----\n"] {
            let (_scratch, folder) = folder();
            SigningKey::open(&folder).unwrap();
            fs::write(folder.join(FILE_NAME), content).unwrap();
            let error = SigningKey::open(&folder).err().unwrap();
            assert!(matches!(error, KeyError::NotAKey { .. }), "{error}");
            assert_eq!(fs::read_to_string(folder.join(FILE_NAME)).unwrap(), content);
        }
    }

    #[test]
    fn many_first_starts_at_once_make_one_key() {
        let (_scratch, folder) = folder();
        let ids: Vec<String> = std::thread::scope(|scope| {
            let starts: Vec<_> =
                (0..16).map(|_| scope.spawn(|| SigningKey::open(&folder).unwrap().id().to_owned())).collect();
            starts.into_iter().map(|start| start.join().unwrap()).collect()
        });
        assert!(ids.iter().all(|id| *id == ids[0]));
    }

    #[test]
    fn first_starts_in_several_processes_make_one_key() {
        let (_scratch, folder) = folder();
        let start = || {
            std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "auth::keys::tests::one_start_of_several", "--ignored", "--nocapture"])
                .env("MSCTL_TEST_FOLDER", &folder)
                .stdout(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        };
        let starts: Vec<_> = (0..4).map(|_| start()).collect();
        let id = |output: std::process::Output| {
            let text = String::from_utf8(output.stdout).unwrap();
            text.lines().find_map(|line| line.strip_prefix("key ").map(str::to_owned)).expect(&text)
        };
        let ids: Vec<String> =
            starts.into_iter().map(|start| id(start.wait_with_output().unwrap())).collect();
        assert_eq!(ids, vec![SigningKey::open(&folder).unwrap().id().to_owned(); 4]);
    }

    #[test]
    #[ignore = "a part of the test before it, which runs it in processes of its own"]
    fn one_start_of_several() {
        let folder = PathBuf::from(std::env::var_os("MSCTL_TEST_FOLDER").unwrap());
        let key = SigningKey::open(&folder).unwrap();
        std::io::Write::write_all(&mut std::io::stdout(), format!("\nkey {}\n", key.id()).as_bytes())
            .unwrap();
    }

    #[test]
    fn the_public_document_has_public_members_only() {
        let (_scratch, folder) = folder();
        let key = SigningKey::open(&folder).unwrap();
        let document = serde_json::to_value(key.jwks()).unwrap();
        let members: Vec<&String> = document["keys"][0].as_object().unwrap().keys().collect();
        assert_eq!(members, ["alg", "crv", "kid", "kty", "use", "x"]);
        assert_eq!(document["keys"][0]["kid"], key.id());
    }

    #[test]
    fn the_key_id_is_the_thumbprint_of_rfc_8037() {
        // The example key and its thumbprint: RFC 8037, appendix A.1 and A.3.
        let secret = base64::decode(base64::URL_SAFE, "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
        let der = base64::encode(base64::STANDARD, &[PKCS8_PREFIX.as_slice(), &secret].concat());
        let pem = format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n");
        assert_eq!(parse(pem.as_bytes()).unwrap().id(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }
}
