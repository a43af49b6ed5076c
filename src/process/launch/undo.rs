//! Undoing the starts of some of several processes, when another one could not be started.

use crate::os::fs::optional;
use crate::os::pidfd;

use crate::process::entry::Entry;
use crate::process::error::{Error, Result};
use crate::process::ledger::Ledger;
use crate::process::observe::{self, Life, Observed, Pin};
use crate::process::record::State;
use crate::process::remove;
use crate::process::rundir::RunDir;
use crate::process::signal::{self, Delivered, Order};
use crate::process::time::Deadline;
use crate::process::tree::Tree;

/// How many are looked at together. Each look at a tree reads the records of all that live.
const AT_ONCE: usize = 64;

/// Ends those that run, with all that descends from them, and forgets them; their numbers are free again. The lock of the ledger is
/// held, and no start of these is under way. What could not be done.
pub(super) fn undo(run_dir: &RunDir, ledger: &Ledger, mut numbers: Vec<u64>) -> Vec<Error> {
    let mut failures = Vec::new();
    // Killed half-way, it leaves those that come next after the last that is used up: whoever settles leftovers finds them all.
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    for some in numbers.chunks(AT_ONCE) {
        let mut there = Vec::with_capacity(some.len());
        for &number in some {
            match ledger.entry(run_dir, number) {
                Ok(Some(entry)) => there.push((number, entry)),
                // It was not made, or has undone itself.
                Ok(None) => failures.extend(ledger.take_back(number).err()),
                Err(e) => failures.push(e),
            }
        }
        // Those that cannot be killed so are killed one by one below, without their descendants.
        let _ = kill_trees(run_dir, there.iter().map(|(_, entry)| entry));
        for (number, entry) in there {
            let forgotten = end(run_dir, &entry).and_then(|()| ledger.take_back(number));
            failures.extend(forgotten.err());
        }
    }
    failures
}

fn kill_trees<'a>(run_dir: &RunDir, entries: impl Iterator<Item = &'a Entry>) -> Result<()> {
    let mut trees: Vec<Tree> = Vec::new();
    for entry in entries {
        if entry.load()?.is_none_or(|record| record.state != State::Started) {
            continue;
        }
        let Some(seen) = observe::by_id(run_dir, &entry.id)?.map(Observed::released) else { continue };
        if let Some(tree) = Tree::of(run_dir, &seen)? {
            // One that cannot be a part of another one is a tree of its own.
            let alone = match trees.first_mut() {
                Some(first) => first.merge(tree),
                None => Some(tree),
            };
            trees.extend(alone);
        }
    }
    for tree in &mut trees {
        tree.send(run_dir, Order::KILL)?;
        tree.wait(run_dir, Order::KILL, Deadline::NEVER)?;
    }
    Ok(())
}

/// Ends one and forgets it.
fn end(run_dir: &RunDir, entry: &Entry) -> Result<()> {
    let Some(seen) = observe::by_id(run_dir, &entry.id)? else {
        return run_dir.remove_entry(&entry.id);
    };
    if signal::send(&seen, Order::KILL)? == Delivered::Sent
        && let Life::Alive { pin: Pin::Held(pidfd), .. } = &seen.life
    {
        pidfd::wait(pidfd).map_err(|e| Error::system("cannot wait for a process", e))?;
    }
    // Its monitor may be on its last steps. One that cannot take them, for the disk is full, finds the directory gone, and
    // leaves. Not the write lock: who has that to close a process waits for the ledger's.
    let watch = match entry.watch() {
        Err(Error::File(e)) => optional(Err(e))?,
        other => Some(other?),
    };
    if let Some(watch) = watch
        && watch.is_monitored()?
    {
        watch.wait(run_dir.patience()).map_err(|e| Error::system("cannot wait for a monitor", e))?;
    }
    // Keeps one out that tries again meanwhile.
    let lock = entry.try_lock_for_writing();
    // As it is now: its entry in the index goes by its end.
    let record = entry.load()?.unwrap_or(seen.record);
    remove::forget_one_of_several(run_dir, entry, &record)?;
    drop(lock);
    Ok(())
}
