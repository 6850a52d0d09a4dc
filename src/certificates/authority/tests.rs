use std::os::unix::fs::PermissionsExt;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};
use rustls::{CertificateError, RootCertStore};

use super::*;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// What a client says to this certificate under this name, if it trusts the authority.
fn verify(
    authority: &Authority,
    credential: &Credential,
    name: &str,
    now: SystemTime,
) -> Result<(), rustls::Error> {
    let mut roots = RootCertStore::empty();
    roots.add(authority.certificate.clone()).unwrap();
    let provider = Arc::new(default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
    let [leaf, chain @ ..] = credential.key.cert.as_slice() else { panic!("no certificate") };
    let at = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    verifier.verify_server_cert(leaf, chain, &ServerName::try_from(name).unwrap(), &[], at).map(drop)
}

fn issue(authority: &Authority, names: &[&str]) -> Credential {
    authority.issue(names.iter().map(ToString::to_string).collect(), now()).unwrap()
}

#[test]
fn a_certificate_is_good_for_its_names_and_for_no_others() {
    let base = tempfile::tempdir().unwrap();
    let authority = Authority::open(base.path(), now()).unwrap();
    let credential =
        issue(&authority, &["store.localhost", "*.store.localhost", "localhost", "127.0.0.1", "::1"]);
    for name in ["store.localhost", "order.store.localhost", "localhost", "127.0.0.1", "::1"] {
        verify(&authority, &credential, name, now()).unwrap_or_else(|error| panic!("{name}: {error}"));
    }
    for name in ["shop.localhost", "deep.order.store.localhost", "127.0.0.2", "example.com"] {
        assert!(verify(&authority, &credential, name, now()).is_err(), "{name}");
    }
}

#[test]
fn the_authority_proves_nothing_about_any_other_site() {
    let base = tempfile::tempdir().unwrap();
    let authority = Authority::open(base.path(), now()).unwrap();
    for name in ["example.com", "localhost.example.com", "10.0.0.1", "2001:db8::1"] {
        let credential = issue(&authority, &[name]);
        let refused = verify(&authority, &credential, name, now()).unwrap_err();
        assert!(matches!(refused, rustls::Error::InvalidCertificate(_)), "{name}: {refused:?}");
    }
}

#[test]
fn a_certificate_ends() {
    let base = tempfile::tempdir().unwrap();
    let authority = Authority::open(base.path(), now()).unwrap();
    let credential = issue(&authority, &["localhost"]);
    assert_eq!(credential.not_after, now() + LEAF_LIFETIME);
    let late = verify(&authority, &credential, "localhost", credential.not_after + DAY).unwrap_err();
    let expired = CertificateError::ExpiredContext { time: UnixTime::now(), not_after: UnixTime::now() };
    assert_eq!(
        std::mem::discriminant(&late),
        std::mem::discriminant(&rustls::Error::InvalidCertificate(expired))
    );
}

#[test]
fn the_authority_is_made_once_and_kept() {
    let base = tempfile::tempdir().unwrap();
    let open = || Authority::open(base.path(), now()).unwrap();
    let (first, second) = (open(), open());
    assert_eq!(first.fingerprint(), second.fingerprint());
    assert_eq!(first.fingerprint().len(), 32 * 3 - 1);
    // What the second one signs is good for those who trust the first.
    verify(&first, &issue(&second, &["localhost"]), "localhost", now()).unwrap();
}

#[test]
fn all_who_ask_at_once_get_the_same_authority() {
    let base = tempfile::tempdir().unwrap();
    let open = || Authority::open(base.path(), now()).unwrap().fingerprint();
    let all: Vec<String> = std::thread::scope(|scope| {
        let asking: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        asking.into_iter().map(|asked| asked.join().unwrap()).collect()
    });
    assert!(all.iter().all(|fingerprint| *fingerprint == all[0]), "{all:?}");
}

#[test]
fn another_authority_is_made_before_the_old_one_ends() {
    let base = tempfile::tempdir().unwrap();
    let open = |now| Authority::open(base.path(), now).unwrap().fingerprint();
    let first = open(now());
    assert_eq!(open(now() + LIFETIME - LEAF_LIFETIME - DAY), first);
    assert_ne!(open(now() + LIFETIME - LEAF_LIFETIME), first);
}

#[test]
fn half_an_authority_is_replaced() {
    let base = tempfile::tempdir().unwrap();
    let folder = base.path().join(FOLDER);
    let other = tempfile::tempdir().unwrap();
    let of_another = || {
        Authority::open(other.path(), now()).unwrap();
        std::fs::read_to_string(other.path().join(FOLDER).join(KEY)).unwrap()
    };
    let damages: [&dyn Fn(); 4] = [
        &|| std::fs::remove_file(folder.join(CERTIFICATE)).unwrap(),
        &|| std::fs::remove_file(folder.join(KEY)).unwrap(),
        &|| std::fs::write(folder.join(CERTIFICATE), b"\xff nonsense").unwrap(),
        &|| std::fs::write(folder.join(KEY), of_another()).unwrap(),
    ];
    for damage in damages {
        let before = Authority::open(base.path(), now()).unwrap();
        damage();
        let after = Authority::open(base.path(), now()).unwrap();
        assert_ne!(before.fingerprint(), after.fingerprint());
        verify(&after, &issue(&after, &["localhost"]), "localhost", now()).unwrap();
    }
}

#[test]
fn the_key_is_closed_to_others_and_refused_when_it_is_not() {
    let base = tempfile::tempdir().unwrap();
    Authority::open(base.path(), now()).unwrap();
    let folder = base.path().join(FOLDER);
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder), mode(&folder.join(KEY))), (0o700, 0o600));
    std::fs::set_permissions(folder.join(KEY), std::fs::Permissions::from_mode(0o640)).unwrap();
    let refused = Authority::open(base.path(), now()).unwrap_err().to_string();
    assert!(
        refused.contains("authority.key is open to other users (mode 0640); hint: chmod 600"),
        "{refused}"
    );
}
