//! The family: on whose behalf a command runs, and whose descendants it is among.

use std::os::fd::{AsFd, OwnedFd};

use crate::os::pidfd::{self, Stage};
use crate::os::proc::{self, Stat};
use crate::os::process;

use super::error::{Error, Result};
use super::id::Id;
use super::identity::Identity;
use super::observe::{self, Facts, Life, Pin};
use super::record::{Parent, Record};
use super::rundir::RunDir;

/// In a process: its id.
pub const ID_VARIABLE: &str = "PROCCTL_ID";
/// In a process: its name at the start.
pub const NAME_VARIABLE: &str = "PROCCTL_NAME";
/// In a process of several that were started at once: which it is, counted from 0. Not passed on to other processes.
pub const INDEX_VARIABLE: &str = "PROCCTL_INDEX";
/// The pid of the creating process, where it is not the caller's own. Not passed on to processes.
pub const PARENT_VARIABLE: &str = "PROCCTL_PARENT";

/// The process on whose behalf procctl runs: the parent of what is started now.
#[derive(Debug)]
pub struct Creator {
    /// What tells it from every other.
    pub process: Identity,
    /// Pins it, and becomes ready when it ends.
    pub pidfd: OwnedFd,
    /// Its record, if it is a managed process.
    pub managed: Option<Box<Record>>,
    /// The key of its ledger.
    pub key: String,
}

impl Creator {
    fn outside(run_dir: &RunDir, process: Identity, pidfd: OwnedFd) -> Result<Self> {
        let key = key_of(&process, &short_boot_id(run_dir)?);
        Ok(Self { process, pidfd, managed: None, key })
    }

    fn managed(record: Record, pidfd: OwnedFd) -> Option<Self> {
        let (process, key) = (record.process()?, record.id.to_string());
        Some(Self { process, pidfd, managed: Some(Box::new(record)), key })
    }

    /// It, as a record keeps it.
    pub fn to_parent(&self) -> Parent {
        Parent {
            process: self.process,
            id: self.managed.as_ref().map(|record| record.id.clone()),
            name: self.managed.as_ref().map(|record| record.name.clone()),
            started_at: self.process.started_at(),
            key: self.key.clone(),
        }
    }

    /// Refuses what may not have children.
    pub fn check_may_have_children(&self) -> Result<()> {
        match &self.managed {
            Some(record) if record.daemon => Err(Error::hinted(
                format!(
                    "daemonic processes are not allowed to have children: {} ({}) is one",
                    record.name, record.id
                ),
                "start the parent with --no-daemon, or say --parent PID for another parent",
            )),
            _ => Ok(()),
        }
    }
}

/// The beginning of the boot id: pids and start times repeat from boot to boot.
fn short_boot_id(run_dir: &RunDir) -> Result<String> {
    Ok(run_dir.host.boot_id()?.chars().take(8).collect())
}

/// The key of the ledger of an outside parent.
pub fn key_of(process: &Identity, boot: &str) -> String {
    let Identity { pid, start_ticks, pidfd_inode } = process;
    format!("{pid}-{start_ticks:x}-{:x}-{boot}", pidfd_inode.unwrap_or(0))
}

/// An outside parent, as the key of its ledger tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outside {
    /// Of this boot.
    Here(Identity),
    /// Of an earlier boot, or of another host.
    EarlierBoot,
}

/// The outside parent that a key stands for; `None` if it is the key of no such.
pub fn process_of_key(run_dir: &RunDir, key: &str) -> Result<Option<Outside>> {
    let boot = short_boot_id(run_dir)?;
    Ok(parse_key(key).map(
        |(process, of_boot)| {
            if of_boot == boot { Outside::Here(process) } else { Outside::EarlierBoot }
        },
    ))
}

/// The process that a key stands for, and the beginning of its boot id.
pub fn parse_key(key: &str) -> Option<(Identity, &str)> {
    let mut parts = key.split('-');
    let pid = parts.next()?.parse().ok()?;
    let start_ticks = u64::from_str_radix(parts.next()?, 16).ok()?;
    let inode = u64::from_str_radix(parts.next()?, 16).ok()?;
    let boot = parts.next()?;
    Some((Identity { pid, start_ticks, pidfd_inode: Some(inode).filter(|&inode| inode != 0) }, boot))
}

