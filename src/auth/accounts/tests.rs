use std::path::Path;

use super::*;
use crate::auth::issue::TokenRequest;
use crate::model::platform::AuthSettings;

const PASSWORD: &str = "correct horse";

/// Accounts in a folder, so that they can be opened again.
struct Bench {
    folder: tempfile::TempDir,
    accounts: Accounts,
    now: SystemTime,
}

fn open(folder: &Path) -> Accounts {
    let settings = AuthSettings { access_token_ttl: Duration::from_secs(900), issuer: None };
    let folder = folder.join("auth");
    let signer = Signer::open(&folder, &"store".parse().unwrap(), &settings).unwrap();
    let verifier = Arc::new(Verifier::new(&signer));
    Accounts::new(Store::open(&folder.join("accounts.db")).unwrap(), signer, verifier)
}

async fn bench_with_ada() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench { accounts: open(folder.path()), folder, now: SystemTime::now() };
    bench.accounts.register(ada(), bench.now).await.unwrap();
    bench
}

fn ada() -> NewAccount {
    NewAccount {
        name: "Ada".into(),
        email: "ada@example.com".into(),
        password: Secret::new(PASSWORD),
        scopes: ["orders:write".parse().unwrap()].into(),
    }
}

impl Bench {
    async fn log_in(&self, email: &str, password: &str, after_seconds: u64) -> Result<Tokens, AccountError> {
        let credentials = Credentials {
            email: email.into(),
            password: Secret::new(password),
            address: Some([10, 0, 0, 1].into()),
        };
        self.accounts.log_in(credentials, self.at(after_seconds)).await
    }

    async fn ada_logs_in(&self) -> Tokens {
        self.log_in("ada@example.com", PASSWORD, 0).await.unwrap()
    }

    fn at(&self, after_seconds: u64) -> SystemTime {
        self.now + Duration::from_secs(after_seconds)
    }

    async fn renew(&self, refresh: &Secret) -> Result<Tokens, AccountError> {
        self.accounts.renew(refresh.clone(), self.now).await
    }
}

#[tokio::test]
async fn a_login_gives_a_token_that_names_the_account_and_carries_its_scopes() {
    let bench = bench_with_ada().await;
    let tokens = bench.ada_logs_in().await;
    let account = bench.accounts.who_is(tokens.access.clone(), bench.now).await.unwrap();
    assert_eq!((account.name.as_str(), account.email.as_str()), ("Ada", "ada@example.com"));
    let claims = bench.accounts.parts.verifier.claims(tokens.access.expose(), bench.now).unwrap();
    assert_eq!((claims.sub, claims.scope.as_str()), (account.id, "orders:write"));
    assert_eq!(tokens.expires_in, Duration::from_secs(900));
}

#[tokio::test]
async fn an_email_is_the_same_however_it_is_typed() {
    let bench = bench_with_ada().await;
    assert!(bench.log_in(" ADA@Example.com ", PASSWORD, 0).await.is_ok());
    let twin = NewAccount { email: "Ada@EXAMPLE.com".into(), ..ada() };
    assert!(matches!(bench.accounts.register(twin, bench.now).await, Err(AccountError::EmailTaken)));
}

#[tokio::test]
async fn every_unacceptable_field_is_named_at_once() {
    let bench = bench_with_ada().await;
    let new = NewAccount {
        name: " ".into(),
        email: "ada".into(),
        password: Secret::new("x".repeat(1 << 20)),
        scopes: BTreeSet::new(),
    };
    let Err(AccountError::Invalid(errors)) = bench.accounts.register(new, bench.now).await else {
        panic!("accepted")
    };
    assert_eq!(errors.iter().map(|error| error.field).collect::<Vec<_>>(), ["name", "email", "password"]);
}

#[tokio::test]
async fn an_unknown_account_fails_like_a_wrong_password_and_costs_the_same_hash() {
    let bench = bench_with_ada().await;
    let mut messages = Vec::new();
    for (checked, email) in [(1, "ada@example.com"), (2, "nobody@example.com")] {
        let error = bench.log_in(email, "wrong horse", 0).await.unwrap_err();
        messages.push(error.to_string());
        assert_eq!(bench.accounts.verifications(), checked, "{email}");
    }
    assert_eq!(messages[0], messages[1]);
}

#[tokio::test]
async fn what_cannot_be_a_password_is_refused_without_hashing() {
    let bench = bench_with_ada().await;
    for (email, password) in [("ada@example.com", "x".repeat(1 << 20)), ("not an email", PASSWORD.into())] {
        let refused = bench.log_in(email, &password, 0).await;
        assert!(matches!(refused, Err(AccountError::WrongCredentials)));
    }
    assert_eq!(bench.accounts.verifications(), 0);
}

#[tokio::test]
async fn five_wrong_guesses_make_the_next_one_wait_also_after_a_restart() {
    let mut bench = bench_with_ada().await;
    for _ in 0..5 {
        let wrong = bench.log_in("ada@example.com", "wrong horse", 0).await;
        assert!(matches!(wrong, Err(AccountError::WrongCredentials)));
    }
    bench.accounts = open(bench.folder.path());
    let waiting = bench.log_in("ada@example.com", PASSWORD, 1).await;
    assert!(matches!(waiting, Err(AccountError::TooManyAttempts(wait)) if wait.as_secs().abs_diff(14) <= 1));
    assert_eq!(bench.accounts.verifications(), 0, "a guess that has to wait is not hashed");
    assert!(bench.log_in("ada@example.com", PASSWORD, 16).await.is_ok(), "nobody is locked out for good");
}

