//! §6.9: a full disk and one that can't be written. An error that names the path, nothing half-started, earlier records
//! intact; and an end that can't be written is not forgotten.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Call, Output, PROCCTL, Running, TestEnv, eventually, installed, is_root, skipped};
use crate::support::{Held, assert_numbered_without_gap};

/// A small disk in a mount namespace of its own, with the run directory on it. It is gone with its last process.
struct Disk<'a> {
    env: &'a TestEnv,
    holder: Running,
}

impl<'a> Disk<'a> {
    /// None, said aloud, where no disk can be mounted.
    fn mount(env: &'a TestEnv, options: &str) -> Option<Self> {
        let permitted = is_root()
            && installed("unshare")
            && installed("nsenter")
            && env.program("unshare").args(["-m", "true"]).output().status.success();
        if !permitted {
            skipped("no disk can be mounted here");
            return None;
        }
        let point = env.path("disk");
        fs::create_dir_all(&point).unwrap();
        let outside = fs::metadata(&point).unwrap().dev();
        let script = r#"mount -t tmpfs -o "$0" procctl-test "$1" && exec sleep 1000"#;
        let holder = env.program("unshare").args(["-m", "sh", "-c", script, options]).arg(&point).spawn();
        let disk = Self { env, holder };
        eventually("the disk is mounted", || {
            let inside = fs::metadata(disk.path("")).ok()?.dev();
            (inside != outside).then_some(())
        });
        Some(disk)
    }

    /// A path on the disk, as seen from outside of the mount namespace.
    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        let inside = self.env.path("disk").join(name);
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.pid()));
        root.join(inside.strip_prefix("/").unwrap())
    }

    fn run_dir(&self) -> PathBuf {
        self.env.path("disk/run")
    }

    /// A program that sees the disk.
    fn program(&self, program: &str) -> Call {
        self.env
            .program("nsenter")
            .args(["-m", "-t", &self.holder.pid().to_string(), "--", program])
            .env("PROCCTL_RUN_DIR", self.run_dir())
    }

    fn procctl<'b>(&self, args: impl IntoIterator<Item = &'b str>) -> Call {
        self.program(PROCCTL).args(args)
    }

    fn ok(&self, args: &[&str]) -> String {
        self.procctl(args.iter().copied()).output().success()
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        self.program("mount").args(["-o", &options]).arg(self.env.path("disk")).output().success();
    }

    /// Fills it to the last byte.
    fn fill(&self) {
        let mut file = File::create(self.path("filling")).unwrap();
        for block in [1 << 16, 1 << 12, 1 << 8, 1] {
            while file.write_all(&vec![0; block]).is_ok() {}
        }
    }

    fn make_room(&self) {
        fs::remove_file(self.path("filling")).unwrap();
    }

    fn status(&self) -> Vec<Value> {
        serde_json::from_str(&self.ok(&["status", "--json"])).unwrap()
    }

    /// Checks how many there are. The kernel names a process after its program an instant after `start` may return.
    fn has_cats(&self, wanted: usize) {
        eventually(&format!("{wanted} processes run cat"), || (self.cats() == wanted).then_some(()));
    }

    /// How many processes have become a `cat`: the tests start no other.
    fn cats(&self) -> usize {
        let comm = |pid| fs::read_to_string(format!("/proc/{pid}/comm"));
        let all = self.env.os_processes().into_iter();
        all.filter(|&pid| comm(pid).is_ok_and(|comm| comm == "cat\n")).count()
    }

    /// A FIFO beside the disk, and a script that ends with the code read from it.
    fn worker(&self, options: &[&str]) -> (String, File) {
        let path = self.env.path("code");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let pipe = File::options().read(true).write(true).open(&path).unwrap();
        let mut args = vec!["start"];
        args.extend(options);
        let script = r#"read -r code < "$0"; exit "$code""#;
        args.extend(["--", "sh", "-c", script, path.to_str().unwrap()]);
        (self.ok(&args), pipe)
    }

    /// Ends what runs on it: from outside of the namespace procctl can't see the records.
    fn end(self) {
        self.procctl(["kill", "--all", "--wait"]).output();
    }
}

