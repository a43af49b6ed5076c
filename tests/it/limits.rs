//! §6.9: no processes, no descriptors. A start that can't be made says so, and nothing of it is left.

use crate::harness::{Call, PROCCTL, TestEnv, eventually, installed, proc_status, skipped};
use crate::support::{OtherUser, assert_numbered_without_gap};

use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// A user who has no process but those of one test: a limit on their number is exact.
struct LonelyUser<'a>(OtherUser<'a>);

impl<'a> LonelyUser<'a> {
    /// None, said aloud, where there can't be one. Root itself is bound by no limit.
    fn new(env: &'a TestEnv) -> Option<Self> {
        if !installed("prlimit") {
            skipped("there is no prlimit");
            return None;
        }
        OtherUser::new(env).map(Self)
    }

    /// `procctl ARG...` as that user, with the limit that `prlimit` is told.
    fn procctl<S: AsRef<OsStr>>(&self, limit: &str, args: impl IntoIterator<Item = S>) -> Call {
        self.0.program("prlimit").args([limit, "--", "procctl"]).args(args)
    }

    /// Waits until the user has so many processes. Zombies count, and who inherits them may be slow to reap.
    fn await_count(&self, count: usize) {
        let uid = self.0.uid.to_string();
        let is_theirs = |pid: i32| proc_status(pid, "Uid").is_some_and(|uids| uids.starts_with(&uid));
        eventually("nobody is left of the last attempt", || {
            let all = fs::read_dir("/proc").unwrap().flatten();
            let pids = all.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            (pids.filter(|&pid| is_theirs(pid)).count() == count).then_some(())
        });
    }

    fn ok(&self, args: &[&str]) -> String {
        self.0.ok(args)
    }
}

/// Processes of the test that are no procctl.
fn commands(env: &TestEnv) -> Vec<String> {
    let comm = |pid: i32| fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("comm"));
    let all = env.os_processes().into_iter();
    all.filter_map(|pid| comm(pid).ok()).collect()
}

#[test]
fn a_start_that_gets_no_process_says_so_and_leaves_nothing() {
    let env = TestEnv::new();
    let Some(user) = LonelyUser::new(&env) else {
        return;
    };
    let first = user.ok(&["start", "--", "sleep", "1000"]);
    let (mut failed, mut started) = (0, 1);
    // The user has two processes, the sleep and its monitor; the launcher is the third, and needs at least two more.
    for limit in 3..=8 {
        let output = user.procctl(&format!("--nproc={limit}"), ["start", "--", "sleep", "1000"]).output();
        let now = usize::from(output.status.success());
        if now == 1 {
            started += 1;
        } else {
            failed += 1;
            output.refused(125, &["cannot make a process", "hint: ", "ulimit -u"]);
        }
        let rows: serde_json::Value = serde_json::from_str(&user.ok(&["status", "--json"])).unwrap();
        let rows = rows.as_array().unwrap();
        assert_eq!(rows.len(), started, "{limit}: {output:?}");
        let sleeps = commands(&env).iter().filter(|comm| *comm == "sleep\n").count();
        assert_eq!(sleeps, 1 + now, "{limit}: {output:?}");
        // So that the next limit finds the same two.
        for row in rows.iter().filter(|row| row["id"] != *first) {
            let id = row["id"].as_str().unwrap();
            let _ = user.procctl("--core=0", ["kill", "--wait", id]).output();
        }
        user.await_count(2);
    }
    assert!(failed >= 2, "no limit was too low");
    assert!(started >= 2, "no limit was high enough");
    let rows: Vec<serde_json::Value> = serde_json::from_str(&user.ok(&["status", "--json"])).unwrap();
    let name = |row: &serde_json::Value| row["name"].as_str().unwrap().to_owned();
    assert_numbered_without_gap(rows.iter().map(name).collect());
    user.ok(&["kill", "--all", "--wait"]);
}

#[test]
fn of_several_that_do_not_get_enough_processes_none_is_left() {
    let env = TestEnv::new();
    let Some(user) = LonelyUser::new(&env) else {
        return;
    };
    let (mut failed, mut started) = (0, 0);
    // The launcher, and two for each of the six.
    for limit in [2, 3, 5, 7, 8, 9, 11, 12, 14] {
        let args = ["start", "--count", "6", "--", "sleep", "1000"];
        let output = user.procctl(&format!("--nproc={limit}"), args).output();
        let rows: serde_json::Value = serde_json::from_str(&user.ok(&["status", "--json"])).unwrap();
        let rows = rows.as_array().unwrap().len();
        if output.status.success() {
            assert_eq!(rows, 6, "{limit}: {output:?}");
            user.ok(&["kill", "--all", "--wait"]);
            user.ok(&["close", "--all"]);
            started += 1;
        } else {
            output.refused(
                125,
                &["none of 6 was started: index ", "cannot make a process", "hint: ", "ulimit -u"],
            );
            assert_eq!(rows, 0, "{limit}: {output:?}");
            failed += 1;
        }
        user.await_count(0);
    }
    assert!(failed >= 5 && started >= 1, "{failed} failed, and {started} did not");
    // Only what was started has used up numbers.
    let id = user.ok(&["start", "--", "sleep", "1000"]);
    assert_eq!(user.ok(&["get", &id, "name"]), format!("Process-{}", started * 6 + 1));
    user.ok(&["kill", "--all", "--wait"]);
}

