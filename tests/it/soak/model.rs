//! What must be true: of each process, what it was told to do, which signals it may have got, and so how it may have ended.
//!
//! A process that was told nothing may not have ended; one that got one order can have one exit code only; and where the
//! kernel tells the end to the holder of a pidfd (Linux 6.15), the soak holds one, and that code is the truth.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Instant;

use procctl::os::pidfd::{self, Stage};
use procctl::os::process::Status;
use procctl::process::record::exitcode;
use serde_json::Value;

use super::operation::{FIRST_INSIDE, Kind, Plan, SLOTS, Tag};

/// A promise that was broken.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) tag: Option<Tag>,
    pub(super) what: String,
}

pub(super) type Verdict = Result<(), Violation>;

pub(super) fn broken(tag: impl Into<Option<Tag>>, what: impl Into<String>) -> Violation {
    Violation { tag: tag.into(), what: what.into() }
}

/// Whether a process came to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// It was asked for; the answer is not there, or was lost with the procctl that was to give it.
    Unknown,
    /// It is recorded and was not started.
    Recorded,
    /// It runs, or ran.
    Started,
    /// There is none.
    Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    No,
    /// Somebody may have, or a moment from now.
    Maybe,
    Yes,
}

/// A process that a managed process left, or will leave behind.
pub(super) struct Kid {
    pub(super) pid: i32,
    pub(super) process: OwnedFd,
}

/// One process, as the soak knows it.
pub(super) struct Worker {
    pub(super) plan: Plan,
    /// The shell that was asked to start it, and the one that is to be its parent, as indexes of `Model::shells`.
    pub(super) asked: usize,
    pub(super) parent: usize,
    pub(super) answered: Option<Instant>,
    pub(super) start: Start,
    pub(super) id: Option<String>,
    pub(super) number: Option<u64>,
    pub(super) pid: Option<i32>,
    /// It has said that it is set up, and waits at its gate.
    pub(super) ready: Option<Instant>,
    pub(super) process: Option<OwnedFd>,
    pub(super) kids: Vec<Kid>,
    /// A `--tree` may have killed them.
    pub(super) tree_may_end: bool,
    pub(super) renamed: bool,
    /// It was launched by `run`: its monitor is the procctl that the shell waits for.
    pub(super) run: bool,
    /// `create` recorded it.
    pub(super) created: bool,
    /// How often somebody tried to start it.
    pub(super) starts: u32,
    /// The exit codes that it may end with.
    pub(super) may: BTreeSet<i32>,
    /// Since when it may have ended.
    pub(super) doomed: Option<Instant>,
    /// Why it has to end.
    pub(super) must_end: Option<String>,
    /// When its monitors were killed: the moment from which everybody can see it.
    pub(super) attacked: Vec<Instant>,
    /// A monitor of it was made to stop for a while.
    pub(super) was_stopped: bool,
    /// Commands that looked at it and found it alive.
    pub(super) looks: Vec<(Instant, Instant)>,
    /// A join held on to it while it was alive.
    pub(super) witnessed: bool,
    /// Since when it is known to have ended.
    pub(super) ended: Option<Instant>,
    /// The exit code that somebody was told.
    pub(super) told: Option<i32>,
    pub(super) closed: Closed,
    /// Since when its record is gone.
    pub(super) gone: Option<Instant>,
    /// How many are about to close it.
    pub(super) closers: u32,
    /// What it reads its exit code from.
    pub(super) gate: Option<File>,
    /// The operations that concern it.
    pub(super) history: Vec<String>,
}

impl Worker {
    pub(super) fn new(plan: Plan, asked: usize, parent: usize) -> Self {
        Self {
            plan,
            asked,
            parent,
            answered: None,
            start: Start::Unknown,
            id: None,
            number: None,
            pid: None,
            ready: None,
            process: None,
            kids: Vec::new(),
            tree_may_end: false,
            renamed: false,
            run: false,
            created: false,
            starts: 1,
            may: BTreeSet::new(),
            doomed: None,
            must_end: None,
            attacked: Vec::new(),
            was_stopped: false,
            looks: Vec::new(),
            witnessed: false,
            ended: None,
            told: None,
            closed: Closed::No,
            gone: None,
            closers: 0,
            gate: None,
            history: Vec::new(),
        }
    }

