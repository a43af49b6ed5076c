//! `logs -f`: as it comes, until the process has ended.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::harness::{TestEnv, eventually, proc_status};
use crate::support::{Held, LateReaper, Worker, kill_monitor};

use super::log_of;

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
fn follow_sleeps_while_nothing_happens() {
    let env = TestEnv::new();
    let one = env.start_ready(&[], "echo ready; exec sleep 1000");
    let two = env.ok(["create", "--", "true"]);
    let mut follow = env.procctl(["logs", "-q", "-f", &one, &two]).spawn();
    follow.wait_until_blocked();
    let switches = || proc_status(follow.pid(), "voluntary_ctxt_switches").unwrap();
    let before = switches();
    // Not a wait for anything: the time in which nothing may happen.
    thread::sleep(Duration::from_secs(1));
    assert_eq!(before, switches());
    follow.signal(Signal::SIGKILL);
}

#[test]
fn follow_exits_as_the_process_did_if_asked() {
    let env = TestEnv::new();
    for (script, code) in [("echo said; exit 3", 3), ("echo said; kill -9 $$", 137), ("echo said", 0)] {
        let id = env.start(&[], &["sh", "-c", script]);
        // While it lives or after, whichever it is.
        for _ in 0..2 {
            let output = env.procctl(["logs", "-f", "--exit-code", &id]).output();
            output.exits(code).quiet();
            assert_eq!(output.stdout(), "said");
            env.procctl(["logs", "-f", &id]).output().exits(0).quiet();
        }
    }
    let worker = Worker::start(&env, &[]);
    let mut follow = env.procctl(["logs", "-f", "--exit-code", &worker.id]).spawn();
    follow.wait_until_blocked();
    worker.exit(5);
    follow.wait().exits(5).quiet();
    env.refused(["logs", "--exit-code", &worker.id], 125, &["--follow"]);
}

#[test]
fn of_several_the_first_that_failed_tells_the_exit_code() {
    let env = TestEnv::new();
    let ids = ["exit 0", "exit 4", "exit 5"].map(|script| env.start(&[], &["sh", "-c", script]));
    let [none, four, five] = ids.each_ref().map(String::as_str);
    for (args, code) in [(&[none, four, five][..], 4), (&[five, four], 5), (&[none], 0)] {
        env.procctl(["logs", "-f", "--exit-code"]).args(args).output().exits(code).quiet();
    }
}

#[test]
fn a_log_that_is_truncated_begins_anew() {
    let env = TestEnv::new();
    let (one, two) = (env.gate("one"), env.gate("two"));
    let script = format!("echo ready; {}; echo after; {}; echo end", one.wait(), two.wait());
    let id = env.start_ready(&[], &script);
    let log = log_of(&env, &id);
    let said = env.path("said");
    let mut follow = env.bash(&format!("exec procctl logs -f {id} > {}", said.display())).spawn();
    let has_said = |text: &str| {
        eventually(text, || (fs::read_to_string(&said).unwrap_or_default() == text).then_some(()));
    };
    has_said("ready\n");
    follow.wait_until_blocked();
    fs::File::create(&log).unwrap();
    follow.wait_until_blocked();
    one.open();
    has_said("ready\nafter\n");
    two.open();
    let output = follow.wait();
    output.exits(0).one_error(&[&id, "truncated"]);
    has_said("ready\nafter\nend\n");
}

#[test]
fn one_that_has_not_been_started_is_waited_for() {
    let env = TestEnv::new();
    let id = env.ok(["create", "-n", "later", "--", "sh", "-c", "echo said; exit 3"]);
    assert_eq!(env.ok(["logs", &id]), "");
    let mut follow = env.procctl(["logs", "-f", "--exit-code", "later"]).spawn();
    follow.wait_until_blocked();
    // What has nothing to do with the start wakes nobody for long.
    env.ok(["set", &id, "name=soon"]);
    follow.wait_until_blocked();
    env.ok(["start", &id]);
    let output = follow.wait();
    output.exits(3).one_error(&[&id, "has not been started"]);
    assert_eq!(output.stdout(), "said");
}

#[test]
fn one_that_is_closed_before_its_start_is_not_waited_for() {
    let env = TestEnv::new();
    for (options, code) in [(&["-q", "-f"][..], 0), (&["-q", "-f", "--exit-code"], 125)] {
        let id = env.ok(["create", "--", "true"]);
        let mut follow = env.procctl(["logs", &id]).args(options).spawn();
        follow.wait_until_blocked();
        env.ok(["close", &id]);
        let output = follow.wait();
        output.exits(code);
        assert_eq!(output.stdout(), "");
        assert_eq!(output.stderr().is_empty(), code == 0, "{output:?}");
    }
}

#[test]
fn a_failed_start_goes_on_being_waited_for() {
    let env = TestEnv::new();
    let script = env.file("script", "echo said\n");
    let id = env.ok(["create", "--", script.to_str().unwrap()]);
    let mut follow = env.procctl(["logs", "-q", "-f", &id]).spawn();
    follow.wait_until_blocked();
    env.refused(["start", &id], 126, &["script"]);
    follow.wait_until_blocked();
    fs::write(&script, "#!/bin/sh\necho said\n").unwrap();
    env.program("chmod").arg("+x").arg(&script).output().success();
    env.ok(["start", &id]);
    assert_eq!(follow.wait().success(), "said");
}

