//! How a command names processes: an id, a unique prefix of one, a name, a pid, `@self`, `@parent`.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeSet;

use super::error::{self, Error, Result};
use super::family::{self, Creator};
use super::id::{self, Id};
use super::ledger::Ledger;
use super::names::{self, Shelf, Tag};
use super::observe::{self, Life, Observed};
use super::record::Record;
use super::rundir::RunDir;

/// What a name means, when several bear it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Every record of that name.
    Status,
    /// The caller's own live children; else all live ones.
    Signal,
    /// The caller's own that are alive or were not joined; else all live ones; else the one that ended last.
    Join,
    /// As for `Join`, and it must be one.
    One,
    /// Those in state `initial`.
    Start,
    /// Every one.
    Close,
}

/// Finds processes in one run directory for one caller.
#[derive(Debug)]
pub struct Resolver<'a> {
    run_dir: &'a RunDir,
    caller: OnceCell<Option<Creator>>,
    /// Records that could not be used and were passed over.
    broken: RefCell<Vec<Error>>,
}

impl<'a> Resolver<'a> {
    /// For this caller.
    pub fn new(run_dir: &'a RunDir) -> Self {
        Self { run_dir, caller: OnceCell::new(), broken: RefCell::default() }
    }

    /// The errors of records that were passed over: one that is broken stops nobody from working on the others.
    pub fn take_broken(&self) -> Vec<Error> {
        self.broken.take()
    }

    /// Notes a record that was passed over.
    pub fn note_broken(&self, error: Error) {
        let mut broken = self.broken.borrow_mut();
        // A name is looked for in several places.
        if broken.iter().all(|known| error::message(known) != error::message(&error)) {
            broken.push(error);
        }
    }

    /// The process with that id. One whose record is broken is noted and passed over.
    fn usable(&self, id: &Id) -> Option<Observed> {
        observe::by_id(self.run_dir, id).unwrap_or_else(|e| {
            self.note_broken(e);
            None
        })
    }

    /// The process of an entry of the index, if there is one.
    fn usable_tag(&self, shelf: Shelf, tag: &Tag) -> Result<Option<Observed>> {
        let seen = self.usable(&tag.id);
        if seen.is_none() {
            self.run_dir.drop_if_nowhere(shelf, tag)?;
        }
        Ok(seen)
    }

    /// Who the caller is, found out when it is first asked.
    pub fn caller(&self) -> Result<Option<&Creator>> {
        if self.caller.get().is_none() {
            let found = family::creator(self.run_dir, None)?;
            return Ok(self.caller.get_or_init(|| found).as_ref());
        }
        Ok(self.caller.get().and_then(Option::as_ref))
    }

    /// The key of the caller's ledger.
    pub fn caller_key(&self) -> Result<&str> {
        Ok(self.caller()?.map_or(super::record::NO_PARENT, |caller| &caller.key))
    }

    /// The processes that these REFs mean, in their order, each once.
    pub fn all(&self, references: &[String], purpose: Purpose) -> Result<Vec<Observed>> {
        let mut known = BTreeSet::new();
        let mut found = Vec::new();
        for reference in references {
            for seen in self.find(reference, purpose)? {
                add(&mut found, seen);
            }
        }
        found.retain(|seen: &Observed| known.insert(seen.record.id.clone()));
        Ok(found)
    }

    /// The one process that a REF means.
    pub fn one(&self, reference: &str) -> Result<Observed> {
        let mut found = self.find(reference, Purpose::One)?;
        match found.len() {
            1 => Ok(found.remove(0)),
            _ => Err(ambiguous(reference, "several processes have that name", &ids(&found))),
        }
    }

