//! Odd surroundings: containers, parents that do not reap, missing streams, directories and descriptors, stopped and traced
//! processes, clocks that were set. procctl works there, or says clearly why not and leaves nothing.

use std::fs;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{
    PROCCTL, TestEnv, eventually, installed, proc_fds, proc_stat, proc_state, proc_status, skipped,
};
use crate::support::{Held, Worker, edit_record, kernel_at_least, kernel_tells_exit_codes, kill_monitor};

type Sent = rustix::process::Signal;

/// `procctl ARG...` as the first process of a pid namespace. None, said aloud, where there can't be one.
fn as_first_process(env: &TestEnv, args: &[&str]) -> Option<crate::harness::Call> {
    let unshare = ["--pid", "--fork", "--mount-proc", "--kill-child"];
    if !installed("unshare") || !env.program("unshare").args(unshare).arg("true").output().status.success() {
        skipped("no pid namespace may be made here");
        return None;
    }
    Some(env.program("unshare").args(unshare).arg("procctl").args(args))
}

/// The only child of a process.
fn child_of(pid: i32) -> i32 {
    eventually("there is a child", || {
        fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?.trim().parse().ok()
    })
}

#[test]
fn run_as_the_first_process_passes_signals_on_from_inside_and_outside() {
    let env = TestEnv::new();
    let Some(inside) = as_first_process(&env, &["run", "--", "bash", "-c", "kill -TERM 1; exec sleep 1000"])
    else {
        return;
    };
    inside.output().exits(143);
    let outside = as_first_process(
        &env,
        &["run", "--", "bash", "-c", "trap 'exit 9' USR1; echo > ready; while :; do sleep 0.01; done"],
    );
    let outside = outside.unwrap().spawn();
    eventually("it is ready", || env.path("ready").exists().then_some(()));
    Held::open(child_of(outside.pid())).signal(Sent::USR1);
    outside.wait().exits(9);
}

#[test]
fn run_as_the_first_process_joins_its_children_and_ends_with_what_it_leaves() {
    let env = TestEnv::new();
    let script = "procctl start -n child -- sh -c 'sleep 0.2; exit 5'
        procctl start -d -n daemonic -- sleep 1000
        setsid sleep 1000 & exit 4";
    let Some(run) = as_first_process(&env, &["run", "-n", "main", "--", "bash", "-c", script]) else {
        return;
    };
    run.output().exits(4);
    for (name, code) in [("main", "4"), ("child", "5"), ("daemonic", "-15")] {
        assert_eq!(env.get(name, "exitcode"), code, "{name}");
    }
}

#[test]
fn run_reaps_while_it_joins_its_children_also_those_whose_monitor_was_killed() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let script = format!("procctl start -n child -- bash -c '{}; exit 5'; exit 4", gate.wait());
    let run = env.procctl(["run", "-n", "main", "--", "bash", "-c", &script]).spawn();
    eventually("the command has ended", || {
        (env.procctl(["get", "main", "state"]).output().stdout() == "stopped").then_some(())
    });
    let monitor = env.monitor_pid("child");
    kill_monitor(&env, "child");
    // It is `run` that inherits both.
    assert_eq!(proc_stat(env.pid("child")).unwrap()[1], run.pid().to_string());
    eventually("the monitor is reaped", || proc_stat(monitor).is_none().then_some(()));
    gate.open();
    run.wait().exits(4).quiet();
    assert_eq!(env.get("child", "exitcode"), "5");
}

#[test]
fn under_a_subreaper_that_never_reaps_ends_are_told_as_ever() {
    let env = TestEnv::new();
    let parent = env.python(
        r#"
import ctypes, subprocess, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
launchers = [subprocess.Popen(["procctl", "start", "-n", "w", "--", "sh", "-c", "exit 3"], stdout=subprocess.PIPE) for _ in range(3)]
for launcher in launchers:
    launcher.stdout.read()
# Nobody is waited for but those who wait for the end themselves.
sys.exit(subprocess.run(["procctl", "join"]).returncode * 10 + subprocess.run(["procctl", "run", "--", "sh", "-c", "exit 4"]).returncode)
"#,
    );
    parent.output().exits(34);
    assert!(env.status().iter().all(|row| row["state"] == "stopped" && row["lost"].is_null()));
}

