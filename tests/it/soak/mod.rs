//! Random operations from several shells, random kills of everything that is procctl's own, and a model of what must be
//! true, whatever happens: no exit code is wrong, none is lost that somebody could have seen, nothing runs that no record
//! tells of, nothing is `started` for ever, nobody else is harmed, and nothing stays behind.
//!
//! A round is a storm and a rest: each shell performs some operations while chaos is at work, and every answer is held
//! against the model; then everything comes to rest, and the model, the records, the files and the OS processes must agree.
//! Every third storm is without chaos: there nothing excuses anything.
//!
//! The seed decides what is done. It cannot decide how the kernel interleaves it.

mod audit;
mod bystanders;
mod chaos;
mod judge;
mod model;
mod operation;
mod porter;
mod rng;
mod shell;

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use procctl::os::pidfd::{self, Stage};

use self::judge::Answer;
use self::model::{Model, Violation, broken};
use self::operation::{FIRST_INSIDE, SLOTS, Source, Tag};
use self::porter::Gates;
use self::shell::{Done, Outcome, Terminal};
use crate::harness::{DEADLINE, PROCCTL, TestEnv};
use crate::support::{kernel_at_least, kill_leftovers};

/// Operations of one shell in one round.
const OPERATIONS: u32 = 30;

/// Actors that are no shells, for their streams of chance.
const CHAOS: u64 = 1000;
const PORTER: u64 = 1001;
const BYSTANDERS: u64 = 1002;

const KEY: &str = "the key of the soak";
const KEY_IN_HEX: &str = "746865206b6579206f662074686520736f616b";

#[test]
fn a_short_soak() {
    soak(Duration::from_secs(8), false);
}

#[test]
#[ignore = "takes PROCCTL_SOAK_MINUTES; see `just stress`"]
fn a_long_soak() {
    let minutes = std::env::var("PROCCTL_SOAK_MINUTES").map_or(10, |minutes| minutes.parse().unwrap());
    soak(Duration::from_secs(minutes * 60), true);
}

/// What was done, for the last line.
#[derive(Default)]
struct Figures {
    rounds: u64,
    operations: u64,
    attacks: u64,
    shells_killed: u64,
    processes: usize,
    lost: u64,
}

/// What all actors share.
struct Soak {
    env: TestEnv,
    /// A copy of the program, so that what runs it is known by that.
    program: PathBuf,
    seed: u64,
    is_loud: bool,
    model: Mutex<Model>,
    gates: Mutex<Gates>,
    figures: Mutex<Figures>,
    violation: Mutex<Option<Violation>>,
    is_broken: AtomicBool,
    is_storm: AtomicBool,
    is_over: AtomicBool,
    /// Gates that are being opened, and joins that wait there.
    witnesses: AtomicUsize,
}

impl Soak {
    fn model(&self) -> MutexGuard<'_, Model> {
        self.model.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn gates(&self) -> MutexGuard<'_, Gates> {
        self.gates.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn figures(&self) -> MutexGuard<'_, Figures> {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// If the thread that holds it panics, everything stops.
    fn guard(&self) -> Guard<'_> {
        Guard(self)
    }

    fn is_storm(&self) -> bool {
        self.is_storm.load(Ordering::Relaxed) && !self.is_broken()
    }

    fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed) || self.is_broken()
    }

    fn is_broken(&self) -> bool {
        self.is_broken.load(Ordering::Relaxed)
    }

    /// The first promise that is broken is kept, and everything stops.
    fn violate(&self, violation: Violation) {
        let mut first = self.violation.lock().unwrap();
        if first.is_none() {
            // As it is now, before anybody clears up.
            let _ =
                Command::new("cp").arg("-a").arg(self.env.run_dir()).arg(self.env.path("evidence")).status();
            *first = Some(violation);
        }
        drop(first);
        self.is_broken.store(true, Ordering::Relaxed);
    }

    /// Waits for something that must come: until nothing is in its way any more. What still is after a while is a violation.
    fn wait_until(&self, what: &str, mut obstacle: impl FnMut() -> Option<Violation>) {
        let deadline = Instant::now() + DEADLINE;
        while !self.is_broken()
            && let Some(obstacle) = obstacle()
        {
            if Instant::now() > deadline {
                return self.violate(broken(obstacle.tag, format!("not in time: {what}: {}", obstacle.what)));
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    fn shell_has_ended(&self, index: usize) -> bool {
        !is_alive(&self.model().shells[index].process)
    }

    /// Where shells and processes say what is to be known.
    fn hello(&self) -> PathBuf {
        self.env.path("hello")
    }

    fn key_file(&self) -> PathBuf {
        self.env.path("key")
    }

    fn gate_path(&self, tag: Tag) -> PathBuf {
        self.env.path(format!("gate-{tag}"))
    }

    fn make_gate(&self, tag: Tag) {
        let path = self.env.gate(&format!("gate-{tag}")).path().to_owned();
        let file = fs::OpenOptions::new().read(true).write(true).open(path).unwrap();
        self.gates().files.insert(tag, file);
    }
}

struct Guard<'a>(&'a Soak);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            self.0.violate(broken(None, "the soak itself failed"));
        }
    }
}

