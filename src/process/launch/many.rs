//! Starting several processes of one command at once: all of them, or none.
//!
//! What they have in common is found out once, and the ledger of the parent is locked once. Then the launcher only forks
//! monitors and hears from them. Each monitor makes the directory of its own process, opens its files and takes its locks: nothing
//! of one process is ever open in the monitor of another, and the work is done on all processors. Only a few are under way at a
//! time, so the launcher needs few descriptors.
//!
//! The lock of the ledger is shared by the launcher and by every monitor whose start is not over. So a launcher that is killed
//! leaves whole processes, and who takes the lock after the last of them finds each start settled; see
//! [`crate::process::ledger::Numbers`].

use std::collections::VecDeque;
use std::os::fd::OwnedFd;

use nix::sys::signal::Signal;

use super::Request;
use super::background::{pipe, read_to_end, without_answer};
use super::draft::Basis;
use super::job;
use super::plan::{block_signals, check_command, check_passed};
use super::undo::undo;
use crate::os::fault;
use crate::os::process::{self, Fork};
use crate::os::signals::Blocked;
use crate::process::authkey::{self, Key};
use crate::process::child::Failure;
use crate::process::error::{Error, Result};
use crate::process::id::Id;
use crate::process::ledger::{Ledger, Numbers};
use crate::process::monitor::{self, Answer, Job};
use crate::process::record::Record;
use crate::process::rundir::RunDir;
use crate::process::streams::Files;
use crate::process::time::Moment;

/// How many starts are under way at a time: enough to keep some processors busy, and few descriptors.
const AT_ONCE: usize = 8;

/// By these the launcher is told to end. They are heeded between two starts.
const TOLD_TO_END: [Signal; 4] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT];

/// What is told of those that were started, in the order of their indexes.
#[derive(Debug)]
pub enum Started {
    /// Their ids.
    Ids(Vec<Id>),
    /// Their records, as they are when all have been started.
    Records(Vec<Record>),
}

/// Why not all of them were started.
#[derive(Debug)]
pub struct Unstarted {
    /// Which of them failed first; `None`: it was not one of them.
    pub index: Option<u32>,
    /// Why.
    pub why: Error,
    /// What could not be undone.
    pub left: Vec<Error>,
}

impl From<Error> for Unstarted {
    fn from(why: Error) -> Self {
        Self { index: None, why, left: Vec::new() }
    }
}

/// Records so many processes of one command and starts them in the background. When one cannot be started, those that were are
/// killed and forgotten.
pub fn start_many(
    run_dir: &RunDir,
    request: Request,
    count: u32,
    with_records: bool,
) -> std::result::Result<Started, Unstarted> {
    let (common, mut several) = begin(run_dir, request)?;
    for index in 0..count {
        match several.fork_next(&common, index) {
            Ok(Side::Launcher) => {}
            Ok(Side::Monitor { one, report }) => be_monitor(common, one, report),
            Err(e) => {
                several.failed = Some((Some(index), e));
                break;
            }
        }
        if several.failed.is_some() {
            break;
        }
    }
    end(&common, several, with_records)
}

/// What all of them have in common. It is forked with the launcher, so each monitor has it for itself.
struct Common<'a> {
    basis: Basis<'a>,
    request: Request,
    files: Files,
    key: Key<'static>,
    signals: Blocked,
}

/// Which side of a fork this is.
enum Side {
    Launcher,
    Monitor { one: One, report: OwnedFd },
}

/// What the launcher says of one of them: so their order is that of their indexes in every respect.
#[derive(Clone, Copy)]
struct One {
    index: u32,
    number: u64,
    created_at: Moment,
}

/// A monitor that has not answered yet.
struct UnderWay {
    index: u32,
    number: u64,
    answer: OwnedFd,
}

