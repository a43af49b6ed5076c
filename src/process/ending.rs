//! The end of a process: made part of the record once, by whoever has seen it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use nix::libc;

use crate::os::pidfd;
use crate::os::proc::{self, Times, Zombie};
use crate::os::process::{Status, Usage as OsUsage};

use super::entry::{Entry, WriteLock};
use super::error::Result;
use super::names::Shelf;
use super::record::{Action, EndedBy, Record, State, Witness, exitcode};
use super::rundir::RunDir;
use super::time::Moment;

/// What a witness of an end was told of the usage.
#[derive(Clone, Copy, Debug)]
pub enum Used {
    /// All of it, as its OS parent.
    All(OsUsage),
    /// What of a zombie's is in /proc.
    Partly(Times),
    /// Nothing.
    Unknown,
}

/// What is known of an end.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It was seen.
    Seen {
        /// How it ended.
        status: Status,
        /// What it used.
        used: Used,
        /// When.
        at: Moment,
        /// By whom.
        witness: Witness,
    },
    /// Nobody saw it: why.
    Lost(String),
}

impl Outcome {
    /// What the kernel tells, whoever asks, of a process that has been reaped (`PIDFD_INFO_EXIT`, Linux 6.15). `None` where
    /// it does not.
    pub fn told_by_kernel(pidfd: impl AsFd, at: Moment) -> Option<Self> {
        let status = Status::from_wait(pidfd::exit_status(pidfd)?);
        Some(Self::Seen { status, used: Used::Unknown, at, witness: Witness::Pidfd })
    }

    /// What /proc tells of a process that has ended and was not reaped yet, by whomever: before the kernel can be asked, but
    /// not to everybody (and not before Linux 5.17). `None` where it does not.
    pub fn told_by_zombie(pid: i32, pidfd: BorrowedFd<'_>, at: Moment) -> Option<Self> {
        let zombie = zombie(pid, pidfd)?;
        let status = Status::from_wait(zombie.status?);
        Some(Self::Seen { status, used: Used::Partly(zombie.times), at, witness: Witness::Pidfd })
    }

    /// Whether it says something that the record does not.
    fn adds_to(&self, record: &Record) -> bool {
        match self {
            Self::Seen { .. } => record.exitcode.is_none(),
            Self::Lost(_) => !record.is_final(),
        }
    }

    /// Makes the record final. `signals` are those that procctl sent.
    pub fn apply_to(&self, record: &mut Record, signals: &[EndedBy]) {
        record.state = State::Stopped;
        match self {
            Self::Seen { status, used, at, witness } => {
                record.exitcode = Some(exitcode(*status));
                record.core_dumped = Some(matches!(status, Status::Signaled { core_dumped: true, .. }));
                match *used {
                    Used::All(usage) => record.usage = Some(usage.into()),
                    Used::Partly(times) => record.partial_usage = Some(times.into()),
                    Used::Unknown => {}
                }
                // A record that was called lost keeps its place in the order of ends.
                record.stopped_at = if record.lost.is_some() { record.stopped_at } else { Some(*at) };
                record.lost = None;
                record.witness = Some(*witness);
                record.ended_by = explain(*status, signals);
            }
            Self::Lost(why) => {
                record.lost = Some(why.clone());
                record.witness = Some(Witness::Nobody);
            }
        }
    }
}

/// What /proc tells of a process that has ended and was not reaped yet. It was read by pid, which was its own if it still is.
pub fn zombie(pid: i32, pidfd: BorrowedFd<'_>) -> Option<Zombie> {
    proc::zombie(pid).ok().flatten().filter(|_| pidfd::is_unreaped(pidfd))
}

/// The last signal of procctl that explains an end. Death by a signal is explained by that signal only; an exit, by the
/// last one that asks a process to end.
fn explain(status: Status, signals: &[EndedBy]) -> Option<EndedBy> {
    let asks_to_end = |sent: &EndedBy| {
        sent.action != Action::Kill
            || matches!(
                sent.signal,
                libc::SIGTERM | libc::SIGINT | libc::SIGHUP | libc::SIGQUIT | libc::SIGKILL
            )
    };
    signals
        .iter()
        .rfind(|sent| match status {
            Status::Signaled { signal, .. } => sent.signal == signal,
            Status::Exited(_) => asks_to_end(sent),
        })
        .copied()
}

