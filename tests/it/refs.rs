//! §3: which processes a REF names.

use serde_json::{Value, json};

use crate::harness::{Shell, TestEnv};

#[test]
fn an_id_a_prefix_of_four_a_name_and_a_pid_name_a_process() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "worker"]);
    let pid = env.get(&id, "pid");
    for reference in [&id, "worker", &id[..4], &id[..5], &pid] {
        assert_eq!(env.get(reference, "id"), id, "{reference}");
    }
}

#[test]
fn shorter_prefixes_and_parts_of_names_name_nothing() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "worker"]);
    for reference in
        [&id[..3], &id[..1], &id[1..], "work", "Worker", "worker ", "", " ", "@", "@other", "@SELF"]
    {
        env.refused(["get", reference, "id"], 125, &[reference.trim()]);
    }
}

#[test]
fn ids_begin_with_a_letter_and_are_short_lower_case_and_different() {
    let env = TestEnv::new();
    let mut ids: Vec<String> = (0..30).map(|_| env.ok(["create", "--", "true"])).collect();
    for id in &ids {
        assert!(id.starts_with(|c: char| c.is_ascii_lowercase()), "{id}");
        assert!((4..=16).contains(&id.len()), "{id}");
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        assert!(id.chars().all(plain), "{id}");
    }
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 30);
}

#[test]
fn an_id_comes_before_a_name_and_a_name_before_a_prefix_and_a_pid() {
    let env = TestEnv::new();
    let one = env.sleeper(&[]);
    let pid = env.get(&one, "pid");
    let like_an_id = env.sleeper(&["-n", &one]);
    let like_a_prefix = env.sleeper(&["-n", &one[..4]]);
    let like_a_pid = env.sleeper(&["-n", &pid]);
    assert_eq!(env.get(&one, "id"), one);
    assert_eq!(env.get(&one[..4], "id"), like_a_prefix);
    assert_eq!(env.get(&one[..5], "id"), one);
    assert_eq!(env.get(&pid, "id"), like_a_pid);
    assert_eq!(env.get(&like_an_id, "id"), like_an_id);
}

#[test]
fn the_pid_of_an_ended_process_names_nothing() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let pid = env.get(&id, "pid");
    env.ok(["kill", "--wait", &id]);
    for command in ["get", "join", "kill", "is-alive", "status"] {
        env.procctl([command, &pid]).output().exits(125).one_error(&[&pid]);
    }
}

#[test]
fn options_may_stand_before_or_after_refs() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "w"]);
    for args in
        [["join", "--timeout", "0", "w"], ["join", "w", "--timeout", "0"], ["join", "--timeout=0", "w", &id]]
    {
        env.procctl(args).output().exits(124);
    }
    env.procctl(["--run-dir", env.run_dir().to_str().unwrap(), "is-alive", "w"])
        .env_remove("PROCCTL_RUN_DIR")
        .output()
        .exits(0);
    env.procctl(["is-alive", "w", "--run-dir", env.run_dir().to_str().unwrap()])
        .env_remove("PROCCTL_RUN_DIR")
        .output()
        .exits(0);
    env.ok(["terminate", "w", "--wait"]);
}

#[test]
fn signalling_a_name_means_the_callers_own_children_of_that_name() {
    for (shell, command) in Shell::installed().zip(["terminate", "kill", "interrupt"]) {
        let env = TestEnv::new();
        let stranger = env.sleeper(&["-n", "w"]);
        let said = env
            .script(
                shell,
                &format!(
                    "a=$(procctl start -n w -- sleep 1000)
                     b=$(procctl start -n w -- sleep 1000)
                     echo $a $b
                     ( procctl {command} w --wait )"
                ),
            )
            .output()
            .success();
        for own in said.split(' ') {
            assert_eq!(env.get(own, "state"), "stopped", "{shell:?}");
        }
        assert_eq!(env.get(&stranger, "state"), "started", "{shell:?}");
    }
}

#[test]
fn signalling_a_name_without_own_children_of_it_means_all_live_ones() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "w"]);
    let two = env.bash("procctl start -n w -- sleep 1000").output().success();
    let other = env.sleeper(&["-n", "x"]);
    env.bash("procctl terminate w --wait; exit $?").output().success();
    assert_eq!(env.get(&one, "exitcode"), "-15");
    assert_eq!(env.get(&two, "exitcode"), "-15");
    assert_eq!(env.get(&other, "state"), "started");
}

#[test]
fn signalling_a_name_whose_own_bearers_have_ended_means_all_live_ones() {
    let env = TestEnv::new();
    let stranger = env.sleeper(&["-n", "w"]);
    env.bash("id=$(procctl start -n w -- true); procctl join $id; procctl terminate w --wait")
        .output()
        .success();
    assert_eq!(env.get(&stranger, "exitcode"), "-15");
}

#[test]
fn signalling_a_name_whose_bearers_have_all_ended_does_nothing() {
    let env = TestEnv::new();
    let id = env.start(&["-n", "w"], &["true"]);
    assert_eq!(env.join(&id), 0);
    for command in ["terminate", "kill", "interrupt"] {
        env.ok([command, "w"]);
    }
}

