//! `procctl terminate`, `kill` and `interrupt`: send a signal, and if asked to wait for the end.

use std::time::Duration;

use super::{Outcome, Session, report};
use crate::cli::{Interrupt, Kill, Targets, Terminate};
use crate::process::error::{Error, Result, status};
use crate::process::family;
use crate::process::id::Id;
use crate::process::observe::{self, Observed};
use crate::process::record::Action;
use crate::process::reference::{self, Purpose, Resolver};
use crate::process::rundir::RunDir;
use crate::process::signal::{self, Delivered, Order};
use crate::process::time::Deadline;
use crate::process::tree::Tree;
use crate::process::wait;

/// What to do after the signal.
#[derive(Clone, Copy, Debug)]
struct After {
    wait: bool,
    patience: Option<Duration>,
    tree: bool,
}

pub(super) fn terminate(session: &Session, args: &Terminate) -> Outcome {
    let after =
        After { wait: args.wait || args.kill_after.is_some(), patience: args.kill_after, tree: args.tree };
    run(session, &args.targets, Order::TERMINATE, after)
}

pub(super) fn kill(session: &Session, args: &Kill) -> Outcome {
    let order = Order { action: Action::Kill, signal: args.signal };
    run(session, &args.targets, order, After { wait: args.wait, patience: None, tree: args.tree })
}

pub(super) fn interrupt(session: &Session, args: &Interrupt) -> Outcome {
    run(session, &args.targets, Order::INTERRUPT, After { wait: args.wait, patience: None, tree: false })
}

fn run(session: &Session, targets: &Targets, order: Order, after: After) -> Outcome {
    if targets.all && session.run_dir()?.is_none() {
        return Ok(0);
    }
    let run_dir = session.existing_run_dir()?;
    let mut failures = Failures::default();
    let found = whom(&run_dir, targets, &mut failures)?;
    let mut signalled = Vec::new();
    let mut trees = Vec::new();
    for seen in found {
        match signal_one(&run_dir, &seen, order, after.tree) {
            Ok((Delivered::Sent, tree)) => {
                let refused = tree.as_ref().map(Tree::refused).unwrap_or_default();
                // What was not signalled is not waited for.
                if !seen.record.pid.is_some_and(|pid| refused.contains(&pid)) {
                    signalled.push(seen);
                }
                trees.extend(tree);
            }
            Ok((Delivered::HadEnded, _)) => {}
            Err(e) => failures.add(e),
        }
    }
    let kill_at = after.patience.map(Deadline::after);
    if after.wait || (after.tree && order.ends()) {
        let waited = wait_for_trees(&run_dir, &mut trees, order, kill_at)
            .and_then(|()| wait_for(&run_dir, signalled, kill_at, &mut failures));
        if let Err(e) = waited {
            failures.add(e);
        }
    }
    for pid in trees.iter().flat_map(Tree::refused) {
        failures.add(signal::cannot_signal(&format!("process {pid} of the tree"), &denied()));
    }
    Ok(failures.status())
}

/// All that the REFs mean; each REF that means nothing is reported, and the others are signalled all the same.
fn whom(run_dir: &RunDir, targets: &Targets, failures: &mut Failures) -> Result<Vec<Observed>> {
    let resolver = Resolver::new(run_dir);
    let mut found: Vec<Observed> = Vec::new();
    if targets.all {
        found = resolver.all_live()?;
        resolver.take_broken().into_iter().for_each(|e| failures.add(e));
        // The caller itself, and those it runs inside of, come last: the others would not be signalled any more.
        let above = family::os_ancestors();
        found.sort_by_key(|seen| seen.record.pid.is_some_and(|pid| above.contains(&pid)));
        return Ok(found);
    }
    for word in &targets.references {
        match resolver.find(word, Purpose::Signal) {
            Ok(more) => {
                for seen in more {
                    if !found.iter().any(|known| known.record.id == seen.record.id) {
                        reference::add(&mut found, seen);
                    }
                }
            }
            Err(e) => failures.add(e),
        }
    }
    resolver.take_broken().into_iter().for_each(|e| failures.add(e));
    Ok(found)
}

fn signal_one(
    run_dir: &RunDir,
    seen: &Observed,
    order: Order,
    tree: bool,
) -> Result<(Delivered, Option<Tree>)> {
    let tree = if tree { Tree::of(run_dir, seen)? } else { None };
    match tree {
        None => Ok((signal::send(seen, order)?, None)),
        Some(mut tree) => {
            tree.send(run_dir, order)?;
            Ok((Delivered::Sent, Some(tree)))
        }
    }
}

/// Waits until nothing is left of the trees. With a time, what is left then is killed.
fn wait_for_trees(
    run_dir: &RunDir,
    trees: &mut [Tree],
    order: Order,
    kill_at: Option<Deadline>,
) -> Result<()> {
    let monitors: Vec<i32> = trees.iter().flat_map(Tree::monitors).collect();
    for tree in trees.iter_mut() {
        tree.pass_over(&monitors);
    }
    for tree in trees {
        if !tree.wait(run_dir, order, kill_at.unwrap_or(Deadline::NEVER))? {
            tree.send(run_dir, Order::KILL)?;
            tree.wait(run_dir, Order::KILL, Deadline::NEVER)?;
        }
    }
    Ok(())
}

/// Waits for the ends. With a time, those that have not ended by then are killed.
fn wait_for(
    run_dir: &RunDir,
    signalled: Vec<Observed>,
    kill_at: Option<Deadline>,
    failures: &mut Failures,
) -> Result<()> {
    let deadline = kill_at.unwrap_or(Deadline::NEVER);
    let (all, in_time) = wait::for_all(run_dir, signalled, deadline, &report::late)?;
    if in_time {
        return Ok(());
    }
    let mut killed = Vec::new();
    for one in all.iter().filter(|one| !one.is_over()) {
        match kill_one(run_dir, &one.record.id) {
            Ok(seen) => killed.extend(seen),
            // It may be another user's by now. The others are killed all the same.
            Err(e) => failures.add(e),
        }
    }
    wait::for_all(run_dir, killed, Deadline::NEVER, &report::late)?;
    Ok(())
}

fn denied() -> std::io::Error {
    std::io::Error::from_raw_os_error(nix::libc::EPERM)
}

/// `None` if it was closed.
fn kill_one(run_dir: &RunDir, id: &Id) -> Result<Option<Observed>> {
    let seen = observe::by_id(run_dir, id)?;
    if let Some(seen) = &seen {
        signal::send(seen, Order::KILL)?;
    }
    Ok(seen.map(Observed::released))
}

/// The failures of a command that does all it can.
#[derive(Debug, Default)]
struct Failures {
    some: bool,
}

impl Failures {
    fn add(&mut self, error: Error) {
        self.some = true;
        report::error(&error.into());
    }

    fn status(&self) -> u8 {
        if self.some { status::FAILED } else { 0 }
    }
}
