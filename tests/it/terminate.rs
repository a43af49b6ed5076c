//! `terminate`, `kill`, `interrupt`: ending processes, and only those that were meant.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::harness::{DEADLINE, TestEnv, eventually, is_gone, proc_state};

/// Reads a pid that a script wrote.
fn pid_in(env: &TestEnv, file: &str) -> i32 {
    eventually("a pid was written", || fs::read_to_string(env.path(file)).ok()?.trim().parse().ok())
}

#[test]
fn each_sends_its_signal_and_the_record_says_who_did_it() {
    for (command, number) in [("terminate", 15), ("kill", 9), ("interrupt", 2)] {
        let env = TestEnv::new();
        let id = env.sleeper(&[]);
        let output = env.procctl([command, &id]).output();
        assert_eq!(output.success(), "");
        assert_eq!(env.join(&id), 128 + number);
        let record = env.record(&id);
        assert_eq!(record["exitcode"], json!(-number));
        assert_eq!(record["state"], json!("stopped"));
        assert_eq!(record["ended_by"]["action"], json!(command));
        assert_eq!(record["ended_by"]["signal"], json!(number));
        assert!(record["ended_by"]["by_pid"].is_i64(), "{record}");
        assert!(record["ended_by"]["at"].is_string(), "{record}");
    }
}

#[test]
fn nobody_is_named_when_procctl_did_not_end_it() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    kill(Pid::from_raw(env.pid(&id)), Signal::SIGTERM).unwrap();
    assert_eq!(env.join(&id), 143);
    assert_eq!(env.record(&id)["ended_by"], json!(null));
}

#[test]
fn kill_takes_a_signal_by_name_or_number() {
    let env = TestEnv::new();
    for (signal, number) in [("USR1", 10), ("SIGUSR2", 12), ("hup", 1), ("3", 3), ("SIGRTMIN", 34)] {
        let id = env.start(&[], &["bash", "-c", "ulimit -c 0; exec sleep 1000"]);
        // The shell must have become the sleep: before that its own signals are in the way.
        eventually("the exec", || {
            let line = fs::read(format!("/proc/{}/cmdline", env.pid(&id))).ok()?;
            line.starts_with(b"sleep").then_some(())
        });
        env.ok(["kill", "-s", signal, &id]);
        assert_eq!(env.join(&id), 128 + number, "{signal}");
        assert_eq!(env.record(&id)["ended_by"]["signal"], json!(number));
    }
}

#[test]
fn a_signal_that_does_not_end_it_is_just_delivered() {
    let env = TestEnv::new();
    let id =
        env.start_ready(&[], "trap 'echo got usr1' USR1; sleep 1000 & echo ready; while :; do wait; done");
    env.ok(["kill", "-s", "USR1", &id]);
    eventually("the trap runs", || env.ok(["logs", &id]).contains("got usr1").then_some(()));
    assert_eq!(env.get(&id, "state"), "started");
    env.ok(["kill", "--tree", &id]);
}

#[test]
fn without_wait_it_returns_while_the_process_lives() {
    let env = TestEnv::new();
    let id = env.start_ready(&[], "trap '' TERM; echo ready; exec sleep 1000");
    env.ok(["terminate", &id]);
    assert_eq!(env.get(&id, "state"), "started");
    env.procctl(["is-alive", &id]).output().exits(0).quiet();
}

#[test]
fn wait_returns_when_it_has_ended() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let script = format!("trap '{}; exit 3' TERM; sleep 1000 & echo ready; wait", gate.wait());
    let id = env.start_ready(&[], &script);
    let mut running = env.procctl(["terminate", "--wait", &id]).spawn();
    running.wait_until_blocked();
    assert_eq!(env.get(&id, "state"), "started");
    gate.open();
    assert_eq!(running.wait().success(), "");
    assert_eq!(env.get(&id, "exitcode"), "3");
    for pid in env.os_processes() {
        // The sleep that the script left.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
}

#[test]
fn wait_of_each_command_means_that_it_is_over() {
    let env = TestEnv::new();
    for command in ["terminate", "kill", "interrupt"] {
        for _ in 0..5 {
            let id = env.sleeper(&[]);
            let pid = env.pid(&id);
            env.ok([command, "--wait", &id]);
            assert!(is_gone(pid), "{command}");
            assert_eq!(env.get(&id, "state"), "stopped", "{command}");
        }
    }
}

