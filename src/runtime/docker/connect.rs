//! Finding an engine that answers.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use bollard::API_DEFAULT_VERSION;
use bollard::errors::Error;
use bollard::models::SystemVersion;
use tokio::sync::Mutex;

use super::errors::connection_fault;
use super::look::Seen;
use super::network::SharedNetwork;
use crate::model::name::PlatformId;
use crate::runtime::{RuntimeError, labels};

/// How long an engine may take to say who it is. A socket whose owner hangs must not hang us.
const GREETING: Duration = Duration::from_secs(10);
/// How long it may take to answer anything else, up to the first byte. Starting many containers on
/// a loaded machine takes tens of seconds.
const ANSWER: Duration = Duration::from_secs(90);

/// A container engine, as the home of one platform's instances.
pub struct Docker {
    pub(super) platform: PlatformId,
    pub(super) api: bollard::Docker,
    pub(super) engine: Arc<Engine>,
    /// What `prepare` found, so that launching need not ask again.
    pub(super) network: Mutex<Option<SharedNetwork>>,
    /// The user of each image seen, for the same reason.
    pub(super) image_users: Mutex<HashMap<String, String>>,
    /// What was looked up inside of images.
    pub(super) seen_paths: Mutex<Seen>,
    /// Whether the engine wants whole images only.
    pub(super) refuses_parts: AtomicBool,
}

/// Which engine answers, and where.
#[derive(Debug)]
pub(super) struct Engine {
    pub family: Family,
    pub address: String,
    pub description: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    Docker,
    Podman,
}

impl Docker {
    /// Connects to `host`, else to what `DOCKER_HOST` says, else to the first of the usual sockets
    /// that answers.
    ///
    /// # Errors
    /// [`RuntimeError::Unreachable`], with every address that was tried and why it failed.
    pub async fn connect(platform: PlatformId, host: Option<&str>) -> Result<Self, RuntimeError> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let chosen = host.map(str::to_owned).or_else(|| variable("DOCKER_HOST"));
        let mut failures = Vec::new();
        for address in candidates(chosen.as_deref(), variable("XDG_RUNTIME_DIR").as_deref()) {
            match greet(&address).await {
                Ok((api, engine)) => return Ok(Self::new(platform, api, engine)),
                Err(error) => failures.push((address, greeting_fault(&error))),
            }
        }
        Err(nobody_answered(&failures))
    }

    fn new(platform: PlatformId, api: bollard::Docker, engine: Engine) -> Self {
        Self {
            platform,
            api,
            engine: Arc::new(engine),
            network: Mutex::default(),
            image_users: Mutex::default(),
            seen_paths: Mutex::default(),
            refuses_parts: AtomicBool::new(false),
        }
    }

    /// The same connection for a request that may rightly take `longer` than others.
    pub(super) fn patient(&self, longer: Duration) -> bollard::Docker {
        self.api.clone().with_timeout(ANSWER + longer)
    }

    /// The filter that lists only what is this platform's, and carries `more` labels besides.
    pub(super) fn ours(&self, more: Vec<(String, String)>) -> HashMap<String, Vec<String>> {
        let all = labels::of_platform(&self.platform).into_iter().chain(more);
        HashMap::from([("label".to_owned(), all.map(|(key, value)| format!("{key}={value}")).collect())])
    }

    pub(super) fn is_ours(&self, found: &HashMap<String, String>) -> bool {
        labels::of_platform(&self.platform).iter().all(|(key, value)| found.get(key) == Some(value))
    }
}

impl Engine {
    fn new(address: &str, version: &SystemVersion) -> Self {
        let names = version.components.iter().flatten().map(|component| component.name.as_str());
        let podman = names.into_iter().any(|name| name.contains("Podman"));
        let family = if podman { Family::Podman } else { Family::Docker };
        let number = version.version.as_deref().unwrap_or("of unknown version");
        // Distributions add what they changed behind a plus sign; nobody asks for it.
        let number = number.split('+').next().unwrap_or(number);
        let api = version.api_version.as_deref().unwrap_or("unknown");
        let description = format!("{} {number} (API {api})", family.name());
        Self { family, address: address.to_owned(), description }
    }

    pub(super) fn name(&self) -> &'static str {
        self.family.name()
    }

    #[cfg(test)]
    pub(super) fn for_tests() -> Self {
        Self::new("unix:///engine.sock", &SystemVersion::default())
    }
}

impl Family {
    fn name(self) -> &'static str {
        match self {
            Self::Docker => "Docker",
            Self::Podman => "Podman",
        }
    }
}

