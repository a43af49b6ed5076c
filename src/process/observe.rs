//! What is true of a process now: its record, its locks and the kernel, taken together.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use crate::os::pidfd::{self, Stage};
use crate::os::proc::{self, Stat};

use super::ending::{self, Outcome};
use super::entry::{Buffers, Entry, STARTING, Watch};
use super::error::{Error, Result};
use super::family::ID_VARIABLE;
use super::host::Place;
use super::id::Id;
use super::monitor::adoption;
use super::names::Shelf;
use super::record::{Record, State};
use super::recover;
use super::rundir::RunDir;
use super::time::Moment;

/// A process as it is at this moment.
#[derive(Debug)]
pub struct Observed {
    /// Its directory.
    pub entry: Entry,
    /// Its record.
    pub record: Record,
    /// Whether it lives.
    pub life: Life,
}

/// Whether a process lives.
#[derive(Debug)]
pub enum Life {
    /// Not started.
    Initial,
    /// Alive.
    Alive {
        /// Pins it.
        pin: Pin,
        /// Whether its monitor lives.
        monitored: bool,
    },
    /// Ended, and the record is final.
    Ended,
    /// Ended, and that is not recorded yet: why.
    Ending(Unrecorded),
    /// On another host: not known.
    Elsewhere,
}

/// Why an end that has happened is not recorded yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unrecorded {
    /// Its monitor could not write it so far.
    NotWritten,
    /// Its monitor was killed, and whoever inherited the process has not reaped it: the kernel does not tell the code yet, nor
    /// does /proc.
    NotReaped,
}

/// A hold on a live process.
#[derive(Debug)]
pub enum Pin {
    /// Its pidfd.
    Held(OwnedFd),
    /// It was let go, to spare the descriptor.
    Released,
    /// It is in another pid namespace: nobody here can hold it.
    OutOfReach,
}

impl Observed {
    /// Lets go of the process: of many, only what was seen is kept.
    #[must_use]
    pub fn released(mut self) -> Self {
        if let Life::Alive { pin: pin @ Pin::Held(_), .. } = &mut self.life {
            *pin = Pin::Released;
        }
        self
    }

    /// Whether it is alive.
    pub fn is_alive(&self) -> bool {
        matches!(self.life, Life::Alive { .. })
    }

    /// Whether it is alive and its monitor, too.
    pub fn is_monitored(&self) -> bool {
        matches!(self.life, Life::Alive { monitored: true, .. })
    }

    /// Whether it may be forgotten.
    pub fn is_over(&self) -> bool {
        matches!(self.life, Life::Initial | Life::Ended)
    }
}

