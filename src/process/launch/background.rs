//! Starting under a monitor of its own.

use std::io;
use std::os::fd::OwnedFd;

use crate::os::fault::{self, deed, moment};
use crate::os::process::{self, Fork};

use crate::process::child::Plan;
use crate::process::entry::Entry;
use crate::process::error::{Error, Result};
use crate::process::monitor::{Answer, Job};
use crate::process::observe;
use crate::process::record::{Record, State};
use crate::process::recover;
use crate::process::rundir::RunDir;

/// What the launcher does when it has heard from the monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Then {
    /// It ends.
    End,
    /// It starts another one, whose monitor gets a copy of its memory.
    StartMore,
}

/// Forks the monitor and waits for its answer.
pub(super) fn start(job: Box<Job<'_>>, then: Then) -> Result<Record> {
    let forked = pipe().and_then(|pipe| Ok((process::fork()?, pipe)));
    match forked {
        Ok((Fork::Child, (_, report))) => {
            fault::play("monitor");
            job.run_as_monitor(report)
        }
        Ok((Fork::Parent(_), (answer, report))) => {
            drop(report);
            hear(job, &answer, then)
        }
        Err(e) => {
            job.undo();
            Err(Error::Fork(e))
        }
    }
}

/// A pipe for the answer of a monitor: where it is read, and where it is written.
pub(super) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    deed("pipe", "", || Ok(rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?))
}

/// In the launcher: waits for the monitor's answer. Not a part of the function above, whose frame the monitor keeps.
#[inline(never)]
fn hear(job: Box<Job<'_>>, answer: &OwnedFd, then: Then) -> Result<Record> {
    // The monitor's copies of the locks are to be the only ones.
    let Job { run_dir, entry, mut record, plan, life, number, name_lock, creator, .. } = *job;
    let Plan { streams, signals, directory, candidates, arguments, environment, .. } = plan;
    drop((life, number, name_lock, creator, streams, signals));
    let memory = (directory, candidates, arguments, environment);
    match then {
        // To give it back would be to write to pages that are the monitor's, too, and so to copy them.
        Then::End => std::mem::forget(memory),
        Then::StartMore => drop(memory),
    }
    let mut bytes = Vec::new();
    if let Err(e) = read_to_end(answer, &mut bytes) {
        return unheard(run_dir, &entry, e);
    }
    match serde_json::from_slice(&bytes) {
        Ok(Answer::Started(started)) => {
            started.complete(&mut record);
            Ok(record)
        }
        Ok(Answer::Failed(failure)) => {
            Err(failure.into_error(&record.command[0].to_string(), &record.cwd.to_string()))
        }
        // It was killed before it could say anything.
        Err(_) => without_answer(run_dir, &entry),
    }
}

/// The monitor was killed. Its process lives, and then there is a record; or there is neither.
pub(super) fn without_answer(run_dir: &RunDir, entry: &Entry) -> Result<Record> {
    let record = if recover::is_recorded(run_dir, entry)? { observe::facts(run_dir, entry)? } else { None };
    match record {
        Some((record, _)) if record.state != State::Initial => Ok(record),
        _ => Err(Error::refused("the monitor was killed before the process was started")),
    }
}

/// The answer could not be read. What came of the start can be seen when it is over.
fn unheard(run_dir: &RunDir, entry: &Entry, e: std::io::Error) -> Result<Record> {
    match entry.wait_for_start().and_then(|()| observe::facts(run_dir, entry)) {
        Ok(Some((record, _))) if record.state != State::Initial => Ok(record),
        _ => Err(Error::system("cannot hear from the monitor", e)),
    }
}

/// Reads a pipe to its end.
pub(super) fn read_to_end(pipe: &OwnedFd, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        moment("answer");
        match rustix::io::read(pipe, &mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}