    /// It is told to do something that may end it: from now on it may have that exit code.
    pub(super) fn may_end_with(&mut self, code: i32) {
        self.may.insert(code);
        self.doomed.get_or_insert_with(Instant::now);
    }

    pub(super) fn ignores(&self, signal: i32) -> bool {
        self.plan.kind == Kind::Stubborn && matches!(signal, 2 | 15)
    }

    /// It may get that signal from now on.
    pub(super) fn may_get(&mut self, signal: i32) {
        // Before it is ready it has set no trap.
        if self.ignores(signal) && self.ready.is_some() {
            return;
        }
        self.may_end_with(-signal);
        if signal == 2 {
            // What some shells make of it.
            self.may_end_with(130);
        }
    }

    /// It has got that signal.
    pub(super) fn got(&mut self, signal: i32, why: &str) {
        // A shell that waits for a command sees to SIGINT only afterwards, if at all.
        let takes_it = !(self.ignores(signal) || (self.plan.kind == Kind::Shell && signal == 2));
        if takes_it && self.start == Start::Started {
            self.must_end.get_or_insert_with(|| why.to_owned());
        }
    }

    /// It is certain that it runs: it was started, and nobody has told it to end.
    pub(super) fn is_certainly_alive(&self) -> bool {
        self.start == Start::Started && self.doomed.is_none()
    }

    /// A command that began then may find it in state `initial`.
    pub(super) fn may_be_initial(&self, began: Instant) -> bool {
        let since = |at: Option<Instant>| at.is_none_or(|at| at >= began);
        self.created && since(self.ready) && (self.start != Start::Started || since(self.answered))
    }

    pub(super) fn can_be_known(&self) -> bool {
        self.id.is_some() && self.closed == Closed::No && self.answered.is_some()
    }

    /// Looks at the process itself.
    pub(super) fn look(&mut self) {
        if self.ended.is_none()
            && let Some(process) = &self.process
            && pidfd::stage(process.as_fd()).unwrap() != Stage::Alive
        {
            self.ended = Some(Instant::now());
        }
    }

    /// How it ended, if the kernel tells.
    pub(super) fn truth(&self) -> Option<i32> {
        let word = pidfd::exit_status(self.process.as_ref()?)?;
        Some(exitcode(Status::from_wait(word)))
    }
}

/// One shell from its start to its end.
pub(super) struct Shell {
    pub(super) pid: i32,
    pub(super) process: OwnedFd,
    /// What it is called as a managed process, if it is one.
    pub(super) managed: Option<Tag>,
    /// Since when it may have ended.
    pub(super) ended: Option<Instant>,
}

/// A signal that is on its way to all, or to all of one name: also to those that come to be meanwhile.
#[derive(Clone)]
pub(super) struct Wide {
    /// `None`: to all.
    pub(super) name: Option<String>,
    pub(super) signal: i32,
    pub(super) then_kill: bool,
    pub(super) tree: bool,
}

impl Wide {
    /// It may reach this one.
    pub(super) fn may_reach(&self, worker: &mut Worker) {
        let is_meant =
            self.name.as_ref().is_none_or(|name| worker.renamed || worker.plan.name.as_ref() == Some(name));
        if is_meant {
            worker.may_get(self.signal);
            if self.then_kill {
                worker.may_get(9);
            }
            worker.tree_may_end |= self.tree;
        }
    }
}

/// Everything that the soak knows.
pub(super) struct Model {
    /// Whether a live process whose monitor was killed must get a new one, which learns the exit code, from the first command
    /// that looks at it.
    strict: bool,
    pub(super) workers: BTreeMap<Tag, Worker>,
    pub(super) ids: BTreeMap<String, Tag>,
    pub(super) shells: Vec<Shell>,
    /// The shell of each slot.
    pub(super) current: [Option<usize>; SLOTS as usize],
    /// Attacks on monitors of processes whose id is not known yet.
    pub(super) early_attacks: Vec<(String, Instant)>,
    /// Which operations were attacked, and what each is about.
    pub(super) attacked: BTreeSet<(u16, u32)>,
    pub(super) about: BTreeMap<(u16, u32), Vec<Tag>>,
    /// Operations with `--tree`: one that is killed leaves the tree stopped.
    pub(super) trees: BTreeSet<(u16, u32)>,
    /// Signals on their way, by operation.
    pub(super) wide: BTreeMap<(u16, u32), Wide>,
    /// How many are about to close all.
    pub(super) closing: u32,
    /// The last operations of all shells.
    pub(super) log: VecDeque<String>,
    /// Processes without a known number that were forgotten.
    pub(super) forgotten_unseen: usize,
    /// The numbers of each parent's children, and whose they are.
    pub(super) numbers: BTreeMap<String, (i32, BTreeMap<u64, String>)>,
}