#[test]
fn joining_a_name_means_own_ones_not_joined_yet_then_live_ones_then_the_last_ended() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let stranger = env.sleeper(&["-n", "w"]);
    let said = env
        .bash(&format!(
            "a=$(procctl start -n w -- bash -c '{}; exit 4')
             b=$(procctl start -n w -- sh -c 'exit 3')
             procctl join $b; echo $?
             procctl join w --timeout 0.05; echo $?
             echo > gate
             procctl join w; echo $?
             procctl join w --timeout 0.05; echo $?
             procctl kill {stranger} --wait
             procctl join w; echo $?",
            gate.wait()
        ))
        .output()
        .success();
    // b joined; a alive; a ended with 4 and joined; only the stranger lives; it was the last to end.
    assert_eq!(said, "3\n124\n4\n124\n137");
}

#[test]
fn joining_a_name_takes_all_own_ones_that_were_not_joined() {
    let env = TestEnv::new();
    let said = env
        .bash(
            "procctl start -n w -- true >/dev/null
             procctl start -n w -- sh -c 'exit 5' >/dev/null
             procctl start -n w -- sh -c 'exit 6' >/dev/null
             procctl join w; echo $?
             procctl join w --json | tr -d ' \\n'; echo",
        )
        .output()
        .success();
    let (code, json) = said.split_once('\n').unwrap();
    assert_eq!(code, "5");
    // The second time all were joined: it is the one that ended last.
    let again: Value = serde_json::from_str(json).unwrap();
    assert_eq!(again.as_array().unwrap().len(), 1, "{again}");
}

#[test]
fn get_and_is_alive_of_a_name_prefer_the_callers_own_child() {
    let env = TestEnv::new();
    let stranger = env.sleeper(&["-n", "w"]);
    let said = env
        .bash(
            "id=$(procctl start -n w -- sleep 1000); echo $id
             procctl get w id; procctl is-alive w; echo $?
             procctl set w name=mine; procctl get mine id; procctl logs mine",
        )
        .output()
        .success();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines, [lines[0], lines[0], "0", lines[0]]);
    assert_eq!(env.get("w", "id"), stranger);
}

#[test]
fn get_of_a_name_whose_bearers_have_ended_means_the_last() {
    let env = TestEnv::new();
    let script = "for code in 3 4 5; do
                      id=$(procctl start -n w -- sh -c \"exit $code\"); procctl join $id
                  done";
    env.bash(script).output().exits(5);
    assert_eq!(env.get("w", "exitcode"), "5");
    assert_eq!(env.join("w"), 5);
    // A living one comes before the ended ones.
    let alive = env.sleeper(&["-n", "w"]);
    assert_eq!(env.get("w", "id"), alive);
}

#[test]
fn a_name_among_refs_is_one_of_several() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "a"]);
    let two = env.sleeper(&["-n", "a"]);
    let three = env.sleeper(&["-n", "b"]);
    env.ok(["kill", "a", "b", "--wait"]);
    for id in [one, two, three] {
        assert_eq!(env.get(&id, "exitcode"), "-9");
    }
}

#[test]
fn a_process_named_twice_is_acted_on_once() {
    let env = TestEnv::new();
    let id = env.start(&["-n", "w"], &["sh", "-c", "exit 3"]);
    env.procctl(["join", &id, "w", &id[..4]]).output().exits(3).quiet();
    let rows = env.json(["status", "--json", &id, "w"]);
    assert_eq!(rows.as_array().unwrap().len(), 1, "{rows}");
    env.ok(["close", &id, "w"]);
}

#[test]
fn self_and_parent_outside_of_the_family_are_errors() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    for command in ["join", "terminate", "kill", "interrupt"] {
        env.refused([command, "@self"], 125, &["@self"]);
        env.refused([command, "@parent"], 125, &["@parent"]);
    }
    env.refused(["get", "@self", "name"], 125, &["@self"]);
}

#[test]
fn a_process_knows_itself_from_its_first_moment() {
    let env = TestEnv::new();
    for _ in 0..50 {
        let output = env.procctl(["run", "-n", "me", "--", "procctl", "get", "@self", "state"]).output();
        assert_eq!(output.success(), "started");
        let id = env.start(&["-n", "me"], &["procctl", "get", "@self", "name"]);
        assert_eq!(env.join(&id), 0);
        assert_eq!(env.ok(["logs", &id]), "me");
        env.ok(["close", "me"]);
    }
}

#[test]
fn a_process_may_signal_itself_and_its_parent() {
    let env = TestEnv::new();
    let id = env.start(&[], &["bash", "-c", "procctl terminate @self; sleep 1000"]);
    assert_eq!(env.join(&id), 143);
    env.file("outer", "procctl start -n inner -- procctl terminate @parent; exec sleep 1000");
    let outer = env.start(&["-n", "outer"], &["bash", "outer"]);
    assert_eq!(env.join(&outer), 143);
    assert_eq!(env.record("outer")["ended_by"]["action"], json!("terminate"));
    for pid in env.os_processes() {
        // The first script's sleep.
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL);
    }
}

#[test]
fn an_ambiguous_name_is_an_error_that_lists_the_ids_and_changes_nothing() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "twin"]);
    let two = env.sleeper(&["-n", "twin"]);
    for args in
        [&["get", "twin", "pid"][..], &["set", "twin", "name=x"], &["logs", "twin"], &["is-alive", "twin"]]
    {
        env.refused(args, 125, &["twin", &one, &two]);
    }
    assert_eq!(env.get(&one, "name"), "twin");
    assert_eq!(env.get(&two, "name"), "twin");
}
