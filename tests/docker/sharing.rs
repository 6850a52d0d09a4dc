//! What instances share: the network, the door, storage; and its end.

use std::collections::HashMap;

use bollard::models::NetworkCreateRequest;
use bollard::query_parameters::{InspectNetworkOptions, ListNetworksOptionsBuilder};
use msctl::model::instance::Storage;
use msctl::model::observed::ResourceKind;
use msctl::runtime::{CallerIdentity, DataFate, Runtime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::output::exec;
use super::platform::{TestPlatform, on_a_platform, replica};

async fn kinds(platform: &TestPlatform) -> Vec<ResourceKind> {
    let resources = platform.docker.resources().await.unwrap();
    resources.into_iter().map(|resource| resource.kind).collect()
}

#[tokio::test]
async fn many_that_prepare_at_once_share_one_network() {
    on_a_platform(async |platform| {
        let others = [platform.connect_again().await, platform.connect_again().await];
        let (one, two, three) =
            tokio::join!(platform.docker.prepare(), others[0].prepare(), others[1].prepare());
        let (one, two, three) = (one.unwrap(), two.unwrap(), three.unwrap());
        assert_eq!(one.callers, CallerIdentity::SourceAddress);
        assert_eq!((&one, &one), (&two, &three));
        let name = platform.id.to_string();
        let named = HashMap::from([("name", vec![name.as_str()])]);
        let options = ListNetworksOptionsBuilder::default().filters(&named).build();
        assert_eq!(platform.behind().list_networks(Some(options)).await.unwrap().len(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_strangers_network_of_our_name_is_neither_used_nor_removed() {
    on_a_platform(async |platform| {
        let behind = platform.behind();
        let request = NetworkCreateRequest { name: platform.id.to_string(), ..Default::default() };
        let stranger = behind.create_network(request).await.unwrap().id;
        let prepared = platform.docker.prepare().await;
        platform.docker.tear_down(DataFate::Delete).await.unwrap();
        let still_there = behind.inspect_network(&stranger, None::<InspectNetworkOptions>).await.is_ok();
        behind.remove_network(&stranger).await.unwrap();
        assert!(still_there);
        assert!(prepared.unwrap_err().to_string().contains("msctl did not make"));
    })
    .await;
}

#[tokio::test]
async fn a_network_that_somebody_removed_is_made_again() {
    on_a_platform(async |platform| {
        platform.docker.prepare().await.unwrap();
        platform.behind().remove_network(&platform.id.to_string()).await.unwrap();
        // The first attempt finds out.
        platform.docker.launch(&platform.spec(&[])).await.unwrap_err();
        assert!(platform.instances().await.is_empty());
        platform.launch(&[]).await;
        assert_eq!(platform.get("/env/PORT").await, "8080");
    })
    .await;
}

#[tokio::test]
async fn instances_reach_this_process_through_the_door_by_name_from_an_address_of_their_own() {
    on_a_platform(async |platform| {
        let door = TcpListener::bind((platform.docker.prepare().await.unwrap().door, 0)).await.unwrap();
        let port = door.local_addr().unwrap().port();
        platform.launch(&[]).await;
        let serving = async {
            let (mut stream, caller) = door.accept().await.unwrap();
            // To its end: closing with something unread would reset the connection.
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nat the door").await.unwrap();
            caller.ip()
        };
        let path = format!("/call?url=http://product.store.internal:{port}/x");
        let (caller, answer) = tokio::join!(serving, platform.get(&path));
        assert_eq!(answer, "200\nat the door");
        assert_eq!(Some(caller), platform.instances().await[0].address.map(|address| address.ip()));
    })
    .await;
}

#[tokio::test]
async fn storage_outlives_instances_and_is_removed_only_when_that_is_asked_for() {
    on_a_platform(async |platform| {
        let mut spec = platform.spec(&[]);
        spec.storage = Some(Storage { service: spec.name.service.clone() });
        let write = exec(&["/responder", "write", "/data/order.db", "kept"]);
        let read = exec(&["/responder", "read", "/data/order.db"]);
        for (number, command) in [(1, write), (2, read)] {
            spec.name = replica(number);
            platform.docker.launch(&spec).await.unwrap();
            assert_eq!(platform.docker.exec(&spec.name, &command).await.unwrap(), 0);
            platform.docker.stop(&spec.name, spec.stop_grace).await.unwrap();
            platform.docker.remove(&spec.name).await.unwrap();
        }
        let removed = platform.docker.tear_down(DataFate::Keep).await.unwrap();
        let removed: Vec<_> = removed.iter().map(|resource| resource.kind).collect();
        assert_eq!(removed, [ResourceKind::Network, ResourceKind::Image]);
        assert_eq!(kinds(platform).await, [ResourceKind::Volume]);
        let removed = platform.docker.tear_down(DataFate::Delete).await.unwrap();
        assert_eq!(removed[0].name, format!("{}-order-data", platform.id));
    })
    .await;
}

#[tokio::test]
async fn everything_shared_is_observed() {
    on_a_platform(async |platform| {
        platform.docker.prepare().await.unwrap();
        let resources = platform.docker.resources().await.unwrap();
        let names: Vec<_> = resources.iter().map(|resource| resource.name.clone()).collect();
        assert_eq!(names, [platform.id.to_string(), platform.image.clone()]);
    })
    .await;
}
