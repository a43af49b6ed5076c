//! Starts that were cut off: the launcher or the monitor was killed before the record appeared.
//!
//! A start writes `record.starting` (with the pid) before the exec and renames it to `record.json` after it. If it stops
//! between, the process may be there, alive or a zombie: then the rename is made up for. If it is gone, everything is cleared
//! away.

use std::os::fd::AsFd;

use crate::os::fs::optional;
use crate::os::pidfd::{self, Stage};
use crate::os::proc;

use super::ending::{self, Outcome};
use super::entry::{ENVIRONMENT, Entry, RECORD, SENTINEL, STARTING};
use super::error::{Error, Result};
use super::names::Shelf;
use super::record::{Record, State};
use super::rundir::RunDir;

/// Whether this process has a record, after a start that was cut off has been settled. The caller knows that its launcher
/// or monitor has ended; the kernel may be still about to free their lock, and a child about to exec may hold it.
pub fn is_recorded(run_dir: &RunDir, entry: &Entry) -> Result<bool> {
    if entry.dir.has(RECORD)? {
        return Ok(true);
    }
    if !entry.dir.has(SENTINEL)? {
        clear(run_dir, entry, None)?;
        return Ok(false);
    }
    let _life = entry.wait_for_life()?;
    settle_locked(run_dir, entry)
}

/// Settles a start that was cut off. Says whether there is a record now. Does nothing while the start is under way.
pub fn settle(run_dir: &RunDir, entry: &Entry) -> Result<bool> {
    match entry.take_life()? {
        Some(_life) => settle_locked(run_dir, entry),
        None => Ok(entry.dir.has(RECORD)?),
    }
}

/// The life lock is held: no other start, and no change of a record in state `initial`, comes in between.
fn settle_locked(run_dir: &RunDir, entry: &Entry) -> Result<bool> {
    let before = entry.load()?;
    if before.as_ref().is_some_and(|record| record.state != State::Initial) {
        return Ok(true);
    }
    let starting = match entry.load_starting()? {
        Some(record) => Some((left_of(&record)?, record)),
        None => None,
    };
    match starting {
        Some((Left::Process, record)) => {
            appear(run_dir, entry, &record)?;
            run_dir.names().add(Shelf::Live, &record)?;
            Ok(true)
        }
        Some((Left::Attempt, record)) if before.is_some() => {
            optional(entry.dir.unlink(STARTING))?;
            run_dir.names().remove(Shelf::Live, &record)?;
            Ok(true)
        }
        // It can have run, and a process is started at most once.
        Some((_, mut record)) if before.is_some() => {
            let why = "its monitor was killed while it was being started, and nobody saw whether it ran";
            Outcome::Lost(why.to_owned()).apply_to(&mut record, &[]);
            entry.save_starting(&record)?;
            appear(run_dir, entry, &record)?;
            run_dir.names().move_to_ended(&record)?;
            ending::settle_sentinel(entry)?;
            Ok(true)
        }
        // The record of a start is whole before the exec: it cannot have run.
        None if before.is_some() => {
            optional(entry.dir.unlink(STARTING))?;
            Ok(true)
        }
        starting => {
            clear(run_dir, entry, starting.map(|(_, record)| record).as_ref())?;
            Ok(false)
        }
    }
}

/// Makes up for the last steps of a start.
fn appear(run_dir: &RunDir, entry: &Entry, record: &Record) -> Result<()> {
    entry.dir.rename(STARTING, RECORD)?;
    optional(entry.dir.unlink(ENVIRONMENT))?;
    run_dir.names().remove(Shelf::Initial, record)
}

/// What there is of a process whose start was cut off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// It runs, or it has run and was not reaped yet: how it ended is still to be had.
    Process,
    /// It ends, or has ended, before it has executed anything.
    Attempt,
    /// Nothing, or nobody may know.
    Nothing,
}

fn left_of(record: &Record) -> Result<Left> {
    let Some(process) = record.process() else { return Ok(Left::Nothing) };
    let failed = |e| Error::system(format!("cannot look at process {}", process.pid), e);
    let Some(pidfd) = process.open().map_err(failed)? else { return Ok(Left::Nothing) };
    // It is read by its number, which was its own if it still is. One that seems to live may be about to end: the kernel frees its
    // locks before it makes it a zombie.
    let executed = proc::has_executed(process.pid).ok().filter(|_| pidfd::is_unreaped(pidfd.as_fd()));
    Ok(match executed {
        Some(true) => Left::Process,
        Some(false) => Left::Attempt,
        None if pidfd::stage(pidfd.as_fd()).map_err(failed)? == Stage::Alive => Left::Process,
        None => Left::Nothing,
    })
}

/// Removes what a start that never was has left.
pub fn clear(run_dir: &RunDir, entry: &Entry, record: Option<&Record>) -> Result<()> {
    if let Some(record) = record {
        run_dir.names().remove_everywhere(record)?;
    }
    run_dir.remove_entry(&entry.id)
}

#[cfg(test)]
mod tests {
    use nix::libc;

    use super::super::identity::Identity;
    use super::super::record::tests::OLD;
    use super::*;
    use crate::os::process::{self, Fork};

    fn left_of_pid(pid: i32) -> Left {
        let (process, ..) = Identity::of_pid(pid).expect("there is a /proc").expect("it lives");
        let mut record = Record::from_json(OLD.as_bytes()).expect("loads");
        record.pid = Some(process.pid);
        record.start_ticks = Some(process.start_ticks);
        record.pidfd_inode = process.pidfd_inode;
        left_of(&record).expect("there is a /proc")
    }

    #[test]
    fn what_has_executed_nothing_is_no_process_though_it_seems_to_live() {
        let Fork::Parent(pid) = process::fork().expect("a process") else {
            loop {
                nix::unistd::pause();
            }
        };
        let left = left_of_pid(pid);
        process::signal_child(pid, libc::SIGKILL);
        process::reap(pid).expect("a child");
        assert_eq!(left, Left::Attempt);

        let mut sleeper = std::process::Command::new("sleep").arg("1000").spawn().expect("a sleep");
        let left = left_of_pid(i32::try_from(sleeper.id()).expect("a pid"));
        sleeper.kill().expect("a child");
        sleeper.wait().expect("a child");
        assert_eq!(left, Left::Process);
    }
}
