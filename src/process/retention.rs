//! Forgetting records that are overdue, now and then.

use std::sync::OnceLock;
use std::time::Duration;

use crate::os::system;

use super::error::{Error, Result};
use super::id::Id;
use super::ledger;
use super::names::Shelf;
use super::observe::{self, Observed};
use super::record::State;
use super::recover;
use super::remove;
use super::rundir::RunDir;
use super::time::{self, Moment};

/// How long ended records are kept: a time, or `forever`.
pub const VARIABLE: &str = "PROCCTL_KEEP";
const DEFAULT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How often a run directory is cleared at most.
const EVERY: Duration = Duration::from_secs(60 * 60);
const STAMP: &str = "cleared";

/// How long to keep records; `None` for ever.
fn parse_keep() -> Result<Option<Duration>> {
    let Some(value) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(Some(DEFAULT));
    };
    match value.to_str() {
        Some("forever") => Ok(None),
        Some(text) => time::parse(text)
            .map(Some)
            .map_err(|why| Error::refused(format!("{VARIABLE}: {why}, or forever"))),
        None => Err(Error::refused(format!("{VARIABLE} is not UTF-8"))),
    }
}

/// Refuses a variable that makes no sense, before anything is started that would go by it.
pub fn check() -> Result<()> {
    parse_keep().map(drop)
}

/// How long to keep records; `None` for ever, also if the variable makes no sense: nothing is removed by mistake.
///
/// It is looked at once. A monitor has no environment left, and can make another one when it finds one killed.
pub fn keep() -> Option<Duration> {
    static KEEP: OnceLock<Option<Duration>> = OnceLock::new();
    *KEEP.get_or_init(|| parse_keep().unwrap_or(None))
}

/// In a monitor on its way out: forgets what is overdue, at most once an hour for all monitors of a run directory.
pub fn clear_now_and_then(run_dir: &RunDir, keep: Option<Duration>) {
    let Some(keep) = keep else { return };
    if is_due(run_dir) {
        // What cannot be removed now is overdue in an hour, too.
        let _ = clear(run_dir, keep);
    }
}

/// Whether the run directory is due to be cleared. Only one of those that ask is told so.
fn is_due(run_dir: &RunDir) -> bool {
    // Nearly always it is not, which needs no lock.
    if is_fresh(run_dir) == Some(true) {
        return false;
    }
    let made = match run_dir.root.write_new(STAMP, b"") {
        Ok(()) => true,
        Err(e) if e.is_already_there() => false,
        Err(_) => return false,
    };
    let Ok(stamp) = run_dir.root.open_read_write(STAMP) else { return false };
    if !crate::os::lock::try_lock(&stamp, 0).unwrap_or(false) {
        return false;
    }
    (made || is_fresh(run_dir) == Some(false)) && run_dir.root.touch(STAMP).is_ok()
}

/// Whether it was cleared a short time ago. `None` if that is not known.
fn is_fresh(run_dir: &RunDir) -> Option<bool> {
    let last = run_dir.root.stat(STAMP).ok()?.st_mtime;
    let last = Duration::from_secs(u64::try_from(last).unwrap_or(0));
    // A stamp from the future (a clock that was set back) is overdue as well.
    Some(system::since_1970().checked_sub(last).is_some_and(|age| age < EVERY))
}

/// Forgets every process that ended longer ago than that, and what was left by starts that were cut off.
fn clear(run_dir: &RunDir, keep: Duration) -> Result<()> {
    for id in run_dir.all_ids()? {
        let Some(entry) = run_dir.entry(&id)? else { continue };
        match observe::observe(run_dir, entry) {
            Ok(Some(seen)) if is_overdue(&seen, keep) => {
                drop(remove::close(run_dir, &seen.entry, &seen.record));
            }
            Ok(None) => drop(clear_leftover(run_dir, &id)),
            // One that cannot be read does not stop the others.
            Ok(Some(_)) | Err(_) => {}
        }
    }
    // What stops one of these steps is no reason not to take the others.
    let _ = run_dir.clear_vanished();
    let _ = ledger::clear_abandoned(run_dir);
    for shelf in Shelf::ALL {
        for tag in run_dir.names().all(shelf)? {
            run_dir.drop_if_nowhere(shelf, &tag)?;
        }
    }
    Ok(())
}

/// Clears a directory without a record, unless it is so young that its launcher may be at work.
fn clear_leftover(run_dir: &RunDir, id: &Id) -> Result<()> {
    let Some(entry) = run_dir.entry(id)? else { return Ok(()) };
    let made = Duration::from_secs(u64::try_from(entry.dir.metadata()?.st_mtime).unwrap_or(0));
    if system::since_1970().saturating_sub(made) >= EVERY {
        if entry.dir.has(super::entry::SENTINEL)? {
            recover::settle(run_dir, &entry)?;
        } else {
            recover::clear(run_dir, &entry, None)?;
        }
    }
    Ok(())
}

/// Whether a process ended longer ago than that. When it is not known when, the last thing that is known counts.
pub fn is_overdue(seen: &Observed, keep: Duration) -> bool {
    let record = &seen.record;
    let last = record.stopped_at.or(record.started_at).unwrap_or(record.created_at);
    record.state == State::Stopped && seen.is_over() && Moment::elapsed(last) >= keep
}
