//! `msctl gateway`.

use std::net::SocketAddr;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::command::CommandError;
use crate::model::exit::ExitCode;
use crate::model::standalone::{ProbePolicy, Probing};
use crate::ops::gateway::{self, Audience, Request, Wish, Wishes};
use crate::standalone::Ended;
use crate::standalone::lines::{Lines, RouteLine};
use crate::ui::printer::{Printer, Style};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl gateway --route /=http://127.0.0.1:9000
  msctl gateway --listen 0.0.0.0:8080 --route /orders=http://a:9000,http://b:9000 --route /chat=h2c://c:50051")]
pub struct Args {
    /// Where clients come in; several are possible
    #[arg(
        long,
        env = "MSCTL_LISTEN",
        value_name = "IP:PORT",
        value_delimiter = ',',
        default_value = "127.0.0.1:8080"
    )]
    listen: Vec<SocketAddr>,
    /// A path and the endpoints behind it, which do not see the path; several are possible
    #[arg(long = "route", value_name = "PATH=URL[,URL…]", required = true)]
    routes: Vec<RouteLine>,
    /// Do not ask endpoints whether they are well
    #[arg(long)]
    no_probe: bool,
    /// Where the gateway says how it is: /healthz, /readyz, /metrics, /routes, /config
    #[arg(long, env = "MSCTL_ADMIN", value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
}

pub async fn run(args: Args, printer: &Printer) -> Result<ExitCode, CommandError> {
    let probing = if args.no_probe { Probing::Off } else { Probing::On(ProbePolicy::default()) };
    let lines = Lines { listen: args.listen, admin: args.admin, routes: args.routes };
    let mut signals = Signals::listen()?;
    gateway::run(&Request { lines, probing }, &mut Screen { printer }, &mut signals).await?;
    Ok(ExitCode::Ok)
}

struct Screen<'a> {
    printer: &'a Printer,
}

impl Audience for Screen<'_> {
    fn serves(&mut self, addresses: &[SocketAddr], unserved: &[String]) {
        let urls: Vec<_> = addresses.iter().map(|address| format!("http://{address}")).collect();
        self.printer.say(&format!("gateway at {}", self.printer.paint(Style::Strong, &urls.join(", "))));
        if !unserved.is_empty() {
            self.printer.say(&format!("  nobody answers yet for {}", unserved.join(", ")));
        }
    }

    fn ended(&mut self, ended: Ended) {
        let Ended { cut_off } = ended;
        let open = match cut_off {
            0 => "every request was answered".to_owned(),
            1 => "1 connection was cut".to_owned(),
            many => format!("{many} connections were cut"),
        };
        self.printer.say(&format!("stopped; {open}"));
    }
}

/// A hang-up means another look at the configuration, as with every other server.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Signals {
    fn listen() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }
}

#[async_trait::async_trait]
impl Wishes for Signals {
    async fn next(&mut self) -> Wish {
        // Signals that come while nobody waits are remembered, one of each kind.
        tokio::select! {
            _ = self.interrupt.recv() => Wish::Stop,
            _ = self.terminate.recv() => Wish::Stop,
            _ = self.hangup.recv() => Wish::Reload,
        }
    }
}
