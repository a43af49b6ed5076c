//! The directory of one process: its files and its two locks.
//!
//! | file | what |
//! |---|---|
//! | `record.json` | the record. Without it there is no process: the directory is being made, or a leftover |
//! | `record.starting` | the record as it will be once the command has been exec'ed; renamed to `record.json` then |
//! | `sentinel` | a FIFO whose writer is the monitor; an empty file once the record is final |
//! | `output.log` | what the process wrote, unless it writes elsewhere |
//! | `signals` | a line of JSON for each signal that procctl sent it |
//! | `environment` | what `create -e` asked for, until the start |
//! | `authkey` | the key: a hard link to the parent's, or its own |
//!
//! Both locks are bytes of the sentinel. **Life**: held by the monitor from before the record appears until its own
//! death; also by the child between fork and exec, so a free life lock means that the command runs or has ended.
//! **Write**: held by whoever replaces the record, for that moment.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

use rustix::fs::{FileType, Stat};

use crate::os::fs::{self, Dir, FileError, optional};
use crate::os::lock;

use super::error::{Error, Result};
use super::id::Id;
use super::record::{EndedBy, LARGEST, Record};

/// The record.
pub const RECORD: &str = "record.json";
/// The record of a start that is under way.
pub const STARTING: &str = "record.starting";
/// The sentinel.
pub const SENTINEL: &str = "sentinel";
/// The log.
pub const LOG: &str = "output.log";
/// The private environment of a process in state `initial`.
pub const ENVIRONMENT: &str = "environment";
/// The authkey.
pub const AUTHKEY: &str = "authkey";
const SIGNALS: &str = "signals";
const NEW_SENTINEL: &str = "sentinel.new";

const LIFE: u8 = 0;
const WRITE: u8 = 1;
const HOLD: u8 = 2;

/// The directory of one process. It takes no descriptor of its own, but is reached through the run directory; that of a process
/// that is being made is held open, by its monitor for life ([`Dir::hold`]).
#[derive(Debug)]
pub struct Entry {
    /// The process's id, which is the directory's name.
    pub id: Id,
    /// The directory.
    pub dir: Dir,
}

