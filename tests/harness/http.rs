//! One plain HTTP request, on a connection of its own.

use std::time::Duration;

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub body: String,
}

/// GET, whatever the status; a failure of the connection is a failure of the test.
#[track_caller]
pub fn get(url: &str) -> Answer {
    try_get(url).unwrap_or_else(|error| panic!("GET {url}: {error}"))
}

pub fn try_get(url: &str) -> Result<Answer, ureq::Error> {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let mut response = agent.get(url).call()?;
    Ok(Answer { status: response.status().as_u16(), body: response.body_mut().read_to_string()? })
}

/// As [`get`], for another host than the one that is asked: names need not resolve here.
#[track_caller]
pub fn get_as(host: &str, url: &str) -> Answer {
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(Duration::from_secs(20)))
        .build()
        .into();
    let mut response = agent.get(url).header("host", host).call().expect("the gateway answers");
    let body = response.body_mut().read_to_string().expect("the answer is a text");
    Answer { status: response.status().as_u16(), body }
}
