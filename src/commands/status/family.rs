//! `status --tree`: parents and their children, by creation; and what descends from those that live.

use std::collections::{BTreeMap, BTreeSet};

use super::collect::{Found, Process};
use crate::output::table::{Row, Subject};
use crate::output::tree;
use crate::process::id::Id;
use crate::process::live::{self, Descendant, Fate, Managed};
use crate::process::observe::Observed;
use crate::process::record::Parent;
use crate::process::rundir::RunDir;
use crate::process::share::Shares;

/// Who created whom.
pub(super) struct Lineage<'a> {
    parents: BTreeMap<&'a Id, Option<&'a Id>>,
}

impl<'a> Lineage<'a> {
    pub(super) fn of(processes: &'a [Observed]) -> Self {
        let known: BTreeSet<&Id> = processes.iter().map(|seen| &seen.record.id).collect();
        let parents = processes.iter().map(|seen| {
            let parent = seen.record.parent.as_ref().and_then(|parent| parent.id.as_ref());
            (&seen.record.id, parent.filter(|id| known.contains(id)))
        });
        Self { parents: parents.collect() }
    }

    /// These and all above them. Records that were forged can go round in a circle: each once.
    pub(super) fn with_ancestors<'b>(&'b self, ids: impl IntoIterator<Item = &'b Id>) -> BTreeSet<&'b Id> {
        let mut found = BTreeSet::new();
        for id in ids {
            let mut next = Some(id);
            // What is above one that was found has been found as well.
            while let Some(id) = next.filter(|id| found.insert(*id)) {
                next = self.parents.get(id).copied().flatten();
            }
        }
        found
    }

    /// These and all below them.
    pub(super) fn with_descendants<'b>(&'b self, ids: impl IntoIterator<Item = &'b Id>) -> BTreeSet<&'b Id> {
        let mut children: BTreeMap<&Id, Vec<&Id>> = BTreeMap::new();
        for (&id, parent) in &self.parents {
            if let Some(parent) = parent {
                children.entry(parent).or_default().push(id);
            }
        }
        let mut found = BTreeSet::new();
        let mut pending: Vec<&Id> = ids.into_iter().collect();
        while let Some(id) = pending.pop() {
            if found.insert(id) {
                pending.extend(children.get(id).into_iter().flatten());
            }
        }
        found
    }
}

/// One item of the tree, in the order in which it is drawn.
pub(super) enum Item<'a> {
    /// A process, which may be there only for those below it.
    Process(&'a Process),
    /// A parent without a record, and what has become of it.
    Outside(&'a Parent, Fate),
    /// Something that procctl did not start.
    Descendant(Descendant),
}

/// The tree: what is in it, and how deep.
pub(super) struct Family<'a> {
    items: Vec<(usize, Item<'a>)>,
    found: &'a Found,
}

impl<'a> Family<'a> {
    /// Without a run directory nothing is looked up in /proc.
    pub(super) fn of(run_dir: Option<(&RunDir, &Shares)>, found: &'a Found) -> Self {
        let mut planter = Planter {
            run_dir,
            found,
            items: Vec::new(),
            planted: BTreeSet::new(),
            children: BTreeMap::new(),
        };
        planter.plant();
        Self { items: planter.items, found }
    }

    /// Those that were asked for, parents before their children.
    pub(super) fn wanted(&self) -> impl Iterator<Item = &'a Observed> {
        self.items.iter().filter_map(|(_, item)| match item {
            Item::Process(one) if self.found.wanted.contains(&one.seen.record.id) => Some(&one.seen),
            _ => None,
        })
    }

    /// A row for each item, and for each broken record.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        let depths: Vec<usize> = self.items.iter().map(|(depth, _)| *depth).collect();
        let items = self.items.iter().zip(tree::stems(&depths)).map(|((_, item), stem)| {
            let (subject, faded) = match item {
                Item::Process(one) => (
                    Subject::Process(&one.seen, one.live.as_ref()),
                    !self.found.wanted.contains(&one.seen.record.id),
                ),
                Item::Outside(parent, fate) => (Subject::Outside(parent, fate), true),
                Item::Descendant(descendant) => (Subject::Descendant(descendant), false),
            };
            Row { subject, stem, faded }
        });
        items.chain(self.found.broken_rows()).collect()
    }
}

