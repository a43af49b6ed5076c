//! A new monitor for a process whose monitor was killed.
//!
//! The first command that finds such a process forks one. It is not the OS parent, so it cannot wait(2): it holds the
//! pidfd and sleeps until the process has ended. While that is a zombie, /proc tells how it ended (Linux 5.17), and what it
//! used; once it has been reaped by whoever inherited it, the kernel does (`PIDFD_INFO_EXIT`, Linux 6.15), and who comes too
//! late for the first on an older kernel has lost the code. Of a daemonic process it watches the parent, too.
//!
//! There is never more than one: it holds the life lock, which is taken before the fork. Killed at any step, it leaves the
//! process as it was found, and the next command tries again.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::libc;
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags};

use crate::os::fault;
use crate::os::fd;
use crate::os::pidfd::{self, Stage};
use crate::os::process::{self, Fork};
use crate::os::signals::{Blocked, SignalFd};

use crate::process::ending::{self, Outcome};
use crate::process::entry::Entry;
use crate::process::error::Error;
use crate::process::record::{Action, Monitor, Record, State};
use crate::process::retention;
use crate::process::rundir::RunDir;
use crate::process::signal::{self, Order};
use crate::process::time::Moment;

/// Why a process ended that has no monitor, when the kernel does not say how.
pub const UNTOLD: &str = "its monitor was killed, and this kernel does not tell the exit code";

/// Gives a process without a monitor a new one, which is at work when this returns. `false`: there is none; somebody else
/// is at the record just now, or there is no process to be had.
///
/// `pidfd` is that of the process. What keeps a new monitor from being made keeps no command from working.
pub fn adopt(run_dir: &RunDir, entry: &Entry, pidfd: &OwnedFd) -> bool {
    // Not waited for: the caller may hold the write lock itself.
    let Ok(Some(life)) = entry.take_over() else { return false };
    // The old monitor may have recorded the end before it left.
    let Ok(Some(record)) = entry.load() else { return false };
    if record.state != State::Started {
        return false;
    }
    let forked = Blocked::new().and_then(|blocked| Ok((process::fork()?, blocked)));
    match forked {
        Ok((Fork::Child, blocked)) => {
            std::mem::forget(blocked);
            be_monitor(run_dir, entry, record, pidfd, life)
        }
        Ok((Fork::Parent(_), blocked)) => {
            // The new monitor's copy of the locks is to be the only one. It gives the write lock back when it is at work.
            drop((life, blocked));
            entry.wait_for_start().is_ok()
        }
        Err(_) => {
            // Nobody writes to the FIFO any more: whoever opened it would wait for ever.
            let _ = ending::settle_sentinel(entry);
            false
        }
    }
}

/// In the new monitor: everything from the fork to its end.
fn be_monitor(run_dir: &RunDir, entry: &Entry, mut record: Record, pidfd: &OwnedFd, life: OwnedFd) -> ! {
    fault::play("adopter");
    let _ = process::new_session();
    // One that would keep the command's standard streams open is worse than none.
    let Ok(null) = fd::dev_null() else { process::exit(1) };
    let kept = vec![entry.dir.as_fd().as_raw_fd(), life.as_raw_fd(), pidfd.as_raw_fd()];
    let null = std::mem::ManuallyDrop::new(null).as_raw_fd();
    let handled = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT];
    let (signals, keep) = super::settle_down(run_dir, &record, null, kept, &handled);
    record.monitor = Some(Monitor { pid: process::own_pid(), adopted: true });
    let saved = entry.save(&record);
    if saved.as_ref().is_err_and(Error::is_for_good) {
        // It could never record the end, and would keep others from it who can.
        process::exit(1);
    }
    // On a full disk the pid of the dead monitor stays for now; the lock says what is true.
    entry.end_start(&life);
    // A signal that came before the record named it was for a process of the tree that it was forked in.
    if is_told_to_end(signals.as_ref()) {
        process::exit(1);
    }
    let outcome = watch(entry, &record, pidfd.as_fd(), signals.as_ref(), saved.is_ok());
    drop(record);
    drop(ending::settle_at_last(run_dir, entry, &outcome));
    drop(life);
    retention::clear_now_and_then(run_dir, keep);
    process::exit(0)
}

