//! From a prepared start to a process under its monitor.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use nix::libc;
use nix::sys::signal::Signal;
use rustix::io::retry_on_intr;
use serde::{Deserialize, Serialize};

use crate::os::fault::deed;
use crate::os::{process, signals};

use super::Supervisor;
use crate::process::child::{self, Failure, Plan};
use crate::process::entry::{ENVIRONMENT, Entry, RECORD, STARTING};
use crate::process::error::Result;
use crate::process::family::Creator;
use crate::process::identity::Identity;
use crate::process::ledger::Number;
use crate::process::names::Shelf;
use crate::process::record::{Monitor, Record, State};
use crate::process::retention;
use crate::process::rundir::RunDir;
use crate::process::time::Moment;

/// By these a monitor is told to end its process.
const TOLD_TO_END: [Signal; 3] = [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT];

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

/// Tells the launcher.
fn tell(report: &OwnedFd, answer: Option<&Answer>) {
    let answer = serde_json::to_vec(&answer).unwrap_or_default();
    // A launcher that was killed does not read it. The process lives, and its record says so.
    let _ = deed("write", "answer", || retry_on_intr(|| rustix::io::write(report, &answer)));
}

/// In what was to be a monitor, when nothing came of its job: tells the launcher, and ends.
pub fn give_up(report: &OwnedFd, failure: Failure) -> ! {
    tell(report, Some(&Answer::Failed(failure)));
    process::exit(1)
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
        self.record.monitor = Some(Monitor { pid: monitor, adopted: false });
        self.record.state = State::Started;
        let mut failure = None;
        let executing = AtomicBool::new(false);
        let (plan, entry, record) = (&self.plan, &self.entry, &mut self.record);
        let spawned = process::spawn(&mut || {
            failure = Some(child::become_command(plan, entry, record, monitor, &executing));
            1
        });
        let started = match (spawned, failure) {
            (Err(e), _) => Err(Failure::Fork(e.raw_os_error().unwrap_or(libc::EAGAIN))),
            (Ok(pid), Some(failure)) => {
                // It has left this memory, and ends.
                let _ = process::reap(pid);
                Err(failure)
            }
            // It left this memory without a word. In the exec of a file that is there: then it is the command, or was killed in
            // its first instant, which will be its end as any other.
            (Ok(pid), None) if executing.load(Relaxed) => self
                .commit()
                .map(|()| pid)
                .map_err(|e| Failure::of(&e))
                .inspect_err(|_| process::end_child(pid)),
            // Or before: it was killed, and ends. (Or an emulator shares no memory: then nothing is known of it.)
            (Ok(pid), None) => {
                process::end_child(pid);
                Err(Failure::Killed)
            }
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
        if let Err(e) = self.entry.dir.rename(STARTING, RECORD) {
            // It can have been done and the answer lost (a network file system): what the record says counts.
            let appeared = self
                .entry
                .load()
                .is_ok_and(|now| now.is_some_and(|now| now.process() == self.record.process()));
            if !appeared {
                return Err(e.into());
            }
        }
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
    pub fn run_as_monitor(mut self: Box<Self>, report: OwnedFd) -> ! {
        let pid = match process::new_session().map_err(|e| {
            Failure::Setup("cannot make a session".to_owned(), e.raw_os_error().unwrap_or(libc::EPERM))
        }) {
            Ok(()) => {
                // Without it, orphans go to init; nothing that was promised of the process itself depends on it.
                let _ = process::become_subreaper();
                // What was sent to the caller's process group (^C, a terminal that hangs up) before this was a session of its
                // own was not meant for the process; nor what a `--tree` sent that did not know it for a monitor yet: that one
                // will find the process. As late as can be: from the fork on, it is to be told to end.
                signals::discard(&TOLD_TO_END);
                self.begin()
            }
            Err(failure) => {
                self.undo();
                Err(failure)
            }
        };
        tell(&report, Answer::of(&self.record, pid.as_ref().err()).as_ref());
        drop(report);
        let Ok(pid) = pid else { process::exit(1) };

        let Self { run_dir, entry, record, plan, life, creator, .. } = *self;
        let creator = creator.filter(|_| record.daemon);
        let mut kept = vec![entry.dir.as_fd().as_raw_fd(), life.as_raw_fd()];
        kept.extend(creator.as_ref().map(|creator| creator.pidfd.as_raw_fd()));
        // The plan's descriptors are closed below, by number, and its values never dropped.
        let null = plan.streams.null.as_raw_fd();
        std::mem::forget(plan);
        let [term, hup, int] = TOLD_TO_END;
        let handled = [Signal::SIGCHLD, term, hup, int];
        let (signals, keep) = super::settle_down(run_dir, &record, null, kept, &handled);
        drop(record);

        let supervisor =
            Supervisor { run_dir, entry: &entry, pid, signals: signals.as_ref(), parent: creator.as_ref() };
        let ended = supervisor.wait(&mut |_| process::signal_child(pid, libc::SIGTERM));
        drop(supervisor.record(ended));
        drop(life);
        process::let_kernel_reap();
        entry.wait_until_not_held();
        retention::clear_now_and_then(run_dir, keep);
        process::exit(0)
    }
}
