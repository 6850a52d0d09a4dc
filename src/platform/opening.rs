//! What a platform is opened with, most of it from its folder.

use std::sync::Arc;
use std::time::SystemTime;

use axum::Router;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use hyper::body::Incoming;
use tower_service::Service;

use super::certificates::Certificates;
use super::folder::StateFolder;
use super::sight;
use super::start_error::StartError;
use super::traffic::Traffic;
use crate::auth::{Auth, AuthOptions};
use crate::gateway::{AccessLog, AccessLogError, Body, Embedded, EmbeddedService, Gateway, Limits, Workers};
use crate::model::platform::Platform;

pub(super) async fn open_certificates(
    platform: &Arc<Platform>,
    folder: &StateFolder,
) -> Result<Option<Arc<Certificates>>, StartError> {
    let (platform, base) = (Arc::clone(platform), folder.base().to_owned());
    let opened =
        tokio::task::spawn_blocking(move || Certificates::open(&platform, &base, SystemTime::now())).await;
    let opened = opened.map_err(|error| StartError::Door(error.to_string()))?;
    Ok(opened?.map(Arc::new))
}

pub(super) async fn open_auth(platform: &Arc<Platform>, folder: &StateFolder) -> Result<Auth, StartError> {
    let (platform, folder) = (Arc::clone(platform), folder.auth());
    let opened = tokio::task::spawn_blocking(move || {
        Auth::open(AuthOptions { folder: &folder, platform: &platform.id.name, settings: &platform.auth })
    });
    let auth = opened.await.map_err(|error| StartError::Door(error.to_string()))??;
    if let Some(path) = auth.quarantined() {
        tracing::warn!(path = %path.display(), "the account database was damaged; it was set aside and a new one begun");
    }
    Ok(auth)
}

/// The data plane, which goes by the tables of `traffic`.
pub(super) fn open_gateway(
    platform: &Platform,
    folder: &StateFolder,
    traffic: &Traffic,
    auth: &Auth,
) -> Result<Gateway, StartError> {
    let workers = Workers::start().map_err(StartError::Workers)?;
    let gateway = Gateway::new(traffic.tables(), auth.verifier(), embedded(auth))
        .with_limits(Limits::default().within_descriptors())
        .with_workers(Arc::new(workers))
        .with_trusted_proxies(&platform.gateway.trusted_proxies)
        .with_hsts(platform.gateway.hsts);
    Ok(match open_access_log(platform, folder)? {
        Some(log) => gateway.with_access_log(log),
        None => gateway,
    })
}

/// So much of the access log is kept twice: the file itself, and an older one.
const ACCESS_LOG: u64 = 16 * 1024 * 1024;

fn open_access_log(platform: &Platform, folder: &StateFolder) -> Result<Option<AccessLog>, AccessLogError> {
    AccessLog::open(&platform.gateway.access_log, &platform.root, || {
        let path = folder.access_log();
        let opened = AccessLog::to_bounded_file(&path, ACCESS_LOG);
        (path, opened)
    })
}

/// Auth answers on the public door under its own prefixes, and inside wherever the platform itself
/// is addressed.
fn embedded(auth: &Auth) -> Embedded {
    let handler: Arc<dyn EmbeddedService> = Arc::new(InProcess(auth.router()));
    let public = sight::own_prefixes().into_iter().map(|prefix| (prefix, Arc::clone(&handler))).collect();
    Embedded { public, internal: handler }
}

/// An axum router as a part of the gateway.
struct InProcess(Router);

impl EmbeddedService for InProcess {
    fn call(&self, request: Request<Incoming>) -> BoxFuture<'_, Response<Body>> {
        let mut router = self.0.clone();
        Box::pin(async move {
            // A router is always ready, and its error type has no values.
            let Ok(response) = Service::call(&mut router, request).await;
            response.map(Body::boxed)
        })
    }
}
