//! `start`: what it answers, when it returns, and how it fails. What the process is given: `launch.rs`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{Shell, TestEnv, is_gone, proc_state};

fn executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn the_answer_is_the_id_of_a_process_that_runs() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let record = env.record(&id);
    assert_eq!(record["state"], json!("started"));
    assert_eq!(record["exitcode"], json!(null));
    assert_eq!(record["daemon"], json!(false));
    let pid = env.pid(&id);
    // It has been exec'ed when start returns: the command line is the command's own.
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap();
    assert_eq!(cmdline, b"sleep\x001000\x00");
    env.procctl(["is-alive", &id]).output().exits(0).quiet();
}

#[test]
fn it_returns_at_once_though_the_caller_reads_its_output_to_the_end() {
    for shell in Shell::installed() {
        let env = TestEnv::new();
        let said = env
            .script(
                shell,
                "id=$(procctl start -- sleep 1000)
                 echo \"$id\"
                 procctl start -- sleep 1000 | cat
                 procctl start -- sleep 1000 2>&1 | cat
                 both=$(procctl start -- sleep 1000 2>&1)
                 echo \"$both\"",
            )
            .output()
            .success();
        assert_eq!(said.lines().count(), 4, "{shell:?}: {said}");
        for id in said.lines() {
            assert_eq!(env.get(id, "state"), "started", "{shell:?}");
        }
    }
}

#[test]
fn json_prints_the_record_instead_of_the_id() {
    let env = TestEnv::new();
    let record = env.json(["start", "--json", "-n", "w", "--", "sleep", "1000"]);
    assert_eq!(record["name"], json!("w"));
    assert_eq!(record["state"], json!("started"));
    assert_eq!(record, env.record("w"));
}

#[test]
fn a_command_that_is_not_found_is_127_and_leaves_no_record() {
    let env = TestEnv::new();
    for command in ["no-such-command", "./no/such/command", "/no-such-command"] {
        env.refused(["start", "--", command, "arg"], 127, &[command]);
    }
    assert!(env.status().is_empty());
}

#[test]
fn a_command_that_cannot_be_executed_is_126_and_leaves_no_record() {
    let env = TestEnv::new();
    let plain = env.file("plain", "#!/bin/sh\n");
    let no_interpreter = env.file("no-interpreter", "#!/no/such/interpreter\n");
    executable(&no_interpreter);
    // A shell would run it itself: there is no such fallback.
    let no_format = env.file("no-format", "touch made\n");
    executable(&no_format);
    let directory = env.path("home");
    for path in [plain, no_interpreter, no_format, directory] {
        let path = path.to_str().unwrap();
        env.refused(["start", "--", path], 126, &[path]);
    }
    assert!(!env.path("made").exists());
    assert!(env.status().is_empty());
}

#[test]
fn a_bad_cwd_or_stream_file_is_125_and_leaves_no_record() {
    let env = TestEnv::new();
    let made = env.path("made");
    let made = made.to_str().unwrap();
    let file = env.file("file", "");
    for (option, value) in [
        ("--cwd", "no/such/dir"),
        ("--cwd", file.to_str().unwrap()),
        ("--stdin", "no/such/file"),
        ("--stdout", "no/such/dir/file"),
        ("--stderr", "no/such/dir/file"),
        ("--stdout", "/"),
    ] {
        env.refused(["start", option, value, "--", "touch", made], 125, &[value]);
    }
    assert!(!Path::new(made).exists());
    assert!(env.status().is_empty());
}

#[test]
fn a_failed_start_uses_up_no_number_and_no_log() {
    let env = TestEnv::new();
    env.refused(["start", "--", "no-such-command"], 127, &[]);
    let id = env.start(&[], &["true"]);
    assert_eq!(env.get(&id, "name"), "Process-1");
    assert_eq!(env.join(&id), 0);
    assert_eq!(env.status().len(), 1);
}

#[test]
fn a_failed_start_leaves_no_os_process() {
    let env = TestEnv::new();
    env.refused(["start", "--", "no-such-command"], 127, &[]);
    crate::harness::eventually("monitor of a failed start is gone", || {
        env.os_processes().is_empty().then_some(())
    });
}