#[test]
fn kill_after_kills_what_did_not_end_in_time() {
    let env = TestEnv::new();
    let stubborn = env.start_ready(&[], "trap '' TERM; echo ready; exec sleep 1000");
    let before = Instant::now();
    env.ok(["terminate", "--kill-after", "0.2", &stubborn]);
    assert!(before.elapsed() >= Duration::from_millis(200));
    assert_eq!(env.get(&stubborn, "exitcode"), "-9");
    assert_eq!(env.record(&stubborn)["ended_by"]["signal"], json!(9));
}

#[test]
fn kill_after_returns_at_once_when_it_ends_in_time() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let before = Instant::now();
    env.ok(["terminate", &id, "--kill-after", "1h"]);
    assert!(before.elapsed() < DEADLINE);
    assert_eq!(env.get(&id, "exitcode"), "-15");
}

#[test]
fn a_stopped_process_is_continued_so_that_it_can_die() {
    for command in ["terminate", "interrupt"] {
        let env = TestEnv::new();
        let id = env.sleeper(&[]);
        let pid = env.pid(&id);
        kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
        eventually("it is stopped", || (proc_state(pid) == Some('T')).then_some(()));
        env.ok([command, "--wait", &id]);
        assert_eq!(env.get(&id, "state"), "stopped");
    }
}

#[test]
fn an_ended_process_is_left_as_it_is() {
    let env = TestEnv::new();
    let id = env.start(&[], &["sh", "-c", "exit 3"]);
    assert_eq!(env.join(&id), 3);
    let before = env.record(&id);
    for command in ["terminate", "kill", "interrupt"] {
        env.ok([command, &id]);
        env.ok([command, "--wait", &id]);
    }
    assert_eq!(env.record(&id), before);
}

#[test]
fn an_unknown_one_is_an_error_and_nobody_is_signalled() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "worker"]);
    for command in ["terminate", "kill", "interrupt"] {
        for unknown in ["work", "worker2", "Worker", "", "zzzzzzzz", "*", "0", "1", "-1"] {
            let args = match unknown {
                // It would be an option.
                "-1" => vec![command, "--wait", "--", unknown],
                _ => vec![command, unknown],
            };
            env.refused(args, 125, &[]);
        }
    }
    assert_eq!(env.get(&id, "state"), "started");
}

#[test]
fn the_pid_of_a_process_that_procctl_did_not_start_is_no_ref() {
    let env = TestEnv::new();
    let monitor = env.monitor_pid(&env.sleeper(&[])).to_string();
    let mut stranger = env.program("sleep").arg("1000").spawn();
    let pid = stranger.pid().to_string();
    for command in ["terminate", "kill", "interrupt"] {
        env.refused([command, &pid], 125, &[&pid]);
    }
    env.refused(["kill", &monitor], 125, &[&monitor]);
    assert!(stranger.is_running());
}

#[test]
fn several_each_get_it_and_each_failure_is_reported() {
    let env = TestEnv::new();
    let one = env.sleeper(&[]);
    let two = env.sleeper(&[]);
    let initial = env.ok(["create", "--", "true"]);
    let output = env.procctl(["terminate", &one, "nobody", &initial, &two, "--wait"]).output();
    output.exits(125);
    let said = output.stderr();
    let errors: Vec<_> = said.lines().filter(|line| line.starts_with("procctl: ")).collect();
    assert_eq!(errors.len(), 2, "{said}");
    assert!(said.contains("nobody") && said.contains(&initial), "{said}");
    assert_eq!(env.get(&one, "exitcode"), "-15");
    assert_eq!(env.get(&two, "exitcode"), "-15");
    assert_eq!(env.get(&initial, "state"), "initial");
}

#[test]
fn all_ends_everybodys_and_is_content_with_none() {
    let env = TestEnv::new();
    let one = env.sleeper(&[]);
    let two = env.bash("procctl start -- sleep 1000").output().success();
    let initial = env.ok(["create", "--", "true"]);
    env.ok(["terminate", "--all", "--wait"]);
    assert_eq!(env.get(&one, "exitcode"), "-15");
    assert_eq!(env.get(&two, "exitcode"), "-15");
    assert_eq!(env.get(&initial, "state"), "initial");
    for command in ["terminate", "kill", "interrupt"] {
        env.ok([command, "--all", "--wait"]);
    }
}

#[test]
fn neither_a_ref_nor_all_is_an_error() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for command in ["terminate", "kill", "interrupt"] {
        env.refused([command], 125, &[]);
        env.refused([command, &id, "--all"], 125, &[]);
    }
    assert_eq!(env.get(&id, "state"), "started");
}

