//! §6.8: procctl killed at any instant leaves either a process and its record, or neither.

use std::fs;
use std::time::{Duration, Instant};

use crate::harness::{TestEnv, eventually, is_gone, proc_stat};
use crate::support::{assert_numbered_without_gap, names};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// OS processes of the test that have become their command.
fn commands(env: &TestEnv) -> Vec<i32> {
    of_program(env, "sleep")
}

fn of_program(env: &TestEnv, name: &str) -> Vec<i32> {
    let is_it =
        |pid: &i32| fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.starts_with(name));
    let mut pids = env.os_processes();
    pids.retain(is_it);
    pids
}

/// Instants that are spread over the time a start takes, and a little more.
fn instants(count: u32, longest: Duration) -> impl Iterator<Item = Duration> {
    // By steps of the golden ratio, so that any number of them covers the whole.
    (1..=count).map(move |n| longest.mul_f64((f64::from(n) * 0.618_033_988_75).fract()))
}

fn how_long_a_start_takes(env: &TestEnv) -> Duration {
    let before = Instant::now();
    let id = env.sleeper(&[]);
    let taken = before.elapsed();
    env.ok(["kill", "--wait", &id]);
    taken
}

fn spin(time: Duration) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        std::hint::spin_loop();
    }
}

/// Nothing is under way any more: every procctl is the monitor of a command.
fn is_settled(env: &TestEnv) -> bool {
    let parent = |pid: i32| proc_stat(pid).map(|stat| stat[1].clone());
    let parents: Vec<String> = commands(env).into_iter().filter_map(parent).collect();
    of_program(env, "procctl").iter().all(|pid| parents.contains(&pid.to_string()))
}

/// Every live command has exactly one record that says `started`, and the other way round; those records.
#[track_caller]
fn assert_records_and_processes_agree(env: &TestEnv) -> usize {
    let mut last = String::new();
    let agreed = eventually_or(|| {
        if !is_settled(env) {
            return None;
        }
        let started = env.status().into_iter().filter(|record| record["state"] == "started");
        let mut recorded: Vec<i64> = started.map(|record| record["pid"].as_i64().unwrap()).collect();
        recorded.sort_unstable();
        let mut alive: Vec<i64> = commands(env).into_iter().map(i64::from).collect();
        alive.sort_unstable();
        last = format!("alive {alive:?}, recorded as started {recorded:?}");
        (alive == recorded).then_some(alive.len())
    });
    agreed.unwrap_or_else(|| panic!("records and processes do not agree: {last}"))
}