/// The launcher's own part.
struct Several<'a> {
    run_dir: &'a RunDir,
    numbers: Numbers,
    under_way: VecDeque<UnderWay>,
    /// The last answer. Kept, for the heap takes hardly anything back, and each monitor would have more of it than the one before.
    answer: Vec<u8>,
    /// The first that failed.
    failed: Option<(Option<u32>, Error)>,
    /// Those of which it cannot be known how far they are.
    unheard: Vec<u64>,
}

#[inline(never)]
fn begin(run_dir: &RunDir, mut request: Request) -> Result<(Box<Common<'_>>, Several<'_>)> {
    for &passed in &request.passed {
        check_passed(passed)?;
    }
    if let Some(command) = request.command.first() {
        check_command(command)?;
    }
    let files = request.streams.open_files()?;
    let basis = Basis::of(run_dir, &request)?;
    let numbers = basis.ledger.begin()?;
    // The memory of a monitor never has a key.
    let own_key = request.authkey.take();
    let key = authkey::lay_out(basis.creator.as_ref(), &basis.ledger, own_key.as_deref())?;
    drop(own_key);
    let signals = block_signals()?;
    // Those whose processes are short would be zombies for as long as the others are being started.
    process::let_kernel_reap();
    let under_way = VecDeque::with_capacity(AT_ONCE);
    let answer = Vec::with_capacity(512);
    let several = Several { run_dir, numbers, under_way, answer, failed: None, unheard: Vec::new() };
    Ok((Box::new(Common { basis, request, files, key, signals }), several))
}

/// In the launcher, when all that will be have been forked.
#[inline(never)]
fn end(
    common: &Common<'_>,
    mut several: Several<'_>,
    with_records: bool,
) -> std::result::Result<Started, Unstarted> {
    let ledger = &common.basis.ledger;
    while several.hear_oldest(common) {}
    if several.failed.is_none() && common.signals.holds_back(&TOLD_TO_END) {
        several.failed = Some((None, interrupted()));
    }
    // While they cannot be closed: that takes the ledger's lock.
    let told = match several.failed.take() {
        None => several.told(ledger, with_records),
        Some(failed) => Err(failed),
    };
    let told = told.map_err(|(index, why)| {
        let numbers = several.numbers.taken().filter(|number| !several.unheard.contains(number)).collect();
        Unstarted { index, why, left: undo(several.run_dir, ledger, numbers) }
    });
    if told.is_ok() {
        // If it cannot be written, the next one to take a number finds out.
        let _ = several.numbers.commit();
    }
    if matches!(common.key, Key::LaidOut) {
        // What stays is cleared later.
        let _ = authkey::clear(ledger);
    }
    // A monitor that was not heard may be at work, and keeps the lock until it is through.
    if several.unheard.is_empty() {
        several.numbers.unlock();
    }
    told
}

fn interrupted() -> Error {
    Error::refused("interrupted")
}

