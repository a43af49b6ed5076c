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
pub fn apply(run_dir: &RunDir, seen: &Observed, changes: &Changes) -> Result<()> {
    let id = &seen.record.id;
    if matches!(seen.life, Life::Elsewhere) {
        return Err(Error::refused(format!("cannot change {id}: it is on the host {}", seen.record.host)));
    }
    // The name's lock comes before the record's, as at a start.
    let name_lock = match &changes.name {
        Some(name) => Some(run_dir.names().lock_name(name)?),
        None => None,
    };
    // A start may not come in between.
    let only_before_start = changes.daemon.is_some() || changes.authkey.is_some();
    let started =
        || Error::refused(format!("cannot set daemon or authkey-file of {id}: it has been started"));
    let life = match seen.record.state {
        State::Initial => Some(seen.entry.take_life()?.ok_or_else(|| being_started(id))?),
        _ if only_before_start => return Err(started()),
        _ => None,
    };
    let lock = seen.entry.lock_for_writing()?;
    let old = seen.entry.load()?.ok_or_else(|| Error::refused(format!("{id} was closed")))?;
    if only_before_start && old.state != State::Initial {
        return Err(started());
    }
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
    drop((lock, life, name_lock));
    Ok(())
}

fn being_started(id: &Id) -> Error {
    Error::refused(format!("cannot change {id} while it is being started"))
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