#[tokio::test]
async fn the_right_password_forgets_the_wrong_ones_before_it() {
    let bench = bench_with_ada().await;
    for _ in 0..2 {
        for _ in 0..4 {
            let _ = bench.log_in("ada@example.com", "wrong horse", 0).await;
        }
        assert!(bench.log_in("ada@example.com", PASSWORD, 0).await.is_ok());
    }
}

#[tokio::test]
async fn an_unknown_account_makes_its_guesser_wait_too() {
    let bench = bench_with_ada().await;
    for _ in 0..5 {
        let _ = bench.log_in("nobody@example.com", "wrong horse", 0).await;
    }
    let waiting = bench.log_in("nobody@example.com", PASSWORD, 0).await;
    assert!(matches!(waiting, Err(AccountError::TooManyAttempts(_))));
    assert!(bench.log_in("ada@example.com", PASSWORD, 0).await.is_ok(), "others are not held up");
}

#[tokio::test]
async fn many_guesses_at_once_do_not_slip_past_the_limit() {
    let bench = Arc::new(bench_with_ada().await);
    let guesses = (0..20).map(|_| {
        let bench = Arc::clone(&bench);
        tokio::spawn(async move { bench.log_in("ada@example.com", "wrong horse", 0).await })
    });
    futures_util::future::join_all(guesses).await;
    let checked = bench.accounts.verifications();
    assert!((5..=6).contains(&checked), "{checked} were checked: the limit and at most one slot more");
}

#[tokio::test]
async fn a_session_is_renewed_and_the_old_refresh_token_is_spent() {
    let bench = bench_with_ada().await;
    let first = bench.ada_logs_in().await;
    let second = bench.renew(&first.refresh).await.unwrap();
    assert_ne!(first.refresh, second.refresh);
    assert!(bench.accounts.who_is(second.access, bench.now).await.is_ok());
    assert!(bench.renew(&second.refresh).await.is_ok());
}

#[tokio::test]
async fn a_refresh_token_used_twice_ends_its_session_and_no_other() {
    let bench = bench_with_ada().await;
    let (stolen, elsewhere) = (bench.ada_logs_in().await, bench.ada_logs_in().await);
    let successor = bench.renew(&stolen.refresh).await.unwrap();
    assert!(matches!(bench.renew(&stolen.refresh).await, Err(AccountError::SessionOver)));
    assert!(matches!(bench.renew(&successor.refresh).await, Err(AccountError::SessionOver)));
    assert!(bench.renew(&elsewhere.refresh).await.is_ok());
}

#[tokio::test]
async fn logging_out_ends_the_session_by_either_token() {
    for by_refresh in [true, false] {
        let bench = bench_with_ada().await;
        let tokens = bench.ada_logs_in().await;
        let farewell = if by_refresh {
            Farewell { refresh: Some(tokens.refresh.clone()), access: None }
        } else {
            Farewell { refresh: None, access: Some(tokens.access.clone()) }
        };
        bench.accounts.log_out(farewell, bench.now).await.unwrap();
        assert!(matches!(bench.renew(&tokens.refresh).await, Err(AccountError::SessionOver)));
    }
}

#[tokio::test]
async fn an_access_token_outlives_its_session_by_its_own_lifetime_at_most() {
    let bench = bench_with_ada().await;
    let tokens = bench.ada_logs_in().await;
    let farewell = Farewell { refresh: Some(tokens.refresh), access: None };
    bench.accounts.log_out(farewell, bench.now).await.unwrap();
    assert!(bench.accounts.who_is(tokens.access.clone(), bench.at(899)).await.is_ok());
    let later = bench.accounts.who_is(tokens.access, bench.at(906)).await;
    assert!(matches!(later, Err(AccountError::Token(TokenRejection::Expired))));
}

#[tokio::test]
async fn a_token_about_nobody_has_no_account() {
    let bench = bench_with_ada().await;
    let token = bench.accounts.parts.signer.issue(&TokenRequest::for_subject("ghost"), bench.now).unwrap();
    assert!(matches!(bench.accounts.who_is(token, bench.now).await, Err(AccountError::NoAccount)));
}

#[tokio::test]
async fn accounts_sessions_and_tokens_outlive_a_restart() {
    let mut bench = bench_with_ada().await;
    let tokens = bench.ada_logs_in().await;
    bench.accounts = open(bench.folder.path());
    assert_eq!(bench.accounts.list().await.unwrap().len(), 1);
    assert!(bench.accounts.who_is(tokens.access, bench.now).await.is_ok());
    assert!(bench.renew(&tokens.refresh).await.is_ok());
}

#[tokio::test]
async fn neither_password_nor_refresh_token_is_kept_as_it_is() {
    let bench = bench_with_ada().await;
    let tokens = bench.ada_logs_in().await;
    let mut kept = Vec::new();
    for entry in std::fs::read_dir(bench.folder.path().join("auth")).unwrap() {
        kept.extend(std::fs::read(entry.unwrap().path()).unwrap());
    }
    let holds = |text: &str| kept.windows(text.len()).any(|window| window == text.as_bytes());
    assert!(holds("ada@example.com"), "the search finds what is there");
    assert!(!holds(PASSWORD) && !holds(tokens.refresh.expose()) && !holds(tokens.access.expose()));
}

#[tokio::test]
async fn nothing_secret_is_shown_for_debugging() {
    let bench = bench_with_ada().await;
    let tokens = bench.ada_logs_in().await;
    let shown = format!("{:?} {tokens:?}", ada());
    assert!(!shown.contains(PASSWORD) && !shown.contains(tokens.access.expose()), "{shown}");
}
