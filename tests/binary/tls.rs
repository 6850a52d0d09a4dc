//! TLS as its users meet it: `msctl tls`, a platform with `tls` in its manifest, other people's clients.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{CertificateParams, KeyPair};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::harness::msctl::Msctl;
use crate::harness::platform::{TestPlatform, TestService};
use crate::harness::wait::until;

/// What the service says to everything.
const SERVED: &str = "nothing at /order";

/// GET by TLS, for a client that trusts these certificates alone.
pub fn get(address: &str, name: &str, path: &str, trusted: &Path) -> Result<String, String> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(trusted).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder =
        ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let config = builder.with_root_certificates(roots).with_no_client_auth();
    let name_of_server = ServerName::try_from(name.to_owned()).unwrap();
    let session = ClientConnection::new(Arc::new(config), name_of_server).unwrap();
    let socket = TcpStream::connect(address).map_err(|error| error.to_string())?;
    socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    let mut stream = StreamOwned::new(session, socket);
    let request = format!("GET {path} HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).map_err(|error| error.to_string())?;
    Ok(answer)
}

fn secure(settings: &str) -> TestPlatform {
    let shop = TestPlatform::of(&[TestService::named("order")]);
    // Within [gateway], which the harness leaves open.
    shop.write_manifest(settings);
    shop
}

fn write_pair(folder: &Path, name: &str) -> String {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec![name.to_owned()]).unwrap().self_signed(&key).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
    fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    certificate.pem()
}

#[test]
fn the_authority_is_shown_without_a_platform_and_stays_the_same() {
    let home = tempfile::tempdir().unwrap();
    let show = || {
        Msctl::new(home.path(), &["tls", "trust", "--format", "json"]).within(&home).run().success().json()
    };
    let shown = show();
    assert_eq!(shown["schema"], "msctl.tls/1");
    assert_eq!(shown["fingerprint"].as_str().unwrap().len(), 95);
    let certificate = shown["certificate"].as_str().unwrap();
    assert!(fs::read_to_string(certificate).unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
    assert_eq!(show(), shown);
    let text = Msctl::new(home.path(), &["tls", "trust"]).within(&home).run().success().stdout;
    for word in ["update-ca-certificates", "update-ca-trust", "add-trusted-cert", "certutil", "--cacert"] {
        assert!(text.contains(word), "{text}");
    }
    assert!(text.contains("NODE_EXTRA_CA_CERTS=") && text.contains("REQUESTS_CA_BUNDLE="), "{text}");
    assert!(text.contains("Nothing has been changed") && text.contains(certificate), "{text}");
}

#[test]
fn a_platform_is_reached_by_tls_by_whoever_trusts_the_authority() {
    let shop = secure("tls = \"local\"\nhsts = \"30d\"");
    let up = shop.up();
    let url = shop.url();
    assert!(url.starts_with("https://127.0.0.1:") && up.stderr.contains(&url), "{url} {}", up.stderr);
    let address = url.trim_start_matches("https://");
    let trust = shop.msctl(&["tls", "trust", "--format", "json"]).success().json();
    let authority = Path::new(trust["certificate"].as_str().unwrap());
    for name in ["localhost", "shop.localhost", "order.shop.localhost", "127.0.0.1"] {
        let answer = get(address, name, "/order", authority).unwrap();
        assert!(answer.ends_with(SERVED), "{name}: {answer}");
        assert!(answer.contains("strict-transport-security: max-age=2592000\r\n"), "{name}: {answer}");
    }
    let refused = get(address, "other.localhost", "/order", authority).unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    for (version, expected) in [("--http1.1", "1.1 404"), ("--http2", "2 404")] {
        let mut curl = Command::new("curl");
        curl.args(["-sS", version, "--noproxy", "*", "--cacert"]).arg(authority);
        curl.args(["-o", "/dev/null", "-w", "%{http_version} %{http_code}", &format!("{url}/order")]);
        // Not everybody has it.
        let Ok(ran) = curl.output() else { continue };
        let said = String::from_utf8_lossy(&ran.stderr).into_owned();
        assert_eq!(String::from_utf8_lossy(&ran.stdout), expected, "{said}");
    }
}

#[test]
fn a_certificate_of_ones_own_is_followed_and_a_broken_one_is_not() {
    let shop = secure("tls = { certificate = \"cert.pem\", key = \"key.pem\" }");
    let trusted = shop.home().join("trusted.pem");
    let trust = |pem: String| fs::write(&trusted, pem).unwrap();
    trust(write_pair(&shop.root(), "shop.example"));
    shop.up();
    let url = shop.url();
    let address = url.trim_start_matches("https://");
    let ask = || get(address, "shop.example", "/order", &trusted);
    assert!(ask().unwrap().ends_with(SERVED));

    fs::write(shop.root().join("cert.pem"), "nothing").unwrap();
    shop.msctl(&["up", "-d"]).success();
    assert!(ask().unwrap().ends_with(SERVED));

    trust(write_pair(&shop.root(), "shop.example"));
    until(Duration::from_secs(15), "the new certificate", || ask().ok());
}

#[test]
fn a_pair_that_is_none_keeps_the_platform_from_starting() {
    let shop = secure("tls = { certificate = \"cert.pem\", key = \"key.pem\" }");
    let check = |expected: &str| {
        let said = shop.plain(&shop.msctl(&["up", "-d"]).expect_code(1).stderr);
        assert!(said.contains(expected) && said.contains("hint: "), "{said}");
    };
    check("failed to read [DIR]/shop/cert.pem: No such file");
    write_pair(&shop.root(), "shop.example");
    fs::write(shop.root().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    check(
        "failed to use the key [DIR]/shop/key.pem: it does not belong to the certificate [DIR]/shop/cert.pem",
    );
}
