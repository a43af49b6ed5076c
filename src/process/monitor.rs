//! The monitor: the OS parent of one process. It starts the command, waits for its end and records it.
//!
//! Its life, and what must hold if it is killed after each step:
//!
//! | step | killed after it |
//! |---|---|
//! | forked, holding the life lock | nothing was recorded: a leftover, cleared |
//! | child wrote `record.starting` | the child, on its way to exec, holds the life lock as well; see [`super::recover`] |
//! | `record.starting` renamed to `record.json` | the process lives without a monitor, which everyone sees |
//! | the end seen (the process is a zombie now) | the kernel gives the zombie to init; whoever holds its pidfd can still ask |
//! | record final | nothing is lost |
//! | reaped, sentinel closed | — |

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use nix::sys::signal::Signal;
use rustix::event::{PollFd, PollFlags};
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};

use crate::os::process::{self, Ended, Which};
use crate::os::signals::{Received, SignalFd};
use crate::os::{fd, proc, title};

use super::child::{self, Failure, Plan};
use super::ending::{self, Outcome};
use super::entry::{ENVIRONMENT, Entry, RECORD, STARTING};
use super::error::{self, Result};
use super::family::Creator;
use super::identity::Identity;
use super::ledger::Number;
use super::names::Shelf;
use super::record::{Action, EndedBy, Monitor, Record, State, Witness};
use super::retention;
use super::rundir::RunDir;
use super::time::Moment;

/// What `ps` shows of a monitor, before the id and the name of its process.
pub const TITLE: &str = "procctl: monitor of ";

/// What a monitor tells the launcher.
#[derive(Debug, Serialize, Deserialize)]
pub enum Answer {
    /// The command runs.
    Started(Box<Started>),
    /// Nothing is left of the attempt.
    Failed(Failure),
}

/// What the launcher does not know of a process that was started.
#[derive(Debug, Serialize, Deserialize)]
pub struct Started {
    process: Identity,
    at: Moment,
    monitor: Monitor,
}

impl Answer {
    fn of(record: &Record, failure: Option<&Failure>) -> Option<Self> {
        Some(match failure {
            Some(failure) => Self::Failed(failure.clone()),
            None => Self::Started(Box::new(Started {
                process: record.process()?,
                at: record.started_at?,
                monitor: record.monitor?,
            })),
        })
    }
}

impl Started {
    /// Completes the launcher's copy of the record.
    pub fn complete(self, record: &mut Record) {
        record.state = State::Started;
        record.pid = Some(self.process.pid);
        record.start_ticks = Some(self.process.start_ticks);
        record.pidfd_inode = self.process.pidfd_inode;
        record.started_at = Some(self.at);
        record.monitor = Some(self.monitor);
    }
}

/// A start that has been prepared: everything that can be opened, locked and computed before there is a process.
#[derive(Debug)]
pub struct Job<'a> {
    /// The run directory.
    pub run_dir: &'a RunDir,
    /// The directory of the process.
    pub entry: Entry,
    /// The record as far as it is known.
    pub record: Record,
    /// The record was there before, in state `initial`.
    pub was_recorded: bool,
    /// What the child will do.
    pub plan: Plan,
    /// The sentinel, with the life lock.
    pub life: OwnedFd,
    /// The number among the parent's children, with the ledger's lock.
    pub number: Option<Number>,
    /// The lock on the name of a unique process.
    pub name_lock: Option<OwnedFd>,
    /// The parent.
    pub creator: Option<Creator>,
}