/// Whether a process runs: it is no zombie and not gone.
fn is_alive(process: &OwnedFd) -> bool {
    pidfd::stage(process.as_fd()).unwrap() == Stage::Alive
}

fn soak(time: Duration, is_loud: bool) {
    let by_chance =
        || u64::from_ne_bytes(fs::read("/proc/sys/kernel/random/uuid").unwrap()[..8].try_into().unwrap());
    let seed = std::env::var("PROCCTL_SOAK_SEED").map_or_else(|_| by_chance(), |seed| seed.parse().unwrap());
    let mut env = TestEnv::new();
    env.keep(true);
    env.allow_leftovers("what processes leave behind is not procctl's to end");
    let program = env.path("bin/procctl");
    fs::remove_file(&program).unwrap();
    fs::copy(PROCCTL, &program).unwrap();
    let soak = Soak {
        program,
        env,
        seed,
        is_loud,
        model: Mutex::new(Model::new(kernel_at_least(6, 15))),
        gates: Mutex::default(),
        figures: Mutex::default(),
        violation: Mutex::default(),
        is_broken: AtomicBool::new(false),
        is_storm: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
        witnesses: AtomicUsize::new(0),
    };
    soak.say(&format!("soak: PROCCTL_SOAK_SEED={seed}"));
    fs::write(soak.key_file(), KEY).unwrap();
    soak.env.gate("hello");
    model::stamp(Instant::now());
    let begun = Instant::now();
    let (senders, mut ears): (Vec<_>, Vec<_>) = (0..SLOTS).map(|_| channel::<Done>()).unzip();
    thread::scope(|scope| {
        let soak = &soak;
        scope.spawn(move || porter::hear(soak, &senders));
        scope.spawn(move || porter::open_gates(soak));
        scope.spawn(move || bystanders::live(soak));
        let mut sources: Vec<Source> = (0..SLOTS).map(|slot| Source::new(seed, slot)).collect();
        let mut sequences = vec![0; usize::from(SLOTS)];
        while begun.elapsed() < time && !soak.is_broken() {
            round(soak, &mut sources, &mut sequences, &mut ears);
        }
        if !soak.is_broken() {
            audit::at_the_end(soak);
        }
        soak.is_over.store(true, Ordering::Relaxed);
        fs::OpenOptions::new().write(true).open(soak.hello()).unwrap().write_all(b"over\n").unwrap();
    });
    // What the processes have left behind; the strangers have gone by now.
    kill_leftovers(&soak.env);
    let figures = soak.figures();
    soak.say(&format!(
        "soak: {} s, {} rounds, {} operations, {} processes, {} attacks, {} shells killed, {} exit codes lost",
        begun.elapsed().as_secs(),
        figures.rounds,
        figures.operations,
        figures.processes,
        figures.attacks,
        figures.shells_killed,
        figures.lost
    ));
    drop(figures);
    let violation = soak.violation.lock().unwrap().take();
    if let Some(violation) = violation {
        let report = soak.report(&violation);
        panic!("{report}");
    }
    let mut soak = soak;
    soak.env.keep(false);
}

/// A storm and a rest.
fn round(soak: &Soak, sources: &mut [Source], sequences: &mut [u32], ears: &mut [Receiver<Done>]) {
    let number = soak.figures().rounds;
    soak.is_storm.store(true, Ordering::Relaxed);
    let inside: Vec<Terminal> = (FIRST_INSIDE..SLOTS).map(|slot| Terminal::open(soak, slot)).collect();
    thread::scope(|scope| {
        let mut shells = Vec::new();
        let mut inside = inside.into_iter();
        for (slot, ((source, sequence), ear)) in (0..SLOTS).zip(sources.iter_mut().zip(sequences).zip(ears)) {
            let terminal =
                if slot < FIRST_INSIDE { Terminal::open(soak, slot) } else { inside.next().unwrap() };
            shells.push(scope.spawn(move || work(soak, terminal, source, sequence, ear)));
        }
        // Each third storm is a calm one.
        if number % 3 != 2 {
            scope.spawn(move || chaos::rage(soak, number));
        }
        for shell in shells {
            shell.join().unwrap();
        }
        soak.is_storm.store(false, Ordering::Relaxed);
    });
    if !soak.is_broken() {
        audit::at_rest(soak);
    }
    soak.figures().rounds += 1;
}

