//! `procctl join`: wait for processes to end.

use super::{Outcome, Session, answer, exit, report};
use crate::cli::Join;
use crate::process::error::{Error, Result, status};
use crate::process::family;
use crate::process::names::Shelf;
use crate::process::observe::{self, Life, Observed, Pin, Unrecorded};
use crate::process::reference::{Purpose, Resolver};
use crate::process::rundir::RunDir;
use crate::process::time::Deadline;
use crate::process::wait::{self, Waiting};

pub(super) fn run(session: &Session, args: &Join) -> Outcome {
    let deadline = Deadline::after_some(args.timeout);
    let Some(run_dir) = session.run_dir()? else {
        return match args.references.first() {
            _ if args.all => Ok(0),
            None => Err(no_children(0).into()),
            Some(_) => session.existing_run_dir().map(|_| status::FAILED).map_err(Into::into),
        };
    };
    let resolver = Resolver::new(&run_dir);
    let found = whom(&run_dir, &resolver, args)?;
    let broken = report::errors(resolver.take_broken());
    refuse_deadlock(&run_dir, &found)?;
    for seen in found.iter().filter(|seen| matches!(seen.life, Life::Ending(Unrecorded::NotWritten))) {
        report::unrecorded(seen);
    }
    // Asked before the wait: whose child it is does not change, and what is known at its end need not be found out then.
    let own: Vec<_> = found
        .iter()
        .map(|seen| if seen.is_alive() { resolver.is_own(&seen.record).ok() } else { None })
        .collect();
    let wait = if args.any { wait::for_any } else { wait::for_all };
    let (all, in_time) = wait(&run_dir, found, deadline, &report::late)?;
    let closed = all
        .iter()
        .filter(|one| one.was_closed())
        .map(|one| Error::refused(format!("{} was closed while it was waited for", one.record.id)));
    let broken = broken.max(report::errors(closed.collect()));
    let over: Vec<&Waiting> = all.iter().filter(|one| one.is_over()).collect();
    // One that ran out of time has not told how those ended that did.
    if in_time {
        for (one, own) in all.iter().zip(own).filter(|(one, _)| one.is_over()) {
            note_joined(&run_dir, &resolver, one, own);
        }
    }
    if args.json {
        let records: Vec<_> = over.iter().map(|one| &one.record).collect();
        answer::json(&records)?;
    } else if args.any {
        let ids: Vec<&str> = over.iter().map(|one| one.record.id.as_str()).collect();
        if !ids.is_empty() {
            answer::line(&ids.join("\n"))?;
        }
    }
    if !in_time {
        report::still_unrecorded(&run_dir, &all)?;
        return Ok(status::TIMEOUT);
    }
    Ok(exit::first_failure(over.iter().map(|one| &one.record)).unwrap_or(broken))
}

fn whom(run_dir: &RunDir, resolver: &Resolver<'_>, args: &Join) -> Result<Vec<Observed>> {
    if args.all {
        let mut found = Vec::new();
        observe::all(run_dir, |_, seen, _| {
            match seen {
                // What cannot be waited for is no reason not to wait for the others.
                Ok(Some(seen)) if !matches!(seen.life, Life::Initial | Life::Elsewhere) => {
                    found.push(seen.released());
                }
                Ok(_) => {}
                Err(e) => resolver.note_broken(e),
            }
            Ok(())
        })?;
        found.sort_by_key(|seen| seen.record.started_at);
        return Ok(found);
    }
    if !args.references.is_empty() {
        return resolver.all(&args.references, Purpose::Join);
    }
    let Some(children) = resolver.children()? else { return Err(no_children(0)) };
    if children.is_empty() {
        return Err(no_children(1));
    }
    let mut started: Vec<_> =
        children.into_iter().filter(|seen| !matches!(seen.life, Life::Initial)).collect();
    if started.is_empty() {
        return Err(Error::hinted("none of your processes has been started", "procctl start REF"));
    }
    started.sort_by_key(|seen| seen.record.started_at);
    Ok(started)
}

fn no_children(ever: u64) -> Error {
    if ever == 0 {
        Error::hinted(
            "you have started no processes here",
            "name some, or wait for everybody's with procctl join --all",
        )
    } else {
        Error::hinted("all your processes were closed", "procctl join --all waits for everybody's")
    }
}

/// Waiting for oneself, or for somebody who may be waiting for us, never ends.
fn refuse_deadlock(run_dir: &RunDir, found: &[Observed]) -> Result<()> {
    let mut alive = found.iter().filter(|seen| seen.is_alive()).peekable();
    if alive.peek().is_none() {
        return Ok(());
    }
    let line = match family::surrounding(run_dir)? {
        Some((own, _)) => family::line_of(run_dir, &own)?,
        None => Vec::new(),
    };
    let above = family::os_ancestors();
    for seen in alive {
        let record = &seen.record;
        let is_above = record.pid.is_some_and(|pid| above.contains(&pid))
            && !matches!(seen.life, Life::Alive { pin: Pin::OutOfReach, .. });
        if line.contains(&record.id) || is_above {
            return Err(Error::refused(format!(
                "cannot join {} ({}): procctl runs inside of it, and it would wait for ever",
                record.id, record.name
            )));
        }
    }
    Ok(())
}

/// Remembers of a child of the caller that it has joined it. Where that cannot be written, joining works all the same. `own`: whether
/// it is one, if it was alive when that was asked.
fn note_joined(run_dir: &RunDir, resolver: &Resolver<'_>, one: &Waiting, own: Option<bool>) {
    let names = run_dir.names();
    match own {
        Some(false) => return,
        // Its monitor has moved it there a moment ago, and nothing else is left to be done.
        Some(true) if names.move_ended_to_joined(&one.record).unwrap_or(false) => return,
        _ => {}
    }
    if names.shelf_of(&one.record).is_ok_and(|shelf| shelf != Shelf::Joined)
        && own.map_or_else(|| resolver.is_own(&one.record), Ok).unwrap_or(false)
    {
        // Its monitor may be about to move it to another shelf, and it can have another name by now.
        let _ = one.entry.lock_for_writing().and_then(|_lock| match one.entry.load()? {
            Some(now) => names.move_to_joined(&now),
            None => Ok(()),
        });
    }
}