impl Job<'_> {
    /// Makes the process and its record appear. The pid; or why not, and then nothing is left of either.
    ///
    /// All signals are blocked, and SIGCHLD has its default action.
    pub fn begin(&mut self) -> std::result::Result<i32, Failure> {
        let monitor = process::own_pid();
        self.record.monitor = Some(Monitor { pid: monitor });
        self.record.state = State::Started;
        let (mut failure, mut recorded) = (None, false);
        let (plan, entry, record) = (&self.plan, &self.entry, &mut self.record);
        let spawned = process::spawn(&mut || {
            failure = Some(child::become_command(plan, entry, record, monitor, &mut recorded));
            1
        });
        let started = match (spawned, failure) {
            (Err(e), _) => Err(Failure::Fork(e.raw_os_error().unwrap_or(libc::EAGAIN))),
            (Ok(pid), Some(failure)) => {
                // It has left this memory, and ends.
                let _ = process::reap(pid);
                Err(failure)
            }
            // Killed (for want of memory, say) with half a record written, or none.
            (Ok(pid), None) if !recorded => {
                let _ = process::reap(pid);
                Err(Failure::Setup("the new process was killed".to_owned(), libc::ESRCH))
            }
            (Ok(pid), None) => self.commit().map(|()| pid).map_err(|e| {
                process::end_child(pid);
                Failure::Record(error::message(&e))
            }),
        };
        if started.is_err() {
            self.undo();
        }
        self.entry.end_start(&self.life);
        if let Some(number) = &self.number {
            number.unlock();
        }
        if let Some(lock) = &self.name_lock {
            let _ = crate::os::lock::unlock(lock, 0);
        }
        started
    }

    /// The command runs: let the record appear.
    fn commit(&self) -> Result<()> {
        self.entry.dir.rename(STARTING, RECORD)?;
        if let Some(number) = &self.number {
            // If it cannot be written, the next one to take a number finds out.
            let _ = number.commit();
        }
        if self.was_recorded {
            // Leftovers of state `initial` mislead nobody: readers check the record.
            let _ = self.run_dir.names().remove(Shelf::Initial, &self.record);
            let _ = self.entry.dir.unlink(ENVIRONMENT);
        }
        Ok(())
    }

    /// Leaves nothing of a start that failed. Best effort: what stays is recognised as a leftover later.
    pub fn undo(&self) {
        let _ = self.run_dir.names().remove(Shelf::Live, &self.record);
        if self.was_recorded {
            let _ = self.entry.dir.unlink(STARTING);
        } else {
            if let Some(number) = &self.number {
                number.take_back(self.run_dir, self.record.parent_key());
            }
            let _ = self.run_dir.remove_entry(&self.entry.id);
        }
    }

    /// In the monitor's own process: everything from here to its end. `report` tells the launcher how it went.
    pub fn run_as_monitor(mut self, report: OwnedFd) -> ! {
        let pid = match process::new_session().map_err(|e| {
            Failure::Setup("cannot make a session".to_owned(), e.raw_os_error().unwrap_or(libc::EPERM))
        }) {
            Ok(()) => {
                // Without it, orphans go to init; nothing that was promised of the process itself depends on it.
                let _ = process::become_subreaper();
                self.begin()
            }
            Err(failure) => {
                self.undo();
                Err(failure)
            }
        };
        let answer = Answer::of(&self.record, pid.as_ref().err());
        let answer = serde_json::to_vec(&answer).unwrap_or_default();
        // A launcher that was killed does not read it. The process lives, and its record says so.
        let _ = retry_on_intr(|| rustix::io::write(&report, &answer));
        drop(report);
        let Ok(pid) = pid else { process::exit(1) };

        let Self { run_dir, entry, record, plan, life, creator, .. } = self;
        let creator = creator.filter(|_| record.daemon);
        let handled = [Signal::SIGCHLD, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT];
        let mut kept =
            vec![entry.dir.as_fd().as_raw_fd(), run_dir.root.as_fd().as_raw_fd(), life.as_raw_fd()];
        kept.extend(creator.as_ref().map(|creator| creator.pidfd.as_raw_fd()));
        for stream in 0..3 {
            let _ = fd::put(plan.streams.null.as_raw_fd(), stream);
        }
        let _ = rustix::process::chdir("/");
        // The plan's descriptors are closed here, by number, and its values never dropped.
        std::mem::forget(plan);
        let _ = fd::close_all_but(&mut kept);
        // Only now: there are descriptors to be had.
        let signals = SignalFd::new(&handled).ok();
        // The last look at the environment: the title is written over it.
        let keep = retention::keep();
        let _ = title::set(c"procctl-monitor", &format!("{TITLE}{} {}", entry.id, record.name));
        drop(record);

        let supervisor =
            Supervisor { run_dir, entry: &entry, pid, signals: signals.as_ref(), parent: creator.as_ref() };
        let ended = supervisor.wait(&mut |_| process::signal_child(pid, libc::SIGTERM));
        supervisor.record(ended);
        drop(life);
        entry.wait_until_not_held();
        retention::clear_now_and_then(run_dir, keep);
        process::exit(0)
    }
}

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
                Ok(Some(orphan)) => drop(process::reap(orphan.pid)),
                Ok(None) => return None,
                Err(_) => return process::peek_ended(Which::Pid(self.pid)).ok().flatten(),
            }
        }
    }

    fn end_with_parent(&self, parent: &Creator) {
        let note = EndedBy {
            action: Action::ParentExit,
            signal: libc::SIGTERM,
            by_pid: parent.process.pid,
            at: Moment::now(),
        };
        // The signal counts more than the note of it.
        let _ = self.entry.note_signal(&note);
        process::signal_child(self.pid, libc::SIGTERM);
        if proc::Stat::of(self.pid).is_ok_and(|stat| stat.state == 'T') {
            process::signal_child(self.pid, libc::SIGCONT);
        }
    }

    /// Records the end, then reaps. If it cannot be written it is tried again, for as long as there is a directory.
    pub fn record(&self, ended: Ended) {
        let outcome = Outcome::Seen {
            status: ended.status,
            usage: Some(ended.usage),
            at: Moment::now(),
            witness: Witness::Monitor,
        };
        let mut pause = Duration::from_millis(50);
        while ending::settle(self.run_dir, self.entry, &outcome).is_err() {
            if self.entry.dir.metadata().is_err_and(|e| e.is_not_found()) {
                break;
            }
            std::thread::sleep(pause);
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        let _ = process::reap(ended.pid);
    }
}
