//! `set`: the attributes that Python lets one set, when Python lets one.

use serde_json::json;

use crate::harness::TestEnv;
use crate::support::record_file;

#[test]
fn the_name_may_be_set_at_any_time() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "sleep", "1000"]);
    for (name, then) in [("one", "start"), ("two", "kill"), ("three", "join")] {
        assert_eq!(env.ok(["set", &id, &format!("name={name}")]), "");
        assert_eq!(env.get(&id, "name"), name);
        assert_eq!(env.get(name, "id"), id);
        env.procctl([then, &id]).output().quiet();
        if then == "kill" {
            env.procctl(["join", &id]).output().exits(137);
        }
    }
    env.refused(["get", "one", "id"], 125, &["one"]);
    env.refused(["get", "Process-1", "id"], 125, &["Process-1"]);
}

#[test]
fn a_name_need_not_be_unique() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "taken"]);
    let two = env.sleeper(&[]);
    env.ok(["set", &two, "name=taken"]);
    env.refused(["get", "taken", "id"], 125, &[&one, &two]);
    env.ok(["set", &one, "name=free"]);
    assert_eq!(env.get("taken", "id"), two);
}

#[test]
fn a_value_may_have_equals_signs_and_any_letters() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for name in ["a=b=c", "wörker 日本", "..", "a/b", "42", "*", "name"] {
        env.ok(["set", &id, &format!("name={name}")]);
        assert_eq!(env.get(&id, "name"), name);
        assert_eq!(env.get(name, "id"), id);
    }
}

#[test]
fn the_daemon_flag_can_be_set_until_the_start() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "sleep", "1000"]);
    env.ok(["set", &id, "daemon=true"]);
    assert_eq!(env.get(&id, "daemon"), "true");
    env.ok(["set", &id, "daemon=false"]);
    assert_eq!(env.get(&id, "daemon"), "false");
    env.ok(["set", &id, "daemon=true"]);
    env.ok(["start", &id]);
    env.refused(["set", &id, "daemon=false"], 125, &["daemon"]);
    assert_eq!(env.get(&id, "daemon"), "true");
    env.ok(["kill", "--wait", &id]);
    env.refused(["set", &id, "daemon=false"], 125, &["daemon"]);
}

#[test]
fn several_are_set_together_or_not_at_all() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "true"]);
    env.ok(["set", &id, "name=both", "daemon=true"]);
    assert_eq!(env.get("both", "daemon"), "true");
    let before = env.record(&id);
    for bad in ["daemon=maybe", "colour=red", "name=", "authkey-file=no/such/file", "nothing"] {
        env.refused(["set", &id, "name=changed", bad], 125, &[]);
        assert_eq!(env.record(&id), before, "{bad}");
    }
}

#[test]
fn what_procctl_knows_for_itself_can_not_be_set() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "true"]);
    let before = env.record(&id);
    for pair in ["pid=1", "exitcode=0", "state=stopped", "id=x", "authkey=00", "command=rm"] {
        let key = pair.split('=').next().unwrap();
        env.refused(["set", &id, pair], 125, &[key]);
    }
    assert_eq!(env.record(&id), before);
}

#[test]
fn a_new_name_counts_for_unique() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "old"]);
    env.ok(["set", &id, "name=new"]);
    env.refused(["start", "--unique", "-n", "new", "--", "true"], 125, &["new"]);
    let other = env.start(&["--unique", "-n", "old"], &["true"]);
    assert_eq!(env.join(&other), 0);
}

#[test]
fn the_name_of_a_live_unique_process_can_not_be_taken() {
    let env = TestEnv::new();
    let only = env.sleeper(&["-n", "only", "--unique"]);
    let other = env.sleeper(&["-n", "other"]);
    env.refused(["set", &other, "name=only"], 125, &["only"]);
    assert_eq!(env.get(&other, "name"), "other");
    env.ok(["kill", "--wait", &only]);
    env.ok(["set", &other, "name=only"]);
    assert_eq!(env.get(&other, "name"), "only");
}

#[test]
fn a_process_whose_renaming_was_cut_off_is_listed_and_signalled_once() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "one"]);
    // The new name is in the index before the record says it.
    let twin = format!("names/live/000/0000000000000001.0.0000000000000001.{id}");
    std::fs::create_dir_all(env.run_dir().join("names/live/000")).unwrap();
    std::os::unix::fs::symlink("-", env.run_dir().join(twin)).unwrap();
    assert_eq!(env.json(["status", "--alive", "--json"]).as_array().unwrap().len(), 1);
    env.ok(["kill", "--all", "--wait"]);
    let signals = std::fs::read_to_string(record_file(&env, &id).with_file_name("signals")).unwrap();
    assert_eq!(signals.lines().count(), 1, "{signals}");
}

#[test]
fn inside_the_process_its_new_name_is_seen() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start(&["-n", "old"], &["bash", "-c", &format!("{}; procctl get @self name", gate.wait())]);
    env.ok(["set", "old", "name=new"]);
    gate.open();
    assert_eq!(env.join("new"), 0);
    assert_eq!(env.ok(["logs", &id]), "new");
}

#[test]
fn the_end_of_a_renamed_process_is_recorded_under_its_new_name() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "old"]);
    env.ok(["set", &id, "name=new"]);
    env.ok(["terminate", "new", "--wait"]);
    let record = env.record("new");
    assert_eq!(record["name"], json!("new"));
    assert_eq!(record["exitcode"], json!(-15));
}

#[test]
fn bad_requests_are_errors() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    env.refused(["set"], 125, &[]);
    env.refused(["set", &id], 125, &[]);
    env.refused(["set", "nobody", "name=x"], 125, &["nobody"]);
    let twins = [env.sleeper(&["-n", "twin"]), env.sleeper(&["-n", "twin"])];
    env.refused(["set", "twin", "name=x"], 125, &[&twins[0], &twins[1]]);
}