#[test]
fn a_process_that_nobody_reaps_is_not_alive_and_holds_up_no_signal() {
    let env = TestEnv::new();
    let script = r#"
import ctypes, subprocess, sys
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
print(subprocess.check_output(["procctl", "start", "--", "sleep", "1000"], text=True).strip(), flush=True)
sys.stdin.read()
"#;
    let mut parent = std::process::Command::new(crate::harness::python())
        .args(["-c", script])
        .env_clear()
        .env("PATH", std::env::join_paths([env.path("bin"), "/usr/bin".into(), "/bin".into()]).unwrap())
        .env("PROCCTL_RUN_DIR", env.run_dir())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut id = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(parent.stdout.take().unwrap()), &mut id)
        .unwrap();
    let id = id.trim();
    let process = Held::open(env.pid(id));
    kill_monitor(&env, id);
    env.procctl(["terminate", id]).output().exits(0).quiet();
    process.wait_end();
    assert_eq!(proc_state(env.record(id)["pid"].as_i64().unwrap().try_into().unwrap()), Some('Z'));
    env.procctl(["is-alive", id]).output().exits(1).quiet();
    for args in [&["terminate", "--wait", id][..], &["kill", id], &["kill", "--tree", "--wait", id]] {
        env.procctl(args).output().exits(0);
    }
    // Before Linux 5.17 the code is told only when it has been reaped.
    let at_once = if kernel_at_least(5, 17) { 143 } else { 124 };
    env.procctl(["join", "--timeout", "0.1", id]).output().exits(at_once);
    assert_ne!(env.get(id, "state"), "started");
    drop(parent.stdin.take());
    parent.wait().unwrap();
    // Its next parent reaps it.
    env.procctl(["join", id]).output().exits(143);
}

#[test]
fn a_caller_that_blocks_every_signal_is_no_trouble_and_the_command_inherits_that() {
    let env = TestEnv::new();
    let blocking = |args: &[&str]| env.program("env").args(["--block-signal", "procctl"]).args(args).output();
    let blocked = |pid| proc_status(pid, "SigBlk").unwrap();
    let own = env.program("env").args(["--block-signal", "grep", "SigBlk", "/proc/self/status"]).output();
    let id = blocking(&["start", "--", "sleep", "1000"]).success();
    assert_eq!(own.success().split_whitespace().last().unwrap(), blocked(env.pid(&id)));
    blocking(&["run", "--", "sh", "-c", "exit 4"]).exits(4);
    // The signal stays pending: it is blocked.
    blocking(&["terminate", &id]).success();
    assert_eq!(env.get(&id, "state"), "started");
    blocking(&["kill", "--wait", "--tree", &id]).success();
    blocking(&["join", &id]).exits(137).quiet();
    let run =
        env.program("env").args(["--block-signal", "procctl", "run", "-n", "run", "--", "sleep", "1000"]);
    let run = run.spawn();
    eventually("it runs", || env.procctl(["is-alive", "run"]).output().status.success().then_some(()));
    run.signal(Signal::SIGHUP);
    // It was passed on, and it pends.
    let pid = env.pid("run");
    eventually("the signal is there", || proc_status(pid, "ShdPnd")?.ends_with('1').then_some(()));
    env.ok(["kill", "run"]);
    run.wait().exits(137);
}