/// Where an engine may be, in the order of asking. A choice that somebody made is not second-guessed.
fn candidates(chosen: Option<&str>, runtime_folder: Option<&str>) -> Vec<String> {
    if let Some(address) = chosen {
        let is_path = address.starts_with('/');
        return vec![if is_path { format!("unix://{address}") } else { address.to_owned() }];
    }
    let of_user = |socket: &str| runtime_folder.map(|folder| format!("unix://{folder}/{socket}"));
    [
        Some("unix:///var/run/docker.sock".to_owned()),
        of_user("docker.sock"),
        of_user("podman/podman.sock"),
        Some("unix:///run/podman/podman.sock".to_owned()),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn greet(address: &str) -> Result<(bollard::Docker, Engine), Error> {
    let api = match address.strip_prefix("unix://") {
        Some(path) => bollard::Docker::connect_with_unix(path, GREETING.as_secs(), API_DEFAULT_VERSION)?,
        None => bollard::Docker::connect_with_host(address)?.with_timeout(GREETING),
    };
    let api = api.negotiate_version().await?;
    let engine = Engine::new(address, &api.version().await?);
    Ok((api.with_timeout(ANSWER), engine))
}

fn greeting_fault(error: &Error) -> String {
    connection_fault(error).unwrap_or_else(|| error.to_string())
}

fn nobody_answered(failures: &[(String, String)]) -> RuntimeError {
    let addresses: Vec<&str> = failures.iter().map(|(address, _)| address.as_str()).collect();
    let first = failures.first().map_or("", |(_, reason)| reason.as_str());
    let reason = if failures.iter().all(|(_, reason)| reason == first) {
        first.to_owned()
    } else {
        let each: Vec<String> = failures.iter().map(|(at, why)| format!("{at}: {why}")).collect();
        each.join(", ")
    };
    RuntimeError::Unreachable { engine: "container", address: addresses.join(" or "), reason }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::Runtime;
    use bollard::models::SystemVersionComponents;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    #[test]
    fn an_address_that_somebody_chose_is_the_only_one_tried() {
        assert_eq!(candidates(Some("tcp://10.0.0.1:2375"), Some("/run/user/1")), ["tcp://10.0.0.1:2375"]);
        assert_eq!(candidates(Some("/tmp/engine.sock"), None), ["unix:///tmp/engine.sock"]);
    }

    #[test]
    fn without_a_choice_the_usual_sockets_are_tried_in_order() {
        assert_eq!(
            candidates(None, Some("/run/user/1000")),
            [
                "unix:///var/run/docker.sock",
                "unix:///run/user/1000/docker.sock",
                "unix:///run/user/1000/podman/podman.sock",
                "unix:///run/podman/podman.sock",
            ]
        );
        assert_eq!(candidates(None, None), ["unix:///var/run/docker.sock", "unix:///run/podman/podman.sock"]);
    }

    #[test]
    fn an_engine_is_described_by_its_version_and_its_api() {
        let mut version = SystemVersion {
            version: Some("20.10.24+dfsg1".to_owned()),
            api_version: Some("1.41".to_owned()),
            ..SystemVersion::default()
        };
        assert_eq!(Engine::new("a", &version).description, "Docker 20.10.24 (API 1.41)");
        let podman = SystemVersionComponents { name: "Podman Engine".to_owned(), ..Default::default() };
        version.components = Some(vec![podman]);
        assert_eq!(Engine::new("a", &version).family, Family::Podman);
    }

    fn platform() -> PlatformId {
        PlatformId {
            name: "store".parse().unwrap(),
            worktree: crate::model::name::Worktree::from_hex("3fa9c1").unwrap(),
        }
    }

    #[tokio::test]
    async fn an_engine_that_goes_away_is_told_from_one_that_is_unwilling() {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        // Says who it is, twice, and is gone.
        let engine = async move {
            for _ in 0..2 {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.read(&mut [0; 1024]).await.unwrap();
                let body = r#"{"Version":"20.10.24","ApiVersion":"1.41"}"#;
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
            }
        };
        let (docker, ()) = tokio::join!(Docker::connect(platform(), socket.to_str()), engine);
        let docker = docker.unwrap();
        assert_eq!(docker.description(), "Docker 20.10.24 (API 1.41)");
        let error = docker.observe().await.unwrap_err();
        assert!(error.is_unreachable(), "{error}");
        assert!(error.to_string().ends_with("does not answer: nothing listens there"), "{error}");
    }

    #[tokio::test]
    async fn nobody_answering_names_the_address_and_the_cause() {
        let error = Docker::connect(platform(), Some("/nowhere/engine.sock")).await.err().unwrap();
        assert_eq!(
            error.to_string(),
            "the container engine at unix:///nowhere/engine.sock does not answer: no such file"
        );
    }

    #[test]
    fn differing_causes_are_told_apart() {
        let failures = [("a".to_owned(), "no such file".to_owned()), ("b".to_owned(), "refused".to_owned())];
        assert_eq!(
            nobody_answered(&failures).to_string(),
            "the container engine at a or b does not answer: a: no such file, b: refused"
        );
    }
}
