//! What happens at the same time: no record is lost, doubled or half-read, and every command tells the same truth.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::harness::{TestEnv, is_gone};
use crate::support::{
    Held, Worker, assert_numbered_without_gap, assert_row_is_consistent, files_below, names, record_file,
};

const LONG: Duration = Duration::from_secs(300);

#[test]
fn two_hundred_starts_at_once_get_two_hundred_ids_and_numbers() {
    let env = TestEnv::new();
    let script = "for i in $(seq 200); do procctl start -- true & done; wait";
    let said = env.bash(script).deadline(LONG).output().success();
    let ids: BTreeSet<&str> = said.lines().collect();
    assert_eq!(ids.len(), 200);
    assert_numbered_without_gap(names(&env));
    assert_eq!(env.procctl(["join", "--all"]).deadline(LONG).output().code(), 0);
    for record in env.status() {
        assert_eq!(record["exitcode"], 0, "{record}");
    }
}

#[test]
fn starts_at_once_by_many_parents_do_not_disturb_each_other() {
    let env = TestEnv::new();
    let script = "for i in $(seq 20); do procctl start -- true & done; wait; echo $$";
    let parents: Vec<_> = (0..8).map(|_| env.bash(script).deadline(LONG).spawn()).collect();
    let pids: Vec<String> = parents
        .into_iter()
        .map(|parent| parent.wait().success().lines().last().unwrap().to_owned())
        .collect();
    let records = env.status();
    for pid in pids {
        let pid: i32 = pid.parse().unwrap();
        let children = records.iter().filter(|record| record["parent"]["pid"] == pid);
        let names: Vec<String> = children.map(|record| record["name"].as_str().unwrap().to_owned()).collect();
        assert_eq!(names.len(), 20);
        assert_numbered_without_gap(names);
    }
}

#[test]
fn of_sixteen_unique_starts_at_once_one_wins_every_time() {
    let env = TestEnv::new();
    for round in 0..10 {
        let script = "for i in $(seq 16); do
                ( procctl start --unique -n one -- sleep 1000 2>/dev/null; echo $? ) &
            done; wait";
        let said = env.bash(script).deadline(LONG).output().success();
        let count = |code: &str| said.lines().filter(|line| *line == code).count();
        assert_eq!((count("0"), count("125")), (1, 15), "round {round}: {said}");
        let alive = env.json(["status", "--alive", "--json"]);
        assert_eq!(alive.as_array().unwrap().len(), 1, "round {round}");
        env.ok(["kill", "one", "--wait"]);
    }
    assert_eq!(env.status().len(), 10);
}

#[test]
fn unique_is_free_as_soon_as_the_end_is_told() {
    let env = TestEnv::new();
    let script = r#"
        for i in $(seq 50); do
            id=$(procctl start --unique -n one -- true) || exit
            procctl join "$id" || exit
        done"#;
    env.bash(script).deadline(LONG).output().success();
}

#[test]
fn of_sixteen_starts_of_one_created_process_one_wins() {
    let env = TestEnv::new();
    for round in 0..5 {
        let id = env.ok(["create", "--", "sleep", "1000"]);
        let script =
            format!("for i in $(seq 16); do ( procctl start {id} >/dev/null 2>&1; echo $? ) & done; wait");
        let said = env.bash(&script).deadline(LONG).output().success();
        let count = |code: &str| said.lines().filter(|line| *line == code).count();
        assert_eq!((count("0"), count("125")), (1, 15), "round {round}: {said}");
        env.ok(["is-alive", &id]);
        env.ok(["kill", &id, "--wait"]);
    }
}

#[test]
fn fifty_joins_of_one_process_all_get_its_code() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let script =
        format!("for i in $(seq 50); do ( procctl join {}; echo $? ) & done; echo go; wait", worker.id);
    let joins = env.bash(&script).deadline(LONG).spawn();
    // Some of them come before the end, some at it, some after it.
    worker.exit(42);
    let said = joins.wait().success();
    assert_eq!(said.lines().filter(|line| *line == "42").count(), 50, "{said}");
}

