//! Thousands at a time: every exit code is right, every number is given once, and `--tree` leaves nobody, however they fork.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::harness::{Gate, TestEnv, eventually, proc_state, skipped};
use crate::support::{assert_row_is_consistent, say};

const LONG: Duration = Duration::from_secs(900);

/// Numbers in no order, the same for the same seed.
struct Dice(u64);

impl Dice {
    /// Their seed is said, and can be given: `PROCCTL_TEST_SEED`.
    fn new() -> Self {
        let given = std::env::var("PROCCTL_TEST_SEED").ok().map(|seed| seed.parse().expect("a number"));
        let seed = given.unwrap_or_else(|| u64::from(std::process::id()) << 20 | 1);
        // Shown if the test fails.
        say(&format!("seed {seed}"));
        Self(seed)
    }

    fn below(&mut self, limit: usize) -> usize {
        // Knuth's MMIX; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn shuffle<T>(&mut self, all: &mut [T]) {
        for at in (1..all.len()).rev() {
            all.swap(at, self.below(at + 1));
        }
    }
}

/// How a process of the storm ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// By itself, with a code of its own.
    Exit(u8),
    /// By a signal that procctl has nothing to do with.
    Signal(Signal),
    /// By a command of procctl.
    Command(&'static [&'static str], Signal),
}

impl End {
    fn of(serial: usize) -> Self {
        let own = u8::try_from(serial % 120 + 1).unwrap();
        match serial % 8 {
            0 => Self::Signal(Signal::SIGTERM),
            1 => Self::Signal(Signal::SIGKILL),
            2 => Self::Signal(Signal::SIGUSR1),
            3 => Self::Command(&["terminate"], Signal::SIGTERM),
            4 => Self::Command(&["kill"], Signal::SIGKILL),
            5 => Self::Command(&["kill", "-s", "USR2"], Signal::SIGUSR2),
            _ => Self::Exit(own),
        }
    }

    fn exitcode(self) -> i32 {
        match self {
            Self::Exit(code) => code.into(),
            Self::Signal(signal) | Self::Command(_, signal) => -(signal as i32),
        }
    }
}

struct Member {
    id: String,
    pid: i32,
    end: End,
    gate: Gate,
}

impl Member {
    fn start(env: &TestEnv, serial: usize) -> Self {
        let (end, gate) = (End::of(serial), env.gate(&format!("gate-{serial}")));
        let code = if let End::Exit(code) = end { code } else { 0 };
        let script = format!("{}; exit {code}", gate.wait());
        let record = env.json(["start", "--json", "--", "sh", "-c", &script]);
        let id = record["id"].as_str().unwrap().to_owned();
        Self { id, pid: i32::try_from(record["pid"].as_i64().unwrap()).unwrap(), end, gate }
    }

    fn end(&self, env: &TestEnv) {
        match self.end {
            End::Exit(_) => self.gate.open(),
            // It lives until this, so the pid is its own.
            End::Signal(signal) => kill(Pid::from_raw(self.pid), signal).unwrap(),
            End::Command(command, _) => drop(env.ok(command.iter().copied().chain([self.id.as_str()]))),
        }
    }
}

/// Does something to each, in several threads.
fn side_by_side<T: Send, R: Send>(all: Vec<T>, deed: impl Fn(T) -> R + Sync) -> Vec<R> {
    const LANES: usize = 4;
    let queue = Mutex::new(all.into_iter());
    let lane = || {
        let mut done = Vec::new();
        loop {
            let next = queue.lock().unwrap().next();
            match next {
                Some(one) => done.push(deed(one)),
                None => return done,
            }
        }
    };
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..LANES).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().flat_map(|lane| lane.join().unwrap()).collect()
    })
}

/// Private memory of an OS process, KiB.
fn private_memory(pid: i32) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
    let private = text.lines().filter(|line| line.starts_with("Private_"));
    private.map(|line| line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()).sum()
}

