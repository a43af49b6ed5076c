//! The run directory under the hands of others: deleted, moved, opened to others, and with something else in the place of
//! its parts. The promise is kept or there is a clear error; nothing hangs, and nothing is written through what was planted.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use crate::harness::{Output, PROCCTL, TestEnv, eventually, installed, is_gone, is_root, skipped};
use crate::support::{Held, Worker, kernel_tells_exit_codes};

fn entry(env: &TestEnv, id: &str) -> PathBuf {
    env.run_dir().join("processes").join(&id[..2]).join(id)
}

/// A process whose end nobody can record any more, and its monitor.
fn worker_and_monitor(env: &TestEnv) -> (Worker, Held, Held) {
    let worker = Worker::start(env, &[]);
    let (process, monitor) = (env.pid(&worker.id), env.monitor_pid(&worker.id));
    (worker, Held::open(process), Held::open(monitor))
}

#[test]
fn a_deleted_run_directory_ends_no_process_and_keeps_no_monitor() {
    let env = TestEnv::new();
    let (worker, process, monitor) = worker_and_monitor(&env);
    fs::remove_dir_all(env.run_dir()).unwrap();
    assert!(process.is_alive() && monitor.is_alive());
    assert_eq!(env.ok(["status", "--json"]), "[]");
    env.refused(["get", &worker.id], 125, &[env.run_dir().to_str().unwrap()]);
    // Made again by a later start, it is another one: what ends in the old one is not seen in the new one.
    let new = env.sleeper(&[]);
    let seen = env.status();
    assert_eq!(seen.len(), 1);
    env.refused(["join", &worker.id], 125, &[&worker.id]);
    worker.exit(7);
    process.wait_reaped();
    monitor.wait_end();
    assert_eq!(env.status(), seen);
    env.ok(["kill", "--wait", &new]);
}

type Delete = fn(&TestEnv, &str);

#[test]
fn who_joins_while_the_directory_is_deleted_learns_the_code() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let own: Delete = |env, id| fs::remove_dir_all(entry(env, id)).unwrap();
    let all: Delete = |env, _| fs::remove_dir_all(env.run_dir()).unwrap();
    for delete in [own, all] {
        let env = TestEnv::new();
        let (worker, process, monitor) = worker_and_monitor(&env);
        let mut join = env.procctl(["join", &worker.id]).spawn();
        join.wait_until_blocked();
        delete(&env, &worker.id);
        worker.exit(7);
        join.wait().exits(7);
        process.wait_reaped();
        monitor.wait_end();
    }
}

#[test]
fn the_deleted_directory_of_a_process_takes_no_other_along() {
    let env = TestEnv::new();
    let (worker, process, monitor) = worker_and_monitor(&env);
    let other = env.sleeper(&["-n", "other"]);
    fs::remove_dir_all(entry(&env, &worker.id)).unwrap();
    env.refused(["join", &worker.id], 125, &[&worker.id]);
    env.refused(["terminate", &worker.id], 125, &[&worker.id]);
    assert_eq!(env.status().len(), 1);
    worker.exit(7);
    process.wait_reaped();
    monitor.wait_end();
    assert!(!entry(&env, &worker.id).exists(), "its monitor made the directory again");
    env.ok(["is-alive", &other]);
    env.ok(["kill", "--all", "--wait"]);
    env.ok(["close", "--all"]);
    let next = env.sleeper(&[]);
    // The number was used up.
    assert_eq!(env.get(&next, "name"), "Process-3");
}

#[test]
fn a_moved_run_directory_is_the_same_one_under_its_new_path() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &["-n", "w"]);
    let moved = env.path("moved");
    let there = |args: &[&str]| env.procctl(args).env("PROCCTL_RUN_DIR", &moved).output();
    fs::rename(env.run_dir(), &moved).unwrap();
    assert_eq!(env.ok(["status", "--json"]), "[]");
    there(&["is-alive", "w"]).success();
    assert_eq!(
        there(&["get", "w", "monitor.pid"]).success(),
        there(&["get", &worker.id, "monitor.pid"]).success()
    );
    let second = Worker::start_in(&env, &moved, &[]);
    worker.exit(7);
    there(&["join", "w"]).exits(7).quiet();
    assert_eq!(there(&["get", "w", "exitcode"]).success(), "7");
    // Back again.
    fs::rename(&moved, env.run_dir()).unwrap();
    assert_eq!(env.join("w"), 7);
    env.ok(["is-alive", &second.id]);
    second.exit(8);
    assert_eq!(env.join(&second.id), 8);
    assert_eq!(env.status().len(), 2);
}

