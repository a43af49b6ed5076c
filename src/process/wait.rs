//! Waiting for the end of processes: on the kernel, never on a timer.
//!
//! While a monitor lives, its sentinel is waited for: it closes that after the record is final and the process reaped, or
//! by dying. A waiter also holds the pidfd of the process. If the monitor is killed, the waiter gives the process a new one
//! (see [`adoption`]); and it is a second witness itself: where there can be no new monitor, it waits for the end, and if
//! /proc does not tell the exit code then, for the reaping, after which the kernel does (`PIDFD_INFO_EXIT`, Linux 6.15).

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::os::fd;
use crate::os::pidfd::{self, Stage};

use super::ending::{self, Outcome};
use super::entry::{Entry, Watch};
use super::error::{Error, Result};
use super::monitor::adoption;
use super::observe::{self, Facts};
use super::record::Record;
use super::rundir::RunDir;
use super::time::{Deadline, Moment};

/// What is waited for next.
#[derive(Debug)]
enum Phase {
    /// The monitor's recording of the end, or its death. The pidfd is kept for the second case.
    Monitor(Watch, Option<OwnedFd>),
    /// The end of a process without a monitor. It need not be reaped then, ever.
    End(OwnedFd),
    /// The reaping of a process without a monitor that has ended, if /proc does not tell its code.
    Reaping(OwnedFd),
    /// Nothing: it has ended.
    Over,
    /// Nothing: the time ran out.
    GivenUp,
}

/// A process that is waited for.
#[derive(Debug)]
pub struct Waiting {
    /// Its directory.
    pub entry: Entry,
    /// Its record, final once it is over.
    pub record: Record,
    phase: Phase,
}

impl Waiting {
    /// Begins to wait. `Err` if there is nothing to wait for: not started, or on another host.
    pub fn new(run_dir: &RunDir, entry: Entry) -> Result<Self> {
        let Some((record, phase)) = next_phase(run_dir, &entry, &mut None)? else {
            return Err(Error::refused(format!("{} was closed", entry.id)));
        };
        Ok(Self { entry, record, phase })
    }

    /// Lets go of its descriptors: nothing more can be waited for.
    fn released(mut self) -> Self {
        if !self.is_over() {
            self.phase = Phase::GivenUp;
        }
        self
    }

    /// Whether it has ended and the record is final.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Looks again after something happened.
    pub fn advance(&mut self, run_dir: &RunDir) -> Result<()> {
        let mut kept = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Monitor(_, pidfd) => pidfd,
            Phase::End(pidfd) | Phase::Reaping(pidfd) => Some(pidfd),
            Phase::Over | Phase::GivenUp => return Ok(()),
        };
        match next_phase(run_dir, &self.entry, &mut kept)? {
            Some((record, phase)) => (self.record, self.phase) = (record, phase),
            None => self.end_without_record(kept)?,
        }
        Ok(())
    }

    /// The process has ended and was closed before its record could be read. Its zombie tells, or the kernel when that has
    /// been reaped.
    fn end_without_record(&mut self, pidfd: Option<OwnedFd>) -> Result<()> {
        let stage = pidfd.as_ref().map(|pidfd| pidfd::stage(pidfd.as_fd())).transpose().map_err(failed)?;
        let (outcome, next) = match (pidfd, stage) {
            (Some(pidfd), Some(Stage::Reaped)) => (told_by_kernel(&pidfd), None),
            (Some(pidfd), Some(Stage::Zombie)) => {
                let outcome =
                    Outcome::told_by_zombie(self.record.pid.unwrap_or(0), pidfd.as_fd(), Moment::now());
                let next = if outcome.is_none() { unmonitored(pidfd)? } else { None };
                (outcome, next)
            }
            _ => (None, None),
        };
        self.phase = match (outcome, next) {
            (Some(outcome), _) => {
                outcome.apply_to(&mut self.record, &[]);
                Phase::Over
            }
            (None, Some(next)) => next,
            (None, None) => {
                let what = format!("{} was closed while it was waited for", self.entry.id);
                return Err(Error::refused(what));
            }
        };
        Ok(())
    }

    /// The descriptor that becomes ready when something happens, if there is anything to wait for.
    pub fn poll_fd(&self) -> Option<PollFd<'_>> {
        Some(match &self.phase {
            // Only POLLHUP is asked for, which is always told.
            Phase::Monitor(watch, _) => PollFd::new(watch, PollFlags::empty()),
            Phase::End(pidfd) => PollFd::new(pidfd, PollFlags::IN),
            Phase::Reaping(pidfd) => PollFd::new(pidfd, PollFlags::empty()),
            Phase::Over | Phase::GivenUp => return None,
        })
    }
}

