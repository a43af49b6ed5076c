//! `start --count`: several processes of one command at once, all of them or none.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::thread;

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Running, TestEnv, eventually, proc_state};
use crate::support::{edit_record, files_below, record_file, said_inside};

/// `procctl start --count COUNT OPTIONS -- COMMAND`; the ids.
fn start(env: &TestEnv, count: usize, options: &[&str], command: &[&str]) -> Vec<String> {
    let count = count.to_string();
    let args = [&["start", "--count", &*count], options, &["--"], command].concat();
    let ids: Vec<String> = env.ok(args).lines().map(str::to_owned).collect();
    assert_eq!(ids.len().to_string(), count, "{ids:?}");
    ids
}

fn number(record: &Value) -> u64 {
    record["identity"].as_array().unwrap().last().unwrap().as_u64().unwrap()
}

/// Neither a record is left, nor what belongs to one, nor an OS process.
#[track_caller]
fn assert_nothing_is_left(env: &TestEnv) {
    assert_eq!(env.status(), [] as [Value; 0]);
    let left: Vec<_> = files_below(&env.run_dir().join("processes"));
    assert!(left.is_empty(), "{left:?}");
    let left: Vec<_> = fs::read_dir(env.run_dir().join("processes")).unwrap().collect();
    assert!(
        left.iter().flatten().all(|folder| fs::read_dir(folder.path()).unwrap().next().is_none()),
        "{left:?}"
    );
    eventually("no monitor is left", || env.os_processes().is_empty().then_some(()));
}

/// The next process of this caller gets that number.
#[track_caller]
fn assert_next_number(env: &TestEnv, expected: u64) {
    assert_eq!(number(&env.record(&env.sleeper(&[]))), expected);
}

#[test]
fn each_knows_its_index_and_the_ids_are_told_in_that_order() {
    let env = TestEnv::new();
    let ids = start(&env, 20, &[], &["sh", "-c", "echo $PROCCTL_INDEX; exit $PROCCTL_INDEX"]);
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), 20);
    for (index, id) in ids.iter().enumerate() {
        assert_eq!(env.join(id), i32::try_from(index).unwrap());
        assert_eq!(env.ok(["logs", id]), index.to_string());
        let record = env.record(id);
        assert_eq!(record["index"], json!(index));
        assert_eq!(number(&record), index as u64 + 1);
        assert_eq!(record["name"], json!(format!("Process-{}", index + 1)));
    }
    let listed: Vec<String> =
        env.status().iter().map(|record| record["id"].as_str().unwrap().to_owned()).collect();
    assert_eq!(listed, ids, "status has another order");
    // The first that did not end with 0.
    env.procctl(["join"]).args(&ids).output().exits(1).quiet();
    assert_next_number(&env, 21);
}

#[test]
fn one_is_the_first_of_one() {
    let env = TestEnv::new();
    let ids = start(&env, 1, &["--unique", "-n", "one"], &["sh", "-c", "exit 1$PROCCTL_INDEX"]);
    assert_eq!(env.join(&ids[0]), 10);
    assert_eq!(env.get(&ids[0], "index"), "0");
}

#[test]
fn all_have_the_name_and_all_are_joined_by_it() {
    let env = TestEnv::new();
    let ids = start(&env, 3, &["--name", "worker"], &["sh", "-c", "exit 3"]);
    let output = env.procctl(["join", "worker"]).output();
    output.exits(3).quiet();
    for id in &ids {
        assert_eq!(env.get(id, "name"), "worker");
        assert_eq!(env.get(id, "exitcode"), "3");
    }
}

#[test]
fn json_prints_the_records_one_a_line() {
    let env = TestEnv::new();
    let text = env.ok(["start", "--count", "3", "--json", "-n", "w", "--", "sleep", "1000"]);
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.iter().map(number).collect::<Vec<_>>(), [1, 2, 3]);
    for record in &records {
        assert_eq!(record["state"], json!("started"));
        assert_eq!(*record, env.record(record["id"].as_str().unwrap()));
    }
}