    /// The processes that a REF means; at least one, but for names with `Purpose::Signal` whose bearers all have ended.
    pub fn find(&self, reference: &str, purpose: Purpose) -> Result<Vec<Observed>> {
        if let Some(word) = reference.strip_prefix('@') {
            return self.relative(word).map(|seen| vec![seen]);
        }
        if let Some(id) = Id::parse(reference)
            && let Some(seen) = observe::by_id(self.run_dir, &id)?
        {
            return Ok(vec![seen]);
        }
        if let Some(found) = self.by_name(reference, purpose)? {
            return Ok(found);
        }
        if reference.len() >= id::SHORTEST_PREFIX && id::could_begin_one(reference) {
            let mut found = Vec::new();
            for id in self.run_dir.ids_beginning(reference)? {
                found.extend(observe::by_id(self.run_dir, &id)?);
            }
            match found.len() {
                0 => {}
                1 => return Ok(found),
                _ => return Err(ambiguous(reference, "several ids begin like that", &ids(&found))),
            }
        }
        if let Some(pid) =
            reference.parse::<i32>().ok().filter(|_| reference.bytes().all(|b| b.is_ascii_digit()))
        {
            return match observe::live_with_pid(self.run_dir, pid)? {
                Some(seen) => Ok(vec![seen]),
                None => Err(unknown(&format!("no live process with pid {pid} was started by procctl"))),
            };
        }
        // The only bearer of the name may be one whose record is broken.
        if let Some(broken) = self.broken.borrow_mut().pop() {
            return Err(broken);
        }
        Err(unknown(&format!("no process '{}'", reference.escape_debug())))
    }

    fn relative(&self, word: &str) -> Result<Observed> {
        if !matches!(word, "self" | "parent") {
            let what = format!("no process '@{}'", word.escape_debug());
            return Err(Error::hinted(what, "@self and @parent are all there are"));
        }
        let (own, _) = family::surrounding(self.run_dir)?.ok_or_else(|| {
            Error::refused(format!(
                "@{} means nothing here: procctl does not run inside a managed process",
                word.escape_debug()
            ))
        })?;
        if word == "self" {
            return self.by_known_id(&own.id);
        }
        let parent = own.parent.as_ref().and_then(|parent| parent.id.clone());
        let parent = parent.ok_or_else(|| {
            Error::hinted(
                format!("the parent of {} is no managed process", own.id),
                "procctl get @parent pid",
            )
        })?;
        self.by_known_id(&parent)
    }

    fn by_known_id(&self, id: &Id) -> Result<Observed> {
        observe::by_id(self.run_dir, id)?.ok_or_else(|| unknown(&format!("no process {id}: it was closed")))
    }

    /// `None` if nobody has that name.
    fn by_name(&self, name: &str, purpose: Purpose) -> Result<Option<Vec<Observed>>> {
        let bearers = Bearers { resolver: self, name };
        let found = match purpose {
            Purpose::Status | Purpose::Close => bearers.on(&Shelf::ALL, |_| true, |_| true)?,
            Purpose::Start => {
                bearers.on(&[Shelf::Initial], |_| true, |seen| matches!(seen.life, Life::Initial))?
            }
            Purpose::Signal => bearers.own_else_all_live(&[Shelf::Live], Observed::is_alive)?,
            Purpose::Join | Purpose::One => {
                let started = |seen: &Observed| !matches!(seen.life, Life::Initial);
                bearers.own_else_all_live(&[Shelf::Live, Shelf::Ended], started)?
            }
        };
        if !found.is_empty() || matches!(purpose, Purpose::Status | Purpose::Close) {
            return Ok(Some(found).filter(|found| !found.is_empty()));
        }
        // None that is wanted, so what there is of that name at all. Looked for in the order of a process's way through the
        // shelves: one that was started, has ended or was joined during the look is met on a later one.
        let mut initial = bearers.on(&[Shelf::Initial], |_| true, |_| true)?;
        let Some(last) = bearers.last()? else {
            return Ok(Some(initial).filter(|initial| !initial.is_empty()));
        };
        match purpose {
            Purpose::Start => Err(Error::refused(format!(
                "cannot start {} ({}): a process can be started only once",
                last.record.name, last.record.id
            ))),
            Purpose::Signal => {
                // One that is only recorded is an error of the signalling itself. If all have ended there is nothing to do.
                initial.retain(|seen| matches!(seen.life, Life::Initial));
                if initial.is_empty() && last.is_alive() {
                    initial.push(last);
                }
                Ok(Some(initial))
            }
            _ => Ok(Some(vec![last])),
        }
    }

    /// The caller's children that have not been closed, in the order in which they were created.
    pub fn children(&self) -> Result<Option<Vec<Observed>>> {
        let key = self.caller_key()?;
        let Some(ledger) = Ledger::open(self.run_dir, key)? else { return Ok(None) };
        if ledger.count()? == 0 {
            return Ok(None);
        }
        let mut children = Vec::new();
        for id in ledger.children()? {
            children.extend(self.usable(&id).map(Observed::released));
        }
        Ok(Some(children))
    }

