//! What can go wrong in the domain: a sentence, its cause, and what to do about it.

use std::fmt;
use std::io;

use nix::libc;

use crate::os::fs::FileError;

/// A result of the domain.
pub type Result<T> = std::result::Result<T, Error>;

/// Exit statuses of procctl itself.
pub mod status {
    /// `is-alive`: not alive.
    pub const NOT_ALIVE: u8 = 1;
    /// `doctor`: something needs attention.
    pub const ATTENTION: u8 = 1;
    /// `join`: the time ran out.
    pub const TIMEOUT: u8 = 124;
    /// procctl itself failed or refused.
    pub const FAILED: u8 = 125;
    /// The command could not be executed.
    pub const CANNOT_EXECUTE: u8 = 126;
    /// The command was not found.
    pub const NOT_FOUND: u8 = 127;
    /// Added to the number of the signal that ended a process.
    pub const SIGNAL_BASE: u8 = 128;
}

/// An error of the domain. Messages: lower case, no full stop, the value concerned in them.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file of ours.
    #[error(transparent)]
    File(#[from] FileError),
    /// A deed that the kernel refused.
    #[error("{what}")]
    System {
        /// The deed in words.
        what: String,
        /// The kernel's reason.
        #[source]
        source: io::Error,
    },
    /// The kernel made no process, or not what it takes to hear from it.
    #[error("cannot make a process")]
    Fork(#[source] io::Error),
    /// Something that procctl will not do.
    #[error("{what}")]
    Refused {
        /// What, and why.
        what: String,
        /// What to do instead.
        hint: Option<String>,
    },
    /// The command could not be executed.
    #[error("cannot execute {command}")]
    Exec {
        /// The command's name as given.
        command: String,
        /// 126 or 127.
        status: u8,
        /// The kernel's reason, or a better one.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// A refusal without a hint.
    pub fn refused(what: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), hint: None }
    }

    /// A refusal with a hint.
    pub fn hinted(what: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Refused { what: what.into(), hint: Some(hint.into()) }
    }

    /// A failed system call.
    pub fn system(what: impl Into<String>, source: impl Into<io::Error>) -> Self {
        Self::System { what: what.into(), source: source.into() }
    }

    /// What to do about it, if we know.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::Refused { hint, .. } => hint.as_deref(),
            Self::File(FileError { source, .. }) | Self::System { source, .. } => limit_of_files(source),
            Self::Fork(source) | Self::Exec { source, .. } => {
                limit_of_files(source).or_else(|| limit_of_processes(source))
            }
        }
    }

    /// Whether a file could not be written because this process may never write there: it is no use to try again.
    pub fn is_for_good(&self) -> bool {
        use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Self::File(e) if matches!(e.source.kind(), ReadOnlyFilesystem | PermissionDenied))
    }

    /// Whether it tells nothing of what was looked at: the kernel did not let us, or there were no descriptors or memory.
    pub fn is_no_answer(&self) -> bool {
        match self {
            Self::File(e) => {
                matches!(e.source.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM))
            }
            Self::System { .. } | Self::Fork(_) => true,
            Self::Refused { .. } | Self::Exec { .. } => false,
        }
    }

    /// The exit status it means.
    pub fn status(&self) -> u8 {
        match self {
            Self::Exec { status, .. } => *status,
            _ => status::FAILED,
        }
    }
}

fn limit_of_files(e: &io::Error) -> Option<&'static str> {
    let is_reached = e.raw_os_error() == Some(libc::EMFILE);
    is_reached.then_some(
        "the limit of open files is reached: see ulimit -n, and ulimit -Hn for how far it can be raised",
    )
}

/// Of a fork or an exec: elsewhere that number means something else.
fn limit_of_processes(e: &io::Error) -> Option<&'static str> {
    let is_reached = e.raw_os_error() == Some(libc::EAGAIN);
    is_reached
        .then_some("is the limit of processes reached? See ulimit -u, and pids.max of the control group")
}

/// An error and its causes in one line.
pub fn message(error: &(dyn std::error::Error + 'static)) -> String {
    struct Chain<'a>(&'a (dyn std::error::Error + 'static));
    impl fmt::Display for Chain<'_> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write!(f, "{}", self.0)?;
            let mut next = self.0.source();
            while let Some(cause) = next {
                write!(f, ": {cause}")?;
                next = cause.source();
            }
            Ok(())
        }
    }
    // The number says nothing to people that the words do not.
    let text = Chain(error).to_string();
    match text.rfind(" (os error ") {
        Some(at) if text.ends_with(')') => text[..at].to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_named_where_the_number_means_one() {
        let says = |error: &Error, limit: &str| error.hint().is_some_and(|hint| hint.contains(limit));
        let os = io::Error::from_raw_os_error;
        let exec = |number| Error::Exec {
            command: String::new(),
            status: status::CANNOT_EXECUTE,
            source: os(number),
        };
        assert!(says(&FileError::new("open", "x", os(libc::EMFILE)).into(), "ulimit -n"));
        assert!(says(&Error::system("x", os(libc::EMFILE)), "ulimit -n"));
        assert!(says(&Error::Fork(os(libc::EMFILE)), "ulimit -n"));
        assert!(says(&Error::Fork(os(libc::EAGAIN)), "ulimit -u"));
        assert!(says(&exec(libc::EAGAIN), "ulimit -u"));
        // A pipe that is full, say.
        assert_eq!(Error::system("cannot write", os(libc::EAGAIN)).hint(), None);
        assert_eq!(exec(libc::EACCES).hint(), None);
    }
}
