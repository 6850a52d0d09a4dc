//! An instance's specification, as the engine is told it.

use std::collections::HashMap;
use std::time::Duration;

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountType, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::network::SharedNetwork;
use crate::model::instance::{InstanceName, InstanceSpec, STORAGE_MOUNT, Storage};
use crate::model::name::PlatformId;
use crate::runtime::labels;

/// Whom programs run as where their image says nothing, or root.
const UNPRIVILEGED: &str = "10001:10001";
/// What of an instance's output the engine keeps: three files of so much.
const LOG_FILE_SIZE: &str = "10m";
const LOG_FILES: &str = "3";

/// `store-3fa9c1-order-v2-1`. Not unique beyond doubt, so the labels decide.
pub(super) fn container_name(platform: &PlatformId, instance: &InstanceName) -> String {
    format!("{platform}-{}-{}-{}", instance.service, instance.generation, instance.replica)
}

/// `store-3fa9c1-order-data`
pub(super) fn volume_name(platform: &PlatformId, storage: &Storage) -> String {
    format!("{platform}-{}-data", storage.service)
}

/// Whole seconds, rounded up: the engine counts no smaller.
pub(super) fn whole_seconds(time: Duration) -> i32 {
    let seconds = time.as_secs().saturating_add(u64::from(time.subsec_nanos() > 0));
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

/// Everything of the container. `image_user` is the user that the image itself asks for.
pub(super) fn container(
    spec: &InstanceSpec,
    image: &str,
    image_user: &str,
    network: &SharedNetwork,
) -> ContainerCreateBody {
    let port = ("PORT".to_owned(), spec.port.to_string());
    let environment = spec.environment.iter().chain([&port]);
    let own_labels = labels::of_instance(&spec.name, &spec.hash, spec.port.number());
    ContainerCreateBody {
        image: Some(image.to_owned()),
        hostname: Some(spec.name.service.to_string()),
        user: runs_as_root(image_user).then(|| UNPRIVILEGED.to_owned()),
        env: Some(environment.map(|(name, value)| format!("{name}={value}")).collect()),
        labels: Some(labels::of_platform(&spec.platform).into_iter().chain(own_labels).collect()),
        stop_timeout: Some(i64::from(whole_seconds(spec.stop_grace))),
        // An image's own check would only cost: the engine's loop probes, faster.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        host_config: Some(host(spec, network)),
        ..ContainerCreateBody::default()
    }
}

fn runs_as_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or_default();
    name.is_empty() || name == "root" || name.parse::<u64>() == Ok(0)
}

fn host(spec: &InstanceSpec, network: &SharedNetwork) -> HostConfig {
    let memory = i64::try_from(spec.limits.memory.bytes()).unwrap_or(i64::MAX);
    let hosts = spec.door_hosts.iter().map(|host| format!("{host}:{}", network.door));
    HostConfig {
        network_mode: Some(network.id.clone()),
        extra_hosts: Some(hosts.collect()),
        memory: Some(memory),
        // Equal to the memory means none: a service that swaps is slower than one that fails.
        memory_swap: Some(memory),
        nano_cpus: Some(spec.limits.cpus.nanos()),
        pids_limit: Some(i64::from(spec.limits.pids)),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges".to_owned()]),
        readonly_rootfs: Some(true),
        tmpfs: Some(HashMap::from([("/tmp".to_owned(), "mode=1777".to_owned())])),
        mounts: spec.storage.as_ref().map(|storage| vec![storage_mount(&spec.platform, storage)]),
        log_config: Some(log_config()),
        init: Some(false),
        restart_policy: Some(RestartPolicy {
            name: Some(RestartPolicyNameEnum::NO),
            maximum_retry_count: None,
        }),
        ..HostConfig::default()
    }
}

fn storage_mount(platform: &PlatformId, storage: &Storage) -> Mount {
    Mount {
        target: Some(STORAGE_MOUNT.to_owned()),
        source: Some(volume_name(platform, storage)),
        typ: Some(MountType::VOLUME),
        ..Mount::default()
    }
}

fn log_config() -> HostConfigLogConfig {
    let limit = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    HostConfigLogConfig {
        typ: Some("json-file".to_owned()),
        config: Some(HashMap::from([limit("max-size", LOG_FILE_SIZE), limit("max-file", LOG_FILES)])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::instance::{Generation, Program, SpecHash};
    use crate::model::name::Worktree;
    use crate::model::platform::Limits;
    use crate::model::quantity::{ByteSize, Cpus, Port};

    fn spec() -> InstanceSpec {
        let service = "order".parse().unwrap();
        InstanceSpec {
            platform: PlatformId {
                name: "store".parse().unwrap(),
                worktree: Worktree::from_hex("3fa9c1").unwrap(),
            },
            name: InstanceName { service, generation: Generation::FIRST.next(), replica: 3 },
            hash: SpecHash("abc".to_owned()),
            program: Program::Image { reference: "order:1".to_owned() },
            environment: vec![("CURRENCY".to_owned(), "USD".to_owned())],
            door_hosts: vec!["product.store.internal".to_owned()],
            port: Port::try_from(8080).unwrap(),
            limits: Limits {
                memory: ByteSize::from_mebibytes(64),
                cpus: Cpus::from_count(0.5).unwrap(),
                pids: 100,
            },
            storage: Some(Storage { service: "order".parse().unwrap() }),
            stop_grace: Duration::from_millis(1500),
        }
    }

    fn body(image_user: &str) -> ContainerCreateBody {
        let network = SharedNetwork { id: "n1".to_owned(), door: [172, 18, 0, 1].into() };
        container(&spec(), "order:1", image_user, &network)
    }

    #[test]
    fn names_say_whose_they_are() {
        let spec = spec();
        assert_eq!(container_name(&spec.platform, &spec.name), "store-3fa9c1-order-v2-3");
        assert_eq!(volume_name(&spec.platform, &spec.storage.unwrap()), "store-3fa9c1-order-data");
    }

    #[test]
    fn root_is_replaced_and_an_images_own_user_is_kept() {
        for root in ["", "0", "root", "0:0", "root:root", "0:1000"] {
            assert_eq!(body(root).user.as_deref(), Some("10001:10001"), "{root}");
        }
        for own in ["999", "redis", "10001:10001"] {
            assert_eq!(body(own).user, None, "{own}");
        }
    }

    #[test]
    fn an_instance_is_told_its_port_and_the_door() {
        let body = body("");
        assert_eq!(body.env.unwrap(), ["CURRENCY=USD", "PORT=8080"]);
        assert_eq!(body.host_config.unwrap().extra_hosts.unwrap(), ["product.store.internal:172.18.0.1"]);
    }

    #[test]
    fn an_instance_can_do_no_more_than_it_must() {
        let body = body("");
        assert!(body.exposed_ports.is_none());
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!((host.memory, host.memory_swap), (Some(64 << 20), Some(64 << 20)));
        assert_eq!((host.nano_cpus, host.pids_limit), (Some(500_000_000), Some(100)));
        assert!(host.port_bindings.is_none() && host.publish_all_ports.is_none() && host.binds.is_none());
    }

    #[test]
    fn grace_is_never_rounded_down() {
        assert_eq!(whole_seconds(Duration::from_millis(1500)), 2);
        assert_eq!(whole_seconds(Duration::from_secs(10)), 10);
        assert_eq!(whole_seconds(Duration::ZERO), 0);
        assert_eq!(whole_seconds(Duration::MAX), i32::MAX);
    }
}
