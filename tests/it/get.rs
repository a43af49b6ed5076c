//! `get`: one attribute, raw, for scripts; or the record.

use serde_json::json;

use crate::harness::{TestEnv, eventually};

#[test]
fn a_field_is_printed_raw_on_a_line() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "a name"]);
    for (field, value) in [
        ("name", "a name\n"),
        ("state", "started\n"),
        ("daemon", "false\n"),
        ("schema", "1\n"),
        ("identity", "[1]\n"),
        ("command", "[\"sleep\",\"1000\"]\n"),
        ("exitcode", "\n"),
        ("stopped_at", "\n"),
        ("lost", "\n"),
    ] {
        let output = env.procctl(["get", &id, field]).output();
        output.exits(0).quiet();
        let said = String::from_utf8_lossy(&output.stdout).replace(", ", ",");
        assert_eq!(said, value, "{field}");
    }
    assert_eq!(env.get(&id, "id"), id);
    assert_eq!(env.get(&id, "parent.pid"), std::process::id().to_string());
}

#[test]
fn without_a_field_it_is_the_record() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let record = env.record(&id);
    assert_eq!(record["id"], json!(id));
    assert_eq!(record["command"], json!(["sleep", "1000"]));
}

#[test]
fn a_nested_value_is_reached_by_a_path() {
    let env = TestEnv::new();
    let id = env.start(&[], &["bash", "-c", "for ((n = 0; n < 20000; n++)); do :; done"]);
    assert_eq!(env.join(&id), 0);
    let seconds: f64 = env.get(&id, "usage.user_seconds").parse().unwrap();
    assert!(seconds > 0.0);
    let bytes: u64 = env.get(&id, "usage.max_rss_bytes").parse().unwrap();
    assert!(bytes > 100_000, "{bytes}");
    assert!(env.get(&id, "usage").starts_with('{'));
}

#[test]
fn an_unknown_field_is_an_error_that_names_it() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for field in ["no_such_field", "parent.no_such_field", "name.x", ""] {
        env.refused(["get", &id, field], 125, &[field]);
    }
    env.refused(["get"], 125, &[]);
    env.refused(["get", "nobody"], 125, &["nobody"]);
    env.refused(["get", "nobody", "pid"], 125, &["nobody"]);
}

#[test]
fn a_name_of_several_is_an_error_that_lists_their_ids() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "twin"]);
    let two = env.sleeper(&["-n", "twin"]);
    env.refused(["get", "twin", "pid"], 125, &["twin", &one, &two]);
}

#[test]
fn inside_a_process_it_answers_who_it_is_and_who_its_parent_is() {
    let env = TestEnv::new();
    let id = env.start(
        &["-n", "me"],
        &[
            "bash",
            "-c",
            "procctl get @self name; procctl get @self id; procctl get @self pid; echo $$
             procctl get @parent pid",
        ],
    );
    assert_eq!(env.join(&id), 0);
    let log = env.ok(["logs", &id]);
    let pid = env.get(&id, "pid");
    let parent = std::process::id().to_string();
    assert_eq!(log.lines().collect::<Vec<_>>(), ["me", &id, &pid, &pid, &parent]);
}

#[test]
fn the_state_never_lags_behind_the_kernel() {
    let env = TestEnv::new();
    for _ in 0..20 {
        let id = env.sleeper(&[]);
        let pid = env.pid(&id);
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        eventually("it has ended", || crate::harness::is_gone(pid).then_some(()));
        assert_eq!(env.get(&id, "state"), "stopped");
        assert_eq!(env.get(&id, "exitcode"), "-9");
    }
}
