//! The scenes: a life from its beginning to its end, and what other commands do to it.

use crate::play::{Strike, Try, every_nth_step, every_step};
use crate::support::{Held, Worker, edit_record, kernel_tells_exit_codes, kill_monitor};

const EXIT_7: [&str; 4] = ["--", "sh", "-c", "exit 7"];

/// A start that is struck: the process has run and its end is known, or it has never been.
fn start(one: &Try<'_>, options: &[&str]) {
    let before = one.env.status().len();
    let args: Vec<&str> = ["start"].iter().chain(options).chain(&EXIT_7).copied().collect();
    let output = one.struck(&args);
    one.assert_honest(&output);
    let new: Vec<String> = one
        .env
        .status()
        .iter()
        .skip(before)
        .map(|record| record["id"].as_str().unwrap().to_owned())
        .collect();
    assert!(new.len() <= 1, "{new:?}");
    if let Some(id) = new.first() {
        one.assert_ends_with(id, 7);
    }
    match output.status.code() {
        Some(0) => assert_eq!(output.stdout(), new[0]),
        Some(_) => assert!(new.is_empty(), "failed, and left a record: {output:?}"),
        None => {}
    }
}

#[test]
fn launcher_of_a_start() {
    every_step("command", |one| start(one, &[]));
}

#[test]
fn monitor_of_a_start() {
    every_step("monitor", |one| start(one, &[]));
}

#[test]
fn child_of_a_start() {
    every_step("child", |one| start(one, &[]));
}

/// A start of what is not there leaves nothing, whoever is killed before it can say so.
fn start_of_nothing(one: &Try<'_>) {
    let before = one.env.status().len();
    let output = one.struck(&["start", "--", "no-such-command"]);
    one.assert_honest(&output);
    assert_ne!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(one.env.status().len(), before);
}

#[test]
fn monitor_of_a_start_of_nothing() {
    every_step("monitor", start_of_nothing);
}

#[test]
fn child_of_a_start_of_nothing() {
    every_step("child", start_of_nothing);
}

#[test]
fn launcher_of_a_unique_daemonic_start() {
    every_step("command", |one| start(one, &["--unique", "-d", "-n", "one", "-C", "/"]));
}

#[test]
fn monitor_of_a_unique_daemonic_start() {
    every_step("monitor", |one| start(one, &["--unique", "-d", "-n", "one", "-C", "/"]));
}

#[test]
fn child_of_a_unique_daemonic_start() {
    every_step("child", |one| start(one, &["--unique", "-d", "-n", "one", "-C", "/"]));
}

/// Three at once: all of them have run and their ends are known, or there has been none; where the launcher was killed, those
/// that there are have run.
fn start_of_three(one: &Try<'_>) {
    let before = one.env.status().len();
    let output = one.struck(&["start", "--count", "3", "--", "sh", "-c", "exit 7"]);
    one.assert_honest(&output);
    let new = new_ids(one, before);
    for id in &new {
        one.assert_ends_with(id, 7);
    }
    match output.status.code() {
        Some(0) => assert_eq!(output.stdout().lines().collect::<Vec<_>>(), new),
        Some(_) => assert!(new.is_empty(), "failed, and left a record: {output:?}"),
        None => assert!(new.len() <= 3, "{new:?}"),
    }
}

