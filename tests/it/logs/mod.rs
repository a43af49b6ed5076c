//! `logs`: what a process said.

mod follow;
mod several;
mod terminal;
mod window;

use std::fs;
use std::path::PathBuf;

use crate::harness::{TestEnv, eventually};

pub(crate) use terminal::on_terminal;

/// The file that the log is.
fn log_of(env: &TestEnv, id: &str) -> PathBuf {
    PathBuf::from(env.get(id, "log"))
}

#[test]
fn it_prints_both_streams_in_the_order_they_were_written() {
    let env = TestEnv::new();
    let id = env.start(&[], &["sh", "-c", "echo one; echo two >&2; echo three"]);
    assert_eq!(env.join(&id), 0);
    let output = env.procctl(["logs", &id]).output();
    output.exits(0).quiet();
    assert_eq!(output.stdout, b"one\ntwo\nthree\n");
}

#[test]
fn of_a_process_that_said_nothing_it_is_empty() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let output = env.procctl(["logs", &id]).output();
    output.exits(0).quiet();
    assert_eq!(output.stdout, b"");
}

#[test]
fn it_shows_what_a_living_process_has_said_so_far() {
    let env = TestEnv::new();
    let id = env.start_ready(&["-n", "w"], "echo ready; exec sleep 1000");
    assert_eq!(env.ok(["logs", "w"]), "ready");
    assert_eq!(env.ok(["logs", &id[..5]]), "ready");
}

#[test]
fn n_prints_the_last_lines() {
    let env = TestEnv::new();
    let id = env.start(&[], &["printf", "1\\n2\\n\\n4\\n"]);
    assert_eq!(env.join(&id), 0);
    for (lines, said) in [
        ("0", &b""[..]),
        ("1", b"4\n"),
        ("2", b"\n4\n"),
        ("3", b"2\n\n4\n"),
        ("4", b"1\n2\n\n4\n"),
        ("5", b"1\n2\n\n4\n"),
        ("1000000", b"1\n2\n\n4\n"),
    ] {
        let output = env.procctl(["logs", &id, "-n", lines]).output();
        output.exits(0).quiet();
        assert_eq!(output.stdout, said, "-n {lines}");
    }
}

#[test]
fn a_last_line_without_an_end_is_a_line() {
    let env = TestEnv::new();
    let id = env.start(&[], &["printf", "1\\n2\\nthree"]);
    assert_eq!(env.join(&id), 0);
    for (lines, said) in [("1", &b"three"[..]), ("2", b"2\nthree"), ("9", b"1\n2\nthree")] {
        let output = env.procctl(["logs", "-n", lines, &id]).output();
        output.exits(0).quiet();
        assert_eq!(output.stdout, said, "-n {lines}");
    }
}

#[test]
fn long_logs_come_whole_and_their_tail_is_found() {
    let env = TestEnv::new();
    let id = env.start(&[], &["seq", "300000"]);
    assert_eq!(env.join(&id), 0);
    let wanted = env.program("seq").arg("300000").output().stdout;
    for args in [&["logs", &id][..], &["logs", "-f", &id], &["logs", "-n", "300000", &id]] {
        let output = env.procctl(args).output();
        output.exits(0).quiet();
        assert!(output.stdout == wanted, "{args:?}");
    }
    let output = env.procctl(["logs", "-n", "70000", &id]).output().success();
    assert_eq!(output.lines().count(), 70_000);
    assert_eq!(output.lines().next(), Some("230001"));
}

#[test]
fn into_a_pipe_it_is_raw() {
    let env = TestEnv::new();
    let id = env.start(&[], &["printf", "\\033[31m\\377\\000\\r\\n"]);
    assert_eq!(env.join(&id), 0);
    let output = env.procctl(["logs", &id]).output();
    output.exits(0).quiet();
    assert_eq!(output.stdout, b"\x1b[31m\xff\0\r\n");
}

#[test]
fn a_name_of_several_is_an_error_that_lists_their_ids() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "twin"]);
    let two = env.sleeper(&["-n", "twin"]);
    env.refused(["logs", "twin"], 125, &[&one, &two]);
}

#[test]
fn bad_requests_are_errors() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    env.refused(["logs"], 125, &[]);
    env.refused(["logs", "nobody"], 125, &["nobody"]);
    for lines in ["x", "-1", "1.5", ""] {
        let option = format!("-n={lines}");
        env.refused(["logs", &id, &option], 125, &[]);
    }
}

#[test]
fn the_log_is_a_file_that_any_tool_can_read() {
    let env = TestEnv::new();
    let id = env.start_ready(&[], "echo ready; exec sleep 1000");
    let log = fs::read_link(format!("/proc/{}/fd/1", env.pid(&id))).unwrap();
    eventually("it has the line", || (fs::read_to_string(&log).unwrap() == "ready\n").then_some(()));
}

#[test]
fn output_that_goes_elsewhere_is_an_error_that_says_where() {
    let env = TestEnv::new();
    let id = env.start(&["--stdout", "out", "--stderr", "stdout"], &["echo", "said"]);
    assert_eq!(env.join(&id), 0);
    let out = env.path("out");
    for args in [&["logs", &id][..], &["logs", "-f", &id]] {
        env.refused(args, 125, &[&id, "no log", out.to_str().unwrap()]);
    }
}

#[test]
fn somebody_who_writes_without_end_does_not_keep_it_from_ending() {
    let env = TestEnv::new();
    let id = env.start_ready(&[], "echo ready; while :; do echo said; done");
    let said = env.ok(["logs", &id]);
    assert!(said.starts_with("ready\n"));
    env.ok(["kill", &id]);
}
