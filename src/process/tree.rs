//! `--tree`: a process with all its descendants, also those that left its process group or session.
//!
//! The monitor is a child subreaper: whatever the process or its descendants leave behind becomes the monitor's child. So
//! the descendants of the monitor *are* the tree, as long as the monitor stays. It is asked to (see
//! [`super::entry::Entry::hold_monitor`]) until none is left.
//!
//! Monitors of managed descendants are passed over, their processes are not: each of them still records its end.

use std::collections::{BTreeMap, BTreeSet};
use std::os::fd::{AsFd, OwnedFd};

use nix::libc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::os::pidfd::{self, Stage};
use crate::os::proc::{self, Stat};
use crate::os::process;
use crate::os::signals::Blocked;

use super::error::{Error, Result};
use super::identity::Identity;
use super::names::Shelf;
use super::observe::{self, Life, Observed, Pin};
use super::rundir::RunDir;
use super::signal::{self, Order};
use super::time::Deadline;

/// A member of the tree, pinned.
#[derive(Debug)]
struct Member {
    pidfd: OwnedFd,
    start_ticks: u64,
    signalled: bool,
}

/// The tree of one process.
#[derive(Debug)]
pub struct Tree {
    /// The process itself. While it lives its pid is its own.
    root: (i32, OwnedFd),
    monitor: Option<(i32, OwnedFd)>,
    members: BTreeMap<i32, Member>,
    _hold: Option<OwnedFd>,
}

fn failed(e: std::io::Error) -> Error {
    Error::system("cannot look at the processes in /proc", e)
}

impl Tree {
    /// Takes hold of the tree of a live process. `None` if it has ended: its tree cannot be told from others' then.
    pub fn of(run_dir: &RunDir, seen: &Observed) -> Result<Option<Self>> {
        let Some(Observed { entry, record, life }) = observe::by_id(run_dir, &seen.record.id)? else {
            return Ok(None);
        };
        let Life::Alive { pin: Pin::Held(pidfd), monitored } = life else { return Ok(None) };
        let (Some(root), monitor) = (record.pid, record.monitor) else { return Ok(None) };
        let hold = if monitored { entry.hold_monitor().ok() } else { None };
        let monitor = match monitor.filter(|_| monitored) {
            Some(monitor) => pidfd::open(monitor.pid).ok().map(|pidfd| (monitor.pid, pidfd)),
            None => None,
        };
        // The pid of the monitor was its own if the life lock is still held after it was pinned.
        let monitor = match monitor {
            Some(monitor) if entry.watch()?.is_monitored()? => Some(monitor),
            _ => None,
        };
        if pidfd::stage(pidfd.as_fd()).map_err(failed)? != Stage::Alive {
            return Ok(None);
        }
        Ok(Some(Self { root: (root, pidfd), monitor, members: BTreeMap::new(), _hold: hold }))
    }

    /// Sends a signal to every member, each once.
    ///
    /// For one that ends processes the tree is stopped first, and looked at until nothing new is found: what is stopped
    /// cannot fork. Then it is continued.
    pub fn send(&mut self, run_dir: &RunDir, order: Order) -> Result<()> {
        for member in self.members.values_mut() {
            member.signalled = false;
        }
        self.send_to_new(run_dir, order)
    }

    fn send_to_new(&mut self, run_dir: &RunDir, order: Order) -> Result<()> {
        // Ended between stopping and continuing, procctl would leave the tree stopped.
        let _blocked = Blocked::new().map_err(failed)?;
        while self.look(run_dir)? {
            if order.ends() {
                self.signal_new(libc::SIGSTOP);
            }
        }
        self.note(run_dir, order);
        self.signal_new(order.signal);
        if order.ends() {
            self.signal_new(libc::SIGCONT);
        }
        self.members.values_mut().for_each(|member| member.signalled = true);
        Ok(())
    }

    /// Waits until no member is left, or the time is over: `false`. Those that come to be meanwhile are signalled, too.
    pub fn wait(&mut self, run_dir: &RunDir, order: Order, deadline: Deadline) -> Result<bool> {
        loop {
            self.send_to_new(run_dir, order)?;
            if self.members.is_empty() {
                return Ok(true);
            }
            if !self.wait_for_one(deadline)? {
                return Ok(false);
            }
        }
    }

    /// Finds members that were not known. Forgets those that have ended. Says whether there were new ones.
    fn look(&mut self, run_dir: &RunDir) -> Result<bool> {
        let all = proc::all().map_err(failed)?;
        self.members
            .retain(|_, member| pidfd::stage(member.pidfd.as_fd()).is_ok_and(|stage| stage == Stage::Alive));
        // Who lives after the list was made lived when it was made: the pids in it are their own.
        let monitors = monitors(run_dir)?;
        let mut found = false;
        for stat in descendants(&all, &self.roots(), &monitors) {
            if self.members.get(&stat.pid).is_some_and(|known| known.start_ticks == stat.start_ticks) {
                continue;
            }
            // Pinned now, with the same start time: it is the process that was found.
            let Some((identity, pidfd, now)) = Identity::of_pid(stat.pid).map_err(failed)? else { continue };
            if identity.start_ticks != stat.start_ticks || matches!(now.state, 'Z' | 'X') {
                continue;
            }
            let member = Member { pidfd, start_ticks: stat.start_ticks, signalled: false };
            self.members.insert(stat.pid, member);
            found = true;
        }
        Ok(found)
    }

