//! `--tree`: a process with all its descendants, also those that left its process group or session.
//!
//! The monitor is a child subreaper: whatever the process or its descendants leave behind becomes the monitor's child. So
//! the descendants of the monitor *are* the tree, as long as the monitor stays. It is asked to (see
//! [`super::entry::Entry::hold_monitor`]) until none is left.
//!
//! Monitors of managed descendants are passed over, their processes are not: each of them still records its end.
//!
//! A list of all processes never shows one that forks and exits faster than the list is read. The kernel's lists of
//! children do: at every instant some live child of a monitor is, or leads to, whatever still lives. So a look that found
//! nothing unknown in any of them, while no member ended, proves that there is nothing else.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use nix::libc;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::os::fd;
use crate::os::pidfd::{self, Stage};
use crate::os::proc::{self, Stat};
use crate::os::process;
use crate::os::signals::Blocked;

use super::entry::Entry;
use super::error::{Error, Result};
use super::identity::Identity;
use super::names::Shelf;
use super::observe::{self, Life, Observed, Pin};
use super::record::{Record, State};
use super::rundir::RunDir;
use super::signal::{self, Order};
use super::time::Deadline;

/// A process of the tree, pinned.
#[derive(Debug)]
struct Member {
    pidfd: OwnedFd,
    role: Role,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// To be signalled.
    New,
    /// Signalled.
    Signalled,
    /// A monitor: never signalled, and not waited for.
    Monitor,
    /// It may not be signalled (a set-user-ID command): nor is it waited for.
    Refused,
}

/// What a look at the tree showed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Look {
    /// All there is was known.
    Nothing,
    /// Something moved while it was looked at.
    Unsure,
    /// There were new members.
    New,
}

/// What a pid that was heard of means.
#[derive(Debug)]
enum Pinned {
    /// A live process of the tree.
    Member(OwnedFd),
    /// A zombie of the tree.
    Ended,
    /// Nobody, or somebody else.
    Other,
}

impl Member {
    fn is_alive(&self) -> bool {
        pidfd::stage(self.pidfd.as_fd()).is_ok_and(|stage| stage == Stage::Alive)
    }
}

/// The tree of one process.
#[derive(Debug)]
pub struct Tree {
    /// The process itself, its monitor, and every descendant that was found, by pid. All are pinned: while one lives, its pid
    /// is its own.
    members: BTreeMap<i32, Member>,
    /// Without a monitor nobody collects orphans; those that stayed in the session of the process are found by it.
    session: Option<i32>,
    /// Children that could not be looked at when they were last heard of.
    hidden: BTreeSet<i32>,
    holds: Vec<OwnedFd>,
}

fn failed(e: std::io::Error) -> Error {
    Error::system("cannot look at the processes in /proc", e)
}

impl Tree {
    /// Takes hold of the tree of a live process. `None` if it has ended: its tree cannot be told from others' then.
    pub fn of(run_dir: &RunDir, seen: &Observed) -> Result<Option<Self>> {
        // Each member takes one.
        fd::raise_limit();
        let Some(Observed { entry, record, life }) = observe::by_id(run_dir, &seen.record.id)? else {
            return Ok(None);
        };
        let Life::Alive { pin: Pin::Held(pidfd), monitored } = life else { return Ok(None) };
        let (Some(root), monitor) = (record.pid, record.monitor) else { return Ok(None) };
        // One that was adopted is nobody's reaper.
        let monitor = monitor.filter(|monitor| monitored && !monitor.adopted);
        let hold = monitor.and_then(|_| entry.hold_monitor().ok());
        let monitor = match monitor {
            Some(monitor) => pidfd::open(monitor.pid).ok().map(|pidfd| (monitor.pid, pidfd)),
            None => None,
        };
        // The record may lie about the monitor, and all that descends from it will be signalled: it must be the parent of
        // the process. The pid was its own if the life lock is still held after it was pinned.
        let is_parent = |pid| Stat::of(root).is_ok_and(|stat| stat.parent == pid);
        let monitor = match monitor {
            Some(monitor) if is_parent(monitor.0) && entry.watch()?.is_monitored()? => Some(monitor),
            _ => None,
        };
        if pidfd::stage(pidfd.as_fd()).map_err(failed)? != Stage::Alive {
            return Ok(None);
        }
        let session = monitor.is_none().then_some(root);
        let mut members = BTreeMap::from([(root, Member { pidfd, role: Role::New })]);
        members.extend(monitor.map(|(pid, pidfd)| (pid, Member { pidfd, role: Role::Monitor })));
        Ok(Some(Self { members, session, hidden: BTreeSet::new(), holds: hold.into_iter().collect() }))
    }

