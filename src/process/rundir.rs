//! The run directory: where it is, whether it may be trusted, and the way to a process by its id.

use std::cell::OnceCell;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use rustix::fs::FileType;

use crate::os::fs::{self, Dir, FileError, Follow, optional};
use crate::os::system;

use super::entry::{Entry, Folder};
use super::error::{self, Error, Result};
use super::host::Host;
use super::id::{self, Id, PROCESSES};
use super::names::{Names, Shelf, Tag};
use super::time::Deadline;

/// The variable that names the run directory; also set in every process.
pub const VARIABLE: &str = "PROCCTL_RUN_DIR";

const CHOOSE: &str = "choose another one with --run-dir or PROCCTL_RUN_DIR";

/// An open run directory that has been found trustworthy.
#[derive(Debug)]
pub struct RunDir {
    /// The directory.
    pub root: Dir,
    /// Where and when we are.
    pub host: Host,
    /// Until when this command waits for monitors that do not record the ends of their processes.
    patience: OnceCell<Deadline>,
}

/// Where the run directory is: the option, the variable, or the default. Absolute.
pub fn locate(option: Option<&Path>) -> Result<PathBuf> {
    locate_and_say(option).map(|(path, _)| path)
}

/// As [`locate`], with the option or the variable that says so.
pub fn locate_and_say(option: Option<&Path>) -> Result<(PathBuf, &'static str)> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let (chosen, by) = if let Some(option) = option {
        if option.as_os_str().is_empty() {
            return Err(Error::refused("--run-dir is empty"));
        }
        (option.to_owned(), "--run-dir")
    } else if let Some(path) = variable(VARIABLE) {
        (path, VARIABLE)
    } else if let Some(state) = variable("XDG_STATE_HOME").filter(|path| path.is_absolute()) {
        // The XDG specification says that a relative path there is to be ignored.
        (state.join("procctl"), "XDG_STATE_HOME")
    } else if let Some(home) = variable("HOME").filter(|path| path.is_absolute()) {
        (home.join(".local/state/procctl"), "HOME")
    } else {
        (PathBuf::from(format!("/tmp/procctl-{}", system::user_id())), "no HOME")
    };
    let path = std::path::absolute(&chosen).map_err(|e| FileError::new("find", chosen, e))?;
    Ok((path, by))
}

