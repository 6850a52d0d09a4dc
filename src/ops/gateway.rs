//! `msctl gateway`: the gateway alone, until it is told to stop.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{MissedTickBehavior, interval};

use super::context::Context;
use super::error::OpsError;
use crate::handover::Successor;
use crate::manifest::{ManifestError, gateway_file};
use crate::model::platform::TlsSettings;
use crate::model::standalone::{Configuration, KeySource, Probing};
use crate::standalone::difference::difference;
use crate::standalone::files::Files;
use crate::standalone::lines::Lines;
use crate::standalone::{Ended, Running, StandaloneError, certificates, tokens};

/// How often the gateway is asked whether anything is due.
const BEAT: Duration = Duration::from_secs(1);

/// Where the configuration is.
#[derive(Debug, Clone)]
pub enum Source {
    /// Read again whenever it changes.
    File(PathBuf),
    Lines(Lines, Probing),
}

/// What the gateway tells its terminal.
pub trait Audience: Send {
    fn serves(&mut self, greeting: &Greeting);
    /// It goes by another configuration now: which, and what differs.
    fn follows(&mut self, generation: u64, difference: &[String]);
    /// It goes on with the configuration that it has.
    fn refuses(&mut self, reason: &OpsError);
    fn stops(&mut self);
    /// Another process serves from now on, or did not manage to.
    fn gives_way(&mut self, result: Result<i32, String>);
    fn ended(&mut self, ended: Ended);
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    pub urls: Vec<String>,
    pub admin: Option<String>,
    /// The process that served here before.
    pub predecessor: Option<i32>,
    /// Services that no endpoint stands for yet.
    pub unserved: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Reload,
    Stop,
}

/// Completes when somebody wants something.
#[async_trait::async_trait]
pub trait Wishes: Send {
    async fn next(&mut self) -> Wish;
}

/// Reads and checks a configuration, and the keys and certificates that it names.
///
/// # Errors
/// Everything that is wrong with it.
pub async fn check(path: &Path) -> Result<Configuration, OpsError> {
    let configuration = load(path)?;
    if let Some(settings) = configuration.auth.as_ref().filter(|auth| matches!(auth.keys, KeySource::File(_)))
    {
        tokens::load(settings).await.map_err(StandaloneError::from)?;
    }
    certificates::check(&configuration).await.map_err(StandaloneError::from)?;
    Ok(configuration)
}

/// Serves until it is stopped or, at the path for the handover, another process takes over.
///
/// # Errors
/// When it could not be started, or was stopped the hard way.
pub async fn run(
    context: &Context,
    source: &Source,
    handover: Option<&Path>,
    audience: &mut dyn Audience,
    wishes: &mut dyn Wishes,
) -> Result<(), OpsError> {
    let configuration = match source {
        Source::File(path) => load(path)?,
        Source::Lines(lines, probing) => lines.configuration(probing).map_err(|reason| {
            OpsError::Argument { what: "the command", text: "msctl gateway".to_owned(), reason }
        })?,
    };
    let mut files = Files::default();
    files.follow(read_from(source, &configuration));
    let mut running = tokio::select! {
        running = Running::start(configuration, context.state_base().ok(), handover) => running?,
        () = stop_wish(wishes) => return Err(OpsError::Cancelled),
    };
    audience.serves(&Greeting {
        urls: running.urls(),
        admin: running.admin_url(),
        predecessor: running.predecessor(),
        unserved: running.unserved(),
    });
    let successor = serve(source, &mut running, &mut files, audience, wishes).await;
    let ending = async {
        if let Some(successor) = successor {
            return running.depart(successor).await;
        }
        audience.stops();
        running.stop().await
    };
    let ended = tokio::select! {
        ended = ending => ended,
        () = stop_wish(wishes) => return Err(OpsError::Cancelled),
    };
    audience.ended(ended);
    Ok(())
}

