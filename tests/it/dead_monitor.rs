//! §6.5: a monitor that is killed takes nothing along. The process lives on and can be joined, signalled and
//! inspected; its exit code is told where the kernel can, and never invented.

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{TestEnv, eventually, proc_stat, proc_status};
use crate::support::{
    Held, LateReaper, Worker, kernel_tells_exit_codes, kill_monitor, proc_tells_exit_codes,
};

/// A worker whose monitor was killed, and its OS process.
fn orphaned(env: &TestEnv) -> (Worker, Held) {
    let worker = Worker::start(env, &[]);
    let process = Held::open(env.pid(&worker.id));
    kill_monitor(env, &worker.id);
    (worker, process)
}

/// All commands must agree that it has ended with `code`.
#[track_caller]
fn assert_ended(env: &TestEnv, id: &str, code: i32, exitcode: i32) {
    assert_eq!(env.join(id), code);
    env.procctl(["is-alive", id]).output().exits(1).quiet();
    let record = env.record(id);
    assert_eq!(record["state"], "stopped", "{record}");
    assert_eq!(record["exitcode"], exitcode, "{record}");
    assert_eq!(record["lost"], Value::Null, "{record}");
    assert_eq!(env.json(["status", "--json", id])[0]["exitcode"], exitcode);
}

/// It does not wake up while other things happen: it waits for an event, not for a time to pass.
#[track_caller]
fn assert_sleeps_soundly(env: &TestEnv, pid: i32) {
    let switches = || proc_status(pid, "voluntary_ctxt_switches").unwrap();
    let before = switches();
    for _ in 0..30 {
        env.ok(["get", "Process-1", "name"]);
    }
    assert_eq!(switches(), before, "it woke up");
}

#[test]
fn a_join_that_waits_after_its_death_does_not_poll() {
    let env = TestEnv::new();
    let (worker, _process) = orphaned(&env);
    let mut join = env.procctl(["join", &worker.id]).spawn();
    join.wait_until_blocked();
    assert_sleeps_soundly(&env, join.pid());
    worker.exit(0);
    join.wait();
}

#[test]
fn the_process_lives_on_and_every_command_says_so() {
    let env = TestEnv::new();
    let (worker, process) = orphaned(&env);
    let id = &worker.id;
    env.ok(["is-alive", id]);
    let record = env.record(id);
    assert_eq!(record["state"], "started", "{record}");
    assert_eq!(record["exitcode"], Value::Null);
    assert_eq!(env.status()[0]["state"], "started");
    assert_eq!(env.json(["status", "--alive", "--json"]).as_array().unwrap().len(), 1);
    assert!(env.ok(["status"]).contains("started"));
    assert_eq!(env.get("Process-1", "pid"), record["pid"].to_string());
    env.refused(["close", id], 125, &[id]);
    env.procctl(["join", id, "--timeout", "0.1"]).output().exits(124);
    assert!(process.is_alive());
}

#[test]
fn its_name_stays_taken_for_unique() {
    let env = TestEnv::new();
    let id = env.sleeper(&["--unique", "-n", "one"]);
    kill_monitor(&env, &id);
    env.refused(["start", "--unique", "-n", "one", "--", "true"], 125, &["one"]);
}

#[test]
fn a_join_that_waits_when_it_dies_tells_the_true_code() {
    if !kernel_tells_exit_codes() {
        return;
    }
    for (code, exitcode) in [(0, 0), (7, 7), (255, 255)] {
        let env = TestEnv::new();
        let worker = Worker::start(&env, &[]);
        let mut join = env.procctl(["join", &worker.id]).spawn();
        join.wait_until_blocked();
        kill_monitor(&env, &worker.id);
        join.wait_until_blocked();
        worker.exit(code);
        join.wait().exits(code.into()).quiet();
        assert_ended(&env, &worker.id, code.into(), exitcode);
    }
}

