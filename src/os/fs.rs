//! Files relative to an open directory.
//!
//! Every access goes through a [`Dir`], an open descriptor, and follows no symlink below it, at no step of the way: a
//! directory that is renamed, or replaced by a symlink, cannot lead elsewhere. What was put in the place of a file is not
//! written to. Errors carry what was tried and the path.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::fault::file_deed;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, Stat};
// On network and user-space file systems any of these calls can be interrupted by a signal.
use rustix::io::{Errno, retry_on_intr};

/// What went wrong with a file: the deed, the path, the kernel's reason.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} {}", path.display())]
pub struct FileError {
    /// The deed in words: `open`, `create`, `write`…
    pub what: &'static str,
    /// The path concerned.
    pub path: PathBuf,
    /// The kernel's reason.
    #[source]
    pub source: io::Error,
}

/// A result whose error names the path.
pub type Result<T> = std::result::Result<T, FileError>;

impl FileError {
    /// Builds one from any error of the kernel.
    pub fn new(what: &'static str, path: impl Into<PathBuf>, source: impl Into<io::Error>) -> Self {
        Self { what, path: path.into(), source: source.into() }
    }

    /// Whether the file or directory was not there.
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == io::ErrorKind::NotFound
    }

    /// Whether it was there already.
    pub fn is_already_there(&self) -> bool {
        self.source.kind() == io::ErrorKind::AlreadyExists
    }

    /// Whether a directory that was to be removed is not empty.
    pub fn is_not_empty(&self) -> bool {
        self.source.kind() == io::ErrorKind::DirectoryNotEmpty
    }
}

/// Turns "not there" into `None`.
pub fn optional<T>(result: Result<T>) -> Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e) if e.is_not_found() => Ok(None),
        Err(e) => Err(e),
    }
}

const PRIVATE_FILE: Mode = Mode::RUSR.union(Mode::WUSR);
const PRIVATE_DIR: Mode = Mode::RWXU;

/// An open directory, or one below it that is reached through it.
#[derive(Clone, Debug)]
pub struct Dir {
    open: Rc<Open>,
    /// From the open directory; empty: that itself.
    below: PathBuf,
}

/// The open directory itself. (The path is for messages only.)
#[derive(Debug)]
struct Open {
    fd: OwnedFd,
    path: PathBuf,
}

impl AsFd for Dir {
    /// The open directory.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.open.fd.as_fd()
    }
}

