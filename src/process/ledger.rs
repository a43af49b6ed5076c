//! The children of one parent: how many it created, and which.
//!
//!     parents/KEY/count      how many children it created, in decimal; its lock makes numbering one step
//!     parents/KEY/N          a symlink that says the id of the N-th child
//!     parents/KEY/authkey    the key of an outside parent
//!
//! A number is used up when, and only when, its process has a record. The order is: lock; symlink N; record appears;
//! count becomes N; unlock. Whoever is killed between leaves a symlink N = count + 1, and the next holder of the lock
//! finds out by looking at that one id whether it was a start or a leftover.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::retry_on_intr;

use crate::os::fault::file_deed;
use crate::os::fs::{Dir, FileError, optional};
use crate::os::lock;

use super::authkey;
use super::entry::Entry;
use super::error::{Error, Result};
use super::family::{self, Outside};
use super::id::Id;
use super::record::Record;
use super::recover;
use super::rundir::RunDir;

const COUNT: &str = "count";

/// The open ledger of one parent.
#[derive(Debug)]
pub struct Ledger {
    /// Its directory.
    pub dir: Dir,
}

impl Ledger {
    /// Opens that of a parent, if it has ever created a child.
    pub fn open(run_dir: &RunDir, key: &str) -> Result<Option<Self>> {
        Ok(optional(run_dir.root.open_dir(path(key)))?.map(|dir| Self { dir }))
    }

    /// Opens that of a parent; made if it is not there.
    pub fn open_or_create(run_dir: &RunDir, key: &str) -> Result<Self> {
        if let Some(ledger) = Self::open(run_dir, key)? {
            return Ok(ledger);
        }
        run_dir.root.mkdir_all(path(key))?;
        Ok(Self { dir: run_dir.root.open_dir(path(key))? })
    }

    /// How many children the parent created.
    pub fn count(&self) -> Result<u64> {
        Ok(optional(self.dir.read(COUNT, 64))?.map_or(0, |bytes| parse(&bytes)))
    }

    /// The ids of its children that have not been closed, in the order of their numbers.
    pub fn children(&self) -> Result<Vec<Id>> {
        let mut children = Vec::new();
        for number in self.numbers()? {
            children.extend(self.child(number)?);
        }
        // Each has one number. Others are none of procctl's.
        let mut known = BTreeSet::new();
        Ok(children.into_iter().filter(|id| known.insert(id.clone())).collect())
    }

    /// Whose that number is.
    pub fn child(&self, number: u64) -> Result<Option<Id>> {
        let target = match self.dir.readlink(number.to_string()) {
            // No symlink.
            Err(e) if e.source.kind() == std::io::ErrorKind::InvalidInput => None,
            read => optional(read)?,
        };
        Ok(target.and_then(|id| Id::parse(&id.to_string_lossy())))
    }

    /// The directory of the process that has that number, if there is one.
    pub fn entry(&self, run_dir: &RunDir, number: u64) -> Result<Option<Entry>> {
        match self.child(number)? {
            Some(id) => run_dir.entry(&id),
            None => Ok(None),
        }
    }