impl RunDir {
    /// Opens it, made if it is not there, and checks it.
    pub fn open_or_create(path: &Path) -> Result<Self> {
        match Dir::open(path) {
            Err(e) if e.is_not_found() => {
                let create = std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path);
                create.map_err(|e| {
                    let what = format!("cannot create the run directory {}", path.display());
                    Error::hinted(format!("{what}: {}", error::message(&e)), CHOOSE)
                })?;
                Self::checked(Dir::open(path)?)
            }
            other => Self::checked(readable(path, other)?),
        }
    }

    /// Opens and checks it. `None` if it is not there: then there are no processes.
    pub fn open(path: &Path) -> Result<Option<Self>> {
        match Dir::open(path) {
            Err(e) if e.is_not_found() => Ok(None),
            other => Self::checked(readable(path, other)?).map(Some),
        }
    }

    /// A record is an instruction to send signals: only the user may be able to write one. What is checked is the open
    /// directory, so nothing can be put in its place afterwards.
    fn checked(root: Dir) -> Result<Self> {
        let path = root.path_of_open().to_owned();
        let refuse = |why: String, hint: &str| {
            Err(Error::hinted(format!("refused the run directory {}: {why}", path.display()), hint))
        };
        let is = root.metadata()?;
        let me = system::user_id();
        if is.st_uid != me {
            return refuse(format!("it belongs to user {} and you are user {me}", is.st_uid), CHOOSE);
        }
        if is.st_mode & 0o077 != 0 {
            return refuse(
                format!("it is open to group or others (mode {:04o})", is.st_mode & 0o7777),
                // One with other things in it is not to be closed to those who use them.
                &if root.has(PROCESSES).unwrap_or(false) || matches!(root.find(|_| true), Ok(None)) {
                    format!("chmod 700 {}", path.display())
                } else {
                    CHOOSE.to_owned()
                },
            );
        }
        if let Some(why) = symlink_of_others(&path)? {
            return refuse(why, "name the real directory");
        }
        Ok(Self { root, host: Host::default(), patience: OnceCell::new() })
    }

    /// How long a command goes on waiting for monitors to record ends that have happened, for all of them together. It takes
    /// a millisecond, unless a monitor cannot write (a full disk) or is stopped.
    pub fn patience(&self) -> Duration {
        const IN_ALL: Duration = Duration::from_secs(2);
        self.patience.get_or_init(|| Deadline::after(IN_ALL)).left().unwrap_or(IN_ALL)
    }

    /// From now on until then, instead. For a command that looks again and again.
    pub fn be_patient_for(&mut self, time: Duration) {
        self.patience = OnceCell::from(Deadline::after(time));
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        self.root.path_of_open()
    }

    /// Whether its path still leads to it.
    pub fn is_in_place(&self) -> bool {
        let now = fs::stat_of(self.path(), Follow::Yes);
        now.is_ok_and(|now| self.root.metadata().is_ok_and(|is| fs::same_file(&is, &now)))
    }

    /// The index by name.
    pub fn names(&self) -> Names<'_> {
        Names::new(&self.root)
    }

    /// The directory of the process with that id, if there is one.
    pub fn entry(&self, id: &Id) -> Result<Option<Entry>> {
        let there = optional(self.root.stat(id.path()))?;
        Ok(there.map(|_| self.entry_of(id)))
    }

    /// The directory of the process with that id, which need not be there.
    pub fn entry_of(&self, id: &Id) -> Entry {
        Entry { id: id.clone(), dir: self.root.below(id.path()) }
    }

    /// Drops an entry of the index by name whose process is not there: a leftover, for the directory is made first.
    pub fn drop_if_nowhere(&self, shelf: Shelf, tag: &Tag) -> Result<()> {
        if self.entry(&tag.id)?.is_none() {
            // In a directory that can only be read it stays.
            let _ = self.names().drop_tag(shelf, tag);
        }
        Ok(())
    }

    /// Makes the directory of a new process, under an id that was free.
    pub fn make_entry(&self) -> Result<Entry> {
        loop {
            let id = Id::random().map_err(|e| Error::system("cannot get random bytes", e))?;
            let path = id.path();
            let mut made = self.root.mkdir(&path);
            // A folder that was just made can be removed again by somebody who finds it empty.
            while made.as_ref().is_err_and(FileError::is_not_found) {
                self.root.mkdir_all(id::folder(id.as_str()))?;
                made = self.root.mkdir(&path);
            }
            match made {
                Ok(()) => {
                    let dir = self.root.below(path).hold().inspect_err(|_| drop(self.remove_entry(&id)))?;
                    return Ok(Entry { id, dir });
                }
                Err(e) if e.is_already_there() => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Removes the directory of a process that never was, and its folder if that is empty now.
    pub fn remove_entry(&self, id: &Id) -> Result<()> {
        self.root.remove_flat(id.path())?;
        // Not empty, mostly.
        let _ = self.root.rmdir(id::folder(id.as_str()));
        Ok(())
    }

    /// The ids that begin with a prefix of two characters or more.
    pub fn ids_beginning(&self, prefix: &str) -> Result<Vec<Id>> {
        let Some(processes) = optional(self.root.open_dir(PROCESSES))? else { return Ok(Vec::new()) };
        let folder = Folder::open(&processes, prefix[..2].as_ref())?;
        let mut ids = folder.map_or(Vec::new(), |folder| folder.ids);
        ids.retain(|id| id.as_str().starts_with(prefix));
        Ok(ids)
    }

    /// Removes what is left of processes whose closing was cut off half-way.
    pub fn clear_vanished(&self) -> Result<()> {
        let Some(processes) = optional(self.root.open_dir(PROCESSES))? else { return Ok(()) };
        for folder in processes.list()? {
            let folder = processes.below(folder);
            for name in folder.list().unwrap_or_default() {
                if name.as_bytes().starts_with(id::VANISHED.as_bytes()) {
                    // One that cannot be removed does not stop the others.
                    let _ = folder.remove_flat(name);
                }
            }
        }
        Ok(())
    }

    /// Every id, sorted. A directory may be a start under way or a leftover.
    pub fn all_ids(&self) -> Result<Vec<Id>> {
        let mut ids = Vec::new();
        for folder in self.folders()? {
            ids.extend(folder?.ids);
        }
        Ok(ids)
    }

    /// The folders that there are, in order, each read when it is its turn.
    pub fn folders(&self) -> Result<impl Iterator<Item = Result<Folder>>> {
        let processes = optional(self.root.open_dir(PROCESSES))?;
        let mut names = processes.as_ref().map_or(Ok(Vec::new()), Dir::list)?;
        names.sort();
        Ok(names.into_iter().filter_map(move |name| Folder::open(processes.as_ref()?, &name).transpose()))
    }
}

/// Says what kind of wrong it is when the path cannot be opened as a directory.
fn readable(path: &Path, opened: crate::os::fs::Result<Dir>) -> Result<Dir> {
    opened.map_err(|e| match e.source.kind() {
        io::ErrorKind::NotADirectory => {
            let what = format!("refused the run directory {}: it is not a directory", path.display());
            Error::hinted(what, CHOOSE)
        }
        _ => e.into(),
    })
}

/// Why not to follow a path: a part of it is a symlink that another user may have put there, or may replace.
///
/// A symlink of the user's own (or root's) in a sticky directory cannot be replaced by others, but it can have been put
/// there under a name that the user was expected to use: still refused. One that belongs to another user leads where that
/// one wants, wherever it is; whoever owns `/` is trusted like root (in a user namespace root is somebody else).
///
/// What cannot be looked at is an error, not "no symlink".
fn symlink_of_others(path: &Path) -> Result<Option<String>> {
    const ANYBODY_WRITES: u32 = 0o002;
    const ROOT: u32 = 0;
    let mut place = PathBuf::new();
    for part in path.components() {
        if let Component::Normal(name) = part {
            let here = place.join(OsStr::from_bytes(name.as_bytes()));
            let link = fs::stat_of(&here, Follow::No)?;
            if FileType::from_raw_mode(link.st_mode) == FileType::Symlink {
                let what = format!("{} is a symlink", here.display());
                if fs::stat_of(&place, Follow::Yes)?.st_mode & ANYBODY_WRITES != 0 {
                    return Ok(Some(format!("{what} in {}, where anybody can write", place.display())));
                }
                let owner = link.st_uid;
                let is_trusted = owner == ROOT
                    || owner == system::user_id()
                    || fs::stat_of(Path::new("/"), Follow::Yes)?.st_uid == owner;
                if !is_trusted {
                    return Ok(Some(format!("{what} that belongs to user {owner}")));
                }
            }
        }
        place.push(part);
    }
    Ok(None)
}
