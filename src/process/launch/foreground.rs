//! Running in the foreground: procctl is the monitor itself, in the caller's process group.

use nix::sys::signal::Signal;

use crate::os::process;
use crate::os::signals::{self, Received, SignalFd};

use crate::process::child::Plan;
use crate::process::entry::RECORD;
use crate::process::error::{Error, Result};
use crate::process::monitor::{Job, Supervisor};
use crate::process::record::Record;

/// Signals that `run` passes on to its command.
const FORWARDED: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

/// Runs it until it has ended. Returns the final record.
pub(super) fn run(mut job: Box<Job<'_>>) -> Result<Record> {
    let (command, directory) = (job.record.command[0].to_string(), job.record.cwd.to_string());
    let _ = process::become_subreaper();
    let mut waited_for = FORWARDED.to_vec();
    waited_for.push(Signal::SIGCHLD);
    let signals = SignalFd::new(&waited_for).map_err(|e| {
        job.undo();
        Error::system("cannot wait for signals", e)
    })?;
    let pid = job.begin().map_err(|failure| failure.into_error(&command, &directory))?;
    let Job { run_dir, entry, record, plan, life, creator, number, name_lock, .. } = *job;
    let Plan { signals: blocked, streams, .. } = plan;
    let creator = creator.filter(|_| record.daemon);
    // Recording the end takes descriptors, and there may be no others.
    drop((number, name_lock, streams));
    // Stop signals and the rest act on procctl as on any program, so that ^Z and fg work. Those that are forwarded have
    // been blocked since before there was a process, and none is lost.
    let _ = signals::set_mask(&signals::union(&blocked.mask, &waited_for));
    let supervisor =
        Supervisor { run_dir, entry: &entry, pid, signals: Some(&signals), parent: creator.as_ref() };
    let ended = supervisor.wait(&mut |received: Received| {
        if !is_for_the_group(received) {
            process::signal_child(pid, received.signal);
        }
    });
    let recorded = supervisor.record(ended);
    drop(life);
    // What came for a command that had just ended goes nowhere.
    while signals.next().is_ok_and(|received| received.is_some()) {}
    drop(blocked);
    recorded.ok_or_else(|| {
        Error::refused(format!(
            "the record {} was removed while the process ran",
            entry.path(RECORD).display()
        ))
    })
}

/// Whether the whole foreground group, and so the command, has a signal already: the terminal sent it. A hang-up is sent to
/// the leader of the session alone.
fn is_for_the_group(received: Received) -> bool {
    received.by_kernel && !(received.signal == Signal::SIGHUP as i32 && process::is_session_leader())
}
