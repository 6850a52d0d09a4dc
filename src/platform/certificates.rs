//! How the public door proves who it is, and goes on doing so: certificates are replaced before they
//! end, and when what they were made from has changed.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::traffic::Traffic;
use crate::certificates::{Authority, AuthorityError, Credential, FilesError, files, local};
use crate::gateway::{Limits, Metrics, Tls};
use crate::model::platform::{Platform, TlsSettings};

/// How soon a changed file is noticed.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// A certificate of our own is replaced when this is left of it.
const RENEWED_BEFORE_END: Duration = Duration::from_secs(30 * 24 * 60 * 60);

#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    #[error("failed to {0}")]
    Authority(#[from] AuthorityError),
    #[error("failed to {0}")]
    Files(#[from] FilesError),
    #[error("failed to set up TLS: {0}")]
    Setup(#[from] rustls::Error),
}

impl TlsError {
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Files(error) => error.hint(),
            Self::Authority(_) | Self::Setup(_) => None,
        }
    }
}

/// What the public door presents, and where it comes from.
#[derive(Debug)]
pub struct Certificates {
    tls: Arc<Tls>,
    source: Source,
    shown: Mutex<Shown>,
    ends: Mutex<SystemTime>,
    asked: Notify,
}

#[derive(Debug)]
enum Source {
    Local(Box<Authority>),
    Files { certificate: PathBuf, key: PathBuf },
}

/// What the presented certificate was made from.
#[derive(Debug, PartialEq, Eq)]
enum Shown {
    Names { names: Vec<String>, not_after: SystemTime },
    Files(Option<[Stamp; 2]>),
}

/// Tells one state of a file from another.
type Stamp = (u64, u64, i64, i64);

impl Certificates {
    /// `None` where the platform wants no TLS. The authority is kept below `base`.
    ///
    /// # Errors
    /// When a certificate cannot be had.
    pub fn open(platform: &Platform, base: &Path, now: SystemTime) -> Result<Option<Self>, TlsError> {
        let source = match platform.gateway.tls.clone() {
            TlsSettings::Off => return Ok(None),
            TlsSettings::Local => Source::Local(Box::new(Authority::open(base, now)?)),
            TlsSettings::Files { certificate, key } => Source::Files { certificate, key },
        };
        let (credential, shown) = source.credential(platform, now)?;
        let tls = Arc::new(Tls::new(vec![credential.key], &Limits::default())?);
        let (shown, ends) = (Mutex::new(shown), Mutex::new(credential.not_after));
        Ok(Some(Self { tls, source, shown, ends, asked: Notify::new() }))
    }

    #[must_use]
    pub fn tls(&self) -> Arc<Tls> {
        Arc::clone(&self.tls)
    }

    /// Looks now instead of soon.
    pub fn look(&self) {
        self.asked.notify_one();
    }

    /// Follows what certificates come from until `ended`, and says in `metrics` when they end.
    pub async fn follow(
        self: Arc<Self>,
        traffic: Arc<Traffic>,
        metrics: Arc<Metrics>,
        ended: CancellationToken,
    ) {
        let listener = traffic.platform().gateway.listen;
        loop {
            metrics.certificate(listener, Some(self.ends()));
            // Nothing is lost with whichever is dropped: the next look sees the same.
            tokio::select! {
                () = ended.cancelled() => return,
                () = self.asked.notified() => {}
                () = tokio::time::sleep(LOOK_EVERY) => {}
            }
            let (own, platform) = (Arc::clone(&self), traffic.platform());
            // It reads files, and signs.
            let looked = tokio::task::spawn_blocking(move || own.renew(&platform, SystemTime::now()));
            if let Err(error) = looked.await {
                tracing::error!(%error, "failed to look after the certificates");
            }
        }
    }

    fn ends(&self) -> SystemTime {
        *self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new certificate that cannot be used leaves the old one in its place.
    fn renew(&self, platform: &Platform, now: SystemTime) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.source.differs(&shown, platform, now) {
            return;
        }
        match self.source.credential(platform, now) {
            Ok((credential, new)) => {
                self.tls.present(vec![credential.key]);
                *self.ends.lock().unwrap_or_else(PoisonError::into_inner) = credential.not_after;
                *shown = new;
                tracing::info!("the gateway presents a new certificate");
            }
            Err(error) => {
                if let Source::Files { certificate, key } = &self.source {
                    // Said once for each state of the files.
                    *shown = Shown::Files(stamps(certificate, key));
                }
                tracing::warn!(%error, hint = error.hint(), "the gateway keeps its certificate");
            }
        }
    }
}

impl Source {
    fn credential(&self, platform: &Platform, now: SystemTime) -> Result<(Credential, Shown), TlsError> {
        match self {
            Self::Local(authority) => {
                let names = local::names(platform);
                let credential = authority.issue(names.clone(), now)?;
                let not_after = credential.not_after;
                Ok((credential, Shown::Names { names, not_after }))
            }
            Self::Files { certificate, key } => {
                // Looked at first: what changes meanwhile is read again.
                let shown = Shown::Files(stamps(certificate, key));
                Ok((files::load(certificate, key, now)?, shown))
            }
        }
    }

    fn differs(&self, shown: &Shown, platform: &Platform, now: SystemTime) -> bool {
        match (self, shown) {
            (Self::Local(_), Shown::Names { names, not_after }) => {
                *not_after < now + RENEWED_BEFORE_END || *names != local::names(platform)
            }
            (Self::Files { certificate, key }, Shown::Files(before)) => stamps(certificate, key) != *before,
            _ => true,
        }
    }
}

/// `None` where one of them is not there.
fn stamps(certificate: &Path, key: &Path) -> Option<[Stamp; 2]> {
    let stamp = |path: &Path| {
        let metadata = std::fs::metadata(path).ok()?;
        Some((metadata.ino(), metadata.len(), metadata.mtime(), metadata.mtime_nsec()))
    };
    Some([stamp(certificate)?, stamp(key)?])
}
