//! Waiting for the end of processes: on the kernel, never on a timer.
//!
//! While a monitor lives, its sentinel is waited for: it closes that after the record is final and the process reaped, or
//! by dying. A waiter also holds the pidfd of the process. If the monitor is killed, the waiter gives the process a new one
//! (see [`adoption`]); and it is a second witness itself: where there can be no new monitor, it waits for the end, and if
//! /proc does not tell the exit code then, for the reaping, after which the kernel does (`PIDFD_INFO_EXIT`, Linux 6.15).

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::os::fd;
use crate::os::pidfd::{self, Stage};

use super::ending::{self, Outcome};
use super::entry::{Entry, Watch};
use super::error::{Error, Result};
use super::monitor::adoption;
use super::observe::{self, Facts, Life, Observed, Pin, Unrecorded};
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
    /// Nothing: it was closed, and nobody can tell any more how it ended.
    Closed,
    /// Nothing: the time ran out.
    GivenUp,
}

/// What is known of an end that a monitor has to record.
#[derive(Clone, Copy, Debug)]
enum End {
    /// Nothing.
    Unseen,
    /// The process has ended. By then it should be on record.
    Seen(Deadline),
    /// That it is late was told.
    Told,
}

/// How long a monitor may take to record an end before it is told who is waited for. It takes a few hundred microseconds.
const RECORDING: Duration = Duration::from_secs(2);

/// A process that is waited for.
#[derive(Debug)]
pub struct Waiting {
    /// Its directory.
    pub entry: Entry,
    /// Its record, final once it is over.
    pub record: Record,
    phase: Phase,
    end: End,
}

impl Waiting {
    /// Begins to wait, whatever was seen before. `Err` if there is nothing to wait for: closed, not started, or on another host.
    pub fn of_entry(run_dir: &RunDir, entry: Entry) -> Result<Self> {
        let Some((record, phase)) = next_phase(run_dir, &entry, &mut None)? else {
            return Err(Error::refused(format!("{} was closed", entry.id)));
        };
        Ok(Self { entry, record, phase, end: End::Unseen })
    }

    /// Begins to wait. `Err` if there is nothing to wait for: not started, or on another host. What was seen counts, also if it
    /// was closed since.
    pub fn new(run_dir: &RunDir, seen: Observed) -> Result<Self> {
        let Observed { entry, record, life } = seen;
        let is_over = matches!(life, Life::Ended);
        let (end, kept) = match life {
            Life::Alive { pin: Pin::Held(pidfd), .. } => (End::Unseen, Some(pidfd)),
            // It was waited for, and whoever did that says so.
            Life::Ending(Unrecorded::NotWritten) => (End::Told, None),
            _ => (End::Unseen, None),
        };
        let mut one = Self { entry, record, phase: Phase::Over, end };
        if !is_over {
            one.go_on(run_dir, kept)?;
        }
        Ok(one)
    }

    /// Whether it was told that its end is late in being recorded.
    pub fn is_told_late(&self) -> bool {
        matches!(self.end, End::Told)
    }

