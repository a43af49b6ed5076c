//! The new process, from its first instant to the exec of the command.
//!
//! It runs in the monitor's memory (see [`crate::os::process::spawn`]): what it notes here, the monitor reads.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::sync::atomic::AtomicBool;

use nix::libc;
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};

use crate::os::fd;
use crate::os::process::{self, PointerList};
use crate::os::signals::Blocked;

use super::entry::{Entry, STARTING};
use super::error::{Error, message, status};
use super::identity::Identity;
use super::record::Record;
use super::streams::{Opened, Source};
use super::time::Moment;

/// Everything that the new process needs, prepared before there is one.
#[derive(Debug)]
pub struct Plan {
    /// Whether it gets a session of its own.
    pub own_session: bool,
    /// Its standard streams.
    pub streams: Opened,
    /// Further descriptors to leave open.
    pub passed: Vec<RawFd>,
    /// Where to go first; `None`: it is there already.
    pub directory: Option<CString>,
    /// The caller's umask.
    pub umask: rustix::fs::Mode,
    /// The caller's signal mask, and what it did with SIGCHLD.
    pub signals: Blocked,
    /// The files that the command may mean, in the order of `PATH`.
    pub candidates: Vec<CString>,
    /// The arguments, the command's name first.
    pub arguments: PointerList,
    /// The environment.
    pub environment: PointerList,
}

/// Why there is no new process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Failure {
    /// The kernel made no process.
    Fork(i32),
    /// The working directory could not be entered.
    Directory(i32),
    /// A step before the exec failed: what, and the error number.
    Setup(String, i32),
    /// Something of ours could not be made or written: the whole message, and what to do about it.
    Ours(String, Option<String>),
    /// It was killed before it could execute anything.
    Killed,
    /// No candidate is there.
    NotFound,
    /// A candidate is there and could not be executed.
    Exec(i32),
    /// The interpreter that the file names is not there.
    Interpreter,
}

impl Failure {
    /// That of an error of ours.
    pub fn of(error: &Error) -> Self {
        Self::Ours(message(error), error.hint().map(str::to_owned))
    }

    /// The error that it is for the caller of `command`.
    pub fn into_error(self, command: &str, directory: &str) -> Error {
        let os = io::Error::from_raw_os_error;
        let exec = |status, source| Error::Exec { command: command.to_owned(), status, source };
        match self {
            Self::Fork(e) => Error::Fork(os(e)),
            Self::Directory(e) => {
                Error::system(format!("cannot enter the working directory {directory}"), os(e))
            }
            Self::Setup(what, e) => Error::system(what, os(e)),
            Self::Ours(what, hint) => Error::Refused { what, hint },
            Self::Killed => {
                Error::refused(format!("the new process was killed before it could execute {command}"))
            }
            // Only a name is looked for.
            Self::NotFound if command.contains('/') => exec(status::NOT_FOUND, os(libc::ENOENT)),
            Self::NotFound => exec(status::NOT_FOUND, io::Error::other("command not found")),
            Self::Exec(e) => exec(status::CANNOT_EXECUTE, os(e)),
            Self::Interpreter => exec(
                status::CANNOT_EXECUTE,
                io::Error::other("the interpreter that it asks for is not there"),
            ),
        }
    }
}

fn number(e: &io::Error) -> i32 {
    e.raw_os_error().unwrap_or(libc::EIO)
}

/// In the new process: become the command. Returns only if that failed. `executing`: the kernel was asked to.
///
/// Before the exec the record is completed with what only the process itself knows, and written as `record.starting`.
pub fn become_command(
    plan: &Plan,
    entry: &Entry,
    record: &mut Record,
    monitor: i32,
    executing: &AtomicBool,
) -> Failure {
    let failure = match prepare(plan, entry, record, monitor) {
        Ok(()) => exec(plan, executing),
        Err(failure) => failure,
    };
    // If the monitor is killed before it can do this, nobody is to take the zombie of the attempt for a command that has run.
    let _ = entry.dir.unlink(STARTING);
    failure
}

fn prepare(plan: &Plan, entry: &Entry, record: &mut Record, monitor: i32) -> Result<(), Failure> {
    let setup = |what: &str| {
        let what = what.to_owned();
        move |e: io::Error| Failure::Setup(what, number(&e))
    };
    if plan.own_session {
        process::new_session().map_err(setup("cannot make a session"))?;
    }
    if record.daemon {
        process::die_with_os_parent(libc::SIGTERM)
            .map_err(setup("cannot ask for the parent-death signal"))?;
        // The monitor may have been killed before the kernel was asked.
        if process::os_parent() != monitor {
            return Err(Failure::Setup("the monitor was killed".to_owned(), libc::ESRCH));
        }
    }
    let me = Identity::of_self().map_err(setup("cannot look at the new process in /proc"))?;
    record.pid = Some(me.pid);
    record.start_ticks = Some(me.start_ticks);
    record.pidfd_inode = me.pidfd_inode;
    record.started_at = Some(Moment::now());
    entry.save_starting(record).map_err(|e| Failure::of(&e))?;

    rustix::process::umask(plan.umask);
    if let Some(directory) = &plan.directory {
        retry_on_intr(|| rustix::process::chdir(directory.as_c_str()))
            .map_err(|e| Failure::Directory(e.raw_os_error()))?;
    }
    fd::keep_all_from_exec().map_err(setup("cannot keep descriptors from the command"))?;
    for &passed in &plan.passed {
        fd::pass_on(passed).map_err(setup("cannot pass a descriptor on"))?;
    }
    for (stream, source) in (0..).zip(&plan.streams.sources) {
        let from = match source {
            Source::Inherited => continue,
            Source::Opened(fd) => fd.as_raw_fd(),
            Source::Null => plan.streams.null.as_raw_fd(),
            Source::LikeStdout => 1,
        };
        fd::put(from, stream).map_err(setup("cannot set up the standard streams"))?;
    }
    plan.signals.restore().map_err(setup("cannot set up signals"))
}

/// As execvp(3) searches, but without a shell for files that are no programs.
fn exec(plan: &Plan, executing: &AtomicBool) -> Failure {
    let (mut denied, mut is_there) = (false, false);
    for candidate in &plan.candidates {
        // Whoever is killed in an exec that is about to fail can't be told from the command. So none is tried in vain that can be
        // known to be.
        let error = match rustix::fs::stat(candidate.as_c_str()) {
            Ok(_) => {
                is_there = true;
                process::exec(candidate, &plan.arguments, &plan.environment, executing)
            }
            Err(e) => e.into(),
        };
        match number(&error) {
            libc::ENOENT | libc::ENOTDIR | libc::ENAMETOOLONG | libc::ELOOP => {}
            libc::EACCES => denied = true,
            other => return Failure::Exec(other),
        }
    }
    // ENOENT is said of a file that is there, too: when its interpreter is not.
    if denied {
        Failure::Exec(libc::EACCES)
    } else if is_there {
        Failure::Interpreter
    } else {
        Failure::NotFound
    }
}