#[test]
fn a_mode_that_others_may_use_is_refused_and_loses_no_end() {
    let env = TestEnv::new();
    let (worker, process, monitor) = worker_and_monitor(&env);
    let mode = |mode| fs::set_permissions(env.run_dir(), fs::Permissions::from_mode(mode)).unwrap();
    for open in [0o777, 0o000, 0o500] {
        mode(open);
        for args in [&["join", &worker.id][..], &["start", "--", "true"]] {
            let output = env.procctl(args.iter().copied()).deadline(Duration::from_secs(5));
            // Modes do not keep root out; others may use it, or nobody.
            if open == 0o777 || !is_root() {
                output.output().refused(125, &[env.run_dir().to_str().unwrap()]);
            }
            if open == 0o500 {
                break;
            }
        }
    }
    worker.exit(7);
    process.wait_end();
    mode(0o700);
    assert_eq!(env.join(&worker.id), 7);
    monitor.wait_end();
}

/// What can be put in the place of a part of the run directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Planted {
    LinkToFile,
    LinkToDirectory,
    DanglingLink,
    Fifo,
    Directory,
    File,
    Device,
}

impl Planted {
    const AS_FILE: [Self; 5] =
        [Self::LinkToFile, Self::DanglingLink, Self::Fifo, Self::Directory, Self::Device];
    const AS_FOLDER: [Self; 4] = [Self::LinkToDirectory, Self::DanglingLink, Self::Fifo, Self::File];

    /// Puts it there. What it leads to is below `outside`.
    fn plant(self, at: &Path, outside: &Path) {
        if fs::symlink_metadata(at).is_ok_and(|m| m.is_dir()) {
            fs::remove_dir_all(at).unwrap();
        } else {
            let _ = fs::remove_file(at);
        }
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        match self {
            Self::LinkToFile => symlink(outside.join("file"), at).unwrap(),
            Self::LinkToDirectory => symlink(outside.join("directory"), at).unwrap(),
            Self::DanglingLink => symlink(outside.join("nothing"), at).unwrap(),
            Self::Fifo => mkfifo(at, Mode::S_IRWXU).unwrap(),
            Self::Directory => fs::create_dir(at).unwrap(),
            Self::File => fs::write(at, "planted").unwrap(),
            // /dev/full: who writes to it is told.
            Self::Device => mknod(at, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 7)).unwrap(),
        }
    }
}

/// Everything below a directory, and what is in the files.
fn contents(dir: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            found.extend(contents(&path));
        }
        let bytes = fs::read(&path).unwrap_or_default();
        found.push((path, bytes));
    }
    found.sort();
    found
}

fn make_outside(env: &TestEnv) -> PathBuf {
    let outside = env.path("outside");
    fs::create_dir_all(outside.join("directory")).unwrap();
    fs::write(outside.join("file"), "precious").unwrap();
    outside
}

/// It did what it was told, or said one clear error.
#[track_caller]
fn is_clear(what: &str, output: &Output) {
    let code = output.code();
    let said = output.stderr();
    // Both is possible: `status` shows what it can.
    let errors = said.lines().filter(|line| line.starts_with("procctl: ")).count();
    let is_fine = said.is_empty() && matches!(code, 0 | 1 | 3 | 137 | 143);
    assert!(is_fine || (errors > 0 && matches!(code, 125..=127)) || errors == 1, "{what}: {output:?}");
}

/// Plants each in the place of a part, then lets every command loose.
fn nothing_is_led_astray(planted: &[Planted], part: impl Fn(&TestEnv, [&str; 3]) -> PathBuf) {
    for &planted in planted {
        if planted == Planted::Device && !is_root() {
            continue;
        }
        let mut env = TestEnv::new();
        let outside = make_outside(&env);
        let before = contents(&outside);
        let ended = env.start(&["-n", "ended"], &["sh", "-c", "exit 3"]);
        assert_eq!(env.join(&ended), 3);
        let initial = env.ok(["create", "-n", "initial", "--", "true"]);
        let alive = env.start(&["-n", "alive"], &["sleep", "1000"]);
        let (process, monitor) = (Held::open(env.pid(&alive)), env.monitor_pid(&alive));
        let at = part(&env, [&ended, &initial, &alive]);
        let what = format!("{planted:?} as {}", at.strip_prefix(env.run_dir()).unwrap().display());
        planted.plant(&at, &outside);
        for args in [
            &["status"][..],
            &["start", "--unique", "-n", "unique", "--", "true"],
            &["run", "--", "true"],
            &["start", &initial],
            &["set", &alive, "name=renamed"],
            &["logs", &alive],
            &["kill", &alive],
            &["join", &alive, "--timeout", "0.2"],
            &["logs", &ended],
            &["join", &ended, "--timeout", "0.2"],
            &["close", "--all"],
        ] {
            let output = env.procctl(args.iter().copied()).deadline(Duration::from_secs(10)).output();
            if output.status.code() != Some(124) {
                is_clear(&what, &output);
            }
            assert_eq!(contents(&outside), before, "{what}: written outside by {args:?}");
        }
        // Whoever can't find it any more can't kill it.
        process.signal(rustix::process::Signal::KILL);
        process.wait_end();
        // With the directory of its process gone the monitor goes, too; else it may wait for room.
        eventually(&format!("{what}: the monitor is gone"), || {
            // Somebody may be about to write into it.
            let _ = fs::remove_dir_all(env.run_dir());
            is_gone(monitor).then_some(())
        });
        assert_eq!(contents(&outside), before, "{what}: written outside");
        env.allow_leftovers("what was started with a planted part may not be found again");
    }
}

