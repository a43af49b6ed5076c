//! §6.6 and §6.7: records of another boot, of another host, broken ones, and ones that lie about a pid. Each is shown
//! for what it is, none stops the work on the others, and no stranger is ever signalled.

use std::fs;
use std::path::PathBuf;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::support::{Held, boot_id, edit_record, kill_monitor, record_file};

const OTHER_BOOT: &str = "11111111-2222-4333-8444-555555555555";

/// What may be tried on a process to end it.
const ATTEMPTS: [&[&str]; 8] = [
    &["terminate"],
    &["kill"],
    &["interrupt"],
    &["kill", "-s", "USR1"],
    &["terminate", "--tree"],
    &["kill", "--tree", "--wait"],
    &["terminate", "--kill-after", "0.1"],
    &["terminate", "--wait"],
];

/// A process without a monitor, as after a crash, and its hold: it ends with the test, as procctl may not touch it.
struct Stranger {
    held: Held,
}

impl Stranger {
    /// Takes a managed process's monitor away; what is left is a process as any other.
    fn from_managed(env: &TestEnv, id: &str) -> Self {
        let held = Held::open(env.pid(id));
        kill_monitor(env, id);
        Self { held }
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        if self.held.is_alive() {
            self.held.signal(Signal::KILL);
        }
    }
}

/// Replaces this boot's id wherever the record has it.
fn move_to_other_boot(env: &TestEnv, id: &str) -> PathBuf {
    let path = record_file(env, id);
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(&boot_id()), "no boot id in {text}");
    fs::write(&path, text.replace(&boot_id(), OTHER_BOOT)).unwrap();
    path
}

/// A process that was running when the machine went down, as far as its record tells. The process that has its pid
/// now, and that is as like it as can be, is a stranger.
fn rebooted(env: &TestEnv) -> (String, Stranger) {
    let id = env.sleeper(&["-n", "before"]);
    let stranger = Stranger::from_managed(env, &id);
    move_to_other_boot(env, &id);
    (id, stranger)
}

#[test]
fn what_ran_before_a_reboot_is_stopped_and_lost() {
    let env = TestEnv::new();
    let (id, stranger) = rebooted(&env);
    let live = env.sleeper(&[]);
    env.procctl(["is-alive", &id]).output().exits(1).quiet();
    let record = env.record(&id);
    assert_eq!(record["state"], "stopped", "{record}");
    assert_eq!(record["exitcode"], Value::Null);
    assert!(record["lost"].is_string(), "{record}");
    for row in env.status() {
        let wanted = if row["id"] == *live { "started" } else { "stopped" };
        assert_eq!(row["state"], wanted, "{row}");
    }
    let alive = env.json(["status", "--alive", "--json"]);
    assert_eq!(alive.as_array().unwrap().len(), 1, "{alive}");
    let output = env.procctl(["join", &id]).output();
    output.exits(125);
    output.one_error(&[]);
    assert!(stranger.held.is_alive());
}

#[test]
fn each_command_by_itself_sees_the_reboot() {
    for (args, code) in [
        (&["is-alive"][..], 1),
        (&["join"], 125),
        (&["terminate"], 0),
        (&["status", "--json"], 0),
        (&["get"], 0),
        (&["close"], 0),
    ] {
        let env = TestEnv::new();
        let (id, stranger) = rebooted(&env);
        env.procctl(args.iter().copied().chain([id.as_str()])).output().exits(code);
        if args[0] != "close" {
            assert_eq!(env.get(&id, "state"), "stopped", "{args:?}");
        }
        assert!(stranger.held.is_alive(), "{args:?} ended a stranger");
    }
}

#[test]
fn nobody_is_signalled_for_a_process_of_an_earlier_boot() {
    for attempt in ATTEMPTS {
        let env = TestEnv::new();
        let (id, stranger) = rebooted(&env);
        env.procctl(attempt.iter().copied().chain([id.as_str()])).output().exits(0);
        assert!(stranger.held.is_alive(), "{attempt:?} ended a stranger");
        let env = TestEnv::new();
        let (_id, stranger) = rebooted(&env);
        env.procctl(attempt.iter().copied().chain(["--all"])).output();
        assert!(stranger.held.is_alive(), "{attempt:?} --all ended a stranger");
    }
}

