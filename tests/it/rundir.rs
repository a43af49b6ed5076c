//! §7: where the run directory is, and which ones are refused.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::Path;

use crate::harness::{TestEnv, installed, is_root, skipped};

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Every entry below `dir` with its kind and mode must be private. A monitor that is about to leave may be replacing one.
fn assert_private(dir: &Path) {
    assert_eq!(mode(dir), 0o700, "{}", dir.display());
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let Ok(metadata) = fs::symlink_metadata(entry.path()) else { continue };
        if metadata.is_dir() {
            assert_private(&entry.path());
        } else if !metadata.is_symlink() {
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o600, "{}", entry.path().display());
        }
    }
}

/// Every command must refuse the run directory `dir`, say why in these words, and leave it as it is.
fn assert_refused(env: &TestEnv, dir: &Path, words: &[&str]) {
    let listing = || {
        let entries = fs::read_dir(dir).map(|entries| {
            let mut names: Vec<_> = entries.flatten().map(|entry| entry.file_name()).collect();
            names.sort();
            names
        });
        (entries.ok(), mode(dir))
    };
    let before = listing();
    let mut said = vec![dir.to_str().unwrap()];
    said.extend(words);
    for args in [
        &["start", "--", "touch", "made"][..],
        &["create", "--", "true"],
        &["run", "--", "touch", "made"],
        &["status"],
        &["get", "x"],
        &["join", "x"],
        &["kill", "--all"],
        &["close", "--all"],
    ] {
        env.procctl(args).env("PROCCTL_RUN_DIR", dir).output().refused(125, &said);
    }
    assert!(!env.path("made").exists());
    assert_eq!(listing(), before);
}

#[test]
fn everything_in_it_is_private_whatever_the_umask() {
    for umask in ["000", "022", "077"] {
        let env = TestEnv::new();
        env.bash(&format!(
            "umask {umask}
             procctl create -e A=1 -- true; procctl start -n w -- sleep 1000
             procctl start -- true; procctl join $(procctl start -- true)
             procctl start -- procctl get @self authkey"
        ))
        .output()
        .success();
        assert_private(&env.run_dir());
    }
}

#[test]
fn the_option_comes_before_the_variable() {
    let env = TestEnv::new();
    let there = env.path("there");
    let id = env.ok(["--run-dir", there.to_str().unwrap(), "create", "--", "true"]);
    assert!(there.is_dir());
    assert!(!env.run_dir().exists());
    env.refused(["get", &id], 125, &[]);
    env.ok(["get", &id, "--run-dir", there.to_str().unwrap()]);
}

#[test]
fn without_either_it_is_in_the_state_home() {
    let env = TestEnv::new();
    let call = |xdg: Option<&Path>| {
        let call = env.procctl(["create", "--", "true"]).env_remove("PROCCTL_RUN_DIR");
        let call = match xdg {
            Some(dir) => call.env("XDG_STATE_HOME", dir),
            None => call,
        };
        call.output().success();
    };
    call(Some(&env.path("state")));
    assert_private(&env.path("state/procctl"));
    call(None);
    assert_private(&env.path("home/.local/state/procctl"));
}

#[test]
fn without_a_home_it_is_in_tmp() {
    if !is_root() || !installed("unshare") {
        return skipped("it takes root and unshare to have a /tmp of one's own");
    }
    let env = TestEnv::new();
    // The program itself may be below /tmp: it is copied to where it stays visible.
    let output = env
        .program("unshare")
        .args(["--mount", "bash", "-ec"])
        .arg(
            "mount -t tmpfs none /mnt; cp $(command -v procctl) /mnt/procctl
             mount -t tmpfs -o mode=1777 none /tmp; cd /
             unset HOME PROCCTL_RUN_DIR
             /mnt/procctl run -- true
             stat -c '%a %u' /tmp/procctl-0",
        )
        .output();
    assert_eq!(output.success(), "700 0");
}

#[test]
fn a_relative_one_is_the_same_for_the_process_elsewhere() {
    let env = TestEnv::new();
    let id = env.ok(["--run-dir", "rel", "start", "-C", "/", "--", "procctl", "get", "@self", "id"]);
    env.ok(["--run-dir", "rel", "join", &id]);
    assert_eq!(env.ok(["--run-dir", "rel", "logs", &id]), id);
    env.procctl(["--run-dir", "../rel", "get", &id, "id"]).cwd(env.path("home")).output().success();
}

#[test]
fn a_file_is_refused() {
    let env = TestEnv::new();
    let file = env.file("file", "");
    assert_refused(&env, &file, &["directory"]);
    set_mode(&file, 0o600);
    assert_refused(&env, &file, &["directory"]);
}

#[test]
fn one_that_is_open_to_group_or_others_is_refused() {
    let env = TestEnv::new();
    let dir = env.path("open");
    fs::create_dir(&dir).unwrap();
    for open in [0o755, 0o750, 0o770, 0o777, 0o701, 0o710, 0o704, 0o1777] {
        set_mode(&dir, open);
        assert_refused(&env, &dir, &[]);
    }
    set_mode(&dir, 0o700);
    env.procctl(["create", "--", "true"]).env("PROCCTL_RUN_DIR", &dir).output().success();
}

#[test]
fn one_that_becomes_open_is_refused_from_then_on() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    set_mode(&env.run_dir(), 0o755);
    env.refused(["kill", &id], 125, &[env.run_dir().to_str().unwrap()]);
    set_mode(&env.run_dir(), 0o700);
    assert_eq!(env.get(&id, "state"), "started");
}