    /// Whether the caller created a process.
    pub fn is_own(&self, record: &Record) -> Result<bool> {
        Ok(record.parent_key() == self.caller_key()?)
    }

    /// Every live process of the run directory.
    pub fn all_live(&self) -> Result<Vec<Observed>> {
        let mut tags = self.run_dir.names().all(Shelf::Live)?;
        tags.sort_by(|a, b| a.id.cmp(&b.id));
        // While its name is being changed a process has two.
        tags.dedup_by(|a, b| a.id == b.id);
        let mut found = Vec::new();
        for tag in tags {
            // A record that cannot be read does not stop a command from working on the others.
            found.extend(
                self.usable_tag(Shelf::Live, &tag)?.filter(Observed::is_alive).map(Observed::released),
            );
        }
        Ok(found)
    }
}

/// Adds one to those that were found. Of more than a few only what was seen is kept, for descriptors are few.
pub fn add(found: &mut Vec<Observed>, seen: Observed) {
    const FEW: usize = 16;
    found.push(if found.len() < FEW { seen } else { seen.released() });
}

/// The processes of one name.
struct Bearers<'a> {
    resolver: &'a Resolver<'a>,
    name: &'a str,
}

impl Bearers<'_> {
    fn on(
        &self,
        shelves: &[Shelf],
        wanted: impl Fn(&Tag) -> bool,
        keep: impl Fn(&Observed) -> bool,
    ) -> Result<Vec<Observed>> {
        let mut found: Vec<Observed> = Vec::new();
        for &shelf in shelves {
            for tag in self.resolver.run_dir.names().find(shelf, self.name)? {
                let known = found.iter().any(|seen| seen.record.id == tag.id);
                if known || !wanted(&tag) {
                    continue;
                }
                let Some(seen) = self.resolver.usable_tag(shelf, &tag)? else { continue };
                // An entry may lag behind its record.
                if seen.record.name == self.name && keep(&seen) {
                    add(&mut found, seen);
                }
            }
        }
        found.sort_by(|a, b| (a.record.created_at, &a.record.id).cmp(&(b.record.created_at, &b.record.id)));
        Ok(found)
    }

    fn own_else_all_live(
        &self,
        own_shelves: &[Shelf],
        keep: impl Fn(&Observed) -> bool,
    ) -> Result<Vec<Observed>> {
        let key = self.resolver.caller_key()?;
        let hash = names::hash(key);
        let own = self.on(
            own_shelves,
            |tag| tag.parent == hash,
            |seen| seen.record.parent_key() == key && keep(seen),
        )?;
        if !own.is_empty() {
            return Ok(own);
        }
        self.on(&[Shelf::Live], |_| true, Observed::is_alive)
    }

    /// The one that ended last. Of those on the shelves of ended ones only that record is read.
    fn last(&self) -> Result<Option<Observed>> {
        // These are alive, or ended during the look and are still to be moved: when that was only their records say. One that is
        // about to be started is there, too.
        let newest = self.on(&[Shelf::Live], |_| true, |seen| !matches!(seen.life, Life::Initial))?;
        let mut tags = Vec::new();
        for shelf in [Shelf::Ended, Shelf::Joined] {
            tags.extend(self.resolver.run_dir.names().find(shelf, self.name)?);
        }
        tags.sort_by_key(|tag| std::cmp::Reverse(tag.stopped));
        let ended = tags
            .iter()
            .find_map(|tag| self.resolver.usable(&tag.id).filter(|seen| seen.record.name == self.name));
        Ok(newest.into_iter().chain(ended).max_by_key(|seen| match seen.life {
            Life::Ended => Tag::of(&seen.record).stopped,
            // Nobody here knows more of it.
            Life::Elsewhere => 0,
            _ => u64::MAX,
        }))
    }
}

fn ids(found: &[Observed]) -> Vec<&Id> {
    found.iter().map(|seen| &seen.record.id).collect()
}

fn ambiguous(reference: &str, why: &str, ids: &[&Id]) -> Error {
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    Error::hinted(
        format!("'{}' is ambiguous: {why}: {}", reference.escape_debug(), ids.join(", ")),
        "name one by its id",
    )
}

fn unknown(what: &str) -> Error {
    Error::hinted(what, "procctl status lists those that there are")
}
