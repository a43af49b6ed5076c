//! Being told of every change of state in a run directory, without looking again and again: for `status --watch`.
//!
//! | what happens | how it is told |
//! |---|---|
//! | a process is created or started, or closed | inotify on the folders of `processes`, at most some 660 |
//! | the record of one that can still change is replaced: started, ended, renamed | inotify on its own directory |
//! | a monitor is killed, and its process ends without it | the sentinel and the pidfd, as for `join`; see [`super::wait`] |
//!
//! Ended processes cost nothing. A watch is always set before what it is about is looked at: what happens in between is told.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags};

use crate::os::fd;
use crate::os::fs::{Dir, optional};
use crate::os::inotify::{Event, Inotify, Wanted, What};

use super::entry::RECORD;
use super::error::{self, Error, Result};
use super::id::{Id, PROCESSES};
use super::names::Shelf;
use super::rundir::RunDir;
use super::wait::Waiting;

/// Tells of changes in one run directory.
#[derive(Debug)]
pub struct Watcher {
    events: Inotify,
    places: HashMap<i32, Place>,
    entries: HashMap<Id, i32>,
    waiting: BTreeMap<Id, Waiting>,
    /// Those whose records may have changed since they were waited for.
    fresh: BTreeSet<Id>,
    /// How many can be waited for.
    most: usize,
    is_partial: bool,
}

/// What is watched.
#[derive(Clone, Debug)]
enum Place {
    /// What the run directory is in. (Removed while it is open, that itself is told only when it is closed.)
    Parent,
    Root,
    Processes,
    Folder,
    Entry(Id),
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Nothing that could be seen.
    None,
    /// Some process may look different now.
    Some,
    /// The run directory was removed, or moved elsewhere.
    Gone,
}

impl Watcher {
    /// Begins to watch.
    pub fn new(run_dir: &RunDir) -> Result<Self> {
        /// A sentinel and a pidfd each, and some descriptors for everything else.
        const SPARE: usize = 64;
        let failed = |e| cannot_watch(run_dir.path(), e);
        let mut watcher = Self {
            events: Inotify::new().map_err(|e| no_instance(&e))?,
            places: HashMap::new(),
            entries: HashMap::new(),
            waiting: BTreeMap::new(),
            fresh: BTreeSet::new(),
            most: fd::raise_limit().saturating_sub(SPARE) / 2,
            is_partial: false,
        };
        let root = watcher.events.watch(&run_dir.root, Wanted::Arrivals).map_err(failed)?;
        watcher.places.insert(root, Place::Root);
        // It may be one that this user may not list: then it is noticed at the next look.
        let parent = run_dir.path().parent();
        if let Some(Ok(parent)) = parent.map(|parent| watcher.events.watch_path(parent, Wanted::Going)) {
            watcher.places.insert(parent, Place::Parent);
        }
        watcher.watch_processes(run_dir)?;
        watcher.wait_for_fresh(run_dir);
        Ok(watcher)
    }

