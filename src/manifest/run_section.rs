//! `[run]`: how an instance is run. Everything in it has a default.

use std::ops::RangeInclusive;
use std::time::Duration;

use crate::model::platform::{Health, Limits, Run};
use crate::model::quantity::{ByteSize, Cpus, Port};

use super::env_file::{self, EnvDraft};
use super::ground::Ground;
use super::section::Section;
use super::values::Value;

const DEFAULT_PORT: i64 = 8080;
const DEFAULT_REPLICAS: u16 = 1;
const DEFAULT_MEMORY: ByteSize = ByteSize::from_mebibytes(256);
const DEFAULT_CPUS: f64 = 1.0;
const DEFAULT_PIDS: u32 = 256;
const DEFAULT_STOP_GRACE: Duration = Duration::from_secs(10);
const DEFAULT_HEALTH_PATH: &str = "/health/ready";
const DEFAULT_START_PERIOD: Duration = Duration::from_secs(30);
const DEFAULT_PROBE_TIMEOUT: Duration = Duration::from_secs(1);

const REPLICAS: RangeInclusive<i64> = 1..=64;
/// The engine refuses to run anything in less.
const LEAST_MEMORY: ByteSize = ByteSize::from_mebibytes(6);
const PIDS: RangeInclusive<i64> = 8..=65_536;
const STOP_GRACE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(600);
const START_PERIOD: RangeInclusive<Duration> = Duration::from_secs(1)..=Duration::from_secs(600);
const PROBE_TIMEOUT: RangeInclusive<Duration> = Duration::from_millis(10)..=Duration::from_secs(60);

/// With the files that its variables are read from.
pub fn read(mut section: Section<'_>, ground: Ground<'_>) -> (Run, Vec<EnvDraft>) {
    let run = Run {
        port: read_port(section.take("port")),
        replicas: section
            .take("replicas")
            .and_then(|value| value.integer_within(REPLICAS, "2"))
            .and_then(|replicas| u16::try_from(replicas).ok())
            .unwrap_or(DEFAULT_REPLICAS),
        limits: read_limits(&mut section),
        health: read_health(section.section("health")),
        stop_grace: section
            .take("stop_grace")
            .and_then(|value| value.duration_within(STOP_GRACE, "\"10s\""))
            .unwrap_or(DEFAULT_STOP_GRACE),
    };
    let env_files = section.take("env_files").map(|value| env_file::read(value, ground)).unwrap_or_default();
    section.close();
    (run, env_files)
}

fn read_port(value: Option<Value<'_>>) -> Port {
    let number = value.and_then(|value| value.integer_within(1..=65_535, "8080")).unwrap_or(DEFAULT_PORT);
    Port::try_from(number).expect("the number is within the range of ports")
}

fn read_limits(section: &mut Section<'_>) -> Limits {
    Limits {
        memory: section.take("memory").and_then(read_memory).unwrap_or(DEFAULT_MEMORY),
        cpus: read_cpus(section.take("cpus")),
        pids: section
            .take("pids")
            .and_then(|value| value.integer_within(PIDS, "256"))
            .and_then(|pids| u32::try_from(pids).ok())
            .unwrap_or(DEFAULT_PIDS),
    }
}

fn read_memory(value: Value<'_>) -> Option<ByteSize> {
    let (name, problems) = (value.name(), value.problems);
    let hint = |_: &str| "units are KiB, MiB, GiB and kB, MB, GB".to_owned();
    let memory = value.parsed::<ByteSize>("\"256MiB\"", hint)?;
    if memory.value < LEAST_MEMORY {
        let message = format!("{name} is {}, but must be at least {LEAST_MEMORY}", memory.value);
        problems.report(&memory.place, message, "for example memory = \"256MiB\"");
    }
    Some(memory.value)
}

fn read_cpus(value: Option<Value<'_>>) -> Cpus {
    let default = Cpus::from_count(DEFAULT_CPUS).expect("one processor is within the range");
    let Some(value) = value else { return default };
    let problems = value.problems;
    let Some(count) = value.number("0.5") else { return default };
    Cpus::from_count(count.value).unwrap_or_else(|error| {
        problems.report(&count.place, error.to_string(), "for example cpus = 0.5");
        default
    })
}

fn read_health(mut section: Section<'_>) -> Health {
    let health = Health {
        path: section
            .take("path")
            .and_then(read_health_path)
            .unwrap_or_else(|| DEFAULT_HEALTH_PATH.to_owned()),
        start_period: section
            .take("start_period")
            .and_then(|value| value.duration_within(START_PERIOD, "\"30s\""))
            .unwrap_or(DEFAULT_START_PERIOD),
        timeout: section
            .take("timeout")
            .and_then(|value| value.duration_within(PROBE_TIMEOUT, "\"1s\""))
            .unwrap_or(DEFAULT_PROBE_TIMEOUT),
    };
    section.close();
    health
}

/// The path is put into a request line as it is, so it holds nothing that would end it.
fn read_health_path(value: Value<'_>) -> Option<String> {
    let (name, problems) = (value.name(), value.problems);
    let path = value.text("\"/health/ready\"")?;
    let visible = path.value.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    if path.value.starts_with('/') && visible {
        return Some(path.value);
    }
    let message = format!("{name} is {:?}, which is not the path of a request", path.value);
    problems.report(&path.place, message, "for example path = \"/health/ready\"");
    None
}
