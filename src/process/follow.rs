//! Following processes: sleeping until one of them has written, has been started, or has ended.
//!
//! There is no timer: changes in the directory of a process come by inotify, its end as for `join` (see [`super::wait`]).

use std::collections::{BTreeSet, HashMap};
use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::os::fd;
use crate::os::inotify::{Inotify, Wanted, What};

use super::error::{Error, Result};
use super::id::Id;
use super::observe::{self, Life, Observed, Pin};
use super::record::Record;
use super::rundir::RunDir;
use super::wait::Waiting;

/// What happened to the process of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// It may have written something.
    Wrote(usize),
    /// It has ended: what it has written until now is all.
    Ended(usize),
}

/// What is known of the end of a process that was followed.
#[derive(Debug)]
pub enum End {
    /// Its final record.
    Recorded(Box<Record>),
    /// It was closed before that could be read.
    Closed,
    /// That is not recorded yet, and it was not to be waited for.
    Unrecorded,
    /// It could not be waited for.
    Unknown(Error),
}

#[derive(Debug)]
enum Stage {
    Unstarted,
    Running(Box<Running>),
    Over(End),
}

#[derive(Debug)]
struct Running {
    waiting: Waiting,
    /// The process itself, where its end alone is waited for: its monitor may be stopped, or unable to record the end.
    process: Option<OwnedFd>,
}

#[derive(Debug)]
struct Followed {
    id: Id,
    stage: Stage,
    /// Whether its end was told.
    told: bool,
}

/// Follows some processes.
#[derive(Debug)]
pub struct Follower<'a> {
    run_dir: &'a RunDir,
    changes: Inotify,
    followed: Vec<Followed>,
    /// Who is in the directory of that watch: several, if one was named several times.
    watched: HashMap<i32, Vec<usize>>,
    wants_records: bool,
}

impl<'a> Follower<'a> {
    /// Begins to follow: whatever happens from now on will be told. Whether ends have to be on record, with exit codes, to
    /// be told: that can take longer than the end, where the monitor was killed.
    pub fn new(run_dir: &'a RunDir, all: &[Observed], wants_records: bool) -> Result<Self> {
        fd::raise_limit();
        let changes = Inotify::new().map_err(|e| Error::system("cannot watch logs (inotify)", e))?;
        let followed = Vec::with_capacity(all.len());
        let mut follower = Self { run_dir, changes, followed, watched: HashMap::new(), wants_records };
        for (at, seen) in all.iter().enumerate() {
            let id = seen.record.id.clone();
            let watch = watch(&follower.changes, seen)?;
            follower.watched.entry(watch).or_default().push(at);
            // Only now: a start or an end that came before the watch is seen here.
            follower.followed.push(Followed { stage: follower.stage(&id), id, told: false });
        }
        Ok(follower)
    }

    /// What happened. If nothing did it sleeps, or with `at_once` returns. `None`: nobody reads standard output any more.
    pub fn next(&mut self, at_once: bool) -> Result<Option<Vec<News>>> {
        loop {
            let untold = self.followed.iter().any(|one| matches!(one.stage, Stage::Over(_)) && !one.told);
            let Some(ready) = self.sleep(at_once || untold)? else { return Ok(None) };
            for at in ready {
                self.advance(at);
            }
            let mut news = Vec::new();
            for at in self.changed()? {
                if matches!(self.followed[at].stage, Stage::Unstarted) {
                    self.look_again(at);
                }
                if matches!(self.followed[at].stage, Stage::Running(_)) {
                    news.push(News::Wrote(at));
                }
            }
            news.extend(self.untold().map(News::Ended));
            if at_once || !news.is_empty() {
                return Ok(Some(news));
            }
        }
    }

    /// Those that had ended when following began.
    pub fn ended(&mut self) -> Vec<usize> {
        self.untold().collect()
    }

    /// Those whose end has not been told. It has then.
    fn untold(&mut self) -> impl Iterator<Item = usize> {
        let news = |one: &mut Followed| {
            matches!(one.stage, Stage::Over(_)) && !std::mem::replace(&mut one.told, true)
        };
        self.followed.iter_mut().enumerate().filter_map(move |(at, one)| news(one).then_some(at))
    }

    /// How those ended that have.
    pub fn ends(self) -> impl Iterator<Item = End> {
        self.followed.into_iter().filter_map(|one| match one.stage {
            Stage::Over(end) => Some(end),
            _ => None,
        })
    }