#[test]
fn which_of_them_failed_can_be_seen_afterwards() {
    let env = TestEnv::new();
    let ids = start(&env, 11, &["-n", "part"], &["sh", "-c", "exit $((PROCCTL_INDEX % 8 / 2))"]);
    env.procctl(["join"]).args(&ids).output().exits(1).quiet();
    let single = env.start(&["-n", "single"], &["false"]);
    assert_eq!(env.join(&single), 1);
    env.ok(["create", "-n", "new", "--", "false"]);
    assert_eq!(env.get(&ids[10], "index"), "10");
    assert_eq!((env.get(&single, "index"), env.get("new", "index")), (String::new(), String::new()));
    let said = env.ok(["status", "--failed", "--format", "{name} [{index}] {exitcode}"]);
    let failed =
        ["[2] 1", "[3] 1", "[4] 2", "[5] 2", "[6] 3", "[7] 3", "[10] 1"].map(|end| format!("part {end}"));
    assert_eq!(said.lines().collect::<Vec<_>>(), [&failed[..], &["single [] 1".to_owned()]].concat());
    // By number, and those without one last.
    let table = env.ok(["status", "--failed", "--columns", "index,name", "--sort", "-index"]);
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[..3], [["INDEX", "NAME"], ["10", "part"], ["7", "part"]], "{table}");
    assert_eq!(rows.last().unwrap(), &["-", "single"], "{table}");
    let default = env.ok(["status"]);
    assert!(!default.lines().next().unwrap().contains("INDEX"), "{default}");
}

