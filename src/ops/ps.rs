//! `msctl ps` and `msctl describe`: how things stand, whether or not a platform process runs.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use super::context::{Context, known_service};
use super::error::OpsError;
use super::target;
use crate::admin::client::{Client, ClientError};
use crate::configuration::{self, Addresses, Setting};
use crate::engine;
use crate::model::name::ServiceName;
use crate::model::platform::{Platform, ServiceSpec};
use crate::model::status::{GatewayStatus, PlatformStatus, SCHEMA, ServiceStatus};
use crate::runtime::RuntimeKind;

/// # Errors
/// When neither the platform process nor a runtime can be asked.
pub async fn ps(context: &Context) -> Result<PlatformStatus, OpsError> {
    let id = context.identify()?;
    match Client::new(&context.state(&id)?.socket()).status().await {
        Ok(status) => Ok(status),
        Err(ClientError::NotRunning) => status(context, &context.load()?).await,
        Err(error) => Err(error.into()),
    }
}

async fn status(context: &Context, platform: &Platform) -> Result<PlatformStatus, OpsError> {
    let folder = context.state(&platform.id)?;
    match Client::new(&folder.socket()).status().await {
        Ok(status) => return Ok(status),
        Err(ClientError::NotRunning) => context.check_not_renamed(&platform.id).await?,
        Err(error) => return Err(error.into()),
    }
    let mut status = PlatformStatus {
        schema: SCHEMA.to_owned(),
        platform: platform.id.name.to_string(),
        checkout: platform.checkout.as_ref().map(ToString::to_string),
        runtime: "none".to_owned(),
        runtime_reason: None,
        gateway: GatewayStatus { url: None, instead_of: None },
        pid: None,
        watching: None,
        problem: None,
        services: Vec::new(),
    };
    for runtime in target::all(context, &platform.id, &folder).await? {
        let observed = runtime.observe().await?;
        if status.services.is_empty() || !observed.instances.is_empty() {
            status.services = engine::status::of(platform, &observed, None, &BTreeMap::new());
            status.runtime = runtime.kind().to_string();
        }
        if !observed.instances.is_empty() {
            break;
        }
    }
    Ok(status)
}

/// All there is to know of one service.
#[derive(Debug, Clone)]
pub struct Description {
    pub spec: ServiceSpec,
    pub status: ServiceStatus,
    /// Everything it is configured with by the manifest, and where each value came from.
    pub settings: BTreeMap<String, Setting>,
    pub called_by: Vec<String>,
    /// Whether it runs as a local process.
    pub is_process: bool,
    /// Where it answers under its own name; `None` while the platform is not up, or where such names
    /// do not lead to the gateway.
    pub url: Option<String>,
}

/// # Errors
/// When there is no such service, or nobody can be asked.
pub async fn describe(context: &Context, name: &str) -> Result<Description, OpsError> {
    let platform = context.load()?;
    let name = known_service(&platform, name)?;
    let spec = platform.services[name].clone();
    let PlatformStatus { services, gateway, runtime, .. } = status(context, &platform).await?;
    let unknown = || OpsError::NoSuchService { name: name.to_string(), known: Vec::new() };
    let status = services.into_iter().find(|service| service.name == name.as_str()).ok_or_else(unknown)?;
    let settings = configuration::settings(&platform, &spec, &Addresses::default());
    let callers = platform.services.values().filter(|other| other.calls.contains(name));
    let called_by = callers.map(|other| other.name.to_string()).collect();
    let url = gateway.url.and_then(|url| own_url(&platform, name, &url));
    let is_process = target::kind(&runtime) == RuntimeKind::Process;
    Ok(Description { spec, status, settings, called_by, is_process, url })
}

/// Names below `localhost` are this machine's own (RFC 6761, section 6.3).
fn own_url(platform: &Platform, service: &ServiceName, gateway: &str) -> Option<String> {
    let (scheme, rest) = gateway.split_once("://")?;
    let at: SocketAddr = rest.parse().ok()?;
    let is_here = at.ip().is_loopback() || at.ip().is_unspecified();
    is_here.then(|| format!("{scheme}://{}:{}", platform.public_host(service), at.port()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest;
    use crate::model::name::CheckoutName;

    #[test]
    fn a_service_has_an_address_of_its_own_where_this_machines_names_lead() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join(manifest::MANIFEST_FILE);
        std::fs::write(&path, "[platform]\nname = \"store\"\nservices = []\n").unwrap();
        let main = manifest::load(&path).unwrap();
        let linked = Platform { checkout: CheckoutName::of("wt"), ..main.clone() };
        let order = "order".parse().unwrap();
        for (platform, gateway, expected) in [
            (&main, "http://127.0.0.1:8080", Some("http://order.store.localhost:8080")),
            (&linked, "https://[::1]:81", Some("https://order.wt.store.localhost:81")),
            (&linked, "http://0.0.0.0:80", Some("http://order.wt.store.localhost:80")),
            (&main, "http://192.0.2.1:80", None),
        ] {
            assert_eq!(own_url(platform, &order, gateway).as_deref(), expected);
        }
    }
}
