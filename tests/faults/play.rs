//! Plays a scene with each of its steps struck in turn.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::harness::{DEADLINE, Output, TestEnv, eventually};
use crate::support::{files_below, record_file};
use crate::tidy;

/// What is done at the step that is struck.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Strike {
    /// The process is killed.
    Kill,
    /// The deed is told to have failed with this.
    Fail(i32),
}

impl fmt::Display for Strike {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => f.write_str("KILL"),
            Self::Fail(number) => write!(f, "{number}"),
        }
    }
}

const ENOSPC: i32 = 28;
const EIO: i32 = 5;
const EMFILE: i32 = 24;
const EAGAIN: i32 = 11;

fn all_are_struck() -> bool {
    std::env::var_os("PROCCTL_TEST_ALL_FAULTS").is_some()
}

/// How the steps of one round are struck, by their number. Few places tell one error from another, so the last round takes
/// three of them in turn; with `PROCCTL_TEST_ALL_FAULTS` every step is struck in all five ways.
fn rounds() -> Vec<fn(usize) -> Strike> {
    if all_are_struck() {
        return vec![
            |_| Strike::Kill,
            |_| Strike::Fail(EIO),
            |_| Strike::Fail(ENOSPC),
            |_| Strike::Fail(EMFILE),
            |_| Strike::Fail(EAGAIN),
        ];
    }
    vec![|_| Strike::Kill, |_| Strike::Fail(EIO), |step| Strike::Fail([ENOSPC, EMFILE, EAGAIN][step % 3])]
}

/// One try of a scene.
pub(crate) struct Try<'a> {
    pub(crate) env: &'a TestEnv,
    pub(crate) strike: Strike,
    /// Whose steps are struck.
    pub(crate) role: &'a str,
    before: &'a Before,
    order: String,
    log: std::path::PathBuf,
}

impl Try<'_> {
    /// Makes a process that the scene needs, by a command that is not struck; its id.
    pub(crate) fn prepare(&self, args: &[&str]) -> String {
        let id = self.env.ok(args);
        self.before.note_number(&self.env.record(&id));
        id
    }

    /// Runs a procctl command that is struck.
    pub(crate) fn struck(&self, args: &[&str]) -> Output {
        let call = self.env.procctl(args);
        call.env("PROCCTL_FAULT", &self.order).env("PROCCTL_FAULT_LOG", &self.log).output()
    }

    /// May an exit code be lost? Only if the one that was to record it is dead.
    pub(crate) fn killed_monitor(&self) -> bool {
        self.strike == Strike::Kill && matches!(self.role, "monitor" | "second" | "child" | "adopter")
    }

    /// It did what it was to do and said nothing; or it was killed; or it says in one error why not.
    #[track_caller]
    pub(crate) fn assert_honest(&self, output: &Output) {
        if output.signal() == Some(9) && self.strike == Strike::Kill {
            return;
        }
        if [125, 126, 127].contains(&output.code()) {
            output.one_error(&[]);
        }
    }

    /// The process ended with 7: at once, or after a second look.
    #[track_caller]
    pub(crate) fn assert_ends_with(&self, id: &str, code: i32) {
        let output = self.env.procctl(["join", id]).output();
        let lost = self.killed_monitor() && output.code() == 125 && output.stderr().contains("lost");
        // A daemonic process ends with its monitor.
        let record = self.env.record(id);
        let terminated = self.killed_monitor() && record["daemon"] == true && output.code() == 128 + 15;
        assert!(output.code() == code || lost || terminated, "{output:?}");
        assert_eq!(record["state"], "stopped", "{record}");
        assert_eq!(record["lost"].is_string(), lost, "{record}");
        self.env.procctl(["is-alive", id]).output().exits(1);
        // Whoever looks at it finishes what was left undone: opening the sentinel never blocks.
        // (A monitor that failed tries again.)
        let sentinel = || fs::symlink_metadata(self.env.get(id, "sentinel")).unwrap();
        assert!(eventually_or(|| sentinel().is_file()), "{:?}", sentinel());
        assert!(eventually_or(|| !tidy::is_on_live_shelf(self.env, id)), "on the shelf of the live");
    }

    /// What the log says of the step that was struck.
    fn what_was_struck(&self) -> Option<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        log.lines().find(|line| line.ends_with(" struck")).map(str::to_owned)
    }
}

