//! A platform as its author wrote it, once it is known to be valid.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::name::{CheckoutName, PlatformId, ServiceName};
use super::quantity::{ByteSize, Cpus, Port};
use super::route::Route;
use super::traffic::TrafficPolicy;

/// What makes a folder a service.
pub const SERVICE_FILE: &str = "service.toml";

/// A whole platform: the manifest `msctl.toml` and every `service.toml` it names.
///
/// Holds what validation promises: no two services share a name, no two routes collide, `calls`
/// name services that exist, and their graph has no cycle.
#[derive(Debug, Clone, PartialEq)]
pub struct Platform {
    pub id: PlatformId,
    /// Which linked git worktree it is in; `None` for a main checkout, or outside of git.
    pub checkout: Option<CheckoutName>,
    /// The folder of `msctl.toml`, canonical.
    pub root: PathBuf,
    /// The manifest itself.
    pub manifest: PathBuf,
    /// `[platform] services`: paths below the root, in which "*" stands for any one name. What they
    /// lead to is a service once it holds a [`SERVICE_FILE`].
    pub service_folders: Vec<String>,
    pub gateway: GatewaySettings,
    pub auth: AuthSettings,
    /// What every service gets; a service's own wins.
    pub configuration: BTreeMap<String, String>,
    /// Base image → the image to use in its place.
    pub image_aliases: BTreeMap<String, String>,
    pub budget: Budget,
    pub services: BTreeMap<ServiceName, ServiceSpec>,
}

/// How much of what builds leave is kept: `[images] keep` and `keep_bytes`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// So many programs of each service.
    pub generations: usize,
    /// In all; `None` for as much as there is.
    pub bytes: Option<ByteSize>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { generations: 3, bytes: None }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewaySettings {
    /// The one published address. Port 0 takes a free one.
    pub listen: SocketAddr,
    pub tls: TlsSettings,
    /// Where plain HTTP is answered with a redirect to the same place by TLS.
    pub redirect_from: Option<SocketAddr>,
    /// For so long browsers are to come to this host by TLS alone (HSTS, RFC 6797); zero takes back
    /// what was said before.
    pub hsts: Option<Duration>,
    /// Whose `X-Forwarded-*` and request ids are taken for true: networks of proxies before this one.
    pub trusted_proxies: Vec<Network>,
    pub access_log: AccessLogTarget,
    pub sharing: PortSharing,
}

/// Whether other processes of the same user may listen at the same address (`SO_REUSEPORT`). All of
/// them have to agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PortSharing {
    #[default]
    Alone,
    Shared,
}

/// Where one line for each request goes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum AccessLogTarget {
    /// To `access.log` where the platform keeps its state, which is kept from growing.
    #[default]
    StateFolder,
    Off,
    Stderr,
    /// To the user's own file; a relative path is one below the platform's root.
    File(PathBuf),
}

impl AccessLogTarget {
    /// `on`, `off`, `stderr`, or else a file.
    #[must_use]
    pub fn from_text(text: &str) -> Self {
        match text {
            "on" => Self::StateFolder,
            "off" => Self::Off,
            "stderr" => Self::Stderr,
            file => Self::File(PathBuf::from(file)),
        }
    }
}

/// How the public door proves who it is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum TlsSettings {
    #[default]
    Off,
    /// By a certificate of the authority that msctl keeps on this machine.
    Local,
    /// By the user's own, both PEM.
    Files { certificate: PathBuf, key: PathBuf },
}

/// A range of addresses in CIDR notation (RFC 4632): `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    /// Leading bits that count: 0 to 32, or to 128.
    bits: u8,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a network; write something like \"10.0.0.0/8\" or \"::1/128\"")]
pub struct NetworkError(String);

impl Network {
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.bits);
                (u32::from(network) ^ u32::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.bits);
                (u128::from(network) ^ u128::from(address)).checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    /// A bare address stands for itself alone.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let fault = || NetworkError(text.to_owned());
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, bits)| (a, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| fault())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(most), |bits| bits.parse().map_err(|_| fault()))?;
        if bits > most { Err(fault()) } else { Ok(Self { address, bits }) }
    }
}