#[test]
fn a_join_that_comes_after_its_death_tells_the_true_code() {
    if !kernel_tells_exit_codes() {
        return;
    }
    for code in [0, 7, 255] {
        let env = TestEnv::new();
        let (worker, _process) = orphaned(&env);
        let mut join = env.procctl(["join", &worker.id]).spawn();
        join.wait_until_blocked();
        worker.exit(code);
        join.wait().exits(code.into()).quiet();
        assert_ended(&env, &worker.id, code.into(), code.into());
    }
}

#[test]
fn all_of_many_joins_tell_the_true_code() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let join = || {
        let mut join = env.procctl(["join", &worker.id]).spawn();
        join.wait_until_blocked();
        join
    };
    let before: Vec<_> = (0..8).map(|_| join()).collect();
    kill_monitor(&env, &worker.id);
    let after: Vec<_> = (0..8).map(|_| join()).collect();
    worker.exit(5);
    for join in before.into_iter().chain(after) {
        join.wait().exits(5).quiet();
    }
    assert_ended(&env, &worker.id, 5, 5);
}

#[test]
fn join_of_all_and_of_any_see_the_end() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    env.sleeper(&["-n", "other"]);
    let (worker, _process) = orphaned(&env);
    let mut any = env.procctl(["join", "--any", "other", &worker.id]).spawn();
    any.wait_until_blocked();
    worker.exit(4);
    let output = any.wait();
    output.exits(4);
    assert_eq!(output.stdout(), worker.id);
}

#[test]
fn it_can_be_signalled_and_its_end_is_told() {
    if !kernel_tells_exit_codes() {
        return;
    }
    for (command, code) in [("terminate", 143), ("kill", 137), ("interrupt", 130)] {
        let env = TestEnv::new();
        let (worker, process) = orphaned(&env);
        let mut join = env.procctl(["join", &worker.id]).spawn();
        join.wait_until_blocked();
        env.ok([command, &worker.id]);
        process.wait_end();
        join.wait().exits(code).quiet();
        assert_ended(&env, &worker.id, code, 128 - code);
    }
}

#[test]
fn signalling_with_wait_returns_when_it_has_ended() {
    for args in [
        &["terminate", "--wait"][..],
        &["kill", "--wait"],
        &["terminate", "--kill-after", "10"],
        &["kill", "--tree"],
    ] {
        let env = TestEnv::new();
        let (worker, process) = orphaned(&env);
        env.procctl(args.iter().copied().chain([worker.id.as_str()])).output().exits(0);
        if args.contains(&"--tree") {
            process.wait_end();
        }
        assert!(!process.is_alive(), "{args:?}");
        env.procctl(["is-alive", &worker.id]).output().exits(1).quiet();
    }
}

#[test]
fn kill_all_reaches_it() {
    let env = TestEnv::new();
    let (_worker, process) = orphaned(&env);
    env.ok(["kill", "--all"]);
    process.wait_end();
}

#[test]
fn it_can_be_renamed() {
    let env = TestEnv::new();
    let (worker, _process) = orphaned(&env);
    env.ok(["set", &worker.id, "name=renamed"]);
    assert_eq!(env.get("renamed", "id"), worker.id);
    env.ok(["is-alive", "renamed"]);
}

#[test]
fn an_end_that_nobody_saw_is_lost_and_not_invented() {
    let env = TestEnv::new();
    let (worker, process) = orphaned(&env);
    process.signal(Signal::KILL);
    process.wait_reaped();
    drop(process);
    for _ in 0..2 {
        env.procctl(["is-alive", &worker.id]).output().exits(1).quiet();
        let record = env.record(&worker.id);
        assert_eq!(record["state"], "stopped", "{record}");
        assert_eq!(record["exitcode"], Value::Null, "{record}");
        assert!(record["lost"].as_str().is_some_and(|why| !why.is_empty()), "{record}");
        let output = env.procctl(["join", &worker.id]).output();
        output.exits(125);
        output.one_error(&[]);
    }
    env.ok(["terminate", &worker.id]);
    env.ok(["close", &worker.id]);
    assert_eq!(env.json(["status", "--json"]), json!([]));
}