/// The caller. `explicit` is `--parent`; the variable comes next; else the surrounding process is found out.
/// `None` if it is outside of our pid namespace, or hidden from us.
pub fn creator(run_dir: &RunDir, explicit: Option<i32>) -> Result<Option<Creator>> {
    run_dir.host.check_proc()?;
    if let Some(pid) = explicit {
        return named(run_dir, pid, "--parent").map(Some);
    }
    if let Some(pid) = pid_in_variable()? {
        return named(run_dir, pid, PARENT_VARIABLE).map(Some);
    }
    if let Some((record, pidfd)) = surrounding(run_dir)? {
        return Ok(Creator::managed(record, pidfd));
    }
    match os_parent_beyond_subshells()? {
        Some((process, pidfd)) => Creator::outside(run_dir, process, pidfd).map(Some),
        None => Ok(None),
    }
}

/// The pid in `PROCCTL_PARENT`.
fn pid_in_variable() -> Result<Option<i32>> {
    let Some(value) = std::env::var_os(PARENT_VARIABLE).filter(|value| !value.is_empty()) else {
        return Ok(None);
    };
    let pid = value.to_str().and_then(|text| text.parse().ok()).filter(|&pid| pid > 0);
    let none = || Error::refused(format!("{PARENT_VARIABLE} is no pid: '{}'", value.display()));
    pid.ok_or_else(none).map(Some)
}

fn unusable(how: &str, pid: i32, why: &str) -> Error {
    Error::refused(format!("{how} {pid}: {why}"))
}

/// The live process that `--parent` or the variable names.
fn living(pid: i32, how: &str) -> Result<(Identity, OwnedFd)> {
    let failed = |e| Error::system(format!("cannot look at process {pid}"), e);
    let Some((process, pidfd, stat)) = Identity::of_pid(pid).map_err(failed)? else {
        return Err(unusable(how, pid, "there is no such process, or you may not look at it"));
    };
    if matches!(stat.state, 'Z' | 'X') {
        return Err(unusable(how, pid, "it has ended and only waits to be reaped"));
    }
    Ok((process, pidfd))
}

/// Whom `--parent` or the variable names.
fn named(run_dir: &RunDir, pid: i32, how: &str) -> Result<Creator> {
    let (process, pidfd) = living(pid, how)?;
    if let Some(seen) = observe::named_with_pid(run_dir, pid)?
        // Its own descriptor: the pid can have changed hands since the other one was opened.
        && let Life::Alive { pin: Pin::Held(pidfd), .. } = seen.life
    {
        return Creator::managed(seen.record, pidfd)
            .ok_or_else(|| unusable(how, pid, "there is no such process"));
    }
    Creator::outside(run_dir, process, pidfd)
}

/// The live managed process that the caller runs in. The environment names it, and the kernel must confirm that the
/// caller descends from it, or from its monitor (to which the kernel gives its orphans): a variable that leaked out of
/// one proves nothing.
pub fn surrounding(run_dir: &RunDir) -> Result<Option<(Record, OwnedFd)>> {
    let Some(id) = id_in_environment() else { return Ok(None) };
    // A record that cannot be read is nobody's parent.
    let seen = observe::if_usable(observe::by_id_when_started(run_dir, &id))?;
    let Some(seen) = seen else { return Ok(None) };
    let Life::Alive { pin: Pin::Held(pidfd), monitored } = seen.life else { return Ok(None) };
    Ok(is_around(&seen.record, monitored).then_some((seen.record, pidfd)))
}

/// The managed process that the caller's environment names. That proves nothing.
pub fn id_in_environment() -> Option<Id> {
    Id::parse(&std::env::var(ID_VARIABLE).ok()?)
}

/// Whether the caller descends from a live managed process, or from its monitor.
fn is_around(record: &Record, monitored: bool) -> bool {
    let monitor = record.monitor.filter(|monitor| monitored && !monitor.adopted).map(|monitor| monitor.pid);
    let is_it = |pid| Some(pid) == record.pid || Some(pid) == monitor;
    os_ancestors().into_iter().any(is_it)
}

/// On whose behalf procctl runs, as [`creator`] finds it, and without changing anything.
#[derive(Debug)]
pub enum Caller {
    /// A managed process.
    Managed(Box<Record>),
    /// Another one.
    Outside(Identity),
    /// One that is outside of our pid namespace, or hidden from us.
    OutOfSight,
}

/// Finds out on whose behalf procctl runs. Without a run directory there are no managed processes.
pub fn caller(run_dir: Option<&RunDir>) -> Result<Caller> {
    if let Some(pid) = pid_in_variable()? {
        let (process, _pidfd) = living(pid, PARENT_VARIABLE)?;
        let found = observe::ids_named_by(pid).find_map(|id| look_alive(run_dir?, &id));
        return Ok(match found.filter(|(record, _)| record.pid == Some(pid)) {
            Some((record, _)) => Caller::Managed(Box::new(record)),
            None => Caller::Outside(process),
        });
    }
    let named = run_dir.zip(id_in_environment()).and_then(|(run_dir, id)| look_alive(run_dir, &id));
    if let Some((record, monitored)) = named
        && is_around(&record, monitored)
    {
        return Ok(Caller::Managed(Box::new(record)));
    }
    Ok(match os_parent_beyond_subshells()? {
        Some((process, _)) => Caller::Outside(process),
        None => Caller::OutOfSight,
    })
}