/// A `cat` that reads a FIFO nobody writes to.
fn blocked_cat(env: &TestEnv) -> String {
    let path = env.path("never");
    if !path.exists() {
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
    }
    path.to_str().unwrap().to_owned()
}

/// A join may come before or after the end that cannot be written; if after, it says what it waits for.
#[track_caller]
fn says_at_most_that_there_is_no_room(joined: &Output) {
    let said = joined.stderr();
    assert!(said.is_empty() || said.contains("not recorded yet") && said.contains("is there room"), "{said}");
}

/// Tries to start on a disk that is too small in one way or another; what was started must be whole.
fn starts_are_whole_or_not_at_all(options: impl Fn(usize) -> String, sizes: &[usize]) {
    let (mut started, mut failed) = (0, 0);
    for &size in sizes {
        let env = TestEnv::new();
        let Some(disk) = Disk::mount(&env, &options(size)) else {
            return;
        };
        let never = blocked_cat(&env);
        let mut here = 0;
        for _ in 0..3 {
            let output = disk.procctl(["start", "--", "cat", &never]).output();
            if output.status.success() {
                here += 1;
            } else {
                failed += 1;
                let said = output.refused(125, &[]);
                let path = disk.run_dir();
                assert!(said.contains(path.to_str().unwrap()), "{size}: which path? {said}");
            }
            disk.has_cats(here);
            assert_eq!(disk.status().len(), here, "{size}: {output:?}");
        }
        started += here;
        // With room again all is well, and no number was lost on the way.
        disk.remount("size=4m,nr_inodes=2000");
        disk.ok(&["start", "--", "cat", &never]);
        let name = |row: &Value| row["name"].as_str().unwrap().to_owned();
        assert_numbered_without_gap(disk.status().iter().map(name).collect());
        disk.end();
    }
    assert!(started > 0, "no disk was large enough");
    assert!(failed > 0, "no disk was too small");
}

#[test]
fn a_start_on_a_disk_without_space_is_whole_or_not_at_all() {
    let sizes: Vec<usize> = (1..=24).collect();
    starts_are_whole_or_not_at_all(|pages| format!("size={}k,nr_inodes=2000", pages * 4), &sizes);
}

#[test]
fn a_start_on_a_disk_without_inodes_is_whole_or_not_at_all() {
    let sizes: Vec<usize> = (1..=40).step_by(2).collect();
    starts_are_whole_or_not_at_all(|inodes| format!("size=4m,nr_inodes={inodes}"), &sizes);
}

#[test]
fn earlier_records_are_intact_when_the_disk_is_full() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, "size=512k") else {
        return;
    };
    let never = blocked_cat(&env);
    let ended = disk.ok(&["start", "--", "sh", "-c", "exit 3"]);
    disk.procctl(["join", &ended]).output().exits(3);
    let alive = disk.ok(&["start", "-n", "alive", "--", "cat", &never]);
    let before = disk.status();
    disk.fill();
    let path = disk.run_dir();
    for args in [&["start", "--", "cat", &never][..], &["create", "--", "true"], &["run", "--", "true"]] {
        let output = disk.procctl(args.iter().copied()).output();
        output.refused(125, &[path.to_str().unwrap()]);
    }
    assert_eq!(disk.status(), before);
    disk.has_cats(1);
    // What needs no room works.
    disk.procctl(["join", &ended]).output().exits(3).quiet();
    disk.ok(&["is-alive", "alive"]);
    disk.ok(&["get", &alive, "pid"]);
    disk.make_room();
    disk.ok(&["start", "--", "cat", &never]);
    disk.end();
}

