//! Starts that were cut off: the launcher or the monitor was killed before the record appeared.
//!
//! A start writes `record.starting` (with the pid) before the exec and renames it to `record.json` after it. If it stops
//! between, the process may live: then the rename is made up for. If it does not live, everything is cleared away.

use std::os::fd::AsFd;

use crate::os::fs::optional;
use crate::os::pidfd::{self, Stage};

use super::entry::{Entry, RECORD, STARTING};
use super::error::{Error, Result};
use super::names::Shelf;
use super::record::{Record, State};
use super::rundir::RunDir;

/// Whether this process has a record, after a start that was cut off has been settled.
pub fn is_recorded(run_dir: &RunDir, entry: &Entry) -> Result<bool> {
    if entry.dir.has(RECORD) {
        return Ok(true);
    }
    if !entry.dir.has(super::entry::SENTINEL) {
        clear(run_dir, entry, None)?;
        return Ok(false);
    }
    settle(run_dir, entry)
}

/// Settles a start that was cut off. Says whether there is a record now. Does nothing while the start is under way.
///
/// The life lock is held meanwhile: no other start, and no change of a record in state `initial`, comes in between.
pub fn settle(run_dir: &RunDir, entry: &Entry) -> Result<bool> {
    let Some(_life) = entry.take_life()? else { return Ok(entry.dir.has(RECORD)) };
    let before = entry.load()?;
    if before.as_ref().is_some_and(|record| record.state != State::Initial) {
        return Ok(true);
    }
    let starting = entry.load_starting()?;
    if let Some(record) = &starting
        && lives(record)?
    {
        entry.dir.rename(STARTING, RECORD)?;
        run_dir.names().add(Shelf::Live, record)?;
        run_dir.names().remove(Shelf::Initial, record)?;
        return Ok(true);
    }
    if before.is_none() {
        clear(run_dir, entry, starting.as_ref())?;
        return Ok(false);
    }
    // It is as it was before the attempt.
    optional(entry.dir.unlink(STARTING))?;
    if let Some(record) = starting {
        run_dir.names().remove(Shelf::Live, &record)?;
    }
    Ok(true)
}

fn lives(record: &Record) -> Result<bool> {
    let Some(process) = record.process() else { return Ok(false) };
    let failed = |e| Error::system(format!("cannot look at process {}", process.pid), e);
    let Some(pidfd) = process.open().map_err(failed)? else { return Ok(false) };
    Ok(pidfd::stage(pidfd.as_fd()).map_err(failed)? == Stage::Alive)
}

/// Removes what a start that never was has left.
pub fn clear(run_dir: &RunDir, entry: &Entry, record: Option<&Record>) -> Result<()> {
    if let Some(record) = record {
        run_dir.names().remove_everywhere(record)?;
    }
    run_dir.root.remove_flat(entry.id.path())?;
    Ok(())
}
