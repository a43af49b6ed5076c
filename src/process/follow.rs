//! Following the log of a process until the process has ended.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::inotify;

use super::error::{Error, Result};
use super::observe::Observed;
use super::rundir::RunDir;
use super::time::Deadline;
use super::wait::{self, Waiting};

/// Sleeps until the log grows or the process ends.
#[derive(Debug)]
pub struct Follower<'a> {
    run_dir: &'a RunDir,
    changes: OwnedFd,
    waiting: Vec<Waiting>,
}

impl<'a> Follower<'a> {
    /// For this process.
    pub fn new(run_dir: &'a RunDir, seen: Observed) -> Result<Self> {
        let path = seen.entry.path(super::entry::LOG);
        let failed = |e: rustix::io::Errno| Error::system(format!("cannot watch {}", path.display()), e);
        let changes =
            inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).map_err(failed)?;
        inotify::add_watch(&changes, &path, inotify::WatchFlags::MODIFY).map_err(failed)?;
        let waiting = wait::begin(run_dir, vec![seen.entry])?;
        Ok(Self { run_dir, changes, waiting })
    }

    /// Whether the process has ended.
    pub fn has_ended(&mut self) -> bool {
        // An error (it was closed) is an end as well.
        wait::wait(self.run_dir, &mut self.waiting, false, Deadline::after(std::time::Duration::ZERO))
            .unwrap_or(true)
    }

    /// Sleeps until there is something to read, the process has ended, or nobody reads standard output any more: `false`.
    pub fn sleep(&self) -> Result<bool> {
        let stdout = std::io::stdout();
        // A pipe without a reader says POLLERR, unasked.
        let mut fds = vec![
            PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty()),
            PollFd::from_borrowed_fd(self.changes.as_fd(), PollFlags::IN),
        ];
        fds.extend(self.waiting.iter().filter_map(Waiting::poll_fd));
        match poll(&mut fds, None) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::system("cannot wait for the log", e)),
        }
        if fds[0].revents().contains(PollFlags::ERR) {
            return Ok(false);
        }
        let mut events = [0u8; 4096];
        while rustix::io::read(&self.changes, &mut events).is_ok_and(|length| length > 0) {}
        Ok(true)
    }
}
