//! What the process says to its caller when it ends.

/// The exit codes of every command, as documented in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitCode {
    Ok,
    Failed,
    Usage,
    EngineUnreachable,
    TimedOut,
    Unhealthy,
    Conflict,
    Cancelled,
    /// A child's own code, passed through.
    Child(u8),
}

impl ExitCode {
    /// The code of a child process; one that does not fit (ended by a signal) is 255.
    #[must_use]
    pub fn of_child(code: i32) -> Self {
        Self::Child(u8::try_from(code).unwrap_or(u8::MAX))
    }

    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::EngineUnreachable => 3,
            Self::TimedOut => 4,
            Self::Unhealthy => 5,
            Self::Conflict => 6,
            Self::Cancelled => 130,
            Self::Child(code) => code,
        }
    }
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        Self::from(code.number())
    }
}