/// Whether a signal has arrived. All are taken.
fn is_told_to_end(signals: Option<&SignalFd>) -> bool {
    let mut told = false;
    while signals.and_then(|signals| signals.next().ok()).flatten().is_some() {
        told = true;
    }
    told
}

/// Waits until the process has ended and the kernel can tell how. `named`: the record says who the new monitor is.
fn watch(
    entry: &Entry,
    record: &Record,
    pidfd: BorrowedFd<'_>,
    signals: Option<&SignalFd>,
    named: bool,
) -> Outcome {
    let mut parent = Parent::of(entry, record, pidfd);
    let mut end = None;
    loop {
        // The end is asked for once; the reaping (POLLHUP) is told unasked.
        let of_process = if end.is_none() { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = vec![PollFd::from_borrowed_fd(pidfd, of_process)];
        fds.extend(signals.map(|signals| PollFd::new(signals, PollFlags::IN)));
        let parent_at = fds.len();
        fds.extend(parent.as_ref().map(|parent| PollFd::new(&parent.pidfd, PollFlags::IN)));
        // An error (EINTR) means: look again.
        let _ = rustix::event::poll(&mut fds, None);
        let stage = pidfd::stage(pidfd).unwrap_or(Stage::Alive);
        // One that has ended by itself in this moment was not ended by its parent.
        if stage == Stage::Alive
            && fds.get(parent_at).is_some_and(|fd| !fd.revents().is_empty())
            && let Some(parent) = parent.take()
        {
            parent.has_ended(entry, record, pidfd);
        }
        if is_told_to_end(signals) {
            if !named {
                // `--tree` cannot tell it from the processes that it was forked by. Its own is none of that tree.
                process::exit(1);
            }
            let _ = signal::send_to(pidfd, record.pid.unwrap_or(0), Order::TERMINATE);
        }
        if stage == Stage::Alive {
            continue;
        }
        // The end of its parent would be told again and again now.
        parent = None;
        let at = *end.get_or_insert_with(Moment::now);
        if let Some(outcome) = Outcome::told_by_zombie(record.pid.unwrap_or(0), pidfd, at) {
            return outcome;
        }
        if stage == Stage::Reaped || pidfd::inode(pidfd).is_ok_and(|inode| inode.is_none()) {
            return Outcome::told_by_kernel(pidfd, at).unwrap_or_else(|| Outcome::Lost(UNTOLD.to_owned()));
        }
    }
}

/// The living parent of a daemonic process.
struct Parent {
    pid: i32,
    pidfd: OwnedFd,
}

impl Parent {
    /// That of a daemonic process. One that ended while there was no monitor is dealt with at once.
    fn of(entry: &Entry, record: &Record, pidfd: BorrowedFd<'_>) -> Option<Self> {
        let identity = record.parent.as_ref().filter(|_| record.daemon)?.process;
        match identity.open() {
            Ok(Some(found)) => Some(Self { pid: identity.pid, pidfd: found }),
            Ok(None) => {
                end_with_parent(entry, record, pidfd, identity.pid);
                None
            }
            // Nobody can watch it: better to live on than to be ended by mistake.
            Err(_) => None,
        }
    }

    fn has_ended(self, entry: &Entry, record: &Record, pidfd: BorrowedFd<'_>) {
        end_with_parent(entry, record, pidfd, self.pid);
    }
}

fn end_with_parent(entry: &Entry, record: &Record, pidfd: BorrowedFd<'_>, parent: i32) {
    // One that may not be signalled (a set-user-ID command) will not end by it.
    if pidfd::send_signal(pidfd, 0).is_ok() {
        super::note_parent_exit(entry, parent);
    }
    let order = Order { action: Action::ParentExit, signal: libc::SIGTERM };
    let _ = signal::send_to(pidfd, record.pid.unwrap_or(0), order);
}