    /// Makes one of two, so that both are signalled with one look at all processes. Gives the other one back if that cannot be.
    pub fn merge(&mut self, other: Self) -> Option<Self> {
        if self.session.is_some() || other.session.is_some() {
            return Some(other);
        }
        for (pid, member) in other.members {
            if member.role == Role::Monitor || !self.members.contains_key(&pid) {
                self.members.insert(pid, member);
            }
        }
        self.hidden.extend(other.hidden);
        self.holds.extend(other.holds);
        None
    }

    /// Sends a signal to every member, each once.
    ///
    /// For one that ends processes the tree is stopped first, and looked at until nothing new is found: what is stopped
    /// cannot fork. Then it is continued.
    pub fn send(&mut self, run_dir: &RunDir, order: Order) -> Result<()> {
        self.change_roles(Role::Signalled, Role::New);
        self.send_to_new(run_dir, order, Deadline::NEVER)
    }

    /// Those that have their signal may go on forking: looking for more ends with the time.
    fn send_to_new(&mut self, run_dir: &RunDir, order: Order, deadline: Deadline) -> Result<()> {
        // Ended between stopping and continuing, procctl would leave the tree stopped.
        let _blocked = Blocked::new().map_err(failed)?;
        self.stop_and_send(run_dir, order, deadline).inspect_err(|_| {
            // Nobody is left stopped by a look that failed half-way (no descriptors).
            if order.ends() {
                self.signal_new(libc::SIGCONT);
            }
        })
    }

    fn stop_and_send(&mut self, run_dir: &RunDir, order: Order, deadline: Deadline) -> Result<()> {
        let mut managed = live_records(run_dir)?;
        loop {
            if order.ends() {
                self.signal_new(libc::SIGSTOP);
            }
            let look = self.look(&managed, order.ends())?;
            if look == Look::New {
                // After they were pinned: a monitor of before may have given its pid to one of them, and one of them may
                // have become a monitor since.
                managed = live_records(run_dir)?;
                self.pass_over_monitors(&managed, order.ends());
            }
            if look == Look::Nothing || deadline.is_past() {
                break;
            }
        }
        for (entry, record) in &managed {
            let pid = record.pid.unwrap_or(0);
            if self.members.get(&pid).is_some_and(|member| member.role == Role::New) {
                signal::note(entry, order);
            }
        }
        self.signal_new(order.signal);
        if order.ends() {
            self.signal_new(libc::SIGCONT);
        }
        self.change_roles(Role::New, Role::Signalled);
        Ok(())
    }

    fn change_roles(&mut self, from: Role, to: Role) {
        self.members.values_mut().filter(|member| member.role == from).for_each(|member| member.role = to);
    }

    /// A monitor that was stopped before it was known for one goes on.
    fn pass_over_monitors(&mut self, managed: &[(Entry, Record)], stopped: bool) {
        for monitor in managed.iter().filter_map(|(_, record)| record.monitor) {
            let Some(member) = self.members.get_mut(&monitor.pid) else { continue };
            if stopped && member.role == Role::New {
                let _ = pidfd::send_signal(member.pidfd.as_fd(), libc::SIGCONT);
            }
            member.role = Role::Monitor;
        }
    }