impl Entry {
    /// The path of one of its files.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.path().join(file)
    }

    /// Reads the record. `None` if there is none (yet).
    pub fn load(&self) -> Result<Option<Record>> {
        self.load_as(RECORD)
    }

    /// Reads the record of a start that was cut off. It is whole before the exec: one that cannot be read is as none.
    pub fn load_starting(&self) -> Result<Option<Record>> {
        match self.load_as(STARTING) {
            Err(Error::Refused { .. }) => Ok(None),
            other => other,
        }
    }

    fn load_as(&self, file: &str) -> Result<Option<Record>> {
        let Some(bytes) = optional(self.dir.read(file, LARGEST))? else { return Ok(None) };
        Record::of(&self.id, &bytes).map(Some).map_err(|why| self.broken(file, &why))
    }

    fn broken(&self, file: &str, why: &str) -> Error {
        let lives = self.watch().is_ok_and(|watch| watch.is_monitored().unwrap_or(false));
        let hint = if lives {
            format!(
                "its process is alive, or may be: ps -ef shows 'monitor of {}', and SIGTERM to that ends it; without it nothing \
                 of {} is needed",
                self.id,
                self.dir.path().display()
            )
        } else {
            format!("if it is of no use, remove {}", self.dir.path().display())
        };
        Error::hinted(format!("cannot use the record {}: {why}", self.path(file).display()), hint)
    }

    /// Replaces the record, whole. The caller holds the write lock, or nobody else knows of the process yet.
    pub fn save(&self, record: &Record) -> Result<()> {
        let json = self.to_json(record)?;
        Ok(self.dir.replace(RECORD, "record.tmp", &json)?)
    }

    /// Writes the record of a start that is under way.
    pub fn save_starting(&self, record: &Record) -> Result<()> {
        let json = self.to_json(record)?;
        Ok(self.dir.overwrite(STARTING, &json)?)
    }

    fn to_json(&self, record: &Record) -> Result<Vec<u8>> {
        record.to_json().map_err(|e| FileError::new("write", self.path(RECORD), e).into())
    }

    /// Makes the sentinel of a process that has not ended.
    pub fn make_sentinel(&self) -> Result<()> {
        Ok(self.dir.mkfifo(SENTINEL)?)
    }

    /// Whether the sentinel is that of a process whose end is not recorded, or not altogether.
    pub fn has_open_sentinel(&self) -> Result<bool> {
        is_open(self.dir.stat(SENTINEL))
    }

    /// Puts the sentinel of an ended process in the place of the FIFO: from now on opening it never blocks.
    pub fn settle_sentinel(&self) -> Result<()> {
        Ok(self.dir.replace(SENTINEL, "sentinel.tmp", b"")?)
    }

    /// Opens the sentinel for locking. One that was removed, by hand, is made again: without it there would be no lock, and
    /// the process could be neither changed nor closed.
    fn open_sentinel(&self, make: impl Fn(&Self) -> Result<()>) -> Result<OwnedFd> {
        match self.dir.open_read_write(SENTINEL) {
            Err(e) if e.is_not_found() => {
                if !self.dir.has(RECORD)? {
                    return Err(e.into());
                }
                make(self)?;
                Ok(self.dir.open_read_write(SENTINEL)?)
            }
            opened => Ok(opened?),
        }
    }

    /// Opens the sentinel and takes the life lock; `None` if somebody has it. Being open, the sentinel does not end.
    pub fn take_life(&self) -> Result<Option<OwnedFd>> {
        let sentinel = self.open_sentinel(Self::make_sentinel)?;
        let taken = lock::try_lock(&sentinel, LIFE).map_err(|e| self.lock_failed(e))?;
        Ok(taken.then_some(sentinel))
    }

    /// Takes both locks for a new monitor of a process whose monitor is dead, and sees to it that the sentinel can be waited
    /// for. `None`: somebody has one of the locks. The write lock is held until [`Entry::end_start`].
    pub fn take_over(&self) -> Result<Option<OwnedFd>> {
        let sentinel = self.dir.open_read_write(SENTINEL)?;
        let take = |fd: &OwnedFd, byte| lock::try_lock(fd, byte).map_err(|e| self.lock_failed(e));
        if !take(&sentinel, WRITE)? || !self.is_sentinel(&sentinel)? {
            return Ok(None);
        }
        if fs::is_fifo(&sentinel) {
            return Ok(take(&sentinel, LIFE)?.then_some(sentinel));
        }
        // Somebody found the monitor dead and could not replace it. A file cannot be waited for: nobody may ever hold the
        // life lock on one.
        optional(self.dir.unlink(NEW_SENTINEL))?;
        self.dir.mkfifo(NEW_SENTINEL)?;
        let fifo = self.dir.open_read_write(NEW_SENTINEL)?;
        let taken = take(&fifo, WRITE)? && take(&fifo, LIFE)?;
        self.dir.rename(NEW_SENTINEL, SENTINEL).inspect_err(|_| drop(self.dir.unlink(NEW_SENTINEL)))?;
        Ok(taken.then_some(fifo))
    }

    /// Waits for the life lock and takes it: whoever holds it is known to be dying.
    pub fn wait_for_life(&self) -> Result<OwnedFd> {
        let sentinel = self.dir.open_read_write(SENTINEL)?;
        lock::lock(&sentinel, LIFE).map_err(|e| self.lock_failed(e))?;
        Ok(sentinel)
    }

    /// Opens the sentinel to look at the life lock, or to wait for its end.
    pub fn watch(&self) -> Result<Watch> {
        let sentinel = self.dir.open_read(SENTINEL)?;
        Ok(Watch { sentinel, path: self.path(SENTINEL) })
    }

    /// Takes the life lock for a start, and the write lock with it until [`Entry::end_start`]: whoever takes that one
    /// afterwards knows the outcome.
    pub fn begin_start(&self) -> Result<Option<OwnedFd>> {
        let Some(life) = self.take_life()? else { return Ok(None) };
        // Of anything else, whoever joins the process would not be told the end.
        if !fs::is_fifo(&life) {
            let not_a_fifo = io::Error::new(io::ErrorKind::InvalidInput, "it is no FIFO");
            return Err(FileError::new("use", self.path(SENTINEL), not_a_fifo).into());
        }
        lock::lock(&life, WRITE).map_err(|e| self.lock_failed(e))?;
        Ok(Some(life))
    }

    /// The start is over: it has a record, or is undone.
    pub fn end_start(&self, life: &OwnedFd) {
        // It can fail where locks are kept by a server, or for want of memory. The monitor keeps the descriptor for life, and
        // would lock itself out when it has to record the end.
        const TRIES: u32 = 100;
        for _ in 0..TRIES {
            if lock::unlock(life, WRITE).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until the start that is under way is over.
    pub fn wait_for_start(&self) -> Result<()> {
        self.lock_for_writing().map(drop)
    }

    /// Waits for the write lock and takes it.
    pub fn lock_for_writing(&self) -> Result<WriteLock> {
        loop {
            let sentinel = self.open_sentinel(Self::settle_sentinel)?;
            lock::lock(&sentinel, WRITE).map_err(|e| self.lock_failed(e))?;
            if self.is_sentinel(&sentinel)? {
                return Ok(WriteLock { _sentinel: sentinel });
            }
        }
    }

    /// Takes the write lock; `None` if somebody has it.
    pub fn try_lock_for_writing(&self) -> Result<Option<WriteLock>> {
        let sentinel = self.open_sentinel(Self::settle_sentinel)?;
        let taken = lock::try_lock(&sentinel, WRITE).map_err(|e| self.lock_failed(e))?;
        Ok((taken && self.is_sentinel(&sentinel)?).then_some(WriteLock { _sentinel: sentinel }))
    }

    /// Whether an open sentinel is the one that is there: it is replaced at the end, and a lock on the old one locks nothing.
    fn is_sentinel(&self, open: &OwnedFd) -> Result<bool> {
        let there = self.dir.stat(SENTINEL)?;
        Ok(rustix::fs::fstat(open).is_ok_and(|open| fs::same_file(&open, &there)))
    }

    fn lock_failed(&self, e: io::Error) -> Error {
        FileError::new("lock", self.path(SENTINEL), e).into()
    }

    /// Notes a signal that is about to be sent.
    pub fn note_signal(&self, note: &EndedBy) -> Result<()> {
        let mut line =
            serde_json::to_vec(note).map_err(|e| FileError::new("write", self.path(SIGNALS), e))?;
        line.push(b'\n');
        Ok(self.dir.append(SIGNALS, &line)?)
    }

    /// The signals that were noted, oldest first. Lines that are none are passed over.
    pub fn noted_signals(&self) -> Vec<EndedBy> {
        let bytes = self.dir.read(SIGNALS, LARGEST).unwrap_or_default();
        bytes
            .split(|&b| b == b'\n')
            .filter(|line| !line.is_empty())
            .filter_map(|line| serde_json::from_slice(line).ok())
            .collect()
    }

    /// Asks the monitor not to leave when the process ends: it stays, as the new parent of orphaned descendants, until
    /// the returned descriptor is closed.
    pub fn hold_monitor(&self) -> Result<OwnedFd> {
        let hold = self.dir.open_or_create("hold")?;
        lock::lock(&hold, HOLD).map_err(|e| self.lock_failed(e))?;
        Ok(hold)
    }

    /// In the monitor, on its way out: waits until nobody holds it.
    pub fn wait_until_not_held(&self) {
        if let Ok(hold) = self.dir.open_read_write("hold") {
            // An error is no reason to stay.
            let _ = lock::lock(&hold, HOLD);
        }
    }
}

/// Whether it is the sentinel of a process whose end is not recorded, or not altogether.
fn is_open(sentinel: fs::Result<Stat>) -> Result<bool> {
    Ok(optional(sentinel)?.is_some_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo))
}

