//! `--format` of `status` and `get`: lines for scripts, without jq.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use crate::harness::TestEnv;

#[test]
fn a_line_for_each_process() {
    let env = TestEnv::new();
    let one = env.start(&["-n", "one"], &["sh", "-c", "exit 3"]);
    let two = env.sleeper(&["-n", "a two"]);
    assert_eq!(env.join(&one), 3);
    let me = std::process::id();
    let said = env.ok(["status", "--format", r"{name}\t{state}\t{exitcode}\t{parent.pid}"]);
    assert_eq!(said, format!("one\tstopped\t3\t{me}\na two\tstarted\t\t{me}"));
    assert_eq!(env.ok(["status", "--format", "{id}", "--alive"]), two);
    assert_eq!(env.ok(["status", "--format", "{command.0} {command}", &two]), r#"sleep ["sleep","1000"]"#);
    assert_eq!(
        env.ok(["get", &one, "--format", r"{exitcode} {{{id}}}\n{usage.user_seconds}"]).lines().count(),
        2
    );
    assert_eq!(
        env.ok(["get", &two, "--format", r"{usage.user_seconds}|{parent.id}|{command.7}|\\"]),
        r"|||\"
    );
    assert_eq!(env.ok(["get", &two, "--format", ""]), "");
}

#[test]
fn it_feeds_the_loop_of_a_shell() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "one"]);
    env.sleeper(&["-n", "two"]);
    let script = r"procctl status --format '{pid}\t{name}' | while IFS='	' read -r pid name; do
        kill -0 $pid && echo $name; done";
    assert_eq!(env.bash(script).output().success(), "one\ntwo");
}

#[test]
fn strings_are_bytes_in_a_pipe_and_escaped_on_a_terminal() {
    let env = TestEnv::new();
    let odd = OsStr::from_bytes(b"\xff\x1b[2J\n");
    let id = env.procctl(["start", "--", "printf"]).arg(odd).output().success();
    assert_eq!(env.join(&id), 0);
    let output = env.procctl(["get", &id, "--format", "<{command.1}>"]).output();
    output.exits(0).quiet();
    assert_eq!(output.stdout, b"<\xff\x1b[2J\n>\n");
    let output = env.procctl(["status", "--format", "{command.1}", &id]).output();
    assert_eq!(output.stdout, b"\xff\x1b[2J\n\n");
    let said = crate::logs::on_terminal(&env, &["status", "--format", r"<{command.1}>\t{command}", &id]);
    assert_eq!(said, "<\u{fffd}\\x1b[2J\\n>\t[\"printf\",{\"hex\":\"ff1b5b324a0a\"}]\n");
}

#[test]
fn an_unknown_field_is_an_error_that_lists_the_fields_also_where_nothing_is() {
    let env = TestEnv::new();
    env.refused(
        ["status", "--format", "{nam}"],
        125,
        &["'nam'", "fields: schema, id, name, state", "witness"],
    );
    let id = env.sleeper(&[]);
    for (template, words) in [
        ("{nam}", &["'nam'", "fields: schema, id, name"][..]),
        ("{parent.x}", &["'parent.x'", "fields of parent: pid, "]),
        ("{pid.x}", &["'pid.x'"]),
        ("{}", &["''", "fields: "]),
        ("{usage.user}", &["'usage.user'", "user_seconds"]),
        ("{authkey}", &["'authkey'"]),
        ("{name", &["'{name' has no '}'"]),
        ("name}", &["'}'"]),
        (r"\q", &[r"'\q'"]),
        ("\\", &["backslash"]),
    ] {
        env.refused(["status", "--format", template], 125, words);
        env.refused(["get", &id, "--format", template], 125, words);
    }
    for (field, words) in [("usage.x", "fields of usage"), ("comand", "fields: "), ("command.2", "command.2")]
    {
        env.refused(["get", &id, field], 125, &[words]);
    }
    assert_eq!(env.ok(["get", &id, "usage.user_seconds"]), "");
}

#[test]
fn of_no_processes_it_says_nothing() {
    let env = TestEnv::new();
    for _ in 0..2 {
        let output = env.procctl(["status", "--format", "{id}"]).output();
        output.exits(0).quiet();
        assert_eq!(output.stdout, b"");
        let id = env.sleeper(&[]);
        env.ok(["kill", &id, "--wait"]);
        env.ok(["close", &id]);
    }
}

#[test]
fn an_outside_parent_has_the_fields_that_are_known_of_it() {
    let env = TestEnv::new();
    let script = r"procctl get @parent --format '{pid} {id}|'; procctl get @self --format '{name} {parent.pid}'
        procctl get @parent --format '{command}'";
    let id = env.start(&["-n", "me"], &["bash", "-c", script]);
    assert_eq!(env.join(&id), 125);
    let me = std::process::id();
    let said = env.ok(["logs", &id]);
    assert!(said.starts_with(&format!("{me} |\nme {me}\nprocctl: ")), "{said}");
    assert!(said.contains("'command'") && said.contains("fields: pid, start_ticks"), "{said}");
}

#[test]
fn it_stands_alone() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    env.refused(["status", "--json", "--format", "{id}"], 125, &["--json", "--format"]);
    env.refused(["get", &id, "pid", "--format", "{id}"], 125, &["--format"]);
}

#[test]
fn a_broken_record_does_not_stop_it() {
    let env = TestEnv::new();
    let one = env.sleeper(&[]);
    let two = env.ok(["create", "--", "true"]);
    std::fs::write(crate::support::record_file(&env, &two), "{").unwrap();
    let output = env.procctl(["status", "--format", "{id}"]).output();
    output.exits(0).one_error(&[&two]);
    assert_eq!(output.stdout(), one);
}