    /// Waits until no member is left, or the time is over: `false`. Those that come to be meanwhile are signalled, too.
    pub fn wait(&mut self, run_dir: &RunDir, order: Order, deadline: Deadline) -> Result<bool> {
        // No descriptor tells that a member has children. Hardly any has that knows its signal; but one that was about to become
        // a monitor takes the signal for the caller's group's, and starts its process. So there is another look, however long
        // the members live.
        const MOST: Duration = Duration::from_secs(1);
        let mut pause = Duration::from_millis(20);
        loop {
            self.send_to_new(run_dir, order, deadline)?;
            if self.members.values().all(|member| matches!(member.role, Role::Monitor | Role::Refused)) {
                return Ok(true);
            }
            if !self.wait_for_one(deadline.min(Deadline::after(pause)))? {
                if deadline.is_past() {
                    return Ok(false);
                }
                pause = (pause * 2).min(MOST);
            }
        }
    }

    /// Finds members that were not known, and stops them if asked. Forgets those that have ended.
    fn look(&mut self, managed: &[(Entry, Record)], stop: bool) -> Result<Look> {
        self.members.retain(|_, member| member.is_alive());
        let known: Vec<i32> = self.members.keys().copied().collect();
        // Only a hint: see `send_to_new`.
        let is_monitor = |pid| managed.iter().any(|(_, record)| record.monitor.is_some_and(|m| m.pid == pid));
        let me = process::own_pid();
        let mut seen = Look::Nothing;
        let mut hidden = BTreeSet::new();
        let mut next: VecDeque<i32> = if self.by_children() {
            known.iter().copied().collect()
        } else {
            rumoured(&proc::all().map_err(failed)?, &self.members, self.session).into()
        };
        while let Some(pid) = next.pop_front() {
            let children = if self.by_children() { proc::children(pid).map_err(failed)? } else { vec![pid] };
            for child in children {
                if child == me || self.members.contains_key(&child) {
                    continue;
                }
                match self.pin(child)? {
                    Pinned::Member(pidfd) => {
                        if stop && !is_monitor(child) {
                            let _ = pidfd::send_signal(pidfd.as_fd(), libc::SIGSTOP);
                        }
                        self.members.insert(child, Member { pidfd, role: Role::New });
                        seen = Look::New;
                        if self.by_children() {
                            next.push_back(child);
                        }
                    }
                    // It was a child a moment ago, and may have left some of its own. Unless it is hidden from us, and so
                    // was there before.
                    Pinned::Other if stop && self.by_children() => {
                        if !self.hidden.contains(&child) {
                            seen = seen.max(Look::Unsure);
                        }
                        hidden.insert(child);
                    }
                    Pinned::Ended | Pinned::Other => {}
                }
            }
        }
        // What one that ended left has moved to a list that may have been read before.
        let ended = |pid| !self.members.get(pid).is_some_and(Member::is_alive);
        if stop && self.by_children() && known.iter().any(ended) {
            seen = seen.max(Look::Unsure);
        }
        self.hidden = hidden;
        Ok(seen)
    }

    /// Whether the kernel's lists of children show the whole tree: without a monitor the orphans are elsewhere.
    fn by_children(&self) -> bool {
        self.session.is_none() && proc::tells_children()
    }

    /// Takes hold of a process that is said to be of the tree.
    ///
    /// What /proc lists is a rumour: any pid in it may be somebody else's by now. A process becomes a member only if, after it
    /// was pinned, it is still the child of a member that lives.
    fn pin(&self, rumour: i32) -> Result<Pinned> {
        let Some((_, pidfd, now)) = Identity::of_pid(rumour).map_err(failed)? else {
            return Ok(Pinned::Other);
        };
        let of_member = self.members.get(&now.parent).is_some_and(Member::is_alive);
        let of_session =
            self.session == Some(now.session) && self.members.get(&now.session).is_some_and(Member::is_alive);
        Ok(if !(of_member || of_session) {
            Pinned::Other
        } else if matches!(now.state, 'Z' | 'X') {
            Pinned::Ended
        } else {
            Pinned::Member(pidfd)
        })
    }

