use std::time::Duration;

use jsonwebtoken::{EncodingKey, encode};
use serde_json::{Value, json};

use super::*;
use crate::auth::claims::seconds_since_1970;
use crate::auth::issue::{Signer, TokenRequest};
use crate::model::platform::AuthSettings;

const ISSUER: &str = "https://idp.example.com";
/// A P-256 key in PKCS #8, for this file alone.
const EC_KEY: &str = "MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcuQxMYJ2tBHoYAcPb7ag2hK2NepiulWa4QdLoWvjkQ\
    GhRANCAAQYY8IEzW5/hiCB9I7HuiNYoxaLK92YdF1kugCnvdO+UdrfFPUmrQAcCApi9gk8eGuU9KkirmpOjKIuzVnJcdXO";

/// Two keys of an issuer, made for each test, and a clock.
struct Issuer {
    _folders: [tempfile::TempDir; 2],
    ours: Signer,
    next: Signer,
    now: SystemTime,
}

fn signer(folder: &std::path::Path) -> Signer {
    let settings =
        AuthSettings { access_token_ttl: Duration::from_secs(900), issuer: Some(ISSUER.to_owned()) };
    Signer::open(&folder.join("auth"), &"shop".parse().unwrap(), &settings).unwrap()
}

impl Issuer {
    fn new() -> Self {
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let (ours, next) = (signer(folders[0].path()), signer(folders[1].path()));
        Self { _folders: folders, ours, next, now: SystemTime::now() }
    }

    fn document(&self) -> Value {
        let mut set = self.ours.key().jwks();
        set.keys.extend(self.next.key().jwks().keys);
        serde_json::to_value(set).unwrap()
    }

    fn claims(&self) -> Value {
        let now = seconds_since_1970(self.now);
        json!({"iss": ISSUER, "sub": "ada", "aud": ["shop", "other"], "exp": now + 60, "scope": "a b"})
    }

    /// Signed with our key, with these members of the header and of the claims changed.
    fn token(&self, header: impl FnOnce(&mut Header), claims: &Value) -> String {
        let mut head = Header::new(Algorithm::EdDSA);
        head.kid = Some(self.ours.key().id().to_owned());
        header(&mut head);
        let mut all = self.claims();
        for (name, value) in claims.as_object().unwrap() {
            all[name] = value.clone();
        }
        encode(&head, &all, self.ours.key().private()).unwrap()
    }

    fn check(&self, document: &Value, token: &str, expected: &str) {
        let verifier = verifier(document).unwrap();
        let shown = |found: Result<Principal, TokenRejection>| match found {
            Ok(principal) => {
                let scopes: Vec<_> = principal.scopes.iter().map(Scope::as_str).collect();
                format!("{} {}", principal.subject, scopes.join(" "))
            }
            Err(rejection) => format!("{rejection:?}"),
        };
        assert_eq!(shown(verifier.verify(token, self.now)), expected);
        assert_eq!(shown(verifier.verify(token, self.now)), expected, "the second time");
    }
}

fn verifier(document: &Value) -> Result<ForeignVerifier, KeySetError> {
    let parties = Parties { issuer: ISSUER.to_owned(), audience: "shop".to_owned() };
    ForeignVerifier::new(parties, document.to_string().as_bytes())
}

#[test]
fn a_token_counts_if_one_of_the_published_keys_signed_it() {
    let issuer = Issuer::new();
    let by_next = issuer.next.issue(&TokenRequest::for_subject("bob"), issuer.now).unwrap();
    issuer.check(&issuer.document(), &issuer.token(|_| {}, &json!({})), "ada a b");
    issuer.check(&issuer.document(), by_next.expose(), "bob ");
}

#[test]
fn scopes_are_read_as_others_write_them() {
    let issuer = Issuer::new();
    let check = |claims: Value, expected| {
        issuer.check(&issuer.document(), &issuer.token(|_| {}, &claims), expected);
    };
    check(json!({"scope": null, "scp": ["x", "y"]}), "ada x y");
    check(json!({"scope": null, "scp": "x y"}), "ada x y");
    check(json!({"scope": null}), "ada ");
    check(json!({"scope": ["not one"]}), "Claims");
    check(json!({"scope": 7}), "Claims");
}

#[test]
fn a_token_for_or_by_or_at_another_is_refused() {
    let issuer = Issuer::new();
    let now = seconds_since_1970(issuer.now);
    let check = |claims: Value, expected| {
        issuer.check(&issuer.document(), &issuer.token(|_| {}, &claims), expected);
    };
    check(json!({"iss": "https://idp.example.com/"}), "WrongParty");
    check(json!({"aud": "shops"}), "WrongParty");
    check(json!({"exp": now - 60}), "Expired");
    check(json!({"nbf": now + 60}), "NotYetValid");
    check(json!({"sub": ""}), "Claims");
    check(json!({"sub": "a\r\nb"}), "Claims");
    check(json!({"exp": "soon"}), "Claims");
}

#[test]
fn what_a_header_may_not_say_is_refused() {
    let issuer = Issuer::new();
    let check = |change: fn(&mut Header), expected| {
        issuer.check(&issuer.document(), &issuer.token(change, &json!({})), expected);
    };
    check(|header| header.typ = Some("at+JWT".to_owned()), "ada a b");
    check(|header| header.typ = None, "ada a b");
    check(|header| header.typ = Some("logout+jwt".to_owned()), "Malformed");
    check(|header| header.crit = Some(vec!["exp".to_owned()]), "Malformed");
    check(|header| header.kid = Some("another".to_owned()), "Signature");
    check(|header| header.kid = None, "Signature");
}

#[test]
fn without_a_kid_it_is_the_only_key_or_none() {
    let issuer = Issuer::new();
    let alone = serde_json::to_value(issuer.ours.key().jwks()).unwrap();
    issuer.check(&alone, &issuer.token(|header| header.kid = None, &json!({})), "ada a b");
}

#[test]
fn the_key_decides_the_algorithm() {
    let issuer = Issuer::new();
    let public = issuer.document()["keys"][0]["x"].as_str().unwrap().to_owned();
    let mut header = Header::new(Algorithm::HS256);
    header.kid = Some(issuer.ours.key().id().to_owned());
    let key = EncodingKey::from_secret(public.as_bytes());
    let forged = encode(&header, &issuer.claims(), &key).unwrap();
    issuer.check(&issuer.document(), &forged, "Signature");
}

#[test]
fn elliptic_curves_are_understood() {
    let issuer = Issuer::new();
    let key = EncodingKey::from_ec_der(
        &crate::auth::base64::decode(crate::auth::base64::STANDARD, EC_KEY).unwrap(),
    );
    let mut document = Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap();
    document.common.key_id = Some("ec".to_owned());
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("ec".to_owned());
    let token = encode(&header, &issuer.claims(), &key).unwrap();
    issuer.check(&json!({"keys": [document]}), &token, "ada a b");
}

#[test]
fn a_set_without_a_usable_key_is_refused() {
    let issuer = Issuer::new();
    let refusal = |document: &Value| verifier(document).err().unwrap().to_string();
    let no_key = "it holds no public key that signs (EdDSA, ES256, ES384, RS256 to RS512, PS256 to PS512)";
    assert_eq!(refusal(&json!({"keys": []})), no_key);
    assert_eq!(refusal(&json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}]})), no_key);
    let mut encrypting = issuer.document();
    for key in encrypting["keys"].as_array_mut().unwrap() {
        key["use"] = json!("enc");
    }
    assert_eq!(refusal(&encrypting), no_key);
    assert!(refusal(&json!([])).starts_with("it is not a JSON Web Key Set: "));
}