/// A process ends while its end cannot be written: nobody is told that it lives, and the code is told afterwards.
fn an_end_is_kept(mount: &str, spoil: impl Fn(&Disk<'_>), mend: impl Fn(&Disk<'_>)) {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, mount) else {
        return;
    };
    // No log: a file that is open for writing keeps a disk from becoming read-only.
    let (id, mut pipe) = disk.worker(&["--stdout", "null", "--stderr", "null"]);
    let pid = disk.ok(&["get", &id, "pid"]).parse().unwrap();
    let process = Held::open(pid);
    let mut join = disk.procctl(["join", &id]).spawn();
    join.wait_until_blocked();
    spoil(&disk);
    pipe.write_all(b"7\n").unwrap();
    process.wait_end();
    disk.procctl(["is-alive", &id]).output().exits(1);
    mend(&disk);
    says_at_most_that_there_is_no_room(join.wait().exits(7));
    disk.procctl(["join", &id]).output().exits(7).quiet();
    assert_eq!(disk.ok(&["get", &id, "exitcode"]), "7");
    assert_eq!(disk.ok(&["get", &id, "lost"]), "");
    disk.end();
}

#[test]
#[expect(clippy::redundant_closure_for_method_calls, reason = "the method itself has too narrow a type")]
fn an_end_on_a_full_disk_is_kept_until_it_can_be_written() {
    an_end_is_kept("size=512k", |disk| disk.fill(), |disk| disk.make_room());
}

#[test]
fn an_end_on_a_disk_without_inodes_is_kept_until_it_can_be_written() {
    an_end_is_kept(
        "size=4m,nr_inodes=100",
        |disk| assert!((0..100).any(|n| File::create(disk.path(format!("taken-{n}"))).is_err())),
        |disk| (0..100).for_each(|n| drop(fs::remove_file(disk.path(format!("taken-{n}"))))),
    );
}

#[test]
fn an_end_on_a_disk_that_became_read_only_is_kept_until_it_can_be_written() {
    an_end_is_kept("size=4m", |disk| disk.remount("ro"), |disk| disk.remount("rw"));
}

#[test]
fn a_join_that_comes_while_the_disk_is_full_gets_the_code_too() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, "size=512k") else {
        return;
    };
    let (id, mut pipe) = disk.worker(&[]);
    let pid = disk.ok(&["get", &id, "pid"]).parse().unwrap();
    let process = Held::open(pid);
    disk.fill();
    pipe.write_all(b"9\n").unwrap();
    process.wait_end();
    let join = disk.procctl(["join", &id]).spawn();
    // It may know the code already; it may also have to wait for the room.
    disk.procctl(["is-alive", &id]).output().exits(1);
    disk.make_room();
    says_at_most_that_there_is_no_room(join.wait().exits(9));
    disk.end();
}

#[test]
fn a_signalled_end_on_a_full_disk_is_told_as_it_was() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, "size=512k") else {
        return;
    };
    let never = blocked_cat(&env);
    let id = disk.ok(&["start", "--", "cat", &never]);
    let process = Held::open(disk.ok(&["get", &id, "pid"]).parse().unwrap());
    disk.fill();
    // Whether it can note who asked or not, it must not fail to signal.
    disk.procctl(["terminate", &id]).output().exits(0);
    process.wait_end();
    disk.make_room();
    disk.procctl(["join", &id]).output().exits(143).quiet();
    assert_eq!(disk.ok(&["get", &id, "exitcode"]), "-15");
    disk.end();
}