impl Model {
    pub(super) fn new(strict: bool) -> Self {
        Self {
            strict,
            workers: BTreeMap::new(),
            ids: BTreeMap::new(),
            shells: Vec::new(),
            current: [None; SLOTS as usize],
            early_attacks: Vec::new(),
            attacked: BTreeSet::new(),
            about: BTreeMap::new(),
            trees: BTreeSet::new(),
            wide: BTreeMap::new(),
            closing: 0,
            forgotten_unseen: 0,
            log: VecDeque::new(),
            numbers: BTreeMap::new(),
        }
    }

    pub(super) fn worker(&mut self, tag: Tag) -> &mut Worker {
        self.workers.get_mut(&tag).unwrap_or_else(|| panic!("no process {tag}"))
    }

    /// The id by which a command may name it. What was closed is named now and then only.
    pub(super) fn id_of(&self, tag: Tag) -> Option<&str> {
        let worker = self.workers.get(&tag)?;
        let is_there = worker.closed != Closed::Yes || tag.number.is_multiple_of(4);
        worker.id.as_deref().filter(|_| is_there)
    }

    pub(super) fn knows_id(&mut self, tag: Tag, id: &str) -> Verdict {
        if let Some(other) = self.ids.insert(id.to_owned(), tag)
            && other != tag
        {
            return Err(broken(tag, format!("the id {id} was that of {other}")));
        }
        let attacks: Vec<Instant> =
            self.early_attacks.extract_if(.., |(of, _)| of == id).map(|(_, at)| at).collect();
        let worker = self.worker(tag);
        if let Some(known) = &worker.id
            && known != id
        {
            return Err(broken(tag, format!("started twice: {known} and {id}")));
        }
        worker.id = Some(id.to_owned());
        for at in attacks {
            self.monitor_killed(tag, at);
        }
        Ok(())
    }

    /// The monitor of a process was killed; its death is seen by everybody from `at` on.
    pub(super) fn monitor_killed(&mut self, tag: Tag, at: Instant) {
        let worker = self.worker(tag);
        worker.attacked.push(at);
        if worker.plan.daemon == Some(true) {
            worker.may_get(15);
            if worker.ready.is_some() {
                worker.got(15, "its monitor was killed, and it is daemonic");
            }
        }
        worker.history.push(format!("{} monitor killed", stamp(at)));
    }

    /// A shell has ended, or is about to.
    pub(super) fn shell_ends(&mut self, shell: usize) {
        self.shells[shell].ended.get_or_insert_with(Instant::now);
        for worker in self.workers.values_mut() {
            if worker.parent == shell && worker.plan.daemon == Some(true) {
                worker.may_get(15);
            }
            // The kernel's word to a process group that is orphaned and has a stopped member.
            if worker.asked == shell && worker.run {
                worker.may_get(1);
                worker.tree_may_end = true;
            }
        }
    }

    /// A signal is on its way to everybody.
    pub(super) fn managed_shells_may_end(&mut self) {
        for slot in FIRST_INSIDE..SLOTS {
            if let Some(shell) = self.current[usize::from(slot)] {
                self.shell_ends(shell);
            }
        }
    }

    /// A shell is no more.
    pub(super) fn shell_ended(&mut self, shell: usize) {
        self.shell_ends(shell);
        let pid = self.shells[shell].pid;
        for worker in self.workers.values_mut() {
            let is_child = worker.parent == shell && worker.answered.is_some();
            if is_child && worker.plan.daemon == Some(true) {
                worker.got(15, &format!("its parent, the shell {pid}, has ended, and it is daemonic"));
            }
        }
    }

    /// A command that began then saw it alive.
    pub(super) fn seen_alive(&mut self, tag: Tag, began: Instant, by: &str) -> Verdict {
        let worker = self.worker(tag);
        if let Some(ended) = worker.ended
            && ended < began
        {
            return Err(broken(tag, format!("{by}: alive, and it had ended")));
        }
        worker.looks.push((began, Instant::now()));
        Ok(())
    }

