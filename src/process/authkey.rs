//! The authkey: bytes that a family shares, kept in 0600 files and nowhere else.
//!
//! In memory it is for a moment only, and never in that of a monitor: what it is given is wiped before the fork.
//!
//! A key file is never changed, so inheriting is a hard link: the child's key outlives the parent's record.

use crate::os::fs::{self, Dir, FileError, optional};
use crate::os::secret::Secret;
use crate::os::system;

use super::entry::{AUTHKEY, Entry, RECORD};
use super::error::{Error, Result};
use super::family::Creator;
use super::ledger::Ledger;
use super::rundir::RunDir;

/// A key that is being written.
pub const TEMPORARY: &str = "authkey.tmp";
/// Bytes of a key that procctl makes: as many as Python's.
const LENGTH: usize = 32;
/// The largest key that is read from a file, bytes.
pub const LARGEST: usize = 1 << 20;

/// Where a new process has its key from.
#[derive(Clone, Copy)]
pub enum Key<'a> {
    /// From its parent, or the family of an outside parent.
    OfFamily,
    /// This one.
    Own(&'a [u8]),
    /// What was laid out for all that are started at once ([`lay_out`]).
    LaidOut,
}

/// Gives a new process its key. The ledger's lock is held.
pub fn give(
    run_dir: &RunDir,
    creator: Option<&Creator>,
    ledger: &Ledger,
    entry: &Entry,
    key: Key<'_>,
) -> Result<()> {
    match key {
        Key::Own(key) => return Ok(entry.dir.write_new(AUTHKEY, key)?),
        Key::LaidOut => return inherit(&ledger.dir, TEMPORARY, entry),
        Key::OfFamily => {}
    }
    if let Some(parent) = creator.and_then(|creator| creator.managed.as_ref())
        && let Some(parent) = run_dir.entry(&parent.id)?
    {
        return inherit(&parent.dir, AUTHKEY, entry);
    }
    match inherit(&ledger.dir, AUTHKEY, entry) {
        Err(Error::File(e)) if e.is_not_found() => {
            make(ledger)?;
            inherit(&ledger.dir, AUTHKEY, entry)
        }
        other => other,
    }
}

/// Before several are started at once, each of which gives itself its key: what all of them need is there when this returns. The
/// ledger's lock is held until [`clear`].
pub fn lay_out(creator: Option<&Creator>, ledger: &Ledger, own: Option<&[u8]>) -> Result<Key<'static>> {
    if let Some(key) = own {
        ledger.dir.overwrite(TEMPORARY, key)?;
        return Ok(Key::LaidOut);
    }
    // Of two that find none, each would make one.
    if creator.is_none_or(|creator| creator.managed.is_none()) && !ledger.dir.has(AUTHKEY)? {
        make(ledger)?;
    }
    Ok(Key::OfFamily)
}

/// Removes from a ledger what was laid out, or what somebody left who was killed. Its lock is held.
pub fn clear(ledger: &Ledger) -> Result<()> {
    optional(ledger.dir.unlink(TEMPORARY))?;
    Ok(())
}

fn inherit(from: &Dir, name: &str, entry: &Entry) -> Result<()> {
    match from.link(name, &entry.dir, AUTHKEY) {
        Ok(()) => Ok(()),
        Err(e) if e.is_not_found() => Err(e.into()),
        // A file system without hard links.
        Err(_) => Ok(entry.dir.write_new(AUTHKEY, &read(from, name)?)?),
    }
}

/// Makes the key of an outside parent. It appears whole: written under another name first.
fn make(ledger: &Ledger) -> Result<()> {
    let mut key = Secret::zeros(LENGTH);
    system::random(key.bytes()).map_err(|e| Error::system("cannot get random bytes", e))?;
    Ok(ledger.dir.replace(AUTHKEY, TEMPORARY, &key)?)
}

/// Replaces the key of a process in state `initial`.
pub fn replace(entry: &Entry, key: &[u8]) -> Result<()> {
    Ok(entry.dir.replace(AUTHKEY, TEMPORARY, key)?)
}

/// The key of a process.
pub fn of(entry: &Entry) -> Result<Secret> {
    if let Some(key) = optional(read(&entry.dir, AUTHKEY))? {
        return Ok(key);
    }
    if !entry.dir.has(RECORD)? {
        return Err(Error::refused(format!("{} was closed", entry.id)));
    }
    Err(FileError::new("read", entry.path(AUTHKEY), std::io::Error::from(std::io::ErrorKind::NotFound))
        .into())
}

fn read(from: &Dir, name: &str) -> fs::Result<Secret> {
    let file = from.open_read(name)?;
    Secret::read(&file, LARGEST).map_err(|e| FileError::new("read", from.path().join(name), e))
}

/// The bytes of a file that the user names.
pub fn from_file(path: &std::path::Path) -> Result<Secret> {
    let opened = std::fs::File::open(path).map_err(|e| FileError::new("open", path, e))?;
    let key = Secret::read(&opened, LARGEST).map_err(|e| FileError::new("read", path, e))?;
    match key.len() {
        0 => Err(Error::refused(format!("the authkey file {} is empty", path.display()))),
        length if length > LARGEST => {
            Err(Error::refused(format!("the authkey file {} is larger than {LARGEST} bytes", path.display())))
        }
        _ => Ok(key),
    }
}
