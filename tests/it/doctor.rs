//! `doctor`: one page on this machine and this run directory, and nothing is changed.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Output, PROCCTL, Shell, TestEnv, installed};
use crate::support::{
    LateReaper, edit_record, kernel_at_least, kill_leftovers, kill_monitor, on_terminal_of, read_record,
    record_file, with_mounts,
};

/// What it found out; it must have exited with 1 if something needs attention, else with 0.
#[track_caller]
fn facts(output: &Output) -> Value {
    output.quiet();
    let facts: Value = serde_json::from_str(&output.stdout()).unwrap();
    let attention = facts["attention"].as_array().unwrap();
    assert_eq!(facts["well"], json!(attention.is_empty()), "{facts}");
    output.exits(i32::from(!attention.is_empty()));
    facts
}

#[track_caller]
fn examine(env: &TestEnv) -> Value {
    facts(&env.procctl(["doctor", "--json"]).output())
}

/// What needs attention, in a word each.
fn attention(facts: &Value) -> Vec<&str> {
    facts["attention"].as_array().unwrap().iter().map(|finding| finding["about"].as_str().unwrap()).collect()
}

#[test]
fn all_is_well_where_nothing_was_ever_started() {
    let env = TestEnv::new();
    let page = env.ok(["doctor"]);
    assert!(page.ends_with("\n\nall is well"), "{page}");
    for word in
        ["pidfd", "/proc", "ulimit -n", &env.run_dir().display().to_string(), "not there yet", "parent"]
    {
        assert!(page.contains(word), "{word}: {page}");
    }
    let facts = examine(&env);
    assert_eq!(facts["run_dir"]["exists"], json!(false));
    assert_eq!(facts["run_dir"]["chosen_by"], json!("PROCCTL_RUN_DIR"));
    assert_eq!(facts["run_dir"]["records"], Value::Null);
    assert!(facts["run_dir"]["file_system"]["free_bytes"].as_u64() > Some(0), "{facts}");
    assert!(!env.run_dir().exists(), "it made the run directory");
}

#[test]
fn it_says_who_chose_the_run_directory() {
    let env = TestEnv::new();
    let chosen = |args: &[&str], variables: &[(&str, PathBuf)]| {
        let call = env.procctl(args).env_remove("PROCCTL_RUN_DIR");
        let call = variables.iter().fold(call, |call, (name, value)| call.env(name, value));
        let facts = facts(&call.output());
        (facts["run_dir"]["chosen_by"].clone(), facts["run_dir"]["path"].clone())
    };
    let path = |name: &str| json!(env.path(name));
    assert_eq!(chosen(&["--run-dir", "here", "doctor", "--json"], &[]), (json!("--run-dir"), path("here")));
    let state = [("XDG_STATE_HOME", env.path("state"))];
    assert_eq!(chosen(&["doctor", "--json"], &state), (json!("XDG_STATE_HOME"), path("state/procctl")));
    assert_eq!(chosen(&["doctor", "--json"], &[]), (json!("HOME"), path("home/.local/state/procctl")));
}

#[test]
fn what_the_kernel_can_do_is_what_its_version_promises() {
    let env = TestEnv::new();
    let kernel = &examine(&env)["kernel"];
    for (ability, since) in [
        ("pidfd", (5, 3)),
        ("pidfd_inode", (6, 9)),
        ("exit_code_from_pidfd", (6, 15)),
        ("exit_code_of_zombie", (5, 17)),
        ("subreaper", (3, 4)),
        ("openat2", (5, 6)),
        ("close_range", (5, 11)),
    ] {
        assert_eq!(kernel[ability], json!(kernel_at_least(since.0, since.1)), "{ability}: {kernel}");
    }
    // A caller that ignores SIGCHLD must not make it see less.
    let ignoring = env.bash("trap '' CHLD; procctl doctor --json");
    assert_eq!(facts(&ignoring.output())["kernel"], *kernel);
}