#[test]
fn closed_streams_in_every_combination_change_no_commands_outcome() {
    let env = TestEnv::new();
    let script = r#"
        for closed in '' '<&-' '>&-' '2>&-' '<&- >&-' '<&- 2>&-' '>&- 2>&-' '<&- >&- 2>&-'; do
            bare() { wanted=$1; shift; eval "( procctl \"\$@\" $closed )"; code=$?
                    [ $code = $wanted ] || echo "[$closed] $*: $code, not $wanted"; }
            exec 7>&1 8>&2 >>said 2>&1
            {
            bare 0 start -n w -- sleep 1000
            bare 0 start -n i --stdin inherit --stdout inherit --stderr inherit -- sh -c 'exit 3'
            bare 3 join i
            bare 0 create -n c -- sh -c 'exit 4'
            bare 0 start c
            bare 4 join --json c
            bare 0 status
            bare 0 status --json
            bare 0 get w
            bare 0 logs w
            bare 0 set w name=v
            bare 0 is-alive v
            bare 5 run -- sh -c 'exit 5'
            bare 5 run -- sh -c 'read x; echo out; echo err >&2; exit 5'
            bare 125 get nobody
            bare 125 nonsense
            bare 0 interrupt --wait v
            bare 130 join v
            bare 0 terminate v
            bare 0 kill --all --tree
            bare 0 close --all
            } >&7 2>> said
            exec >&7 2>&8
        done"#;
    // What goes wrong is said on the streams that stay open for it.
    let output = env.bash(script).output();
    output.exits(0);
    let said = output.stdout();
    let wrong: Vec<&str> =
        said.lines().filter(|line| line.starts_with('[') && line.contains(", not ")).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn no_file_of_procctls_lands_where_a_closed_stream_was() {
    let env = TestEnv::new();
    for (number, closed) in
        ["<&-", ">&-", "2>&-", "<&- >&-", "<&- 2>&-", ">&- 2>&-", "<&- >&- 2>&-"].iter().enumerate()
    {
        let name = format!("w{number}");
        env.bash(&format!(
            "procctl start -n {name} --stdin inherit --stdout inherit --stderr inherit -- sleep 1000 >out 2>err {closed}"
        ))
        .output();
        for pid in [env.pid(&name), env.monitor_pid(&name)] {
            for (fd, path) in proc_fds(pid) {
                assert!(
                    fd > 2 || !path.starts_with(env.run_dir()),
                    "{closed}: {fd} of {pid} is {}",
                    path.display()
                );
            }
        }
    }
}

#[test]
fn in_a_directory_that_was_deleted_everything_works() {
    let env = TestEnv::new();
    let script = r#"
        mkdir gone; cd gone; rmdir ../gone
        id=$(procctl start -- sh -c 'exit 3') || echo start
        procctl join "$id"; [ $? = 3 ] || echo join
        procctl run -- sh -c 'exit 4'; [ $? = 4 ] || echo run
        id=$(procctl create -- sh -c 'exit 5') || echo create
        procctl status > /dev/null || echo status
        procctl start -C / -n w -- sleep 1000 > /dev/null || echo -C
        procctl terminate --tree w || echo terminate
        # The record knows a directory that is no more.
        procctl start "$id"; echo $?
        # A relative name means nothing here.
        procctl --run-dir x start -- true; echo $?
        procctl start --stdout x -- true; echo $?
        procctl start -C x -- true; echo $?"#;
    let output = env.bash(script).output();
    output.exits(0);
    assert_eq!(output.stdout(), "125\n125\n125\n125", "{output:?}");
    let errors = output.stderr().lines().filter(|line| line.starts_with("procctl: ")).count();
    assert_eq!(errors, 4, "{output:?}");
}

#[test]
fn with_few_descriptors_every_command_works_or_says_so_and_leaves_all_as_it_was() {
    if !installed("prlimit") {
        return skipped("there is no prlimit");
    }
    let env = TestEnv::new();
    let script = "for i in 1 2 3 4 5 6; do sleep 1000 & done; echo ready; wait";
    let id = env.start_ready(&["-n", "w"], script);
    let root = env.pid(&id);
    let tree: Vec<i32> = fs::read_to_string(format!("/proc/{root}/task/{root}/children"))
        .unwrap()
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .chain([root])
        .collect();
    assert_eq!(tree.len(), 7);
    let ended = env.start(&["-n", "ended"], &["sh", "-c", "exit 3"]);
    assert_eq!(env.join(&ended), 3);
    let commands: [(&[&str], &[i32]); 15] = [
        (&["run", "--", "true"], &[0]),
        (&["join", "ended"], &[3]),
        (&["join", "w", "--timeout", "0"], &[124]),
        (&["terminate", "ended"], &[0]),
        (&["terminate", "--tree", "w"], &[]),
        (&["kill", "-s", "0", "w"], &[0]),
        (&["is-alive", "w"], &[0]),
        (&["status"], &[0]),
        (&["status", "--json"], &[0]),
        (&["status", "w"], &[0]),
        (&["status", "--tree"], &[0]),
        (&["logs", "w"], &[0]),
        (&["get", "w", "pid"], &[0]),
        (&["set", "w", "name=w"], &[0]),
        (&["close", "w"], &[]),
    ];
    let mut worked = 0;
    for limit in 3..=16 {
        for (args, codes) in commands {
            // With its seven processes the tree is more than this limit allows, whatever it is.
            if limit > 9 && args.contains(&"--tree") {
                continue;
            }
            let output = env
                .program("prlimit")
                .arg(format!("--nofile={limit}"))
                .args(["--", PROCCTL])
                .args(args)
                .output();
            // A dynamically linked program needs one itself, before it can say anything.
            if output.status.code() == Some(127) && output.stderr().contains("shared libraries") {
                continue;
            }
            if codes.contains(&output.code()) && !output.stderr().contains("Too many open files") {
                worked += 1;
            } else {
                let cause = if args[0] == "close" { "" } else { "Too many open files" };
                assert!(output.stderr().contains(cause), "{limit}: {output:?}");
                assert!([0, 125].contains(&output.code()), "{limit}: {output:?}");
            }
            // One of several that could not be looked at has no line of its own for what to do.
            if output.code() == 125 && output.stderr().contains("Too many open files") {
                assert!(output.stderr().contains("ulimit -n"), "{limit}: {output:?}");
            }
            assert!(
                tree.iter().all(|&pid| proc_state(pid) != Some('T')),
                "left stopped: {limit}: {output:?}"
            );
        }
    }
    assert!(worked > 50, "{worked}");
    assert!(tree.iter().all(|&pid| matches!(proc_state(pid), Some('S' | 'R'))));
    assert_eq!(env.get("w", "state"), "started");
    env.ok(["terminate", "--tree", "w"]);
    assert_eq!(env.get(&id, "exitcode"), "-15");
}

#[test]
fn with_little_address_space_a_start_works_or_leaves_nothing() {
    if !installed("prlimit") {
        return skipped("there is no prlimit");
    }
    let env = TestEnv::new();
    let mut started = 0;
    for megabytes in [1, 2, 3, 4, 5, 6, 8, 12, 16, 32, 64] {
        let limit = format!("--as={}", megabytes << 20);
        let output = env
            .program("prlimit")
            .arg(&limit)
            .args(["--", PROCCTL, "start", "--", "sh", "-c", "exit 3"])
            .output();
        if output.status.success() {
            started += 1;
            // Whether the command itself can live with that is its own affair.
            assert!([3, 127, 139].contains(&env.join(&output.stdout())), "{megabytes}");
        }
        let rows = env.status();
        assert_eq!(rows.len(), started, "{megabytes}: {output:?}");
        assert!(rows.iter().all(|row| row["lost"].is_null()), "{rows:?}");
    }
    assert!(started > 3, "{started}");
}

#[test]
fn a_command_line_that_the_kernel_does_not_take_is_126_and_leaves_nothing() {
    let env = TestEnv::new();
    let long = "x".repeat(100_000);
    let create: Vec<&str> =
        ["create", "-n", "long", "--", "true"].into_iter().chain([long.as_str(); 12]).collect();
    let id = env.ok(create);
    // Either alone is possible, both together are not.
    let mut start = env.procctl(["start", &id]);
    for number in 0..12 {
        start = start.env(format!("LONG{number}"), &long);
    }
    start.output().refused(126, &["true", "Argument list too long"]);
    assert_eq!(env.get(&id, "state"), "initial");
    env.ok(["start", &id]);
    assert_eq!(env.join(&id), 0);
    // One string has a limit of its own, and -e makes one of two.
    let key = "K".repeat(60_000);
    let changes = format!("{key}={}", "v".repeat(131_000 - 60_000));
    let output = env.procctl(["run", "-e", &changes, "--", "true"]).output();
    assert!([0, 126].contains(&output.code()), "{}", output.code());
    assert!(env.status().iter().all(|row| row["state"] == "stopped"));
}

#[test]
fn times_from_a_clock_that_was_set_back_confuse_nobody() {
    let env = TestEnv::new();
    let later = |record: &mut serde_json::Value| {
        for field in ["created_at", "started_at", "stopped_at"] {
            if !record[field].is_null() {
                record[field] = json!("2199-01-01T00:00:00.000000Z");
            }
        }
    };
    let ended = env.start(&["-n", "w"], &["sh", "-c", "exit 3"]);
    assert_eq!(env.join(&ended), 3);
    let alive = Worker::start(&env, &["-n", "alive"]);
    edit_record(&env, &ended, later);
    edit_record(&env, &alive.id, later);
    let table = env.ok(["status"]);
    assert!(table.contains(&ended) && table.contains(&alive.id) && !table.contains("broken"), "{table}");
    env.procctl(["close", "--older-than", "0"]).output();
    env.ok(["is-alive", &alive.id]);
    alive.exit(6);
    assert_eq!(env.join(&alive.id), 6);
    // Of one name, the one that ended last is meant: by the times there are.
    let again = env.start(&["-n", "w"], &["sh", "-c", "exit 4"]);
    assert_eq!(env.join(&again), 4);
    env.ok(["close", "--all"]);
    assert!(env.status().is_empty());
}

#[test]
fn a_monitor_that_is_stopped_holds_up_the_record_and_nothing_else() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &["-n", "w"]);
    let monitor = Held::open(env.monitor_pid("w"));
    let process = Held::open(env.pid("w"));
    monitor.signal(Sent::STOP);
    eventually("it is stopped", || (proc_state(env.monitor_pid("w")) == Some('T')).then_some(()));
    // During the life.
    env.ok(["is-alive", "w"]);
    assert_eq!(env.get("w", "state"), "started");
    env.procctl(["join", "w", "--timeout", "0.05"]).output().exits(124).quiet();
    env.ok(["set", "w", "name=v"]);
    env.ok(["kill", "-s", "0", "v"]);
    let mut join = env.procctl(["join", "v"]).spawn();
    join.wait_until_blocked();
    // At the end: signals need no monitor, the end does.
    let mut tree = env.procctl(["terminate", "--tree", "v"]).spawn();
    process.wait_end();
    env.procctl(["is-alive", "v"]).output().exits(1);
    assert!(join.is_running() && tree.is_running());
    assert_ne!(env.get(&worker.id, "state"), "started");
    monitor.signal(Sent::CONT);
    tree.wait().exits(0);
    join.wait().exits(143);
    assert_eq!(env.get("v", "exitcode"), "-15");
    assert_eq!(env.record("v")["ended_by"]["action"], json!("terminate"));
}