    /// Sleeps. Which of the processes something happened to; `None` if nobody reads standard output any more.
    fn sleep(&self, at_once: bool) -> Result<Option<Vec<usize>>> {
        let stdout = rustix::stdio::stdout();
        // A pipe without a reader says POLLERR, unasked; a terminal that is gone POLLHUP.
        let mut fds = vec![
            PollFd::from_borrowed_fd(stdout.as_fd(), PollFlags::empty()),
            PollFd::from_borrowed_fd(self.changes.as_fd(), PollFlags::IN),
        ];
        let mut whose = Vec::with_capacity(self.followed.len());
        for (at, one) in self.followed.iter().enumerate() {
            if let Stage::Running(running) = &one.stage {
                let process = running.process.as_ref().map(|process| PollFd::new(process, PollFlags::IN));
                for fd in running.waiting.poll_fd().into_iter().chain(process) {
                    fds.push(fd);
                    whose.push(at);
                }
            }
        }
        let at_most = at_once.then_some(Timespec { tv_sec: 0, tv_nsec: 0 });
        match poll(&mut fds, at_most.as_ref()) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(e) => return Err(Error::system("cannot wait for the log", e)),
        }
        if fds[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL) {
            return Ok(None);
        }
        Ok(Some(
            whose
                .into_iter()
                .zip(&fds[2..])
                .filter(|(_, fd)| !fd.revents().is_empty())
                .map(|(at, _)| at)
                .collect(),
        ))
    }

    /// Looks again at a process that something happened to: its monitor may have recorded the end, or have been killed.
    fn advance(&mut self, at: usize) {
        let one = &mut self.followed[at];
        let Stage::Running(running) = &mut one.stage else { return };
        let waiting = &mut running.waiting;
        let end = match waiting.advance(self.run_dir) {
            Ok(()) if waiting.is_over() => End::Recorded(Box::new(waiting.record.clone())),
            Ok(()) if waiting.was_closed() => End::Closed,
            Ok(()) if self.wants_records => return,
            // It may have ended, and its record may be long in coming.
            Ok(()) => return self.look_again(at),
            Err(e) => failed(self.run_dir, &one.id, e),
        };
        one.stage = Stage::Over(end);
    }

    fn look_again(&mut self, at: usize) {
        self.followed[at].stage = self.stage(&self.followed[at].id);
    }

    /// How far a process has got.
    fn stage(&self, id: &Id) -> Stage {
        let looked = observe::by_id(self.run_dir, id).and_then(|seen| {
            let Some(seen) = seen else { return Ok(Stage::Over(End::Closed)) };
            Ok(match seen.life {
                Life::Initial => Stage::Unstarted,
                Life::Ended => Stage::Over(End::Recorded(Box::new(seen.record))),
                Life::Ending(_) if !self.wants_records => Stage::Over(End::Unrecorded),
                life => {
                    let process = match life {
                        Life::Alive { pin: Pin::Held(process), .. } if !self.wants_records => Some(process),
                        _ => None,
                    };
                    let waiting = Waiting::of_entry(self.run_dir, seen.entry)?;
                    if waiting.is_over() {
                        Stage::Over(End::Recorded(Box::new(waiting.record)))
                    } else {
                        Stage::Running(Box::new(Running { waiting, process }))
                    }
                }
            })
        });
        looked.unwrap_or_else(|e| Stage::Over(failed(self.run_dir, id, e)))
    }

    /// Which of the processes there were changes in the directory of.
    fn changed(&self) -> Result<Vec<usize>> {
        let events = self.changes.events().map_err(|e| Error::system("cannot watch logs", e))?;
        // Some events were lost: look at all.
        if events.iter().any(|event| event.what == What::Overflow) {
            return Ok((0..self.followed.len()).collect());
        }
        let changed = events.iter().filter_map(|event| self.watched.get(&event.watch)).flatten();
        Ok(changed.copied().collect::<BTreeSet<_>>().into_iter().collect())
    }
}

/// Watches the directory of a process: its log is written to, its record replaced, or all of it renamed away.
fn watch(changes: &Inotify, seen: &Observed) -> Result<i32> {
    // The directory itself, not whatever has its path now.
    let dir = seen.entry.dir.open_dir(".")?;
    changes
        .watch(&dir, Wanted::Writing)
        .map_err(|e| Error::system(format!("cannot watch {}", seen.entry.dir.path().display()), e))
}

fn failed(run_dir: &RunDir, id: &Id, e: Error) -> End {
    match run_dir.entry(id) {
        Ok(None) => End::Closed,
        _ => End::Unknown(e),
    }
}