fn storm(count: usize) {
    const JOINS: usize = 20;
    let env = TestEnv::new();
    let mut dice = Dice::new();
    let begun = Instant::now();
    let mut members = side_by_side((0..count).collect(), |serial| Member::start(&env, serial));
    say(&format!("{count} started in {:.1?}", begun.elapsed()));
    let some = members.iter().step_by(count.div_ceil(50));
    let memory: Vec<u64> = some.map(|member| private_memory(env.monitor_pid(&member.id))).collect();
    say(&format!("private per monitor: {} KiB", memory.iter().sum::<u64>() / memory.len() as u64));

    let wanted: BTreeMap<String, i32> =
        members.iter().map(|member| (member.id.clone(), member.end.exitcode())).collect();
    // Most wait for a share, which they have in common with another one; some for all.
    let ids: Vec<&String> = wanted.keys().collect();
    let shares = ids.chunks(count.div_ceil(JOINS / 2 - 1)).map(<[&String]>::to_vec);
    let mut joins: Vec<_> = shares
        .clone()
        .chain(shares)
        .map(|share| env.procctl(["join", "--json"]).args(share).deadline(LONG).spawn())
        .chain((0..2).map(|_| env.procctl(["join", "--all", "--json"]).deadline(LONG).spawn()))
        .collect();
    assert_eq!(joins.len(), JOINS);
    for join in &mut joins {
        join.wait_until_blocked();
    }

    dice.shuffle(&mut members);
    let done = AtomicBool::new(false);
    let begun = Instant::now();
    thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                let output = env.procctl(["status", "--json"]).deadline(LONG).output();
                let rows: Vec<Value> = serde_json::from_str(&output.success()).unwrap();
                assert_eq!(rows.len(), count);
                for row in &rows {
                    assert_row_is_consistent(row);
                    assert!(
                        row["exitcode"].is_null() || row["exitcode"] == wanted[row["id"].as_str().unwrap()]
                    );
                }
                looks += 1;
            }
            looks
        });
        side_by_side(members, |member| member.end(&env));
        let ended = begun.elapsed();
        let mut told = 0;
        for join in joins {
            let output = join.wait();
            output.quiet();
            let records: Vec<Value> = serde_json::from_str(&output.stdout()).unwrap();
            assert!(!records.is_empty());
            let first =
                records.iter().find_map(|record| record["exitcode"].as_i64().filter(|&code| code != 0));
            let status = first.map_or(0, |code| if code < 0 { 128 - code } else { code });
            assert_eq!(i64::from(output.code()), status);
            for record in &records {
                assert_eq!(record["exitcode"], wanted[record["id"].as_str().unwrap()], "{record}");
            }
            told += records.len();
        }
        // Each was in two shares, and two waited for all.
        assert_eq!(told, 4 * count);
        done.store(true, Ordering::Relaxed);
        let looks = looker.join().unwrap();
        let load = fs::read_to_string("/proc/loadavg").unwrap();
        say(&format!("ended in {ended:.1?}, told in {:.1?}, {looks} looks, load {load}", begun.elapsed()));
    });

    for record in env.status() {
        let id = record["id"].as_str().unwrap();
        assert_eq!(record["exitcode"], wanted[id], "{record}");
        assert_eq!(record["state"], "stopped", "{record}");
        assert_eq!(record["witness"], "monitor", "{record}");
    }
}

#[test]
fn hundreds_end_in_any_order_and_every_code_is_right() {
    storm(200);
}

/// `PROCCTL_TEST_STORM` says how many. 5000 need some 15,000 pids and a minute.
#[test]
#[ignore = "it loads the machine: cargo test --release --test it storm -- --ignored --nocapture"]
fn thousands_end_in_any_order_and_every_code_is_right() {
    let count = std::env::var("PROCCTL_TEST_STORM").map_or(5000, |count| count.parse().expect("a number"));
    storm(count);
}