struct Planter<'a, 'b> {
    run_dir: Option<(&'b RunDir, &'b Shares)>,
    found: &'a Found,
    items: Vec<(usize, Item<'a>)>,
    planted: BTreeSet<&'a Id>,
    children: BTreeMap<&'a Id, Vec<&'a Process>>,
}

impl<'a> Planter<'a, '_> {
    fn plant(&mut self) {
        let found = self.found;
        let known: BTreeSet<&Id> = found.processes.iter().map(|one| &one.seen.record.id).collect();
        // Those of one parent together, in the order in which parents are first met.
        let mut roots: Vec<(&str, Vec<&'a Process>)> = Vec::new();
        let mut places: BTreeMap<&str, usize> = BTreeMap::new();
        for one in &found.processes {
            let record = &one.seen.record;
            let parent = record.parent.as_ref().and_then(|parent| parent.id.as_ref());
            if let Some(parent) = parent.filter(|id| known.contains(id)) {
                self.children.entry(parent).or_default().push(one);
            } else {
                let place = *places.entry(record.parent_key()).or_insert_with(|| {
                    roots.push((record.parent_key(), Vec::new()));
                    roots.len() - 1
                });
                roots[place].1.push(one);
            }
        }
        for (_, children) in roots {
            let first = &children[0].seen.record;
            let depth = match &first.parent {
                Some(parent) => {
                    let fate = |(run_dir, _)| live::fate_of_parent(run_dir, first);
                    self.items.push((0, Item::Outside(parent, self.run_dir.map_or(Fate::Unknown, fate))));
                    1
                }
                None => 0,
            };
            self.plant_all(children, depth);
        }
        // Records that were forged can be each other's parents.
        for one in &found.processes {
            self.plant_all(vec![one], 0);
        }
    }

    fn plant_all(&mut self, mut roots: Vec<&'a Process>, depth: usize) {
        roots.reverse();
        let mut next: Vec<(usize, &Process)> = roots.into_iter().map(|one| (depth, one)).collect();
        while let Some((depth, one)) = next.pop() {
            let id = &one.seen.record.id;
            if !self.planted.insert(id) {
                continue;
            }
            self.items.push((depth, Item::Process(one)));
            if let Some((run_dir, shares)) = self.run_dir
                && self.found.wanted.contains(id)
            {
                let below = live::descendants(run_dir, &one.seen, Managed::LeftOut, shares);
                self.items
                    .extend(below.into_iter().map(|one| (depth + 1 + one.depth, Item::Descendant(one))));
            }
            let children = self.children.remove(id).unwrap_or_default();
            next.extend(children.into_iter().rev().map(|child| (depth + 1, child)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a walk to the end for each of them this would take hours.
    #[test]
    fn a_long_line_of_ancestors() {
        const LENGTH: usize = 50_000;
        let ids: Vec<Id> = (0..LENGTH).map(|_| Id::random().expect("chance")).collect();
        let parents = ids.iter().zip([None].into_iter().chain(ids.iter().map(Some))).collect();
        let line = Lineage { parents };
        let known = line.parents.len();
        assert_eq!(line.with_ancestors(&ids).len(), known);
        assert_eq!(line.with_descendants(&ids).len(), known);
        assert_eq!(line.with_ancestors([&ids[2]]), BTreeSet::from([&ids[0], &ids[1], &ids[2]]));
        assert_eq!(line.with_descendants([&ids[LENGTH - 2]]).len(), 2);
    }

    #[test]
    fn a_circle_of_ancestors() {
        let ids: Vec<Id> = (0..3).map(|_| Id::random().expect("chance")).collect();
        let parents = (0..3).map(|at| (&ids[at], Some(&ids[(at + 1) % 3]))).collect();
        let circle = Lineage { parents };
        assert_eq!(circle.with_ancestors([&ids[0]]), ids.iter().collect());
        assert_eq!(circle.with_descendants([&ids[0]]), ids.iter().collect());
    }
}
