//! The index by name.
//!
//! For each process there is one entry, a symlink whose *file name* says everything, on one of four shelves:
//!
//!     names/SHELF/BUCKET/NAMEHASH.STOPPED.PARENTHASH.ID
//!
//! `initial` and `live` are for those states; an ended process is on `ended` until its parent has joined it, then on
//! `joined`. So a command that wants the live bearers of a name never sees the ended ones, however many there are.
//!
//! The index may lag behind the records, never lead to a wrong one: readers load the record and check it. A process that
//! is live is always found: it is put on the shelf before its record appears, and taken off after its record is final. A process
//! goes from shelf to shelf in the order of [`Shelf::ALL`]: whoever looks at several in that order meets it.

use std::ffi::OsString;

use crate::os::fs::{Dir, optional};

use super::error::Result;
use super::id::Id;
use super::ledger;
use super::record::{Record, State};
use super::time::Moment;

/// A part of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shelf {
    /// Recorded, not started.
    Initial,
    /// Started.
    Live,
    /// Ended, not joined by its parent.
    Ended,
    /// Ended and joined by its parent.
    Joined,
}

impl Shelf {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Initial, Self::Live, Self::Ended, Self::Joined];

    fn folder(self) -> &'static str {
        match self {
            Self::Initial => "names/initial",
            Self::Live => "names/live",
            Self::Ended => "names/ended",
            Self::Joined => "names/joined",
        }
    }
}

/// An entry of the index.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Tag {
    name: u64,
    /// When the process ended, microseconds since 1970; zero before that, or if it is not known.
    pub stopped: u64,
    /// Stands for the parent's key.
    pub parent: u64,
    /// The process.
    pub id: Id,
}

impl Tag {
    /// The entry of a process, as its record says.
    pub fn of(record: &Record) -> Self {
        Self {
            name: hash(&record.name),
            stopped: if record.is_final() { end_of(record).micros() } else { 0 },
            parent: hash(record.parent_key()),
            id: record.id.clone(),
        }
    }

    /// Parses the file name of one.
    pub fn parse(file: &str) -> Option<Self> {
        let mut parts = file.split('.');
        let mut number = || parts.next().and_then(|part| u64::from_str_radix(part, 16).ok());
        let (name, stopped, parent) = (number()?, number()?, number()?);
        let id = Id::parse(parts.next()?)?;
        parts.next().is_none().then_some(Self { name, stopped, parent, id })
    }

    /// Its file name.
    pub fn file(&self) -> String {
        let Self { name, stopped, parent, id } = self;
        format!("{name:016x}.{stopped:x}.{parent:016x}.{id}")
    }

    fn path(&self, shelf: Shelf) -> String {
        format!("{}/{}", bucket(shelf, self.name), self.file())
    }

    fn unstopped(&self) -> Self {
        Self { stopped: 0, ..self.clone() }
    }
}

/// When it ended; if that is not known, the last moment that is.
fn end_of(record: &Record) -> Moment {
    record.stopped_at.or(record.started_at).unwrap_or(record.created_at)
}

fn bucket(shelf: Shelf, name: u64) -> String {
    format!("{}/{:03x}", shelf.folder(), name >> 52)
}

/// FNV-1a, 64 bits: stable for ever, which the hashes of the standard library are not. Two texts with the same hash cost
/// a needless look at a record, no more.
pub fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// The index of one run directory.
#[derive(Clone, Copy, Debug)]
pub struct Names<'a> {
    root: &'a Dir,
}

impl<'a> Names<'a> {
    /// That of this run directory.
    pub fn new(root: &'a Dir) -> Self {
        Self { root }
    }

    /// Puts a process on a shelf.
    pub fn add(self, shelf: Shelf, record: &Record) -> Result<()> {
        let tag = Tag::of(record);
        let path = tag.path(shelf);
        match self.make(&path, record) {
            Err(e) if e.is_not_found() => {
                self.root.mkdir_all(bucket(shelf, tag.name))?;
                Ok(self.make(&path, record)?)
            }
            Err(e) if e.is_already_there() => Ok(()),
            other => Ok(other?),
        }
    }

    /// Only its name counts, so it can be a second name of what the parent's ledger has of the same process: an inode less
    /// to make. Where that cannot be (no such file there, no links here), it is a symlink of its own.
    fn make(self, path: &str, record: &Record) -> crate::os::fs::Result<()> {
        match self.root.link(ledger::path_of(record), self.root, path) {
            Err(e) if !e.is_already_there() => self.root.symlink(path, "-"),
            done => done,
        }
    }

    /// Takes a process off a shelf.
    pub fn remove(self, shelf: Shelf, record: &Record) -> Result<()> {
        let tag = Tag::of(record);
        let tag = if matches!(shelf, Shelf::Initial | Shelf::Live) { tag.unstopped() } else { tag };
        self.drop_tag(shelf, &tag)
    }

    /// Takes a process off all shelves.
    pub fn remove_everywhere(self, record: &Record) -> Result<()> {
        let tag = Tag::of(record);
        let mut done = Ok(());
        // In this order: one that is being joined goes from the third to the fourth.
        for shelf in Shelf::ALL {
            for tag in [&tag, &tag.unstopped()] {
                // One that cannot be removed does not keep the others.
                let removed = self.drop_tag(shelf, tag);
                done = done.and(removed);
            }
        }
        done
    }

    /// Takes an entry off a shelf.
    pub fn drop_tag(self, shelf: Shelf, tag: &Tag) -> Result<()> {
        optional(self.root.unlink(tag.path(shelf)))?;
        Ok(())
    }

