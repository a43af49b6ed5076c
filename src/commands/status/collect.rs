//! What there is to show: which processes, in which order, with what /proc says of them.

use std::cmp::Ordering;
use std::collections::BTreeSet;

use crate::cli::Status;
use crate::output::table::sort::{self, Key, Value};
use crate::output::table::{Column, Row, Subject};
use crate::process::error::{self, Error, Result};
use crate::process::id::Id;
use crate::process::live::{self, Detail, Live};
use crate::process::observe::{self, Life, Observed};
use crate::process::reference::{Purpose, Resolver};
use crate::process::rundir::RunDir;
use crate::process::share::Shares;
use crate::process::time::Moment;

/// A process, and what /proc says of it where that is wanted.
#[derive(Debug)]
pub(super) struct Process {
    pub(super) seen: Observed,
    pub(super) live: Option<Live>,
}

/// Ids of records that cannot be used, and why.
type Broken = Vec<(String, String)>;

/// What there is to show, and of each process what was made of it.
#[derive(Debug)]
pub(super) struct Found<T = Process> {
    pub(super) processes: Vec<T>,
    pub(super) broken: Broken,
    /// In a tree: those that were asked for. The others are there for their place in it.
    pub(super) wanted: BTreeSet<Id>,
    /// What could not be looked at. The rest is shown all the same.
    pub(super) complaints: Vec<Error>,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Self { processes: Vec::new(), broken: Vec::new(), wanted: BTreeSet::new(), complaints: Vec::new() }
    }
}

impl<T> Found<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.processes.is_empty() && self.broken.is_empty()
    }

    /// Rows that say why records cannot be used.
    pub(super) fn broken_rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.broken.iter().map(|(id, why)| Row::of(Subject::Broken(id, why)))
    }
}

impl Process {
    pub(super) fn row(&self) -> Row<'_> {
        Row::of(Subject::Process(&self.seen, self.live.as_ref()))
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

/// Collects it. Of each process only what `make` makes of it is kept, for there can be many: of it, and of what the file of its
/// record says, as far as that is known to be the same.
pub(super) fn collect<T>(
    run_dir: &RunDir,
    args: &Status,
    shares: &Shares,
    make: impl FnMut(Process, &[u8]) -> Result<T>,
) -> Result<Found<T>> {
    let resolver = Resolver::new(run_dir);
    let mut taken = Taken { args, shares, detail: detail(args), make, made: Vec::new() };
    let mut found = Found::default();
    if args.tree {
        (found.wanted, found.broken) = all_for_a_tree(run_dir, &resolver, args, &mut taken)?;
    } else {
        found.broken = each_named(run_dir, &resolver, args, |seen, file| {
            if passes(&seen, args) { taken.take(seen, file) } else { Ok(()) }
        })?;
    }
    found.complaints = resolver.take_broken();
    if is_filtered(args) {
        found.broken.clear();
    }
    let mut made = taken.made;
    // Those that are named stay in the order in which they were.
    if args.tree || args.references.is_empty() || !args.sort.is_empty() {
        made.sort_unstable_by(|(a, _), (b, _)| a.compare(b, &args.sort));
    }
    found.processes = made.into_iter().map(|(_, made)| made).collect();
    Ok(found)
}

/// What was made of those that were taken.
struct Taken<'a, T, M> {
    args: &'a Status,
    shares: &'a Shares,
    detail: Option<Detail>,
    make: M,
    made: Vec<(Position, T)>,
}

impl<T, M: FnMut(Process, &[u8]) -> Result<T>> Taken<'_, T, M> {
    fn take(&mut self, seen: Observed, file: &[u8]) -> Result<()> {
        let live = self.detail.and_then(|detail| live::of(&seen, detail, self.shares));
        let one = Process { seen, live };
        let position = Position::of(&one, &self.args.sort);
        self.made.push((position, (self.make)(one, file)?));
        Ok(())
    }
}

/// What tells the place of a process among others.
struct Position {
    /// What is asked for first. Taken once: while it is sorted nothing may change.
    values: Vec<Option<Value>>,
    created_at: Moment,
    id: Id,
}

