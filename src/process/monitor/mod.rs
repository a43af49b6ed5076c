//! The monitor: the OS parent of one process. It starts the command, waits for its end and records it.
//!
//! Its life, and what must hold if it is killed after each step:
//!
//! | step | killed after it |
//! |---|---|
//! | forked, holding the life lock | nothing was recorded: a leftover, cleared |
//! | child wrote `record.starting` | the child, on its way to exec, holds the life lock as well; see [`super::recover`] |
//! | `record.starting` renamed to `record.json` | the process lives without a monitor, which everyone sees, until somebody gives it a new one: [`adoption`] |
//! | the end seen (the process is a zombie now) | the kernel gives the zombie to init; whoever holds its pidfd can still ask |
//! | record final | nothing is lost |
//! | reaped, sentinel closed | — |

pub mod adoption;
mod job;
mod supervisor;

use std::ffi::CStr;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;

use crate::os::signals::SignalFd;
use crate::os::{fd, stack, title};

use super::entry::Entry;
use super::record::{Action, EndedBy, Record};
use super::retention;
use super::rundir::RunDir;
use super::time::Moment;

pub use job::{Answer, Job, give_up};
pub use supervisor::Supervisor;

/// What `ps` shows of a monitor, before the id and the name of its process.
pub const TITLE: &str = "procctl: monitor of ";
/// The name of a monitor's program in /proc.
const PROGRAM: &CStr = c"procctl-monitor";

/// In a fork of a command that is to be a monitor from now on: lets go of everything that was the command's: standard
/// streams, working directory, all descriptors but those kept and the run directory's, and what `ps` shows.
///
/// All signals are blocked; those that are handled can be read from the result. `None` if there is no descriptor to be had.
/// The other result is for how long ended records are kept.
#[expect(unsafe_code, reason = "what the title is written over is not used any more")]
fn settle_down(
    run_dir: &RunDir,
    record: &Record,
    null: RawFd,
    mut kept: Vec<RawFd>,
    handled: &[Signal],
) -> (Option<SignalFd>, Option<Duration>) {
    for stream in 0..3 {
        // Whatever happens, nobody waits for the end of a stream that a monitor holds.
        if fd::put(null, stream).is_err() {
            fd::close(stream);
        }
    }
    let _ = rustix::process::chdir("/");
    kept.push(run_dir.root.as_fd().as_raw_fd());
    let _ = fd::close_all_but(&mut kept);
    // Only now: there are descriptors to be had.
    let signals = SignalFd::new(handled).ok();
    // The last look at the environment: the title is written over it.
    let keep = retention::keep();
    let text = format!("{TITLE}{} {}", record.id, record.name);
    // SAFETY: a monitor does not return from here to the command that it was; what it still does looks at no variable, and the
    // environment of its process, which borrows from its own, has been handed to the kernel and is not used again.
    let _ = unsafe { title::set(PROGRAM, &text) };
    stack::release();
    (signals, keep)
}

/// Notes that a daemonic process is told to end because its parent has ended.
fn note_parent_exit(entry: &Entry, parent: i32) {
    let note =
        EndedBy { action: Action::ParentExit, signal: libc::SIGTERM, by_pid: parent, at: Moment::now() };
    // The signal counts more than the note of it.
    let _ = entry.note_signal(&note);
}