    /// The shelf on which a process is to be found by its record.
    pub fn shelf_of(self, record: &Record) -> Result<Shelf> {
        Ok(match record.state {
            State::Initial => Shelf::Initial,
            State::Started => Shelf::Live,
            State::Stopped if self.root.has(Tag::of(record).path(Shelf::Joined))? => Shelf::Joined,
            State::Stopped => Shelf::Ended,
        })
    }

    /// Whether a process is on one of the shelves of those that have ended. Asked in the order of its way, for who joins it moves it
    /// from the one to the other without a lock.
    pub fn has_ended(self, record: &Record) -> Result<bool> {
        let tag = Tag::of(record);
        Ok(self.root.has(tag.path(Shelf::Ended))? || self.root.has(tag.path(Shelf::Joined))?)
    }

    /// Moves a process whose record has just become final from the live ones to the ended ones.
    pub fn move_to_ended(self, record: &Record) -> Result<()> {
        let tag = Tag::of(record);
        let (from, to) = (tag.unstopped().path(Shelf::Live), tag.path(Shelf::Ended));
        self.rename(&from, &to, Shelf::Ended, record)
    }

    /// Notes that its parent has joined a process that is where it should be. It is one step, and takes no lock. `false`: it was
    /// not there, or is the first on its shelf.
    pub fn move_ended_to_joined(self, record: &Record) -> Result<bool> {
        let tag = Tag::of(record);
        Ok(optional(self.root.rename(tag.path(Shelf::Ended), tag.path(Shelf::Joined)))?.is_some())
    }

    /// Notes that its parent has joined an ended process, wherever it is. The caller holds the write lock.
    pub fn move_to_joined(self, record: &Record) -> Result<()> {
        let tag = Tag::of(record);
        let to = tag.path(Shelf::Joined);
        if self.root.has(&to)? {
            return Ok(());
        }
        self.rename(&tag.path(Shelf::Ended), &to, Shelf::Joined, record)?;
        // A monitor that was killed before it moved the entry left one on the live shelf.
        self.remove(Shelf::Live, record)
    }

    fn rename(self, from: &str, to: &str, shelf: Shelf, record: &Record) -> Result<()> {
        let mut renamed = self.root.rename(from, to);
        if renamed.as_ref().is_err_and(crate::os::fs::FileError::is_not_found) {
            self.root.mkdir_all(bucket(shelf, hash(&record.name)))?;
            renamed = self.root.rename(from, to);
        }
        match optional(renamed)? {
            Some(()) => Ok(()),
            // It was not where it should have been: somebody was killed half-way.
            None => self.add(shelf, record),
        }
    }

    /// The entries of one name on a shelf; those of another name with the same hash included.
    pub fn find(self, shelf: Shelf, name: &str) -> Result<Vec<Tag>> {
        let hash = hash(name);
        let names = optional(self.root.list_dir(bucket(shelf, hash)))?;
        let mut tags = tags_in(&names.unwrap_or_default());
        tags.retain(|tag| tag.name == hash);
        Ok(tags)
    }

    /// Every entry of a shelf. While its name is being changed a process has two.
    pub fn all(self, shelf: Shelf) -> Result<Vec<Tag>> {
        let mut tags = self.listed(shelf)?;
        if shelf == Shelf::Live {
            // One that was given another name meanwhile can have gone from a bucket that was still to be read to one that had
            // been read already. Not twice: nobody changes names that fast.
            tags.extend(self.listed(shelf)?);
            tags.sort_unstable();
            tags.dedup();
        }
        Ok(tags)
    }

    fn listed(self, shelf: Shelf) -> Result<Vec<Tag>> {
        let Some(folder) = optional(self.root.open_dir(shelf.folder()))? else { return Ok(Vec::new()) };
        let mut tags = Vec::new();
        for bucket in folder.list()? {
            match folder.list_dir(bucket) {
                Ok(names) => tags.extend(tags_in(&names)),
                Err(e) if e.is_not_found() || e.source.kind() == std::io::ErrorKind::NotADirectory => {}
                Err(e) => return Err(e.into()),
            }
        }
        Ok(tags)
    }

    /// The lock that makes "look whether a live process has that name, then start one" a single step. Waits for it.
    pub fn lock_name(self, name: &str) -> Result<std::os::fd::OwnedFd> {
        let folder = bucket(Shelf::Live, hash(name));
        self.root.mkdir_all(&folder)?;
        let path = format!("{folder}/lock");
        let file = self.root.open_or_create(&path)?;
        crate::os::lock::lock(&file, 0)
            .map_err(|e| crate::os::fs::FileError::new("lock", self.root.path().join(&path), e))?;
        Ok(file)
    }
}

fn tags_in(files: &[OsString]) -> Vec<Tag> {
    files.iter().filter_map(|file| file.to_str().and_then(Tag::parse)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn an_entry_parses_back(name: u64, stopped: u64, parent: u64) {
            let tag = Tag { name, stopped, parent, id: Id::random().expect("chance") };
            prop_assert_eq!(Tag::parse(&tag.file()), Some(tag));
        }
        #[test]
        fn parsing_never_panics(file in ".{0,60}") {
            let _ = Tag::parse(&file);
        }
    }

    #[test]
    fn the_hash_is_fnv_1a_and_stays_so() {
        assert_eq!(hash(""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(hash("foobar"), 0x8594_4171_f739_67e8);
    }
}