    /// From whom the tree is looked for: the monitor, the process, and every known member; each only while it lives, for
    /// afterwards its pid may be somebody else's.
    fn roots(&self) -> Roots {
        let alive = |pidfd: &OwnedFd| pidfd::stage(pidfd.as_fd()).is_ok_and(|stage| stage == Stage::Alive);
        let monitor = self.monitor.as_ref().filter(|(_, pidfd)| alive(pidfd)).map(|&(pid, _)| pid);
        let root = Some(&self.root).filter(|(_, pidfd)| alive(pidfd)).map(|&(pid, _)| pid);
        let members = self.members.keys().copied().chain(root).collect();
        Roots { monitor, members, session: root.filter(|_| monitor.is_none()) }
    }

    fn signal_new(&self, signal: i32) {
        for member in self.members.values().filter(|member| !member.signalled) {
            let _ = pidfd::send_signal(member.pidfd.as_fd(), signal);
        }
    }

    /// Notes the order for the managed ones among the new members.
    fn note(&self, run_dir: &RunDir, order: Order) {
        for (&pid, _) in self.members.iter().filter(|(_, member)| !member.signalled) {
            if let Some(seen) = observe::named_with_pid(run_dir, pid) {
                signal::note(&seen, order);
            }
        }
    }

    fn wait_for_one(&self, deadline: Deadline) -> Result<bool> {
        let mut fds: Vec<_> =
            self.members.values().map(|member| PollFd::new(&member.pidfd, PollFlags::IN)).collect();
        loop {
            let left = deadline.left().and_then(|left| Timespec::try_from(left).ok());
            match poll(&mut fds, left.as_ref()) {
                Ok(0) if deadline.is_past() => return Ok(false),
                Ok(0) | Err(rustix::io::Errno::INTR) => {}
                Ok(_) => return Ok(true),
                Err(e) => return Err(failed(e.into())),
            }
        }
    }
}

struct Roots {
    monitor: Option<i32>,
    members: BTreeSet<i32>,
    /// Without a monitor nobody collects orphans; those that stayed in the process's session are found by it.
    session: Option<i32>,
}

/// The members and descendants of the roots, in no order. Monitors are passed over, their children are not.
fn descendants(all: &[Stat], roots: &Roots, monitors: &BTreeSet<i32>) -> Vec<Stat> {
    let me = process::own_pid();
    let mut children: BTreeMap<i32, Vec<&Stat>> = BTreeMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat);
    }
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    let mut next: Vec<&Stat> = all
        .iter()
        .filter(|stat| roots.members.contains(&stat.pid) || roots.session == Some(stat.session))
        .chain(roots.monitor.iter().flat_map(|monitor| children.get(monitor).into_iter().flatten().copied()))
        .collect();
    while let Some(stat) = next.pop() {
        if !seen.insert(stat.pid) {
            continue;
        }
        next.extend(children.get(&stat.pid).into_iter().flatten());
        let ended = matches!(stat.state, 'Z' | 'X');
        if stat.pid != me && !ended && !monitors.contains(&stat.pid) {
            found.push(stat.clone());
        }
    }
    found
}

/// The monitors of all live processes of the run directory: their records say so, and their life locks are held. What a
/// process calls itself proves nothing.
fn monitors(run_dir: &RunDir) -> Result<BTreeSet<i32>> {
    let mut found = BTreeSet::new();
    for tag in run_dir.names().all(Shelf::Live)? {
        let Some(entry) = run_dir.entry(&tag.id)? else { continue };
        // One whose record cannot be read has no monitor that could be known.
        let Ok(Some(record)) = entry.load() else { continue };
        if let Some(monitor) = record.monitor
            && entry.watch().is_ok_and(|watch| watch.is_monitored().unwrap_or(false))
        {
            found.insert(monitor.pid);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32, comm: &str) -> Stat {
        Stat {
            pid,
            parent,
            comm: comm.as_bytes().to_vec(),
            state: 'S',
            session: 0,
            start_ticks: 1,
            start_stack: 0,
        }
    }

    #[test]
    fn monitors_are_passed_over_and_their_processes_are_not() {
        let all = [
            stat(10, 1, "procctl-monitor"),
            stat(11, 10, "root"),
            stat(12, 11, "child"),
            stat(13, 10, "orphan"),
            stat(14, 10, "procctl-monitor"),
            stat(15, 14, "managed"),
            stat(16, 15, "procctl-monitor"),
            stat(99, 1, "stranger"),
        ];
        let roots = Roots { monitor: Some(10), members: BTreeSet::from([11]), session: None };
        let mut found: Vec<i32> =
            descendants(&all, &roots, &BTreeSet::from([10, 14])).into_iter().map(|stat| stat.pid).collect();
        found.sort_unstable();
        // 16 only calls itself a monitor.
        assert_eq!(found, [11, 12, 13, 15, 16]);
    }
}