/// The bare facts about a process, before any waiting.
#[derive(Debug)]
pub enum Facts {
    /// The record is final.
    Final,
    /// Not started.
    Initial,
    /// A monitor lives. The process may have ended a moment ago.
    Monitored {
        /// Ends when the monitor does.
        watch: Watch,
        /// The process, if it has not been reaped.
        process: Option<(OwnedFd, Stage)>,
    },
    /// The monitor is dead and there is no new one; we have the process, its zombie, or what the kernel still knows of it.
    Orphaned {
        /// Pins it.
        pidfd: OwnedFd,
        /// How far it has got.
        stage: Stage,
    },
    /// The monitor is dead and the process gone: nobody saw the end.
    Vanished(&'static str),
    /// In another pid namespace, with a living monitor there.
    OtherNamespace(Watch),
    /// On another host.
    OtherHost,
}

/// Collects the facts. `None` if there is no record: a start is under way, or was cut off and is cleared now.
///
/// A process whose monitor was killed is given a new one.
pub fn facts(run_dir: &RunDir, entry: &Entry) -> Result<Option<(Record, Facts)>> {
    let mut tried = false;
    loop {
        let Some(record) = entry.load()? else {
            // Only a start that got as far as this can have a live process behind it.
            if entry.dir.has(STARTING)? && recover::settle(run_dir, entry)? {
                continue;
            }
            return Ok(None);
        };
        match record.state {
            State::Stopped => {
                finish_end(run_dir, entry, &record)?;
                return Ok(Some((record, Facts::Final)));
            }
            State::Initial => {
                if entry.dir.has(STARTING)? && recover::settle(run_dir, entry)? && !entry.dir.has(STARTING)? {
                    continue;
                }
                return Ok(Some((record, Facts::Initial)));
            }
            State::Started => {
                let Some(facts) = facts_of_started(run_dir, entry, &record)? else { continue };
                if let Facts::Orphaned { pidfd, stage } = &facts
                    && !tried
                    && *stage != Stage::Reaped
                {
                    // Once: a new monitor that dies as well is not made up for again and again.
                    tried = true;
                    if settle_zombie(run_dir, entry, &record, pidfd, *stage)
                        || adoption::adopt(run_dir, entry, pidfd)
                    {
                        continue;
                    }
                }
                return Ok(Some((record, facts)));
            }
        }
    }
}

/// As [`facts`], and nothing is changed: no new monitor is made, and what was cut off is left as it is.
pub fn look(run_dir: &RunDir, entry: &Entry) -> Result<Option<(Record, Facts)>> {
    loop {
        let Some(record) = entry.load()? else { return Ok(None) };
        let facts = match record.state {
            State::Stopped => Facts::Final,
            State::Initial => Facts::Initial,
            State::Started => match facts_of_started(run_dir, entry, &record)? {
                Some(facts) => facts,
                None => continue,
            },
        };
        return Ok(Some((record, facts)));
    }
}

/// Records the end of a process without a monitor that nobody has reaped yet, if /proc tells it.
fn settle_zombie(run_dir: &RunDir, entry: &Entry, record: &Record, pidfd: &OwnedFd, stage: Stage) -> bool {
    if stage != Stage::Zombie {
        return false;
    }
    let told = Outcome::told_by_zombie(record.pid.unwrap_or(0), pidfd.as_fd(), Moment::now());
    told.is_some_and(|outcome| ending::settle(run_dir, entry, &outcome).is_ok())
}

/// A monitor that was killed after it had made the record final left the rest undone: the index, and a sentinel that nobody
/// writes to any more. The sentinel comes last, so it tells.
fn finish_end(run_dir: &RunDir, entry: &Entry, record: &Record) -> Result<()> {
    let unfinished = entry.has_open_sentinel()?
        && matches!(run_dir.host.place_of(record)?, Place::Here | Place::EarlierBoot)
        && entry.watch().is_ok_and(|watch| watch.is_monitored().is_ok_and(|monitored| !monitored));
    if unfinished {
        // Where nothing can be written it stays so.
        let _ = ending::settle(run_dir, entry, &lost("its monitor was killed"));
    }
    Ok(())
}

/// `None`: the record became final meanwhile, look again.
fn facts_of_started(run_dir: &RunDir, entry: &Entry, record: &Record) -> Result<Option<Facts>> {
    let place = run_dir.host.place_of(record)?;
    match place {
        Place::EarlierBoot => return Ok(Some(Facts::Vanished("the machine was restarted while it ran"))),
        Place::OtherHost => return Ok(Some(Facts::OtherHost)),
        Place::Here | Place::OtherNamespace => {}
    }
    let Some(process) = record.process() else { return Ok(Some(Facts::OtherHost)) };
    // The process first, the lock second: if the monitor is found alive, it was so while the pid was looked at, and the
    // pid was the process's own.
    let failed = |e| Error::system(format!("cannot look at process {} of {}", process.pid, record.id), e);
    let found = match place {
        Place::Here => process.open().map_err(failed)?,
        _ => None,
    };
    let found = match found {
        Some(pidfd) => {
            let stage = pidfd::stage(pidfd.as_fd()).map_err(failed)?;
            Some((pidfd, stage))
        }
        None => None,
    };
    let watch = match entry.watch() {
        Ok(watch) => Some(watch),
        // Closed by somebody in this moment; or removed by hand: then no monitor can be seen any more.
        Err(Error::File(e)) if e.is_not_found() => None,
        Err(e) => return Err(e),
    };
    if let Some(watch) = watch
        && watch.is_monitored()?
    {
        return Ok(Some(match place {
            Place::OtherNamespace => Facts::OtherNamespace(watch),
            _ => Facts::Monitored { watch, process: found },
        }));
    }
    // The monitor may have recorded the end and left since the record was read.
    if entry.load()?.is_none_or(|now| now.state != State::Started) {
        return Ok(None);
    }
    Ok(Some(match (place, found) {
        (Place::OtherNamespace, _) => {
            Facts::Vanished("its monitor is gone, and it was in another PID namespace")
        }
        (_, Some((pidfd, stage))) => Facts::Orphaned { pidfd, stage },
        _ => Facts::Vanished("its monitor was killed, and nobody saw the end of the process"),
    }))
}

/// What is true of a process now. An end that has happened is waited for until it is recorded, or for a bounded time.
pub fn observe(run_dir: &RunDir, entry: Entry) -> Result<Option<Observed>> {
    let mut waited = false;
    loop {
        let Some((mut record, facts)) = facts(run_dir, &entry)? else { return Ok(None) };
        let life = match facts {
            Facts::Final => Life::Ended,
            Facts::Orphaned { pidfd, stage: Stage::Zombie } => {
                let pid = record.pid.unwrap_or(0);
                // Where it could be written it would be final by now.
                if let Some(outcome) = Outcome::told_by_zombie(pid, pidfd.as_fd(), Moment::now()) {
                    return Ok(Some(ended(run_dir, entry, record, &outcome)));
                }
                Life::Ending(Unrecorded::NotReaped)
            }
            Facts::Initial => Life::Initial,
            Facts::OtherHost => Life::Elsewhere,
            Facts::OtherNamespace(_) => Life::Alive { pin: Pin::OutOfReach, monitored: true },
            Facts::Monitored { process: Some((pidfd, Stage::Alive)), .. } => {
                Life::Alive { pin: Pin::Held(pidfd), monitored: true }
            }
            Facts::Monitored { process, .. } if waited => Life::Ending(match process {
                Some((_, Stage::Zombie)) if is_adopted(&record) => Unrecorded::NotReaped,
                _ => Unrecorded::NotWritten,
            }),
            Facts::Monitored { watch, .. } => {
                let patience = run_dir.patience();
                let patience = if is_adopted(&record) { patience.min(REAPING) } else { patience };
                watch.wait(patience).map_err(|e| Error::system("cannot wait for a monitor", e))?;
                waited = true;
                continue;
            }
            Facts::Orphaned { pidfd, stage: Stage::Alive } => {
                Life::Alive { pin: Pin::Held(pidfd), monitored: false }
            }
            Facts::Orphaned { pidfd, stage: Stage::Reaped } => {
                let now = Moment::now();
                let outcome = Outcome::told_by_kernel(&pidfd, now).unwrap_or_else(|| lost(adoption::UNTOLD));
                return Ok(Some(ended(run_dir, entry, record, &outcome)));
            }
            Facts::Vanished(why) => return Ok(Some(ended_unseen(run_dir, entry, record, why))),
        };
        if matches!(life, Life::Ending(_)) {
            // Nobody is told that it runs.
            lost("it has ended, and its exit code is not known yet").apply_to(&mut record, &[]);
            record.witness = None;
        }
        return Ok(Some(Observed { entry, record, life }));
    }
}

/// How long whoever inherits processes is given to reap one. It takes an instant, unless that is the init of some container.
const REAPING: Duration = Duration::from_millis(50);

/// Whether its monitor is one that has to wait for somebody else to reap the process.
pub fn is_adopted(record: &Record) -> bool {
    record.monitor.is_some_and(|monitor| monitor.adopted)
}

fn lost(why: &str) -> Outcome {
    Outcome::Lost(why.to_owned())
}

/// Records an end that its monitor did not. Where that cannot be written it is true all the same.
fn ended(run_dir: &RunDir, entry: Entry, mut record: Record, outcome: &Outcome) -> Observed {
    let record = if let Ok(Some(record)) = ending::settle(run_dir, &entry, outcome) {
        record
    } else {
        outcome.apply_to(&mut record, &entry.noted_signals());
        record
    };
    Observed { entry, record, life: Life::Ended }
}

/// Records that nobody saw the end.
pub fn ended_unseen(run_dir: &RunDir, entry: Entry, record: Record, why: &str) -> Observed {
    ended(run_dir, entry, record, &lost(why))
}

/// Observes the process with that id.
pub fn by_id(run_dir: &RunDir, id: &Id) -> Result<Option<Observed>> {
    match run_dir.entry(id)? {
        Some(entry) => observe(run_dir, entry),
        None => Ok(None),
    }
}

/// Observes every process, in the order of the ids. What is wrong with one does not stop the others. Where the record is what
/// its file says, `look` is shown that, too, else nothing of it.
pub fn all(
    run_dir: &RunDir,
    mut look: impl FnMut(&Id, Result<Option<Observed>>, &[u8]) -> Result<()>,
) -> Result<()> {
    let mut buffers = Buffers::default();
    // Each is given back when the next one is there: musl's heap has the kernel take and give a page whenever the last block
    // of a size goes and the first one comes.
    let mut _before = None;
    for folder in run_dir.folders()? {
        let folder = folder?;
        for id in &folder.ids {
            // Most of many have ended long ago, and nothing of them is left to be done.
            if let Some(record) = folder.settled(id, &mut buffers) {
                let seen = Observed { entry: run_dir.entry_of(id), record, life: Life::Ended };
                look(id, Ok(Some(seen)), &buffers.bytes)?;
            } else {
                look(id, by_id(run_dir, id), &[])?;
            }
        }
        _before = Some(folder);
    }
    Ok(())
}

/// As [`by_id`], and a start that is under way is waited for. The process itself can be so quick as to ask for its record
/// before its monitor has let it appear.
pub fn by_id_when_started(run_dir: &RunDir, id: &Id) -> Result<Option<Observed>> {
    if let Some(entry) = run_dir.entry(id)?
        && entry.dir.has(STARTING)?
    {
        entry.wait_for_start()?;
    }
    by_id(run_dir, id)
}

/// Takes a record that cannot be used as none. What tells nothing of it is an error still.
pub fn if_usable(seen: Result<Option<Observed>>) -> Result<Option<Observed>> {
    match seen {
        Err(e) if !e.is_no_answer() => Ok(None),
        other => other,
    }
}

/// The live managed process with that pid. Its environment or its monitor names it; one that has overwritten its
/// environment and lost its monitor is looked for among all live ones.
pub fn live_with_pid(run_dir: &RunDir, pid: i32) -> Result<Option<Observed>> {
    if let Some(found) = named_with_pid(run_dir, pid)? {
        return Ok(Some(found));
    }
    for tag in run_dir.names().all(Shelf::Live)? {
        // A record that cannot be read is not the one that was meant.
        if let Some(seen) = if_usable(by_id(run_dir, &tag.id))?
            && seen.is_alive()
            && seen.record.pid == Some(pid)
        {
            return Ok(Some(seen));
        }
    }
    Ok(None)
}

/// The live managed process with that pid, if its environment or its monitor names it.
pub fn named_with_pid(run_dir: &RunDir, pid: i32) -> Result<Option<Observed>> {
    for id in ids_named_by(pid) {
        if let Some(seen) = if_usable(by_id_when_started(run_dir, &id))?
            && seen.is_alive()
            && seen.record.pid == Some(pid)
        {
            return Ok(Some(seen));
        }
    }
    Ok(None)
}

/// The ids that the environment of an OS process, and then its monitor, say it has.
pub fn ids_named_by(pid: i32) -> impl Iterator<Item = Id> {
    let in_environment = || Id::parse(proc::environment_variable(pid, ID_VARIABLE)?.to_str()?);
    let of_monitor = || {
        let monitor = proc::arguments(Stat::of(pid).ok()?.parent).ok()?;
        Id::parse(
            std::str::from_utf8(monitor.first()?)
                .ok()?
                .strip_prefix(super::monitor::TITLE)?
                .split(' ')
                .next()?,
        )
    };
    [in_environment(), of_monitor()].into_iter().flatten()
}