#[test]
fn a_stopped_process_ends_by_every_command_that_is_to_end_it() {
    let env = TestEnv::new();
    for (args, code) in [
        (&["terminate", "--wait", "w"][..], 143),
        (&["terminate", "--tree", "w"], 143),
        (&["interrupt", "--wait", "w"], 130),
        (&["kill", "-s", "HUP", "--wait", "w"], 129),
        (&["kill", "--wait", "w"], 137),
        (&["kill", "--tree", "w"], 137),
        (&["kill", "--all", "--wait"], 137),
    ] {
        let id = env.sleeper(&["-n", "w"]);
        let pid = env.pid(&id);
        Held::open(pid).signal(Sent::STOP);
        eventually("it is stopped", || (proc_state(pid) == Some('T')).then_some(()));
        env.ok(["is-alive", &id]);
        env.ok(args);
        assert_eq!(env.join(&id), code, "{args:?}");
    }
    // Its parent's end ends it, too.
    let parent = env.program("sleep").arg("1000").spawn();
    let id = env.sleeper(&["-d", "--parent", &parent.pid().to_string()]);
    let pid = env.pid(&id);
    Held::open(pid).signal(Sent::STOP);
    eventually("it is stopped", || (proc_state(pid) == Some('T')).then_some(()));
    parent.signal(Signal::SIGKILL);
    assert_eq!(env.join(&id), 143);
}

