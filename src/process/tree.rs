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

use super::error::{Error, Result};
use super::id::Id;
use super::identity::Identity;
use super::monitor::TITLE;
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
    root: i32,
    monitor: Option<(i32, OwnedFd)>,
    /// The records of the root and of managed descendants, for the notes of who ended them.
    members: BTreeMap<i32, Member>,
    _hold: Option<OwnedFd>,
}

fn failed(e: std::io::Error) -> Error {
    Error::system("cannot look at the processes in /proc", e)
}

impl Tree {
    /// Takes hold of the tree of a live process. `None` if it has ended: its tree cannot be told from others' then.
    pub fn of(seen: &Observed) -> Result<Option<Self>> {
        let Life::Alive { pin: Pin::Held(pidfd), monitored } = &seen.life else { return Ok(None) };
        let (Some(root), monitor) = (seen.record.pid, seen.record.monitor) else { return Ok(None) };
        let hold = if *monitored { seen.entry.hold_monitor().ok() } else { None };
        let monitor = match monitor.filter(|_| *monitored) {
            Some(monitor) => pidfd::open(monitor.pid).ok().map(|pidfd| (monitor.pid, pidfd)),
            None => None,
        };
        // The pid of the monitor was its own if the life lock is still held after it was pinned.
        let monitor = match monitor {
            Some(monitor) if seen.entry.watch()?.is_monitored()? => Some(monitor),
            _ => None,
        };
        if pidfd::stage(pidfd.as_fd()).map_err(failed)? != Stage::Alive {
            return Ok(None);
        }
        Ok(Some(Self { root, monitor, members: BTreeMap::new(), _hold: hold }))
    }

    /// Sends the order to every member, each once, and waits until none is left or the time is over.
    ///
    /// The tree is stopped first, and looked at until nothing new is found: what is stopped cannot fork.
    pub fn end(&mut self, run_dir: &RunDir, order: Order, deadline: Deadline) -> Result<bool> {
        if order.signal == 0 {
            self.look(run_dir)?;
            return Ok(true);
        }
        loop {
            while self.look(run_dir)? {
                self.stop_new();
            }
            self.signal_all(run_dir, order);
            if self.members.is_empty() {
                return Ok(true);
            }
            if !self.wait_for_one(deadline)? {
                return Ok(false);
            }
        }
    }

    /// Makes every member take the next order, too.
    pub fn escalate(&mut self) {
        for member in self.members.values_mut() {
            member.signalled = false;
        }
    }

    /// Finds members that were not known. Forgets those that have ended. Says whether there were new ones.
    fn look(&mut self, run_dir: &RunDir) -> Result<bool> {
        self.members
            .retain(|_, member| pidfd::stage(member.pidfd.as_fd()).is_ok_and(|stage| stage == Stage::Alive));
        let all = proc::all().map_err(failed)?;
        let mut found = false;
        for stat in descendants(&all, &self.roots(), &|pid| is_monitor(run_dir, pid)) {
            if self.members.get(&stat.pid).is_some_and(|known| known.start_ticks == stat.start_ticks) {
                continue;
            }
            // Pinned now, and still a child of the one it was found under: it is the process that was found.
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

    /// From whom the tree is looked for: the monitor while it lives, the process, and every known member.
    fn roots(&self) -> Roots {
        let alive = |pidfd: &OwnedFd| pidfd::stage(pidfd.as_fd()).is_ok_and(|stage| stage == Stage::Alive);
        let monitor = self.monitor.as_ref().filter(|(_, pidfd)| alive(pidfd)).map(|&(pid, _)| pid);
        let mut members: BTreeSet<i32> = self.members.keys().copied().collect();
        members.insert(self.root);
        Roots { monitor, members, session: monitor.is_none().then_some(self.root) }
    }

    fn stop_new(&self) {
        for member in self.members.values().filter(|member| !member.signalled) {
            let _ = pidfd::send_signal(member.pidfd.as_fd(), libc::SIGSTOP);
        }
    }

    fn signal_all(&mut self, run_dir: &RunDir, order: Order) {
        for (&pid, member) in self.members.iter_mut().filter(|(_, member)| !member.signalled) {
            if let Some(record) = observe::managed_with_pid(run_dir, pid)
                && let Ok(Some(seen)) = observe::by_id(run_dir, &record.id)
            {
                signal::note(&seen, order);
            }
            let _ = pidfd::send_signal(member.pidfd.as_fd(), order.signal);
            member.signalled = true;
        }
        for member in self.members.values() {
            let _ = pidfd::send_signal(member.pidfd.as_fd(), libc::SIGCONT);
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

/// The members and descendants of the roots, in no order. `is_monitor` are passed over, their children are not.
fn descendants(all: &[Stat], roots: &Roots, is_monitor: &dyn Fn(i32) -> bool) -> Vec<Stat> {
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
        if stat.pid != me && !ended && !(stat.comm == b"procctl-monitor" && is_monitor(stat.pid)) {
            found.push(stat.clone());
        }
    }
    found
}

/// Whether this is the monitor of a process of this run directory: its title says which, and the record agrees. Anything
/// can call itself so; only the record is believed.
fn is_monitor(run_dir: &RunDir, pid: i32) -> bool {
    let id = proc::arguments(pid).ok().and_then(|arguments| {
        let title = String::from_utf8(arguments.first()?.clone()).ok()?;
        Id::parse(title.strip_prefix(TITLE)?.split(' ').next()?)
    });
    let record =
        id.and_then(|id| run_dir.entry(&id).ok().flatten()).and_then(|entry| entry.load().ok().flatten());
    record.is_some_and(|record| record.monitor.is_some_and(|monitor| monitor.pid == pid))
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
            descendants(&all, &roots, &|pid| pid == 14).into_iter().map(|stat| stat.pid).collect();
        found.sort_unstable();
        // 16 only calls itself a monitor.
        assert_eq!(found, [11, 12, 13, 15, 16]);
    }
}
