//! What is in the run directory: each record and each process once, looked at and left as it is.

use std::os::unix::ffi::OsStrExt;

use serde::Serialize;

use crate::os::fs::optional;
use crate::os::pidfd::Stage;
use crate::process::entry::{Entry, LOG, STARTING};
use crate::process::error::{Error, Result};
use crate::process::host::Place;
use crate::process::id::{self, Id, PROCESSES};
use crate::process::observe::{self, Facts};
use crate::process::record::Record;
use crate::process::rundir::RunDir;

use super::Problem;

/// What is in the run directory.
#[derive(Debug, Default, Serialize)]
pub struct Records {
    /// Not started.
    pub initial: u64,
    /// Alive, with a monitor or without.
    pub alive: u64,
    /// Ended, and on record.
    pub ended: u64,
    /// What the records and what belongs to them take on disk, logs included.
    pub bytes: u64,
    /// What the logs take.
    pub log_bytes: u64,
    /// Alive, and its monitor is dead.
    pub unmonitored: Vec<Id>,
    /// Ended, with a living monitor that has not recorded it in time.
    pub stuck: Vec<Id>,
    /// Ended, and nobody will record it unless a command looks.
    pub unrecorded: Vec<Unrecorded>,
    /// Ended, and the exit code is not known.
    pub lost: Vec<Id>,
    /// Of another host, with its name.
    pub foreign: Vec<Foreign>,
    /// Records that cannot be used.
    pub broken: Vec<Broken>,
    /// Starts that were cut off.
    pub cut_off_starts: Vec<Id>,
    /// What is left of processes whose closing was cut off.
    pub cut_off_closings: Vec<String>,
}

/// A process whose end is not on record.
#[derive(Clone, Debug, Serialize)]
pub struct Unrecorded {
    /// The process.
    pub id: Id,
    /// Why.
    pub why: &'static str,
}

/// A record of another host.
#[derive(Clone, Debug, Serialize)]
pub struct Foreign {
    /// The process.
    pub id: Id,
    /// The host's name.
    pub host: String,
}

/// A record that cannot be used.
#[derive(Clone, Debug, Serialize)]
pub struct Broken {
    /// The process.
    pub id: Id,
    /// Why, and what to do.
    #[serde(flatten)]
    pub problem: Problem,
}

impl Records {
    /// Looks at all of them. Something that cannot be looked at is one of the broken ones and does not stop the others.
    pub(super) fn examine(run_dir: &RunDir) -> Result<Self> {
        let mut all = Self::default();
        for id in run_dir.all_ids()? {
            if let Err(e) = all.count(run_dir, &id) {
                all.broken.push(Broken { id, problem: e.into() });
            }
        }
        // One that is being started is no leftover, and its launcher is at work.
        all.cut_off_starts.retain(|id| is_cut_off(run_dir, id).unwrap_or(true));
        all.cut_off_closings = vanished(run_dir)?;
        Ok(all)
    }

    fn count(&mut self, run_dir: &RunDir, id: &Id) -> Result<()> {
        let Some(entry) = run_dir.entry(id)? else { return Ok(()) };
        self.measure(&entry)?;
        let mut waited = false;
        loop {
            let Some((record, facts)) = observe::look(run_dir, &entry)? else {
                self.cut_off_starts.push(id.clone());
                return Ok(());
            };
            match facts {
                Facts::Initial => {
                    self.initial += 1;
                    if entry.dir.has(STARTING)? {
                        self.cut_off_starts.push(id.clone());
                    }
                }
                Facts::Final => {
                    self.ended += 1;
                    if record.exitcode.is_none() {
                        self.lost.push(id.clone());
                    }
                }
                Facts::OtherHost => self.foreign.push(Foreign { id: id.clone(), host: record.host }),
                Facts::OtherNamespace(_) | Facts::Monitored { process: Some((_, Stage::Alive)), .. } => {
                    self.alive += 1;
                }
                Facts::Monitored { .. } if waited => self.stuck.push(id.clone()),
                Facts::Monitored { watch, .. } => {
                    let failed = |e| Error::system("cannot wait for a monitor", e);
                    watch.wait(run_dir.patience()).map_err(failed)?;
                    waited = true;
                    continue;
                }
                Facts::Orphaned { stage: Stage::Alive, .. } => {
                    self.alive += 1;
                    self.unmonitored.push(id.clone());
                }
                Facts::Orphaned { .. } => {
                    self.unrecorded.push(Unrecorded { id: id.clone(), why: "its monitor was killed" });
                }
                Facts::Vanished(why) => {
                    let why =
                        if is_of_earlier_boot(run_dir, &record) { "the machine was restarted" } else { why };
                    self.unrecorded.push(Unrecorded { id: id.clone(), why });
                }
            }
            return Ok(());
        }
    }

    fn measure(&mut self, entry: &Entry) -> Result<()> {
        // stat(2): blocks of 512 bytes, whatever those of the file system are.
        let size = |stat: rustix::fs::Stat| u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        self.bytes += optional(entry.dir.metadata())?.map_or(0, size);
        for file in optional(entry.dir.list())?.unwrap_or_default() {
            let bytes = optional(entry.dir.stat(&file))?.map_or(0, size);
            self.bytes += bytes;
            if file == LOG {
                self.log_bytes += bytes;
            }
        }
        Ok(())
    }
}

fn is_of_earlier_boot(run_dir: &RunDir, record: &Record) -> bool {
    run_dir.host.place_of(record).is_ok_and(|place| place == Place::EarlierBoot)
}

/// Whether a start has left something and nobody is at it.
fn is_cut_off(run_dir: &RunDir, id: &Id) -> Result<bool> {
    let Some(entry) = run_dir.entry(id)? else { return Ok(false) };
    let begun = entry.dir.has(STARTING)? || entry.load()?.is_none();
    let at_work = match entry.watch() {
        Ok(watch) => watch.is_monitored()?,
        Err(Error::File(e)) if e.is_not_found() => false,
        Err(e) => return Err(e),
    };
    Ok(begun && !at_work)
}

/// What is left of processes whose closing was cut off half-way.
fn vanished(run_dir: &RunDir) -> Result<Vec<String>> {
    let Some(processes) = optional(run_dir.root.open_dir(PROCESSES))? else { return Ok(Vec::new()) };
    let mut found = Vec::new();
    for folder in processes.list()? {
        let names = processes.below(folder).list().unwrap_or_default().into_iter();
        let left = names.filter(|name| name.as_bytes().starts_with(id::VANISHED.as_bytes()));
        found.extend(left.map(|name| name.to_string_lossy().into_owned()));
    }
    Ok(found)
}
