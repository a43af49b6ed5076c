//! `create`: a process before it is started, and `start REF`.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use crate::harness::{Shell, TestEnv};
use crate::support::files_below;

#[test]
fn records_the_command_and_does_not_start_it() {
    let env = TestEnv::new();
    let made = env.path("made");
    let id = env.ok(["create", "--", "touch", made.to_str().unwrap()]);

    let record = env.record(&id);
    assert_eq!(record["id"], json!(id));
    assert_eq!(record["state"], json!("initial"));
    assert_eq!(record["pid"], json!(null));
    assert_eq!(record["exitcode"], json!(null));
    assert_eq!(record["started_at"], json!(null));
    assert_eq!(record["stopped_at"], json!(null));
    assert_eq!(record["command"], json!(["touch", made]));
    assert_eq!(record["name"], json!("Process-1"));
    env.procctl(["is-alive", &id]).output().exits(1).quiet();
    assert!(!made.exists());
}

#[test]
fn start_ref_starts_it_and_prints_its_id() {
    let env = TestEnv::new();
    let id = env.ok(["create", "-n", "later", "--", "sh", "-c", "exit 4"]);
    assert_eq!(env.ok(["start", "later"]), id);
    assert_eq!(env.join(&id), 4);
    assert_eq!(env.get(&id, "state"), "stopped");
}

#[test]
fn start_of_several_refs_starts_each_and_prints_the_ids_in_order() {
    let env = TestEnv::new();
    let one = env.ok(["create", "--", "sh", "-c", "exit 1"]);
    let two = env.ok(["create", "--", "sh", "-c", "exit 2"]);
    assert_eq!(env.ok(["start", &two, &one]), format!("{two}\n{one}"));
    assert_eq!(env.join(&one), 1);
    assert_eq!(env.join(&two), 2);
}

#[test]
fn the_monitor_of_the_last_of_several_refs_has_not_the_memory_of_the_others() {
    let env = TestEnv::new();
    let created = || env.ok(["create", "--", "sleep", "1000"]);
    let anonymous_of_last = |ids: &[String]| {
        let mut start = env.procctl(["start"]).args(ids);
        for number in 0..500 {
            start = start.env(format!("VARIABLE_{number}"), "x");
        }
        start.output().exits(0);
        env.anonymous_memory_of_monitor(ids.last().unwrap())
    };
    let of_one = anonymous_of_last(&[created()]);
    let of_many = anonymous_of_last(&(0..40).map(|_| created()).collect::<Vec<_>>());
    assert!(of_many <= of_one + 300, "{of_many} KiB, and {of_one} of one");
}

#[test]
fn start_name_starts_every_initial_process_of_that_name() {
    let env = TestEnv::new();
    let one = env.ok(["create", "-n", "w", "--", "true"]);
    let two = env.ok(["create", "-n", "w", "--", "true"]);
    let started = env.ok(["start", "w"]);
    let mut started: Vec<_> = started.lines().collect();
    started.sort_unstable();
    let mut created = [one.as_str(), two.as_str()];
    created.sort_unstable();
    assert_eq!(started, created);
    env.ok(["join", &one, &two]);
}

#[test]
fn a_process_is_started_at_most_once() {
    let env = TestEnv::new();
    let made = env.path("made");
    let script = format!("echo once >> {}; exec sleep 1000", made.display());
    let id = env.ok(["create", "--", "sh", "-c", &script]);
    env.ok(["start", &id]);
    env.refused(["start", &id], 125, &[&id]);
    env.ok(["kill", "--wait", &id]);
    env.refused(["start", &id], 125, &[&id]);
    assert!(fs::read_to_string(made).unwrap().lines().count() <= 1);
    assert_eq!(env.get(&id, "exitcode"), "-9");
}

#[test]
fn cwd_streams_and_options_are_those_of_the_creator() {
    let env = TestEnv::new();
    let there = env.path("there");
    fs::create_dir(&there).unwrap();
    let id = env
        .procctl(["create", "--stdout", "out", "-e", "COLOUR=red"])
        .args(["--", "sh", "-c", "pwd; echo $COLOUR; echo oops >&2"])
        .cwd(&there)
        .output()
        .success();
    assert_eq!(env.get(&id, "cwd"), there.to_str().unwrap());
    env.procctl(["start", &id]).cwd("/").output().success();
    assert_eq!(env.join(&id), 0);
    assert_eq!(fs::read_to_string(there.join("out")).unwrap(), format!("{}\nred\n", there.display()));
    assert_eq!(env.ok(["logs", &id]), "oops");
}

#[test]
fn the_environment_beneath_is_that_of_whoever_starts_it() {
    let env = TestEnv::new();
    let id = env
        .procctl(["create", "-e", "SET=by -e", "--"])
        .args(["sh", "-c", "echo \"$WHO, $SET\""])
        .env("WHO", "creator")
        .output()
        .success();
    env.procctl(["start", &id]).env("WHO", "starter").env("SET", "by the starter").output().success();
    assert_eq!(env.join(&id), 0);
    assert_eq!(env.ok(["logs", &id]), "starter, by -e");
}