/// What to wait for now; `None` if the process was closed. `kept` is a pidfd of it from before, which still tells what its pid no
/// longer can; it is left alone if it was closed.
fn next_phase(
    run_dir: &RunDir,
    entry: &Entry,
    kept: &mut Option<OwnedFd>,
) -> Result<Option<(Record, Phase)>> {
    let Some((record, facts)) = observe::facts(run_dir, entry)? else { return Ok(None) };
    let kept = kept.take();
    let phase = match facts {
        Facts::Final => match kept {
            // Somebody else saw neither monitor nor process and called it lost. We hold the pidfd.
            Some(pidfd) if record.exitcode.is_none() => {
                let why = record.lost.clone().unwrap_or_default();
                return ask_kernel(run_dir, entry, record, &pidfd, &why).map(Some);
            }
            _ => Phase::Over,
        },
        Facts::Initial => {
            return Err(Error::hinted(
                format!("cannot join {}: it has not been started", record.id),
                format!("procctl start {}", record.id),
            ));
        }
        Facts::OtherHost => {
            return Err(Error::refused(format!(
                "cannot join {}: it is on the host {}",
                record.id, record.host
            )));
        }
        Facts::OtherNamespace(watch) => Phase::Monitor(watch, None),
        Facts::Monitored { watch, process } => {
            Phase::Monitor(watch, kept.or(process.map(|(pidfd, _)| pidfd)))
        }
        Facts::Orphaned { pidfd, stage: Stage::Reaped } => {
            return ask_kernel(run_dir, entry, record, &kept.unwrap_or(pidfd), adoption::UNTOLD).map(Some);
        }
        Facts::Orphaned { pidfd, stage } => {
            let pidfd = kept.unwrap_or(pidfd);
            // Where it could be written it would be final by now.
            if stage == Stage::Zombie
                && let Some(outcome) =
                    Outcome::told_by_zombie(record.pid.unwrap_or(0), pidfd.as_fd(), Moment::now())
            {
                return Ok(Some(told(run_dir, entry, record, &outcome)));
            }
            let Some(phase) = unmonitored(pidfd)? else {
                return unseen(run_dir, entry, record, adoption::UNTOLD).map(Some);
            };
            phase
        }
        Facts::Vanished(why) => match kept {
            Some(pidfd) => match pidfd::stage(pidfd.as_fd()).map_err(failed)? {
                Stage::Reaped => return ask_kernel(run_dir, entry, record, &pidfd, why).map(Some),
                _ => match unmonitored(pidfd)? {
                    Some(phase) => phase,
                    None => return unseen(run_dir, entry, record, why).map(Some),
                },
            },
            None => return unseen(run_dir, entry, record, why).map(Some),
        },
    };
    Ok(Some((record, phase)))
}

fn failed(e: std::io::Error) -> Error {
    Error::system("cannot wait for a process", e)
}

/// What to wait for without a monitor; `None` if it has ended and the kernel will not tell more (before Linux 6.9).
fn unmonitored(pidfd: OwnedFd) -> Result<Option<Phase>> {
    Ok(if pidfd::stage(pidfd.as_fd()).map_err(failed)? == Stage::Alive {
        Some(Phase::End(pidfd))
    } else if pidfd::inode(&pidfd).map_err(failed)?.is_some() {
        Some(Phase::Reaping(pidfd))
    } else {
        None
    })
}

fn told_by_kernel(pidfd: &OwnedFd) -> Option<Outcome> {
    Outcome::told_by_kernel(pidfd, Moment::now())
}

