//! What /proc says of a live process and of what descends from it: CPU time, memory, threads, descriptors.
//!
//! It is for people to look at, never a reason to act: what cannot be read is left out, and no command fails for it.
//! But a stranger's figures are never shown: a process is pinned by its identity before /proc is read, and must not have
//! been reaped when that is done.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use crate::os::pidfd::{self, Stage};
use crate::os::proc::{self, Load, Stat};
use crate::os::process::own_pid;

use super::family::ID_VARIABLE;
use super::host::Place;
use super::id::Id;
use super::identity::Identity;
use super::monitor::TITLE;
use super::observe::{Life, Observed, Pin};
use super::record::Record;
use super::rundir::RunDir;
use super::share::Shares;

/// What a live process takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Live {
    /// CPU time, memory, threads.
    pub load: Load,
    /// The most resident memory it had; `None` if that is not told, or was not asked for.
    pub peak_rss_bytes: Option<u64>,
    /// How many descriptors it has open; `None` if that is not told, or was not asked for.
    pub descriptors: Option<u64>,
    /// The share of one CPU since the last look; `None` at the first.
    pub cpu_share: Option<f64>,
    /// A signal (SIGSTOP, ^Z) or a tracer holds it still.
    pub is_suspended: bool,
}

/// How much to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What one line of /proc tells.
    Load,
    /// Everything.
    All,
}

/// The OS process, if its pid means something here and it was alive a moment ago.
fn within_reach(seen: &Observed) -> Option<Identity> {
    match seen.life {
        Life::Alive { pin: Pin::Held(_) | Pin::Released, .. } => seen.record.process(),
        _ => None,
    }
}

/// Reads it. `None` of a process that does not live any more, that /proc hides, or that is elsewhere.
pub fn of(seen: &Observed, detail: Detail, shares: &Shares) -> Option<Live> {
    let process = within_reach(seen)?;
    let pidfd = process.open().ok()??;
    let (stat, load) = Load::of(process.pid).ok()?;
    let all = detail == Detail::All;
    let live = Live {
        load,
        peak_rss_bytes: if all { proc::peak_rss_bytes(process.pid).ok().flatten() } else { None },
        descriptors: if all { proc::descriptors(process.pid).ok() } else { None },
        cpu_share: None,
        is_suspended: matches!(stat.state, 'T' | 't'),
    };
    pidfd::is_unreaped(pidfd.as_fd()).then(|| {
        let cpu_share = shares.of(process.pid, process.start_ticks, load.cpu_seconds());
        Live { cpu_share, ..live }
    })
}

/// A process that descends from a managed one.
#[derive(Clone, Debug)]
pub struct Descendant {
    /// How far below: 0 for a child.
    pub depth: usize,
    /// Its pid.
    pub pid: i32,
    /// When it started, in clock ticks after boot: with the pid it tells this one from others.
    pub start_ticks: u64,
    /// Whether it has ended, and its parent has not reaped it.
    pub zombie: bool,
    /// The first 15 bytes of its program's name.
    pub comm: Vec<u8>,
    /// Its arguments; none of a zombie.
    pub arguments: Vec<OsString>,
    /// CPU time, memory, threads.
    pub load: Load,
    /// The share of one CPU since the last look; `None` at the first.
    pub cpu_share: Option<f64>,
    /// Its record, if procctl started it.
    pub managed: Option<Box<Record>>,
}

/// What to do about descendants that procctl started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Managed {
    /// They are listed with their own descendants.
    Listed,
    /// They are left out with their own descendants.
    LeftOut,
}

