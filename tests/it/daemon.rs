//! §4: daemonic processes end with their parent, however it ends, and have no children.

use nix::sys::signal::Signal;

use crate::harness::{Running, TestEnv, eventually, is_gone, proc_state};
use crate::support::{Held, Worker, kernel_tells_exit_codes, kill_leftovers, kill_monitor, said_inside};

/// Waits for the end of a daemonic process whose parent has ended, and looks how it is recorded.
#[track_caller]
fn assert_ended_with_parent(env: &TestEnv, id: &str, parent: &str) {
    assert_eq!(env.join(id), 128 + 15);
    let record = env.record(id);
    assert_eq!(record["exitcode"], -15, "{record}");
    let ended_by = &record["ended_by"];
    assert_eq!(ended_by["action"], "parent-exit", "{record}");
    assert_eq!(ended_by["by_pid"].to_string(), parent, "{record}");
    assert!(ended_by["signal"] == 15 || ended_by["signal"] == "SIGTERM", "{record}");
    assert!(ended_by["at"].is_string(), "{record}");
}

fn outside_parent(env: &TestEnv) -> (Running, String) {
    let parent = env.program("sleep").arg("1000").spawn();
    let pid = parent.pid().to_string();
    (parent, pid)
}

#[test]
fn it_ends_when_its_parent_exits() {
    let env = TestEnv::new();
    // Its parent is the script, which ends as soon as it has started it.
    let said = env.bash("echo $$; procctl start -d -- sleep 1000; exit 0").output().success();
    let (parent, id) = said.split_once('\n').unwrap();
    assert_ended_with_parent(&env, id, parent);
}

#[test]
fn it_ends_when_a_signal_ends_its_parent() {
    for signal in [Signal::SIGTERM, Signal::SIGKILL, Signal::SIGHUP, Signal::SIGSEGV] {
        let env = TestEnv::new();
        let (parent, pid) = outside_parent(&env);
        let id = env.sleeper(&["-d", "--parent", &pid]);
        parent.signal(signal);
        assert_ended_with_parent(&env, &id, &pid);
    }
}

#[test]
fn it_ends_with_its_parent_though_nobody_reaps_that_one() {
    let env = TestEnv::new();
    let (parent, pid) = outside_parent(&env);
    let id = env.sleeper(&["-d", "--parent", &pid]);
    parent.signal(Signal::SIGKILL);
    assert_ended_with_parent(&env, &id, &pid);
    // It is still a zombie: nobody has waited for it.
    assert_eq!(proc_state(parent.pid()), Some('Z'));
}

#[test]
fn it_ends_when_its_managed_parent_ends_and_its_siblings_live_on() {
    for (how, code) in [("terminate", 143), ("kill", 137), ("exit", 0)] {
        let env = TestEnv::new();
        let gate = env.gate("gate");
        let boss = env.start_ready(
            &["-n", "boss"],
            &format!(
                "procctl start -d -n daemonic -- sleep 1000 >/dev/null
                 procctl start -n plain -- sleep 1000 >/dev/null
                 echo ready; {}",
                gate.wait()
            ),
        );
        let pid = env.get(&boss, "pid");
        if how == "exit" {
            gate.open();
        } else {
            env.ok([how, "boss"]);
        }
        assert_eq!(env.join("boss"), code);
        assert_ended_with_parent(&env, "daemonic", &pid);
        env.ok(["is-alive", "plain"]);
    }
}

#[test]
fn every_daemonic_child_ends_with_its_parent() {
    let env = TestEnv::new();
    let script = "for i in $(seq 20); do procctl start -d -- sleep 1000 >/dev/null & done; wait; echo $$";
    let parent = env.bash(script).output().success();
    let records = env.status();
    assert_eq!(records.len(), 20);
    for record in records {
        assert_ended_with_parent(&env, record["id"].as_str().unwrap(), &parent);
    }
}