    /// Whether the kernel's limits keep it from being told of everything.
    pub fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// What to poll for: something has happened when one of them is ready.
    pub fn poll_fds(&self) -> Vec<PollFd<'_>> {
        let mut fds = vec![PollFd::new(&self.events, PollFlags::IN)];
        fds.extend(self.waiting.values().filter_map(Waiting::poll_fd));
        fds
    }

    /// Takes in what has happened. `ready` says so for each of [`Watcher::poll_fds`].
    pub fn take_in(&mut self, run_dir: &RunDir, ready: &[bool]) -> Result<Change> {
        let mut change = Change::None;
        let waited_for = self.waiting.iter_mut().filter(|(_, one)| one.poll_fd().is_some());
        let (mut over, mut lost) = (Vec::new(), Vec::new());
        for ((id, one), _) in waited_for.zip(ready.iter().skip(1)).filter(|(_, ready)| **ready) {
            change = Change::Some;
            match one.advance(run_dir) {
                Ok(()) if one.is_over() => over.push(id.clone()),
                Ok(()) if !one.was_closed() => {}
                // Or there are no descriptors just now: a new record of it is still told of.
                Ok(()) | Err(_) => lost.push(id.clone()),
            }
        }
        for id in over {
            self.forget(&id);
        }
        self.waiting.retain(|id, _| !lost.contains(id));
        if ready.first().is_some_and(|&ready| ready) {
            for event in self.events.events().map_err(|e| cannot_watch(run_dir.path(), e))? {
                match self.take_in_event(run_dir, event)? {
                    Change::Gone => return Ok(Change::Gone),
                    Change::Some => change = Change::Some,
                    Change::None => {}
                }
            }
        }
        self.wait_for_fresh(run_dir);
        Ok(change)
    }

    fn take_in_event(&mut self, run_dir: &RunDir, event: Event) -> Result<Change> {
        if event.what == What::Overflow {
            // Whatever it was: everything is set up anew, and what is watched already stays so.
            self.watch_processes(run_dir)?;
            self.fresh.extend(self.entries.keys().cloned());
            return Ok(Change::Some);
        }
        let Some(place) = self.places.get(&event.watch).cloned() else { return Ok(Change::None) };
        if event.what == What::Over {
            self.places.remove(&event.watch);
            if let Place::Entry(id) = place {
                self.entries.remove(&id);
                self.waiting.remove(&id);
            }
            return Ok(Change::None);
        }
        let name = event.name.unwrap_or_default();
        match place {
            Place::Root if event.what == What::Itself => return Ok(Change::Gone),
            Place::Parent if run_dir.path().file_name() == Some(&name) => return Ok(Change::Gone),
            Place::Root if name == PROCESSES => self.watch_processes(run_dir)?,
            Place::Processes if event.what == What::Came => self.watch_folder(run_dir, &name, None)?,
            Place::Entry(id) if name == RECORD => drop(self.fresh.insert(id)),
            Place::Folder => match (name.to_str().and_then(Id::parse), event.what) {
                (Some(id), What::Came) => {
                    self.watch_entry(run_dir, &id);
                    // Its record is still to come, mostly, and will be told of.
                    if !run_dir.root.has(Path::new(&id.path()).join(RECORD)).unwrap_or(true) {
                        return Ok(Change::None);
                    }
                }
                (Some(id), _) => self.forget(&id),
                (None, _) => return Ok(Change::None),
            },
            Place::Parent | Place::Root | Place::Processes | Place::Entry(_) => return Ok(Change::None),
        }
        Ok(Change::Some)
    }

    /// Watches `processes`, if it is there, and all that can still change in it.
    fn watch_processes(&mut self, run_dir: &RunDir) -> Result<()> {
        let Some(processes) = optional(run_dir.root.open_dir(PROCESSES))? else { return Ok(()) };
        self.watch(&processes, Wanted::ComingAndGoing, Place::Processes);
        // By the index: no record need be read. What is on no shelf may be a start under way.
        let mut ended = BTreeSet::new();
        for shelf in [Shelf::Ended, Shelf::Joined] {
            ended.extend(run_dir.names().all(shelf)?.into_iter().map(|tag| tag.id));
        }
        for folder in processes.list()? {
            self.watch_folder(run_dir, &folder, Some(&ended))?;
        }
        Ok(())
    }

    /// Watches a folder, and those in it that have not ended.
    fn watch_folder(&mut self, run_dir: &RunDir, name: &OsStr, ended: Option<&BTreeSet<Id>>) -> Result<()> {
        let folder = match run_dir.root.open_dir(Path::new(PROCESSES).join(name)) {
            Ok(folder) => folder,
            Err(e) if e.is_not_found() || e.source.kind() == io::ErrorKind::NotADirectory => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        self.watch(&folder, Wanted::ComingAndGoing, Place::Folder);
        for name in optional(folder.list())?.unwrap_or_default() {
            if let Some(id) = name.to_str().and_then(Id::parse)
                && ended.is_none_or(|ended| !ended.contains(&id))
            {
                self.watch_entry(run_dir, &id);
            }
        }
        Ok(())
    }

    fn watch_entry(&mut self, run_dir: &RunDir, id: &Id) {
        // It can be gone again, or be something else.
        let Ok(directory) = run_dir.root.open_dir(id.path()) else { return };
        if let Some(watch) = self.watch(&directory, Wanted::Replacements, Place::Entry(id.clone())) {
            self.entries.insert(id.clone(), watch);
        }
        self.fresh.insert(id.clone());
    }

    fn watch(&mut self, directory: &Dir, wanted: Wanted, place: Place) -> Option<i32> {
        // If no more watches are to be had, a change there is seen at the next look.
        let watch = self.events.watch(directory, wanted).ok();
        self.is_partial |= watch.is_none();
        watch.inspect(|&watch| {
            self.places.insert(watch, place);
        })
    }

    /// Waits for the ends of those that live, and for nothing more of those that have ended.
    fn wait_for_fresh(&mut self, run_dir: &RunDir) {
        for id in std::mem::take(&mut self.fresh) {
            self.waiting.remove(&id);
            if self.waiting.len() >= self.most {
                self.is_partial = true;
                continue;
            }
            // An error: it was not started, or cannot be waited for. If that changes, its record does.
            let Ok(Some(entry)) = run_dir.entry(&id) else { continue };
            match Waiting::of_entry(run_dir, entry) {
                Ok(one) if one.is_over() => self.forget(&id),
                Ok(one) => drop(self.waiting.insert(id, one)),
                Err(_) => {}
            }
        }
    }

    fn forget(&mut self, id: &Id) {
        self.waiting.remove(id);
        self.fresh.remove(id);
        if let Some(watch) = self.entries.remove(id) {
            self.places.remove(&watch);
            self.events.forget(watch);
        }
    }
}

