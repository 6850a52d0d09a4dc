//! `msctl gateway`: the gateway alone, until it is told to stop.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::interval;

use super::error::OpsError;
use crate::model::standalone::Probing;
use crate::standalone::lines::Lines;
use crate::standalone::{Ended, Running};

/// How often host names are looked up again.
const LOOK_UP: Duration = Duration::from_secs(30);

#[derive(Debug, Clone)]
pub struct Request {
    pub lines: Lines,
    pub probing: Probing,
}

/// What the gateway tells its terminal.
pub trait Audience: Send {
    /// `unserved` are services that no endpoint stands for yet.
    fn serves(&mut self, addresses: &[SocketAddr], unserved: &[String]);
    fn ended(&mut self, ended: Ended);
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

/// # Errors
/// When it could not be started, or was stopped the hard way.
pub async fn run(
    request: &Request,
    audience: &mut dyn Audience,
    wishes: &mut dyn Wishes,
) -> Result<(), OpsError> {
    let configuration = request.lines.configuration(&request.probing).map_err(|reason| {
        OpsError::Argument { what: "the configuration", text: "--route".to_owned(), reason }
    })?;
    let mut running = Running::start(configuration).await?;
    audience.serves(&running.addresses(), &running.unserved());
    serve(&mut running, wishes).await;
    let ended = tokio::select! {
        ended = running.stop() => ended,
        () = second_stop(wishes) => return Err(OpsError::Cancelled),
    };
    audience.ended(ended);
    Ok(())
}

async fn serve(running: &mut Running, wishes: &mut dyn Wishes) {
    let mut look_up = interval(LOOK_UP);
    look_up.tick().await;
    loop {
        // A wish or a tick that is not taken now is taken the next time round.
        tokio::select! {
            wish = wishes.next() => match wish {
                Wish::Stop => return,
                Wish::Reload => running.look_up().await,
            },
            _ = look_up.tick() => running.look_up().await,
        }
    }
}

async fn second_stop(wishes: &mut dyn Wishes) {
    while wishes.next().await != Wish::Stop {}
}