#[test]
fn a_thousand_starts_from_sixteen_shells_are_all_there_and_numbered() {
    const EACH: usize = 63;
    let env = TestEnv::new();
    let script = format!(
        "for i in $(seq {EACH}); do
            if [ $((i % 3)) = 0 ]; then name=(-n \"named-$$-$i\"); else name=(); fi
            procctl start \"${{name[@]}}\" -- true &
        done; wait"
    );
    let shells: Vec<_> = (0..16).map(|_| env.bash(&script).deadline(LONG).spawn()).collect();
    let mut said: Vec<(i32, Vec<String>)> = Vec::new();
    for shell in shells {
        let pid = shell.pid();
        said.push((pid, shell.wait().success().lines().map(str::to_owned).collect()));
    }
    let output = env.procctl(["status", "--json"]).deadline(LONG).output();
    let records: Vec<Value> = serde_json::from_str(&output.success()).unwrap();
    assert_eq!(records.len(), 16 * EACH);
    for (shell, mut ids) in said {
        let own = || records.iter().filter(|record| record["parent"]["pid"] == shell);
        let mut recorded: Vec<&str> = own().map(|record| record["id"].as_str().unwrap()).collect();
        recorded.sort_unstable();
        ids.sort_unstable();
        assert_eq!(ids, recorded, "the ids that were printed are the ones that are there");
        let mut numbers: Vec<u64> = own().map(|record| record["identity"][0].as_u64().unwrap()).collect();
        numbers.sort_unstable();
        assert_eq!(numbers, (1..=EACH as u64).collect::<Vec<_>>(), "of the shell {shell}");
        let named =
            |record: &&Value| record["name"].as_str().unwrap().starts_with(&format!("named-{shell}-"));
        assert_eq!(own().filter(named).count(), EACH / 3);
        for record in own().filter(|record| !named(record)) {
            assert_eq!(record["name"], format!("Process-{}", record["identity"][0]), "{record}");
        }
    }
    env.procctl(["join", "--all"]).deadline(LONG).output().exits(0).quiet();
}

/// A FIFO whose writers are the processes of a tree. When the last one has ended it hangs up: that is exact, which no list of
/// processes is.
struct Tether(File);

impl Tether {
    const NAME: &'static str = "tether";

    fn new(env: &TestEnv) -> Self {
        let path = env.path(Self::NAME);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let options = OpenOptions::new().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path);
        Self(options.unwrap())
    }

    /// Nobody holds the other end any more.
    fn is_loose(&self) -> bool {
        let mut fds = [PollFd::new(&self.0, PollFlags::empty())];
        poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap();
        fds[0].revents().contains(PollFlags::HUP)
    }
}

/// Ends the tree of `python FILE` by `command`, as soon as `begun` says so; nobody may be left.
#[track_caller]
fn assert_tree_ends(program: &str, command: &[&str], instant: Duration) {
    let env = TestEnv::new();
    let tether = Tether::new(&env);
    env.file("tree.py", program);
    let id = env.start(&[], &[crate::harness::python().to_str().unwrap(), "-I", "-S", "tree.py"]);
    eventually("the tree has begun", || env.path("begun").exists().then_some(()));
    thread::sleep(instant);
    let output = env.procctl(command).arg(&id).output();
    output.exits(0).quiet();
    let left = !tether.is_loose();
    assert!(!left, "{command:?} left one of its tree");
    assert!(!env.path("outlived").exists(), "{command:?} was outlived: the test shows nothing");
    assert_eq!(env.get(&id, "state"), "stopped");
}

/// Chains of processes each of which forks the next and exits, with or without a session of its own. They end after some
/// seconds if nobody ends them.
const CHAINS: &str = r#"
import os
tether = os.open("tether", os.O_WRONLY)
def chain(session):
    for link in range(4000):
        if os.fork(): os._exit(0)
        if session: os.setsid()
        if link == 50: open("begun", "w").close()
    open("outlived", "w").close()
for session in (False, True):
    if os.fork() == 0:
        chain(session)
        os._exit(0)
import signal
signal.pause()
"#;

/// The kernel's lists of children are what chains can be seen in. Says so if there are none.
fn kernel_lists_children() -> bool {
    let lists = fs::exists("/proc/thread-self/children").unwrap();
    if !lists {
        skipped("the kernel was built without CONFIG_PROC_CHILDREN");
    }
    lists
}

#[test]
fn tree_catches_chains_that_fork_and_exit() {
    if !kernel_lists_children() {
        return;
    }
    for command in [["terminate", "--tree"], ["kill", "--tree"]] {
        for round in 0..4 {
            assert_tree_ends(CHAINS, &command, Duration::from_millis(round * 7));
        }
    }
}

/// A bounded fork bomb: every process forks two, some leave their session, some exit and orphan them; the last ones wait.
/// TRAP is what they do with SIGTERM.
const BOMB: &str = r#"
import os, random, signal
tether = os.open("tether", os.O_WRONLY)
TRAP
def grow(depth):
    random.seed()
    if random.random() < .3: os.setsid()
    while depth:
        depth -= 1
        if depth == 3: open("begun", "w").close()
        if os.fork() == 0:
            random.seed()
            if random.random() < .3: os.setsid()
        elif random.random() < .3: os._exit(0)
    while True: signal.pause()