    /// Its pidfd, as long as nothing is known of its end and a monitor has to record that.
    fn unseen_end(&self) -> Option<PollFd<'_>> {
        match &self.phase {
            Phase::Monitor(_, Some(pidfd)) if matches!(self.end, End::Unseen) => {
                Some(PollFd::new(pidfd, PollFlags::IN))
            }
            _ => None,
        }
    }

    /// When its end should be on record.
    fn due(&self) -> Deadline {
        match (&self.phase, self.end) {
            (Phase::Monitor(..), End::Seen(due)) => due,
            _ => Deadline::NEVER,
        }
    }

    /// Lets go of its descriptors: nothing more can be waited for.
    fn released(mut self) -> Self {
        if !self.is_done() {
            self.phase = Phase::GivenUp;
        }
        self
    }

    /// Whether there is nothing more to wait for.
    fn is_done(&self) -> bool {
        self.is_over() || self.was_closed()
    }

    /// Whether it was closed while it was waited for, and nobody can tell how it ended.
    pub fn was_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether it has ended and the record is final.
    pub fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Over)
    }

    /// Looks again after something happened.
    pub fn advance(&mut self, run_dir: &RunDir) -> Result<()> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Monitor(_, pidfd) => self.go_on(run_dir, pidfd),
            Phase::End(pidfd) | Phase::Reaping(pidfd) => self.go_on(run_dir, Some(pidfd)),
            other => {
                self.phase = other;
                Ok(())
            }
        }
    }

    fn go_on(&mut self, run_dir: &RunDir, mut kept: Option<OwnedFd>) -> Result<()> {
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
            (None, next) => next.unwrap_or(Phase::Closed),
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
            Phase::Over | Phase::Closed | Phase::GivenUp => return None,
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

/// Waits until all have ended, or with `any` until one has. `false`: the time ran out first. `late` is shown, once, what has ended
/// while its monitor cannot record that: whoever waits should know for whom.
pub fn wait(
    run_dir: &RunDir,
    all: &mut [Waiting],
    any: bool,
    deadline: Deadline,
    late: &dyn Fn(&Waiting),
) -> Result<bool> {
    loop {
        if all.iter().all(Waiting::is_done) || (any && all.iter().any(Waiting::is_over)) {
            return Ok(true);
        }
        let ready = sleep(all, deadline)?;
        for one in all.iter_mut().filter(|one| one.due().is_past()) {
            one.end = End::Told;
            late(one);
        }
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

/// Which of them something happened to. Of ends that are still to be recorded it is only noted that they are.
fn sleep(all: &mut [Waiting], deadline: Deadline) -> Result<Vec<usize>> {
    let mut indexes = Vec::with_capacity(2 * all.len());
    let mut fds = Vec::with_capacity(2 * all.len());
    let mut first = deadline;
    for (at, one) in all.iter().enumerate() {
        first = first.min(one.due());
        if let Some(fd) = one.poll_fd() {
            indexes.push((at, false));
            fds.push(fd);
        }
        if let Some(fd) = one.unseen_end() {
            indexes.push((at, true));
            fds.push(fd);
        }
    }
    let left = first.left().and_then(|left| Timespec::try_from(left).ok());
    match poll(&mut fds, left.as_ref()) {
        Ok(_) | Err(rustix::io::Errno::INTR) => {}
        Err(e) => return Err(failed(e.into())),
    }
    let happened = |fd: &PollFd<'_>| !fd.revents().is_empty();
    let happened: Vec<_> =
        indexes.into_iter().zip(&fds).filter(|(_, fd)| happened(fd)).map(|(what, _)| what).collect();
    let mut ready = Vec::with_capacity(happened.len());
    for (at, is_end) in happened {
        if is_end {
            all[at].end = End::Seen(Deadline::after(RECORDING));
        } else {
            ready.push(at);
        }
    }
    Ok(ready)
}

/// Begins to wait for several. Each takes two descriptors.
fn begin(run_dir: &RunDir, seen: impl IntoIterator<Item = Observed>) -> Result<Vec<Waiting>> {
    seen.into_iter().map(|seen| Waiting::new(run_dir, seen)).collect()
}

/// Waits for the first to end. Returns all of them, and whether it was in time.
pub fn for_any(
    run_dir: &RunDir,
    seen: Vec<Observed>,
    deadline: Deadline,
    late: &dyn Fn(&Waiting),
) -> Result<(Vec<Waiting>, bool)> {
    fd::raise_limit();
    let mut all = begin(run_dir, seen)?;
    let in_time = wait(run_dir, &mut all, true, deadline, late)?;
    Ok((all, in_time))
}

/// Waits until all have ended. Returns all of them, and whether it was in time.
///
/// Of more than descriptors allow, some are waited for after the others: the end is the same.
pub fn for_all(
    run_dir: &RunDir,
    seen: Vec<Observed>,
    deadline: Deadline,
    late: &dyn Fn(&Waiting),
) -> Result<(Vec<Waiting>, bool)> {
    const FEW: usize = 4;
    const SPARE: usize = 16;
    let at_once = if seen.len() <= FEW { FEW } else { fd::raise_limit().saturating_sub(SPARE) / 2 };
    let mut all = Vec::with_capacity(seen.len());
    let mut in_time = true;
    let mut rest = seen.into_iter().peekable();
    while rest.peek().is_some() {
        let mut some = begin(run_dir, rest.by_ref().take(at_once.max(FEW)))?;
        in_time &= wait(run_dir, &mut some, false, deadline, late)?;
        all.extend(some.into_iter().map(Waiting::released));
    }
    Ok((all, in_time))
}