#[test]
fn the_name_of_a_process_of_an_earlier_boot_is_free_again() {
    let env = TestEnv::new();
    let id = env.sleeper(&["--unique", "-n", "one"]);
    let _stranger = Stranger::from_managed(&env, &id);
    move_to_other_boot(&env, &id);
    let next = env.sleeper(&["--unique", "-n", "one"]);
    assert_eq!(env.get(&next, "state"), "started");
}

#[test]
fn what_was_created_or_had_ended_before_a_reboot_is_as_it_was() {
    let env = TestEnv::new();
    let ended = env.start(&[], &["sh", "-c", "exit 3"]);
    assert_eq!(env.join(&ended), 3);
    let created = env.ok(["create", "--", "sleep", "1000"]);
    for id in [&ended, &created] {
        move_to_other_boot(&env, id);
    }
    assert_eq!(env.join(&ended), 3);
    assert_eq!(env.get(&ended, "lost"), "");
    assert_eq!(env.get(&created, "state"), "initial");
    env.ok(["start", &created]);
    assert_eq!(env.get(&created, "state"), "started");
    env.ok(["is-alive", &created]);
}

#[test]
fn a_parent_of_an_earlier_boot_has_ended_whoever_has_its_pid() {
    let env = TestEnv::new();
    // The creator is this very process, which lives: but the record tells of another boot.
    let daemonic = env.ok(["create", "-d", "--", "sleep", "1000"]);
    move_to_other_boot(&env, &daemonic);
    env.refused(["start", &daemonic], 125, &[&daemonic]);
    assert_eq!(env.get(&daemonic, "state"), "initial");
}

#[test]
fn a_process_of_another_host_is_shown_as_such_and_left_alone() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "far"]);
    let stranger = Stranger::from_managed(&env, &id);
    move_to_other_boot(&env, &id);
    let path = edit_record(&env, &id, |record| record["host"] = json!("far-away"));
    let before = fs::read(&path).unwrap();
    let live = env.sleeper(&[]);

    assert!(env.ok(["status", "--no-trunc"]).contains("far-away"));
    assert_eq!(env.json(["status", "--json", &id])[0]["host"], "far-away");
    assert_eq!(env.get(&id, "host"), "far-away");
    for attempt in ATTEMPTS {
        env.procctl(attempt.iter().copied().chain([id.as_str()])).output();
        assert!(stranger.held.is_alive(), "{attempt:?} ended a stranger");
    }
    env.procctl(["is-alive", &id]).output();
    env.procctl(["join", &id, "--timeout", "0.2"]).output();
    env.procctl(["kill", "--all", "--wait"]).output();
    env.procctl(["close", "--all"]).output();
    assert!(stranger.held.is_alive());
    assert_eq!(fs::read(&path).unwrap(), before, "the record was touched");
    // What is here was dealt with.
    env.refused(["get", &live, "state"], 125, &[&live]);
}

/// Things that may be found where a record was.
const BROKEN: [(&str, &[u8]); 7] = [
    ("empty", b""),
    ("truncated", b"{\"schema\":1,\"id\":\"ab"),
    ("no JSON", b"\x00\xff\x1b[31m rubbish"),
    ("no object", b"[1, 2]\n"),
    ("an object without anything", b"{}\n"),
    ("newer", b"{\"schema\":99,\"id\":\"x\",\"news\":[{}]}\n"),
    ("deep", &[b'['; 4096]),
];

