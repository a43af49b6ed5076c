//! §7: ended records stay until they are older than `PROCCTL_KEEP`; a monitor on its way out clears them, at most once
//! an hour.

use std::fs::{self, File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};

use crate::harness::{TestEnv, eventually, is_gone};
use crate::support::{Worker, edit_record, files_below, kernel_tells_exit_codes, kill_monitor, read_record};

const DAY: u64 = 24 * 3600;

/// The moment that was so many days ago, as records have it.
fn days_ago(days: u64) -> String {
    let then = jiff::Timestamp::now() - Duration::from_secs(days * DAY);
    format!("{then:.6}")
}

/// Makes every file below a directory as old as that.
fn backdate(dir: &Path, days: u64) {
    let time = SystemTime::now() - Duration::from_secs(days * DAY);
    for path in files_below(dir) {
        if let Ok(file) = File::options().write(true).open(&path) {
            file.set_times(FileTimes::new().set_modified(time).set_accessed(time)).unwrap();
        }
    }
}

/// Starts something that ends at once, and waits until its monitor has gone its way; its id.
fn a_monitor_comes_and_goes(env: &TestEnv, name: &str, keep: Option<&str>) -> String {
    let mut call = env.procctl(["start", "--json", "-n", name, "--", "echo", "kept"]);
    if let Some(keep) = keep {
        call = call.env("PROCCTL_KEEP", keep);
    }
    let record: Value = serde_json::from_str(&call.output().success()).unwrap();
    let id = record["id"].as_str().unwrap();
    let monitor = record["monitor"]["pid"].as_i64().unwrap();
    assert_eq!(env.join(id), 0);
    eventually("the monitor is gone", || is_gone(monitor.try_into().unwrap()).then_some(()));
    id.to_owned()
}

/// A process that ended that many days ago, as far as its record tells. Nothing is cleared for it.
fn ended(env: &TestEnv, name: &str, days: u64) -> String {
    let id = a_monitor_comes_and_goes(env, name, Some("forever"));
    let then = days_ago(days);
    let path = edit_record(env, &id, |record| {
        for field in ["created_at", "started_at", "stopped_at"] {
            record[field] = json!(then);
        }
    });
    backdate(path.parent().unwrap(), days);
    id
}

fn has(env: &TestEnv, id: &str) -> bool {
    env.status().iter().any(|row| row["id"] == *id)
}

#[test]
fn after_seven_days_an_ended_record_is_cleared_and_a_younger_one_is_not() {
    let env = TestEnv::new();
    let old = ended(&env, "old", 8);
    let young = ended(&env, "young", 6);
    a_monitor_comes_and_goes(&env, "passing", None);
    assert!(!has(&env, &old), "kept for too long");
    assert!(has(&env, &young), "cleared too early");
    // With its name and its log.
    env.refused(["get", "old", "id"], 125, &["old"]);
    let left = files_below(&env.run_dir());
    let of_old = left.iter().filter(|path| path.to_string_lossy().contains(&old));
    assert_eq!(of_old.count(), 0, "{left:?}");
    assert_eq!(env.ok(["logs", "young"]), "kept");
}

#[test]
fn a_ledger_that_cannot_be_counted_on_stops_no_clearing() {
    let env = TestEnv::new();
    let old = ended(&env, "old", 8);
    let ledger = env.run_dir().join("parents/abcdefgh");
    fs::create_dir(&ledger).unwrap();
    fs::write(ledger.join("count"), u64::MAX.to_string()).unwrap();
    // What is cleared after the ledgers.
    let folder = env.run_dir().join("names/ended/000");
    fs::create_dir_all(&folder).unwrap();
    let of_nobody = folder.join("0000000000000001.0.0000000000000001.abcdefgh");
    std::os::unix::fs::symlink("-", &of_nobody).unwrap();
    a_monitor_comes_and_goes(&env, "passing", None);
    assert!(!has(&env, &old));
    assert!(of_nobody.symlink_metadata().is_err(), "left in the index");
}

#[test]
fn the_time_can_be_said() {
    for (keep, days, stays) in
        [("1d", 2, false), ("3d", 2, true), ("1h", 1, false), ("30d", 8, true), ("forever", 4000, true)]
    {
        let env = TestEnv::new();
        let id = ended(&env, "old", days);
        a_monitor_comes_and_goes(&env, "passing", Some(keep));
        assert_eq!(has(&env, &id), stays, "{keep} after {days} days");
    }
}

#[test]
fn only_what_has_ended_is_cleared() {
    let env = TestEnv::new();
    let created = env.ok(["create", "--", "true"]);
    let live =
        env.procctl(["start", "--", "sleep", "1000"]).env("PROCCTL_KEEP", "forever").output().success();
    let old = ended(&env, "old", 30);
    backdate(&env.run_dir(), 30);
    edit_record(&env, &created, |record| {
        record["created_at"] = json!(days_ago(30));
    });
    a_monitor_comes_and_goes(&env, "passing", None);
    assert!(!has(&env, &old));
    assert!(has(&env, &created) && has(&env, &live));
    env.ok(["is-alive", &live]);
}

#[test]
fn it_is_done_at_most_once_an_hour() {
    let env = TestEnv::new();
    let first = ended(&env, "first", 8);
    a_monitor_comes_and_goes(&env, "passing", None);
    assert!(!has(&env, &first));
    let second = ended(&env, "second", 8);
    a_monitor_comes_and_goes(&env, "passing", None);
    assert!(has(&env, &second));
}

#[test]
fn a_broken_record_does_not_stop_the_clearing() {
    let env = TestEnv::new();
    let broken = ended(&env, "broken", 8);
    let path = crate::support::record_file(&env, &broken);
    let old = ended(&env, "old", 8);
    fs::write(&path, b"{").unwrap();
    a_monitor_comes_and_goes(&env, "passing", None);
    let output = env.procctl(["status", "--json"]).output();
    assert!(!output.stdout().contains(&old), "{output:?}");
}

#[test]
fn the_own_record_of_the_last_monitor_stays() {
    let env = TestEnv::new();
    a_monitor_comes_and_goes(&env, "passing", None);
    assert_eq!(env.get("passing", "state"), "stopped");
}

#[test]
fn a_monitor_that_another_one_makes_on_its_way_out_keeps_records_as_long() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let old = ended(&env, "old", 10);
    let worker = Worker::start(&env, &[]);
    kill_monitor(&env, &worker.id);
    a_monitor_comes_and_goes(&env, "passing", Some("30d"));
    let monitor = read_record(&env, &worker.id)["monitor"].clone();
    assert_eq!(monitor["adopted"], true, "it looked at the others");
    backdate(&env.run_dir(), 1);
    worker.exit(0);
    let pid = monitor["pid"].as_i64().unwrap().try_into().unwrap();
    eventually("the new monitor is gone", || is_gone(pid).then_some(()));
    assert!(has(&env, &old));
}