impl GatewaySettings {
    /// Plain HTTP at this address, and nobody before it.
    #[must_use]
    pub fn at(listen: SocketAddr) -> Self {
        Self {
            listen,
            tls: TlsSettings::Off,
            redirect_from: None,
            hsts: None,
            trusted_proxies: Vec::new(),
            access_log: AccessLogTarget::default(),
            sharing: PortSharing::default(),
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthSettings {
    pub access_token_ttl: Duration,
    /// The `iss` of every token; `None` follows from the platform's name.
    pub issuer: Option<String>,
}

/// One service, from its `service.toml`.
#[derive(Debug, Clone, PartialEq)]
pub struct ServiceSpec {
    pub name: ServiceName,
    /// The bounded context it belongs to, for people and graphs.
    pub context: Option<String>,
    /// The folder of `service.toml`, canonical.
    pub folder: PathBuf,
    pub build: Build,
    /// Folders that it is built from besides its own, canonical; others may be built from them, too.
    /// None of them overlaps the folder of a service.
    pub shared: BTreeSet<PathBuf>,
    /// How to run it without a container engine; `None` where the artifact itself is run.
    pub process: Option<ProcessRecipe>,
    pub run: Run,
    pub routes: Vec<Route>,
    pub traffic: TrafficPolicy,
    /// The services that it may call.
    pub calls: BTreeSet<ServiceName>,
    pub database: Database,
    /// Read into its configuration; a later one wins over an earlier one.
    pub env_files: Vec<EnvFile>,
    /// Its own, which wins over all files.
    pub configuration: BTreeMap<String, String>,
}

/// A file of variables, as it was when the manifest was read. It is part of the manifest, and no source.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvFile {
    /// For people: relative to the platform's root where it lies below that.
    pub shown: PathBuf,
    /// Where it is; where it is a link, also where that leads.
    pub paths: BTreeSet<PathBuf>,
    pub variables: BTreeMap<String, String>,
}

/// How sources become something that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Build {
    /// Built on the host by a shell command; only the artifact is shipped, in an image of its own.
    Pack {
        command: String,
        /// The program that `command` leaves behind, relative to the service's folder, or starting
        /// with `$MSCTL_CACHE/` for the cache folder that the platform's builds share.
        artifact: String,
    },
    /// Built by the engine from a Dockerfile, relative to the service's folder.
    Dockerfile { file: PathBuf },
    /// Not built at all.
    Image { reference: String },
}

/// `[process]`: what to do where no engine runs containers. Both are shell commands, run in the
/// service's folder; the second one finds `PORT` and everything else in its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessRecipe {
    /// Prepares whatever `command` needs (a virtual environment, modules).
    pub build: Option<String>,
    pub command: String,
}

/// `[run]`: how an instance is run and when it counts as ready.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    /// The port it listens on inside its container. A local process is given a free one as `PORT`.
    pub port: Port,
    pub replicas: u16,
    pub limits: Limits,
    pub health: Health,
    /// How long an instance has between being asked to stop and being killed.
    pub stop_grace: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub memory: ByteSize,
    pub cpus: Cpus,
    /// Processes and threads.
    pub pids: u32,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// Answers 2xx or 3xx once the service can take requests.
    pub path: String,
    /// How long a new instance has to get there.
    pub start_period: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
}

/// Where a service keeps its data. Each service has its own or none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    None,
    /// A file on storage that only this service sees, at `DATABASE_URL`.
    Sqlite,
}

impl Platform {
    /// The name by which callers inside the platform's network reach `service`.
    #[must_use]
    pub fn internal_host(&self, service: &ServiceName) -> String {
        format!("{service}.{}.internal", self.id.name)
    }

    /// The name by which clients of the gateway may address `service` directly.
    #[must_use]
    pub fn public_host(&self, service: &ServiceName) -> String {
        format!("{service}.{}", self.public_domain())
    }

    /// What the names of its services end in. Each checkout has its own, because browsers tell apart
    /// what they keep for a site by its name and not by its port.
    #[must_use]
    pub fn public_domain(&self) -> String {
        match &self.checkout {
            Some(checkout) => format!("{checkout}.{}", self.shared_domain()),
            None => self.shared_domain(),
        }
    }

    /// Below which all its checkouts have their names.
    #[must_use]
    pub fn shared_domain(&self) -> String {
        format!("{}.localhost", self.id.name)
    }

    /// How people are told of it: `store`, or `store (feature-x)`.
    #[must_use]
    pub fn title(&self) -> String {
        match &self.checkout {
            Some(checkout) => format!("{} ({checkout})", self.id.name),
            None => self.id.name.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(network: &str, address: &str, expected: bool) {
        let network: Network = network.parse().unwrap();
        assert_eq!(network.contains(address.parse().unwrap()), expected, "{network:?} {address}");
    }

    #[test]
    fn a_network_holds_the_addresses_that_share_its_leading_bits() {
        check("10.0.0.0/8", "10.255.0.1", true);
        check("10.0.0.0/8", "11.0.0.1", false);
        check("0.0.0.0/0", "203.0.113.9", true);
        check("0.0.0.0/0", "::1", false);
        check("192.0.2.7", "192.0.2.7", true);
        check("192.0.2.7/32", "192.0.2.6", false);
        check("2001:db8::/32", "2001:db8:1::1", true);
        check("::/0", "2001:db8::1", true);
        check("127.0.0.0/8", "::ffff:127.0.0.1", true);
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for bad in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/x", "store"] {
            assert!(bad.parse::<Network>().is_err(), "{bad}");
        }
    }
}