/// Until somebody wants it to stop, or serves in its place.
async fn serve(
    source: &Source,
    running: &mut Running,
    files: &mut Files,
    audience: &mut dyn Audience,
    wishes: &mut dyn Wishes,
) -> Option<Successor> {
    let mut beat = interval(BEAT);
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        // A wish, a change or a beat that is not taken now is taken the next time round.
        let mut reloads = tokio::select! {
            wish = wishes.next() => match wish {
                Wish::Stop => return None,
                Wish::Reload => true,
            },
            () = files.changed() => true,
            newcomer = running.newcomer() => {
                let offered = running.give_way(newcomer).await;
                audience.gives_way(offered.as_ref().map(|successor| successor.pid).map_err(ToString::to_string));
                if let Ok(successor) = offered {
                    return Some(successor);
                }
                continue;
            }
            _ = beat.tick() => attend(running.keep_up(), wishes).await?,
        };
        while reloads {
            reloads = attend(reload(source, running, files, audience), wishes).await?;
        }
    }
}

/// Does `work`, which may wait for name servers and issuers, and gives whether a reload was wished for
/// meanwhile. `None` where it is to stop: that does not wait for anybody.
async fn attend(work: impl Future<Output = ()>, wishes: &mut dyn Wishes) -> Option<bool> {
    let mut work = std::pin::pin!(work);
    let mut reloads = false;
    loop {
        // A wish that is not taken now is taken the next time round.
        tokio::select! {
            () = &mut work => return Some(reloads),
            wish = wishes.next() => match wish {
                Wish::Stop => return None,
                Wish::Reload => reloads = true,
            },
        }
    }
}

async fn reload(source: &Source, running: &mut Running, files: &mut Files, audience: &mut dyn Audience) {
    let before = running.configuration().clone();
    // What is changed from here on is read once more.
    files.follow(read_from(source, &before));
    let after = match source {
        Source::File(path) => load(path),
        Source::Lines(..) => Ok(before.clone()),
    };
    let followed = match after {
        Ok(after) => running.follow(after).await.map_err(OpsError::from),
        Err(error) => Err(error),
    };
    match followed {
        Ok(()) => {
            let after = running.configuration();
            files.watch(read_from(source, after));
            audience.follows(running.report().generation, &difference(&before, after));
        }
        Err(error) => {
            running.refuse(error.to_string());
            audience.refuses(&error);
        }
    }
}

fn load(path: &Path) -> Result<Configuration, OpsError> {
    gateway_file::read(path).map_err(|error| match error {
        ManifestError::Invalid(diagnostics) => OpsError::Configuration(diagnostics),
        other => OpsError::Manifest(other),
    })
}

/// Every file that has a say in it.
fn read_from(source: &Source, configuration: &Configuration) -> Vec<PathBuf> {
    let Source::File(path) = source else { return Vec::new() };
    let mut paths = vec![path.clone()];
    if let Some(KeySource::File(keys)) = configuration.auth.as_ref().map(|settings| &settings.keys) {
        paths.push(keys.clone());
    }
    for listener in &configuration.listeners {
        if let TlsSettings::Files { certificate, key } = &listener.tls {
            paths.extend([certificate.clone(), key.clone()]);
        }
    }
    paths
}

async fn stop_wish(wishes: &mut dyn Wishes) {
    while wishes.next().await != Wish::Stop {}
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Notify;

    use super::*;

    struct Wished {
        wishes: Vec<Wish>,
        heard: Arc<Notify>,
    }

    #[async_trait::async_trait]
    impl Wishes for Wished {
        async fn next(&mut self) -> Wish {
            let Some(wish) = self.wishes.pop() else { return std::future::pending().await };
            self.heard.notify_one();
            wish
        }
    }

    #[tokio::test]
    async fn a_look_up_without_end_does_not_keep_it_from_stopping() {
        let mut wishes = Wished { wishes: vec![Wish::Stop, Wish::Reload], heard: Arc::default() };
        assert_eq!(attend(std::future::pending(), &mut wishes).await, None);
    }

    #[tokio::test]
    async fn a_reload_that_is_wished_for_during_a_look_up_comes_after_it() {
        let heard = Arc::<Notify>::default();
        let mut wishes = Wished { wishes: vec![Wish::Reload], heard: Arc::clone(&heard) };
        assert_eq!(attend(heard.notified(), &mut wishes).await, Some(true));
        assert_eq!(attend(std::future::ready(()), &mut wishes).await, Some(false));
    }
}
