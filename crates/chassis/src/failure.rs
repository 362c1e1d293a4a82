//! Why a process ended, and the exit status that says so.

use std::error::Error;
use std::fmt::Write as _;
use std::process::ExitCode;

use tokio::task::JoinError;

/// Ends a process. The text is one line for an operator.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// A setting cannot be used: status 64 (`EX_USAGE` of sysexits.h).
    #[error("{variable}: {problem}")]
    Setting {
        /// The environment variable.
        variable: &'static str,
        /// What is wrong with its value.
        problem: String,
    },
    /// Something the process cannot start without does not answer: status 69 (`EX_UNAVAILABLE`).
    #[error("{what}: {problem}")]
    Unavailable {
        /// The setting that names it.
        what: &'static str,
        /// What happened.
        problem: String,
    },
    /// Anything else: status 1.
    #[error("{what}")]
    Broken {
        /// What could not be done.
        what: &'static str,
        /// Why.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
}

impl Failure {
    /// Wraps an error with what it prevented.
    pub fn broken<E>(what: &'static str) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        move |source| Self::Broken {
            what,
            source: source.into(),
        }
    }

    /// A task that panicked. Its words may hold what it was about; where it was, the log says.
    pub fn panicked(what: &'static str) -> impl FnOnce(JoinError) -> Self {
        move |_words| Self::Broken {
            what,
            source: "the log says where".into(),
        }
    }

    /// The exit status.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Setting { .. } => ExitCode::from(64),
            Self::Unavailable { .. } => ExitCode::from(69),
            Self::Broken { .. } => ExitCode::FAILURE,
        }
    }

    /// The whole story in one line: the failure and its sources.
    pub fn line(&self) -> String {
        let mut line = self.to_string();
        let mut source = self.source();
        while let Some(error) = source {
            let _infallible = write!(line, ": {error}");
            source = error.source();
        }
        line.replace('\n', " ")
    }
}
