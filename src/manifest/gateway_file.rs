//! `gateway.toml`: all that a gateway is told that runs alone. Its services are listed with their
//! endpoints; routes and `traffic` have the keys of a `service.toml`, each of `listeners` those of
//! `[gateway]` in `msctl.toml`, and `share_port`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use crate::model::name::ServiceName;
use crate::model::platform::{AccessLogTarget, GatewaySettings, PortSharing};
use crate::model::route::{Access, Route};
use crate::model::standalone::{Configuration, ShutdownSettings, StaticService, TokenSettings};

use super::checks;
use super::error::ManifestError;
use super::problems::Problems;
use super::section::Section;
use super::source::{Located, Place, Source};
use super::static_service;
use super::token_section;
use super::values::Value;
use super::{gateway_section, syntax, tls_settings};

const LISTENERS: &str = "[{ listen = \"0.0.0.0:8080\" }]";
const GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(300);
const TIMEOUT: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(3600);

/// A service, and where it is named.
pub struct Described {
    pub name: Located<ServiceName>,
    pub routes: Vec<Located<Route>>,
    /// Without its routes.
    pub service: StaticService,
}

/// Reads and checks the file at `path`.
pub fn read(path: &Path) -> Result<Configuration, ManifestError> {
    let unreadable = |source| ManifestError::Unreadable { path: path.to_owned(), source };
    let problems = Problems::default();
    let shown = path.file_name().unwrap_or(path.as_os_str()).into();
    let source = Source::read(path, shown, &problems).map_err(unreadable)?;
    let folder = std::path::absolute(path).map_err(unreadable)?;
    let folder = folder.parent().unwrap_or(Path::new("/"));
    let configuration = source.and_then(|source| read_file(&source, folder, &problems));
    match (problems.into_diagnostics(), configuration) {
        (None, Some(configuration)) => Ok(configuration),
        (found, _) => Err(ManifestError::Invalid(found.unwrap_or_default())),
    }
}

/// `None` where the text is not TOML.
fn read_file(source: &Rc<Source>, folder: &Path, problems: &Problems) -> Option<Configuration> {
    let tree = syntax::parse(source, problems)?;
    let mut file = Section::of_file(tree, source, problems);
    let listeners = file.take("listeners").map_or_else(default_listeners, read_listeners);
    let admin = file.take("admin").and_then(Value::section).and_then(read_admin);
    let auth = file.take("auth").and_then(Value::section);
    let auth = auth.map(|section| token_section::read(section, folder));
    let shutdown = read_shutdown(file.section("shutdown"));
    let services = file.require("services", "[{ name = \"orders\" }]").map(read_services);
    file.close();
    let services = services.unwrap_or_default();
    check(&services, auth.as_ref(), problems);
    check_addresses(&listeners, admin.as_ref(), problems);
    let below = |(settings, _): (GatewaySettings, _)| GatewaySettings {
        tls: tls_settings::below(folder, settings.tls),
        access_log: match settings.access_log {
            AccessLogTarget::File(path) => AccessLogTarget::File(folder.join(path)),
            word => word,
        },
        ..settings
    };
    Some(Configuration {
        listeners: listeners.into_iter().map(below).collect(),
        admin: admin.map(|admin| admin.value),
        auth: auth.flatten(),
        services: services.into_iter().map(Described::complete).collect(),
        shutdown,
    })
}

fn default_listeners() -> Vec<(GatewaySettings, Option<Place>)> {
    vec![(GatewaySettings::at(gateway_section::DEFAULT_LISTEN), None)]
}

fn read_listeners(value: Value<'_>) -> Vec<(GatewaySettings, Option<Place>)> {
    let (place, problems) = (value.place.clone(), value.problems);
    let Some(sections) = value.sections(LISTENERS) else { return default_listeners() };
    if sections.is_empty() {
        let hint = format!("for example listeners = {LISTENERS}");
        problems.report(&place, "listeners is an empty list: nobody could come in", hint);
    }
    let listener = |mut section: Section<'_>| {
        let place = section.place.clone();
        let sharing = match section.take("share_port").and_then(Value::flag) {
            Some(true) => PortSharing::Shared,
            _ => PortSharing::Alone,
        };
        (GatewaySettings { sharing, ..gateway_section::read(section) }, Some(place))
    };
    sections.into_iter().map(listener).collect()
}