fn no_instance(e: &io::Error) -> Error {
    let why = error::message(e);
    Error::hinted(format!("cannot begin to watch: {why}"), "see fs.inotify.max_user_instances, and ulimit -n")
}

fn cannot_watch(path: &Path, e: io::Error) -> Error {
    Error::system(format!("cannot watch {}", path.display()), e)
}

/// Waits for a directory that is not there yet.
#[derive(Debug)]
pub struct Absence {
    events: Inotify,
    /// What is to appear next on the way to it.
    next: OsString,
}

impl Absence {
    /// Of that path. It is looked for after this: what comes before that look is told.
    pub fn of(path: &Path) -> Result<Self> {
        let mut there = nearest(path);
        loop {
            let events = Inotify::new().map_err(|e| no_instance(&e))?;
            match events.watch_path(&there, Wanted::Arrivals) {
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {
                    there = nearest(path);
                    continue;
                }
                Err(e) => return Err(cannot_watch(&there, e)),
            }
            // More of it may have been made before the watch was set.
            let now = nearest(path);
            if now == there || now == path {
                let next = path.strip_prefix(&there).ok().and_then(|rest| rest.components().next());
                let next = next.map(|part| part.as_os_str().to_owned()).unwrap_or_default();
                return Ok(Self { events, next });
            }
            there = now;
        }
    }

    /// What to poll for.
    pub fn poll_fd(&self) -> PollFd<'_> {
        PollFd::new(&self.events, PollFlags::IN)
    }

    /// Whether it is worth looking again.
    pub fn take_in(&self) -> Result<bool> {
        let events = self.events.events().map_err(|e| Error::system("cannot watch a directory", e))?;
        let matters = |event: Event| event.what != What::Came || event.name.as_ref() == Some(&self.next);
        Ok(events.into_iter().any(matters))
    }
}

/// The nearest directory above a path, or the path itself, that is there.
fn nearest(path: &Path) -> PathBuf {
    path.ancestors().find(|path| path.is_dir()).unwrap_or(Path::new("/")).to_owned()
}
