//! `logs`: what a process said.

use std::fs;

use crate::harness::{TestEnv, eventually};

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
fn on_a_terminal_control_characters_are_escaped() {
    let env = TestEnv::new();
    let id = env.start(&[], &["printf", "a\\033[31mb\\007\\233\\177\\tc\\nd\\302\\233\\n"]);
    assert_eq!(env.join(&id), 0);
    for options in ["", "'-n', '5', ", "'-f', "] {
        let output = env
            .python(&format!(
                "import os, pty
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('procctl', ['procctl', '--color', 'never', 'logs', {options}'{id}'])
seen = b''
try:
    while part := os.read(terminal, 10000):
        seen += part
except OSError:
    pass
_, status = os.waitpid(pid, 0)
assert os.waitstatus_to_exitcode(status) == 0, seen
text = seen.decode().replace('\\r\\n', '\\n')
bad = [c for c in text if c not in '\\n\\t' and (ord(c) < 32 or 127 <= ord(c) < 160)]
assert not bad, (bad, seen)
assert text.startswith('a') and '[31mb' in text and text.count('\\n') == 2, seen"
            ))
            .output();
        output.success();
    }
}

#[test]
fn follow_shows_lines_as_they_come_and_ends_with_the_process() {
    let env = TestEnv::new();
    let (one, two) = (env.gate("one"), env.gate("two"));
    let script = format!("echo one; {}; echo two; {}; echo three; exit 3", one.wait(), two.wait());
    let id = env.start(&[], &["bash", "-c", &script]);
    // The process goes on only when its last line was seen, so each was seen while it lived.
    let reader = format!(
        "procctl logs -f {id} | while read -r line; do echo \"$line\"
             test $line = three || echo > $line; done; exit ${{PIPESTATUS[0]}}"
    );
    assert_eq!(env.bash(&reader).output().success(), "one\ntwo\nthree");
    assert_eq!(env.join(&id), 3);
}

#[test]
fn follow_of_an_ended_process_prints_all_and_ends() {
    let env = TestEnv::new();
    let id = env.start(&[], &["printf", "one\\ntwo\\nthree"]);
    assert_eq!(env.join(&id), 0);
    assert_eq!(env.ok(["logs", "-f", &id]), "one\ntwo\nthree");
    assert_eq!(env.ok(["logs", &id, "-f", "-n", "1"]), "three");
}

#[test]
fn follow_of_the_last_lines_goes_on_with_new_ones() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start_ready(&[], &format!("echo one; echo ready; {}; echo three", gate.wait()));
    let mut follow = env.procctl(["logs", "-f", "-n", "1", &id]).spawn();
    follow.wait_until_blocked();
    gate.open();
    assert_eq!(follow.wait().success(), "ready\nthree");
}

#[test]
fn follow_loses_nothing_of_what_was_said_at_the_end() {
    let env = TestEnv::new();
    for _ in 0..10 {
        let id = env.start(&[], &["bash", "-c", "for n in {1..2000}; do echo $n; done"]);
        let output = env.procctl(["logs", "-f", &id]).output().success();
        assert_eq!(output.lines().count(), 2000);
        assert_eq!(output.lines().last(), Some("2000"));
    }
}

#[test]
fn follow_ends_though_a_grandchild_still_holds_the_log() {
    let mut env = TestEnv::new();
    env.allow_leftovers("an orphan that holds the log");
    let id = env.start(&[], &["bash", "-c", "sleep 1000 & echo said"]);
    assert_eq!(env.ok(["logs", "-f", &id]), "said");
    env.procctl(["is-alive", &id]).output().exits(1);
}

#[test]
fn follow_into_a_closed_pipe_ends_quietly() {
    let env = TestEnv::new();
    let id = env.start(&[], &["bash", "-c", "while :; do echo line; read -t 0.01 < <(:); done"]);
    let said = env.bash(&format!("procctl logs -f {id} | head -n 1")).output().success();
    assert_eq!(said, "line");
    env.ok(["kill", "--tree", &id]);
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