#[test]
fn descendants_are_not_terminated_without_tree() {
    let env = TestEnv::new();
    let id = env.start(&[], &["bash", "-c", "sleep 1000 & echo $! > left; wait"]);
    let left = pid_in(&env, "left");
    env.ok(["terminate", "--wait", &id]);
    assert!(!is_gone(left));
    kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
}

#[test]
fn tree_takes_every_descendant_along() {
    for command in ["terminate", "kill"] {
        let env = TestEnv::new();
        let id = env.start(
            &[],
            &[
                "bash",
                "-c",
                "sleep 1000 & echo $! > child
                 setsid sleep 1000 & echo $! > session
                 setsid bash -c 'sleep 1000 & echo $! > grandchild; wait' &
                 (setsid sleep 1000 & echo $! > orphan)
                 wait",
            ],
        );
        let pids = ["child", "session", "grandchild", "orphan"].map(|file| pid_in(&env, file));
        env.ok([command, "--tree", &id]);
        for pid in pids.into_iter().chain([env.get(&id, "pid").parse().unwrap()]) {
            assert!(is_gone(pid), "{command} --tree left {pid}");
        }
        assert_eq!(env.get(&id, "state"), "stopped");
    }
}

#[test]
fn tree_ends_managed_descendants_whose_monitors_record_it() {
    let env = TestEnv::new();
    env.file(
        "outer",
        "procctl start -n inner -- bash -c 'procctl start -n innermost -- sleep 1000; sleep 1000'
         sleep 1000",
    );
    let outer = env.start(&["-n", "outer"], &["bash", "outer"]);
    eventually("the innermost runs", || {
        env.procctl(["is-alive", "innermost"]).output().status.success().then_some(())
    });
    env.ok(["terminate", "--tree", &outer]);
    for name in ["inner", "innermost"] {
        let record = env.record(name);
        assert_eq!(record["state"], json!("stopped"), "{name}");
        assert_eq!(record["exitcode"], json!(-15), "{name}");
        assert_eq!(record["lost"], json!(null), "{name}");
    }
    assert_eq!(env.get(&outer, "exitcode"), "-15");
}

#[test]
fn tree_catches_those_that_go_on_forking() {
    for command in ["terminate", "kill"] {
        let env = TestEnv::new();
        let script = "while :; do setsid sleep 1000 & setsid bash -c 'sleep 1000 & :' & sleep 0.002; done";
        let id = env.start(&[], &["bash", "-c", script]);
        eventually("it has forked a lot", || (env.os_processes().len() > 40).then_some(()));
        env.ok([command, "--tree", &id]);
        assert_eq!(env.get(&id, "state"), "stopped");
        // Its monitor may still be on its way out.
        let monitor = env.monitor_pid(&id);
        let left = env.os_processes().into_iter().find(|&pid| pid != monitor && !is_gone(pid));
        assert_eq!(left, None, "{command} --tree left one");
    }
}

#[test]
fn tree_with_kill_after_leaves_nobody() {
    let env = TestEnv::new();
    let id =
        env.start_ready(&[], "trap '' TERM; setsid sleep 1000 & echo $! > left; echo ready; exec sleep 1000");
    let left = pid_in(&env, "left");
    env.ok(["terminate", "--tree", "--kill-after", "0.1", &id]);
    assert!(is_gone(left));
    assert_eq!(env.get(&id, "exitcode"), "-9");
}

#[test]
fn a_second_shell_ends_what_a_first_one_started() {
    let env = TestEnv::new();
    env.bash("procctl start -n server -- sleep 1000").output().success();
    env.bash("procctl terminate server --wait").output().success();
    assert_eq!(env.get("server", "exitcode"), "-15");
}

/// Nothing tells that it has forked, and nobody ends: only another look shows it.
#[test]
fn tree_finds_what_a_member_starts_after_it_has_its_signal() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    // A while after its signal: by then it has been looked at again, should that be done only once.
    let start_late = "read -r -t 0.3 _ <&9; sleep 1000 & wait; exit 3";
    let wait = "echo >ready; read -r _ <&9";
    let script = format!("exec 9<>{}; trap '{start_late}' TERM; {wait}", gate.path().display());
    let id = env.start(&[], &["bash", "-c", &script]);
    eventually("it waits for the signal", || env.path("ready").exists().then_some(()));
    env.ok(["terminate", "--tree", &id]);
    assert_eq!(env.join(&id), 3);
}