#[test]
fn a_broken_record_is_named_and_stops_no_work_on_the_others() {
    for (what, content) in BROKEN {
        let env = TestEnv::new();
        let broken = env.start(&["-n", "broken"], &["true"]);
        assert_eq!(env.join(&broken), 0);
        let path = record_file(&env, &broken);
        fs::write(&path, content).unwrap();
        let first = env.sleeper(&["-n", "first"]);
        let second = env.start(&["-n", "second"], &["sh", "-c", "exit 4"]);
        let name = path.to_str().unwrap();

        let output = env.procctl(["status", "--json"]).output();
        let rows: Vec<Value> = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{what}: {error}: {output:?}"));
        let has = |id: &str| rows.iter().any(|row| row["id"] == id);
        assert!(has(&first) && has(&second), "{what}: {output:?}");
        let said = format!("{}{}", output.stdout(), output.stderr());
        assert_eq!(said.matches(name).count(), 1, "{what}: wanted {name} once: {said}");

        let output = env.procctl(["status", "--no-trunc"]).output();
        let said = format!("{}{}", output.stdout(), output.stderr());
        assert!(said.contains("first") && said.contains("second"), "{what}: {said}");
        assert_eq!(said.matches(name).count(), 1, "{what}: wanted {name} once: {said}");
        assert!(!said.contains('\u{1b}'), "{what}: raw control characters: {said:?}");

        let output = env.procctl(["join", &broken, "--timeout", "1"]).output();
        output.exits(125).one_error(&[name]);

        // By id, by name, by prefix, by pid, and all of them.
        assert_eq!(env.join("second"), 4, "{what}");
        assert_eq!(env.get(&first[..first.len() - 1], "name"), "first", "{what}");
        env.ok(["is-alive", &env.get("first", "pid")]);
        env.procctl(["kill", "--all", "--wait"]).output();
        env.procctl(["is-alive", "first"]).output().exits(1).quiet();
        env.procctl(["close", "--all"]).output();
        env.refused(["get", &first, "state"], 125, &[&first]);
        let next = env.sleeper(&[]);
        env.ok(["is-alive", &next]);
    }
}

#[test]
fn a_record_cut_off_anywhere_is_never_half_believed() {
    let env = TestEnv::new();
    let id = env.start(&["-n", "cut"], &["sh", "-c", "exit 3"]);
    assert_eq!(env.join(&id), 3);
    let path = record_file(&env, &id);
    let whole = fs::read(&path).unwrap();
    let length = whole.trim_ascii_end().len();
    for cut in (0..length).step_by(length / 25 + 1) {
        fs::write(&path, &whole[..cut]).unwrap();
        let output = env.procctl(["get", &id, "exitcode"]).output();
        output.refused(125, &[path.to_str().unwrap()]);
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(env.join(&id), 3);
}

#[test]
fn a_directory_without_a_record_disturbs_nobody() {
    let env = TestEnv::new();
    let broken = env.start(&[], &["true"]);
    assert_eq!(env.join(&broken), 0);
    fs::remove_file(record_file(&env, &broken)).unwrap();
    let id = env.sleeper(&[]);
    let rows = env.status();
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(env.get(&id, "name"), "Process-2");
    env.refused(["get", &broken, "state"], 125, &[&broken]);
}

/// Puts another pid into a record.
fn lie_about_pid(env: &TestEnv, id: &str, pid: i64, keep_inode: bool) {
    edit_record(env, id, |record| {
        record["pid"] = json!(pid);
        if !keep_inode && record.get("pidfd_inode").is_some() {
            record["pidfd_inode"] = Value::Null;
        }
    });
}

#[test]
fn the_pid_of_a_stranger_in_a_record_is_not_believed() {
    for keep_inode in [true, false] {
        for attempt in ATTEMPTS {
            let env = TestEnv::new();
            let id = env.sleeper(&[]);
            let _old = Stranger::from_managed(&env, &id);
            let mut stranger = env.program("sleep").arg("1000").spawn();
            lie_about_pid(&env, &id, stranger.pid().into(), keep_inode);
            env.procctl(attempt.iter().copied().chain([id.as_str()])).output();
            env.procctl(["is-alive", &id]).output().exits(1);
            assert!(stranger.is_running(), "{attempt:?} ended a stranger");
        }
    }
}

#[test]
fn pids_that_mean_many_are_not_believed() {
    // -1 is everybody, 0 the caller's own group, 1 init, and what is larger than any pid may wrap around to one.
    for pid in [-1, 0, 1, i64::from(std::process::id()), -2, 1 << 32, i64::MAX] {
        let env = TestEnv::new();
        let id = env.sleeper(&[]);
        let _old = Stranger::from_managed(&env, &id);
        let mut stranger = env.program("sleep").arg("1000").spawn();
        lie_about_pid(&env, &id, pid, false);
        for args in [&["kill", &id][..], &["terminate", "--tree", &id], &["kill", "-s", "USR1", &id]] {
            // It would not live to answer, had it signalled its own group.
            let output = env.procctl(args).output();
            assert_eq!(output.signal(), None, "{pid}: {output:?}");
        }
        env.procctl(["kill", "--all"]).output();
        assert!(stranger.is_running(), "{pid}");
    }
}