/// Records an end, unless it is recorded. Returns the final record; `None` if the process was closed meanwhile.
///
/// An exit code that is known overrides `lost`, whoever wrote that.
pub fn settle(run_dir: &RunDir, entry: &Entry, outcome: &Outcome) -> Result<Option<Record>> {
    settle_locked(run_dir, entry, outcome, entry.lock_for_writing()?)
}

/// As [`settle`], with the write lock, which is given back.
pub fn settle_locked(
    run_dir: &RunDir,
    entry: &Entry,
    outcome: &Outcome,
    lock: WriteLock,
) -> Result<Option<Record>> {
    let Some(mut record) = entry.load()? else { return Ok(None) };
    let names = run_dir.names();
    let was_final = record.is_final();
    if outcome.adds_to(&record) {
        outcome.apply_to(&mut record, &entry.noted_signals());
        entry.save(&record)?;
    }
    // Only an end that was recorded before can be there, and it may be being joined: put on the first shelf it would be on both.
    if was_final && names.has_ended(&record)? {
        names.remove(Shelf::Live, &record)?;
    } else {
        names.move_to_ended(&record)?;
    }
    settle_sentinel(entry)?;
    drop(lock);
    Ok(Some(record))
}

/// Records an end. If it cannot be written it is tried again, for as long as there is a directory. Returns the final record;
/// `None` if the process was closed meanwhile.
pub fn settle_at_last(run_dir: &RunDir, entry: &Entry, outcome: &Outcome) -> Option<Record> {
    let mut pause = Duration::from_millis(50);
    loop {
        match settle(run_dir, entry, outcome) {
            Ok(settled) => return settled,
            Err(_) if entry.dir.is_gone() => return None,
            Err(_) => std::thread::sleep(pause),
        }
        pause = (pause * 2).min(Duration::from_secs(1));
    }
}

/// Makes the sentinel one whose opening does not block.
pub fn settle_sentinel(entry: &Entry) -> Result<()> {
    if entry.has_open_sentinel()? {
        entry.settle_sentinel()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::record::tests::OLD;
    use super::*;
    use proptest::prelude::*;

    fn sent(action: Action, signal: i32) -> EndedBy {
        EndedBy { action, signal, by_pid: 1, at: Moment::now() }
    }

    fn record() -> Record {
        Record::from_json(OLD.as_bytes()).expect("loads")
    }

    fn seen(status: Status) -> Outcome {
        Outcome::Seen { status, used: Used::Unknown, at: Moment::now(), witness: Witness::Pidfd }
    }

    #[test]
    fn death_by_a_signal_is_explained_by_that_signal_only() {
        let signals = [sent(Action::Terminate, 15), sent(Action::Kill, 9)];
        let killed = |signal| Status::Signaled { signal, core_dumped: false };
        assert_eq!(explain(killed(15), &signals).map(|by| by.action), Some(Action::Terminate));
        assert_eq!(explain(killed(9), &signals).map(|by| by.action), Some(Action::Kill));
        assert_eq!(explain(killed(11), &signals), None);
        assert_eq!(explain(Status::Exited(0), &[sent(Action::Kill, 10)]), None);
        assert_eq!(explain(Status::Exited(0), &signals).map(|by| by.signal), Some(9));
    }

    fn any_outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![
            (0..256i32).prop_map(|code| seen(Status::Exited(code))),
            (1..65i32).prop_map(|signal| seen(Status::Signaled { signal, core_dumped: false })),
            Just(Outcome::Lost("why".to_owned())),
        ]
    }

    proptest! {
        /// Whatever the order in which witnesses come: the first exit code stays, and `lost` never hides one.
        #[test]
        fn the_first_known_exit_code_wins(outcomes in proptest::collection::vec(any_outcome(), 1..6)) {
            let mut record = record();
            for outcome in &outcomes {
                if outcome.adds_to(&record) {
                    outcome.apply_to(&mut record, &[]);
                }
            }
            let first = outcomes.iter().find_map(|outcome| match outcome {
                Outcome::Seen { status, .. } => Some(exitcode(*status)),
                Outcome::Lost(_) => None,
            });
            prop_assert_eq!(record.exitcode, first);
            prop_assert_eq!(record.lost.is_some(), first.is_none());
            prop_assert!(record.is_final());
        }
    }
}