/// What `create` records is none of several, wherever it is started.
#[test]
fn what_is_started_inside_of_one_of_several_has_no_index() {
    let env = TestEnv::new();
    let inner = "procctl start $(procctl create -n created -- true) >/dev/null; procctl run -n run -- true";
    let ids = start(&env, 1, &[], &["sh", "-c", inner]);
    assert_eq!(env.join(&ids[0]), 0);
    for name in ["created", "run"] {
        assert_eq!(env.record(name)["index"], json!(null), "{name}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let env = TestEnv::new();
    for (count, why) in
        [("0", "at least 1"), ("-1", "-1"), ("x", "'x'"), ("100001", "100000"), ("99999999999999", "100000")]
    {
        env.refused(["start", "--count", count, "--", "true"], 125, &["--count", why]);
    }
    env.refused(
        ["start", "--count", "2", "--unique", "-n", "u", "--", "true"],
        125,
        &["--unique", "--count 2"],
    );
    let id = env.ok(["create", "--", "true"]);
    env.refused(["start", "--count", "2", &id], 125, &["stands before", "procctl start --count 2 -- "]);
    assert_eq!(env.get(&id, "state"), "initial");
    for command in ["create", "run"] {
        for args in [
            &["--count", "2", "--", "true"][..],
            &["-n", "x", "--count=2", "--", "true"],
            &["--count", "2", "true"],
        ] {
            let said = env.refused([&[command], args].concat(), 125, &["'--count'"]);
            assert!(said.ends_with("\nhint: --count is an option of start only"), "{said}");
        }
    }
    assert_eq!(env.status().len(), 1);
}

#[test]
fn the_index_is_of_one_process_and_not_of_its_children() {
    let env = TestEnv::new();
    let inner = "procctl run -- sh -c 'echo \"run [$PROCCTL_INDEX]\"'
        a=$(procctl start -- sh -c 'echo \"start [$PROCCTL_INDEX]\"'); procctl join $a; procctl logs $a
        b=$(procctl create -- sh -c 'echo \"create [$PROCCTL_INDEX]\"'); procctl start $b; procctl join $b; procctl logs $b
        c=$(procctl start -e PROCCTL_INDEX -- sh -c 'echo \"asked for [$PROCCTL_INDEX]\"'); procctl join $c; procctl logs $c
        d=$(procctl start --count 1 -e PROCCTL_INDEX=x -- sh -c 'echo \"own [$PROCCTL_INDEX]\"'); procctl join $d; procctl logs $d";
    let ids = start(&env, 2, &[], &["bash", "-c", inner]);
    assert_eq!(env.join(&ids[1]), 0);
    let said = env.ok(["logs", &ids[1]]);
    for line in ["run []", "start []", "create []", "asked for [1]", "own [0]"] {
        assert!(said.lines().any(|said| said == line), "{line}: {said}");
    }
    let other = env.procctl(["start", "--", "sh", "-c", "echo [$PROCCTL_INDEX]"]).env("PROCCTL_INDEX", "7");
    let other = other.output().success();
    env.join(&other);
    assert_eq!(env.ok(["logs", &other]), "[]");
    env.join(&ids[0]);
}

#[test]
fn the_command_that_is_not_there_is_told_once_and_leaves_nothing() {
    let env = TestEnv::new();
    let said = env.refused(
        ["start", "--count", "20", "--", "no-such-command"],
        127,
        &["index 0", "no-such-command"],
    );
    assert_eq!(said.lines().count(), 1, "{said}");
    let plain = env.file("plain", "");
    env.refused(["start", "--count", "2", "--", plain.to_str().unwrap()], 126, &["index 0", "plain"]);
    env.refused(["start", "--count", "2", "-C", "/no/such", "--", "true"], 125, &["index 0", "/no/such"]);
    env.refused(["start", "--count", "2", "--", ""], 127, &["empty"]);
    env.refused(["start", "--count", "2", "--stdin", "/no/such", "--", "true"], 125, &["/no/such"]);
    assert_nothing_is_left(&env);
    assert_next_number(&env, 1);
}

/// The default name of the tenth child is too long, and only that: deterministic, and in the middle.
#[test]
fn when_one_in_the_middle_fails_those_before_it_are_ended_and_forgotten() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let script = format!(
        "{}
        procctl start --count 6 -- true > first; echo $?
        procctl start --count 9 -- sh -c 'touch began; sleep 1000 & setsid sleep 1000 & exec sleep 1000' > second 2> error; echo $?
        ls began; cat second error
        procctl start -- true > /dev/null; echo $?
        procctl join",
        gate.wait()
    );
    let id = env.start(&[], &["bash", "-c", &script]);
    // A record that nobody writes to now: its monitor waits.
    edit_record(&env, &id, |record| record["identity"] = json!(vec![1; 123]));
    gate.open();
    env.join(&id);
    let said = env.ok(["logs", &id]);
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..4], ["0", "125", "began", lines[3]], "{said}");
    assert!(lines[3].starts_with("procctl: none of 9 was started: index 3: "), "{said}");
    assert_eq!(lines[4], "hint: name it with -n NAME", "{said}");
    assert_eq!(lines[5..], ["0"], "{said}");
    // The numbers of those that had been started are given again.
    let mut numbers: Vec<u64> =
        env.status().iter().filter(|record| record["id"] != id.as_str()).map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, [1, 2, 3, 4, 5, 6, 7]);
    eventually("no sleep is left", || env.os_processes().is_empty().then_some(()));
    assert_eq!(files_below(&env.run_dir().join("names/live")), [] as [std::path::PathBuf; 0]);
}

/// Starts very many, and stops the launcher in their midst.
fn stopped_in_the_midst(env: &TestEnv) -> Running {
    let launcher = env.procctl(["start", "--count", "1000", "--", "sleep", "1000"]).spawn();
    eventually("some are started", || {
        let names = files_below(&env.run_dir()).len();
        (names > 20).then_some(())
    });
    launcher.signal(Signal::SIGSTOP);
    eventually("it is stopped", || (proc_state(launcher.pid()) == Some('T')).then_some(()));
    launcher
}