fn eventually_or<T>(mut condition: impl FnMut() -> Option<T>) -> Option<T> {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = condition();
        if found.is_some() || Instant::now() > deadline {
            return found;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_launcher_killed_at_any_instant_leaves_process_and_record_or_neither() {
    let env = TestEnv::new();
    let longest = how_long_a_start_takes(&env).mul_f64(1.3);
    for instant in instants(100, longest) {
        let launcher = env.procctl(["start", "--", "sleep", "1000"]).spawn();
        spin(instant);
        launcher.signal(Signal::SIGKILL);
        drop(launcher);
    }
    let started = assert_records_and_processes_agree(&env);
    assert!(started < 100, "none was killed in time");
    // Nothing half-made is in sight, and the one started first has its number to itself.
    let next = env.sleeper(&[]);
    env.ok(["is-alive", &next]);
    let all = names(&env);
    assert_eq!(all.len(), started + 2, "{all:?}");
    assert_numbered_without_gap(all);
    env.ok(["kill", "--all", "--wait"]);
    env.ok(["close", "--all"]);
    assert_eq!(env.status().len(), 0);
}

#[test]
fn launchers_killed_beside_each_other_double_no_number() {
    let env = TestEnv::new();
    let longest = how_long_a_start_takes(&env).mul_f64(3.0);
    for instant in instants(15, longest) {
        let launchers: Vec<_> =
            (0..8).map(|_| env.procctl(["start", "--", "sleep", "1000"]).spawn()).collect();
        spin(instant);
        for launcher in launchers.iter().step_by(2) {
            launcher.signal(Signal::SIGKILL);
        }
        for (nth, launcher) in launchers.into_iter().enumerate() {
            if nth % 2 == 1 {
                launcher.wait().success();
            }
        }
    }
    let started = assert_records_and_processes_agree(&env);
    let mut names: Vec<String> = names(&env);
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "a number was given twice");
    assert!(started >= 60);
    env.ok(["kill", "--all", "--wait"]);
}

#[test]
fn launcher_and_monitor_killed_at_any_instant_leave_process_and_record_or_neither() {
    let env = TestEnv::new();
    let longest = how_long_a_start_takes(&env).mul_f64(1.3);
    for instant in instants(60, longest) {
        let launcher = env.procctl(["start", "--", "sleep", "1000"]).spawn();
        spin(instant);
        // Whatever procctl there is just now: the launcher, its monitor, what is to become the command.
        for pid in of_program(&env, "procctl") {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
        drop(launcher);
        // One may have been forked during the look.
        let alive = of_program(&env, "procctl");
        for pid in alive {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    assert_records_and_processes_agree(&env);
    let next = env.sleeper(&[]);
    env.ok(["is-alive", &next]);
    let mut all = names(&env);
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), count, "a number was given twice");
    env.procctl(["kill", "--all", "--wait"]).output();
    eventually("all commands have ended", || commands(&env).is_empty().then_some(()));
    env.ok(["close", "--all"]);
    assert_eq!(env.status().len(), 0);
}

#[test]
fn a_unique_name_is_free_again_after_a_launcher_was_killed() {
    let env = TestEnv::new();
    let longest = how_long_a_start_takes(&env);
    for instant in instants(30, longest) {
        let launcher = env.procctl(["start", "--unique", "-n", "one", "--", "sleep", "1000"]).spawn();
        spin(instant);
        launcher.signal(Signal::SIGKILL);
        drop(launcher);
        assert_records_and_processes_agree(&env);
        // Where it did come to a process, that one has the name; else the name is free.
        env.procctl(["kill", "one", "--wait"]).output();
        let id = env.sleeper(&["--unique", "-n", "one"]);
        env.ok(["kill", &id, "--wait"]);
    }
}

#[test]
fn a_created_process_whose_start_was_killed_is_startable_or_started() {
    let env = TestEnv::new();
    let longest = how_long_a_start_takes(&env);
    for instant in instants(30, longest) {
        let id = env.ok(["create", "--", "sleep", "1000"]);
        let launcher = env.procctl(["start", &id]).spawn();
        spin(instant);
        launcher.signal(Signal::SIGKILL);
        drop(launcher);
        assert_records_and_processes_agree(&env);
        if env.get(&id, "state") == "initial" {
            env.ok(["start", &id]);
        }
        env.ok(["is-alive", &id]);
        env.ok(["kill", &id, "--wait"]);
    }
}

#[test]
fn a_creator_killed_at_any_instant_leaves_a_whole_record_or_none() {
    let env = TestEnv::new();
    let before = Instant::now();
    env.ok(["create", "--", "true"]);
    let longest = before.elapsed().mul_f64(1.2);
    for instant in instants(60, longest) {
        let creator = env.procctl(["create", "--", "true"]).spawn();
        spin(instant);
        creator.signal(Signal::SIGKILL);
        drop(creator);
    }
    env.ok(["create", "--", "true"]);
    for record in env.status() {
        assert_eq!(record["state"], "initial", "{record}");
    }
    assert_numbered_without_gap(names(&env));
}

#[test]
fn a_close_killed_at_any_instant_leaves_nothing_broken() {
    let env = TestEnv::new();
    let id = env.start(&[], &["true"]);
    assert_eq!(env.join(&id), 0);
    let before = Instant::now();
    env.ok(["close", &id]);
    let longest = before.elapsed().mul_f64(1.2);
    for instant in instants(60, longest) {
        let id = env.start(&["-n", "closing"], &["sh", "-c", "exit 3"]);
        assert_eq!(env.join(&id), 3);
        let closer = env.procctl(["close", &id]).spawn();
        spin(instant);
        closer.signal(Signal::SIGKILL);
        drop(closer);
        // Forgotten, or as it was.
        for record in env.status() {
            assert_eq!(record["exitcode"], 3, "{record}");
        }
        env.ok(["close", "--all"]);
        assert_eq!(env.status().len(), 0);
    }
}

#[test]
fn no_monitor_outlives_what_a_killed_launcher_began() {
    let env = TestEnv::new();
    let longest = how_long_a_start_takes(&env);
    for instant in instants(40, longest) {
        let launcher = env.procctl(["start", "--", "true"]).spawn();
        spin(instant);
        launcher.signal(Signal::SIGKILL);
        drop(launcher);
    }
    eventually("everything is gone", || env.os_processes().into_iter().all(is_gone).then_some(()));
    for record in env.status() {
        assert_eq!(record["state"], "stopped", "{record}");
    }
}

/// What tests/faults needs is in a build of its own.
#[cfg(not(feature = "faults"))]
#[test]
fn the_program_cannot_be_told_to_fail() {
    let program = std::fs::read(crate::harness::PROCCTL).unwrap();
    let name = b"PROCCTL_FAULT";
    assert!(
        !program.windows(name.len()).any(|part| part == name),
        "it knows {}",
        String::from_utf8_lossy(name)
    );
    let env = TestEnv::new();
    for role in ["command", "monitor", "child"] {
        let call = env.procctl(["start", "--", "true"]).env("PROCCTL_FAULT", format!("{role}:1:KILL"));
        let id = call.output().success();
        assert_eq!(env.join(&id), 0);
    }
}