impl Dir {
    /// Opens a directory by path; a symlink at its end is followed.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || retry_on_intr(|| rustix::fs::openat(CWD, path, flags, Mode::empty()));
        let fd = file_deed("open", path, open).map_err(|e| FileError::new("open", path, e))?;
        Ok(Self::of(fd, path.to_owned()))
    }

    fn of(fd: OwnedFd, path: PathBuf) -> Self {
        Self { open: Rc::new(Open { fd, path }), below: PathBuf::new() }
    }

    /// A directory below this one, reached through the same descriptor. It need not be there.
    #[must_use]
    pub fn below(&self, name: impl AsRef<Path>) -> Self {
        Self { open: Rc::clone(&self.open), below: self.at(name.as_ref()).into_owned() }
    }

    /// Opens a directory below this one; a symlink at its end is refused.
    pub fn open_dir(&self, name: impl AsRef<Path>) -> Result<Self> {
        let name = name.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.openat(name, flags)?;
        Ok(Self::of(fd, self.path().join(name)))
    }

    /// The same directory with a descriptor of its own: whoever does much in one need not look it up each time.
    pub fn hold(&self) -> Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fd = self.openat(Path::new(""), flags)?;
        Ok(Self::of(fd, self.path().into_owned()))
    }

    /// The path it is known by.
    pub fn path(&self) -> Cow<'_, Path> {
        if self.below.as_os_str().is_empty() {
            self.path_of_open().into()
        } else {
            self.path_of_open().join(&self.below).into()
        }
    }

    /// The path of the open directory.
    pub fn path_of_open(&self) -> &Path {
        &self.open.path
    }

    /// From the open directory to what has that name here.
    fn at<'a>(&self, name: &'a Path) -> Cow<'a, Path> {
        if self.below.as_os_str().is_empty() { name.into() } else { self.below.join(name).into() }
    }

    /// Metadata of the directory itself.
    pub fn metadata(&self) -> Result<Stat> {
        if !self.below.as_os_str().is_empty() {
            return self.act("look at", Path::new(""), |folder, name| {
                rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
            });
        }
        retry_on_intr(|| rustix::fs::fstat(&self.open.fd))
            .map_err(|e| FileError::new("look at", self.path_of_open(), e))
    }

    /// Whether it is certain that the directory was removed.
    pub fn is_gone(&self) -> bool {
        match self.metadata() {
            // One that is held open stays, without a name.
            Ok(stat) => stat.st_nlink == 0,
            Err(e) => e.is_not_found(),
        }
    }

    fn error(&self, what: &'static str, name: &Path, source: impl Into<io::Error>) -> FileError {
        FileError::new(what, self.path().join(name), source)
    }

    fn openat(&self, name: &Path, flags: OFlags) -> Result<OwnedFd> {
        let what = if flags.contains(OFlags::CREATE) { "create" } else { "open" };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        file_deed(what, name, || open_below(self.as_fd(), &self.at(name), flags))
            .map_err(|e| self.error(what, name, e))
    }

    /// Does something to `name`, in the open directory that it is in.
    fn act<T>(
        &self,
        what: &'static str,
        name: &Path,
        deed: impl Fn(BorrowedFd<'_>, &Path) -> rustix::io::Result<T>,
    ) -> Result<T> {
        let in_place =
            |place: Place<'_>| file_deed(what, name, || retry_on_intr(|| deed(place.folder(), &place.name)));
        Place::of(self, name).and_then(in_place).map_err(|e| self.error(what, name, e))
    }

    /// Reads a whole file of at most `limit` bytes; a longer one is an error.
    pub fn read(&self, name: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>> {
        let name = name.as_ref();
        let fd = self.open_to_read(name)?;
        let mut bytes = Vec::with_capacity(2048);
        file_deed("read", name, || File::from(fd).take(limit as u64 + 1).read_to_end(&mut bytes))
            .map_err(|e| self.error("read", name, e))?;
        if bytes.len() > limit {
            return Err(self.error("read", name, io::Error::new(io::ErrorKind::FileTooLarge, "too large")));
        }
        Ok(bytes)
    }

    /// Reads what a file gives at once, in the place of what the buffer holds, which is given room for so many bytes at least: mostly
    /// that is all, and the caller can tell. Where many are read, the second read that tells that there is no more counts.
    pub fn read_at_once(&self, bytes: &mut Vec<u8>, name: impl AsRef<Path>, room: usize) -> Result<()> {
        let name = name.as_ref();
        let fd = self.open_to_read(name)?;
        bytes.clear();
        bytes.reserve(room);
        file_deed("read", name, || {
            retry_on_intr(|| rustix::io::read(&fd, rustix::buffer::spare_capacity(bytes)))
        })
        .map_err(|e| self.error("read", name, e))?;
        Ok(())
    }

    /// O_NONBLOCK: something planted there that is no regular file (a FIFO) must not make us wait.
    fn open_to_read(&self, name: &Path) -> Result<OwnedFd> {
        self.openat(name, OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// Writes a file that must not exist yet, mode 0600. Half-written, it is removed again.
    pub fn write_new(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let name = name.as_ref();
        let mut file = File::from(self.openat(name, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)?);
        file_deed("write", name, || file.write_all(bytes)).map_err(|e| {
            let _ = self.unlink(name);
            self.error("write", name, e)
        })
    }

    /// Writes a file, mode 0600, in the place of what there was. Half-written, it is removed again.
    pub fn overwrite(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let name = name.as_ref();
        match self.write_new(name, bytes) {
            // A leftover, or something planted: a FIFO would keep us waiting, another file would be spoilt.
            Err(e) if e.is_already_there() => {
                optional(self.unlink(name))?;
                self.write_new(name, bytes)
            }
            other => other,
        }
    }

    /// Puts a file in the place of whatever has that name: written beside it as `temp`, then renamed over it.
    pub fn replace(&self, name: impl AsRef<Path>, temp: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let (name, temp) = (name.as_ref(), temp.as_ref());
        self.overwrite(temp, bytes)?;
        self.rename(temp, name).inspect_err(|_| drop(self.unlink(temp)))
    }

    /// Adds bytes to the end of a file, made when it is not there, in one write.
    pub fn append(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let name = name.as_ref();
        let mut file = File::from(self.open_append(name)?);
        file_deed("write", name, || file.write_all(bytes)).map_err(|e| self.error("write", name, e))
    }

    /// Opens a file for appending, made when it is not there, mode 0600.
    pub fn open_append(&self, name: impl AsRef<Path>) -> Result<OwnedFd> {
        let name = name.as_ref();
        let flags = OFlags::CREATE | OFlags::APPEND | OFlags::WRONLY;
        match self.openat(name, flags | OFlags::EXCL) {
            Err(e) if e.is_already_there() => {}
            other => return other,
        }
        // What is there may have been planted: a FIFO must not make us wait.
        let fd = self.openat(name, flags | OFlags::NONBLOCK)?;
        self.check_is_file(name, &fd)?;
        // Whoever gets the descriptor expects it to block.
        rustix::fs::fcntl_setfl(&fd, OFlags::APPEND).map_err(|e| self.error("open", name, e))?;
        Ok(fd)
    }

    fn check_is_file(&self, name: &Path, fd: &OwnedFd) -> Result<()> {
        let is = retry_on_intr(|| rustix::fs::fstat(fd)).map_err(|e| self.error("open", name, e))?;
        if FileType::from_raw_mode(is.st_mode) == FileType::RegularFile {
            return Ok(());
        }
        Err(self.error("open", name, io::Error::other("not a regular file")))
    }

    /// Opens a file for reading: one that ends, no device.
    pub fn open_file(&self, name: impl AsRef<Path>) -> Result<OwnedFd> {
        let name = name.as_ref();
        let fd = self.open_read(name)?;
        self.check_is_file(name, &fd)?;
        Ok(fd)
    }

    /// Opens a file for reading and writing, made when it is not there, mode 0600.
    pub fn open_or_create(&self, name: impl AsRef<Path>) -> Result<OwnedFd> {
        self.openat(name.as_ref(), OFlags::CREATE | OFlags::RDWR)
    }

    /// Opens whatever is there for reading, without waiting for a FIFO's other end.
    pub fn open_read(&self, name: impl AsRef<Path>) -> Result<OwnedFd> {
        self.openat(name.as_ref(), OFlags::RDONLY | OFlags::NONBLOCK)
    }

    /// Opens whatever is there for reading and writing, without waiting for a FIFO's other end.
    pub fn open_read_write(&self, name: impl AsRef<Path>) -> Result<OwnedFd> {
        self.openat(name.as_ref(), OFlags::RDWR | OFlags::NONBLOCK)
    }

    /// Makes a FIFO, mode 0600.
    pub fn mkfifo(&self, name: impl AsRef<Path>) -> Result<()> {
        self.act("create", name.as_ref(), |folder, name| {
            rustix::fs::mknodat(folder, name, FileType::Fifo, PRIVATE_FILE, 0)
        })
    }

    /// Makes a directory, mode 0700.
    pub fn mkdir(&self, name: impl AsRef<Path>) -> Result<()> {
        self.act("create", name.as_ref(), |folder, name| rustix::fs::mkdirat(folder, name, PRIVATE_DIR))
    }

    /// Makes a directory and those above it, below this one; one that is there already is fine.
    pub fn mkdir_all(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        match self.mkdir(name) {
            Err(e) if e.is_not_found() => match name.parent() {
                Some(above) if !above.as_os_str().is_empty() => {
                    self.mkdir_all(above)?;
                    self.mkdir_all(name)
                }
                _ => Err(e),
            },
            Err(e) if e.is_already_there() => Ok(()),
            other => other,
        }
    }

    /// Makes a symlink `name` that says `target`.
    pub fn symlink(&self, name: impl AsRef<Path>, target: &str) -> Result<()> {
        self.act("create", name.as_ref(), |folder, name| rustix::fs::symlinkat(target, folder, name))
    }

    /// What the symlink `name` says.
    pub fn readlink(&self, name: impl AsRef<Path>) -> Result<OsString> {
        let read = |folder: BorrowedFd<'_>, name: &Path| rustix::fs::readlinkat(folder, name, Vec::new());
        let target = self.act("read", name.as_ref(), read)?;
        Ok(OsStr::from_bytes(target.as_bytes()).to_owned())
    }

    /// Makes `name` in `to` a second name of the file `old` here.
    pub fn link(&self, old: impl AsRef<Path>, to: &Dir, name: impl AsRef<Path>) -> Result<()> {
        let old = old.as_ref();
        let from = Place::of(self, old).map_err(|e| self.error("open", old, e))?;
        to.act("create", name.as_ref(), |folder, name| {
            rustix::fs::linkat(from.folder(), &*from.name, folder, name, AtFlags::empty())
        })
    }

    /// Renames within this directory's reach, replacing what has the new name.
    pub fn rename(&self, old: impl AsRef<Path>, new: impl AsRef<Path>) -> Result<()> {
        let (old, new) = (old.as_ref(), new.as_ref());
        let to = Place::of(self, new).map_err(|e| self.error("rename", old, e))?;
        self.act("rename", old, |folder, old| rustix::fs::renameat(folder, old, to.folder(), &*to.name))
    }

    /// Removes a file.
    pub fn unlink(&self, name: impl AsRef<Path>) -> Result<()> {
        self.act("remove", name.as_ref(), |folder, name| rustix::fs::unlinkat(folder, name, AtFlags::empty()))
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, name: impl AsRef<Path>) -> Result<()> {
        self.act("remove", name.as_ref(), |folder, name| {
            rustix::fs::unlinkat(folder, name, AtFlags::REMOVEDIR)
        })
    }

    /// Removes a directory whose entries are plain files, and those files.
    pub fn remove_flat(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        let Some(dir) = optional(self.open_dir(name))? else { return Ok(()) };
        // Somebody who has it open may make a last file meanwhile.
        let mut tries = 10;
        loop {
            for entry in dir.list()? {
                optional(dir.unlink(&entry))?;
            }
            match optional(self.rmdir(name)) {
                Err(e) if e.is_not_empty() && tries > 0 => tries -= 1,
                done => return done.map(drop),
            }
        }
    }

    /// Metadata of `name`, not following a symlink.
    pub fn stat(&self, name: impl AsRef<Path>) -> Result<Stat> {
        self.act("look at", name.as_ref(), |folder, name| {
            rustix::fs::statat(folder, name, AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    /// As [`Dir::stat`], in a single call, which may be led astray by a symlink in the place of a directory on the way. For a
    /// hint only: who acts on it looks again.
    pub fn stat_in_passing(&self, name: impl AsRef<Path>) -> Result<Stat> {
        let name = name.as_ref();
        let stat = || rustix::fs::statat(self, &*self.at(name), AtFlags::SYMLINK_NOFOLLOW);
        file_deed("look at", name, || retry_on_intr(stat)).map_err(|e| self.error("look at", name, e))
    }

    /// Whether there is anything of that name. An error is not "no": that could make somebody clear away what is there.
    pub fn has(&self, name: impl AsRef<Path>) -> Result<bool> {
        Ok(optional(self.stat(name))?.is_some())
    }

    /// Sets the modification time of `name` to now.
    pub fn touch(&self, name: impl AsRef<Path>) -> Result<()> {
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
        self.act("touch", name.as_ref(), |folder, name| {
            rustix::fs::utimensat(folder, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        })
    }

    /// The names in it, without `.` and `..`, in no order.
    pub fn list(&self) -> Result<Vec<OsString>> {
        let mut names = Vec::new();
        self.find(|name| {
            names.push(name.to_owned());
            false
        })?;
        Ok(names)
    }

    /// The first name that is wanted; the rest is not read.
    pub fn find(&self, mut wanted: impl FnMut(&OsStr) -> bool) -> Result<Option<OsString>> {
        let failed = |e: Errno| FileError::new("list", self.path(), e);
        // A descriptor of its own: the position in a directory belongs to the open file, and this one is kept.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let open = || open_below(self.as_fd(), &self.at(Path::new(".")), flags);
        let fd = file_deed("list", &self.below, open).map_err(failed)?;
        find_in(&fd, &mut wanted).map_err(failed)
    }

    /// The names in a directory below this one, as of [`Dir::list`].
    pub fn list_dir(&self, name: impl AsRef<Path>) -> Result<Vec<OsString>> {
        let mut names = Vec::new();
        self.open_dir_and_list(name, |name| names.push(name.to_owned()))?;
        Ok(names)
    }

    /// Opens a directory below this one as [`Dir::open_dir`] does, and shows each name in it. It cannot be listed again by this
    /// descriptor, only as any other.
    pub fn open_dir_and_list(&self, name: impl AsRef<Path>, mut show: impl FnMut(&OsStr)) -> Result<Self> {
        let dir = self.open_dir(name)?;
        let list = || {
            find_in(dir.as_fd(), |name| {
                show(name);
                false
            })
        };
        file_deed("list", dir.path_of_open(), list).map_err(|e| FileError::new("list", dir.path(), e))?;
        Ok(dir)
    }
}

/// The first name in a directory, but `.` and `..`, that is wanted, from where its descriptor stands.
fn find_in(fd: impl AsFd, mut wanted: impl FnMut(&OsStr) -> bool) -> rustix::io::Result<Option<OsString>> {
    let mut buffer = [MaybeUninit::uninit(); 8 * 1024];
    let mut entries = RawDir::new(fd, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = match entry {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && wanted(OsStr::from_bytes(name)) {
            return Ok(Some(OsStr::from_bytes(name).to_owned()));
        }
    }
    Ok(None)
}

/// A name in an open directory: what the system calls that take no path of several steps safely are given.
struct Place<'a> {
    dir: &'a Dir,
    below: Option<OwnedFd>,
    name: Cow<'a, Path>,
}

impl<'a> Place<'a> {
    fn of(dir: &'a Dir, name: &'a Path) -> rustix::io::Result<Self> {
        let path = if name.as_os_str().is_empty() { Cow::from(&dir.below) } else { dir.at(name) };
        match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if !folder.as_os_str().is_empty() => {
                let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
                let below = Some(file_deed("open", folder, || open_below(dir.as_fd(), folder, flags))?);
                Ok(Self { dir, below, name: PathBuf::from(name).into() })
            }
            _ => Ok(Self { dir, below: None, name: path }),
        }
    }

    fn folder(&self) -> BorrowedFd<'_> {
        self.below.as_ref().map_or_else(|| self.dir.as_fd(), AsFd::as_fd)
    }
}

/// Opens what is below an open directory. No symlink is followed, and `..` does not lead out.
fn open_below(dir: BorrowedFd<'_>, path: &Path, flags: OFlags) -> rustix::io::Result<OwnedFd> {
    static IN_ONE_STEP: AtomicBool = AtomicBool::new(true);
    let mode = |flags: OFlags| if flags.contains(OFlags::CREATE) { PRIVATE_FILE } else { Mode::empty() };
    if IN_ONE_STEP.load(Ordering::Relaxed) {
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match retry_on_intr(|| rustix::fs::openat2(dir, path, flags, mode(flags), resolve)) {
            // Before Linux 5.6; some containers' filters of system calls say EPERM instead.
            Err(Errno::NOSYS) => IN_ONE_STEP.store(false, Ordering::Relaxed),
            Err(Errno::PERM) => {}
            done => return done,
        }
    }
    let mut folder: Option<OwnedFd> = None;
    let mut parts = path.components().peekable();
    while let Some(part) = parts.next() {
        if part == Component::ParentDir {
            return Err(Errno::XDEV);
        }
        let flags = match parts.peek() {
            Some(_) => OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC,
            None => flags,
        };
        let here = folder.as_ref().map_or(dir, AsFd::as_fd);
        let open = || rustix::fs::openat(here, part.as_os_str(), flags | OFlags::NOFOLLOW, mode(flags));
        folder = Some(retry_on_intr(open)?);
    }
    folder.ok_or(Errno::NOENT)
}

/// Whether a symlink at the end of a path is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Follow {
    /// What it leads to is meant.
    Yes,
    /// It is meant itself.
    No,
}

/// Metadata of what is at a path.
pub fn stat_of(path: &Path, follow: Follow) -> Result<Stat> {
    let flags = if follow == Follow::Yes { AtFlags::empty() } else { AtFlags::SYMLINK_NOFOLLOW };
    retry_on_intr(|| rustix::fs::statat(CWD, path, flags)).map_err(|e| FileError::new("look at", path, e))
}

/// Whether an open descriptor is of a FIFO.
pub fn is_fifo(fd: impl AsFd) -> bool {
    is_of(fd, FileType::Fifo)
}

/// Whether an open descriptor is of a regular file.
pub fn is_regular(fd: impl AsFd) -> bool {
    is_of(fd, FileType::RegularFile)
}

fn is_of(fd: impl AsFd, wanted: FileType) -> bool {
    retry_on_intr(|| rustix::fs::fstat(&fd)).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == wanted)
}

/// Whether two open descriptors are of one file.
pub fn same_file(a: &Stat, b: &Stat) -> bool {
    a.st_ino == b.st_ino && a.st_dev == b.st_dev
}
