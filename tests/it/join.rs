//! `join`: waiting for the end, and telling the truth about it.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::harness::{Shell, TestEnv, eventually, skipped};

/// More than a timeout of nothing may take, less than a wait for a `sleep 1000`.
const SOON: Duration = Duration::from_secs(5);

#[test]
fn it_exits_with_the_processs_own_status() {
    let env = TestEnv::new();
    for code in [0, 1, 99, 255] {
        let id = env.start(&[], &["sh", "-c", &format!("exit {code}")]);
        let output = env.procctl(["join", &id]).output();
        output.exits(code).quiet();
        assert_eq!(output.stdout(), "");
        assert_eq!(env.get(&id, "exitcode"), code.to_string());
    }
}

#[test]
fn a_death_by_signal_is_128_and_the_number() {
    let env = TestEnv::new();
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("ABRT", 6), ("HUP", 1)] {
        let id = env.start(&[], &["bash", "-c", &format!("ulimit -c 0; kill -{signal} $$")]);
        assert_eq!(env.join(&id), 128 + number);
        assert_eq!(env.get(&id, "exitcode"), format!("-{number}"));
    }
}

#[test]
fn it_may_be_repeated_by_anybody_long_after_the_end() {
    let env = TestEnv::new();
    let id = env.start(&[], &["sh", "-c", "exit 5"]);
    for _ in 0..3 {
        assert_eq!(env.join(&id), 5);
    }
    env.bash(&format!("procctl join {id}")).output().exits(5);
}

/// Its exit status was not told: it is not joined yet, and the next join of the name has it.
#[test]
fn what_had_ended_when_a_join_ran_out_of_time_is_not_forgotten() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let script = format!(
        "procctl start --name worker -- sh -c 'exit 5' >/dev/null
        procctl start --name worker -- sh -c '{}' >/dev/null
        until [ $(procctl status --ended --format '{{id}}' | wc -l) = 1 ]; do :; done
        procctl join worker --timeout 0.1; echo $?; echo >{}; procctl join worker; echo $?",
        gate.wait(),
        gate.path().display(),
    );
    assert_eq!(env.bash(&script).output().success(), "124\n5");
}

#[test]
fn many_joins_of_one_process_all_get_its_status() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start(&[], &["bash", "-c", &format!("{}; exit 6", gate.wait())]);
    let mut joins: Vec<_> = (0..10).map(|_| env.procctl(["join", &id]).spawn()).collect();
    for join in &mut joins {
        join.wait_until_blocked();
    }
    gate.open();
    for join in joins {
        join.wait().exits(6).quiet();
    }
}

#[test]
fn after_it_every_other_command_agrees() {
    let env = TestEnv::new();
    for _ in 0..20 {
        let id = env.start(&[], &["true"]);
        assert_eq!(env.join(&id), 0);
        assert_eq!(env.get(&id, "state"), "stopped");
        assert_eq!(env.get(&id, "exitcode"), "0");
        env.procctl(["is-alive", &id]).output().exits(1).quiet();
        assert_eq!(env.json(["status", "--json", "--alive"]), json!([]));
        env.ok(["close", &id]);
    }
}

#[test]
fn the_timeout_stops_the_waiting_and_not_the_process() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for timeout in ["0.05", ".05", "50ms", "0.05s"] {
        let before = Instant::now();
        let output = env.procctl(["join", "--timeout", timeout, &id]).output();
        output.exits(124);
        assert!(before.elapsed() >= Duration::from_millis(50), "{timeout}");
        assert!(before.elapsed() < SOON, "{timeout}");
        assert_eq!(output.stdout(), "");
    }
    assert_eq!(env.get(&id, "state"), "started");
    assert_eq!(env.record(&id)["ended_by"], json!(null));
}

#[test]
fn a_timeout_of_zero_or_less_does_not_block() {
    let env = TestEnv::new();
    let alive = env.sleeper(&[]);
    let ended = env.start(&[], &["sh", "-c", "exit 3"]);
    assert_eq!(env.join(&ended), 3);
    for timeout in ["--timeout=0", "--timeout=-1", "--timeout=-0.5", "--timeout=0ms"] {
        let before = Instant::now();
        env.procctl(["join", timeout, &alive]).output().exits(124);
        assert!(before.elapsed() < SOON, "{timeout}");
        env.procctl(["join", timeout, &ended]).output().exits(3).quiet();
    }
    env.procctl(["join", &alive, "--timeout", "-1"]).output().exits(124);
}

#[test]
fn a_timeout_that_is_not_reached_changes_nothing() {
    let env = TestEnv::new();
    for timeout in ["20", "2m", "1h", "1d", "20s"] {
        let id = env.start(&[], &["sh", "-c", "exit 4"]);
        env.procctl(["join", &id, "--timeout", timeout]).output().exits(4).quiet();
    }
}