#[test]
fn clear_env_is_kept_until_the_start() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--clear-env", "-e", "KEPT=yes", "--", "/usr/bin/env"]);
    env.procctl(["start", &id]).env("WHO", "starter").output().success();
    assert_eq!(env.join(&id), 0);
    let log = env.ok(["logs", &id]);
    assert!(log.lines().any(|line| line == "KEPT=yes"), "{log}");
    assert!(!log.contains("WHO="), "{log}");
}

#[test]
fn inherited_streams_are_those_of_whoever_starts_it() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--stdin", "inherit", "--stdout", "inherit", "--", "cat"]);
    let output = env.procctl(["start", &id]).input("fed").output();
    output.exits(0).quiet();
    let said = output.stdout();
    assert!(said.contains("fed") && said.contains(&id), "{said}");
    assert_eq!(env.join(&id), 0);
}

#[test]
fn values_of_variables_are_in_a_private_file_and_not_in_the_record() {
    let env = TestEnv::new();
    let id = env.ok(["create", "-e", "TOKEN=hunter2", "--", "true"]);
    assert!(!env.ok(["get", &id]).contains("hunter2"));
    assert!(!env.ok(["status", "--json"]).contains("hunter2"));
    let holders: Vec<_> = files_below(&env.run_dir())
        .into_iter()
        .filter(|file| fs::read(file).unwrap().windows(7).any(|part| part == b"hunter2"))
        .collect();
    assert!(!holders.is_empty(), "it must be kept somewhere");
    for file in holders {
        let mode = fs::metadata(&file).unwrap().permissions().mode();
        assert_eq!(mode & 0o7777, 0o600, "{}", file.display());
    }
}

#[test]
fn fd_is_refused() {
    let env = TestEnv::new();
    env.refused(["create", "--fd", "0", "--", "true"], 125, &["--fd"]);
    assert!(env.status().is_empty());
}

#[test]
fn json_prints_the_record() {
    let env = TestEnv::new();
    let record = env.json(["create", "--json", "-n", "later", "--", "true"]);
    assert_eq!(record["name"], json!("later"));
    assert_eq!(record["state"], json!("initial"));
    assert_eq!(record, env.record("later"));
}

#[test]
fn a_failed_exec_puts_it_back_to_initial() {
    let env = TestEnv::new();
    let program = env.path("program");
    let id = env.ok(["create", "--", program.to_str().unwrap()]);
    env.refused(["start", &id], 127, &[program.to_str().unwrap()]);
    let record = env.record(&id);
    assert_eq!(record["state"], json!("initial"));
    assert_eq!(record["pid"], json!(null));
    assert_eq!(record["started_at"], json!(null));

    env.file("program", "#!/bin/sh\nexit 6\n");
    env.refused(["start", &id], 126, &[program.to_str().unwrap()]);
    assert_eq!(env.get(&id, "state"), "initial");

    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(env.ok(["start", &id]), id);
    assert_eq!(env.join(&id), 6);
}

#[test]
fn it_can_be_neither_joined_nor_signalled_before_its_start() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "true"]);
    for command in ["join", "terminate", "kill", "interrupt"] {
        env.refused([command, &id], 125, &[&id]);
    }
    assert_eq!(env.get(&id, "state"), "initial");
}

#[test]
fn it_counts_as_a_child_of_its_creator() {
    let env = TestEnv::new();
    env.ok(["create", "-n", "named", "--", "true"]);
    let second = env.ok(["create", "--", "true"]);
    assert_eq!(env.get(&second, "name"), "Process-2");
    let third = env.start(&[], &["true"]);
    assert_eq!(env.get(&third, "name"), "Process-3");
    assert_eq!(env.record(&third)["identity"], json!([3]));
    assert_eq!(env.join(&third), 0);
}

#[test]
fn its_parent_is_its_creator_also_when_another_starts_it() {
    let env = TestEnv::new();
    let output = env.bash("echo $$; procctl create -- true; procctl create -d -- true").output().success();
    let lines: Vec<_> = output.lines().collect();
    let [shell, plain, daemonic] = lines[..] else {
        panic!("{output}");
    };
    // The shell has ended: that matters to the daemonic one alone.
    env.refused(["start", daemonic], 125, &[daemonic]);
    assert_eq!(env.get(daemonic, "state"), "initial");
    env.ok(["start", plain]);
    assert_eq!(env.join(plain), 0);
    assert_eq!(env.get(plain, "parent.pid"), shell);
}

#[test]
fn a_daemonic_process_may_not_create_or_start_or_run() {
    let env = TestEnv::new();
    for command in ["procctl create -- true", "procctl start -- true", "procctl run -- true"] {
        let id = env.start(&["-d"], &["sh", "-c", command]);
        assert_eq!(env.join(&id), 125, "{command}");
        let log = env.ok(["logs", &id]);
        assert!(log.contains("daemonic processes are not allowed to have children"), "{command}: {log}");
        env.ok(["close", &id]);
    }
    assert!(env.status().is_empty(), "{:?}", env.status());
}

#[test]
fn the_answer_is_the_id_alone_in_every_shell() {
    let env = TestEnv::new();
    for shell in Shell::installed() {
        let id = env.script(shell, "id=$(procctl create -- true)\necho \"<$id>\"").output().success();
        let id = id.trim_matches(['<', '>']);
        assert!(
            id.starts_with(|c: char| c.is_ascii_lowercase())
                && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit()),
            "{shell:?}: {id}"
        );
        assert_eq!(env.get(id, "id"), id);
    }
}
