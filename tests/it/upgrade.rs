//! Records and monitors of other versions. Records that were written once load for ever: `tests/data/records-*` has one of
//! every kind, by version. And old and new understand each other, in both directions, about live processes: with
//! `PROCCTL_TEST_OLD`, the path of an older procctl (`.ci/run` builds one).

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Call, PROCCTL, TestEnv, eventually, proc_state, skipped};
use crate::support::{Held, Worker, boot_id, kernel_tells_exit_codes, kill_monitor};

/// Every record that is kept as data: its kind, and it.
pub(crate) fn kept() -> Vec<(String, Value)> {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let versions = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path());
    let is_version = |path: &PathBuf| path.file_name().unwrap().as_encoded_bytes().starts_with(b"records-");
    let files = versions.filter(is_version).flat_map(|dir| fs::read_dir(dir).unwrap());
    let mut found: Vec<_> = files
        .map(|file| {
            let path = file.unwrap().path();
            let kind = path.strip_prefix(env!("CARGO_MANIFEST_DIR")).unwrap().display().to_string();
            (kind, serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| a.cmp(b));
    assert!(found.len() >= 20, "{found:?}");
    found
}

/// Puts a record into the run directory, with what else an ended or unstarted process has. Its file.
pub(crate) fn install(env: &TestEnv, record: &Value) -> PathBuf {
    let id = record["id"].as_str().unwrap();
    let dir = env.run_dir().join("processes").join(&id[..2]).join(id);
    fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir).unwrap();
    if record["state"] == "initial" {
        nix::unistd::mkfifo(&dir.join("sentinel"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    } else {
        fs::write(dir.join("sentinel"), "").unwrap();
    }
    fs::write(dir.join("output.log"), "what it said\n").unwrap();
    let path = dir.join("record.json");
    fs::write(&path, format!("{record}\n")).unwrap();
    path
}

/// All that is in `old` is in `new`, which may have more.
#[track_caller]
fn has_all(new: &Value, old: &Value, but: &[&str], kind: &str) {
    for (key, value) in old.as_object().unwrap() {
        if !but.contains(&key.as_str()) {
            assert!(says_all(&new[key], value), "{kind}: {key}: {} instead of {value}", new[key]);
        }
    }
}

/// Fields may have come since.
fn says_all(new: &Value, old: &Value) -> bool {
    match (new, old) {
        (Value::Object(new), Value::Object(old)) => {
            old.iter().all(|(key, value)| new.get(key).is_some_and(|new| says_all(new, value)))
        }
        _ => new == old,
    }
}

#[test]
fn every_record_that_was_ever_written_loads_and_survives_being_written_again() {
    for (kind, mut old) in kept() {
        let env = TestEnv::new();
        old["from_the_future"] = json!({"deep": [1, 2.5, null, "x"], "\u{e9}": 1e300});
        let path = install(&env, &old);
        let id = old["id"].as_str().unwrap();

        has_all(&env.record(id), &old, &[], &kind);
        has_all(&env.status()[0], &old, &[], &kind);
        for (key, value) in old.as_object().unwrap() {
            match value {
                Value::String(text) => assert_eq!(&env.get(id, key), text, "{kind}"),
                Value::Null => assert_eq!(env.get(id, key), "", "{kind}"),
                _ => {}
            }
        }
        assert!(env.ok(["status", "--no-trunc"]).contains(id), "{kind}");
        if !old["log"].is_null() {
            assert_eq!(env.ok(["logs", id]), "what it said", "{kind}");
        }
        match old["state"].as_str().unwrap() {
            "stopped" => {
                let status = match old["exitcode"].as_i64() {
                    Some(code) if code < 0 => 128 - code,
                    Some(code) => code,
                    None => 125,
                };
                let output = env.procctl(["join", id, "--timeout", "0"]).output();
                assert_eq!(i64::from(output.code()), status, "{kind}: {output:?}");
                assert_eq!(output.stderr.is_empty(), status != 125, "{kind}: {output:?}");
                env.procctl(["is-alive", id]).output().exits(1).quiet();
                env.ok(["terminate", id]);
            }
            "initial" => drop(env.refused(["join", id], 125, &["not been started"])),
            _ => {
                // Of another host, so nothing is done.
                assert!(env.ok(["status"]).contains("on example"), "{kind}");
                env.refused(["set", id, "name=new"], 125, &["example"]);
                continue;
            }
        }
        env.ok(["set", id, "name=new name"]);
        let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        has_all(&written, &old, &["name"], &kind);
        assert_eq!(written["name"], json!("new name"), "{kind}");
        assert_eq!(env.get("new name", "id"), id, "{kind}");
        env.ok(["close", id]);
        assert!(env.status().is_empty(), "{kind}");
    }
}

/// As after an upgrade that came with a restart, or without one while the monitor was killed.
#[test]
fn what_an_older_version_left_started_is_found_ended() {
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    for (kind, mut old) in kept().into_iter().filter(|(_, record)| record["state"] == "started") {
        for boot in [old["boot_id"].clone(), json!(boot_id())] {
            let env = TestEnv::new();
            (old["host"], old["boot_id"]) = (json!(host.trim()), boot);
            install(&env, &old);
            let id = old["id"].as_str().unwrap();
            env.procctl(["is-alive", id]).output().exits(1).quiet();
            env.refused(["join", id], 125, &["lost"]);
            let now = env.record(id);
            has_all(&now, &old, &["state", "lost", "witness"], &kind);
            assert_eq!(now["state"], "stopped", "{kind}");
            assert!(now["lost"].is_string(), "{kind}");
        }
    }
}

#[test]
fn what_an_older_version_created_is_started() {
    for (kind, mut old) in kept().into_iter().filter(|(_, record)| record["state"] == "initial") {
        let env = TestEnv::new();
        old["cwd"] = json!(env.root());
        old["command"] = json!(["sh", "-c", "exit 6"]);
        old["from_the_future"] = json!("kept");
        if old["stdout"].as_str().unwrap().starts_with('/') {
            old["stdout"] = json!(env.path("out"));
        }
        install(&env, &old);
        let id = old["id"].as_str().unwrap();
        if old["daemon"] == true {
            env.refused(["start", id], 125, &["daemonic"]);
            env.ok(["set", id, "daemon=false"]);
        }
        env.ok(["start", id]);
        assert_eq!(env.join(id), 6, "{kind}");
        let ended = env.record(id);
        for key in ["name", "identity", "parent", "command", "cwd", "created_at", "unique", "from_the_future"]
        {
            assert_eq!(ended[key], old[key], "{kind}: {key}");
        }
    }
}

/// The older procctl.
fn older() -> Option<OsString> {
    let older = std::env::var_os("PROCCTL_TEST_OLD").filter(|path| !path.is_empty());
    if older.is_none() {
        skipped("PROCCTL_TEST_OLD does not name an older procctl");
    }
    older
}

/// An older and the new program in one run directory.
struct Versions {
    env: TestEnv,
    /// What starts the processes, so their monitors are of this version.
    one: OsString,
    other: OsString,
    what: &'static str,
}

impl Versions {
    fn one(&self, args: &[&str]) -> Call {
        self.env.program(&self.one).args(args)
    }

    fn other(&self, args: &[&str]) -> Call {
        self.env.program(&self.other).args(args)
    }
}

/// Does it for the new one with what the older one started, and the other way round.
fn both_ways(test: impl Fn(&Versions)) {
    let Some(older) = older() else { return };
    for new_starts in [false, true] {
        let pair = (older.clone(), OsString::from(PROCCTL));
        let ((one, other), what) =
            if new_starts { ((pair.1, pair.0), "new monitor") } else { (pair, "old monitor") };
        test(&Versions { env: TestEnv::new(), one, other, what });
    }
}

/// Makes `procctl`, as scripts say it, that one.
fn in_path(env: &TestEnv, program: &OsString) {
    let link = env.path("bin/procctl");
    fs::remove_file(&link).unwrap();
    std::os::unix::fs::symlink(program, link).unwrap();
}

#[test]
fn other_versions_see_signal_rename_and_join_a_process() {
    both_ways(|versions| {
        let what = versions.what;
        let id = versions
            .one(&["start", "-n", "w", "--", "sh", "-c", "echo said; exec sleep 1000"])
            .output()
            .success();
        let state = |reference: &str| versions.other(&["get", reference, "state"]).output().success();
        assert_eq!([state(&id), state("w"), state(&id[..5])], ["started"; 3], "{what}");
        let pid = versions.one(&["get", &id, "pid"]).output().success();
        assert_eq!(state(&pid), "started", "{what}");
        versions.other(&["is-alive", &id]).output().success();
        let table = versions.other(&["status", "--alive"]).output().success();
        assert!(table.contains(&id), "{what}: {table}");
        let records = |call: Call| serde_json::from_str::<Value>(&call.output().success()).unwrap();
        let (a, b) = (records(versions.one(&["get", &id])), records(versions.other(&["get", &id])));
        for (key, value) in a.as_object().unwrap() {
            if let Some(other) = b.get(key) {
                // The newer one may know more of it.
                assert!(
                    says_all(value, other) || says_all(other, value),
                    "{what}: {key}: {value} and {other}"
                );
            }
        }
        eventually("it has spoken", || {
            (versions.other(&["logs", &id]).output().success() == "said").then_some(())
        });
        versions.other(&["join", &id, "--timeout", "0"]).output().exits(124);
        versions.other(&["set", &id, "name=renamed"]).output().success();
        assert_eq!(versions.one(&["get", "renamed", "id"]).output().success(), id, "{what}");
        versions.one(&["get", "w"]).output().refused(125, &["w"]);

        let mut blocked = versions.other(&["join", "renamed"]).spawn();
        blocked.wait_until_blocked();
        versions.other(&["terminate", "renamed", "--wait"]).output().success();
        blocked.wait().exits(143).quiet();
        versions.one(&["join", &id]).output().exits(143).quiet();
        let ended = records(versions.one(&["get", &id]));
        assert_eq!(ended["ended_by"]["action"], "terminate", "{what}");
        assert_eq!(ended["witness"], "monitor", "{what}");
        versions.other(&["close", &id]).output().success();
        versions.one(&["get", &id]).output().refused(125, &[&id]);
    });
}

#[test]
fn other_versions_take_the_whole_tree_and_leave_its_monitors() {
    both_ways(|versions| {
        in_path(&versions.env, &versions.one);
        let script = "procctl start -n inner -- sleep 1000; setsid -f sleep 1000; echo ready; sleep 1000";
        let outer = versions.one(&["start", "-n", "outer", "--", "bash", "-c", script]).output().success();
        eventually("it is ready", || {
            versions.other(&["logs", &outer]).output().success().contains("ready").then_some(())
        });
        versions.other(&["terminate", "--tree", "--wait", "outer"]).output().success();
        for name in ["outer", "inner"] {
            versions.one(&["join", name]).output().exits(143).quiet();
        }
    });
}

#[test]
fn names_unique_and_numbers_are_one_for_all_versions() {
    both_ways(|versions| {
        let start = |call: Call| call.output().success();
        let args = ["start", "--", "sleep", "1000"];
        let ids: Vec<String> = (0..6)
            .map(|n| start(if n % 2 == 0 { versions.one(&args) } else { versions.other(&args) }))
            .collect();
        for (number, id) in (1..).zip(&ids) {
            let name = versions.other(&["get", id, "name"]).output().success();
            assert_eq!(name, format!("Process-{number}"), "{}", versions.what);
        }
        let children: Value =
            serde_json::from_str(&versions.other(&["status", "--json", "--children"]).output().success())
                .unwrap();
        assert_eq!(children.as_array().unwrap().len(), 6);

        start(versions.one(&["start", "--unique", "-n", "only", "--", "sleep", "1000"]));
        for options in [&["--unique"][..], &[]] {
            let mut args = vec!["start", "-n", "only"];
            args.extend(options);
            args.extend(["--", "sleep", "1000"]);
            let output = versions.other(&args).output();
            // Without --unique a second one of that name may be started.
            output.exits(if options.is_empty() { 0 } else { 125 });
        }
        versions.other(&["set", &ids[0], "name=only"]).output().refused(125, &["unique"]);
        // The key of the family is one.
        let key = |call: Call| call.output().success();
        let (a, b) = (&["get", &ids[0], "authkey"][..], &["get", &ids[1], "authkey"][..]);
        assert_eq!(key(versions.one(a)), key(versions.other(b)));
        // Everybody's, however they were started.
        versions.other(&["kill", "--all", "--wait"]).output().success();
        versions.one(&["join", &ids[0], &ids[1]]).output().exits(137);
        versions.other(&["close", "--all"]).output().success();
        let id = start(versions.one(&["start", "--", "true"]));
        assert_eq!(versions.one(&["get", &id, "identity"]).output().success(), "[9]");
        versions.other(&["join", &id]).output().exits(0);
    });
}

#[test]
fn other_versions_start_what_one_has_created() {
    both_ways(|versions| {
        let script = r#"echo "$KEY"; exit 6"#;
        let id = versions.one(&["create", "-e", "KEY=value", "--", "sh", "-c", script]).output().success();
        versions.other(&["set", &id, "name=later"]).output().success();
        versions.one(&["set", "later", "daemon=true"]).output().success();
        assert_eq!(versions.other(&["start", "later"]).output().success(), id);
        versions.one(&["join", &id]).output().exits(6).quiet();
        assert_eq!(versions.one(&["logs", "later"]).output().success(), "value");
        versions.one(&["start", "later"]).output().refused(125, &["only once"]);
    });
}

#[test]
fn a_daemonic_process_of_another_version_ends_with_its_parent() {
    both_ways(|versions| {
        in_path(&versions.env, &versions.other);
        let script = "procctl start -d -n child -- sleep 1000; procctl get @parent pid; procctl get @self name; echo ready; sleep 1000";
        let parent = versions.one(&["start", "-n", "parent", "--", "bash", "-c", script]).output().success();
        eventually("it is ready", || {
            versions.other(&["logs", &parent]).output().success().contains("ready").then_some(())
        });
        let said = versions.one(&["logs", &parent]).output().success();
        assert!(said.contains("\nparent\n"), "{}: {said}", versions.what);
        versions.other(&["kill", &parent]).output().success();
        versions.one(&["join", "child"]).output().exits(143).quiet();
        let action = versions.one(&["get", "child", "ended_by.action"]).output().success();
        assert_eq!(action, "parent-exit", "{}", versions.what);
        assert_eq!(versions.one(&["get", "child", "identity"]).output().success(), "[1,1]");
    });
}

#[test]
fn a_killed_monitor_of_another_version_takes_no_exit_code_along() {
    if !kernel_tells_exit_codes() {
        return;
    }
    both_ways(|versions| {
        in_path(&versions.env, &versions.one);
        // The worker's monitor is of the version in the path of `one`.
        let pipe = versions.env.path("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let script = r#"read -r code < pipe; exit "$code""#;
        let id = versions.one(&["start", "-n", "w", "--", "sh", "-c", script]).output().success();
        let process = Held::open(versions.env.pid(&id));
        kill_monitor(&versions.env, &id);
        versions.other(&["is-alive", &id]).output().success();
        let mut joins = [versions.other(&["join", &id]).spawn(), versions.one(&["join", &id]).spawn()];
        joins.iter_mut().for_each(crate::harness::Running::wait_until_blocked);
        fs::write(&pipe, "7\n").unwrap();
        process.wait_end();
        for join in joins {
            join.wait().exits(7).quiet();
        }
        for call in [versions.one(&["get", &id, "exitcode"]), versions.other(&["get", &id, "exitcode"])] {
            assert_eq!(call.output().success(), "7", "{}", versions.what);
        }
    });
}

#[test]
fn run_in_the_foreground_is_seen_by_other_versions() {
    both_ways(|versions| {
        let run = versions.one(&["run", "-n", "main", "--", "sleep", "1000"]).spawn();
        eventually("it runs", || {
            let output = versions.other(&["is-alive", "main"]).output();
            (output.status.code() == Some(0)).then_some(())
        });
        versions.other(&["interrupt", "main", "--wait"]).output().success();
        run.wait().exits(130);
        assert_eq!(versions.other(&["get", "main", "exitcode"]).output().success(), "-2");
    });
}

#[test]
fn the_new_version_works_beside_a_worker_of_the_old_one() {
    let Some(older) = older() else { return };
    let env = TestEnv::new();
    let old = env.program(&older).args(["start", "--", "sleep", "1000"]).output().success();
    let worker = Worker::start(&env, &[]);
    let pid = env.pid(&worker.id);
    worker.exit(9);
    env.program(&older).args(["join", &worker.id]).output().exits(9).quiet();
    eventually("it was reaped", || proc_state(pid).is_none().then_some(()));
    env.program(&older).args(["kill", "--all", "--wait"]).output().success();
    assert_eq!(env.join(&old), 137);
}
