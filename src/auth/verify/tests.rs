use std::path::Path;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use super::*;
use crate::auth::base64::{URL_SAFE, decode as decode_base64, encode};
use crate::auth::claims::seconds_since_1970;
use crate::auth::inspect::{Verdict, inspect};
use crate::auth::issue::TokenRequest;
use crate::model::platform::AuthSettings;

/// A platform, its verifier, and a clock.
struct Bench {
    _folder: tempfile::TempDir,
    signer: Signer,
    verifier: Verifier,
    now: SystemTime,
}

fn signer(folder: &Path, platform: &str) -> Signer {
    let settings = AuthSettings { access_token_ttl: Duration::from_secs(900), issuer: None };
    Signer::open(&folder.join("auth"), &platform.parse().unwrap(), &settings).unwrap()
}

fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let signer = signer(folder.path(), "store");
    Bench { verifier: Verifier::new(&signer), signer, _folder: folder, now: SystemTime::now() }
}

impl Bench {
    fn issue(&self) -> String {
        let request = TokenRequest {
            scopes: ["orders:write".parse().unwrap()].into(),
            ..TokenRequest::for_subject("ada")
        };
        self.signer.issue(&request, self.now).unwrap().expose().to_owned()
    }

    fn header(&self) -> Value {
        json!({"alg": "EdDSA", "typ": "at+jwt", "kid": self.signer.key().id()})
    }

    fn claims(&self) -> Value {
        let now = seconds_since_1970(self.now);
        json!({
            "iss": "http://auth.store.localhost", "sub": "ada", "aud": "store", "client_id": "msctl",
            "iat": now, "exp": now + 900, "jti": "1", "scope": "orders:write",
        })
    }

    /// A token that says anything, correctly signed with the platform's own key.
    fn sign(&self, header: &Value, claims: &Value) -> String {
        signed(message(header, claims), self.signer.key().private(), Algorithm::EdDSA)
    }

    fn with_header(&self, changes: &Value) -> String {
        self.sign(&merged(self.header(), changes), &self.claims())
    }

    fn with_claims(&self, changes: &Value) -> String {
        self.sign(&self.header(), &merged(self.claims(), changes))
    }

    fn check(&self, token: &str, expected: TokenRejection) {
        assert_eq!(self.verifier.verify(token, self.now), Err(expected), "{token}");
        assert_eq!(self.verifier.verify(token, self.now), Err(expected), "the second time: {token}");
    }
}

fn signed(message: String, key: &EncodingKey, algorithm: Algorithm) -> String {
    let signature = jsonwebtoken::crypto::sign(message.as_bytes(), key, algorithm).unwrap();
    message + "." + &signature
}

fn message(header: &Value, claims: &Value) -> String {
    let part = |value: &Value| encode(URL_SAFE, value.to_string().as_bytes());
    format!("{}.{}", part(header), part(claims))
}

/// `base` with members replaced; null removes one.
fn merged(mut base: Value, changes: &Value) -> Value {
    let members = base.as_object_mut().unwrap();
    for (name, value) in changes.as_object().unwrap() {
        members.remove(name);
        if !value.is_null() {
            members.insert(name.clone(), value.clone());
        }
    }
    base
}

#[test]
fn an_issued_token_is_accepted_twice_and_names_its_caller() {
    let bench = bench();
    let token = bench.issue();
    for _ in ["checked", "remembered"] {
        let principal = bench.verifier.verify(&token, bench.now).unwrap();
        assert_eq!(principal.subject, "ada");
        assert_eq!(principal.scopes, ["orders:write".parse().unwrap()].into());
        let left = principal.expires_at.duration_since(bench.now).unwrap();
        assert!((899..=900).contains(&left.as_secs()), "{left:?}");
    }
}

#[test]
fn the_forgers_workbench_makes_good_tokens_when_nothing_is_changed() {
    let bench = bench();
    let token = bench.sign(&bench.header(), &bench.claims());
    assert!(bench.verifier.verify(&token, bench.now).is_ok());
}

// A1: algorithms.

#[test]
fn an_unsigned_token_is_refused_however_none_is_spelled() {
    let bench = bench();
    for none in ["none", "None", "nOnE", "NONE", ""] {
        let message = message(&merged(bench.header(), &json!({"alg": none})), &bench.claims());
        bench.check(&format!("{message}."), TokenRejection::Malformed);
    }
}

#[test]
fn a_missing_signature_is_refused() {
    let bench = bench();
    let token = bench.issue();
    let (message, _) = token.rsplit_once('.').unwrap();
    bench.check(&format!("{message}."), TokenRejection::Signature);
    bench.check(message, TokenRejection::Malformed);
}

