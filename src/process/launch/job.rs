//! A process that is ready to be spawned: new, or one that `create` recorded.

use std::os::fd::OwnedFd;
use std::path::PathBuf;

use crate::os::pidfd::{self, Stage};
use crate::os::signals::Blocked;

use super::Request;
use super::draft::{Draft, draft};
use super::plan::{block_signals, check_passed, plan};
use crate::process::entry::{Entry, STARTING};
use crate::process::environment::Changes;
use crate::process::error::{Error, Result};
use crate::process::family::Creator;
use crate::process::monitor::Job;
use crate::process::names::Shelf;
use crate::process::observe;
use crate::process::record::{Record, State};
use crate::process::recover;
use crate::process::rundir::RunDir;
use crate::process::streams::{Files, Stream, Streams};

/// A new process, ready to be spawned. The request ends here: its authkey must not be in the memory that a monitor gets.
///
/// A frame of its own, and a job on the heap: the stack of the launcher is the monitor's, and what is on it stays there.
#[inline(never)]
pub(super) fn new(run_dir: &RunDir, request: Request, own_session: bool) -> Result<Box<Job<'_>>> {
    for &passed in &request.passed {
        check_passed(passed)?;
    }
    let files = request.streams.open_files()?;
    let draft = draft(run_dir, &request)?;
    prepare(draft, request, files, own_session, block_signals)
}

/// From a draft to a job: takes the locks and the name, and plans what the child will do.
pub(super) fn prepare(
    draft: Draft<'_>,
    request: Request,
    files: Files,
    own_session: bool,
    block_signals: impl FnOnce() -> Result<Blocked>,
) -> Result<Box<Job<'_>>> {
    drop(request.authkey);
    let run_dir = draft.run_dir;
    let prepared = (|| {
        let name_lock = claim_name(run_dir, &draft.record)?;
        let life = draft
            .entry
            .begin_start()?
            .ok_or_else(|| Error::refused("the new process is locked by somebody else"))?;
        let directory = request.directory.as_deref();
        let (changes, streams) = (&request.changes, (&request.streams, files));
        let (passed, signals) = (request.passed.clone(), block_signals()?);
        let (entry, record) = (&draft.entry, &draft.record);
        let plan = plan(run_dir, entry, record, changes, streams, directory, passed, own_session, signals)?;
        run_dir.names().add(Shelf::Live, &draft.record)?;
        Ok((name_lock, life, plan))
    })();
    match prepared {
        Err(e) => {
            draft.undo();
            Err(e)
        }
        Ok((name_lock, life, plan)) => {
            let Draft { run_dir, entry, record, number, creator } = draft;
            let was_recorded = false;
            Ok(Box::new(Job { run_dir, entry, record, was_recorded, plan, life, number, name_lock, creator }))
        }
    }
}

/// A process in state `initial`, ready to be spawned.
#[inline(never)]
pub(super) fn recorded(run_dir: &RunDir, entry: Entry) -> Result<Box<Job<'_>>> {
    let (streams, files, life) = loop {
        let before = not_started(&entry)?;
        let streams = Streams {
            input: Stream::from_record(&before.stdin),
            output: Stream::from_record(&before.stdout),
            error: Stream::from_record(&before.stderr),
        };
        let files = streams.open_files()?;
        let Some(life) = entry.begin_start()? else {
            // Started by somebody else; or `set` is at work, or a start that will fail: those are waited for.
            entry.wait_for_start()?;
            continue;
        };
        // The life lock is ours: a start before this one is over. If it was cut off, its outcome is settled first.
        if !entry.dir.has(STARTING)? {
            break (streams, files, life);
        }
        drop(life);
        recover::settle(run_dir, &entry)?;
    };
    let mut record = not_started(&entry)?;
    let creator = parent_of_recorded(run_dir, &record)?;
    if let Some(creator) = &creator {
        creator.check_may_have_children()?;
    }
    run_dir.host.name().clone_into(&mut record.host);
    run_dir.host.boot_id()?.clone_into(&mut record.boot_id);
    record.pid_namespace = Some(run_dir.host.pid_namespace()?);
    let changes = Changes::load(&entry)?;
    let name_lock = claim_name(run_dir, &record)?;
    let directory = PathBuf::from(record.cwd.as_os_str());
    let (streams, signals) = ((&streams, files), block_signals()?);
    let plan =
        plan(run_dir, &entry, &record, &changes, streams, Some(&directory), Vec::new(), true, signals)?;
    run_dir.names().add(Shelf::Live, &record)?;
    let (was_recorded, number) = (true, None);
    Ok(Box::new(Job { run_dir, entry, record, was_recorded, plan, life, number, name_lock, creator }))
}

/// The record of a process that can still be started.
fn not_started(entry: &Entry) -> Result<Record> {
    let why = match entry.load()? {
        Some(record) if record.state == State::Initial => return Ok(record),
        Some(_) => "a process can be started only once",
        None => "it was closed",
    };
    Err(Error::refused(format!("cannot start {}: {why}", entry.id)))
}

/// The creator of a recorded process, if it lives. A daemonic process cannot be started without one.
fn parent_of_recorded(run_dir: &RunDir, record: &Record) -> Result<Option<Creator>> {
    let here = record.boot_id == run_dir.host.boot_id()?
        && record.pid_namespace == Some(run_dir.host.pid_namespace()?);
    let parent = record.parent.as_ref().filter(|_| here);
    let pidfd = match parent {
        Some(parent) => {
            parent.process.open().map_err(|e| Error::system("cannot look at the parent process", e))?
        }
        None => None,
    };
    let alive = pidfd.filter(|pidfd| {
        let stage = pidfd::stage(std::os::fd::AsFd::as_fd(pidfd));
        stage.is_ok_and(|stage| stage == Stage::Alive)
    });
    match (parent, alive) {
        (Some(parent), Some(pidfd)) => {
            let managed = match &parent.id {
                Some(id) => observe::by_id(run_dir, id)?.map(|seen| Box::new(seen.record)),
                None => None,
            };
            Ok(Some(Creator { process: parent.process, pidfd, managed, key: parent.key.clone() }))
        }
        _ if record.daemon => Err(Error::hinted(
            format!("cannot start {}: it is daemonic and its parent has ended", record.id),
            format!("procctl set {} daemon=false", record.id),
        )),
        _ => Ok(None),
    }
}

/// For a unique process: takes the lock on its name, and refuses if a live process bears it.
fn claim_name(run_dir: &RunDir, record: &Record) -> Result<Option<OwnedFd>> {
    if !record.unique {
        return Ok(None);
    }
    let lock = run_dir.names().lock_name(&record.name)?;
    for tag in run_dir.names().find(Shelf::Live, &record.name)? {
        let seen = observe::by_id(run_dir, &tag.id);
        if seen.is_err()
            && let Some(entry) = run_dir.entry(&tag.id)?
            && entry.watch().is_ok_and(|watch| watch.is_monitored().unwrap_or(true))
        {
            let what = format!("a live process that may be named '{}' has a broken record", record.name);
            return Err(Error::hinted(what, format!("look at {}", entry.dir.path().display())));
        }
        // A record that cannot be read bears no name.
        let Some(seen) = observe::if_usable(seen)? else {
            run_dir.drop_if_nowhere(Shelf::Live, &tag)?;
            continue;
        };
        if seen.record.name == record.name && seen.is_alive() {
            return Err(Error::hinted(
                format!("a live process named '{}' exists: {}", record.name, seen.record.id),
                format!("procctl terminate --wait {}", seen.record.id),
            ));
        }
    }
    Ok(Some(lock))
}