impl Several<'_> {
    /// Forks the next monitor, after one has answered if enough are under way. That one may have failed: then
    /// [`Several::failed`] says so.
    fn fork_next(&mut self, common: &Common<'_>, index: u32) -> Result<Side> {
        if common.signals.holds_back(&TOLD_TO_END) {
            self.failed = Some((None, interrupted()));
            return Ok(Side::Launcher);
        }
        if self.under_way.len() == AT_ONCE {
            self.hear_oldest(common);
            if self.failed.is_some() {
                return Ok(Side::Launcher);
            }
        }
        let number = self.numbers.next(self.run_dir, &common.basis.ledger)?;
        let one = One { index, number, created_at: Moment::now() };
        let forked = pipe().and_then(|pipe| Ok((process::fork()?, pipe)));
        let (side, (answer, report)) = forked.map_err(Error::Fork)?;
        if matches!(side, Fork::Child) {
            return Ok(Side::Monitor { one, report });
        }
        // The monitor's copy is to be the only one: its end is then that of the pipe.
        drop(report);
        self.under_way.push_back(UnderWay { index, number, answer });
        Ok(Side::Launcher)
    }

    /// Waits for the answer of the one that was forked first. `false`: there is none left.
    fn hear_oldest(&mut self, common: &Common<'_>) -> bool {
        let Some(UnderWay { index, number, answer }) = self.under_way.pop_front() else { return false };
        if let Err(e) = self.hear(common, number, &answer) {
            // One that was forked before another one failed may have failed itself, and was the first.
            let known = self.failed.as_ref().map(|(index, _)| *index);
            if known.is_none_or(|known| known.is_some_and(|known| known > index)) {
                self.failed = Some((Some(index), e));
            }
        }
        true
    }

    fn hear(&mut self, common: &Common<'_>, number: u64, answer: &OwnedFd) -> Result<()> {
        self.answer.clear();
        if let Err(e) = read_to_end(answer, &mut self.answer) {
            self.unheard.push(number);
            return Err(Error::system("cannot hear from the monitor", e));
        }
        match serde_json::from_slice(&self.answer) {
            Ok(Answer::Started(_)) => Ok(()),
            Ok(Answer::Failed(failure)) => {
                let command = common.request.command.first().map(|word| word.to_string_lossy());
                Err(failure
                    .into_error(&command.unwrap_or_default(), &common.basis.directory.to_string_lossy()))
            }
            // It was killed before it could say anything.
            Err(_) => match common.basis.ledger.entry(self.run_dir, number)? {
                Some(entry) => without_answer(self.run_dir, &entry).map(drop),
                None => Err(Error::refused("the monitor was killed before the process was started")),
            },
        }
    }

    /// Who was started, in the order of their indexes.
    fn told(
        &self,
        ledger: &Ledger,
        with_records: bool,
    ) -> std::result::Result<Started, (Option<u32>, Error)> {
        let by_index = || (0..).zip(self.numbers.taken());
        let gone = || Error::refused("it was removed while the others were being started");
        let id = |number| ledger.child(number)?.ok_or_else(gone);
        let record = |number| {
            let entry = ledger.entry(self.run_dir, number)?.ok_or_else(gone)?;
            entry.load()?.ok_or_else(gone)
        };
        if with_records {
            let all = by_index().map(|(index, number)| record(number).map_err(|e| (Some(index), e)));
            return all.collect::<std::result::Result<_, _>>().map(Started::Records);
        }
        let all = by_index().map(|(index, number)| id(number).map_err(|e| (Some(index), e)));
        all.collect::<std::result::Result<_, _>>().map(Started::Ids)
    }
}

/// In a fork of the launcher: everything from here to its end.
#[inline(never)]
fn be_monitor(common: Box<Common<'_>>, one: One, report: OwnedFd) -> ! {
    // One in the middle has a role of its own, so that a test can strike it alone.
    fault::play(if one.index == 1 { "second" } else { "monitor" });
    match prepare(common, one) {
        Ok(job) => job.run_as_monitor(report),
        Err(e) => monitor::give_up(&report, Failure::of(&e)),
    }
}

/// Not a part of the function above, whose frame the monitor keeps.
#[inline(never)]
fn prepare(common: Box<Common<'_>>, one: One) -> Result<Box<Job<'_>>> {
    let Common { basis, mut request, mut files, key, signals } = *common;
    let signals = signals.in_fork().map_err(|e| Error::system("cannot set up signals", e))?;
    request.index = Some(one.index);
    files.for_one_of_several()?;
    let run_dir = basis.run_dir;
    let entry = run_dir.make_entry()?;
    // A symlink that stays is the launcher's to remove, or recognised by the next holder of the lock.
    basis.ledger.give(one.number, &entry.id).inspect_err(|_| drop(run_dir.remove_entry(&entry.id)))?;
    let mut draft = basis.draft(&request, entry, one.number, None, key)?;
    draft.record.created_at = one.created_at;
    job::prepare(draft, request, files, true, || Ok(signals))
}
