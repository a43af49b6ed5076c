//! inotify(7): being told when something happens in a directory.

use std::ffi::{OsStr, OsString};
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};
use rustix::io::Errno;

use super::fd;

/// Watches directories.
#[derive(Debug)]
pub struct Inotify(OwnedFd);

/// What to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// That something is made or moved there, or the directory itself is removed or moved.
    Arrivals,
    /// That something is made there, removed or moved away.
    ComingAndGoing,
    /// That something is removed there, or moved away.
    Going,
    /// That something is put in the place of a file there.
    Replacements,
    /// That a file there is made, written to, or put in the place of another, or the directory itself is moved.
    Writing,
}

impl Wanted {
    fn flags(self) -> WatchFlags {
        WatchFlags::ONLYDIR
            | match self {
                Self::Arrivals => {
                    WatchFlags::CREATE
                        | WatchFlags::MOVED_TO
                        | WatchFlags::DELETE_SELF
                        | WatchFlags::MOVE_SELF
                }
                Self::ComingAndGoing => WatchFlags::CREATE | WatchFlags::MOVED_FROM | WatchFlags::DELETE,
                Self::Going => WatchFlags::MOVED_FROM | WatchFlags::DELETE,
                Self::Replacements => WatchFlags::MOVED_TO,
                Self::Writing => {
                    WatchFlags::CREATE | WatchFlags::MODIFY | WatchFlags::MOVED_TO | WatchFlags::MOVE_SELF
                }
            }
    }
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// To which watch it belongs; below zero: events were lost.
    pub watch: i32,
    /// To what in the directory.
    pub name: Option<OsString>,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum What {
    /// It was made, moved to here, or written to.
    Came,
    /// It was removed, or moved away.
    Went,
    /// The directory itself was removed or moved away.
    Itself,
    /// The watch is no more.
    Over,
    /// More happened than could be kept.
    Overflow,
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Inotify {
    /// Begins to.
    pub fn new() -> io::Result<Self> {
        Ok(Self(inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?))
    }

    /// Watches an open directory, whatever its path leads to meanwhile.
    pub fn watch(&self, directory: impl AsFd, wanted: Wanted) -> io::Result<i32> {
        Ok(inotify::add_watch(&self.0, fd::path_of(directory), wanted.flags())?)
    }

    /// Watches a directory.
    pub fn watch_path(&self, directory: &Path, wanted: Wanted) -> io::Result<i32> {
        Ok(inotify::add_watch(&self.0, directory, wanted.flags())?)
    }

    /// Watches it no more.
    pub fn forget(&self, watch: i32) {
        // It may have gone with its directory.
        let _ = inotify::remove_watch(&self.0, watch);
    }

    /// What has happened so far; does not wait.
    pub fn events(&self) -> io::Result<Vec<Event>> {
        let mut found = Vec::new();
        let mut buffer = [MaybeUninit::<u8>::uninit(); 4096];
        let mut reader = inotify::Reader::new(&self.0, &mut buffer);
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::AGAIN) => return Ok(found),
                Err(Errno::INTR) => continue,
                Err(e) => return Err(e.into()),
            };
            let flags = event.events();
            let what = if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
                What::Overflow
            } else if flags.contains(ReadFlags::IGNORED) {
                What::Over
            } else if flags.intersects(ReadFlags::DELETE_SELF | ReadFlags::MOVE_SELF) {
                What::Itself
            } else if flags.intersects(ReadFlags::DELETE | ReadFlags::MOVED_FROM) {
                What::Went
            } else {
                What::Came
            };
            let name = event.file_name().map(|name| OsStr::from_bytes(name.to_bytes()).to_owned());
            found.push(Event { watch: event.wd(), name, what });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coming_and_going_is_told() {
        let directory = tempfile::tempdir().expect("directory");
        let inotify = Inotify::new().expect("inotify");
        let opened = std::fs::File::open(directory.path()).expect("open");
        let watch = inotify.watch(&opened, Wanted::ComingAndGoing).expect("watch");
        assert_eq!(inotify.events().expect("events"), []);
        let file = directory.path().join("a");
        std::fs::write(&file, "").expect("write");
        std::fs::remove_file(&file).expect("remove");
        let event = |what| Event { watch, name: Some("a".into()), what };
        assert_eq!(inotify.events().expect("events"), [event(What::Came), event(What::Went)]);
        inotify.forget(watch);
        let over = Event { watch, name: None, what: What::Over };
        assert_eq!(inotify.events().expect("events"), [over]);
    }
}