if os.fork() == 0: grow(8)
while True: signal.pause()
"#;

#[test]
fn tree_ends_a_fork_bomb_that_leaves_its_sessions_and_parents() {
    let bomb = BOMB.replace("TRAP", "");
    for command in [["terminate", "--tree"], ["kill", "--tree"]] {
        for round in 0..4 {
            assert_tree_ends(&bomb, &command, Duration::from_millis(round * 3));
        }
    }
}

#[test]
fn tree_with_kill_after_ends_a_fork_bomb_that_ignores_sigterm() {
    let bomb = BOMB.replace("TRAP", "signal.signal(signal.SIGTERM, signal.SIG_IGN)");
    for round in 0..3 {
        let command = ["terminate", "--tree", "--kill-after", "0.05"];
        assert_tree_ends(&bomb, &command, Duration::from_millis(round * 5));
    }
}

/// Chains that ignore SIGTERM are found anew for as long as they fork: the time must be kept all the same.
#[test]
fn tree_with_kill_after_keeps_the_time_with_chains_that_ignore_sigterm() {
    if !kernel_lists_children() {
        return;
    }
    let chains = CHAINS.replace("tether =", "import signal; signal.signal(15, signal.SIG_IGN); tether =");
    assert_tree_ends(&chains, &["terminate", "--tree", "--kill-after", "0.05"], Duration::ZERO);
}

/// Starts processes without a pause, in several lanes; each of the outer ones starts another. Bounded.
const NEST: &str = r"
echo 'procctl start -- sleep 1000 >/dev/null; exec sleep 1000' > outer
for lane in 1 2 3 4; do
    for i in $(seq 60); do
        procctl start -- sleep 1000 >/dev/null
        procctl start -- sh -c 'exit 7' >/dev/null
        procctl start -- sh outer >/dev/null
    done &
done
wait
sleep 1000
";

#[test]
fn tree_ends_what_is_being_started_and_every_monitor_records_its_end() {
    for (command, code) in [("kill", -9), ("terminate", -15)] {
        for round in 0..5 {
            let env = TestEnv::new();
            let id = env.start(&[], &["bash", "-c", NEST]);
            let many = 10 + round * 20;
            eventually("many were started", || (env.status().len() > many).then_some(()));
            env.ok([command, "--tree", &id]);
            for record in env.status() {
                let exited = record["command"] == json!(["sh", "-c", "exit 7"]);
                let wanted = record["exitcode"] == code || exited && record["exitcode"] == 7;
                assert!(wanted && record["lost"].is_null(), "{command} --tree, round {round}: {record}");
                assert_eq!(record["witness"], "monitor", "{record}");
            }
            eventually("every monitor has left", || env.os_processes().is_empty().then_some(()));
        }
    }
}

/// They would fill the table of processes, and then nobody could start any.
#[test]
fn a_monitor_that_stays_for_the_tree_leaves_no_zombies() {
    if !kernel_lists_children() {
        return;
    }
    let env = TestEnv::new();
    let (first, second) = (env.gate("first"), env.gate("second"));
    let stubborn = format!(
        "trap '' TERM; touch ready; {}; for i in $(seq 30); do (true &); done; touch forked; {}",
        first.wait(),
        second.wait()
    );
    env.file("stubborn", stubborn);
    let id = env.start(&[], &["sh", "-c", "setsid bash stubborn & exec sleep 1000"]);
    let monitor = env.monitor_pid(&id);
    eventually("it ignores SIGTERM", || env.path("ready").exists().then_some(()));
    let terminate = env.procctl(["terminate", "--tree", &id]).spawn();
    assert_eq!(env.join(&id), 143);
    first.open();
    eventually("it has forked", || env.path("forked").exists().then_some(()));
    eventually("no zombie is left", || {
        let children =
            fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).unwrap_or_default();
        let mut pids = children.split_whitespace().map(|pid| pid.parse().unwrap());
        (!pids.any(|pid| proc_state(pid) == Some('Z'))).then_some(())
    });
    second.open();
    terminate.wait().success();
}