fn new_ids(one: &Try<'_>, before: usize) -> Vec<String> {
    let all = one.env.status();
    all.iter().skip(before).map(|record| record["id"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn launcher_of_three() {
    every_step("command", start_of_three);
}

#[test]
fn monitors_of_three() {
    every_step("monitor", start_of_three);
}

#[test]
fn one_monitor_of_three() {
    every_step("second", start_of_three);
}

#[test]
fn children_of_three() {
    every_step("child", start_of_three);
}

/// One of several cannot be started, and those that run are undone. What cannot be undone is told, and is whole.
#[test]
fn launcher_of_several_of_which_one_fails() {
    every_nth_step(29, "command", |one| {
        let parent = one.prepare(&["start", "-n", "parent", "--", "sleep", "1000"]);
        // The default name of its tenth child is too long, and only that. The same names each time: each has a folder in the index.
        let mut own = serde_json::Value::Null;
        edit_record(one.env, &parent, |record| {
            own = record["identity"].take();
            record["identity"] = serde_json::json!(vec![1; 123]);
        });
        let pid = one.env.pid(&parent).to_string();
        let earlier = one.env.ok(["start", "--count", "7", "--parent", &pid, "--", "true"]);
        for id in earlier.lines() {
            one.assert_ends_with(id, 0);
        }
        let before = one.env.status().len();
        let output = one.struck(&["start", "--count", "5", "--parent", &pid, "--", "sleep", "1000"]);
        assert_ne!(output.status.code(), Some(0), "{output:?}");
        let left = new_ids(one, before);
        if output.status.code().is_some() {
            let told = output.stderr();
            let is_undone = told.contains("none of") || !told.contains("index");
            assert!(left.is_empty() || !is_undone, "left {left:?}: {told}");
        }
        for id in &left {
            one.env.ok(["kill", "--wait", id]);
            one.assert_ends_with(id, 137);
            one.env.ok(["close", id]);
        }
        crate::play::kill_others_than(one, &parent);
        // Its numbers go on without a gap.
        let next = one.env.ok(["start", "-n", "next", "--parent", &pid, "--", "true"]);
        one.assert_ends_with(&next, 0);
        let number = one.env.record(&next)["identity"].as_array().unwrap().last().unwrap().as_u64().unwrap();
        assert!(number == 8 || (!left.is_empty() && number <= 10), "{number}: {output:?}");
        if !left.is_empty() || !output.stderr().contains("none of") {
            // What could not be undone and is no process.
            crate::tidy::clear_old(one.env);
        }
        edit_record(one.env, &parent, |record| record["identity"] = own.take());
        one.env.ok(["kill", "--wait", &parent]);
        one.assert_ends_with(&parent, 137);
    });
}

#[test]
fn a_create() {
    every_step("command", |one| {
        let before = one.env.status().len();
        let output = one.struck(&["create", "-e", "A=1", "--", "true"]);
        one.assert_honest(&output);
        let records = one.env.status();
        if output.status.code() == Some(0) {
            assert_eq!(records.len(), before + 1);
        } else if output.status.code().is_some() {
            assert_eq!(records.len(), before, "failed, and left a record: {output:?}");
        }
        for record in &records[before..] {
            assert_eq!(record["state"], "initial", "{record}");
            let id = record["id"].as_str().unwrap();
            one.env.ok(["start", id]);
            one.assert_ends_with(id, 0);
        }
    });
}

/// A start of what was created: it is startable as before, or it has run.
fn start_recorded(one: &Try<'_>) {
    let id = one.prepare(&["create", "-e", "A=1", "--", "sh", "-c", "exit 7"]);
    let output = one.struck(&["start", &id]);
    one.assert_honest(&output);
    if one.env.get(&id, "state") == "initial" {
        assert_ne!(output.status.code(), Some(0), "{output:?}");
        one.env.ok(["start", &id]);
    } else if output.status.code().is_some_and(|code| code != 0) {
        assert!(one.killed_monitor(), "failed, and it has run: {output:?}");
    }
    one.assert_ends_with(&id, 7);
}

#[test]
fn launcher_of_what_was_created() {
    every_step("command", start_recorded);
}

#[test]
fn monitor_of_what_was_created() {
    every_step("monitor", start_recorded);
}

#[test]
fn child_of_what_was_created() {
    every_step("child", start_recorded);
}

#[test]
fn a_run() {
    every_step("command", |one| {
        let before = one.env.status().len();
        let output = one.struck(&["run", "--", "sh", "-c", "exit 7"]);
        if output.signal() != Some(9) && output.code() != 7 {
            output.exits(125);
            output.one_error(&[]);
        }
        for record in &one.env.status()[before..] {
            let id = record["id"].as_str().unwrap();
            // `run` is the monitor itself.
            let output = one.env.procctl(["join", id]).output();
            let lost = one.strike == Strike::Kill && output.code() == 125;
            assert!(output.code() == 7 || lost, "{output:?}");
        }
    });
}

#[test]
fn a_close() {
    every_step("command", |one| {
        let id = one.prepare(&["start", "--", "sh", "-c", "exit 7"]);
        one.assert_ends_with(&id, 7);
        let output = one.struck(&["close", &id]);
        one.assert_honest(&output);
        let there = one.env.status().iter().any(|record| record["id"] == id.as_str());
        assert!(!there || output.status.code() != Some(0), "it is still there: {output:?}");
        if there {
            one.assert_ends_with(&id, 7);
        }
    });
}

#[test]
fn a_change_of_name() {
    every_step("command", |one| {
        let id = one.prepare(&["start", "-n", "old", "--", "sh", "-c", "exit 7"]);
        one.assert_ends_with(&id, 7);
        let output = one.struck(&["set", &id, "name=new"]);
        one.assert_honest(&output);
        let name = one.env.get(&id, "name");
        if output.status.code() == Some(0) {
            assert_eq!(name, "new");
        }
        assert_eq!(one.env.get(&name, "id"), id, "not found by its name");
        let other = if name == "new" { "old" } else { "new" };
        one.env.refused(["get", other], 125, &[other]);
    });
}

#[test]
fn a_join() {
    every_step("command", |one| {
        let id = one.prepare(&["start", "--", "sh", "-c", "exit 7"]);
        let output = one.struck(&["join", &id]);
        if output.signal() != Some(9) && output.code() != 7 {
            output.exits(125);
            output.one_error(&[]);
        }
        one.assert_ends_with(&id, 7);
    });
}

#[test]
fn a_terminate() {
    every_step("command", |one| {
        let id = one.prepare(&["start", "--", "sleep", "1000"]);
        let process = Held::open(one.env.pid(&id));
        let output = one.struck(&["terminate", "--wait", &id]);
        one.assert_honest(&output);
        if output.status.code() == Some(0) {
            assert!(!process.is_alive());
        }
        one.env.ok(["terminate", "--wait", &id]);
        assert!(!process.is_alive());
        one.assert_ends_with(&id, 143);
    });
}

#[test]
fn a_terminate_of_a_tree() {
    every_nth_step(11, "command", |one| {
        let id = one.prepare(&["start", "--", "sh", "-c", "sleep 1000 & sleep 1000; exit 0"]);
        let output = one.struck(&["terminate", "--tree", &id]);
        one.assert_honest(&output);
        one.env.ok(["terminate", "--tree", &id]);
        // Where the shell's own signal failed, it went on when its child had ended.
        let code = one.env.join(&id);
        assert!([0, 143].contains(&code), "{code}");
        // Where the first try ended the process alone, the rest is nobody's.
        crate::play::kill_others(one);
    });
}

/// A process that has lost its monitor is looked at: its code is never lost, for it is looked at again while it lives.
fn adopt(one: &Try<'_>) {
    if !kernel_tells_exit_codes() {
        return;
    }
    let worker = Worker::start(one.env, &[]);
    one.prepare(&["get", &worker.id, "id"]);
    kill_monitor(one.env, &worker.id);
    let output = one.struck(&["is-alive", &worker.id]);
    one.assert_honest(&output);
    one.env.ok(["is-alive", &worker.id]);
    worker.exit(7);
    one.env.procctl(["join", &worker.id]).output().exits(7).quiet();
}

#[test]
fn whoever_finds_a_monitor_dead() {
    every_step("command", adopt);
}

#[test]
fn the_new_monitor() {
    every_step("adopter", adopt);
}
