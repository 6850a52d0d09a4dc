//! `msctl gateway`.

use std::net::SocketAddr;
use std::path::PathBuf;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::command::{CommandError, switch};
use crate::model::exit::ExitCode;
use crate::model::platform::{AccessLogTarget, PortSharing};
use crate::model::standalone::{ProbePolicy, Probing};
use crate::ops::gateway::{self, Audience, Greeting, Source, Wish, Wishes};
use crate::ops::{Context, OpsError};
use crate::standalone::Ended;
use crate::standalone::lines::{Lines, RouteLine};
use crate::ui::printer::{Printer, Style};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  msctl gateway --route /=http://127.0.0.1:9000
  msctl gateway --route /orders=http://a:9000,http://b:9000 --listen 0.0.0.0:80
  msctl gateway --route /chat=h2c://chat:50051 --admin 127.0.0.1:9901
  msctl gateway --config gateway.toml --check
  msctl gateway --config gateway.toml
  msctl gateway --config gateway.toml --handover next.sock

The second gateway at the same --handover socket replaces the first one without
dropping a connection.

With --config it follows the file: a change, or SIGHUP, is checked as a whole
and taken over without dropping a request; a file that is not valid leaves
everything as it is. SIGTERM lets open requests end; a second one cuts them.")]
#[command(group = clap::ArgGroup::new("source").required(true).args(["config", "routes"]))]
pub struct Args {
    /// Listeners, services and routes, as a file; the README shows one
    #[arg(long, env = "MSCTL_GATEWAY_CONFIG", value_name = "FILE",
        conflicts_with_all = ["routes", "listen", "no_probe", "admin", "access_log", "share_port"])]
    config: Option<PathBuf>,
    /// Check the file, and start nothing
    #[arg(long, env = "MSCTL_CHECK", value_parser = switch, conflicts_with = "routes")]
    check: bool,
    /// A path, and the endpoints behind it, which do not see it; repeatable
    #[arg(long = "route", env = "MSCTL_ROUTES", value_delimiter = ' ', value_name = "PATH=URL[,URL…]")]
    routes: Vec<RouteLine>,
    /// Where clients come in; repeatable [default: 127.0.0.1:8080]
    #[arg(long, env = "MSCTL_LISTEN", value_name = "IP:PORT", value_delimiter = ',', value_parser = address)]
    listen: Vec<SocketAddr>,
    /// Let other gateways of this user listen there, too, if all of them say so
    #[arg(long, env = "MSCTL_SHARE_PORT", value_parser = switch)]
    share_port: bool,
    /// Do not ask endpoints whether they accept connections
    #[arg(long, env = "MSCTL_NO_PROBE", value_parser = switch)]
    no_probe: bool,
    /// Where it says how it is: /healthz, /readyz, /metrics, /routes, /config
    #[arg(long, env = "MSCTL_ADMIN", value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    /// Take the listeners over from the gateway that has this socket, and pass them on there
    #[arg(long, env = "MSCTL_HANDOVER", value_name = "SOCKET")]
    handover: Option<PathBuf>,
    /// Where requests are noted: "on" for stdout, "stderr", "off", or a file
    #[arg(long, env = "MSCTL_ACCESS_LOG", value_name = "WHERE", default_value = "on")]
    access_log: String,
}

pub async fn run(args: Args, context: &Context, printer: &Printer) -> Result<ExitCode, CommandError> {
    let check = args.check;
    let handover = args.handover.as_ref().map(|path| context.directory.join(path));
    let source = args.source(context);
    if let (true, Source::File(path)) = (check, &source) {
        let configuration = gateway::check(path).await?;
        let routes = configuration.services.iter().map(|service| service.routes.len()).sum();
        let what = [
            counted(configuration.listeners.len(), "listener"),
            counted(configuration.services.len(), "service"),
            counted(routes, "route"),
        ];
        printer.say(&format!("{}: {}", printer.paint(Style::Good, "valid"), what.join(", ")));
        return Ok(ExitCode::Ok);
    }
    let mut signals = Signals::listen()?;
    gateway::run(context, &source, handover.as_deref(), &mut Screen { printer }, &mut signals).await?;
    Ok(ExitCode::Ok)
}

impl Args {
    fn source(self, context: &Context) -> Source {
        if let Some(path) = self.config {
            return Source::File(context.directory.join(path));
        }
        let listen = match self.listen {
            none if none.is_empty() => vec![SocketAddr::from(([127, 0, 0, 1], 8080))],
            some => some,
        };
        let probing = if self.no_probe { Probing::Off } else { Probing::On(ProbePolicy::default()) };
        let access_log = match AccessLogTarget::from_text(&self.access_log) {
            AccessLogTarget::File(path) => AccessLogTarget::File(context.directory.join(path)),
            word => word,
        };
        let sharing = if self.share_port { PortSharing::Shared } else { PortSharing::Alone };
        Source::Lines(Lines { listen, admin: self.admin, access_log, sharing, routes: self.routes }, probing)
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    let port = text.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
    let hint = format!("write IP:port, 127.0.0.1:{port} for this machine, 0.0.0.0:{port} for every network");
    text.parse().map_err(|_| hint)
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

struct Screen<'a> {
    printer: &'a Printer,
}

impl Audience for Screen<'_> {
    fn serves(&mut self, greeting: &Greeting) {
        let urls = greeting.urls.join(", ");
        self.printer.say(&format!("gateway at {}", self.printer.paint(Style::Strong, &urls)));
        if let Some(admin) = &greeting.admin {
            self.printer.say(&format!("  admin at {admin}"));
        }
        if let Some(pid) = greeting.predecessor {
            self.printer.say(&format!("  taken over from process {pid}, without dropping a connection"));
        }
        if !greeting.unserved.is_empty() {
            self.printer.say(&format!("  nobody answers yet for {}", greeting.unserved.join(", ")));
        }
    }

    fn follows(&mut self, generation: u64, difference: &[String]) {
        let what = if difference.is_empty() { "nothing differs".to_owned() } else { difference.join("; ") };
        self.printer.say(&format!("configuration {generation}: {what}"));
    }

    fn refuses(&mut self, reason: &OpsError) {
        self.printer.fail(&reason.to_string(), reason.hint().as_deref());
        self.printer.say("the gateway goes on as it was");
    }

    fn stops(&mut self) {
        self.printer.say("stopping: open requests may end, a second signal cuts them");
    }

    fn gives_way(&mut self, result: Result<i32, String>) {
        match result {
            Ok(pid) => self.printer.say(&format!("process {pid} has taken over; open requests may end here")),
            Err(error) => self.printer.say(&format!("nobody has taken over, and it goes on: {error}")),
        }
    }

    fn ended(&mut self, ended: Ended) {
        let open = match ended.cut_off {
            0 => "every request was answered".to_owned(),
            cut_off => format!("{} cut", counted(cut_off, "connection")),
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
