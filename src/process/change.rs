//! Changing what may be changed of a record: the name at any time, the daemon flag and the authkey before the start.

use crate::os::secret::Secret;

use super::authkey;
use super::error::{Error, Result};
use super::id::Id;
use super::names::Shelf;
use super::observe::{self, Life, Observed};
use super::record::{Record, State};
use super::rundir::RunDir;

/// What to change.
#[derive(Debug, Default)]
pub struct Changes {
    /// The name.
    pub name: Option<String>,
    /// The daemon flag.
    pub daemon: Option<bool>,
    /// The authkey.
    pub authkey: Option<Secret>,
}

/// Makes the changes, all or none.
pub fn apply(run_dir: &RunDir, mut seen: Observed, changes: &Changes) -> Result<()> {
    while !try_apply(run_dir, &seen, changes)? {
        // It is being started, or changed by somebody else.
        seen.entry.wait_for_start()?;
        let id = &seen.record.id;
        seen = observe::by_id(run_dir, id)?.ok_or_else(|| was_closed(id))?;
    }
    Ok(())
}

fn was_closed(id: &Id) -> Error {
    Error::refused(format!("{id} was closed"))
}

/// `false`: somebody is at work who has to be waited for first.
fn try_apply(run_dir: &RunDir, seen: &Observed, changes: &Changes) -> Result<bool> {
    let id = &seen.record.id;
    if matches!(seen.life, Life::Elsewhere) {
        return Err(Error::refused(format!("cannot change {id}: it is on the host {}", seen.record.host)));
    }
    // The name's lock comes first. A start has the record's before it, so that is not waited for with the name's held.
    let name_lock = match &changes.name {
        Some(name) => Some(run_dir.names().lock_name(name)?),
        None => None,
    };
    let Some(lock) = seen.entry.try_lock_for_writing()? else { return Ok(false) };
    let old = seen.entry.load()?.ok_or_else(|| was_closed(id))?;
    let life = if old.state == State::Initial {
        // A start may not come in between.
        let Some(life) = seen.entry.take_life()? else { return Ok(false) };
        Some(life)
    } else if changes.daemon.is_some() || changes.authkey.is_some() {
        return Err(Error::refused(format!(
            "cannot set daemon or authkey-file of {id}: it has been started"
        )));
    } else {
        None
    };
    let mut new = old.clone();
    if let Some(name) = &changes.name {
        if *name != old.name && seen.is_alive() {
            refuse_taken(run_dir, &new, name)?;
        }
        new.name.clone_from(name);
    }
    if let Some(daemon) = changes.daemon {
        if daemon && new.parent.is_none() {
            return Err(Error::refused(format!("cannot make {id} daemonic: it has no parent here")));
        }
        new.daemon = daemon;
    }
    if let Some(key) = &changes.authkey {
        authkey::replace(&seen.entry, key)?;
    }
    save(run_dir, seen, &old, &new)?;
    drop((life, lock, name_lock));
    Ok(true)
}

/// The new name is in the index before the record says it, the old one until after: it is always found.
fn save(run_dir: &RunDir, seen: &Observed, old: &Record, new: &Record) -> Result<()> {
    let names = run_dir.names();
    let shelf = names.shelf_of(old)?;
    if old.name == new.name {
        return seen.entry.save(new);
    }
    names.add(shelf, new)?;
    if let Err(e) = seen.entry.save(new) {
        // It can have been replaced and the answer lost (a network file system): what the record says counts.
        if seen.entry.load().is_ok_and(|now| now.is_none_or(|now| now.name != new.name)) {
            let _ = names.remove(shelf, new);
        }
        return Err(e);
    }
    names.remove(shelf, old)?;
    if new.state == State::Stopped {
        // What a killed monitor left.
        names.remove(Shelf::Live, old)?;
        // Who joins it moves the entry without a lock.
        if shelf == Shelf::Ended && names.shelf_of(old)? == Shelf::Joined {
            names.move_to_joined(new)?;
            names.remove(Shelf::Joined, old)?;
        }
    }
    Ok(())
}

/// Refuses a name that a live process bears, if one of the two is unique.
fn refuse_taken(run_dir: &RunDir, own: &Record, name: &str) -> Result<()> {
    for tag in run_dir.names().find(Shelf::Live, name)? {
        // Its own lock is held. A renaming that was cut off can have left it there.
        if tag.id == own.id {
            continue;
        }
        // A record that cannot be read bears no name.
        let Some(other) = observe::if_usable(observe::by_id(run_dir, &tag.id))? else { continue };
        if other.record.name == name && other.is_alive() && (other.record.unique || own.unique) {
            return Err(Error::refused(format!(
                "cannot name {} '{name}': the live process {} has that name and is unique",
                own.id, other.record.id
            )));
        }
    }
    Ok(())
}