#[test]
fn a_token_keyed_with_the_public_key_is_refused() {
    let bench = bench();
    let x = serde_json::to_value(bench.signer.key().jwks()).unwrap()["keys"][0]["x"].clone();
    let x = x.as_str().unwrap();
    let raw = decode_base64(URL_SAFE, x).unwrap();
    let message = message(&merged(bench.header(), &json!({"alg": "HS256"})), &bench.claims());
    for secret in [x.as_bytes(), &raw, format!(" {x}").as_bytes(), format!("{x}\n").as_bytes()] {
        let token = signed(message.clone(), &EncodingKey::from_secret(secret), Algorithm::HS256);
        bench.check(&token, TokenRejection::Malformed);
    }
}

#[test]
fn a_changed_byte_breaks_the_signature() {
    let bench = bench();
    let good = bench.issue();
    assert!(bench.verifier.verify(&good, bench.now).is_ok(), "and is remembered");
    let (header, rest) = good.split_once('.').unwrap();
    let (_, signature) = rest.split_once('.').unwrap();
    let admin = encode(URL_SAFE, merged(bench.claims(), &json!({"scope": "admin"})).to_string().as_bytes());
    bench.check(&format!("{header}.{admin}.{signature}"), TokenRejection::Signature);
}

// A2: claims.

#[test]
fn a_token_ends_at_its_expiry_give_or_take_five_seconds() {
    let bench = bench();
    let token = bench.issue();
    let at = |seconds| bench.now + Duration::from_secs(seconds);
    assert!(bench.verifier.verify(&token, at(904)).is_ok());
    for _ in ["checked", "remembered"] {
        assert_eq!(bench.verifier.verify(&token, at(906)), Err(TokenRejection::Expired));
    }
}

#[test]
fn a_remembered_token_ends_at_its_expiry_too() {
    let bench = bench();
    let now = seconds_since_1970(bench.now);
    let token = bench.with_claims(&json!({"exp": now + 10}));
    assert!(bench.verifier.verify(&token, bench.now).is_ok());
    let later = bench.now + Duration::from_secs(16);
    assert_eq!(bench.verifier.verify(&token, later), Err(TokenRejection::Expired));
}

#[test]
fn a_token_of_the_future_is_refused() {
    let bench = bench();
    let now = seconds_since_1970(bench.now);
    for claim in ["nbf", "iat"] {
        bench.check(&bench.with_claims(&json!({claim: now + 60})), TokenRejection::NotYetValid);
        let token = bench.with_claims(&json!({claim: now + 4}));
        assert!(bench.verifier.verify(&token, bench.now).is_ok(), "{claim} within the leeway");
    }
}

#[test]
fn every_required_claim_is_required() {
    let bench = bench();
    for claim in ["exp", "iat", "iss", "aud", "sub"] {
        bench.check(&bench.with_claims(&json!({claim: null})), TokenRejection::Claims);
    }
    bench.check(&bench.with_claims(&json!({"sub": ""})), TokenRejection::Claims);
}

#[test]
fn a_claim_of_another_type_counts_as_none() {
    let bench = bench();
    let now = seconds_since_1970(bench.now);
    for wrong in
        [json!("never"), json!((now + 900).to_string()), json!(-1), json!(1e30), json!([]), json!(true)]
    {
        for claim in ["exp", "iat", "nbf"] {
            bench.check(&bench.with_claims(&json!({claim: wrong})), TokenRejection::Claims);
        }
    }
    bench.check(&bench.with_claims(&json!({"exp": u64::MAX})), TokenRejection::Claims);
    bench.check(&bench.with_claims(&json!({"scope": ["admin"]})), TokenRejection::Claims);
    bench.check(&bench.with_claims(&json!({"scope": "a\"b"})), TokenRejection::Claims);
    bench.check(&bench.sign(&bench.header(), &json!("claims")), TokenRejection::Claims);
}

#[test]
fn a_claim_that_is_there_twice_is_refused() {
    let bench = bench();
    let claims = bench.claims().to_string().replacen('{', "{\"sub\":\"root\",", 1);
    let message = format!(
        "{}.{}",
        encode(URL_SAFE, bench.header().to_string().as_bytes()),
        encode(URL_SAFE, claims.as_bytes())
    );
    let token = signed(message, bench.signer.key().private(), Algorithm::EdDSA);
    bench.check(&token, TokenRejection::Claims);
}

// A3: parties and keys.