    /// The numbers that are given, sorted.
    fn numbers(&self) -> Result<Vec<u64>> {
        let names = self.dir.list()?;
        let mut numbers: Vec<u64> = names.iter().filter_map(|name| name.to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Takes the lock and the next number for a process that is about to be recorded.
    pub fn next(&self, run_dir: &RunDir, id: &Id) -> Result<Number> {
        let mut locked = self.lock()?;
        loop {
            let next = self.after(locked.value)?;
            match self.dir.symlink(next.to_string(), id.as_str()) {
                Ok(()) => {
                    locked.value = next;
                    return Ok(locked);
                }
                Err(e) if e.is_already_there() => locked.settle(run_dir, self, next)?,
                Err(e) => return Err(e.into()),
            }
        }
    }

    fn after(&self, number: u64) -> Result<u64> {
        number.checked_add(1).ok_or_else(|| {
            let full = std::io::Error::other("no number comes after that");
            FileError::new("count on from", self.dir.path().join(COUNT), full).into()
        })
    }

    fn lock(&self) -> Result<Number> {
        let file = self.dir.open_or_create(COUNT)?;
        let failed = |e| FileError::new("lock", self.dir.path().join(COUNT), e);
        lock::lock(&file, 0).map_err(failed)?;
        Ok(Number::read(file).map_err(failed)?)
    }

    /// Settles what somebody left who had taken a number and was killed. The next one to take a number would do it; but the
    /// parent may have ended. Does nothing while somebody is at work.
    fn settle_leftover(&self, run_dir: &RunDir) -> Result<()> {
        let file = self.dir.open_or_create(COUNT)?;
        let failed = |e| FileError::new("lock", self.dir.path().join(COUNT), e);
        if !lock::try_lock(&file, 0).map_err(failed)? {
            return Ok(());
        }
        let mut locked = Number::read(file).map_err(failed)?;
        self.settle_up_to(u64::MAX, run_dir, &mut locked)?;
        authkey::clear(self)
    }

    /// Settles all that has a number after `count`, up to that one. There can be several where several were being started, and
    /// some before them were undone.
    fn settle_up_to(&self, last: u64, run_dir: &RunDir, locked: &mut Number) -> Result<()> {
        for number in self.numbers()? {
            if locked.value < number && number <= last && self.child(number)?.is_some() {
                locked.settle(run_dir, self, number)?;
            }
        }
        Ok(())
    }

    /// Takes the lock, for several processes that are about to be recorded.
    pub fn begin(&self) -> Result<Numbers> {
        let locked = self.lock()?;
        Ok(Numbers { last: locked.value, locked, of_others: Vec::new(), first: None })
    }

    /// Gives a process a number that was taken for it.
    pub fn give(&self, number: u64, id: &Id) -> Result<()> {
        Ok(self.dir.symlink(number.to_string(), id.as_str())?)
    }

    /// Takes a number back from a process that never was, or was forgotten.
    pub fn take_back(&self, number: u64) -> Result<()> {
        optional(self.dir.unlink(number.to_string()))?;
        Ok(())
    }

    /// Forgets a child whose record is about to be removed, so that its number stays used up.
    pub fn forget(&self, run_dir: &RunDir, number: u64, id: &Id) -> Result<()> {
        let mut locked = match self.lock() {
            // Somebody else closed the last child of a parent that has ended, and the ledger went with it.
            Err(Error::File(e)) if e.is_not_found() => return Ok(()),
            other => other?,
        };
        match self.child(number)? {
            // It was one of several that could not all be started, and gave its number back.
            Some(other) if other != *id => return Ok(()),
            Some(_) if locked.value < number => {
                // Several were being started when all was killed. What is not after `count` nobody settles any more.
                let _ = self.settle_up_to(number - 1, run_dir, &mut locked);
                locked.write(number).map_err(|e| FileError::new("write", self.dir.path().join(COUNT), e))?;
            }
            _ => {}
        }
        optional(self.dir.unlink(number.to_string()))?;
        Ok(())
    }

    /// Removes the ledger of a parent that will create no more children, if it has none left.
    pub fn remove_if_empty(self, run_dir: &RunDir, key: &str) -> Result<()> {
        let _locked = match self.lock() {
            Err(Error::File(e)) if e.is_not_found() => return Ok(()),
            other => other?,
        };
        let is_child = |name: &std::ffi::OsStr| name.as_encoded_bytes().iter().all(u8::is_ascii_digit);
        // Whoever had the lock before may have removed it: then it cannot be listed any more.
        if optional(self.dir.find(is_child))?.is_some_and(|child| child.is_none()) {
            optional(self.dir.unlink(super::entry::AUTHKEY))?;
            // Whoever made the key may have been killed before it had its name.
            optional(self.dir.unlink(authkey::TEMPORARY))?;
            optional(self.dir.unlink(COUNT))?;
            match run_dir.root.rmdir(path(key)) {
                // Whoever wanted the lock has made its file anew, finds no child either, and removes all of it.
                Err(e) if e.is_not_empty() => {}
                done => drop(optional(done)?),
            }
        }
        Ok(())
    }
}

/// A number taken under the lock.
#[derive(Debug)]
pub struct Number {
    /// The number.
    pub value: u64,
    file: OwnedFd,
    /// The file holds something that is no number.
    is_spoilt: bool,
}

impl Number {
    /// That of the last child.
    fn read(file: OwnedFd) -> std::io::Result<Self> {
        let mut text = [0; 32];
        let read = || retry_on_intr(|| rustix::io::pread(&file, &mut text, 0));
        let length = file_deed("read", COUNT, read)?;
        let text = &text[..length];
        let value = parse(text);
        Ok(Self { value, file, is_spoilt: length > 0 && text != value.to_string().as_bytes() })
    }

    /// Makes it used up. The record has appeared.
    pub fn commit(&self) -> std::io::Result<()> {
        self.write(self.value)
    }

    /// Lets the next one in, whoever else still has a copy of the descriptor.
    pub fn unlock(&self) {
        // Closing the last copy does it otherwise.
        let _ = lock::unlock(&self.file, 0);
    }

    /// Gives it back: its process never was.
    pub fn take_back(&self, run_dir: &RunDir, key: &str) {
        // A symlink that stays is recognised by the next holder of the lock.
        let _ = run_dir.root.unlink(format!("{}/{}", path(key), self.value));
    }

    fn write(&self, value: u64) -> std::io::Result<()> {
        if self.is_spoilt {
            retry_on_intr(|| rustix::fs::ftruncate(&self.file, 0))?;
        }
        // Decimal numbers only grow longer: overwriting in place leaves nothing of the old one.
        let text = value.to_string();
        let write = || retry_on_intr(|| rustix::io::pwrite(self.file.as_fd(), text.as_bytes(), 0));
        file_deed("write", COUNT, write)?;
        Ok(())
    }

    /// Somebody who had taken this number was killed. Was it used up?
    fn settle(&mut self, run_dir: &RunDir, ledger: &Ledger, number: u64) -> Result<()> {
        let recorded = match ledger.entry(run_dir, number)? {
            Some(entry) => recover::is_recorded(run_dir, &entry)?,
            None => false,
        };
        if recorded && self.value.checked_add(1) != Some(number) {
            // Of several that were being started, one with a lower number was not: that is still to be given.
            Ok(())
        } else if recorded {
            self.value = number;
            Ok(self.write(number).map_err(|e| FileError::new("write", ledger.dir.path().join(COUNT), e))?)
        } else {
            optional(ledger.dir.unlink(number.to_string()))?;
            Ok(())
        }
    }
}

/// Numbers for several processes that are started at once, taken one after another under one lock.
///
/// They are used up all together, when all have a record. Whoever is killed before leaves symlinks with numbers after `count`,
/// and some of them may have a record: the next holder of the lock settles them, one after another.
#[derive(Debug)]
pub struct Numbers {
    locked: Number,
    first: Option<u64>,
    last: u64,
    /// Between the first and the last.
    of_others: Vec<u64>,
}

impl Numbers {
    /// The next one that is free. Whoever shares this lock gives it to the process: [`Ledger::give`].
    pub fn next(&mut self, run_dir: &RunDir, ledger: &Ledger) -> Result<u64> {
        loop {
            self.last = ledger.after(self.last)?;
            if ledger.dir.has(self.last.to_string())? {
                self.locked.settle(run_dir, ledger, self.last)?;
                if ledger.dir.has(self.last.to_string())? {
                    self.of_others.push(self.last);
                    continue;
                }
            }
            self.first.get_or_insert(self.last);
            return Ok(self.last);
        }
    }

    /// Those that were taken, in that order.
    pub fn taken(&self) -> impl Iterator<Item = u64> {
        let first = self.first.unwrap_or(u64::MAX);
        (first..=self.last).filter(|number| !self.of_others.contains(number))
    }

    /// Makes all of them used up.
    pub fn commit(&self) -> std::io::Result<()> {
        self.locked.write(self.last)
    }

    /// Lets the next one in, whoever else still has a copy of the descriptor.
    pub fn unlock(&self) {
        self.locked.unlock();
    }
}

/// Settles what killed starts have left in the ledgers, and removes those without children whose parents can create no more.
pub fn clear_abandoned(run_dir: &RunDir) -> Result<()> {
    let Some(parents) = optional(run_dir.root.open_dir("parents"))? else { return Ok(()) };
    for key in parents.list()? {
        let Some(key) = key.to_str() else { continue };
        // One that cannot be settled, opened or removed does not stop the others.
        let Ok(Some(ledger)) = Ledger::open(run_dir, key) else { continue };
        let _ = ledger.settle_leftover(run_dir);
        if let Ok(true) = is_abandoned(run_dir, key) {
            let _ = ledger.remove_if_empty(run_dir, key);
        }
    }
    Ok(())
}

/// Whether the parent with that key has ended.
fn is_abandoned(run_dir: &RunDir, key: &str) -> Result<bool> {
    Ok(match (Id::parse(key), family::process_of_key(run_dir, key)?) {
        (Some(id), _) => run_dir.entry(&id)?.is_none(),
        (None, Some(Outside::Here(process))) => process.open().is_ok_and(|found| found.is_none()),
        (None, Some(Outside::EarlierBoot)) => true,
        (None, None) => false,
    })
}

/// Where the ledger of its parent has a process, below the run directory.
pub(super) fn path_of(record: &Record) -> String {
    format!("{}/{}", path(record.parent_key()), record.number())
}

fn path(key: &str) -> String {
    format!("parents/{key}")
}

fn parse(bytes: &[u8]) -> u64 {
    std::str::from_utf8(bytes).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)
}