fn read_admin(mut section: Section<'_>) -> Option<Located<SocketAddr>> {
    let place = section.place.clone();
    let listen = section.require("listen", "\"127.0.0.1:9901\"").and_then(gateway_section::read_listen);
    section.close();
    listen.map(|value| Located { value, place })
}

fn read_shutdown(mut section: Section<'_>) -> ShutdownSettings {
    let default = ShutdownSettings::default();
    let settings = ShutdownSettings {
        grace: section.duration_or("grace", GRACE, default.grace),
        timeout: section.duration_or("timeout", TIMEOUT, default.timeout),
    };
    section.close();
    settings
}

fn read_services(value: Value<'_>) -> Vec<Described> {
    let sections = value.sections("[{ name = \"orders\" }]").unwrap_or_default();
    sections.into_iter().filter_map(static_service::read).collect()
}

impl Described {
    fn complete(self) -> StaticService {
        let routes = self.routes.into_iter().map(|route| route.value).collect();
        StaticService { routes, ..self.service }
    }
}

/// What no service can know by itself.
fn check(services: &[Described], auth: Option<&Option<TokenSettings>>, problems: &Problems) {
    let mut named: BTreeMap<&ServiceName, &Place> = BTreeMap::new();
    for Described { name, .. } in services {
        if let Some(first) = named.insert(&name.value, &name.place) {
            let message = format!("there are two services called \"{}\"", name.value);
            let note = format!("the other one is at {first}");
            problems.report_with_notes(&name.place, message, vec![note], "give one of them another name");
        }
    }
    let routes = || services.iter().flat_map(|s| s.routes.iter().map(|route| (&s.name.value, route)));
    checks::routes::check_collisions(routes(), problems);
    checks::redirects::check(services.iter().flat_map(|service| &service.routes), problems);
    if auth.is_none() {
        routes().for_each(|(_, route)| check_open(route, problems));
    }
}

/// Without a key nobody could ever show who they are.
fn check_open(route: &Located<Route>, problems: &Problems) {
    if route.value.access == Access::Public {
        return;
    }
    let message = format!("{} is for those with a token, but there is no [auth]", route.value.prefix);
    let hint = "say whose tokens count in [auth], or open it to everybody with access = \"public\"";
    problems.report(&route.place, message, hint);
}

fn check_addresses(
    listeners: &[(GatewaySettings, Option<Place>)],
    admin: Option<&Located<SocketAddr>>,
    problems: &Problems,
) {
    let own = |(settings, place): &(GatewaySettings, Option<Place>)| {
        let place = place.clone();
        let addresses = [Some(settings.listen), settings.redirect_from].into_iter().flatten();
        addresses.filter_map(move |address| Some((address, place.clone()?))).collect::<Vec<_>>()
    };
    let admin = admin.map(|admin| (admin.value, admin.place.clone()));
    let mut taken: Vec<SocketAddr> = Vec::new();
    for (address, place) in listeners.iter().flat_map(own).chain(admin) {
        match taken.iter().find(|taken| overlap(**taken, address)) {
            Some(other) if *other == address => {
                let message = format!("two listeners are at {address}");
                problems.report(&place, message, "give one of them another port");
            }
            Some(other) => {
                let message = format!("a listener at {address} and one at {other} are in each other's way");
                problems.report(&place, message, "give one of them another port");
            }
            None => taken.push(address),
        }
    }
}

/// Whether only one of them can be listened at.
fn overlap(one: SocketAddr, other: SocketAddr) -> bool {
    let is_everywhere = one.ip().is_unspecified() || other.ip().is_unspecified();
    one.port() != 0 && one.port() == other.port() && (one.ip() == other.ip() || is_everywhere)
}