#[test]
fn interrupted_it_leaves_none() {
    for signal in [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP] {
        let env = TestEnv::new();
        let launcher = stopped_in_the_midst(&env);
        launcher.signal(signal);
        launcher.signal(Signal::SIGCONT);
        let output = launcher.wait();
        assert_eq!(output.signal(), Some(signal as i32), "{output:?}");
        assert_eq!((output.stdout(), output.stderr()), (String::new(), String::new()));
        assert_nothing_is_left(&env);
        assert_next_number(&env, 1);
    }
}

#[test]
fn a_signal_that_the_caller_ignores_does_not_interrupt_it() {
    let env = TestEnv::new();
    let said = env
        .bash("trap '' HUP INT; procctl start --count 300 -- sleep 1000 & kill -HUP $!; kill -INT $!; wait $!; echo $?")
        .output()
        .success();
    assert_eq!(said.lines().count(), 301, "{said}");
    assert_eq!(said.lines().last(), Some("0"));
}

#[test]
fn killed_it_leaves_whole_processes_and_no_gap() {
    let env = TestEnv::new();
    let launcher = stopped_in_the_midst(&env);
    launcher.signal(Signal::SIGKILL);
    assert_eq!(launcher.wait().signal(), Some(9));
    // Waits for those that are still being started.
    assert_eq!(env.join(&env.start(&["-n", "next"], &["true"])), 0);
    let records = env.status();
    assert!(records.len() > 2 && records.len() < 1000, "{}", records.len());
    let mut numbers: Vec<u64> = records.iter().map(number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=records.len() as u64).collect::<Vec<_>>());
    assert_eq!(number(&env.record("next")), records.len() as u64);
    for record in records.iter().filter(|record| record["name"] != "next") {
        assert_eq!(record["state"], "started");
        env.ok(["is-alive", record["id"].as_str().unwrap()]);
    }
}

/// All of the caller's process group is killed, as by `timeout -k`: also monitors that have not got a session of their own yet.
#[test]
fn what_is_left_of_a_start_that_was_killed_goes_with_a_later_process_that_is_closed() {
    let env = TestEnv::new();
    let ids = start(&env, 3, &[], &["sleep", "1000"]);
    env.ok(["kill", "--wait", &ids[2]]);
    // As if the monitor of the second had been killed before its process had a record, and the launcher before it could count.
    let ledger = fs::read_dir(env.run_dir().join("parents")).unwrap().next().unwrap().unwrap().path();
    env.ok(["kill", "--wait", &ids[1]]);
    fs::remove_file(record_file(&env, &ids[1])).unwrap();
    fs::write(ledger.join("count"), "0").unwrap();
    env.ok(["close", &ids[2]]);
    let symlinks = |name: &str| fs::symlink_metadata(ledger.join(name)).is_ok();
    assert_eq!(["1", "2", "3"].map(symlinks), [true, false, false]);
    assert_next_number(&env, 4);
}

/// It cannot record the end of its process, and is not waited for longer than that takes.
#[test]
fn a_monitor_that_is_stopped_does_not_keep_the_others_from_being_undone() {
    let env = TestEnv::new();
    let script = r#"#!/bin/sh
        if [ "$PROCCTL_INDEX" = 0 ]; then
            until tr '\0' ' ' < "/proc/$PPID/cmdline" | grep -q 'monitor of'; do :; done
            kill -STOP "$PPID"
            rm "$0"
        fi
        exec sleep 1000"#;
    let program = env.file("program", script);
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let output = env.procctl(["start", "--count", "5000", "--", program.to_str().unwrap()]).output();
    output.refused(127, &["none of 5000 was started", "No such file or directory"]);
    // It finds its process forgotten, and leaves.
    for pid in env.os_processes() {
        let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), Signal::SIGCONT);
    }
    assert_nothing_is_left(&env);
    assert_next_number(&env, 1);
}