impl Position {
    fn of(one: &Process, keys: &[Key]) -> Self {
        let values = keys.iter().map(|key| sort::value(key.column, &one.seen, one.live.as_ref()));
        let record = &one.seen.record;
        Self { values: values.collect(), created_at: record.created_at, id: record.id.clone() }
    }

    /// In the order in which they were created, or as asked.
    fn compare(&self, other: &Self, keys: &[Key]) -> Ordering {
        sort::compare(keys, &self.values, &other.values)
            .then_with(|| (self.created_at, &self.id).cmp(&(other.created_at, &other.id)))
    }
}

/// Each of those that are asked for by name or otherwise; what is returned are the ids of records that cannot be used.
fn each_named(
    run_dir: &RunDir,
    resolver: &Resolver<'_>,
    args: &Status,
    mut take: impl FnMut(Observed, &[u8]) -> Result<()>,
) -> Result<Broken> {
    let named = if args.children {
        let mut children = resolver.children()?.unwrap_or_default();
        if !args.references.is_empty() {
            let named = resolver.all(&args.references, Purpose::Status)?;
            children.retain(|child| named.iter().any(|seen| seen.record.id == child.record.id));
        }
        children
    } else if !args.references.is_empty() {
        resolver.all(&args.references, Purpose::Status)?
    } else if args.alive && !args.ended && !args.failed {
        resolver.all_live()?
    } else {
        return each(run_dir, take);
    };
    named.into_iter().try_for_each(|seen| take(seen, &[]))?;
    Ok(Vec::new())
}

/// Each that there is.
fn each(run_dir: &RunDir, mut take: impl FnMut(Observed, &[u8]) -> Result<()>) -> Result<Broken> {
    let mut broken = Vec::new();
    observe::all(run_dir, |id, seen, file| {
        match seen {
            Ok(Some(seen)) => take(seen.released(), file)?,
            Ok(None) => {}
            Err(e) => broken.push((id.to_string(), error::message(&e))),
        }
        Ok(())
    })?;
    Ok(broken)
}

/// Everything, for the place in a tree is known only then. Those that are named, and the caller's children, are wanted with
/// all below them. Returns who is wanted, and which records cannot be used.
fn all_for_a_tree<T, M: FnMut(Process, &[u8]) -> Result<T>>(
    run_dir: &RunDir,
    resolver: &Resolver<'_>,
    args: &Status,
    taken: &mut Taken<'_, T, M>,
) -> Result<(BTreeSet<Id>, Broken)> {
    let narrowed = args.children || !args.references.is_empty();
    let mut chosen: BTreeSet<Id> = BTreeSet::new();
    if narrowed {
        each_named(run_dir, resolver, args, |seen, _| {
            chosen.insert(seen.record.id);
            Ok(())
        })?;
    }
    let mut all = Vec::new();
    let mut broken = each(run_dir, |seen, _| {
        all.push(seen);
        Ok(())
    })?;
    let family = super::family::Lineage::of(&all);
    let below = family.with_descendants(&chosen);
    let is_wanted = |seen: &&Observed| passes(seen, args) && (!narrowed || below.contains(&seen.record.id));
    let wanted: BTreeSet<Id> = all.iter().filter(is_wanted).map(|seen| seen.record.id.clone()).collect();
    let kept: BTreeSet<Id> = family.with_ancestors(&wanted).into_iter().cloned().collect();
    all.into_iter()
        .filter(|seen| kept.contains(&seen.record.id))
        .try_for_each(|seen| taken.take(seen, &[]))?;
    if narrowed {
        broken.clear();
    }
    Ok((wanted, broken))
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

/// How far /proc must be looked at for what is shown, or sorted by.
fn detail(args: &Status) -> Option<Detail> {
    let mut needed: Vec<Column> = args.sort.iter().map(|key| key.column).collect();
    if !args.json {
        needed.extend(columns(args));
    }
    if is_pages(args) || needed.iter().any(|column| column.is_live_in_detail()) {
        Some(Detail::All)
    } else if needed.iter().any(|column| column.is_live()) {
        Some(Detail::Load)
    } else {
        None
    }
}