    /// A command that has ended by now saw that it has ended.
    pub(super) fn seen_ended(&mut self, tag: Tag, by: &str) -> Verdict {
        let worker = self.worker(tag);
        worker.look();
        if worker.doomed.is_none() {
            return Err(broken(tag, format!("{by}: it has ended, and nobody told it to")));
        }
        if worker.process.is_some() && worker.ended.is_none() {
            return Err(broken(tag, format!("{by}: it has ended, and it runs")));
        }
        worker.ended.get_or_insert_with(Instant::now);
        Ok(())
    }

    /// A command told its exit code.
    pub(super) fn tells(&mut self, tag: Tag, code: i32, by: &str) -> Verdict {
        self.seen_ended(tag, by)?;
        if !self.worker(tag).may.contains(&code) {
            // The end of a shell may have come to its daemonic processes before it came to us; also to one that was started after
            // somebody had said that the shell may end.
            let (parent, asked) = (self.worker(tag).parent, self.worker(tag).asked);
            for shell in [parent, asked] {
                if self.shells.get(shell).is_some_and(|shell| !super::is_alive(&shell.process)) {
                    self.shell_ends(shell);
                }
            }
        }
        let worker = self.worker(tag);
        if !worker.may.contains(&code) {
            return Err(broken(tag, format!("{by}: exit code {code}, and it can only be {:?}", worker.may)));
        }
        let known = worker.told.or_else(|| worker.truth());
        if known.is_some_and(|known| known != code) {
            return Err(broken(tag, format!("{by}: exit code {code}, and it is {known:?}")));
        }
        worker.told = Some(code);
        Ok(())
    }

    /// A command says that the exit code is lost. `settled`: nobody is on the way to tell it any more.
    pub(super) fn loses(&mut self, tag: Tag, by: &str, settled: bool) -> Verdict {
        self.seen_ended(tag, by)?;
        let strict = self.strict;
        let worker = self.worker(tag);
        let Some(&killed) = worker.attacked.last() else {
            return Err(broken(tag, format!("{by}: lost, and nobody killed its monitor")));
        };
        if settled && worker.witnessed {
            return Err(broken(tag, format!("{by}: lost, and a join was waiting for it")));
        }
        let doomed = worker.doomed.unwrap();
        let look = worker.looks.iter().find(|(began, over)| *began > killed && *over < doomed);
        if strict && let Some((began, over)) = look {
            return Err(broken(
                tag,
                format!(
                    "{by}: lost, and between {} and {} a command saw it alive without a monitor",
                    stamp(*began),
                    stamp(*over)
                ),
            ));
        }
        // Whoever knows better may still say so, but nobody may have known.
        if settled && worker.told.is_some() {
            return Err(broken(tag, format!("{by}: lost, and somebody was told {:?}", worker.told)));
        }
        Ok(())
    }

    /// The process that a record is of, by its command.
    pub(super) fn tag_of(&self, record: &Value) -> Option<Tag> {
        let words = record["command"].as_array()?.iter();
        let tag = words.filter_map(Value::as_str).find_map(Tag::parse)?;
        self.workers.contains_key(&tag).then_some(tag)
    }

    /// Checks a record as a command that began then showed it, or as it lies there.
    pub(super) fn record(&mut self, record: &Value, began: Instant, by: &str, settled: bool) -> Verdict {
        let text = |field: &str| record[field].as_str().unwrap_or_default().to_owned();
        let Some(tag) = self.tag_of(record) else {
            return Err(broken(None, format!("{by}: a record of nobody: {record}")));
        };
        let id = text("id");
        self.knows_id(tag, &id)?;
        self.number(tag, record, by)?;
        let worker = self.worker(tag);
        if worker.start == Start::Refused {
            return Err(broken(tag, format!("{by}: its start failed, and there is a record: {record}")));
        }
        if worker.closed == Closed::Yes && worker.gone.is_none_or(|gone| gone < began) {
            return Err(broken(tag, format!("{by}: it was closed, and there is a record: {record}")));
        }
        if let Some(pid) = record["pid"].as_i64() {
            let pid = i32::try_from(pid).unwrap();
            if worker.pid.is_some_and(|known| known != pid) {
                return Err(broken(tag, format!("{by}: pid {pid}, and it said {:?}", worker.pid)));
            }
            worker.pid = Some(pid);
            worker.start = Start::Started;
        }
        match text("state").as_str() {
            "initial" if worker.may_be_initial(began) => {}
            "initial" => return Err(broken(tag, format!("{by}: initial, and it runs or ran: {record}"))),
            "started" => self.seen_alive(tag, began, by)?,
            "stopped" => match record["exitcode"].as_i64() {
                Some(code) => self.tells(tag, i32::try_from(code).unwrap(), by)?,
                None if record["lost"].is_null() => {
                    return Err(broken(tag, format!("{by}: stopped with neither code nor reason: {record}")));
                }
                // It has ended, and its new parent is about to reap it.
                None if record["witness"].is_null() => self.seen_ended(tag, by)?,
                None => self.loses(tag, by, settled)?,
            },
            other => return Err(broken(tag, format!("{by}: state {other}"))),
        }
        Ok(())
    }

