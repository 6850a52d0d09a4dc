//! Where bollard's errors become ours, in one function.

use std::io::ErrorKind;

use bollard::errors::Error;

use super::connect::Engine;
use crate::runtime::RuntimeError;

impl Engine {
    /// For `map_err`: `engine.failed_to("list the containers")`.
    pub(super) fn failed_to(&self, what: impl Into<String>) -> impl FnOnce(Error) -> RuntimeError {
        let (engine, address, what) = (self.name(), self.address.clone(), what.into());
        move |error| match connection_fault(&error) {
            Some(reason) => RuntimeError::Unreachable { engine, address, reason },
            None => RuntimeError::Refused { what, reason: reason_of(&error) },
        }
    }
}

/// The HTTP status that the engine answered with. The texts differ between engines; this does not.
pub(super) fn status_of(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// What the engine itself said, without bollard's words around it.
pub(super) fn reason_of(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => message.trim().to_owned(),
        Error::DockerStreamError { error } => error.trim().to_owned(),
        other => other.to_string(),
    }
}

/// Why the engine cannot be talked to; `None` where it did answer.
pub(super) fn connection_fault(error: &Error) -> Option<String> {
    match error {
        // These two show their cause as themselves, so the chain has to begin with it.
        Error::IOError { err } => Some(io_reason(err)),
        Error::HyperResponseError { err } => Some(io_reason(err)),
        Error::HyperLegacyError { err } => Some(io_reason(err)),
        Error::SocketNotFoundError(_) => Some("no such file".to_owned()),
        Error::RequestTimeoutError => Some("no answer in time".to_owned()),
        _ => None,
    }
}

/// The words for the operating system's error at the bottom of the chain.
fn io_reason(error: &(dyn std::error::Error + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let kind = cause.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    match kind {
        Some(ErrorKind::NotFound) => "no such file".to_owned(),
        Some(ErrorKind::ConnectionRefused) => "nothing listens there".to_owned(),
        Some(ErrorKind::PermissionDenied) => {
            "permission denied; hint: join the group that owns the socket (sudo usermod -aG docker $USER) \
             and log in again"
                .to_owned()
        }
        _ => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine() -> Engine {
        Engine::for_tests()
    }

    #[test]
    fn a_lost_connection_is_an_engine_that_does_not_answer() {
        let lost = Error::IOError { err: std::io::Error::from(ErrorKind::ConnectionRefused) };
        let error = engine().failed_to("list the containers")(lost);
        assert!(error.is_unreachable());
        assert_eq!(
            error.to_string(),
            "the Docker engine at unix:///engine.sock does not answer: nothing listens there"
        );
    }

    #[test]
    fn a_refusal_names_what_was_asked_and_what_the_engine_said() {
        let refused =
            Error::DockerResponseServerError { status_code: 500, message: "no space left\n".to_owned() };
        assert_eq!(
            engine().failed_to("create volume store-data")(refused).to_string(),
            "the engine could not create volume store-data: no space left"
        );
    }

    #[test]
    fn a_socket_of_another_group_comes_with_the_way_in() {
        let denied = Error::IOError { err: std::io::Error::from(ErrorKind::PermissionDenied) };
        let reason = connection_fault(&denied).unwrap();
        assert!(reason.starts_with("permission denied") && reason.contains("usermod -aG docker"), "{reason}");
    }
}