/// The directories of the processes whose ids begin with the same two characters, reached through that of all of them: with
/// less ado than by [`Entry`], for those who look at many.
#[derive(Debug)]
pub struct Folder {
    /// It, open.
    dir: Dir,
    /// The ids, sorted. A directory may be a start under way or a leftover.
    pub ids: Vec<Id>,
}

impl Folder {
    /// The one of that name in `processes`; `None` if it is gone, or something else.
    pub fn open(processes: &Dir, name: &OsStr) -> Result<Option<Self>> {
        let mut ids = Vec::new();
        let opened = processes.open_dir_and_list(name, |entry| {
            let id = entry.to_str().and_then(Id::parse);
            // What is in the wrong place is nowhere.
            ids.extend(id.filter(|id| id.folder_name() == name));
        });
        match opened {
            Ok(dir) => {
                ids.sort_unstable();
                Ok(Some(Self { dir, ids }))
            }
            Err(e) if e.is_not_found() || e.source.kind() == io::ErrorKind::NotADirectory => Ok(None),
            Err(e) => Err(e.into()),
        }
    }

    /// Its final record, if all that belongs to the end has been done as well. In any other case `None`: [`Entry`] tells more.
    pub fn settled(&self, id: &Id, buffers: &mut Buffers) -> Option<Record> {
        const ROOM: usize = 64 << 10;
        let Buffers { path, bytes } = buffers;
        // If that is not all of it, it is no JSON.
        self.dir.read_at_once(bytes, path_in_folder(path, id, RECORD), ROOM).ok()?;
        let record = Record::of(id, bytes).ok().filter(Record::is_final)?;
        let sentinel = self.dir.stat_in_passing(path_in_folder(path, id, SENTINEL));
        is_open(sentinel).is_ok_and(|open| !open).then_some(record)
    }
}

fn path_in_folder<'a>(path: &'a mut String, id: &Id, file: &str) -> &'a str {
    path.clear();
    path.extend([id.as_str(), "/", file]);
    path
}

/// What looking at one needs, used again for the next.
#[derive(Debug, Default)]
pub struct Buffers {
    path: String,
    /// What the file of the record says that was read last.
    pub bytes: Vec<u8>,
}

/// The right to replace a record, until dropped.
#[derive(Debug)]
pub struct WriteLock {
    _sentinel: OwnedFd,
}

/// An open sentinel.
#[derive(Debug)]
pub struct Watch {
    sentinel: OwnedFd,
    path: PathBuf,
}

impl AsFd for Watch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.sentinel.as_fd()
    }
}

impl Watch {
    /// Whether a monitor (or a child on its way to exec) lives.
    pub fn is_monitored(&self) -> Result<bool> {
        lock::is_locked(&self.sentinel, LIFE).map_err(|e| FileError::new("lock", &self.path, e).into())
    }

    /// Waits until the monitor has closed it (it recorded the end, or was killed), for that time at most.
    pub fn wait(&self, at_most: Duration) -> io::Result<()> {
        use rustix::event::{PollFd, PollFlags, Timespec, poll};
        let mut fds = [PollFd::new(&self.sentinel, PollFlags::empty())];
        match poll(&mut fds, Some(&Timespec::try_from(at_most).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 })))
        {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }
}