#[test]
fn many_at_once_from_several_callers_are_numbered_without_a_gap() {
    let env = TestEnv::new();
    let batches: Vec<Vec<String>> = thread::scope(|scope| {
        let callers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| start(&env, 50, &[], &["sh", "-c", "exit $PROCCTL_INDEX"])))
            .collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).collect()
    });
    let mut all = Vec::new();
    for batch in &batches {
        let output = env.procctl(["join"]).args(batch).output();
        output.exits(1).quiet();
        let numbers: Vec<u64> = batch.iter().map(|id| number(&env.record(id))).collect();
        assert_eq!(numbers, (numbers[0]..numbers[0] + 50).collect::<Vec<_>>(), "the numbers of one call");
        all.extend(numbers);
    }
    all.sort_unstable();
    assert_eq!(all, (1..=200).collect::<Vec<_>>());
}

#[test]
fn each_reads_a_file_from_its_beginning_and_all_append_to_one() {
    let env = TestEnv::new();
    let input = env.file("input", "first\nsecond\n");
    let output = env.file("output", "there before\n");
    let (input, output) = (input.to_str().unwrap(), output.to_str().unwrap());
    let ids = start(
        &env,
        10,
        &["--stdin", input, "--stdout", output, "--stderr", "stdout"],
        &["sh", "-c", "read line; echo $PROCCTL_INDEX $line; echo error >&2"],
    );
    env.procctl(["join"]).args(&ids).output().exits(0);
    let said = fs::read_to_string(output).unwrap();
    let mut lines: Vec<&str> = said.lines().filter(|line| *line != "error").collect();
    assert_eq!(lines.remove(0), "there before");
    lines.sort_unstable();
    assert_eq!(lines, (0..10).map(|index| format!("{index} first")).collect::<Vec<_>>());
    assert_eq!(said.lines().filter(|line| *line == "error").count(), 10);
}

#[test]
fn a_descriptor_is_passed_to_each() {
    let env = TestEnv::new();
    let said = env
        .bash("exec 7> passed; procctl join $(procctl start --count 3 --fd 7 -- sh -c 'echo $PROCCTL_INDEX >&7'); sort passed")
        .output()
        .success();
    assert_eq!(said, "0\n1\n2");
}

#[test]
fn all_have_the_authkey_of_a_file_or_that_of_the_family() {
    let env = TestEnv::new();
    let key = env.file("key", "secret");
    let print = ["sh", "-c", "procctl get @self authkey; :"];
    let keys = |ids: &[String]| {
        let keys = ids.iter().map(|id| {
            env.join(id);
            env.ok(["logs", id])
        });
        keys.collect::<BTreeSet<_>>()
    };
    // The first of the family: the key is made for all of them.
    let of_family = keys(&start(&env, 5, &[], &print));
    assert_eq!(of_family.len(), 1, "{of_family:?}");
    let own = keys(&start(&env, 5, &["--authkey-file", key.to_str().unwrap()], &print));
    assert_eq!(own, BTreeSet::from(["736563726574".to_owned()]));
    assert_eq!(keys(&[env.start(&[], &print)]), of_family);
    // Nothing of it stays but what belongs to the processes.
    let ledger = files_below(&env.run_dir().join("parents"));
    assert!(ledger.iter().all(|file| !file.ends_with("authkey.tmp")), "{ledger:?}");
}

#[test]
fn daemonic_ones_end_with_the_parent() {
    let env = TestEnv::new();
    let ids = said_inside(&env, &[], "procctl start --count 4 -d -- sleep 1000");
    assert_eq!(ids.lines().count(), 4);
    for id in ids.lines() {
        assert_eq!(env.join(id), 128 + 15);
        assert_eq!(env.record(id)["ended_by"]["action"], "parent-exit");
    }
}

#[test]
fn a_monitor_has_no_more_memory_than_that_of_one_start_however_many_there_are() {
    let env = TestEnv::new();
    let of_one = env.anonymous_memory_of_monitor(&env.sleeper(&[]));
    let of_many = env.anonymous_memory_of_monitor(start(&env, 300, &[], &["sleep", "1000"]).last().unwrap());
    assert!(of_many <= of_one + 16, "{of_many} KiB, and {of_one} of one start");
}