#[test]
fn each_command_by_itself_sees_that_both_are_dead() {
    for args in [
        &["is-alive"][..],
        &["status", "--json"],
        &["get"],
        &["join"],
        &["join", "--timeout", "10"],
        &["terminate", "--wait"],
        &["kill"],
        &["close"],
    ] {
        let env = TestEnv::new();
        let id = env.sleeper(&[]);
        let process = Held::open(env.pid(&id));
        let monitor = Held::open(env.monitor_pid(&id));
        // The monitor is stopped first: it must not see the end.
        monitor.signal(Signal::STOP);
        process.signal(Signal::KILL);
        process.wait_end();
        monitor.signal(Signal::KILL);
        process.wait_reaped();
        let output = env.procctl(args.iter().copied().chain([id.as_str()])).output();
        match args[0] {
            "is-alive" => {
                output.exits(1).quiet();
            }
            "join" => {
                output.exits(125);
            }
            "close" => {
                output.success();
                continue;
            }
            _ => assert!(!output.success().contains("started\""), "{output:?}"),
        }
        assert_eq!(env.get(&id, "state"), "stopped", "{args:?}");
        assert_eq!(env.get(&id, "exitcode"), "", "{args:?}");
    }
}

#[test]
fn a_join_that_waits_when_both_are_killed_tells_the_true_code() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let mut join = env.procctl(["join", &id]).spawn();
    join.wait_until_blocked();
    let process = Held::open(env.pid(&id));
    let monitor = Held::open(env.monitor_pid(&id));
    monitor.signal(Signal::STOP);
    process.signal(Signal::KILL);
    process.wait_end();
    monitor.signal(Signal::KILL);
    join.wait().exits(128 + 9).quiet();
    assert_ended(&env, &id, 137, -9);
}

#[test]
fn a_monitor_that_is_only_stopped_holds_up_the_record_but_not_is_alive() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let process = Held::open(env.pid(&worker.id));
    let monitor = Held::open(env.monitor_pid(&worker.id));
    monitor.signal(Signal::STOP);
    worker.exit(6);
    process.wait_end();
    env.procctl(["is-alive", &worker.id]).output().exits(1);
    let mut join = env.procctl(["join", &worker.id]).spawn();
    join.wait_until_blocked();
    monitor.signal(Signal::CONT);
    join.wait().exits(6).quiet();
    assert_ended(&env, &worker.id, 6, 6);
}

#[test]
fn the_code_is_told_also_where_orphans_are_reaped_late() {
    let env = TestEnv::new();
    let (id, reaper) = LateReaper::start(&env);
    let process = Held::open(env.pid(&id));
    kill_monitor(&env, &id);
    let its_parent = || proc_stat(env.pid(&id)).unwrap()[1].clone();
    assert_eq!(its_parent(), reaper.running.pid().to_string());

    process.signal(Signal::TERM);
    process.wait_end();
    // A zombie is not alive, and it says how it ended.
    env.procctl(["is-alive", &id]).output().exits(1).quiet();
    assert_ended(&env, &id, 143, -15);
    reaper.reap();
    assert_ended(&env, &id, 143, -15);
}

/// The end is recorded and the record closed before the join that waited gets to run; and nobody has reaped the zombie.
#[test]
fn a_join_that_waits_tells_the_code_of_what_was_closed_before_it_could_look() {
    if !proc_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (id, reaper) = LateReaper::start(&env);
    let process = Held::open(env.pid(&id));
    kill_monitor(&env, &id);
    let mut join = env.procctl(["join", &id]).spawn();
    join.wait_until_blocked();
    let joiner = Held::open(join.pid());
    joiner.signal(Signal::STOP);

    process.signal(Signal::TERM);
    process.wait_end();
    eventually("its end is recorded", || (env.get(&id, "exitcode") == "-15").then_some(()));
    env.procctl(["close", &id]).output().success();
    joiner.signal(Signal::CONT);
    join.wait().exits(128 + 15).quiet();
    reaper.reap();
}