/// The pids of the caller's OS ancestors, nearest first.
pub fn os_ancestors() -> Vec<i32> {
    let mut found = Vec::new();
    let mut pid = process::os_parent();
    while pid > 0 && !found.contains(&pid) {
        found.push(pid);
        pid = Stat::of(pid).map_or(0, |stat| stat.parent);
    }
    found
}

/// The caller's OS parent; climbing out of subshells, which are forks of the shell without an exec and end a moment later.
fn os_parent_beyond_subshells() -> Result<Option<(Identity, OwnedFd)>> {
    let failed = |e| Error::system("cannot look at the parent process in /proc", e);
    let (mut parent, mut pidfd, mut stat) = loop {
        let pid = process::os_parent();
        if pid == 0 {
            return Ok(None);
        }
        match Identity::of_pid(pid).map_err(failed)? {
            // Still the parent: it was there all the time, and the descriptor is its own.
            Some(found) if process::os_parent() == pid => break found,
            // It is there, but not to be seen in /proc (hidepid).
            None if process::os_parent() == pid => return Ok(None),
            _ => {}
        }
    };
    while stat.parent > 0 {
        // Mostly it is no fork of the one above, and that can be seen without a descriptor.
        if Stat::of(stat.parent).is_ok_and(|above| !has_stack_of(&stat, &above)) {
            break;
        }
        let Some((above, above_pidfd, above_stat)) = Identity::of_pid(stat.parent).map_err(failed)? else {
            break;
        };
        if !is_fork_without_exec(&stat, &above_stat) || !still_child(&parent, above.pid) {
            break;
        }
        (parent, pidfd, stat) = (above, above_pidfd, above_stat);
    }
    Ok(Some((parent, pidfd)))
}

fn is_fork_without_exec(child: &Stat, parent: &Stat) -> bool {
    has_stack_of(child, parent)
        && child.start_ticks >= parent.start_ticks
        && proc::same_executable(child.pid, parent.pid)
}

/// A fork has its parent's stack; an exec makes a new one, at a random place.
fn has_stack_of(child: &Stat, parent: &Stat) -> bool {
    child.start_stack != 0 && child.start_stack == parent.start_stack
}

fn still_child(child: &Identity, of: i32) -> bool {
    Stat::of(child.pid).is_ok_and(|stat| stat.parent == of && stat.start_ticks == child.start_ticks)
}

/// The record of a process that lives, and whether its monitor does. `None` also where that cannot be found out.
fn look_alive(run_dir: &RunDir, id: &Id) -> Option<(Record, bool)> {
    let entry = run_dir.entry(id).ok()??;
    match observe::look(run_dir, &entry).ok()? {
        Some((record, Facts::Monitored { process: Some((_, Stage::Alive)), .. })) => Some((record, true)),
        Some((record, Facts::Orphaned { stage: Stage::Alive, .. })) => Some((record, false)),
        Some(_) => None,
        // It is so young that its monitor has not let the record appear.
        None => {
            let record = entry.load_starting().ok()??;
            let pidfd = record.process()?.open().ok()??;
            let stage = pidfd::stage(pidfd.as_fd()).ok()?;
            (stage == Stage::Alive).then_some((record, true))
        }
    }
}

/// The ids of a managed process and of those that created it, as far up as there are records.
pub fn line_of(run_dir: &RunDir, record: &Record) -> Result<Vec<Id>> {
    let mut line = vec![record.id.clone()];
    let mut next = record.parent.as_ref().and_then(|parent| parent.id.clone());
    while let Some(id) = next.filter(|id| !line.contains(id)) {
        next = match run_dir.entry(&id)?.map(|entry| entry.load()) {
            Some(Ok(Some(record))) => record.parent.and_then(|parent| parent.id),
            _ => None,
        };
        line.push(id);
    }
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_tells_its_process() {
        for pidfd_inode in [Some(77), None] {
            let process = Identity { pid: 42, start_ticks: 4711, pidfd_inode };
            assert_eq!(parse_key(&key_of(&process, "0e0cbf74")), Some((process, "0e0cbf74")));
        }
        for other in ["none", "", "abcdefgh", "1-2-3", "x-1-1-b"] {
            assert_eq!(parse_key(other), None, "{other}");
        }
    }
}
