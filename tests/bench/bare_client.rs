//! The floor of `up` and `down`: what the engine itself takes to create, start, stop and remove the
//! containers that msctl makes, asked by a client that does nothing else.
//!
//!     bare_client ORDER.json
//!
//! The order holds the network and the containers as msctl made them (`tests/bench/run` reads them
//! off the engine). All containers are made at once, each is probed from the moment it has started,
//! and when the last one has answered all are stopped and removed at once. One line of JSON on
//! stdout says how long each part took, in milliseconds.

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bollard::Docker;
use bollard::models::{ContainerCreateBody, NetworkCreateRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptions, StartContainerOptions,
    StopContainerOptions,
};
use futures_util::future::try_join_all;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The pause between two probes: small beside what is measured.
const PROBE_PAUSE: Duration = Duration::from_millis(2);
/// When to give up on a container.
const DEADLINE: Duration = Duration::from_secs(60);

type Outcome<T> = Result<T, Box<dyn Error>>;

#[derive(Deserialize)]
struct Order {
    network: NetworkCreateRequest,
    containers: BTreeMap<String, ContainerCreateBody>,
    port: u16,
    health: String,
}

#[tokio::main]
#[expect(clippy::print_stdout, reason = "the figures are the program's output")]
async fn main() -> Outcome<()> {
    let path = std::env::args().nth(1).ok_or("usage: bare_client ORDER.json")?;
    let order: Order = serde_json::from_slice(&std::fs::read(path)?)?;
    let engine = Docker::connect_with_defaults()?.negotiate_version().await?;
    let begun = Instant::now();
    let network = engine.create_network(order.network.clone()).await?.id;
    let networked = begun.elapsed();
    let ready = try_join_all(
        order.containers.iter().map(|(name, body)| bring_up(&engine, name, body.clone(), &network, &order)),
    );
    let started = ready.await?;
    let up = begun.elapsed();

    let begun = Instant::now();
    let stops = try_join_all(order.containers.keys().map(|name| stop(&engine, name))).await?;
    let stopped = begun.elapsed();
    try_join_all(
        order.containers.keys().map(|name| engine.remove_container(name, None::<RemoveContainerOptions>)),
    )
    .await?;
    engine.remove_network(&network).await?;
    let down = begun.elapsed();
    let slowest = |times: Vec<Duration>| millis(times.into_iter().max().unwrap_or_default());
    let figures = serde_json::json!({
        "network": millis(networked),
        "last_start": slowest(started),
        "up": millis(up),
        "slowest_stop": slowest(stops),
        "stops": millis(stopped),
        "down": millis(down),
    });
    println!("{figures}");
    Ok(())
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// Gives how long creating and starting took, once the container answers.
async fn bring_up(
    engine: &Docker,
    name: &str,
    mut body: ContainerCreateBody,
    network: &str,
    order: &Order,
) -> Outcome<Duration> {
    if let Some(host) = &mut body.host_config {
        host.network_mode = Some(network.to_owned());
    }
    let begun = Instant::now();
    let options = CreateContainerOptionsBuilder::default().name(name).build();
    let id = engine.create_container(Some(options), body).await?.id;
    engine.start_container(&id, None::<StartContainerOptions>).await?;
    let started = begun.elapsed();
    let address = SocketAddr::new(address_of(engine, &id).await?.parse()?, order.port);
    while !is_ready(address, &order.health).await {
        if begun.elapsed() > DEADLINE {
            return Err(format!("{name} is not ready").into());
        }
        tokio::time::sleep(PROBE_PAUSE).await;
    }
    Ok(started)
}

async fn address_of(engine: &Docker, id: &str) -> Outcome<String> {
    let container = engine.inspect_container(id, None::<InspectContainerOptions>).await?;
    let networks = container.network_settings.and_then(|settings| settings.networks).unwrap_or_default();
    let address = networks.into_values().find_map(|network| network.ip_address);
    address.ok_or_else(|| format!("{id} has no address").into())
}

async fn is_ready(address: SocketAddr, path: &str) -> bool {
    let probe = async {
        let mut stream = TcpStream::connect(address).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: bare\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer.starts_with("HTTP/1.1 200"))
    };
    probe.await.unwrap_or(false)
}

async fn stop(engine: &Docker, name: &str) -> Outcome<Duration> {
    let begun = Instant::now();
    engine.stop_container(name, None::<StopContainerOptions>).await?;
    Ok(begun.elapsed())
}