#[test]
fn a_token_for_or_from_somebody_else_is_refused() {
    let bench = bench();
    for issuer in
        ["http://auth.store.localhost/", "http://auth.other.localhost", "", "HTTP://AUTH.STORE.LOCALHOST"]
    {
        bench.check(&bench.with_claims(&json!({"iss": issuer})), TokenRejection::WrongParty);
    }
    for audience in [json!("other"), json!(["other"]), json!([]), json!("store2"), json!("")] {
        bench.check(&bench.with_claims(&json!({"aud": audience})), TokenRejection::WrongParty);
    }
    let shared = bench.with_claims(&json!({"aud": ["other", "store"]}));
    assert!(bench.verifier.verify(&shared, bench.now).is_ok());
}

#[test]
fn a_key_id_is_compared_and_never_looked_up() {
    let bench = bench();
    for kid in ["../../x", "/dev/null", "unknown", "", "' OR 1=1 --", "http://127.0.0.1/key"] {
        bench.check(&bench.with_header(&json!({"kid": kid})), TokenRejection::Signature);
    }
    bench.check(&bench.with_header(&json!({"kid": null})), TokenRejection::Signature);
}

#[test]
fn a_token_cannot_bring_its_own_key() {
    let bench = bench();
    let jwk = serde_json::to_value(bench.signer.key().jwks()).unwrap()["keys"][0].clone();
    for extra in [
        json!({"jwk": jwk}),
        json!({"jku": "http://127.0.0.1/jwks.json"}),
        json!({"x5u": "http://127.0.0.1/cert.pem"}),
        json!({"x5c": ["AAAA"]}),
        json!({"crit": ["exp"]}),
        json!({"crit": ["b64"], "b64": false}),
        json!({"zip": "DEF"}),
        json!({"anything": 1}),
    ] {
        bench.check(&bench.with_header(&extra), TokenRejection::Malformed);
    }
}

#[test]
fn another_kind_of_jwt_is_not_an_access_token() {
    let bench = bench();
    for typ in [json!("JWT"), json!("id+jwt"), json!("at+JWT "), json!(null)] {
        bench.check(&bench.with_header(&json!({"typ": typ})), TokenRejection::Malformed);
    }
}

#[test]
fn another_platforms_token_is_refused_even_under_the_same_name() {
    let bench = bench();
    let elsewhere = tempfile::tempdir().unwrap();
    let other = signer(elsewhere.path(), "store");
    let token = other.issue(&TokenRequest::for_subject("ada"), bench.now).unwrap();
    bench.check(token.expose(), TokenRejection::Signature);

    let under_our_name = message(&bench.header(), &bench.claims());
    let token = signed(under_our_name, other.key().private(), Algorithm::EdDSA);
    bench.check(&token, TokenRejection::Signature);
}

// A7: shape.

#[test]
fn a_token_of_more_than_eight_kibibytes_is_not_looked_at() {
    let bench = bench();
    let huge = bench.with_claims(&json!({"padding": "x".repeat(16 * 1024)}));
    bench.check(&huge, TokenRejection::Malformed);
    let large = bench.with_claims(&json!({"padding": "x".repeat(4 * 1024)}));
    assert!(bench.verifier.verify(&large, bench.now).is_ok(), "large is not yet huge");
}

#[test]
fn what_is_no_token_is_refused() {
    let bench = bench();
    let good = bench.issue();
    for bad in
        ["", ".", "..", "...", "a.b.c", "é.é.é", "\0", &format!(" {good}"), &format!("{good}."), &good[1..]]
    {
        bench.check(bad, TokenRejection::Malformed);
    }
}

// Inspection, for people.

#[test]
fn inspecting_tells_what_any_token_says_and_why_it_is_not_accepted() {
    let bench = bench();
    let see = |token: &str| inspect(token, Some(&bench.verifier), bench.now);
    assert_eq!(see(&bench.issue()).verdict, Verdict::Valid);

    let unsigned = message(&json!({"alg": "none"}), &json!({"sub": "root"})) + ".";
    let seen = see(&unsigned);
    assert_eq!(seen.header, Some(json!({"alg": "none"})));
    assert_eq!(seen.claims, Some(json!({"sub": "root"})));
    let reason = TokenRejection::Malformed.to_string();
    assert_eq!(seen.verdict, Verdict::Invalid { reason });

    let garbage = see("not a token");
    assert_eq!((garbage.header, garbage.claims), (None, None));
    assert_eq!(inspect(&unsigned, None, bench.now).verdict, Verdict::Unchecked);
}