    /// Numbers are unique among the children of one parent, and names and parents are those that were asked for.
    fn number(&mut self, tag: Tag, record: &Value, by: &str) -> Verdict {
        let numbers: Vec<u64> =
            record["identity"].as_array().unwrap().iter().map(|number| number.as_u64().unwrap()).collect();
        let number = *numbers.last().unwrap();
        let key = record["parent"]["key"].as_str().unwrap().to_owned();
        let parent_pid = i32::try_from(record["parent"]["pid"].as_i64().unwrap()).unwrap();
        let id = record["id"].as_str().unwrap().to_owned();
        let of_key = self.numbers.entry(key.clone()).or_insert_with(|| (parent_pid, BTreeMap::new()));
        let owner = of_key.1.entry(number).or_insert_with(|| id.clone());
        if *owner != id {
            return Err(broken(tag, format!("{by}: number {number} of {key} is that of {owner}, too")));
        }
        let worker = &self.workers[&tag];
        if worker.number.is_some_and(|known| known != number) {
            return Err(broken(tag, format!("{by}: its number was {:?} and is {number}", worker.number)));
        }
        if worker.plan.name.is_none() && !worker.renamed {
            let digits: Vec<String> = numbers.iter().map(u64::to_string).collect();
            let name = format!("Process-{}", digits.join(":"));
            if worker.plan.kind != Kind::Shell && record["name"] != name.as_str() {
                return Err(broken(tag, format!("{by}: the name should be {name}: {record}")));
            }
        }
        let parents = [worker.parent, worker.asked].map(|at| self.shells.get(at));
        let as_asked = self.shells.get(worker.parent).is_some_and(|shell| shell.pid == parent_pid);
        // A shell that was killed before procctl had looked at it.
        let orphaned = parents.iter().flatten().any(|shell| shell.ended.is_some());
        if worker.plan.kind != Kind::Shell && !as_asked && !orphaned {
            return Err(broken(tag, format!("{by}: the parent is another process: {record}")));
        }
        self.worker(tag).number = Some(number);
        Ok(())
    }

    /// Whether somebody of that name was certainly alive all the time from `began` on.
    pub(super) fn certain_bearer(&self, name: &str, but: Tag, began: Instant) -> Option<Tag> {
        let bears = |(tag, worker): &(&Tag, &Worker)| {
            **tag != but
                && worker.plan.name.as_deref() == Some(name)
                && !worker.renamed
                && worker.is_certainly_alive()
                && worker.answered.is_some_and(|answered| answered < began)
        };
        self.workers.iter().find(bears).map(|(tag, _)| *tag)
    }

    /// Whether somebody of that name may have been alive after `began`.
    pub(super) fn possible_bearer(&self, name: &str, but: Tag, began: Instant) -> bool {
        self.workers.iter().any(|(tag, worker)| {
            *tag != but
                && (worker.renamed || worker.plan.name.as_deref() == Some(name))
                && worker.start != Start::Refused
                && worker.ended.is_none_or(|ended| ended > began)
        })
    }
}

/// A moment as it is shown in histories: seconds since the first look at it.
pub(super) fn stamp(at: Instant) -> String {
    static BEGIN: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
    let begin = *BEGIN.get_or_init(Instant::now);
    format!("{:9.4}", at.saturating_duration_since(begin).as_secs_f64())
}
