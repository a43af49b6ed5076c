//! Waiting for the end of a process as its OS parent, and recording it.

use std::os::fd::{AsFd, BorrowedFd};

use nix::libc;
use rustix::event::{PollFd, PollFlags};

use crate::os::proc::Stat;
use crate::os::process::{self, Ended, Which};
use crate::os::signals::{Received, SignalFd};

use crate::process::ending::{self, Outcome, Used};
use crate::process::entry::Entry;
use crate::process::family::Creator;
use crate::process::names::Shelf;
use crate::process::record::{Record, Witness};
use crate::process::rundir::RunDir;
use crate::process::signal;
use crate::process::time::Moment;

/// What waits for the end of one process and records it: a monitor, or `run`.
#[derive(Debug)]
pub struct Supervisor<'a> {
    /// The run directory.
    pub run_dir: &'a RunDir,
    /// The directory of the process.
    pub entry: &'a Entry,
    /// The process, a child of the caller.
    pub pid: i32,
    /// Tells of SIGCHLD and others, all blocked. `None` if there was no descriptor for it.
    pub signals: Option<&'a SignalFd>,
    /// The parent, if the process is daemonic.
    pub parent: Option<&'a Creator>,
}

impl Supervisor<'_> {
    /// Waits for the end, without reaping. `react` is given every signal but SIGCHLD.
    ///
    /// Orphans that the kernel made children of this process are reaped meanwhile.
    pub fn wait(&self, react: &mut dyn FnMut(Received)) -> Ended {
        let mut parent = self.parent;
        loop {
            if let Some(ended) = self.reap_others() {
                return ended;
            }
            let (readable, parent_ended) = self.sleep(parent.map(|parent| parent.pidfd.as_fd()));
            if parent_ended && let Some(parent) = parent.take() {
                // One that has ended by itself in this moment was not ended by its parent.
                if let Some(ended) = self.reap_others() {
                    return ended;
                }
                self.end_with_parent(parent);
            }
            while readable
                && let Some(signals) = self.signals
                && let Ok(Some(received)) = signals.next()
            {
                if received.signal != libc::SIGCHLD {
                    react(received);
                }
            }
        }
    }

    /// Sleeps until a signal is there or the parent has ended.
    fn sleep(&self, parent: Option<BorrowedFd<'_>>) -> (bool, bool) {
        let Some(signals) = self.signals else {
            // No descriptor was to be had for signals: the only thing left to wait for is a child.
            process::wait_for_any_child();
            return (false, false);
        };
        let mut fds = Vec::with_capacity(2);
        fds.push(PollFd::new(signals, PollFlags::IN));
        fds.extend(parent.map(|parent| PollFd::from_borrowed_fd(parent, PollFlags::IN)));
        // An error (EINTR) means: look again.
        let _ = rustix::event::poll(&mut fds, None);
        let ready = |at: usize| fds.get(at).is_some_and(|fd| !fd.revents().is_empty());
        (ready(0), ready(1))
    }

    /// Reaps children that are not the process. The process's own end is returned, and it is left a zombie.
    fn reap_others(&self) -> Option<Ended> {
        loop {
            match process::peek_ended(Which::Any) {
                Ok(Some(ended)) if ended.pid == self.pid => return Some(ended),
                Ok(Some(orphan)) => {
                    self.record_if_managed(orphan);
                    let _ = process::reap(orphan.pid);
                }
                Ok(None) => return None,
                Err(_) => return process::peek_ended(Which::Pid(self.pid)).ok().flatten(),
            }
        }
    }

    /// A managed process whose monitor was killed became a child of this one. If nobody gave it a new monitor, nobody else
    /// learns its exit code.
    fn record_if_managed(&self, orphan: Ended) {
        // Those that `start` made lead a session, and hardly any other orphan does.
        let Ok(stat) = Stat::of(orphan.pid) else { return };
        // But the monitors of what they have started do: those are many, and none is a managed process.
        if stat.session != orphan.pid || stat.comm == super::PROGRAM.to_bytes() {
            return;
        }
        for tag in self.run_dir.names().all(Shelf::Live).unwrap_or_default() {
            let Ok(Some(entry)) = self.run_dir.entry(&tag.id) else { continue };
            // It is not reaped: the pid is still its own.
            let is_it = |record: &Record| {
                record.process().is_some_and(|it| it.pid == stat.pid && it.start_ticks == stat.start_ticks)
                    && self.run_dir.host.boot_id().is_ok_and(|boot| boot == record.boot_id)
            };
            // Whoever holds the write lock is at it already.
            if entry.load().is_ok_and(|record| record.as_ref().is_some_and(is_it))
                && let Ok(Some(lock)) = entry.try_lock_for_writing()
            {
                // There is nothing to be done about an error: the process is not this monitor's own.
                let _ = ending::settle_locked(self.run_dir, &entry, &seen(orphan), lock);
                return;
            }
        }
    }

    fn end_with_parent(&self, parent: &Creator) {
        // One that may not be signalled (a set-user-ID command) will not end by it.
        if process::may_signal(self.pid) {
            super::note_parent_exit(self.entry, parent.process.pid);
        }
        process::signal_child(self.pid, libc::SIGTERM);
        if signal::may_be_stopped(self.pid) {
            process::signal_child(self.pid, libc::SIGCONT);
        }
    }

    /// Records the end, then reaps. Returns the final record; `None` if it was removed while the process ran.
    pub fn record(&self, ended: Ended) -> Option<Record> {
        let settled = ending::settle_at_last(self.run_dir, self.entry, &seen(ended));
        let _ = process::reap(ended.pid);
        settled
    }
}

fn seen(ended: Ended) -> Outcome {
    Outcome::Seen {
        status: ended.status,
        used: Used::All(ended.usage),
        at: Moment::now(),
        witness: Witness::Monitor,
    }
}