#[test]
fn with_several_it_is_the_first_in_order_that_did_not_end_with_0() {
    let env = TestEnv::new();
    let zero = env.start(&[], &["true"]);
    let three = env.start(&[], &["sh", "-c", "exit 3"]);
    let term = env.start(&[], &["sh", "-c", "kill $$"]);
    for (refs, code) in [
        ([&zero, &three, &term], 3),
        ([&zero, &term, &three], 143),
        ([&term, &zero, &three], 143),
        ([&zero, &zero, &zero], 0),
    ] {
        let mut args = vec!["join"];
        args.extend(refs.map(String::as_str));
        env.procctl(args).output().exits(code).quiet();
    }
}

#[test]
fn it_waits_for_all_of_several() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let failed = env.start(&[], &["false"]);
    let waiting = env.start(&[], &["bash", "-c", &gate.wait()]);
    let mut join = env.procctl(["join", &failed, &waiting]).spawn();
    join.wait_until_blocked();
    gate.open();
    join.wait().exits(1).quiet();
}

#[test]
fn a_timeout_with_one_failed_and_one_alive_is_124() {
    let env = TestEnv::new();
    let failed = env.start(&[], &["false"]);
    let alive = env.sleeper(&[]);
    assert_eq!(env.join(&failed), 1);
    env.procctl(["join", &failed, &alive, "--timeout", "0.05"]).output().exits(124);
}

#[test]
fn without_refs_it_joins_the_callers_own_children() {
    for shell in Shell::installed() {
        let env = TestEnv::new();
        let stranger = env.sleeper(&[]);
        let said = env
            .script(
                shell,
                "a=$(procctl start -- true)
                 b=$(procctl start -- sh -c 'exit 3')
                 c=$(procctl start -- sh -c 'exit 4')
                 procctl join; echo $?
                 procctl join; echo $?
                 procctl join --all --timeout 0.05; echo $?",
            )
            .output();
        said.exits(0);
        assert_eq!(said.stdout(), "3\n3\n124", "{shell:?}");
        assert_eq!(env.get(&stranger, "state"), "started");
    }
}

#[test]
fn without_refs_and_without_children_it_points_to_all() {
    let env = TestEnv::new();
    let stranger = env.start(&[], &["true"]);
    assert_eq!(env.join(&stranger), 0);
    let output = env.bash("procctl join; exit $?").output();
    output.refused(125, &["--all"]);
}

#[test]
fn a_caller_whose_children_were_all_closed_is_told_so() {
    let env = TestEnv::new();
    let output = env
        .bash(
            "id=$(procctl start -- false); procctl join $id; procctl close $id
             procctl join; exit $?",
        )
        .output();
    let said = output.refused(125, &["closed"]);
    assert!(!said.is_empty());
}

#[test]
fn all_joins_everybodys() {
    let env = TestEnv::new();
    env.start(&[], &["true"]);
    env.start(&[], &["sh", "-c", "exit 8"]);
    env.bash("procctl join --all; exit $?").output().exits(8).quiet();
}

#[test]
fn any_returns_as_soon_as_one_has_ended_and_prints_its_id() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let alive = env.sleeper(&[]);
    let ending = env.start(&[], &["bash", "-c", &gate.wait()]);
    let mut join = env.procctl(["join", "--any", &alive, &ending]).spawn();
    join.wait_until_blocked();
    gate.open();
    assert_eq!(join.wait().success(), ending);
    assert_eq!(env.get(&alive, "state"), "started");
}

#[test]
fn any_prints_every_one_that_has_ended() {
    let env = TestEnv::new();
    let zero = env.start(&[], &["true"]);
    let three = env.start(&[], &["sh", "-c", "exit 3"]);
    let alive = env.sleeper(&[]);
    env.procctl(["join", &zero, &three]).output().exits(3);
    let output = env.procctl(["join", "--any", &alive, &three, &zero]).output();
    output.exits(3).quiet();
    let said = output.stdout();
    let mut said: Vec<_> = said.lines().collect();
    said.sort_unstable();
    let mut wanted = [zero.as_str(), three.as_str()];
    wanted.sort_unstable();
    assert_eq!(said, wanted);
}

#[test]
fn any_that_runs_out_of_time_is_124() {
    let env = TestEnv::new();
    let one = env.sleeper(&[]);
    let two = env.sleeper(&[]);
    let output = env.procctl(["join", "--any", "--timeout", "0.05", &one, &two]).output();
    output.exits(124);
    assert_eq!(output.stdout(), "");
}

#[test]
fn any_in_a_loop_meets_each_child_of_a_shell() {
    let env = TestEnv::new();
    let said = env
        .bash(
            "for n in 1 2 3; do procctl start -n w$n -- true > /dev/null; done
             seen=0
             while first=$(procctl join --any 2>/dev/null); do
                 for id in $first; do procctl close $id; seen=$((seen + 1)); done
             done
             echo $seen",
        )
        .output()
        .success();
    assert_eq!(said, "3");
}