#[test]
fn a_symlink_in_a_world_writable_place_is_refused() {
    let env = TestEnv::new();
    let place = env.path("place");
    fs::create_dir(&place).unwrap();
    let target = env.path("target");
    fs::create_dir(&target).unwrap();
    set_mode(&target, 0o700);
    let link = place.join("link");
    symlink(&target, &link).unwrap();
    for open in [0o1777, 0o777] {
        set_mode(&place, open);
        for args in [&["start", "--", "touch", "made"][..], &["status"], &["kill", "--all"]] {
            env.procctl(args)
                .env("PROCCTL_RUN_DIR", &link)
                .output()
                .refused(125, &[link.to_str().unwrap(), "symlink"]);
        }
    }
    assert!(fs::read_dir(&target).unwrap().next().is_none());
    assert!(!env.path("made").exists());
    // Elsewhere it is the user's own doing.
    set_mode(&place, 0o755);
    env.procctl(["create", "--", "true"]).env("PROCCTL_RUN_DIR", &link).output().success();
}

#[test]
fn one_of_another_user_is_refused_by_root_too() {
    if !is_root() {
        return skipped("it takes root to give a directory to another user");
    }
    let env = TestEnv::new();
    let dir = env.path("foreign");
    fs::create_dir(&dir).unwrap();
    set_mode(&dir, 0o700);
    chown(&dir, Some(65534), None).unwrap();
    assert_refused(&env, &dir, &[]);
}

#[test]
fn one_of_root_is_refused_by_others() {
    if !is_root() || !installed("setpriv") {
        return skipped("it takes root and setpriv to become another user");
    }
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    set_mode(env.root(), 0o755);
    // The program may be where others can't come: it is put where they can.
    let copy = env.path("procctl");
    fs::copy(crate::harness::PROCCTL, &copy).unwrap();
    set_mode(&copy, 0o755);
    for args in [&["status"][..], &["kill", &id], &["start", "--", "true"]] {
        let output = env
            .program("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(&copy)
            .args(args)
            .output();
        output.refused(125, &[env.run_dir().to_str().unwrap()]);
    }
    assert_eq!(env.get(&id, "state"), "started");
}

#[test]
fn one_that_can_not_be_made_is_an_error_with_its_path() {
    let env = TestEnv::new();
    let file = env.file("file", "");
    let below = file.join("run");
    env.procctl(["start", "--", "true"])
        .env("PROCCTL_RUN_DIR", &below)
        .output()
        .refused(125, &[below.to_str().unwrap()]);
    env.procctl(["start", "--", "true"])
        .env("PROCCTL_RUN_DIR", "/proc/none/run")
        .output()
        .refused(125, &["/proc/none"]);
}

#[test]
fn a_full_one_is_an_error_and_leaves_no_process() {
    if !is_root() || !installed("unshare") {
        return skipped("it takes root and unshare to have a small file system");
    }
    let env = TestEnv::new();
    let output = env
        .program("unshare")
        .args(["--mount", "bash", "-c"])
        .arg(
            "mkdir -m 700 small; mount -t tmpfs -o mode=0700,size=256k none small
             export PROCCTL_RUN_DIR=$PWD/small
             procctl start -n before -- sh -c 'exit 3'; procctl join before
             head -c 1M /dev/zero > small/filler 2>/dev/null
             procctl start -n full -- touch made; echo $?
             test -e made && echo made
             procctl get before exitcode
             procctl get full id; echo $?
             rm small/filler; procctl run -- true; echo $?",
        )
        .output();
    output.exits(0);
    let said = output.stdout();
    let (_, said) = said.split_once('\n').unwrap();
    assert_eq!(said, "125\n3\n125\n0", "{output:?}");
    let stderr = output.stderr();
    assert_eq!(stderr.lines().filter(|line| line.starts_with("procctl: ")).count(), 2, "{stderr}");
    let first = stderr.lines().next().unwrap();
    assert!(first.contains("small") && first.to_lowercase().contains("no space"), "{stderr}");
}

#[test]
fn a_read_only_one_is_an_error_for_those_who_write() {
    let env = TestEnv::new();
    let id = env.start(&["-n", "w"], &["sh", "-c", "exit 3"]);
    assert_eq!(env.join(&id), 3);
    let script = "procctl start -- touch made; echo $?; procctl close w; echo $?
                  procctl set w name=x; echo $?; procctl get w exitcode; procctl join w; echo $?
                  procctl status --json | grep -c '\"w\"'";
    let Some(call) = env.bash_read_only(script) else {
        return skipped("it takes unshare to keep root from writing");
    };
    let output = call.output();
    output.exits(0);
    assert_eq!(output.stdout(), "125\n125\n125\n3\n3\n1", "{output:?}");
    assert!(!env.path("made").exists());
    assert_eq!(env.get("w", "exitcode"), "3");
}

#[test]
fn processes_of_two_run_directories_do_not_know_each_other() {
    let env = TestEnv::new();
    let here = env.sleeper(&["-n", "w"]);
    let there = |args: &[&str]| env.procctl(args).env("PROCCTL_RUN_DIR", env.path("there")).output();
    there(&["create", "--", "true"]).success();
    there(&["kill", "w"]).refused(125, &["w"]);
    there(&["kill", "--all"]).success();
    let pid = env.get(&here, "pid");
    there(&["kill", &pid]).refused(125, &[&pid]);
    assert_eq!(env.get(&here, "state"), "started");
}