fn ledger(env: &TestEnv) -> PathBuf {
    let mut ledgers = fs::read_dir(env.run_dir().join("parents")).unwrap().flatten();
    ledgers.next().unwrap().path()
}

#[test]
fn what_is_planted_as_a_folder_leads_nobody_astray() {
    for folder in ["processes", "names", "parents", "names/live"] {
        nothing_is_led_astray(&Planted::AS_FOLDER, |env, _| env.run_dir().join(folder));
    }
    nothing_is_led_astray(&Planted::AS_FOLDER, |env, [.., alive]| {
        entry(env, alive).parent().unwrap().to_owned()
    });
    nothing_is_led_astray(&Planted::AS_FOLDER, |env, [.., alive]| entry(env, alive));
    nothing_is_led_astray(&Planted::AS_FOLDER, |env, [ended, ..]| entry(env, ended));
    nothing_is_led_astray(&Planted::AS_FOLDER, |env, _| ledger(env));
}

#[test]
fn what_is_planted_as_a_file_of_a_live_process_leads_nobody_astray() {
    for file in ["record.json", "record.tmp", "sentinel", "sentinel.tmp", "output.log", "signals", "hold"] {
        nothing_is_led_astray(&Planted::AS_FILE, |env, [.., alive]| entry(env, alive).join(file));
    }
}

#[test]
fn what_is_planted_as_another_file_leads_nobody_astray() {
    for file in ["record.json", "sentinel", "output.log"] {
        nothing_is_led_astray(&Planted::AS_FILE, |env, [ended, ..]| entry(env, ended).join(file));
    }
    for file in ["record.starting", "environment", "output.log"] {
        nothing_is_led_astray(&Planted::AS_FILE, |env, [_, initial, _]| entry(env, initial).join(file));
    }
    for file in ["count", "authkey", "5"] {
        nothing_is_led_astray(&Planted::AS_FILE, |env, _| ledger(env).join(file));
    }
    nothing_is_led_astray(&Planted::AS_FILE, |env, _| env.run_dir().join("cleared"));
}

#[test]
fn a_folder_that_is_swapped_while_commands_run_leads_nobody_astray() {
    let mut env = TestEnv::new();
    env.allow_leftovers("a process whose record was swapped away may not be found again");
    let outside = make_outside(&env);
    env.ok(["create", "--", "true"]);
    for folder in ["processes", "names", "parents"] {
        let (at, aside) = (env.run_dir().join(folder), env.path("aside"));
        let link = env.path("link");
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    fs::rename(&at, &aside).unwrap();
                    let _ = fs::remove_file(&link);
                    symlink(outside.join("directory"), &link).unwrap();
                    // Somebody may have made the folder in the moment without one.
                    let _ = fs::rename(&link, &at);
                    thread::sleep(Duration::from_micros(200));
                    while fs::rename(&aside, &at).is_err() {
                        let _ = fs::remove_file(&at).or_else(|_| fs::remove_dir_all(&at));
                    }
                    thread::sleep(Duration::from_micros(200));
                }
            });
            for _ in 0..40 {
                for args in [&["start", "--", "true"][..], &["create", "--", "true"], &["close", "--all"]] {
                    let output = env.procctl(args.iter().copied()).output();
                    assert!(matches!(output.code(), 0 | 125), "{output:?}");
                }
            }
            stop.store(true, Ordering::Relaxed);
        });
        assert_eq!(contents(&outside.join("directory")), [], "{folder}: written outside");
    }
}

#[test]
fn an_overlay_is_as_good_as_any_file_system() {
    if !is_root() || !installed("unshare") {
        return skipped("it takes root and unshare to mount a file system");
    }
    let env = TestEnv::new();
    let script = format!(
        "mount -t tmpfs none /mnt || exit 99
         mkdir -p /mnt/lower /mnt/upper /mnt/work /mnt/all
         export PROCCTL_RUN_DIR=/mnt/lower/run
         {PROCCTL} create -n below -e A=1 -- sh -c 'exit 5' >/dev/null
         mount -t overlay -o lowerdir=/mnt/lower,upperdir=/mnt/upper,workdir=/mnt/work none /mnt/all || exit 99
         export PROCCTL_RUN_DIR=/mnt/all/run
         {PROCCTL} start below >/dev/null; {PROCCTL} join below; echo $?
         {PROCCTL} start -n w -- sleep 1000 >/dev/null; {PROCCTL} is-alive w; echo $?
         {PROCCTL} terminate --wait w; {PROCCTL} get w exitcode
         {PROCCTL} set w name=x; {PROCCTL} close --all; {PROCCTL} status --json"
    );
    let output = env.program("unshare").args(["--mount", "bash", "-c", &script]).output();
    if output.status.code() == Some(99) {
        return skipped("no overlay can be mounted here");
    }
    assert_eq!(output.success(), "5\n0\n-15\n[]");
}