#[test]
fn json_tells_how_each_ended() {
    let env = TestEnv::new();
    let three = env.start(&[], &["sh", "-c", "exit 3"]);
    let term = env.start(&[], &["sh", "-c", "kill $$"]);
    let output = env.procctl(["join", "--json", &three, &term]).output();
    output.exits(3).quiet();
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let told: Vec<_> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|record| (&record["id"], &record["exitcode"], &record["state"]))
        .collect();
    let stopped = json!("stopped");
    assert_eq!(told, [(&json!(three), &json!(3), &stopped), (&json!(term), &json!(-15), &stopped)]);
}

#[test]
fn an_initial_process_is_refused() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "true"]);
    env.refused(["join", &id], 125, &[&id]);
    env.refused(["join", &id, "--timeout", "0"], 125, &[&id]);
}

#[test]
fn an_ended_process_can_be_joined_in_a_read_only_run_directory() {
    let env = TestEnv::new();
    let id = env.start(&["-n", "w"], &["sh", "-c", "exit 5"]);
    assert_eq!(env.join(&id), 5);
    let script = "touch run/x 2>/dev/null && echo writable; procctl join w";
    let Some(call) = env.bash_read_only(script) else {
        return skipped("it takes unshare to keep root from writing");
    };
    let output = call.output();
    output.exits(5).quiet();
    assert_eq!(output.stdout(), "");
}

#[test]
fn a_blocked_join_does_not_wake_up_on_a_timer() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let mut join = env.procctl(["join", &id]).spawn();
    join.wait_until_blocked();
    let switches = || crate::harness::proc_status(join.pid(), "voluntary_ctxt_switches").unwrap();
    let before = switches();
    // Not a wait for anything: the time in which nothing may happen.
    std::thread::sleep(Duration::from_secs(1));
    assert_eq!(before, switches());
    env.ok(["kill", &id]);
    join.wait().exits(137).quiet();
}

#[test]
fn an_exit_code_is_told_to_if_and_or() {
    let env = TestEnv::new();
    let said = env
        .bash(
            "id=$(procctl start -- false)
             if procctl join $id; then echo yes; else echo no $?; fi
             procctl join $id || echo or; ! procctl join $id || echo wrong",
        )
        .output()
        .success();
    assert_eq!(said, "no 1\nor");
}

#[test]
fn more_processes_than_descriptors_are_all_joined() {
    let env = TestEnv::new();
    let output = env
        .bash(
            "ulimit -Sn 32
             for n in {1..40}; do procctl start -n w$n -- sleep 1000 > id; done
             procctl join --timeout 0.05; echo $?
             procctl terminate --all --wait; echo $?
             procctl join; echo $?
             procctl start -n limited -- bash -c 'ulimit -Sn' > id; procctl join limited; procctl logs limited",
        )
        .output();
    assert_eq!(output.success(), "124\n0\n143\n32");
}

#[test]
fn an_end_that_is_late_in_being_recorded_is_told_to_who_waits() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start(&["-n", "late"], &["sh", "-c", &format!("{}; exit 3", gate.wait())]);
    let monitor = env.monitor_pid(&id);
    let mut join = env.bash("exec procctl join late 2> said").spawn();
    join.wait_until_blocked();
    kill(Pid::from_raw(monitor), Signal::SIGSTOP).unwrap();
    gate.open();
    let said = eventually("it is told", || {
        let said = fs::read_to_string(env.path("said")).unwrap();
        said.contains("hint: ").then_some(said)
    });
    assert!(
        said.starts_with(&format!("procctl: {id} (late) has ended, and its end is not recorded yet\n")),
        "{said}"
    );
    assert!(join.is_running());
    kill(Pid::from_raw(monitor), Signal::SIGCONT).unwrap();
    join.wait().exits(3);
    assert_eq!(fs::read_to_string(env.path("said")).unwrap(), said, "it is told once");
}

#[test]
fn what_is_joined_under_a_new_name_is_joined() {
    let env = TestEnv::new();
    let (first, second) = (env.gate("first"), env.gate("second"));
    let one = env.start(&["-n", "one"], &["sh", "-c", &format!("{}; exit 3", first.wait())]);
    let two = env.start(&["-n", "two"], &["sh", "-c", &second.wait()]);
    let mut join = env.procctl(["join", "one", "two"]).spawn();
    join.wait_until_blocked();
    first.open();
    eventually("it has ended", || (env.get(&one, "state") == "stopped").then_some(()));
    // It has been taken in: it waits for the other alone.
    join.wait_until_blocked();
    env.ok(["set", &one, "name=other"]);
    second.open();
    join.wait().exits(3);
    assert_eq!(env.get(&two, "exitcode"), "0");
    env.start(&["-n", "other"], &["sh", "-c", "exit 7"]);
    assert_eq!(env.join("other"), 7);
}
