//! What there is to show: which processes, in which order, with what /proc says of them.

use std::collections::BTreeSet;

use crate::cli::Status;
use crate::output::table::sort::{self, Key};
use crate::output::table::{Column, Row, Subject};
use crate::process::error::{self, Error, Result};
use crate::process::id::Id;
use crate::process::live::{self, Detail, Live};
use crate::process::observe::{self, Life, Observed};
use crate::process::reference::{Purpose, Resolver};
use crate::process::rundir::RunDir;
use crate::process::share::Shares;

/// A process, and what /proc says of it where that is wanted.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) seen: Observed,
    pub(super) live: Option<Live>,
}

/// What there is to show.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) processes: Vec<Process>,
    /// Ids of records that cannot be used, and why.
    pub(super) broken: Vec<(String, String)>,
    /// In a tree: those that were asked for. The others are there for their place in it.
    pub(super) wanted: BTreeSet<Id>,
    /// What could not be looked at. The rest is shown all the same.
    pub(super) complaints: Vec<Error>,
}

impl Found {
    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.broken.is_empty()
    }

    /// A row for each.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let processes = self.processes.iter().map(|one| Subject::Process(&one.seen, one.live.as_ref()));
        let broken = self.broken.iter().map(|(id, why)| Subject::Broken(id, why));
        processes.chain(broken).map(Row::of).collect()
    }
}

/// The columns of the table, or of the tree.
pub(super) fn columns(args: &Status) -> &[Column] {
    match (args.tree, args.watch.is_some()) {
        _ if !args.columns.is_empty() => &args.columns,
        (true, false) => &Column::TREE,
        (true, true) => &Column::WATCH_TREE,
        (false, false) => &Column::TABLE,
        (false, true) => &Column::WATCH,
    }
}

/// Whether each process named gets a page.
pub(super) fn is_pages(args: &Status) -> bool {
    !args.references.is_empty() && args.columns.is_empty() && !args.tree
}

/// Collects it.
pub(super) fn collect(run_dir: &RunDir, args: &Status, shares: &Shares) -> Result<Found> {
    let resolver = Resolver::new(run_dir);
    let mut found =
        if args.tree { all_for_a_tree(run_dir, &resolver, args)? } else { named(run_dir, &resolver, args)? };
    found.complaints = resolver.take_broken();
    if !args.tree {
        found.processes.retain(|one| passes(&one.seen, args));
    }
    if is_filtered(args) {
        found.broken.clear();
    }
    read_live(&mut found, args, shares);
    // Those that are named stay in the order in which they were.
    if args.tree || args.references.is_empty() || !args.sort.is_empty() {
        sort(&mut found.processes, &args.sort);
    }
    Ok(found)
}

fn named(run_dir: &RunDir, resolver: &Resolver<'_>, args: &Status) -> Result<Found> {
    if args.children {
        let mut processes = resolver.children()?.unwrap_or_default();
        if !args.references.is_empty() {
            let named = resolver.all(&args.references, Purpose::Status)?;
            processes.retain(|child| named.iter().any(|seen| seen.record.id == child.record.id));
        }
        return Ok(Found::of(processes));
    }
    if !args.references.is_empty() {
        return Ok(Found::of(resolver.all(&args.references, Purpose::Status)?));
    }
    if args.alive && !args.ended && !args.failed {
        return Ok(Found::of(resolver.all_live()?));
    }
    all(run_dir)
}

impl Found {
    fn of(processes: Vec<Observed>) -> Self {
        let processes = processes.into_iter().map(|seen| Process { seen, live: None }).collect();
        Self { processes, ..Self::default() }
    }
}

fn all(run_dir: &RunDir) -> Result<Found> {
    let mut found = Found::default();
    for id in run_dir.all_ids()? {
        match observe::by_id(run_dir, &id) {
            Ok(seen) => {
                found.processes.extend(seen.map(|seen| Process { seen: seen.released(), live: None }));
            }
            Err(e) => found.broken.push((id.to_string(), error::message(&e))),
        }
    }
    Ok(found)
}

/// Everything, for the place in a tree is known only then. Those that are named, and the caller's children, are wanted with
/// all below them.
fn all_for_a_tree(run_dir: &RunDir, resolver: &Resolver<'_>, args: &Status) -> Result<Found> {
    let narrowed = args.children || !args.references.is_empty();
    let chosen: BTreeSet<Id> = if narrowed {
        named(run_dir, resolver, args)?.processes.into_iter().map(|one| one.seen.record.id).collect()
    } else {
        BTreeSet::new()
    };
    let mut found = all(run_dir)?;
    let family = super::family::Lineage::of(&found.processes);
    let below = family.with_descendants(&chosen);
    let is_wanted =
        |one: &&Process| passes(&one.seen, args) && (!narrowed || below.contains(&one.seen.record.id));
    let wanted: BTreeSet<Id> =
        found.processes.iter().filter(is_wanted).map(|one| one.seen.record.id.clone()).collect();
    let kept: BTreeSet<Id> = family.with_ancestors(&wanted).into_iter().cloned().collect();
    found.wanted = wanted;
    found.processes.retain(|one| kept.contains(&one.seen.record.id));
    if narrowed {
        found.broken.clear();
    }
    Ok(found)
}

fn is_filtered(args: &Status) -> bool {
    args.alive || args.ended || args.failed || !args.name.is_empty()
}

/// Of the states any that is asked for will do; of the names, too.
fn passes(seen: &Observed, args: &Status) -> bool {
    let any_state = !(args.alive || args.ended || args.failed);
    let ended = matches!(seen.life, Life::Ended | Life::Ending(_));
    let failed = matches!(seen.life, Life::Ended) && seen.record.exitcode != Some(0);
    let state =
        any_state || (args.alive && seen.is_alive()) || (args.ended && ended) || (args.failed && failed);
    state && (args.name.is_empty() || args.name.iter().any(|pattern| pattern.matches(&seen.record.name)))
}

/// Looks at /proc as far as what is shown, or sorted by, needs it.
fn read_live(found: &mut Found, args: &Status, shares: &Shares) {
    let mut needed: Vec<Column> = args.sort.iter().map(|key| key.column).collect();
    if !args.json {
        needed.extend(columns(args));
    }
    let detail = if is_pages(args) || needed.iter().any(|column| column.is_live_in_detail()) {
        Detail::All
    } else if needed.iter().any(|column| column.is_live()) {
        Detail::Load
    } else {
        return;
    };
    for one in &mut found.processes {
        one.live = live::of(&one.seen, detail, shares);
    }
}

/// In the order in which they were created, or as asked.
fn sort(processes: &mut Vec<Process>, keys: &[Key]) {
    processes.sort_by(|a, b| {
        let (a, b) = (&a.seen.record, &b.seen.record);
        (a.created_at, &a.id).cmp(&(b.created_at, &b.id))
    });
    if keys.is_empty() {
        return;
    }
    let values = |one: &Process| -> Vec<_> {
        keys.iter().map(|key| sort::value(key.column, &one.seen, one.live.as_ref())).collect()
    };
    // Taken once: while it is sorted nothing may change.
    let mut valued: Vec<_> = processes.drain(..).map(|one| (values(&one), one)).collect();
    valued.sort_by(|(a, _), (b, _)| sort::compare(keys, a, b));
    processes.extend(valued.into_iter().map(|(_, one)| one));
}