#[test]
fn a_read_only_run_directory_can_be_read_and_says_why_it_cannot_be_written() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, "size=512k") else {
        return;
    };
    let id = disk.ok(&["start", "-n", "ended", "--", "sh", "-c", "exit 3"]);
    disk.procctl(["join", &id]).output().exits(3);
    let monitor: i32 = disk.ok(&["get", &id, "monitor.pid"]).parse().unwrap_or(-1);
    eventually("its monitor is gone", || crate::harness::is_gone(monitor).then_some(()));
    let before = disk.status();
    disk.remount("ro");
    let path = disk.run_dir();
    let path = path.to_str().unwrap();
    for args in [
        &["start", "--", "true"][..],
        &["run", "--", "true"],
        &["create", "--", "true"],
        &["close", "ended"],
        &["set", "ended", "name=other"],
    ] {
        disk.procctl(args.iter().copied()).output().refused(125, &[path]);
    }
    disk.procctl(["join", &id]).output().exits(3).quiet();
    disk.procctl(["join", "ended"]).output().exits(3).quiet();
    disk.procctl(["is-alive", "ended"]).output().exits(1).quiet();
    assert_eq!(disk.ok(&["get", "ended", "exitcode"]), "3");
    assert_eq!(disk.ok(&["terminate", "ended"]), "");
    assert!(disk.ok(&["status"]).contains("ended"));
    assert_eq!(disk.status(), before);
}

#[test]
fn a_run_directory_that_may_not_be_made_is_an_error_with_its_path() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, "size=512k") else {
        return;
    };
    disk.remount("ro");
    let path = disk.run_dir();
    let output = disk.procctl(["start", "--", "true"]).output();
    output.refused(125, &[path.to_str().unwrap()]);
    assert_eq!(disk.status().len(), 0);
}

#[test]
fn a_full_log_disk_is_the_commands_own_affair() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, "size=512k") else {
        return;
    };
    let script = "head -c 1000000 /dev/zero; exit 6";
    let id = disk.ok(&["start", "--stderr", "null", "--", "sh", "-c", script]);
    let join = disk.procctl(["join", &id]).spawn();
    // Its log has filled the disk; the end waits for room, and close is not needed to make it.
    eventually("the process has ended", || {
        let output = disk.procctl(["is-alive", &id]).output();
        (output.status.code() == Some(1)).then_some(())
    });
    disk.remount("size=4m");
    says_at_most_that_there_is_no_room(join.wait().exits(6));
}

#[test]
fn a_new_monitor_that_could_not_write_its_name_passes_no_signal_of_a_tree_on() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, "mode=700,size=512k") else { return };
    let other = disk.ok(&["start", "-n", "other", "--", "sleep", "1000"]);
    let number = |field: &str| disk.ok(&["get", &other, field]).parse().unwrap();
    let (process, old) = (Held::open(number("pid")), Held::open(number("monitor.pid")));
    let look = env.path("look");
    nix::unistd::mkfifo(&look, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = r#"read -r _ < "$0"; procctl is-alive other && mkdir "$0.done"; sleep 1000"#;
    disk.ok(&["start", "-n", "tree", "--", "bash", "-c", script, look.to_str().unwrap()]);
    disk.fill();
    old.signal(Signal::KILL);
    old.wait_end();
    fs::write(&look, "\n").unwrap();
    eventually("it was looked at in the tree", || env.path("look.done").exists().then_some(()));
    disk.make_room();
    disk.ok(&["terminate", "--tree", "--wait", "tree"]);
    assert!(process.is_alive());
    assert_eq!(disk.ok(&["get", &other, "state"]), "started");
    process.signal(Signal::KILL);
    disk.procctl(["join", &other]).output().exits(137);
}

/// The end of those that were started and are killed again cannot be recorded either.
#[test]
fn of_several_that_do_not_fit_none_is_left() {
    let env = TestEnv::new();
    let Some(disk) = Disk::mount(&env, "size=128k") else { return };
    let output = disk.procctl(["start", "--count", "60", "--", "sleep", "1000"]).output();
    output.refused(125, &["none of 60 was started", "No space left"]);
    assert_eq!(disk.ok(&["status", "--json"]).trim(), "[]");
    eventually("every monitor has left", || env.os_processes().len().eq(&1).then_some(()));
    disk.ok(&["start", "--count", "2", "--", "true"]);
}