/// Plays `scene` with every step of `role` struck in every way.
#[track_caller]
pub(crate) fn every_step(role: &str, scene: impl Fn(&Try<'_>)) {
    every_nth_step(1, role, scene);
}

/// As [`every_step`], for scenes of hundreds of steps that are much the same: of `nth` steps one is struck in each round, and
/// all of them with `PROCCTL_TEST_ALL_FAULTS`.
#[track_caller]
pub(crate) fn every_nth_step(nth: usize, role: &str, scene: impl Fn(&Try<'_>)) {
    let nth = if all_are_struck() { 1 } else { nth };
    for (round, strike_at) in rounds().into_iter().enumerate() {
        let env = TestEnv::new();
        let before = Before::make(&env);
        let mut steps = round % nth;
        loop {
            let log = env.path(format!("log-{steps}"));
            let strike = strike_at(steps);
            let order = format!("{role}:{}:{strike}", steps + 1);
            let one = Try { env: &env, strike, role, before: &before, order, log };
            let told = Told(&one);
            scene(&one);
            // A monitor may make its last steps yet.
            eventually("all commands have ended", || (before.others(&env).is_empty()).then_some(()));
            let Some(struck) = one.what_was_struck() else { break };
            before.assert_untouched(&env);
            before.assert_all_answer(&env);
            // Who is killed, or cannot remove a thing, or is told that what has been done has failed, leaves what is cleared
            // later.
            let removes = ["remove", "list", "gone.", "open names/", "open processes/"]
                .iter()
                .any(|word| struck.contains(word));
            if strike == Strike::Kill || struck.contains(" after ") || removes {
                tidy::clear_old(&env);
            }
            eventually_tidy(&env);
            drop(told);
            steps += nth;
        }
        assert!(steps > 0, "no step of {role} was ever made");
        before.end(&env);
    }
}

/// Says which step was struck when a check fails.
struct Told<'a>(&'a Try<'a>);

impl Drop for Told<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let struck = self.0.what_was_struck();
            #[expect(clippy::print_stderr, reason = "part of the failure's message")]
            {
                eprintln!("STRUCK {} {}: {struck:?}", self.0.order, self.0.env.root().display());
            }
        }
    }
}

#[track_caller]
fn eventually_tidy(env: &TestEnv) {
    let mut left = Vec::new();
    let tidy = eventually_or(|| {
        left = tidy::leftovers(env);
        left.is_empty()
    });
    assert!(tidy, "left: {left:#?}");
}

/// Whether something comes true. A monitor makes its last steps after everybody who waited has been told.
fn eventually_or(mut is_true: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + DEADLINE / 4;
    while !is_true() {
        if Instant::now() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    true
}

/// What was there before, and must be there afterwards as it was.
pub(crate) struct Before {
    live: String,
    ended: String,
    files: Vec<(std::path::PathBuf, Vec<u8>)>,
    last: Cell<u64>,
}

impl Before {
    fn make(env: &TestEnv) -> Self {
        let live = env.sleeper(&["-n", "before-live"]);
        let ended = env.start(&["-n", "before-ended"], &["sh", "-c", "exit 3"]);
        assert_eq!(env.join(&ended), 3);
        let files = [&live, &ended]
            .into_iter()
            .map(|id| record_file(env, id))
            .map(|path| (path.clone(), fs::read(path).unwrap()))
            .collect();
        Self { live, ended, files, last: Cell::new(2) }
    }

    #[track_caller]
    fn assert_untouched(&self, env: &TestEnv) {
        for (path, bytes) in &self.files {
            assert_eq!(&fs::read(path).unwrap(), bytes, "{}", path.display());
        }
        env.ok(["is-alive", &self.live]);
        assert_eq!(env.join("before-ended"), 3);
    }

    /// The commands that run, but for the one of before. (Monitors are no commands.)
    fn others(&self, env: &TestEnv) -> Vec<i32> {
        let live = env.pid(&self.live);
        let is_procctl = |pid: i32| {
            fs::read_link(format!("/proc/{pid}/exe"))
                .is_ok_and(|exe| exe.to_string_lossy().contains("procctl"))
        };
        env.os_processes().into_iter().filter(|&pid| pid != live && !is_procctl(pid)).collect()
    }

    /// Every command works; what has ended is stopped. Then everything but what was before is closed, and a second attempt
    /// works.
    #[track_caller]
    fn assert_all_answer(&self, env: &TestEnv) {
        let records = env.status();
        env.ok(["status"]);
        env.ok(["status", "--children", "--json"]);
        for record in &records {
            let id = record["id"].as_str().unwrap();
            self.note_number(record);
            if id == self.live || id == self.ended {
                continue;
            }
            if record["state"] != "initial" {
                assert_eq!(record["state"], "stopped", "{record}");
                env.procctl(["is-alive", id]).output().exits(1).quiet();
                env.ok(["terminate", id]);
            }
            env.ok(["close", id]);
        }
        let left: BTreeSet<String> =
            env.status().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
        assert_eq!(left, BTreeSet::from([self.live.clone(), self.ended.clone()]));
        let next = env.start(&[], &["sh", "-c", "exit 4"]);
        assert_eq!(env.join(&next), 4);
        let last = self.last.get();
        self.note_number(&env.record(&next));
        assert_eq!(self.last.get(), last + 1, "a number was left out or used twice");
        env.ok(["close", &next]);
    }

    /// Remembers the highest number that was ever given.
    pub(crate) fn note_number(&self, record: &Value) {
        self.last.set(self.last.get().max(record["identity"][0].as_u64().unwrap()));
    }

    fn end(&self, env: &TestEnv) {
        env.ok(["kill", "--wait", &self.live]);
        env.ok(["close", "--all"]);
        assert_eq!(env.status().len(), 0);
        let left = files_below(&env.run_dir().join("processes"));
        assert!(left.is_empty(), "{left:?}");
    }
}

/// Kills the commands that a scene left to nobody.
pub(crate) fn kill_others(one: &Try<'_>) {
    kill_all(one.before.others(one.env));
}

/// The same, but for one that is still needed.
pub(crate) fn kill_others_than(one: &Try<'_>, id: &str) {
    let kept = one.env.pid(id);
    kill_all(one.before.others(one.env).into_iter().filter(|&pid| pid != kept).collect());
}

fn kill_all(pids: Vec<i32>) {
    for pid in pids {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}