#[test]
fn without_the_double_dash_it_shows_the_line_to_type() {
    let env = TestEnv::new();
    env.refused(["start", "sleep", "10"], 125, &["procctl start -- sleep 10"]);
    assert!(!env.run_dir().exists() || env.status().is_empty());
}

#[test]
fn everything_after_the_double_dash_is_the_command() {
    let env = TestEnv::new();
    let id = env.ok(["start", "--", "printf", "%s\\n", "--json", "-n", "x", "--", "", "a b"]);
    assert_eq!(env.join(&id), 0);
    assert_eq!(env.ok(["logs", &id]), "--json\n-n\nx\n--\n\na b");
}

#[test]
fn options_may_be_written_short_or_long_or_with_an_equals_sign() {
    let env = TestEnv::new();
    for options in [
        &["-n", "w", "-C", "/", "-e", "A=1"][..],
        &["--name", "w", "--cwd", "/", "--env", "A=1"],
        &["--name=w", "--cwd=/", "--env=A=1"],
        &["-nw", "-C/", "-eA=1"],
    ] {
        let id = env.start(options, &["sh", "-c", "pwd; echo $A; echo $PROCCTL_NAME"]);
        assert_eq!(env.join(&id), 0);
        assert_eq!(env.ok(["logs", &id]), "/\n1\nw", "{options:?}");
    }
}

#[test]
fn default_names_count_the_children_of_the_caller() {
    let env = TestEnv::new();
    let one = env.start(&[], &["true"]);
    let named = env.start(&["-n", "named"], &["true"]);
    let three = env.start(&[], &["true"]);
    assert_eq!(env.get(&one, "name"), "Process-1");
    assert_eq!(env.get(&named, "name"), "named");
    assert_eq!(env.get(&three, "name"), "Process-3");
    assert_eq!(env.record(&named)["identity"], json!([2]));
    // Another caller has its own count.
    let other = env.bash("id=$(procctl start -- true); procctl get $id name; procctl join $id").output();
    assert_eq!(other.success(), "Process-1");
    env.ok(["join", "--all"]);
}

#[test]
fn names_need_not_be_unique() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "twin"]);
    let two = env.sleeper(&["-n", "twin"]);
    assert_ne!(one, two);
    assert_eq!(env.status().len(), 2);
}

#[test]
fn unique_refuses_while_a_live_process_has_the_name() {
    let env = TestEnv::new();
    let first = env.sleeper(&["-n", "only", "--unique"]);
    let made = env.path("made");
    let second = ["start", "--unique", "-n", "only", "--", "touch"];
    let second = second.into_iter().chain([made.to_str().unwrap()]);
    env.refused(second, 125, &["only"]);
    assert!(!made.exists());
    assert_eq!(env.status().len(), 1);

    env.ok(["kill", "--wait", &first]);
    let again = env.sleeper(&["-n", "only", "--unique"]);
    assert_ne!(first, again);
}

#[test]
fn unique_also_counts_the_live_ones_that_were_not_started_unique() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "only"]);
    env.refused(["start", "--unique", "-n", "only", "--", "true"], 125, &["only"]);
}

#[test]
fn unique_does_not_count_what_was_only_created() {
    let env = TestEnv::new();
    let waiting = env.ok(["create", "--unique", "-n", "only", "--", "sleep", "1000"]);
    let first = env.sleeper(&["-n", "only", "--unique"]);
    env.refused(["start", &waiting], 125, &["only"]);
    assert_eq!(env.get(&waiting, "state"), "initial");
    env.ok(["kill", "--wait", &first]);
    assert_eq!(env.ok(["start", &waiting]), waiting);
}

#[test]
fn the_process_survives_the_caller_and_its_signals() {
    let env = TestEnv::new();
    let mut caller = env.bash("procctl start -n w -- sleep 1000; echo up > up; read -r _ < forever").spawn();
    nix::unistd::mkfifo(&env.path("forever"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    crate::harness::eventually("the caller has started it", || env.path("up").exists().then_some(()));
    assert!(caller.is_running());
    caller.signal_group(Signal::SIGHUP);
    assert_eq!(caller.wait().signal(), Some(Signal::SIGHUP as i32));
    let pid = env.pid("w");
    assert_eq!(proc_state(pid), Some('S'));
    assert!(!is_gone(env.monitor_pid("w")));
    assert_eq!(env.get("w", "state"), "started");
}