#[test]
fn one_that_is_closed_while_it_is_followed_is_told_to_its_end() {
    let env = TestEnv::new();
    for _ in 0..10 {
        let gate = env.gate("go");
        let id =
            env.start_ready(&[], "echo ready; read -r _ < go; for n in {1..500}; do echo $n; done; exit 3");
        let mut follow = env.procctl(["logs", "-f", &id]).spawn();
        follow.wait_until_blocked();
        gate.open();
        env.bash(&format!("procctl join {id}; procctl close {id}")).output().success();
        let said = follow.wait().success();
        assert_eq!(said.lines().count(), 501, "{said}");
        fs::remove_file(gate.path()).unwrap();
    }
}

#[test]
fn the_end_is_told_though_the_monitor_was_killed() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start_ready(&[], &format!("echo ready; {}; echo after", gate.wait()));
    let mut follow = env.procctl(["logs", "-f", &id]).spawn();
    follow.wait_until_blocked();
    kill_monitor(&env, &id);
    follow.wait_until_blocked();
    gate.open();
    assert_eq!(follow.wait().success(), "ready\nafter");
}

#[test]
fn it_ends_though_the_end_is_not_recorded() {
    let env = TestEnv::new();
    // Whoever inherited the process has not reaped it.
    let (id, reaper) = LateReaper::start(&env);
    kill_monitor(&env, &id);
    let mut follow = env.procctl(["logs", "-f", &id]).spawn();
    follow.wait_until_blocked();
    Held::open(env.pid(&id)).signal(rustix::process::Signal::KILL);
    follow.wait().success();
    reaper.reap();
    // Its monitor is stopped.
    let worker = Worker::start(&env, &[]);
    let monitor = Held::open(env.monitor_pid(&worker.id));
    let mut follow = env.procctl(["logs", "-f", &worker.id]).spawn();
    follow.wait_until_blocked();
    monitor.signal(rustix::process::Signal::STOP);
    worker.exit(6);
    follow.wait().success();
    env.procctl(["logs", "-f", &worker.id]).output().success();
    // Who wants the exit code has to wait for it.
    let mut follow = env.procctl(["logs", "-f", "--exit-code", &worker.id]).spawn();
    follow.wait_until_blocked();
    monitor.signal(rustix::process::Signal::CONT);
    follow.wait().exits(6);
}

#[test]
fn it_ends_though_a_grandchild_goes_on_writing() {
    let mut env = TestEnv::new();
    env.allow_leftovers("an orphan that writes to the log without end");
    let gate = env.gate("go");
    let id = env.start_ready(&[], "while :; do echo said; done & echo ready; read -r _ < go; exit 3");
    let said = env.path("said");
    let follow = env.bash(&format!("exec procctl logs -f --exit-code {id} > {}", said.display())).spawn();
    eventually("it is followed", || fs::metadata(&said).is_ok_and(|file| file.len() > 0).then_some(()));
    gate.open();
    follow.wait().exits(3).quiet();
    crate::support::kill_leftovers(&env);
}

#[test]
fn nobody_follows_into_the_log_that_is_followed() {
    let env = TestEnv::new();
    let id = env.start(&["-n", "echo"], &["sh", "-c", "echo one; procctl logs -f @self"]);
    assert_eq!(env.join(&id), 125);
    let said = env.ok(["logs", &id]);
    assert!(said.starts_with("one\nprocctl: ") && said.contains("standard output"), "{said}");
    // Without -f there is an end to it.
    let id = env.start(&[], &["sh", "-c", "echo one; procctl logs @self"]);
    assert_eq!(env.join(&id), 0);
    assert_eq!(env.ok(["logs", &id]), "one\none");
}

#[test]
fn a_log_larger_than_memory_is_followed_and_searched() {
    let env = TestEnv::new();
    let id = env.start(&[], &["true"]);
    assert_eq!(env.join(&id), 0);
    // Zeros that take no place, and no line end among them.
    let mut log = fs::OpenOptions::new().append(true).open(log_of(&env, &id)).unwrap();
    log.set_len(64 << 20).unwrap();
    log.write_all(b"\nlast\n").unwrap();
    let other = env.start(&["-n", "other"], &["echo", "said"]);
    assert_eq!(env.join(&other), 0);
    let script = format!(
        "ulimit -v 20000; set -e -o pipefail
         procctl logs -f {id} | wc -c; procctl logs -n 1 {id}; procctl logs {id} {other} | tail -n 2"
    );
    let said = env.bash(&script).output().success();
    assert_eq!(
        said.lines().map(str::trim).collect::<Vec<_>>()[..2],
        [&(64 * 1024 * 1024 + 6).to_string(), "last"]
    );
    assert!(said.contains("Process-1 | last\nother     | said"), "{said}");
}