#[test]
fn after_its_death_a_later_start_and_close_work_as_ever() {
    let env = TestEnv::new();
    let (worker, process) = orphaned(&env);
    let next = env.sleeper(&[]);
    assert_eq!(env.get(&next, "name"), "Process-2");
    worker.exit(0);
    process.wait_reaped();
    env.ok(["kill", "--all", "--wait"]);
    env.ok(["close", "--all"]);
    assert_eq!(env.json(["status", "--json"]), json!([]));
}

#[test]
fn a_monitor_killed_after_the_end_was_recorded_changes_nothing() {
    let env = TestEnv::new();
    for code in 0..20 {
        let worker = Worker::start(&env, &[]);
        let monitor = Held::open(env.monitor_pid(&worker.id));
        worker.exit(code);
        assert_eq!(env.join(&worker.id), i32::from(code));
        // It may have things to clear up yet.
        monitor.signal(Signal::KILL);
        monitor.wait_end();
        assert_ended(&env, &worker.id, code.into(), code.into());
    }
}

#[test]
fn its_death_makes_the_sentinel_ready_early() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &["-n", "worker"]);
    let mut reader =
        env.bash("cat < \"$(procctl get worker sentinel)\"; procctl is-alive worker; echo $?").spawn();
    reader.wait_until_blocked();
    kill_monitor(&env, &worker.id);
    // It means: look again.
    assert_eq!(reader.wait().success(), "0");
    worker.exit(0);
}

#[test]
fn a_reader_of_the_sentinel_that_comes_after_its_death_waits_for_the_end() {
    let env = TestEnv::new();
    let (worker, process) = orphaned(&env);
    let read = r#"cat < "$(procctl get Process-1 sentinel)"; procctl get Process-1 state"#;
    let mut reader = env.bash(read).spawn();
    reader.wait_until_blocked();
    worker.exit(0);
    assert_eq!(reader.wait().success(), "stopped");
    process.wait_reaped();
    assert_eq!(env.bash(read).output().success(), "stopped");
}

#[test]
fn a_name_is_not_free_while_the_record_of_its_live_bearer_is_broken() {
    let env = TestEnv::new();
    let id = env.sleeper(&["--unique", "-n", "one"]);
    let record = crate::support::record_file(&env, &id);
    let whole = std::fs::read(&record).unwrap();
    std::fs::write(&record, "").unwrap();
    env.refused(["start", "--unique", "-n", "one", "--", "true"], 125, &["one", "broken record"]);
    std::fs::write(&record, whole).unwrap();
    env.ok(["kill", "--wait", "one"]);
    env.start(&["--unique", "-n", "one"], &["true"]);
}

/// Its outer monitor inherits it and reaps it: the code is known there, and nowhere else.
#[test]
fn the_monitor_that_inherits_a_process_records_its_end() {
    let env = TestEnv::new();
    let script = "procctl start --name inner -- sleep 1000; echo ready; sleep 1000";
    let outer = env.start_ready(&[], script);
    let inner = env.get("inner", "id");
    let pid = env.pid(&inner);
    let process = Held::open(pid);
    let heir = env.monitor_pid(&outer).to_string();
    // From here on no command looks, which would give it a new monitor.
    kill_monitor(&env, &inner);
    eventually("it is inherited", || (proc_stat(pid)?[1] == heir).then_some(()));
    process.signal(Signal::TERM);
    process.wait_reaped();
    assert_ended(&env, &inner, 143, -15);
    assert_eq!(env.record(&inner)["witness"], "monitor");
    assert!(env.record(&inner)["usage"].is_object());
}