#[test]
fn a_traced_process_ends_also_when_it_is_stopped() {
    let env = TestEnv::new();
    if !installed("strace") {
        return skipped("there is no strace");
    }
    for stopped in [false, true] {
        let id = env.sleeper(&[]);
        let pid = env.pid(&id);
        let tracer = env.program("strace").args(["-o", "trace", "-p", &pid.to_string()]).spawn();
        eventually("it is traced", || (proc_status(pid, "TracerPid")? != "0").then_some(()));
        if stopped {
            Held::open(pid).signal(Sent::STOP);
            eventually("it is stopped", || (proc_state(pid) == Some('t')).then_some(()));
        }
        env.ok(["is-alive", &id]);
        env.ok(["terminate", "--wait", &id]);
        assert_eq!(env.join(&id), 143);
        tracer.wait();
    }
}

/// A cgroup that can be frozen. Removed when dropped.
struct Freezer {
    dir: std::path::PathBuf,
    file: &'static str,
    words: [&'static str; 2],
}

impl Freezer {
    fn new(env: &TestEnv) -> Option<Self> {
        let name = env.root().file_name().unwrap();
        let kinds = [
            ("/sys/fs/cgroup/freezer", "freezer.state", ["FROZEN", "THAWED"]),
            ("/sys/fs/cgroup", "cgroup.freeze", ["1", "0"]),
            ("/sys/fs/cgroup/unified", "cgroup.freeze", ["1", "0"]),
        ];
        let found = kinds.into_iter().find_map(|(root, file, words)| {
            let dir = Path::new(root).join(name);
            fs::create_dir(&dir).ok()?;
            let freezer = Self { dir, file, words };
            freezer.dir.join(file).exists().then_some(freezer)
        });
        if found.is_none() {
            skipped("no cgroup may be made here");
        }
        found
    }

