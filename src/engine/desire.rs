//! From the manifest to what planning compares: build digests, environments, hashes.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::ports::Wiring;
use crate::build::Builder;
use crate::model::desired::{Desired, DesiredService, Known, Pin};
use crate::model::event::Failure;
use crate::model::instance::{BuildDigest, InstanceName, InstanceSpec, Program, SpecHash, Storage};
use crate::model::name::{PlatformId, ServiceName};
use crate::model::platform::{Database, Platform, ServiceSpec};

/// How long a withdrawn instance may keep the requests that it has.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(10);

/// What is wanted, and the services whose sources could not be read.
#[derive(Default)]
pub struct Wish {
    pub desired: Desired,
    /// What the sources of each service are, whether that is wanted or what was rolled back to.
    pub known: BTreeMap<ServiceName, Known>,
    pub failed: BTreeMap<ServiceName, Failure>,
}

/// What was asked for beyond the manifest.
#[derive(Debug, Default)]
pub struct Wished {
    pub scale: BTreeMap<ServiceName, u16>,
    pub pins: BTreeMap<ServiceName, Pin>,
    /// What need not be looked at again.
    pub known: BTreeMap<ServiceName, Known>,
}

/// Works out the wish for every service of the platform; which of them are held is planning's matter.
pub async fn desire(platform: &Platform, wished: &Wished, builder: &Builder, wiring: &dyn Wiring) -> Wish {
    let mut wish = Wish::default();
    let services = platform.services.values();
    let looked = services.map(|service| async move { (service, look(builder, service, wished).await) });
    for (service, (known, sources)) in futures_util::future::join_all(looked).await {
        wish.known.extend(known.map(|known| (service.name.clone(), known)));
        match sources {
            Ok(sources) => {
                let replicas = wished.scale.get(&service.name).copied().unwrap_or(service.run.replicas);
                let wanted = wanted(platform, service, sources, replicas, wiring);
                wish.desired.services.insert(service.name.clone(), wanted);
            }
            Err(failure) => {
                wish.failed.insert(service.name.clone(), failure);
            }
        }
    }
    wish
}

/// What a service is made from, and what of that is made.
struct Sources {
    digest: BuildDigest,
    /// What it would be called, where it is not built yet.
    program: Program,
    needs_build: bool,
}

/// What is known of the sources, and what is wanted. What they are is known even where what is wanted in
/// their place is not there: other ones end that.
async fn look(
    builder: &Builder,
    service: &ServiceSpec,
    wished: &Wished,
) -> (Option<Known>, Result<Sources, Failure>) {
    let mut known = match wished.known.get(&service.name).cloned() {
        Some(known) => known,
        None => match builder.digest(service).await {
            Ok(digest) => Known { digest, built: None },
            Err(error) => return (None, Err(error.into())),
        },
    };
    let pin = wished.pins.get(&service.name);
    let pin = pin.filter(|pin| pin.over.as_ref().is_none_or(|over| *over == known.digest));
    let sources = match pin {
        Some(pin) => pinned(builder, service, pin, &known.digest).await,
        None => current(builder, service, &mut known).await,
    };
    (Some(known), sources)
}

/// The sources as they are; notes what is made of them.
async fn current(builder: &Builder, service: &ServiceSpec, known: &mut Known) -> Result<Sources, Failure> {
    if known.built.is_none() {
        known.built = builder.built(service, &known.digest).await?;
    }
    let needs_build = known.built.is_none();
    let program = known.built.clone().unwrap_or_else(|| builder.program(service, &known.digest));
    Ok(Sources { digest: known.digest.clone(), program, needs_build })
}

async fn pinned(
    builder: &Builder,
    service: &ServiceSpec,
    pin: &Pin,
    now: &BuildDigest,
) -> Result<Sources, Failure> {
    if !builder.has(&pin.program).await? {
        return Err(Failure {
            message: format!("what {} {} ran is not kept any more", service.name, pin.to),
            hint: Some(format!("go on from its sources with: msctl redeploy {}", service.name)),
            is_lasting: true,
            ..Failure::default()
        });
    }
    let digest = pin.digest.clone().unwrap_or_else(|| now.clone());
    Ok(Sources { digest, program: pin.program.clone(), needs_build: false })
}

fn wanted(
    platform: &Platform,
    service: &ServiceSpec,
    sources: Sources,
    replicas: u16,
    wiring: &dyn Wiring,
) -> DesiredService {
    let Sources { digest, program, needs_build } = sources;
    let mut environment = wiring.environment(platform, service);
    environment.sort();
    let hash = hash(&(&program, &environment, &service.run.limits, &service.run.port, service.database));
    let spec = service.clone();
    DesiredService { spec, digest, needs_build, program, environment, hash, replicas, drain: DRAIN_LIMIT }
}

/// The digest of whatever makes one instance differ from another, through its `Debug` form: every
/// type in it is plain data whose `Debug` shows all of it.
fn hash(parts: &impl std::fmt::Debug) -> SpecHash {
    let digest = Sha256::digest(format!("{parts:?}").as_bytes());
    let hex = digest.iter().take(16).fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}"); // writing to a string does not fail
        hex
    });
    SpecHash(hex)
}

/// Everything that the runtime needs for one instance of a wanted service.
#[must_use]
pub fn instance_spec(
    platform: &Platform,
    service: &DesiredService,
    name: &InstanceName,
    wiring: &dyn Wiring,
) -> InstanceSpec {
    let mut environment = service.environment.clone();
    environment.push(("SERVICE_GENERATION".to_owned(), name.generation.number().to_string()));
    environment.extend(wiring.token(&name.service).map(|token| ("MSCTL_TOKEN".to_owned(), token)));
    environment.sort();
    let id: &PlatformId = &platform.id;
    InstanceSpec {
        platform: id.clone(),
        name: name.clone(),
        hash: service.hash.clone(),
        program: service.program.clone(),
        environment,
        door_hosts: wiring.door_hosts(platform),
        port: service.spec.run.port,
        limits: service.spec.run.limits,
        storage: (service.spec.database == Database::Sqlite)
            .then(|| Storage { service: name.service.clone() }),
        stop_grace: service.spec.run.stop_grace,
    }
}
