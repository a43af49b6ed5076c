//! §5: the record, and the promise that its fields stay.

use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::support::record_file;

/// RFC 3339, UTC, with a fraction of a second; as something that can be compared.
fn time(value: &Value) -> &str {
    let text = value.as_str().unwrap_or_else(|| panic!("no time: {value}"));
    let pattern = b"0000-00-00T00:00:00.";
    let bytes = text.as_bytes();
    let fits = bytes.len() > pattern.len() + 1
        && pattern.iter().zip(bytes).all(|(want, byte)| match want {
            b'0' => byte.is_ascii_digit(),
            _ => want == byte,
        })
        && bytes[pattern.len()..bytes.len() - 1].iter().all(u8::is_ascii_digit)
        && text.ends_with('Z');
    assert!(fits, "not RFC 3339 in UTC with a fraction: {text}");
    text
}

#[test]
fn every_field_is_there_in_every_state() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "sleep", "1000"]);
    let initial = env.record(&id);
    env.ok(["start", &id]);
    let started = env.record(&id);
    env.ok(["terminate", &id, "--wait"]);
    let stopped = env.record(&id);
    for record in [&initial, &started, &stopped] {
        for field in [
            "schema",
            "id",
            "name",
            "state",
            "pid",
            "exitcode",
            "daemon",
            "identity",
            "index",
            "parent",
            "command",
            "cwd",
            "created_at",
            "started_at",
            "stopped_at",
            "lost",
            "stdin",
            "stdout",
            "stderr",
            "sentinel",
            "usage",
            "ended_by",
            "core_dumped",
            "host",
            "boot_id",
            "monitor",
        ] {
            assert!(record.get(field).is_some(), "no {field} in {record}");
        }
        assert_eq!(record["schema"], json!(1));
        assert_eq!(record["id"], json!(id));
        assert_eq!(record["lost"], json!(null));
        time(&record["created_at"]);
    }
    for field in ["pid", "exitcode", "started_at", "stopped_at", "usage", "ended_by"] {
        assert_eq!(initial[field], json!(null), "{field}");
    }
    for field in ["exitcode", "stopped_at", "usage", "ended_by"] {
        assert_eq!(started[field], json!(null), "{field}");
    }
    assert_eq!(started["pid"], stopped["pid"]);
    assert_eq!(started["started_at"], stopped["started_at"]);
    assert_eq!(stopped["exitcode"], json!(-15));
    let keys = |record: &Value| record.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&initial), keys(&started));
    assert_eq!(keys(&started), keys(&stopped));
}

#[test]
fn times_are_in_order() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "true"]);
    env.ok(["start", &id]);
    assert_eq!(env.join(&id), 0);
    let record = env.record(&id);
    let times = ["created_at", "started_at", "stopped_at"].map(|field| time(&record[field]));
    assert!(times.is_sorted(), "{times:?}");
    let now = env.program("date").args(["-u", "+%FT%T.%NZ"]).output().success();
    assert!(times[2] < now.as_str(), "{times:?} and now {now}");
}

#[test]
fn it_says_where_it_runs() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let record = env.record(&id);
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(record["host"], json!(host.trim()));
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let same = |text: &str| text.replace('-', "");
    assert_eq!(same(record["boot_id"].as_str().unwrap()), same(boot.trim()));
    assert_eq!(record["parent"]["pid"], json!(std::process::id()));
    assert_eq!(record["parent"]["id"], json!(null));
    assert_eq!(record["parent"]["name"], json!(null));
    time(&record["parent"]["started_at"]);
    assert!(record["monitor"]["pid"].is_i64());
}

#[test]
fn the_parent_of_a_nested_process_is_named() {
    let env = TestEnv::new();
    let outer =
        env.start(&["-n", "outer"], &["bash", "-c", "procctl start -n inner -- true; procctl join inner"]);
    assert_eq!(env.join(&outer), 0);
    let record = env.record("inner");
    assert_eq!(record["parent"]["id"], json!(outer));
    assert_eq!(record["parent"]["name"], json!("outer"));
    assert_eq!(record["parent"]["pid"], env.record(&outer)["pid"]);
    assert_eq!(record["identity"], json!([1, 1]));
}

#[test]
fn streams_are_a_path_or_a_word() {
    let env = TestEnv::new();
    let plain = env.sleeper(&[]);
    let record = env.record(&plain);
    assert_eq!(record["stdin"], json!("null"));
    let said =
        env.start(&["--stdin", "/dev/zero", "--stdout", "null", "--stderr", "stdout"], &["sleep", "1000"]);
    let record = env.record(&said);
    assert_eq!(record["stdin"], json!("/dev/zero"));
    assert_eq!(record["stdout"], json!("null"));
    assert_eq!(record["stderr"], json!("stdout"));
    let file = env.start(&["--stdout", "out"], &["sleep", "1000"]);
    let out = env.path("out");
    assert_eq!(env.record(&file)["stdout"], json!(fs::canonicalize(out).unwrap()));
}

#[test]
fn usage_is_that_of_the_ended_process() {
    let env = TestEnv::new();
    let id = env.start(&[], &["bash", "-c", "for ((n = 0; n < 100000; n++)); do :; done"]);
    assert_eq!(env.join(&id), 0);
    let usage = &env.record(&id)["usage"];
    assert!(usage["user_seconds"].as_f64().unwrap() > 0.01, "{usage}");
    assert!(usage["system_seconds"].as_f64().unwrap() >= 0.0, "{usage}");
    assert!(usage["max_rss_bytes"].as_u64().unwrap() > 500_000, "{usage}");
    assert!(usage["major_faults"].is_u64(), "{usage}");
}