/// Every file, directory and symlink with what it holds and when it was changed.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (i64, i64, u64, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(path) = open.pop() {
        let is = fs::symlink_metadata(&path).unwrap();
        let content = if is.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
        if is.is_dir() {
            open.extend(fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
        }
        found.insert(path, (is.ctime(), is.ctime_nsec(), is.ino(), content));
    }
    found
}

#[test]
fn it_tells_what_is_odd_and_changes_nothing() {
    let env = TestEnv::new();
    let alive = env.sleeper(&[]);
    let initial = env.ok(["create", "--", "true"]);
    let ended = env.start(&[], &["sh", "-c", "echo something"]);
    let broken = env.start(&[], &["true"]);
    let foreign = env.sleeper(&[]);
    let lost = env.start(&[], &["true"]);
    env.ok(["join", &ended, &broken, &lost]);
    fs::write(record_file(&env, &broken), "{").unwrap();
    edit_record(&env, &lost, |record| {
        record["exitcode"] = Value::Null;
        record["lost"] = json!("nobody saw it");
    });
    kill_monitor(&env, &foreign);
    let foreign_pid = read_record(&env, &foreign)["pid"].clone();
    edit_record(&env, &foreign, |record| {
        record["host"] = json!("elsewhere\u{1b}[31m");
        record["boot_id"] = json!("00000000-0000-0000-0000-000000000000");
    });
    let orphan = env.sleeper(&[]);
    let monitor = env.monitor_pid(&orphan);
    kill_monitor(&env, &orphan);
    // A start that was killed before the exec; and a closing.
    let folder = record_file(&env, &ended).parent().unwrap().parent().unwrap().to_owned();
    let leftover = env.run_dir().join("processes/zz/zzzzzzzz");
    fs::create_dir_all(&leftover).unwrap();
    nix::unistd::mkfifo(&leftover.join("sentinel"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::create_dir(folder.join("gone.yyyyyyyy")).unwrap();

    let before = snapshot(&env.run_dir());
    let found = examine(&env);
    let page = env.procctl(["doctor"]).output();
    page.exits(1).quiet();
    let after = snapshot(&env.run_dir());
    let of_both = before.keys().chain(after.keys());
    let changed: Vec<_> = of_both.filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "it changed {changed:?}");
    assert_eq!(read_record(&env, &orphan)["monitor"]["pid"], json!(monitor));

    let records = &found["run_dir"]["records"];
    assert_eq!(records["alive"], json!(2), "{records}");
    assert_eq!((&records["ended"], &records["initial"]), (&json!(2), &json!(1)), "{records}");
    assert_eq!(records["unmonitored"], json!([orphan]));
    assert_eq!(records["lost"], json!([lost]));
    assert_eq!(records["foreign"][0]["id"], json!(foreign));
    assert_eq!(records["broken"][0]["id"], json!(broken));
    assert_eq!(records["cut_off_starts"], json!(["zzzzzzzz"]));
    assert_eq!(records["cut_off_closings"], json!(["gone.yyyyyyyy"]));
    assert_eq!((&records["unrecorded"], &records["stuck"]), (&json!([]), &json!([])));
    assert!(records["log_bytes"].as_u64() > Some(0), "{records}");
    assert!(records["bytes"].as_u64() > records["log_bytes"].as_u64(), "{records}");
    assert_eq!(attention(&found), ["monitors", "broken"], "{found}");

    let page = page.stdout();
    for word in [&alive, &initial, &ended] {
        assert!(!page.contains(word.as_str()), "nothing is odd about {word}: {page}");
    }
    for word in [&orphan, &lost, &broken, "zzzzzzzz", "gone.yyyyyyyy", "elsewhere\\x1b", "procctl close"] {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert!(page.ends_with("2 things need attention"), "{page}");
    assert!(!page.contains(|c: char| c.is_control() && c != '\n'), "{page}");

    // The remedies that it names.
    env.procctl(["status"]).output().exits(0);
    fs::remove_dir_all(record_file_folder(&env, &broken)).unwrap();
    assert_eq!(attention(&examine(&env)), [""; 0]);
    // It was made a foreigner's, which procctl leaves alone.
    let pid = i32::try_from(foreign_pid.as_i64().unwrap()).unwrap();
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
}

/// The directory of a process.
fn record_file_folder(env: &TestEnv, id: &str) -> PathBuf {
    env.run_dir().join("processes").join(&id[..2]).join(id)
}

#[test]
fn an_end_that_nobody_has_recorded_is_a_note() {
    let mut env = TestEnv::new();
    env.allow_leftovers("whoever reaps on command only is not procctl's");
    let (id, reaper) = LateReaper::start(&env);
    let pid = env.pid(&id);
    kill_monitor(&env, &id);
    let process = crate::support::Held::open(pid);
    process.signal(rustix::process::Signal::KILL);
    process.wait_end();
    let unrecorded = |env: &TestEnv| examine(env)["run_dir"]["records"]["unrecorded"][0]["id"].clone();
    assert_eq!(unrecorded(&env), json!(id));
    reaper.reap();
    process.wait_reaped();
    assert_eq!(unrecorded(&env), json!(id));
    assert_eq!(read_record(&env, &id)["state"], json!("started"));
    env.ok(["status"]);
    assert_eq!(unrecorded(&env), Value::Null);
    drop(reaper);
    kill_leftovers(&env);
}

#[test]
fn a_refused_run_directory_is_said_with_the_rest() {
    let env = TestEnv::new();
    env.ok(["create", "--", "true"]);
    fs::set_permissions(env.run_dir(), fs::Permissions::from_mode(0o755)).unwrap();
    let page = env.procctl(["doctor"]).output();
    page.exits(1).quiet();
    let page = page.stdout();
    for word in ["open to group or others", "hint: chmod 700", "pidfd", "parent", "one thing needs attention"]
    {
        assert!(page.contains(word), "{word}: {page}");
    }
    assert_eq!(attention(&examine(&env)), ["place"]);
    assert_eq!(fs::metadata(env.run_dir()).unwrap().permissions().mode() & 0o777, 0o755);

    let file = env.file("file", "");
    let output = env.procctl(["doctor", "--json", "--run-dir"]).arg(&file).output();
    assert_eq!(attention(&facts(&output)), ["place"]);
    let output = env.procctl(["doctor", "--json"]).env("PROCCTL_KEEP", "a while").output();
    assert_eq!(attention(&facts(&output)), ["place", "ended records"]);
}

#[test]
fn a_read_only_or_full_file_system_is_said() {
    let env = TestEnv::new();
    fs::create_dir(env.path("disk")).unwrap();
    let disk = env.path("disk");
    let disk = disk.display();
    let mount = format!("mount -t tmpfs -o size=64k,mode=700 none {disk}");
    let script = format!("exec procctl doctor --json --run-dir {disk}/run");
    let Some(call) = with_mounts(&env, &mount, &script) else { return };
    let found = facts(&call.output());
    assert_eq!(attention(&found), ["room"]);
    assert_eq!(found["run_dir"]["file_system"]["kind"], json!("tmpfs"));
    let mount = format!("mount -t tmpfs none {disk}; mount -o remount,ro {disk}");
    let found = facts(&with_mounts(&env, &mount, &script).unwrap().output());
    assert_eq!(attention(&found), ["file system"]);
    assert_eq!(found["run_dir"]["file_system"]["read_only"], json!(true));
}

#[test]
fn a_hidden_or_missing_proc_is_said() {
    let env = TestEnv::new();
    let script = "exec procctl doctor --json";
    let Some(call) = with_mounts(&env, "mount -t proc -o hidepid=2 proc /proc", script) else { return };
    let found = facts(&call.output());
    let hidden = found["machine"]["proc"]["hidepid"].as_str().unwrap();
    assert!(["2", "invisible"].contains(&hidden), "{found}");
    let found = facts(&with_mounts(&env, "mount -t tmpfs none /proc", script).unwrap().output());
    assert!(attention(&found).contains(&"/proc"), "{found}");
}

#[test]
fn the_parent_is_the_one_that_start_would_find() {
    for shell in Shell::installed() {
        let env = TestEnv::new();
        let said = env
            .script(
                shell,
                "procctl get \"$(procctl start -- true)\" parent.pid
                 x=$(procctl doctor --json | cat); echo \"$x\"
                 procctl join >/dev/null",
            )
            .output()
            .success();
        let (pid, found) = said.split_once('\n').unwrap();
        let found: Value = serde_json::from_str(found).unwrap();
        let parent = &found["caller"]["parent"];
        assert_eq!(
            (&parent["kind"], &parent["pid"]),
            (&json!("outside"), &json!(pid.parse::<i32>().unwrap()))
        );
    }
}

#[test]
fn a_managed_parent_is_named_and_a_leaked_name_is_not_believed() {
    let env = TestEnv::new();
    let inside = |options: &[&str]| {
        let id = env.start(options, &["sh", "-c", "procctl doctor --json; true"]);
        env.ok(["join", &id]);
        let found: Value = serde_json::from_str(&env.ok(["logs", &id])).unwrap();
        assert_eq!(found["caller"]["parent"]["id"], json!(id), "{found}");
        assert_eq!(found["caller"]["leaked_id"], Value::Null);
        found["caller"]["parent"].clone()
    };
    let parent = inside(&["-n", "some one"]);
    assert_eq!((&parent["kind"], &parent["name"]), (&json!("managed"), &json!("some one")));
    assert_eq!(inside(&["-d"])["daemon"], json!(true));

    let stranger = env.sleeper(&[]);
    let found = facts(&env.procctl(["doctor", "--json"]).env("PROCCTL_ID", &stranger).output());
    assert_eq!(found["caller"]["parent"]["kind"], json!("outside"));
    assert_eq!(found["caller"]["leaked_id"], json!(stranger));

    let with_parent = |value: &str| env.procctl(["doctor", "--json"]).env("PROCCTL_PARENT", value).output();
    let found = facts(&with_parent(&env.get(&stranger, "pid")));
    assert_eq!(found["caller"]["parent"]["id"], json!(stranger));
    for nobody in ["2147483647", "somebody"] {
        let found = facts(&with_parent(nobody));
        assert_eq!(attention(&found), ["parent"], "{found}");
    }
}

#[test]
fn what_is_installed_is_found() {
    let env = TestEnv::new();
    let before = examine(&env);
    let tool = Path::new(env!("CARGO_MANIFEST_DIR")).join("tools/install");
    env.program(tool).args(["--binary", PROCCTL]).output().success();
    let bin = env.path("home/.local/bin");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let after =
        facts(&env.program(bin.join("procctl")).args(["doctor", "--json"]).env("PATH", path).output());
    assert_eq!(after["installed"]["in_path"], json!(bin.join("procctl")));
    assert_eq!(after["installed"]["is_in_path"], json!(true));
    assert_eq!(after["installed"]["man_page"], json!(env.path("home/.local/share/man/man1/procctl.1")));
    for (found, earlier) in after["installed"]["completions"]
        .as_array()
        .unwrap()
        .iter()
        .zip(before["installed"]["completions"].as_array().unwrap())
    {
        let shell = found["shell"].as_str().unwrap();
        assert!(installed(shell) && earlier["shell"] == found["shell"]);
        let path = found["path"].as_str().unwrap();
        assert!(path.starts_with(env.path("home").to_str().unwrap()) || !earlier["path"].is_null(), "{path}");
    }
}

#[test]
fn its_lines_fit_the_terminal() {
    let env = TestEnv::new();
    env.start(&[], &["true"]);
    for columns in [60, 80, 200] {
        let (page, _) = on_terminal_of(&env, columns, &["--color", "never", "doctor"]);
        let run_dir = env.run_dir().to_string_lossy().into_owned();
        for line in page.lines() {
            // A path is not broken.
            let is_short = line.trim_end().chars().count() <= usize::from(columns);
            assert!(is_short || line.contains(&run_dir) || line.contains(PROCCTL), "{columns}: {line}");
        }
        assert!(page.contains("kernel") && page.lines().count() > 20, "{page}");
    }
}