/// Everything alive that descends from a process, parents before their children, but the caller: it is gone when anybody
/// reads of it. Monitors are passed over: what hangs on one is shown where it hangs. Processes whose parents have ended
/// count, as far as the monitor has inherited them.
pub fn descendants(run_dir: &RunDir, seen: &Observed, managed: Managed, shares: &Shares) -> Vec<Descendant> {
    let Some(process) = within_reach(seen) else { return Vec::new() };
    let Ok(Some(pidfd)) = process.open() else { return Vec::new() };
    let mut walk = Walk {
        run_dir,
        managed,
        shares,
        scan: None,
        known: BTreeSet::from([process.pid, own_pid()]),
        found: Vec::new(),
    };
    let mut pending = walk.children(process.pid, 0, None);
    // The record may lie about the monitor: it must be the parent of the process.
    let monitor = seen.record.monitor.filter(|monitor| seen.is_monitored() && !monitor.adopted);
    if let Some(monitor) = monitor
        && Stat::of(process.pid).is_ok_and(|stat| stat.parent == monitor.pid)
    {
        pending.extend(walk.children(monitor.pid, 0, None));
    }
    if !pidfd::is_unreaped(pidfd.as_fd()) {
        return Vec::new();
    }
    pending.reverse();
    while let Some(next) = pending.pop() {
        let mut children = walk.visit(next);
        children.reverse();
        pending.extend(children);
    }
    walk.found
}

/// A pid that was in a list of children.
struct Rumour {
    pid: i32,
    parent: i32,
    depth: usize,
    /// The id of its process, if its parent says that it is the monitor of that.
    id: Option<Id>,
}

struct Walk<'a> {
    run_dir: &'a RunDir,
    managed: Managed,
    shares: &'a Shares,
    /// Where the kernel does not list children: everybody's, read once.
    scan: Option<BTreeMap<i32, Vec<i32>>>,
    known: BTreeSet<i32>,
    found: Vec<Descendant>,
}

impl Walk<'_> {
    fn children(&mut self, parent: i32, depth: usize, id: Option<&Id>) -> Vec<Rumour> {
        let pids = if proc::tells_children() {
            proc::children(parent).unwrap_or_default()
        } else {
            let scan = self.scan.get_or_insert_with(|| {
                let mut children: BTreeMap<i32, Vec<i32>> = BTreeMap::new();
                for stat in proc::all().unwrap_or_default() {
                    children.entry(stat.parent).or_default().push(stat.pid);
                }
                children
            });
            scan.get(&parent).cloned().unwrap_or_default()
        };
        pids.into_iter().map(|pid| Rumour { pid, parent, depth, id: id.cloned() }).collect()
    }

    /// Looks at one, and returns its children, which were its own while it was pinned.
    fn visit(&mut self, rumour: Rumour) -> Vec<Rumour> {
        let Rumour { pid, parent, depth, id } = rumour;
        if self.known.contains(&pid) {
            return Vec::new();
        }
        let Ok(pidfd) = pidfd::open(pid) else { return Vec::new() };
        let Ok((stat, load)) = Load::of(pid) else { return Vec::new() };
        // It has another parent by now, or is another process.
        if stat.parent != parent {
            return Vec::new();
        }
        let arguments = arguments(pid);
        let mut children = self.children(pid, depth + 1, None);
        let monitored = self.monitored_by(&stat, &arguments, &children);
        let record = if monitored.is_some() { None } else { self.record_of(&stat, id) };
        if !pidfd::is_unreaped(pidfd.as_fd()) {
            return Vec::new();
        }
        self.known.insert(pid);
        if monitored.is_some() {
            for child in &mut children {
                (child.depth, child.id) = (depth, monitored.clone());
            }
            return children;
        }
        if record.is_some() && self.managed == Managed::LeftOut {
            return Vec::new();
        }
        self.found.push(Descendant {
            depth,
            pid,
            start_ticks: stat.start_ticks,
            zombie: matches!(stat.state, 'Z' | 'X'),
            comm: stat.comm,
            arguments,
            load,
            cpu_share: self.shares.of(pid, stat.start_ticks, load.cpu_seconds()),
            managed: record,
        });
        children
    }

    /// The id of the process whose monitor it is: its title says so, or its child does (a `run` has no title).
    fn monitored_by(&self, stat: &Stat, arguments: &[OsString], children: &[Rumour]) -> Option<Id> {
        let title = || Id::parse(arguments.first()?.to_str()?.strip_prefix(TITLE)?.split(' ').next()?);
        let of_child = || children.iter().find_map(|child| id_in_environment(child.pid));
        let id = title().or_else(|| if stat.comm == PROGRAM { of_child() } else { None })?;
        self.load(&id)?.monitor.is_some_and(|monitor| monitor.pid == stat.pid).then_some(id)
    }

    /// Its record, if it is a managed process: its monitor or its environment names it.
    fn record_of(&self, stat: &Stat, of_monitor: Option<Id>) -> Option<Box<Record>> {
        let record = self.load(&of_monitor.or_else(|| id_in_environment(stat.pid))?)?;
        let is_it = record.pid == Some(stat.pid) && record.start_ticks == Some(stat.start_ticks);
        is_it.then(|| Box::new(record))
    }

    fn load(&self, id: &Id) -> Option<Record> {
        self.run_dir.entry(id).ok()??.load().ok()?
    }
}

