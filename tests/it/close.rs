//! `close`: forgetting what has ended.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::harness::{TestEnv, eventually, is_gone};
use crate::support::files_below;

/// Does anything in the run directory still speak of `id`, in a path or in a file?
fn is_mentioned(env: &TestEnv, id: &str) -> bool {
    files_below(&env.run_dir()).iter().any(|file| {
        file.to_str().unwrap().contains(id)
            || std::fs::read(file).is_ok_and(|bytes| String::from_utf8_lossy(&bytes).contains(id))
    })
}

#[test]
fn it_forgets_an_ended_process_and_its_log() {
    let env = TestEnv::new();
    let id = env.start(&["-n", "w"], &["echo", "said"]);
    assert_eq!(env.join(&id), 0);
    assert_eq!(env.ok(["close", &id]), "");
    for command in ["get", "logs", "join", "is-alive", "close", "terminate"] {
        env.refused([command, &id], 125, &[&id]);
        env.refused([command, "w"], 125, &["w"]);
    }
    assert!(env.status().is_empty());
    assert!(!is_mentioned(&env, &id));
}

#[test]
fn it_forgets_what_was_never_started() {
    let env = TestEnv::new();
    let id = env.ok(["create", "-e", "TOKEN=hunter2", "--", "true"]);
    env.ok(["close", &id]);
    env.refused(["start", &id], 125, &[&id]);
    assert!(!is_mentioned(&env, "hunter2"));
}

#[test]
fn a_live_process_is_an_error_and_stays() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    env.refused(["close", &id], 125, &[&id]);
    assert_eq!(env.get(&id, "state"), "started");
    env.procctl(["is-alive", &id]).output().exits(0);
}

#[test]
fn several_are_each_tried_and_each_failure_is_reported() {
    let env = TestEnv::new();
    let one = env.start(&[], &["true"]);
    let two = env.start(&[], &["true"]);
    env.ok(["join", &one, &two]);
    let alive = env.sleeper(&[]);
    let output = env.procctl(["close", &one, &alive, "nobody", &two]).output();
    output.exits(125);
    let said = output.stderr();
    assert!(said.contains(&alive) && said.contains("nobody"), "{said}");
    let rows = env.status();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0]["id"], json!(alive));
}

#[test]
fn a_name_means_every_ended_or_initial_one_and_an_error_for_each_alive() {
    let env = TestEnv::new();
    let ended = env.start(&["-n", "w"], &["true"]);
    assert_eq!(env.join(&ended), 0);
    env.ok(["create", "-n", "w", "--", "true"]);
    let alive = env.sleeper(&["-n", "w"]);
    let output = env.procctl(["close", "w"]).output();
    output.exits(125).one_error(&[&alive]);
    let rows = env.status();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["id"], json!(alive));
    env.ok(["kill", "--wait", "w"]);
    env.ok(["close", "w"]);
    assert!(env.status().is_empty());
}

#[test]
fn all_passes_over_the_live_ones() {
    let env = TestEnv::new();
    env.ok(["close", "--all"]);
    for _ in 0..3 {
        env.start(&[], &["true"]);
    }
    env.ok(["join"]);
    env.ok(["create", "--", "true"]);
    let alive = env.sleeper(&[]);
    env.ok(["close", "--all"]);
    let rows = env.status();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(rows[0]["id"], json!(alive));
}

#[test]
fn older_than_spares_what_ended_lately() {
    let env = TestEnv::new();
    let id = env.start(&[], &["true"]);
    assert_eq!(env.join(&id), 0);
    for time in ["1h", "2m", "1d", "100"] {
        env.ok(["close", "--all", "--older-than", time]);
    }
    assert_eq!(env.status().len(), 1);
    eventually("it is older than 50ms", || {
        env.ok(["close", "--all", "--older-than", "50ms"]);
        env.status().is_empty().then_some(())
    });
}

#[test]
fn the_numbers_of_closed_children_are_not_given_again() {
    let env = TestEnv::new();
    for number in 1..=3 {
        let id = env.start(&[], &["true"]);
        assert_eq!(env.get(&id, "name"), format!("Process-{number}"));
        assert_eq!(env.join(&id), 0);
        env.ok(["close", &id]);
    }
}

#[test]
fn neither_a_ref_nor_all_is_an_error() {
    let env = TestEnv::new();
    let id = env.start(&[], &["true"]);
    assert_eq!(env.join(&id), 0);
    env.refused(["close"], 125, &[]);
    env.refused(["close", "--all", &id], 125, &[]);
    env.refused(["close", "nobody"], 125, &["nobody"]);
    assert_eq!(env.status().len(), 1);
}

#[test]
fn a_script_may_close_what_it_has_joined() {
    let env = TestEnv::new();
    let said = env
        .bash(
            "id=$(procctl start -- sh -c 'exit 3'); procctl join $id; code=$?
             procctl close $id; echo $code; procctl status --json",
        )
        .output()
        .success();
    assert_eq!(said.replace(char::is_whitespace, ""), "3[]");
}

#[test]
fn a_start_beside_close_all_always_answers() {
    let env = TestEnv::new();
    let output = env
        .bash(
            "( while test ! -e stop; do procctl close --all || exit 1; done ) &
             for n in {1..150}; do procctl start -- true > id || echo failed; done
             touch stop; wait $! || echo close failed
             procctl start -- true > id; procctl join; procctl close --all; procctl status --json",
        )
        .output();
    assert_eq!(output.success(), "[]");
    let left = files_below(&env.run_dir());
    assert!(!left.iter().any(|file| file.ends_with("record.json")), "{left:?}");
}

#[test]
fn older_than_alone_means_all_of_that_age() {
    let env = TestEnv::new();
    let ended = env.start(&[], &["true"]);
    env.procctl(["join", &ended]).output().exits(0);
    let alive = env.sleeper(&[]);
    env.ok(["close", "--older-than", "1h"]);
    assert_eq!(env.status().len(), 2);
    env.ok(["close", "--older-than", "0"]);
    assert_eq!(env.get(&alive, "state"), "started");
    assert_eq!(env.status().len(), 1);
}

#[test]
fn all_says_whose_end_is_not_recorded_yet() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start(&[], &["sh", "-c", &gate.wait()]);
    let (pid, monitor) = (env.pid(&id), env.monitor_pid(&id));
    kill(Pid::from_raw(monitor), Signal::SIGSTOP).unwrap();
    gate.open();
    eventually("it has ended", || is_gone(pid).then_some(()));
    env.refused(["close", "--all"], 125, &[&id, "its end is not recorded yet"]);
    kill(Pid::from_raw(monitor), Signal::SIGCONT).unwrap();
    assert_eq!(env.join(&id), 0);
    env.ok(["close", "--all"]);
}