#[test]
fn core_dumped_is_told() {
    let env = TestEnv::new();
    let id = env.start(&[], &["bash", "-c", "ulimit -c 0; kill -SEGV $$"]);
    assert_eq!(env.join(&id), 139);
    assert_eq!(env.record(&id)["core_dumped"], json!(false));
    assert_eq!(env.record(&id)["exitcode"], json!(-11));
}

#[test]
fn arguments_that_are_not_utf8_are_kept_without_loss() {
    let env = TestEnv::new();
    let odd: [&[u8]; 5] = [b"\xff", b"\xfe", b"caf\xe9", "caf\u{e9}".as_bytes(), "\u{fffd}".as_bytes()];
    let mut seen = Vec::new();
    for argument in odd {
        let id = env
            .procctl(["create", "--", "printf", "%s"])
            .arg(std::ffi::OsStr::from_bytes(argument))
            .output()
            .success();
        let command = env.record(&id)["command"].clone();
        assert_eq!(command[1], json!("%s"));
        assert!(!seen.contains(&command[2]), "{} of {argument:?} is not alone", command[2]);
        seen.push(command[2].clone());
        // What was recorded is what is run.
        env.ok(["start", &id]);
        assert_eq!(env.join(&id), 0);
        assert_eq!(env.procctl(["logs", &id]).output().stdout, argument);
    }
    assert_eq!(seen[3], json!("caf\u{e9}"));
}

#[test]
fn a_cwd_that_is_not_utf8_is_kept_too() {
    let env = TestEnv::new();
    let dir = env.path(std::ffi::OsStr::from_bytes(b"d\xff"));
    fs::create_dir(&dir).unwrap();
    let id = env.procctl(["create", "--", "pwd"]).cwd(&dir).output().success();
    env.ok(["start", &id]);
    assert_eq!(env.join(&id), 0);
    let log = env.procctl(["logs", &id]).output();
    assert!(log.stdout.ends_with(b"/d\xff\n"), "{log:?}");
    let output = env.procctl(["status"]).output();
    output.exits(0).quiet();
}

#[test]
fn the_environment_is_not_recorded() {
    let env = TestEnv::new();
    let id = env
        .procctl(["start", "-e", "TOKEN=hunter2", "--", "sleep", "1000"])
        .env("OTHER", "swordfish")
        .output()
        .success();
    let record = env.ok(["get", &id]);
    assert!(!record.contains("hunter2") && !record.contains("swordfish"), "{record}");
    for file in crate::support::files_below(&env.run_dir()) {
        let text = fs::read(&file).unwrap();
        let text = String::from_utf8_lossy(&text);
        assert!(!text.contains("swordfish"), "{}", file.display());
    }
}

#[test]
fn large_commands_and_long_names_are_kept() {
    let env = TestEnv::new();
    let name = "n".repeat(255);
    let arguments: Vec<String> = (0..2000).map(|n| format!("argument {n} \u{1f600}\t\"\\")).collect();
    let id = env.procctl(["start", "-n", &name, "--", "true"]).args(&arguments).output().success();
    assert_eq!(env.join(&name), 0);
    let record = env.record(&id);
    assert_eq!(record["name"], json!(name));
    assert_eq!(record["command"].as_array().unwrap().len(), 2001);
    assert_eq!(record["command"][2000], json!(arguments[1999]));
}

#[test]
fn ended_by_tells_who_asked() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let shell = env.bash(&format!("procctl terminate {id} --wait; echo $$")).output().success();
    let by = &env.record(&id)["ended_by"];
    assert_eq!(by["action"], json!("terminate"));
    assert_eq!(by["signal"], json!(15));
    assert_eq!(by["by_pid"].to_string(), shell);
    time(&by["at"]);
}

#[test]
fn ended_by_of_a_daemonic_process_is_its_parents_end() {
    let env = TestEnv::new();
    let said = env.bash("echo $$; procctl start -d -- sleep 1000").output().success();
    let (shell, id) = said.split_once('\n').unwrap();
    assert_eq!(env.join(id), 143);
    let record = env.record(id);
    assert_eq!(record["ended_by"]["action"], json!("parent-exit"));
    assert_eq!(record["parent"]["pid"].to_string(), shell);
    assert_eq!(record["daemon"], json!(true));
}

/// Removing the directory of a live process would lose it.
#[test]
fn of_a_live_process_a_broken_record_is_not_said_to_be_of_no_use() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let record = record_file(&env, &id);
    let whole = std::fs::read(&record).unwrap();
    std::fs::write(&record, &whole[..whole.len() / 2]).unwrap();
    let refused = env.refused(["get", &id, "pid"], 125, &["cannot use the record", "record.json"]);
    let hint = refused;
    assert!(
        hint.contains(&format!("hint: its process is alive, or may be: ps -ef shows 'monitor of {id}'")),
        "{hint}"
    );
    std::fs::write(&record, whole).unwrap();
    assert_eq!(env.get(&id, "state"), "started");

    env.ok(["kill", "--wait", &id]);
    std::fs::write(&record, "{").unwrap();
    env.refused(["get", &id, "pid"], 125, &["cannot use the record", "hint: if it is of no use, remove"]);
}