#[test]
fn fifty_blocked_joins_all_come_back() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let mut joins: Vec<_> =
        (0..50).map(|_| env.procctl(["join", &worker.id]).deadline(LONG).spawn()).collect();
    for join in &mut joins {
        join.wait_until_blocked();
    }
    worker.exit(42);
    for join in joins {
        join.wait().exits(42).quiet();
    }
}

#[test]
fn a_join_that_races_the_end_tells_the_code_five_hundred_times() {
    let env = TestEnv::new();
    let script = r#"
        for i in $(seq 500); do
            code=$((i % 120))
            id=$(procctl start -- sh -c "exit $code")
            procctl join "$id"; told=$?
            [ $told = $code ] || echo "$id: join told $told, not $code"
            exitcode=$(procctl get "$id" exitcode)
            [ "$exitcode" = $code ] || echo "$id: get told $exitcode, not $code"
            procctl is-alive "$id" && echo "$id: alive after join"
        done; :"#;
    let said = env.bash(script).deadline(LONG).output().success();
    assert_eq!(said, "");
}

#[test]
fn after_a_join_by_os_process_end_every_command_agrees() {
    let env = TestEnv::new();
    // The end is seen by its pid, not by join: no command may still say `started`.
    for round in 0..100 {
        let worker = Worker::start(&env, &[]);
        let process = Held::open(env.pid(&worker.id));
        worker.exit(1);
        process.wait_end();
        match round % 4 {
            0 => assert_eq!(env.get(&worker.id, "state"), "stopped"),
            1 => assert_eq!(env.json(["status", "--json", &worker.id])[0]["state"], "stopped"),
            2 => {
                env.procctl(["is-alive", &worker.id]).output().exits(1).quiet();
            }
            _ => {
                env.procctl(["join", &worker.id, "--timeout", "0"]).output().exits(1).quiet();
            }
        }
    }
}

#[test]
fn signals_that_race_the_end_are_no_error_and_leave_one_truth() {
    let env = TestEnv::new();
    let script = r#"
        for i in $(seq 200); do
            case $((i % 4)) in
                0) command=terminate died=143 ;;
                1) command=kill died=137 ;;
                2) command="terminate --wait" died=143 ;;
                3) command="terminate --tree" died=143 ;;
            esac
            id=$(procctl start -- sh -c 'exit 3')
            procctl $command "$id" || echo "$id: $command failed with $?"
            procctl join "$id"; told=$?
            exitcode=$(procctl get "$id" exitcode)
            case "$told $exitcode" in
                "3 3"|"$died $((128 - died))") ;;
                *) echo "$id: after $command join told $told, get $exitcode" ;;
            esac
        done; :"#;
    let said = env.bash(script).deadline(LONG).output().success();
    assert_eq!(said, "");
}

#[test]
fn ended_by_is_never_told_of_a_process_that_exited_by_itself_before() {
    let env = TestEnv::new();
    for _ in 0..50 {
        let id = env.start(&[], &["sh", "-c", "exit 3"]);
        assert_eq!(env.join(&id), 3);
        env.ok(["terminate", &id]);
        assert_eq!(env.get(&id, "ended_by"), "");
    }
}

#[test]
fn many_signals_at_once_reach_one_process() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let script = format!("for i in $(seq 16); do ( procctl terminate {id} --wait; echo $? ) & done; wait");
    let said = env.bash(&script).deadline(LONG).output().success();
    assert_eq!(said.lines().filter(|line| *line == "0").count(), 16, "{said}");
    assert_eq!(env.join(&id), 143);
}