    fn take(&self, pid: i32) {
        fs::write(self.dir.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    fn set(&self, frozen: bool) {
        let word = self.words[usize::from(!frozen)];
        fs::write(self.dir.join(self.file), word).unwrap();
        let state = if self.file == "freezer.state" { self.file } else { "cgroup.events" };
        let wanted = if state == self.file { word.to_owned() } else { format!("frozen {word}") };
        eventually("the cgroup is frozen, or not", || {
            fs::read_to_string(self.dir.join(state)).unwrap().contains(&wanted).then_some(())
        });
    }
}

impl Drop for Freezer {
    fn drop(&mut self) {
        let _ = fs::write(self.dir.join(self.file), self.words[1]);
        let _ = fs::remove_dir(&self.dir);
    }
}

#[test]
fn a_frozen_process_is_alive_and_ends_when_it_is_thawed() {
    let env = TestEnv::new();
    let Some(freezer) = Freezer::new(&env) else { return };
    let id = env.sleeper(&[]);
    freezer.take(env.pid(&id));
    freezer.set(true);
    env.ok(["is-alive", &id]);
    assert_eq!(env.get(&id, "state"), "started");
    env.ok(["terminate", &id]);
    env.procctl(["join", "--timeout", "0.05", &id]).output().exits(124);
    let mut tree = env.procctl(["terminate", "--tree", &id]).spawn();
    tree.wait_until_blocked();
    freezer.set(false);
    tree.wait().exits(0);
    assert_eq!(env.join(&id), 143);
    eventually("the cgroup is empty", || {
        fs::read_to_string(freezer.dir.join("cgroup.procs")).unwrap().is_empty().then_some(())
    });
}

#[test]
fn a_terminal_that_goes_away_ends_run_and_not_what_was_started() {
    let env = TestEnv::new();
    let output = env
        .python(
            "import os, pty, subprocess, time
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('bash', ['bash', '--norc', '-c', 'procctl start -n back -- sleep 1000; procctl run -n front -- sleep 1000; :'])
def get(*args):
    return subprocess.run(['procctl', 'get', *args], capture_output=True, text=True).stdout.strip()
while get('front', 'state') != 'started':
    time.sleep(0.01)
os.close(terminal)
print(subprocess.run(['procctl', 'join', 'front']).returncode)
os.waitpid(pid, 0)
print(get('back', 'state'))",
        )
        .output();
    assert_eq!(output.success(), "129\nstarted");
    // Nor does the end of its session do anything to it.
    let id =
        env.program("setsid").args(["--wait", "procctl", "start", "--", "sleep", "1000"]).output().success();
    env.ok(["is-alive", &id]);
    env.ok(["kill", "--all", "--wait"]);
}

#[test]
fn how_it_is_scheduled_and_killed_first_is_inherited_unchanged() {
    let env = TestEnv::new();
    let programs = ["nice", "ionice", "taskset", "chrt"];
    if !programs.into_iter().all(installed) {
        return skipped("there is no nice, ionice, taskset or chrt");
    }
    let id = env
        .bash("echo 500 > /proc/self/oom_score_adj; exec nice -n 7 ionice -c 3 taskset -c 0 chrt --batch 0 procctl start -- sleep 1000")
        .output()
        .success();
    let pid = env.pid(&id);
    let stat = proc_stat(pid).unwrap();
    // nice and policy: fields 19 and 41 of proc_pid_stat(5).
    let own: i32 = proc_stat(std::process::id().try_into().unwrap()).unwrap()[16].parse().unwrap();
    assert_eq!((stat[16].parse().unwrap(), &*stat[38]), ((own + 7).min(19), "3"));
    assert_eq!(proc_status(pid, "Cpus_allowed_list").unwrap(), "0");
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap().trim(), "500");
    let io = env.program("ionice").args(["-p", &pid.to_string()]).output().success();
    assert_eq!(io, "idle");
}