/// The process was reaped and its monitor did not record it.
fn ask_kernel(
    run_dir: &RunDir,
    entry: &Entry,
    record: Record,
    pidfd: &OwnedFd,
    why: &str,
) -> Result<(Record, Phase)> {
    let Some(outcome) = told_by_kernel(pidfd) else {
        return if record.is_final() {
            Ok((record, Phase::Over))
        } else {
            unseen(run_dir, entry, record, why)
        };
    };
    Ok(told(run_dir, entry, record, &outcome))
}

fn told(run_dir: &RunDir, entry: &Entry, mut record: Record, outcome: &Outcome) -> (Record, Phase) {
    if let Ok(Some(settled)) = ending::settle(run_dir, entry, outcome) {
        return (settled, Phase::Over);
    }
    // Written or not, this caller gets the truth.
    outcome.apply_to(&mut record, &entry.noted_signals());
    (record, Phase::Over)
}

fn unseen(run_dir: &RunDir, entry: &Entry, record: Record, why: &str) -> Result<(Record, Phase)> {
    let same = run_dir.entry(&entry.id)?.ok_or_else(|| Error::refused(format!("{} was closed", entry.id)))?;
    Ok((observe::ended_unseen(run_dir, same, record, why).record, Phase::Over))
}

/// Waits until all have ended, or with `any` until one has. `false`: the time ran out first.
pub fn wait(run_dir: &RunDir, all: &mut [Waiting], any: bool, deadline: Deadline) -> Result<bool> {
    loop {
        let over = all.iter().filter(|one| one.is_over()).count();
        if over == all.len() || (any && over > 0) {
            return Ok(true);
        }
        let ready = sleep(all, deadline)?;
        if ready.is_empty() {
            if deadline.is_past() {
                return Ok(false);
            }
            continue;
        }
        for at in ready {
            all[at].advance(run_dir)?;
        }
    }
}

/// Which of them something happened to.
fn sleep(all: &[Waiting], deadline: Deadline) -> Result<Vec<usize>> {
    let mut indexes = Vec::with_capacity(all.len());
    let mut fds = Vec::with_capacity(all.len());
    for (at, one) in all.iter().enumerate() {
        if let Some(fd) = one.poll_fd() {
            indexes.push(at);
            fds.push(fd);
        }
    }
    let left = deadline.left().and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut fds, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(failed(e.into())),
    }
    let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
    Ok(indexes.into_iter().zip(&fds).filter(|(_, fd)| happened(fd)).map(|(at, _)| at).collect())
}

/// Begins to wait for several. Each takes two descriptors.
pub fn begin(run_dir: &RunDir, entries: impl IntoIterator<Item = Entry>) -> Result<Vec<Waiting>> {
    entries.into_iter().map(|entry| Waiting::new(run_dir, entry)).collect()
}

/// Waits for the first to end. Returns all of them, and whether it was in time.
pub fn for_any(run_dir: &RunDir, entries: Vec<Entry>, deadline: Deadline) -> Result<(Vec<Waiting>, bool)> {
    fd::raise_limit();
    let mut all = begin(run_dir, entries)?;
    let in_time = wait(run_dir, &mut all, true, deadline)?;
    Ok((all, in_time))
}

/// Waits until all have ended. Returns all of them, and whether it was in time.
///
/// Of more than descriptors allow, some are waited for after the others: the end is the same.
pub fn for_all(run_dir: &RunDir, entries: Vec<Entry>, deadline: Deadline) -> Result<(Vec<Waiting>, bool)> {
    const FEW: usize = 4;
    const SPARE: usize = 16;
    let at_once = if entries.len() <= FEW { FEW } else { fd::raise_limit().saturating_sub(SPARE) / 2 };
    let mut all = Vec::with_capacity(entries.len());
    let mut in_time = true;
    let mut rest = entries.into_iter().peekable();
    while rest.peek().is_some() {
        let mut some = begin(run_dir, rest.by_ref().take(at_once.max(FEW)))?;
        in_time &= wait(run_dir, &mut some, false, deadline)?;
        all.extend(some.into_iter().map(Waiting::released));
    }
    Ok((all, in_time))
}
