//! Files relative to an open directory.
//!
//! Every access goes through a [`Dir`], an open descriptor: a directory that is renamed, or replaced by a symlink,
//! between two steps cannot lead a later step elsewhere. Errors carry what was tried and the path.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, RawDir, Stat};

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

/// An open directory, or one below it that is reached through it. (The path is for messages only.)
#[derive(Clone, Debug)]
pub struct Dir {
    fd: Rc<OwnedFd>,
    /// From the open directory; empty: that itself.
    below: PathBuf,
    path: PathBuf,
}

impl AsFd for Dir {
    /// The open directory.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Dir {
    /// Opens a directory by path; a symlink at its end is followed.
    pub fn open(path: &Path) -> Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|e| FileError::new("open", path, e))?;
        Ok(Self { fd: Rc::new(fd), below: PathBuf::new(), path: path.to_owned() })
    }

    /// A directory below this one, reached through the same descriptor. It need not be there.
    #[must_use]
    pub fn below(&self, name: impl AsRef<Path>) -> Self {
        let name = name.as_ref();
        Self { fd: Rc::clone(&self.fd), below: self.below.join(name), path: self.path.join(name) }
    }

    /// Opens a directory below this one; a symlink at its end is refused.
    pub fn open_dir(&self, name: impl AsRef<Path>) -> Result<Self> {
        let name = name.as_ref();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = self.openat(name, flags)?;
        Ok(Self { fd: Rc::new(fd), below: PathBuf::new(), path: self.path.join(name) })
    }

    /// The path it is known by.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// From the open directory to what has that name here.
    fn at<'a>(&self, name: &'a Path) -> Cow<'a, Path> {
        if self.below.as_os_str().is_empty() { name.into() } else { self.below.join(name).into() }
    }

    /// Metadata of the directory itself.
    pub fn metadata(&self) -> Result<Stat> {
        let itself = if self.below.as_os_str().is_empty() {
            rustix::fs::fstat(&self.fd)
        } else {
            rustix::fs::statat(&self.fd, &self.below, AtFlags::SYMLINK_NOFOLLOW)
        };
        itself.map_err(|e| FileError::new("look at", &self.path, e))
    }

    fn error(&self, what: &'static str, name: &Path, source: impl Into<io::Error>) -> FileError {
        FileError::new(what, self.path.join(name), source)
    }

    fn openat(&self, name: &Path, flags: OFlags) -> Result<OwnedFd> {
        let what = if flags.contains(OFlags::CREATE) { "create" } else { "open" };
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        rustix::fs::openat(&self.fd, &*self.at(name), flags, PRIVATE_FILE)
            .map_err(|e| self.error(what, name, e))
    }

    /// Reads a whole file of at most `limit` bytes; a longer one is an error.
    pub fn read(&self, name: impl AsRef<Path>, limit: usize) -> Result<Vec<u8>> {
        let name = name.as_ref();
        // O_NONBLOCK: something planted there that is no regular file (a FIFO) must not make us wait.
        let fd = self.openat(name, OFlags::RDONLY | OFlags::NONBLOCK)?;
        let mut bytes = Vec::with_capacity(2048);
        let read = File::from(fd).take(limit as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|e| self.error("read", name, e))?;
        if bytes.len() > limit {
            return Err(self.error("read", name, io::Error::new(io::ErrorKind::FileTooLarge, "too large")));
        }
        Ok(bytes)
    }

    /// Writes a file that must not exist yet, mode 0600. Half-written, it is removed again.
    pub fn write_new(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        self.write(name.as_ref(), bytes, OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY)
    }

    /// Writes a file, mode 0600, over what there was. Half-written, it is removed again.
    pub fn overwrite(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        self.write(name.as_ref(), bytes, OFlags::CREATE | OFlags::TRUNC | OFlags::WRONLY)
    }

    /// Puts a file in the place of whatever has that name: written beside it as `temp`, then renamed over it.
    pub fn replace(&self, name: impl AsRef<Path>, temp: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let (name, temp) = (name.as_ref(), temp.as_ref());
        self.overwrite(temp, bytes)?;
        self.rename(temp, name).inspect_err(|_| drop(self.unlink(temp)))
    }

    fn write(&self, name: &Path, bytes: &[u8], flags: OFlags) -> Result<()> {
        let mut file = File::from(self.openat(name, flags)?);
        file.write_all(bytes).map_err(|e| {
            let _ = self.unlink(name);
            self.error("write", name, e)
        })
    }

    /// Adds bytes to the end of a file, made when it is not there, in one write.
    pub fn append(&self, name: impl AsRef<Path>, bytes: &[u8]) -> Result<()> {
        let name = name.as_ref();
        let flags = OFlags::CREATE | OFlags::APPEND | OFlags::WRONLY;
        let mut file = File::from(self.openat(name, flags)?);
        file.write_all(bytes).map_err(|e| self.error("write", name, e))
    }

    /// Opens a file for appending, made when it is not there, mode 0600.
    pub fn open_append(&self, name: impl AsRef<Path>) -> Result<OwnedFd> {
        self.openat(name.as_ref(), OFlags::CREATE | OFlags::APPEND | OFlags::WRONLY)
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
        let name = name.as_ref();
        rustix::fs::mknodat(&self.fd, &*self.at(name), FileType::Fifo, PRIVATE_FILE, 0)
            .map_err(|e| self.error("create", name, e))
    }

    /// Makes a directory, mode 0700.
    pub fn mkdir(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        rustix::fs::mkdirat(&self.fd, &*self.at(name), PRIVATE_DIR).map_err(|e| self.error("create", name, e))
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
        let name = name.as_ref();
        rustix::fs::symlinkat(target, &self.fd, &*self.at(name)).map_err(|e| self.error("create", name, e))
    }

    /// What the symlink `name` says.
    pub fn readlink(&self, name: impl AsRef<Path>) -> Result<OsString> {
        let name = name.as_ref();
        let target = rustix::fs::readlinkat(&self.fd, &*self.at(name), Vec::new())
            .map_err(|e| self.error("read", name, e))?;
        Ok(OsStr::from_bytes(target.as_bytes()).to_owned())
    }

    /// Makes `name` in `to` a second name of the file `old` here.
    pub fn link(&self, old: impl AsRef<Path>, to: &Dir, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        rustix::fs::linkat(&self.fd, &*self.at(old.as_ref()), &to.fd, &*to.at(name), AtFlags::empty())
            .map_err(|e| to.error("create", name, e))
    }

    /// Renames within this directory's reach, replacing what has the new name.
    pub fn rename(&self, old: impl AsRef<Path>, new: impl AsRef<Path>) -> Result<()> {
        let (old, new) = (old.as_ref(), new.as_ref());
        rustix::fs::renameat(&self.fd, &*self.at(old), &self.fd, &*self.at(new))
            .map_err(|e| self.error("rename", old, e))
    }

    /// Removes a file.
    pub fn unlink(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        rustix::fs::unlinkat(&self.fd, &*self.at(name), AtFlags::empty())
            .map_err(|e| self.error("remove", name, e))
    }

    /// Removes an empty directory.
    pub fn rmdir(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        rustix::fs::unlinkat(&self.fd, &*self.at(name), AtFlags::REMOVEDIR)
            .map_err(|e| self.error("remove", name, e))
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
                Err(e) if e.source.kind() == io::ErrorKind::DirectoryNotEmpty && tries > 0 => tries -= 1,
                done => return done.map(drop),
            }
        }
    }

    /// Metadata of `name`, not following a symlink.
    pub fn stat(&self, name: impl AsRef<Path>) -> Result<Stat> {
        let name = name.as_ref();
        rustix::fs::statat(&self.fd, &*self.at(name), AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| self.error("look at", name, e))
    }

    /// Whether there is anything of that name.
    pub fn has(&self, name: impl AsRef<Path>) -> bool {
        self.stat(name).is_ok()
    }

    /// Sets the modification time of `name` to now.
    pub fn touch(&self, name: impl AsRef<Path>) -> Result<()> {
        let name = name.as_ref();
        let now = rustix::fs::Timespec { tv_sec: 0, tv_nsec: rustix::fs::UTIME_NOW };
        let times = rustix::fs::Timestamps { last_access: now, last_modification: now };
        rustix::fs::utimensat(&self.fd, &*self.at(name), &times, AtFlags::SYMLINK_NOFOLLOW)
            .map_err(|e| self.error("touch", name, e))
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
        let failed = |e: rustix::io::Errno| FileError::new("list", &self.path, e);
        // A descriptor of its own: the position in a directory belongs to the open file, and this one is kept.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd =
            rustix::fs::openat(&self.fd, &*self.at(Path::new(".")), flags, Mode::empty()).map_err(failed)?;
        let mut buffer = Vec::with_capacity(32 * 1024);
        let mut entries = RawDir::new(fd, buffer.spare_capacity_mut());
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name().to_bytes();
            if name != b"." && name != b".." && wanted(OsStr::from_bytes(name)) {
                return Ok(Some(OsStr::from_bytes(name).to_owned()));
            }
        }
        Ok(None)
    }
}

/// Whether an open descriptor is of a FIFO.
pub fn is_fifo(fd: impl AsFd) -> bool {
    rustix::fs::fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Fifo)
}

/// Whether two open descriptors are of one file.
pub fn same_file(a: &Stat, b: &Stat) -> bool {
    a.st_ino == b.st_ino && a.st_dev == b.st_dev
}