#[test]
fn a_start_that_gets_no_descriptors_says_so_and_leaves_nothing() {
    if !installed("prlimit") {
        skipped("there is no prlimit");
        return;
    }
    let env = TestEnv::new();
    let mut started = Vec::new();
    let mut failed = 0;
    for limit in 3..=16 {
        let output = env
            .program("prlimit")
            .arg(format!("--nofile={limit}"))
            .args(["--", PROCCTL, "start", "--", "sleep", "1000"])
            .output();
        // A dynamically linked program needs one itself, before it can say anything.
        if output.status.code() == Some(127) && output.stderr().contains("shared libraries") {
            continue;
        }
        if output.status.success() {
            started.push(output.stdout());
        } else {
            failed += 1;
            output.refused(125, &["Too many open files", "hint: ", "ulimit -n"]);
        }
        let rows = env.status();
        assert_eq!(rows.len(), started.len(), "{limit}: {output:?}");
        assert_eq!(
            commands(&env).iter().filter(|comm| *comm == "sleep\n").count(),
            started.len(),
            "{limit}: {output:?}"
        );
    }
    assert!(failed >= 1, "no limit was too low");
    assert!(!started.is_empty(), "no limit was high enough");
    assert_numbered_without_gap(crate::support::names(&env));
}

#[test]
fn a_join_that_gets_no_descriptors_says_so_and_harms_nothing() {
    if !installed("prlimit") {
        skipped("there is no prlimit");
        return;
    }
    let env = TestEnv::new();
    let worker = crate::support::Worker::start(&env, &[]);
    for limit in 4..=10 {
        let output = env
            .program("prlimit")
            .arg(format!("--nofile={limit}"))
            .args(["--", PROCCTL, "join", &worker.id, "--timeout", "0.05"])
            .output();
        assert!(matches!(output.code(), 124 | 125), "{limit}: {output:?}");
    }
    worker.exit(5);
    assert_eq!(env.join(&worker.id), 5);
}

#[test]
fn more_refs_than_descriptors_are_no_matter() {
    if !installed("prlimit") {
        skipped("there is no prlimit");
        return;
    }
    let env = TestEnv::new();
    let limited = || env.program("prlimit").args(["--nofile=64", "--", PROCCTL]);
    let said = env.ok(["start", "--count", "100", "--", "sleep", "1000"]);
    let ids: Vec<&str> = said.lines().collect();
    limited().args(["join", "--timeout", "0.01"]).args(&ids).output().exits(124).quiet();
    let all = limited().arg("close").args(&ids).output();
    all.exits(125);
    assert_eq!(all.stderr().matches("it is alive").count(), ids.len(), "{all:?}");
    limited().args(["kill", "--wait"]).args(&ids).output().exits(0).quiet();
    limited().arg("join").args(&ids).output().exits(137).quiet();
    limited().arg("close").args(&ids).output().exits(0).quiet();
}

#[test]
fn a_full_process_table_does_not_stop_the_waiting() {
    let env = TestEnv::new();
    let Some(user) = LonelyUser::new(&env) else {
        return;
    };
    let id = user.ok(&["start", "--", "sh", "-c", "exit 4"]);
    let alive = user.ok(&["start", "--", "sleep", "1000"]);
    // As many as there are already: none may be forked.
    let nproc = "--nproc=1";
    user.procctl(nproc, ["join", &id]).output().exits(4).quiet();
    user.procctl(nproc, ["is-alive", &alive]).output().exits(0).quiet();
    user.procctl(nproc, ["status"]).output().exits(0).quiet();
    user.procctl(nproc, ["kill", "--wait", &alive]).output().exits(0).quiet();
    user.procctl(nproc, ["join", &alive]).output().exits(137).quiet();
}

#[test]
fn a_start_under_a_small_file_size_limit_is_refused_or_its_end_is_told() {
    if !installed("prlimit") {
        skipped("there is no prlimit");
        return;
    }
    let env = TestEnv::new();
    let (mut started, mut failed) = (0, 0);
    for limit in [0, 1, 512, 1024, 1536, 2048, 4096, 1 << 16] {
        let output = env
            .program("prlimit")
            .arg(format!("--fsize={limit}"))
            .args(["--", PROCCTL, "start", "--", "sh", "-c", "exit 3"])
            .output();
        if output.status.success() {
            started += 1;
            // Its monitor has the same limit, and must be able to write the end all the same.
            assert_eq!(env.join(&output.stdout()), 3, "{limit}");
        } else {
            failed += 1;
            output.refused(125, &[]);
        }
        assert_eq!(env.status().len(), started, "{limit}");
    }
    assert!(failed > 0 && started > 0, "{failed} failed, {started} started");
    assert_numbered_without_gap(crate::support::names(&env));
}