#[test]
fn it_is_asked_to_end_and_may_answer_in_its_own_way() {
    let env = TestEnv::new();
    let (parent, pid) = outside_parent(&env);
    let script = r#"trap 'echo "asked"; exit 9' TERM; echo ready; while :; do sleep 1000 & wait; done"#;
    let id = env.start_ready(&["-d", "--parent", &pid], script);
    parent.signal(Signal::SIGKILL);
    assert_eq!(env.join(&id), 9);
    assert_eq!(env.get(&id, "ended_by.action"), "parent-exit");
    assert_eq!(env.ok(["logs", &id]), "ready\nasked");
    // Its own children are orphans, as with any other TERM.
    kill_leftovers(&env);
}

#[test]
fn a_parent_that_becomes_another_program_has_not_ended() {
    let env = TestEnv::new();
    let script = "procctl start -d -- sleep 1000 > id; exec sleep 1000";
    let parent = env.bash(script).spawn();
    let comm = format!("/proc/{}/comm", parent.pid());
    eventually("the shell has become a sleep", || {
        (std::fs::read_to_string(&comm).ok()? == "sleep\n").then_some(())
    });
    let id = std::fs::read_to_string(env.path("id")).unwrap();
    let id = id.trim();
    // The wait for its end runs out: nothing was sent to it.
    env.procctl(["join", id, "--timeout", "0.3"]).output().exits(124);
    parent.signal(Signal::SIGKILL);
    assert_ended_with_parent(&env, id, &parent.pid().to_string());
}

#[test]
fn a_parent_that_ends_during_the_start_leaves_nothing_alive() {
    let env = TestEnv::new();
    for _ in 0..40 {
        // The start goes on in the background while its parent ends.
        env.bash("procctl start -d --parent $$ -- sleep 1000 >/dev/null 2>&1 & exit 0").output().exits(0);
    }
    eventually("all have ended", || env.os_processes().is_empty().then_some(()));
    for record in env.status() {
        assert_eq!(record["state"], "stopped", "{record}");
        assert_eq!(record["exitcode"], -15, "{record}");
    }
}

#[test]
fn a_daemonic_process_may_not_have_children() {
    let env = TestEnv::new();
    let words = "daemonic processes are not allowed to have children";
    for command in ["create", "start", "run"] {
        for option in ["", "-d", "--no-daemon"] {
            let script = format!("procctl {command} {option} -- true; echo $?");
            let said = said_inside(&env, &["-d"], &script);
            let lines: Vec<&str> = said.lines().collect();
            assert!(said.contains(words), "{command} {option}: {said}");
            assert_eq!(lines.last(), Some(&"125"), "{command} {option}: {said}");
        }
    }
    // Also not by way of a subshell, or of one that was set to be daemonic before its start.
    let said = said_inside(&env, &["-d"], "( x=$(procctl start -- true 2>&1 | cat); echo \"$x\" )");
    assert!(said.contains(words), "{said}");
    assert_eq!(env.status().len(), 10);
}

#[test]
fn a_child_of_a_process_that_is_not_daemonic_is_not_daemonic_by_itself() {
    let env = TestEnv::new();
    let plain = env.sleeper(&[]);
    assert_eq!(env.get(&plain, "daemon"), "false");
    let explicit = env.sleeper(&["--no-daemon"]);
    assert_eq!(env.get(&explicit, "daemon"), "false");
    let daemonic = env.sleeper(&["--daemon"]);
    assert_eq!(env.get(&daemonic, "daemon"), "true");
    let nested = said_inside(&env, &[], "procctl start -- sleep 1000");
    assert_eq!(env.get(&nested, "daemon"), "false");
}

