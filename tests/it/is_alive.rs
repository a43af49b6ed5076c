//! `is-alive`: yes or no, by exit status alone.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::harness::{TestEnv, eventually, proc_state};

#[test]
fn zero_while_it_lives_and_one_before_and_after() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "sleep", "1000"]);
    let is_alive = |code| {
        let output = env.procctl(["is-alive", &id]).output();
        output.exits(code).quiet();
        assert_eq!(output.stdout(), "");
    };
    is_alive(1);
    env.ok(["start", &id]);
    is_alive(0);
    env.ok(["kill", "--wait", &id]);
    is_alive(1);
}

#[test]
fn it_answers_to_if() {
    let env = TestEnv::new();
    let said = env
        .bash(
            "id=$(procctl start -- sleep 1000)
             if procctl is-alive $id; then echo alive; fi
             procctl kill $id --wait
             procctl is-alive $id || echo $?",
        )
        .output()
        .success();
    assert_eq!(said, "alive\n1");
}

#[test]
fn a_stopped_process_is_alive() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let pid = env.pid(&id);
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    eventually("it is stopped", || (proc_state(pid) == Some('T')).then_some(()));
    env.procctl(["is-alive", &id]).output().exits(0).quiet();
}

#[test]
fn a_process_that_has_ended_is_not_alive_whatever_the_record_says_yet() {
    let env = TestEnv::new();
    for round in 0..20 {
        let id = env.sleeper(&[]);
        let pid = env.pid(&id);
        let monitor = env.monitor_pid(&id);
        // A monitor that is held up: the record can't tell the end yet, and procctl must wait for it or see it.
        if round % 2 == 0 {
            kill(Pid::from_raw(monitor), Signal::SIGSTOP).unwrap();
        }
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
        eventually("it has ended", || matches!(proc_state(pid), None | Some('Z')).then_some(()));
        if round % 2 == 0 {
            // `is-alive` may answer at once or wait for the monitor: either way it says no.
            let running = env.procctl(["is-alive", &id]).spawn();
            kill(Pid::from_raw(monitor), Signal::SIGCONT).unwrap();
            running.wait().exits(1).quiet();
        } else {
            env.procctl(["is-alive", &id]).output().exits(1).quiet();
        }
        assert_eq!(env.get(&id, "state"), "stopped");
        assert_eq!(env.get(&id, "exitcode"), "-9");
    }
}

#[test]
fn an_unknown_one_is_an_error_and_not_a_no() {
    let env = TestEnv::new();
    let one = env.sleeper(&[]);
    let two = env.sleeper(&[]);
    env.refused(["is-alive", "nobody"], 125, &["nobody"]);
    env.refused(["is-alive"], 125, &[]);
    env.refused(["is-alive", &one, &two], 125, &[]);
}

#[test]
fn a_name_of_several_is_an_error_that_lists_their_ids() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "twin"]);
    let two = env.sleeper(&["-n", "twin"]);
    env.refused(["is-alive", "twin"], 125, &["twin", &one, &two]);
}
