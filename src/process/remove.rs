//! Forgetting a process: its record, its logs, its entries in the indexes.

use std::io;

use crate::os::fs::optional;

use super::entry::{Entry, RECORD};
use super::error::{Error, Result};
use super::id;
use super::ledger::Ledger;
use super::record::{Record, State};
use super::rundir::RunDir;

/// Forgets a process that has ended, or was not started. Its monitor may be on its last steps: they are waited for.
pub fn close(run_dir: &RunDir, entry: &Entry, record: &Record) -> Result<()> {
    if record.state == State::Initial {
        return close_initial(run_dir, entry, record);
    }
    // The record is final a moment before its monitor has settled the rest.
    match entry.lock_for_writing() {
        // Somebody else closed it.
        Err(Error::File(e)) if e.is_not_found() => Ok(()),
        Err(e) => Err(e),
        Ok(_lock) => forget(run_dir, entry, record),
    }
}

/// Forgets a process that was not started. Somebody else may be starting, changing or closing it: that is waited for.
fn close_initial(run_dir: &RunDir, entry: &Entry, record: &Record) -> Result<()> {
    let closed = |e: &Error| matches!(e, Error::File(e) if e.is_not_found());
    loop {
        let locked = entry.take_life().and_then(|life| Ok((life, entry.lock_for_writing()?)));
        let (life, _lock) = match locked {
            Err(e) if closed(&e) => return Ok(()),
            other => other?,
        };
        match entry.load()? {
            Some(now) if now.state != State::Initial => {
                return Err(Error::refused(format!("cannot close {}: it has been started", record.id)));
            }
            None => return Ok(()),
            Some(_) if life.is_some() => return forget(run_dir, entry, record),
            // Whoever had the life lock held the write lock, too, and is done.
            Some(_) => {}
        }
    }
}

/// Forgets a process that is not alive.
///
/// First its number is made used up for good, then the directory vanishes in one step (a rename), then what is left is
/// cleared. Killed between, it is either still there, or gone for every command.
pub fn forget(run_dir: &RunDir, entry: &Entry, record: &Record) -> Result<()> {
    let ledger = Ledger::open(run_dir, record.parent_key())?;
    if let Some(ledger) = &ledger {
        ledger.forget(run_dir, record.number(), &record.id)?;
    }
    let rest = vanish(run_dir, entry)?;
    // It is gone. What of the rest cannot be cleared now is cleared later: one failure does not stop the other steps.
    let cleared = clear_rest(run_dir, record, rest);
    let parent = match ledger {
        Some(ledger) if is_parent_gone(run_dir, record)? => {
            ledger.remove_if_empty(run_dir, record.parent_key())
        }
        _ => Ok(()),
    };
    cleared.and(parent)
}

/// Forgets a process that was one of several which could not all be started. Its number is the caller's business, who has the
/// lock of the ledger.
pub fn forget_one_of_several(run_dir: &RunDir, entry: &Entry, record: &Record) -> Result<()> {
    let rest = vanish(run_dir, entry)?;
    clear_rest(run_dir, record, rest)
}

/// Lets the directory of a process vanish in one step. Where it is now.
fn vanish(run_dir: &RunDir, entry: &Entry) -> Result<String> {
    let gone = format!("{}/{}{}", id::folder(entry.id.as_str()), id::VANISHED, entry.id);
    match optional(run_dir.root.rename(entry.id.path(), &gone)) {
        // An overlay renames no directory of a lower layer. Without its record it is no process any more either.
        Err(e) if e.source.kind() == io::ErrorKind::CrossesDevices => {
            optional(entry.dir.unlink(RECORD))?;
            Ok(entry.id.path())
        }
        Err(e) => Err(e.into()),
        Ok(_) => Ok(gone),
    }
}

fn clear_rest(run_dir: &RunDir, record: &Record, rest: String) -> Result<()> {
    let from_index = run_dir.names().remove_everywhere(record);
    let files = run_dir.root.remove_flat(rest).map_err(Error::from);
    from_index.and(files)
}

/// Whether the parent can create no more children: its numbers need not be remembered.
fn is_parent_gone(run_dir: &RunDir, record: &Record) -> Result<bool> {
    let Some(parent) = &record.parent else { return Ok(false) };
    if record.boot_id != run_dir.host.boot_id()? {
        return Ok(true);
    }
    Ok(parent.process.open().is_ok_and(|found| found.is_none()))
}