#[test]
fn the_flag_can_be_set_until_the_start() {
    let env = TestEnv::new();
    let (parent, pid) = outside_parent(&env);
    let create = |options: &[&str]| {
        let mut args = vec!["create", "--parent", &pid];
        args.extend(options);
        args.extend(["--", "sleep", "1000"]);
        env.ok(args)
    };
    let became = create(&[]);
    let ceased = create(&["-d"]);
    env.ok(["set", &became, "daemon=true"]);
    env.ok(["set", &ceased, "daemon=false"]);
    assert_eq!(env.get(&became, "daemon"), "true");
    assert_eq!(env.get(&ceased, "daemon"), "false");
    env.ok(["start", &became, &ceased]);
    env.refused(["set", &became, "daemon=false"], 125, &["daemon"]);
    env.refused(["set", &ceased, "daemon=true"], 125, &["daemon"]);
    parent.signal(Signal::SIGKILL);
    assert_ended_with_parent(&env, &became, &pid);
    env.ok(["is-alive", &ceased]);
}

#[test]
fn starting_a_created_daemonic_process_after_its_creator_has_ended_is_refused() {
    let env = TestEnv::new();
    let script = "procctl create -d -- sleep 1000; procctl create -- sleep 1000";
    let said = env.bash(script).output().success();
    let (daemonic, plain) = said.split_once('\n').unwrap();
    env.refused(["start", daemonic], 125, &[]);
    assert_eq!(env.get(daemonic, "state"), "initial");
    env.ok(["start", plain]);
    assert_eq!(env.get(plain, "state"), "started");
}

#[test]
fn a_second_daemonic_process_of_a_dead_parent_is_refused() {
    let env = TestEnv::new();
    let (parent, pid) = outside_parent(&env);
    env.sleeper(&["-d", "--parent", &pid]);
    parent.signal(Signal::SIGKILL);
    drop(parent);
    env.refused(["start", "-d", "--parent", &pid, "--", "true"], 125, &[&pid]);
}

#[test]
fn the_death_of_its_monitor_ends_it_too() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-d"]);
    let process = Held::open(env.pid(&id));
    kill_monitor(&env, &id);
    process.wait_end();
    env.procctl(["is-alive", &id]).output().exits(1).quiet();
    process.wait_reaped();
    drop(process);
    let record = env.record(&id);
    assert_eq!(record["state"], "stopped", "{record}");
    assert!(record["exitcode"] == -15 || record["lost"].is_string(), "{record}");
}

#[test]
fn a_blocked_join_tells_how_the_death_of_its_monitor_ended_it() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let id = env.sleeper(&["-d"]);
    let mut join = env.procctl(["join", &id]).spawn();
    join.wait_until_blocked();
    kill_monitor(&env, &id);
    join.wait().exits(128 + 15).quiet();
    assert_eq!(env.get(&id, "exitcode"), "-15");
}

#[test]
fn the_death_of_the_monitor_of_another_process_ends_nothing() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let daemonic = env.sleeper(&["-d"]);
    let process = Held::open(env.pid(&daemonic));
    kill_monitor(&env, &worker.id);
    worker.exit(0);
    assert_eq!(env.join(&worker.id), 0);
    assert!(process.is_alive());
}

#[test]
fn a_stopped_parent_has_not_ended() {
    let env = TestEnv::new();
    let (parent, pid) = outside_parent(&env);
    let id = env.sleeper(&["-d", "--parent", &pid]);
    parent.signal(Signal::SIGSTOP);
    eventually("the parent is stopped", || (proc_state(parent.pid()) == Some('T')).then_some(()));
    env.procctl(["join", &id, "--timeout", "0.3"]).output().exits(124);
    parent.signal(Signal::SIGKILL);
    assert_ended_with_parent(&env, &id, &pid);
}

#[test]
fn no_trace_of_a_daemonic_family_is_left() {
    let env = TestEnv::new();
    let (parent, pid) = outside_parent(&env);
    let id = env.sleeper(&["-d", "--parent", &pid]);
    let (process, monitor) = (env.pid(&id), env.monitor_pid(&id));
    parent.signal(Signal::SIGTERM);
    assert_eq!(env.join(&id), 143);
    eventually("process and monitor are gone", || (is_gone(process) && is_gone(monitor)).then_some(()));
    assert_eq!(env.get(&id, "lost"), "");
}