    /// The monitors in it that live.
    pub fn monitors(&self) -> Vec<i32> {
        let monitors =
            self.members.iter().filter(|(_, member)| member.role == Role::Monitor && member.is_alive());
        monitors.map(|(&pid, _)| pid).collect()
    }

    /// Passes over those that have turned out, in another tree of the same command, to be monitors: that tree holds them, and
    /// they would be waited for in vain. Pinned and alive in both, they are the same processes.
    pub fn pass_over(&mut self, monitors: &[i32]) {
        for (pid, member) in &mut self.members {
            if monitors.contains(pid) && member.is_alive() {
                member.role = Role::Monitor;
            }
        }
    }

    fn signal_new(&mut self, signal: i32) {
        for member in self.members.values_mut().filter(|member| member.role == Role::New) {
            let sent = pidfd::send_signal(member.pidfd.as_fd(), signal);
            // Of one that has been reaped nothing is wanted any more.
            if sent.is_err_and(|e| e.raw_os_error() != Some(libc::ESRCH)) {
                member.role = Role::Refused;
            }
        }
    }

    /// The pids of those members that live and may not be signalled.
    pub fn refused(&self) -> Vec<i32> {
        let refused =
            self.members.iter().filter(|(_, member)| member.role == Role::Refused && member.is_alive());
        refused.map(|(&pid, _)| pid).collect()
    }

    fn wait_for_one(&self, deadline: Deadline) -> Result<bool> {
        let waited_for =
            self.members.values().filter(|member| matches!(member.role, Role::New | Role::Signalled));
        let mut fds: Vec<_> = waited_for.map(|member| PollFd::new(&member.pidfd, PollFlags::IN)).collect();
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

/// The pids of those that seem to descend from members, or to be in that session; parents before their children.
fn rumoured(all: &[Stat], members: &BTreeMap<i32, Member>, session: Option<i32>) -> Vec<i32> {
    let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
    for stat in all {
        children.entry(stat.parent).or_default().push(stat.pid);
    }
    let in_session = all.iter().filter(|stat| session == Some(stat.session)).map(|stat| stat.pid);
    let mut next: VecDeque<i32> = members.keys().copied().chain(in_session).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    while let Some(pid) = next.pop_front() {
        if seen.insert(pid) {
            found.push(pid);
            next.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

/// The live processes of the run directory that have a monitor: their life locks are held. What a process calls itself
/// proves nothing.
///
/// No start that is under way is waited for: it may be a part of the tree and stopped. One that has come as far as naming
/// its monitor counts: its record may appear any moment.
fn live_records(run_dir: &RunDir) -> Result<Vec<(Entry, Record)>> {
    let mut found = Vec::new();
    for tag in run_dir.names().all(Shelf::Live)? {
        let Some(entry) = run_dir.entry(&tag.id)? else { continue };
        // One whose record cannot be read has no monitor that could be known.
        if let Ok(Some(record)) = started_or_starting(&entry)
            && entry.watch().is_ok_and(|watch| watch.is_monitored().unwrap_or(false))
        {
            found.push((entry, record));
        }
    }
    Ok(found)
}

fn started_or_starting(entry: &Entry) -> Result<Option<Record>> {
    let record = entry.load()?;
    if record.as_ref().is_some_and(|record| record.state != State::Initial) {
        return Ok(record);
    }
    match entry.load_starting()? {
        // It appeared in between.
        None => entry.load(),
        starting => Ok(starting),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stat(pid: i32, parent: i32) -> Stat {
        Stat { pid, parent, comm: Vec::new(), state: 'S', session: 0, start_ticks: 1, start_stack: 0 }
    }

    #[test]
    fn descendants_come_after_those_they_descend_from() {
        let all = [stat(13, 12), stat(12, 11), stat(11, 10), stat(14, 10), stat(99, 1), stat(10, 1)];
        let pidfd = || pidfd::open(process::own_pid()).expect("pidfd");
        let members = BTreeMap::from([(10, Member { pidfd: pidfd(), role: Role::Monitor })]);
        assert_eq!(rumoured(&all, &members, None), [10, 11, 14, 12, 13]);
    }
}
