//! `[gateway]`: where clients come in, and whom the gateway believes.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use crate::model::platform::{AccessLogTarget, GatewaySettings, Network};

use super::section::Section;
use super::tls_settings;
use super::values::Value;

pub const DEFAULT_LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 8080));

pub fn read(mut section: Section<'_>) -> GatewaySettings {
    let listen = section.take("listen").and_then(read_listen).unwrap_or(DEFAULT_LISTEN);
    let trusted_proxies = section.take("trusted_proxies").map(read_networks).unwrap_or_default();
    let tls = tls_settings::read(&mut section, listen);
    let access_log = section.take("access_log").map(read_access_log).unwrap_or_default();
    section.close();
    GatewaySettings {
        tls: tls.settings,
        redirect_from: tls.redirect_from,
        hsts: tls.hsts,
        trusted_proxies,
        access_log,
        ..GatewaySettings::at(listen)
    }
}

/// `"127.0.0.1:8080"`.
pub fn read_listen(value: Value<'_>) -> Option<SocketAddr> {
    let problems = value.problems;
    let text = value.text("\"127.0.0.1:8080\"")?;
    let address = text.value.parse();
    if address.is_err() {
        let port = text.value.rsplit(':').next().and_then(|port| port.parse::<u16>().ok()).unwrap_or(8080);
        problems.report(
            &text.place,
            format!("{:?} is not an address to listen on", text.value),
            format!(
                "write IP:port, \"127.0.0.1:{port}\" for this machine, \"0.0.0.0:{port}\" for every network"
            ),
        );
    }
    address.ok()
}

/// A word, or else a file.
fn read_access_log(value: Value<'_>) -> AccessLogTarget {
    let text = value.filled_text("\"on\", \"off\", \"stderr\" or \"access.log\"");
    text.map(|text| AccessLogTarget::from_text(&text.value)).unwrap_or_default()
}

/// A list of `"10.0.0.0/8"`.
pub fn read_networks(value: Value<'_>) -> Vec<Network> {
    let example = "[\"10.0.0.0/8\"]";
    let elements = value.list(example).unwrap_or_default();
    let network = |element: Value<'_>| {
        let key = element.key.clone();
        element.parsed::<Network>(example, |_| format!("for example {key} = {example}"))
    };
    elements.into_iter().filter_map(network).map(|network| network.value).collect()
}