/// What one shell does in one round.
fn work(soak: &Soak, terminal: Terminal, source: &mut Source, sequence: &mut u32, ear: &Receiver<Done>) {
    let _guard = soak.guard();
    let slot = terminal.slot;
    let mut terminal = Some(terminal);
    for _ in 0..OPERATIONS {
        // Drawn whether it is performed or not: the next round does not depend on it.
        let operation = source.next();
        *sequence += 1;
        let key = (slot, *sequence);
        if soak.is_broken() {
            return;
        }
        let Some(shell) = &mut terminal else { continue };
        let Some(begun) = judge::begin(soak, shell.index, key, &operation) else { continue };
        // Files of its own: what a killed `run` leaves behind still writes to them.
        let [out, err] = ["out", "err"].map(|kind| soak.env.path(format!("{kind}-{slot}-{sequence}")));
        let line = format!(
            r#"SOAK_OP={slot}.{sequence} procctl {} >{} 2>{}; echo "done {slot} {sequence} $?" >{}"#,
            begun.line(),
            out.display(),
            err.display(),
            soak.hello().display()
        );
        let outcome = shell.run(soak, &line, *sequence, ear);
        let text = |path: &PathBuf| {
            let bytes = fs::read(path).unwrap_or_default();
            let _ = fs::remove_file(path);
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let mut model = soak.model();
        let answer = match outcome {
            Outcome::Status(status) => Some(Answer {
                status,
                stdout: text(&out),
                stderr: text(&err),
                attacked: model.attacked.contains(&key),
            }),
            Outcome::ShellDied => None,
            Outcome::Overrun => {
                let busy: Vec<String> = chaos::ours(soak).into_iter().map(porter::describe_blocked).collect();
                let words = begun.words.join(" ");
                let what = format!("{slot}.{sequence} does not come back: procctl {words}\n{busy:#?}");
                drop(model);
                return soak.violate(broken(None, what));
            }
        };
        let who = format!("{slot}.{sequence}");
        judge::note(&mut model, &begun, &who, answer.as_ref());
        let verdict = judge::judge(&mut model, key, &operation, &begun, answer.as_ref());
        let verdict = verdict
            .map_err(|violation| Violation { what: format!("{who}: {}", violation.what), ..violation });
        drop(model);
        soak.figures().operations += 1;
        if let Err(violation) = verdict {
            return soak.violate(violation);
        }
        if answer.is_none() {
            terminal.take().unwrap().bury(soak);
            // A managed one comes again in the next round.
            terminal = (slot < FIRST_INSIDE).then(|| Terminal::open(soak, slot));
        }
    }
    if let Some(terminal) = terminal {
        terminal.close(soak);
    }
}

impl Soak {
    /// Says something on the terminal at once, in a long soak.
    fn say(&self, text: &str) {
        if self.is_loud {
            let _ = writeln!(std::io::stderr(), "{text}");
        }
    }

    /// Everything that helps to understand a violation.
    fn report(&self, violation: &Violation) -> String {
        let mut model = self.model();
        let mut text = format!("PROCCTL_SOAK_SEED={}, round {}", self.seed, self.figures().rounds);
        let evidence = self.env.path("evidence");
        let _ = writeln!(text, ": {}\nthe run directory as it was: {}", violation.what, evidence.display());
        if let Some(tag) = violation.tag
            && let Some(worker) = model.workers.get_mut(&tag)
        {
            let _ = writeln!(
                text,
                "\n{tag}, {:?}, {:?}, may end with {:?}",
                worker.plan, worker.start, worker.may
            );
            let _ = writeln!(text, "the kernel says: {:?}", worker.truth());
            for line in &worker.history {
                let _ = writeln!(text, "  {line}");
            }
            if let Some(id) = &worker.id {
                let directory = evidence.join("processes").join(&id[..2]).join(id);
                let record = fs::read_to_string(directory.join("record.json")).unwrap_or_default();
                let files: Vec<_> = fs::read_dir(&directory).into_iter().flatten().flatten().collect();
                let files: Vec<_> = files.iter().map(fs::DirEntry::file_name).collect();
                let _ = writeln!(text, "its files: {files:?}\nits record: {record}");
            }
        }
        let _ = writeln!(text, "\nThe last operations:");
        for line in &model.log {
            let _ = writeln!(text, "  {line}");
        }
        text
    }
}