#[test]
fn readers_never_see_half_a_record_or_an_error() {
    let env = TestEnv::new();
    // A record's file has the same name in every process's directory.
    let first = env.sleeper(&[]);
    let record_name = record_file(&env, &first).file_name().unwrap().to_owned();
    let done = AtomicBool::new(false);
    let looks = AtomicUsize::new(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let _stop = StopOnDrop(&done);
            let script = r#"
                for i in $(seq 60); do
                    id=$(procctl start -- sh -c "exit $((i % 3))")
                    procctl set "$id" name=renamed
                    procctl start -- sleep 1000 > other
                    procctl kill "$(cat other)" --wait
                    procctl join "$id"
                    procctl close "$id"
                done; :"#;
            assert_eq!(env.bash(script).deadline(LONG).output().success(), "");
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for row in env.status() {
                    assert_row_is_consistent(&row);
                }
                looks.fetch_add(1, Ordering::Relaxed);
            }
        });
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for file in files_below(&env.run_dir()) {
                    if file.file_name() == Some(&record_name)
                        && let Ok(bytes) = fs::read(&file)
                    {
                        let whole: Result<Value, _> = serde_json::from_slice(&bytes);
                        let text = String::from_utf8_lossy(&bytes);
                        assert!(whole.is_ok(), "{}: {text:?}", file.display());
                    }
                }
            }
        });
    });
    assert!(looks.load(Ordering::Relaxed) > 10, "too few looks to mean anything");
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn renaming_and_ending_at_once_lose_neither() {
    let env = TestEnv::new();
    for round in 0..30_u8 {
        let worker = Worker::start(&env, &["-n", "old"]);
        let name = format!("new-{round}");
        let rename = env.procctl(["set", &worker.id, &format!("name={name}")]).spawn();
        worker.exit(round);
        rename.wait().success();
        assert_eq!(env.join(&name), i32::from(round));
        let record = env.record(&worker.id);
        assert_eq!(record["name"], *name, "{record}");
        assert_eq!(record["exitcode"], round, "{record}");
        env.refused(["get", "old", "id"], 125, &["old"]);
    }
}

#[test]
fn closing_what_is_ending_either_refuses_or_forgets_it_whole() {
    let env = TestEnv::new();
    for round in 0..50_u8 {
        let worker = Worker::start(&env, &[]);
        let pid = env.pid(&worker.id);
        worker.exit(round);
        let output = env.procctl(["close", &worker.id]).output();
        if output.status.success() {
            assert!(is_gone(pid), "closed alive");
            env.refused(["get", &worker.id, "state"], 125, &[&worker.id]);
        } else {
            output.refused(125, &[&worker.id]);
            assert_eq!(env.join(&worker.id), i32::from(round));
        }
    }
}

#[test]
fn starting_and_closing_all_at_once_lose_no_live_process() {
    let env = TestEnv::new();
    let script = r"
        ( for i in $(seq 40); do procctl start -- true >/dev/null; procctl start -n keep -- sleep 1000 >/dev/null; done ) &
        ( for i in $(seq 80); do procctl close --all; done ) &
        wait";
    assert_eq!(env.bash(script).deadline(LONG).output().success(), "");
    env.procctl(["join", "--all", "--timeout", "0"]).output();
    let alive = env.json(["status", "--alive", "--json"]);
    assert_eq!(alive.as_array().unwrap().len(), 40);
    for record in alive.as_array().unwrap() {
        assert_eq!(record["name"], "keep");
    }
}

#[test]
fn a_waiting_join_gets_the_code_though_it_is_closed_at_once() {
    let env = TestEnv::new();
    for code in 1..=40 {
        let worker = Worker::start(&env, &[]);
        let mut join = env.procctl(["join", &worker.id]).spawn();
        join.wait_until_blocked();
        worker.exit(code);
        let close = format!("until procctl close {} 2>/dev/null; do :; done", worker.id);
        env.bash(&close).output().success();
        join.wait().exits(code.into()).quiet();
    }
}

#[test]
fn renamings_at_once_leave_one_name() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "name-0"]);
    let script = format!("for i in $(seq 16); do procctl set {id} name=name-$i & done; wait");
    assert_eq!(env.bash(&script).deadline(LONG).output().success(), "");
    let name = env.get(&id, "name");
    for nth in 0..=16 {
        let candidate = format!("name-{nth}");
        let output = env.procctl(["get", &candidate, "id"]).output();
        if candidate == name {
            assert_eq!(output.success(), id);
        } else {
            output.refused(125, &[&candidate]);
        }
    }
}