/// As they were given: in /proc a NUL ends each.
fn arguments(pid: i32) -> Vec<OsString> {
    let mut arguments = proc::arguments(pid).unwrap_or_default();
    if arguments.last().is_some_and(Vec::is_empty) {
        arguments.pop();
    }
    arguments.into_iter().map(OsString::from_vec).collect()
}

/// What the program calls itself in /proc/PID/stat.
const PROGRAM: &[u8] = b"procctl";

fn id_in_environment(pid: i32) -> Option<Id> {
    Id::parse(proc::environment_variable(pid, ID_VARIABLE)?.to_str()?)
}

/// What has become of a parent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It lives; the name of its program, unless /proc hides that.
    Alive(Option<String>),
    /// It has ended.
    Ended,
    /// It is elsewhere, or could not be looked at.
    Unknown,
}

/// What has become of the parent of a process.
pub fn fate_of_parent(run_dir: &RunDir, record: &Record) -> Fate {
    let Some(parent) = record.parent.as_ref().map(|parent| parent.process) else { return Fate::Unknown };
    match run_dir.host.place_of(record) {
        Ok(Place::Here) => {}
        Ok(Place::EarlierBoot) => return Fate::Ended,
        _ => return Fate::Unknown,
    }
    let pidfd = match parent.open() {
        Ok(Some(pidfd)) => pidfd,
        Ok(None) => return Fate::Ended,
        Err(_) => return Fate::Unknown,
    };
    let stat = Stat::of(parent.pid);
    match pidfd::stage(pidfd.as_fd()) {
        Ok(Stage::Alive) => {
            Fate::Alive(stat.ok().map(|stat| String::from_utf8_lossy(&stat.comm).into_owned()))
        }
        Ok(Stage::Zombie | Stage::Reaped) => Fate::Ended,
        Err(_) => Fate::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::os::fs::Dir;
    use crate::process::entry::Entry;
    use crate::process::record;

    #[test]
    fn a_stranger_with_that_pid_is_not_described() {
        let me = Identity::of_self().expect("identity");
        let seen = |process: Identity| {
            let mut record = Record::from_json(record::tests::OLD.as_bytes()).expect("loads");
            record.pid = Some(process.pid);
            (record.start_ticks, record.pidfd_inode) = (Some(process.start_ticks), process.pidfd_inode);
            let dir = Dir::open(std::path::Path::new("/")).expect("a directory");
            let entry = Entry { id: record.id.clone(), dir };
            Observed { entry, record, life: Life::Alive { pin: Pin::Released, monitored: true } }
        };
        let live = of(&seen(me), Detail::All, &Shares::default()).expect("it lives");
        assert!(live.load.rss_bytes > 0 && live.peak_rss_bytes.is_some() && live.descriptors.is_some());
        let other = match me.pidfd_inode {
            Some(inode) => Identity { pidfd_inode: Some(inode + 1), ..me },
            None => Identity { start_ticks: me.start_ticks + 1, ..me },
        };
        assert_eq!(of(&seen(other), Detail::All, &Shares::default()), None);
        let mut elsewhere = seen(me);
        elsewhere.life = Life::Alive { pin: Pin::OutOfReach, monitored: true };
        assert_eq!(of(&elsewhere, Detail::Load, &Shares::default()), None);
    }
}
