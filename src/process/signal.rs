//! Sending signals to processes that procctl started, and to no others.

use std::os::fd::{AsFd, BorrowedFd};

use nix::libc;

use crate::os::pidfd;
use crate::os::proc::Stat;
use crate::os::process;

use super::entry::Entry;
use super::error::{Error, Result, message};
use super::observe::{Life, Observed, Pin};
use super::record::{Action, EndedBy};
use super::time::Moment;

/// What is sent, and in whose name.
#[derive(Clone, Copy, Debug)]
pub struct Order {
    /// The deed.
    pub action: Action,
    /// The signal's number.
    pub signal: i32,
}

impl Order {
    /// `terminate`
    pub const TERMINATE: Self = Self { action: Action::Terminate, signal: libc::SIGTERM };
    /// `kill`
    pub const KILL: Self = Self { action: Action::Kill, signal: libc::SIGKILL };
    /// `interrupt`
    pub const INTERRUPT: Self = Self { action: Action::Interrupt, signal: libc::SIGINT };

    /// Whether the signal asks a process to end. A stopped one is continued for it.
    pub fn ends(self) -> bool {
        matches!(self.signal, libc::SIGTERM | libc::SIGINT | libc::SIGQUIT | libc::SIGHUP | libc::SIGKILL)
    }
}

/// Whether a process took the signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It was sent.
    Sent,
    /// The process had ended: nothing was done.
    HadEnded,
}

/// Sends a signal to the process alone.
pub fn send(seen: &Observed, order: Order) -> Result<Delivered> {
    let id = &seen.record.id;
    let whom = format!("{id} ({})", seen.record.name);
    match &seen.life {
        Life::Ended | Life::Ending(_) => Ok(Delivered::HadEnded),
        Life::Initial => Err(Error::hinted(
            format!("cannot signal {whom}: it has not been started"),
            format!("procctl start {id}, or procctl close {id}"),
        )),
        Life::Elsewhere => {
            Err(Error::refused(format!("cannot signal {whom}: it is on the host {}", seen.record.host)))
        }
        Life::Alive { pin: Pin::OutOfReach, .. } => {
            Err(Error::refused(format!("cannot signal {whom}: it is in another PID namespace")))
        }
        Life::Alive { pin: Pin::Held(pidfd), .. } => send_through(seen, pidfd.as_fd(), order),
        Life::Alive { pin: Pin::Released, .. } => {
            let process = seen.record.process().map(|process| process.open()).transpose();
            match process
                .map_err(|e| Error::system(format!("cannot look at the process of {id}"), e))?
                .flatten()
            {
                Some(pidfd) => send_through(seen, pidfd.as_fd(), order),
                None => Ok(Delivered::HadEnded),
            }
        }
    }
}

fn send_through(seen: &Observed, pidfd: BorrowedFd<'_>, order: Order) -> Result<Delivered> {
    let failed = |e| cannot_signal(&format!("{} ({})", seen.record.id, seen.record.name), &e);
    // A signal that may not be sent explains nothing: it is not noted.
    match pidfd::send_signal(pidfd, 0) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Ok(Delivered::HadEnded),
        other => other.map_err(failed)?,
    }
    if order.signal != 0 {
        note(&seen.entry, order);
    }
    send_to(pidfd, seen.record.pid.unwrap_or(0), order).map_err(failed)
}

/// Why a process, or more of them, could not be signalled.
pub fn cannot_signal(whom: &str, why: &std::io::Error) -> Error {
    let what = format!("cannot signal {whom}: {}", message(why));
    if why.raw_os_error() == Some(libc::EPERM) {
        // A set-user-ID command, mostly.
        return Error::hinted(what, "it runs as another user now: only that user and root can signal it");
    }
    Error::refused(what)
}

/// Whether a process is stopped, by a signal or by a debugger that holds it in such a stop. One that /proc does not show may be.
pub fn may_be_stopped(pid: i32) -> bool {
    Stat::of(pid).map_or(true, |stat| matches!(stat.state, 'T' | 't'))
}

/// Notes who sends what, before it is sent: the monitor reads it at the end. Best effort, for the signal counts more.
pub fn note(entry: &Entry, order: Order) {
    let Order { action, signal } = order;
    let _ = entry.note_signal(&EndedBy { action, signal, by_pid: process::os_parent(), at: Moment::now() });
}

/// Sends it through a pidfd, which never means another process.
pub fn send_to(pidfd: BorrowedFd<'_>, pid: i32, order: Order) -> std::io::Result<Delivered> {
    match pidfd::send_signal(pidfd, order.signal) {
        Err(e) if e.raw_os_error() == Some(libc::ESRCH) => return Ok(Delivered::HadEnded),
        other => other?,
    }
    // /proc goes by pid, but the worst that a pid of somebody else's can do here is a needless SIGCONT to our process.
    if order.ends() && may_be_stopped(pid) {
        let _ = pidfd::send_signal(pidfd, libc::SIGCONT);
    }
    Ok(Delivered::Sent)
}
