//! §6.7 and further: whatever stands where a record, or a file beside it, should be. No panic, no hang, no signal to
//! anybody who was not meant, nothing raw on a terminal, and every command goes on working on the others.
//!
//! The run directory is the user's own (that is checked, see rundir.rs): what stands in it can be broken, or forged by
//! somebody who could do the same harm without procctl. It must still never make procctl do more than the record says.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::{Output, Running, TestEnv, eventually, is_root, proc_stat, python, skipped};
use crate::support::{
    Held, edit_record, files_below, kill_leftovers, kill_monitor, on_terminal, record_file, said_inside,
};

/// A process that has nothing to do with procctl and notices every signal that can be noticed.
struct Bystander {
    running: Running,
    noticed: PathBuf,
}

impl Bystander {
    fn new(env: &TestEnv) -> Self {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let noticed = env.path(format!("noticed-{number}"));
        let ready = env.path(format!("ready-{number}"));
        // SIGSTOP cannot be caught; whoever stops a process for a moment continues it, and that can.
        let program = format!(
            "import signal, sys
for s in signal.valid_signals() - {{signal.SIGKILL, signal.SIGSTOP}}:
    signal.signal(s, lambda s, _: print(s, file=open('{}', 'a')))
open('{}', 'w')
while True: signal.pause()",
            noticed.display(),
            ready.display()
        );
        let running = env.program(python()).args(["-c", &program]).spawn();
        eventually("the bystander is ready", || ready.exists().then_some(()));
        Self { running, noticed }
    }

    fn pid(&self) -> i32 {
        self.running.pid()
    }

    #[track_caller]
    fn noticed_nothing(&mut self) {
        assert!(self.running.is_running(), "a bystander was killed");
        let noticed = fs::read_to_string(&self.noticed).unwrap_or_default();
        assert!(noticed.is_empty(), "a bystander got signals: {noticed:?}");
    }
}

/// A live process, an ended one and a bystander, beside a record that is played with.
struct Scene {
    // Dropped first: it is one of those that may not be left behind.
    bystander: Bystander,
    env: TestEnv,
    live: String,
    others: Vec<(PathBuf, Vec<u8>)>,
    /// An ended process, exit code 3.
    victim: String,
    record: PathBuf,
    whole: Value,
}

impl Scene {
    fn new() -> Self {
        let env = TestEnv::new();
        let bystander = Bystander::new(&env);
        let live = env.sleeper(&["-n", "live"]);
        let done = env.start(&["-n", "done"], &["sh", "-c", "echo done; exit 4"]);
        assert_eq!(env.join(&done), 4);
        let victim = env.start(&["-n", "victim"], &["sh", "-c", "echo victim; exit 3"]);
        assert_eq!(env.join(&victim), 3);
        let others = [&live, &done].map(|id| {
            let path = record_file(&env, id);
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        });
        let record = record_file(&env, &victim);
        let whole = serde_json::from_slice(&fs::read(&record).unwrap()).unwrap();
        Self { bystander, env, live, others: others.into(), victim, record, whole }
    }

    fn dir(&self) -> &Path {
        self.record.parent().unwrap()
    }

    /// The victim's record, changed.
    fn changed(&self, change: impl FnOnce(&mut Value)) -> Vec<u8> {
        let mut record = self.whole.clone();
        change(&mut record);
        serde_json::to_vec(&record).unwrap()
    }

    /// The victim's record with a piece of its text replaced.
    #[track_caller]
    fn replaced(&self, from: &str, to: impl AsRef<[u8]>) -> Vec<u8> {
        let text = self.whole.to_string();
        let at = text.find(from).unwrap_or_else(|| panic!("no {from} in {text}"));
        [&text.as_bytes()[..at], to.as_ref(), &text.as_bytes()[at + from.len()..]].concat()
    }

    /// The others are as they were, and work.
    #[track_caller]
    fn others_are_well(&mut self, what: &str) {
        for (path, bytes) in &self.others {
            assert_eq!(&fs::read(path).unwrap(), bytes, "{what}: {} was touched", path.display());
        }
        self.env.ok(["is-alive", "live"]);
        assert_eq!(self.env.join("done"), 4, "{what}");
        self.bystander.noticed_nothing();
    }
}

/// It ended by itself, and what it said of it has the form of procctl's errors.
#[track_caller]
fn calm(output: &Output) {
    output.code();
    for line in String::from_utf8(output.stderr.clone()).expect("UTF-8").lines() {
        assert!(line.starts_with("procctl: ") || line.starts_with("hint: "), "{output:?}");
        assert!(!line.chars().any(char::is_control), "{output:?}");
    }
}

/// Removes whatever is there.
fn remove(path: &Path) {
    let _ = fs::remove_file(path).or_else(|_| fs::remove_dir_all(path));
}

fn fifo(path: &Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// A file of that length that takes no room.
fn sparse(path: &Path, length: u64) {
    fs::File::create(path).unwrap().set_len(length).unwrap();
}

/// Every command that reads the record of one process.
const ABOUT_ONE: [&[&str]; 13] = [
    &["status"],
    &["get"],
    &["get", "authkey"],
    &["is-alive"],
    &["logs"],
    &["logs", "-f"],
    &["join", "--timeout", "1"],
    &["terminate"],
    &["kill", "--tree"],
    &["interrupt", "--wait"],
    &["start"],
    &["set", "name=other"],
    &["close"],
];

/// `command` about one process: the REF comes after the command's own name.
fn about(command: &[&str], reference: &str) -> Vec<String> {
    let mut args: Vec<String> = command.iter().map(|&word| word.to_owned()).collect();
    args.insert(1, reference.to_owned());
    args
}

/// What every command must do with a record that cannot be used: name it, and go on with the others.
#[track_caller]
fn is_broken(scene: &mut Scene, what: &str) {
    let path = scene.record.to_str().unwrap().to_owned();
    let env = &scene.env;
    for command in ABOUT_ONE {
        let output = env.procctl(about(command, &scene.victim)).output();
        assert_eq!(output.code(), 125, "{what}: {output:?}");
        output.one_error(&[&path]);
    }
    for reference in ["victim", &scene.victim[..5]] {
        env.refused(["get", reference], 125, &[&path]);
    }
    let output = env.procctl(["status"]).output();
    calm(&output);
    let rows: Vec<String> = output.exits(0).quiet().stdout().lines().map(str::to_owned).collect();
    let broken: Vec<_> = rows.iter().filter(|row| row.contains("broken")).collect();
    assert!(matches!(&broken[..], [one] if one.contains(&path)), "{what}: {rows:#?}");
    assert!(rows.iter().any(|row| row.contains("live")), "{what}: {rows:#?}");
    for all in [
        &["status", "--json"][..],
        &["status", "--alive"],
        &["status", "--children"],
        &["join", "--all", "--timeout", "0"],
        &["close", "--all", "--older-than", "1d"],
    ] {
        let output = env.procctl(all).output();
        calm(&output);
        assert!(matches!(output.code(), 0 | 124 | 125), "{what}: {output:?}");
    }
    scene.others_are_well(what);
}

#[test]
fn what_is_no_record_is_named_by_every_command_and_stops_none() {
    let mut scene = Scene::new();
    let deep = |open: &str, close: &str| {
        let (open, close) = (open.repeat(100_000), close.repeat(100_000));
        scene.replaced("\"schema\":1", format!("\"x\":{open}1{close},\"schema\":1"))
    };
    let field = |key: &str, value: Value| scene.changed(|record| record[key] = value);
    let of_parent = |key: &str, value: Value| scene.changed(|record| record["parent"][key] = value);
    let whole = scene.whole.to_string();
    let contents: Vec<(&str, Vec<u8>)> = vec![
        ("a byte order mark", format!("\u{feff}{whole}").into_bytes()),
        ("UTF-16", whole.encode_utf16().flat_map(u16::to_le_bytes).collect()),
        ("zeros", vec![0; 4096]),
        ("two records", [whole.as_bytes(), whole.as_bytes()].concat()),
        ("bytes that are not UTF-8", scene.replaced("victim", b"vic\xfftim")),
        ("an overlong NUL", scene.replaced("victim", b"vic\xc0\x80tim")),
        ("a lone surrogate", scene.replaced("victim", "vic\\ud800tim")),
        ("a raw line end in a string", scene.replaced("victim", "vic\ntim")),
        ("the state twice", scene.replaced("\"state\":", "\"state\":\"started\",\"state\":")),
        ("the pid of the parent twice", scene.replaced("\"parent\":{", "\"parent\":{\"pid\":1,")),
        ("NaN", scene.replaced("\"exitcode\":3", "\"exitcode\":NaN")),
        ("Infinity", scene.replaced("\"exitcode\":3", "\"exitcode\":-Infinity")),
        ("a number too large for a float", scene.replaced("\"exitcode\":3", "\"exitcode\":3,\"x\":1e999")),
        ("a fraction of a code", field("exitcode", json!(3.5))),
        ("a code as a float", field("exitcode", json!(3.0))),
        ("a code as a text", field("exitcode", json!("3"))),
        ("a code beyond 32 bits", field("exitcode", json!(1_i64 << 32))),
        ("the least code", field("exitcode", json!(i32::MIN))),
        ("a code that no process has", field("exitcode", json!(256))),
        ("a signal that no kernel has", field("exitcode", json!(-200))),
        ("pid 0", field("pid", json!(0))),
        ("a negative pid", field("pid", json!(-1))),
        ("a pid that wraps", field("pid", json!((1_i64 << 32) + 1))),
        ("a negative pid of the parent", of_parent("pid", json!(-1))),
        (
            "a start beyond 64 bits",
            scene.replaced("\"start_ticks\":", "\"start_ticks\":9999999999999999999999"),
        ),
        ("a negative start", field("start_ticks", json!(-1))),
        ("schema 0", field("schema", json!(0))),
        ("schema 2", field("schema", json!(2))),
        ("a schema beyond 64 bits", field("schema", json!(1e30))),
        ("a negative schema", field("schema", json!(-1))),
        ("a time that is none", field("created_at", json!("yesterday"))),
        ("a time beyond all calendars", field("created_at", json!("+99999-01-01T00:00:00Z"))),
        ("an id that leads out", field("id", json!("../../xx"))),
        ("the id of another process", field("id", json!(scene.live))),
        ("a key that leads out", of_parent("key", json!("../../out"))),
        ("a key that leads up", of_parent("key", json!(".."))),
        ("no key", of_parent("key", json!(""))),
        ("a key with a NUL", of_parent("key", json!("a\0b"))),
        ("a key that is too long", of_parent("key", json!("k".repeat(300)))),
        ("the id of a parent that leads out", of_parent("id", json!("../../xx"))),
        ("a name that clears the screen", field("name", json!("\u{1b}[2J"))),
        ("a name of two lines", field("name", json!("a\nb"))),
        ("a name that is an option", field("name", json!("--all"))),
        ("a name that means many", field("name", json!("@self"))),
        ("an endless name", field("name", json!("n".repeat(1 << 20)))),
        ("a bad escape of bytes", field("cwd", json!({"hex": "zz"}))),
        ("no number", field("identity", json!([]))),
        ("number 0", field("identity", json!([0]))),
        ("deep lists", deep("[", "]")),
        ("deep objects", deep("{\"a\":", "}")),
        ("deep lists without an end", vec![b'['; 1 << 20]),
        ("a deep command", field("command", json!([["sh"]]))),
    ];
    for (what, content) in contents {
        fs::write(&scene.record, content).unwrap();
        is_broken(&mut scene, what);
    }
}

/// What stands there, and how it comes there.
type Plant<'a> = (&'a str, Box<dyn Fn() + 'a>);

#[test]
fn what_is_no_file_is_named_by_every_command_and_stops_none() {
    let mut scene = Scene::new();
    let secret = scene.env.file("secret", scene.whole.to_string());
    let record = scene.record.clone();
    let held = scene.env.path("held");
    fifo(&held);
    let mut plants: Vec<Plant<'_>> = vec![
        ("an empty file", Box::new(|| fs::write(&record, "").unwrap())),
        ("a directory", Box::new(|| fs::create_dir(&record).unwrap())),
        ("a FIFO", Box::new(|| fifo(&record))),
        ("a FIFO that somebody holds open", Box::new(|| fs::hard_link(&held, &record).unwrap())),
        ("a socket", Box::new(|| drop(UnixListener::bind(&record).unwrap()))),
        ("a symlink to /dev/zero", Box::new(|| symlink("/dev/zero", &record).unwrap())),
        ("a symlink to what would be a record", Box::new(|| symlink(&secret, &record).unwrap())),
        ("a symlink to itself", Box::new(|| symlink(&record, &record).unwrap())),
        ("a symlink to nowhere", Box::new(|| symlink("nowhere", &record).unwrap())),
        ("a file a byte too long", Box::new(|| sparse(&record, (48 << 20) + 1))),
        ("a file of 64 GiB", Box::new(|| sparse(&record, 64 << 30))),
    ];
    if is_root() {
        use nix::sys::stat::{Mode, SFlag, makedev, mknod};
        plants.push((
            "the device /dev/zero",
            Box::new(|| mknod(&record, SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).unwrap()),
        ));
    } else {
        skipped("only root can plant a device");
    }
    let _writer = fs::File::options().read(true).write(true).open(&held).unwrap();
    for (what, plant) in plants {
        remove(&record);
        plant();
        is_broken(&mut scene, what);
    }
    assert_eq!(fs::read_to_string(&secret).unwrap(), scene.whole.to_string());
}

/// The unit tests have every byte; this is a sample, through the program.
#[test]
fn a_record_with_a_flipped_bit_is_broken_or_a_record() {
    let mut scene = Scene::new();
    let whole = fs::read(&scene.record).unwrap();
    for (at, bit) in (0..whole.len()).step_by(whole.len() / 60).zip((0..8).cycle()) {
        let mut bytes = whole.clone();
        bytes[at] ^= 1 << bit;
        fs::write(&scene.record, bytes).unwrap();
        for command in [&["get"][..], &["join", "--timeout", "0"], &["kill", "--tree"], &["logs"]] {
            calm(&scene.env.procctl(about(command, &scene.victim)).output());
        }
        calm(&scene.env.procctl(["status"]).output());
    }
    scene.others_are_well("bits");
}

/// Nothing of a record that is a path is ever followed: every file is the directory's own.
#[test]
fn paths_in_a_record_lead_nowhere() {
    let mut scene = Scene::new();
    let secret = scene.env.file("secret", "secret");
    let path = secret.to_str().unwrap();
    let from_dir = "../../../../secret";
    for path in [path, from_dir] {
        fs::write(
            &scene.record,
            scene.changed(|record| {
                for key in ["log", "sentinel", "cwd", "stdin", "stdout", "stderr"] {
                    record[key] = json!(path);
                }
            }),
        )
        .unwrap();
        let env = &scene.env;
        assert_eq!(env.ok(["logs", &scene.victim]), "victim");
        assert_eq!(env.join(&scene.victim), 3);
        // What is told is what the record says; nobody opened it.
        assert_eq!(env.get(&scene.victim, "sentinel"), path);
        env.ok(["set", &scene.victim, "name=victim"]);
    }
    scene.env.ok(["close", &scene.victim]);
    assert!(!scene.dir().exists());
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret");
    assert_eq!(fs::metadata(&secret).unwrap().nlink(), 1);
    scene.others_are_well("paths");
}

/// The key of the parent is the name of a directory. A forged one must not make `close` a remover of files elsewhere.
#[test]
fn the_parents_key_does_not_lead_out_of_the_run_directory() {
    let scene = Scene::new();
    let out = scene.env.path("out");
    fs::create_dir(&out).unwrap();
    for name in ["1", "2", "count", "authkey"] {
        fs::write(out.join(name), "precious").unwrap();
    }
    let absolute = out.to_str().unwrap();
    for key in ["../../out", "../../../out", "x/../../../out", absolute, "../parents/../../out"] {
        for number in [1, 2] {
            fs::write(
                &scene.record,
                scene.changed(|record| {
                    record["parent"]["key"] = json!(key);
                    record["identity"] = json!([number]);
                    // Gone: its ledger would be cleared as well.
                    record["parent"]["pidfd_inode"] = json!(1);
                }),
            )
            .unwrap();
            for command in ABOUT_ONE {
                calm(&scene.env.procctl(about(command, &scene.victim)).output());
            }
            calm(&scene.env.procctl(["close", "--all"]).output());
        }
    }
    for name in ["1", "2", "count", "authkey"] {
        assert_eq!(fs::read_to_string(out.join(name)).unwrap(), "precious", "{name}");
    }
    assert_eq!(fs::read_dir(&out).unwrap().count(), 4);
}

/// The identity of a process, as a record has it.
fn identity(pid: i32) -> (Value, Value) {
    let held = rustix::process::pidfd_open(
        rustix::process::Pid::from_raw(pid).unwrap(),
        rustix::process::PidfdFlags::empty(),
    );
    let inode = rustix::fs::fstat(held.unwrap()).unwrap().st_ino;
    let ticks: u64 = proc_stat(pid).unwrap()[19].parse().unwrap();
    (json!(ticks), json!(inode))
}

/// A record in which everything that identifies a process is right, inode included, *is* the record of that process: it
/// cannot be told from one that procctl wrote. It gives its writer nothing: only the user can write it, and could as
/// well say `kill PID`; what another user may not signal, procctl may not either. What must hold is that it
/// means that one process, for as long as it lives, and nobody near it.
#[test]
fn a_forged_identity_that_is_right_means_that_process_and_no_other() {
    let env = TestEnv::new();
    let mut near = Bystander::new(&env);
    let mut meant = Bystander::new(&env);
    let id = env.sleeper(&[]);
    let old = Held::open(env.pid(&id));
    kill_monitor(&env, &id);
    old.signal(rustix::process::Signal::KILL);
    old.wait_reaped();
    let (ticks, inode) = identity(meant.pid());
    let path = edit_record(&env, &id, |record| {
        record["pid"] = json!(meant.pid());
        record["start_ticks"] = ticks.clone();
        record["pidfd_inode"] = inode;
        record["monitor"]["pid"] = json!(near.pid());
    });
    env.ok(["is-alive", &id]);
    meant.noticed_nothing();
    for command in [&["kill", "-s", "USR1"][..], &["kill", "-s", "USR2", "--tree"]] {
        env.procctl(about(command, &id)).output().success();
    }
    eventually("both signals are noticed", || {
        (fs::read_to_string(&meant.noticed).unwrap_or_default() == "10\n12\n").then_some(())
    });
    near.noticed_nothing();
    // One number beside the truth, and it is nobody.
    edit_record(&env, &id, |record| {
        record["start_ticks"] = json!(ticks.as_u64().unwrap() + 1);
        record["pidfd_inode"] = Value::Null;
    });
    env.procctl(["terminate", "--tree", &id]).output().exits(0).quiet();
    assert_eq!(fs::read_to_string(&meant.noticed).unwrap(), "10\n12\n");
    assert!(meant.running.is_running());
    near.noticed_nothing();
    assert!(path.exists());
}

/// `--tree` takes what descends from the monitor. The pid of the monitor in the record is a rumour like any other.
#[test]
fn a_forged_pid_of_the_monitor_brings_nobody_into_the_tree() {
    for command in [&["terminate", "--tree", "--wait"][..], &["kill", "--tree"]] {
        let env = TestEnv::new();
        let mut bystander = Bystander::new(&env);
        let mut child = env.bash("sleep 1000 & echo $! > child; wait").spawn();
        let grandchild: i32 =
            eventually("it has a child", || fs::read_to_string(env.path("child")).ok()?.trim().parse().ok());
        let grandchild = Held::open(grandchild);
        // The second one is this very process: everything that the test has started would be in the tree.
        for monitor in [child.pid(), i32::try_from(std::process::id()).unwrap()] {
            let id = env.start_ready(&[], "sleep 1000 & echo ready; wait");
            let true_monitor = Held::open(env.monitor_pid(&id));
            edit_record(&env, &id, |record| record["monitor"]["pid"] = json!(monitor));
            env.procctl(about(command, &id)).output().exits(0).quiet();
            env.procctl(["is-alive", &id]).output().exits(1);
            assert!(child.is_running() && grandchild.is_alive(), "{command:?} ended strangers");
            bystander.noticed_nothing();
            // Its monitor was not harmed either: the end is recorded.
            true_monitor.wait_end();
            assert_ne!(env.get(&id, "exitcode"), "");
        }
        grandchild.signal(rustix::process::Signal::KILL);
        child.wait();
    }
}

#[test]
fn parents_that_are_each_others_children_are_no_endless_line() {
    let env = TestEnv::new();
    let first = env.sleeper(&["-n", "first"]);
    let second = env.start_ready(
        &["-n", "second"],
        "echo ready; until [ -e go ]; do sleep 0.01; done
        procctl join first --timeout 0.1; procctl status --children; procctl get @parent name
        procctl start -n third -- true; procctl join third; echo over; sleep 1000",
    );
    let about = |env: &TestEnv, child: &str, parent: &str| {
        edit_record(env, child, |record| record["parent"]["id"] = json!(parent));
    };
    about(&env, &first, &second);
    about(&env, &second, &first);
    env.file("go", "");
    eventually("the script is over", || env.ok(["logs", &second]).contains("over").then_some(()));
    assert!(env.ok(["logs", &second]).contains("first"));
    assert_eq!(env.status().len(), 3);
    // One that is its own parent.
    about(&env, &first, &first);
    assert_eq!(env.status().len(), 3);
    env.ok(["terminate", "--tree", &first]);
}

/// What may stand where a file of a process was.
const IN_ITS_PLACE: [&str; 6] = ["nothing", "a FIFO", "a directory", "a symlink", "rubbish", "64 GiB"];

fn put(path: &Path, what: &str, target: &Path) {
    remove(path);
    match what {
        "nothing" => {}
        "a FIFO" => fifo(path),
        "a directory" => {
            fs::create_dir(path).unwrap();
            fs::write(path.join("x"), "").unwrap();
        }
        "a symlink" => symlink(target, path).unwrap(),
        "rubbish" => fs::write(path, b"\x1b[2J\xff{\"signal\":\n[[[[\n\x00").unwrap(),
        "64 GiB" => sparse(path, 64 << 30),
        other => panic!("{other}"),
    }
}

/// The files of a process, but for its record.
const BESIDE: [&str; 8] = [
    "sentinel",
    "signals",
    "output.log",
    "environment",
    "authkey",
    "record.tmp",
    "record.starting",
    "sentinel.tmp",
];

fn whatever_stands_beside_the_record(make: impl Fn(&TestEnv) -> String, commands: &[&[&str]]) {
    let env = TestEnv::new();
    let mut bystander = Bystander::new(&env);
    let other = env.start(&["-n", "other"], &["sh", "-c", "exit 4"]);
    assert_eq!(env.join(&other), 4);
    let (path, before) = (record_file(&env, &other), fs::read(record_file(&env, &other)).unwrap());
    let target = env.file("target", "precious");
    for file in BESIDE {
        for what in IN_ITS_PLACE {
            let id = make(&env);
            let dir = record_file(&env, &id).parent().unwrap().to_owned();
            put(&dir.join(file), what, &target);
            for command in commands {
                // A log of 64 GiB is printed, as it should be.
                if (file, what) == ("output.log", "64 GiB") && command[0] == "logs" {
                    continue;
                }
                let output = env.procctl(about(command, &id)).output();
                output.code();
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(!said.contains('\x1b'), "{what} for {file}: {output:?}");
            }
            let rest = env.procctl(["status"]).output();
            assert!(rest.exits(0).stdout().contains("other"), "{what} for {file}: {rest:?}");
            assert_eq!(env.join("other"), 4);
            let _ = fs::remove_dir_all(&dir);
            kill_leftovers_of(&env, &bystander);
        }
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    bystander.noticed_nothing();
}

/// Ends what is left, but for the bystander.
fn kill_leftovers_of(env: &TestEnv, bystander: &Bystander) {
    for pid in env.os_processes().into_iter().filter(|&pid| pid != bystander.pid()) {
        if let Some(pid) = rustix::process::Pid::from_raw(pid) {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
        }
    }
}

#[test]
fn whatever_stands_beside_the_record_of_an_ended_process() {
    let make = |env: &TestEnv| {
        let id = env.start(&[], &["true"]);
        assert_eq!(env.join(&id), 0);
        id
    };
    let commands: [&[&str]; 6] = [
        &["get", "authkey"],
        &["join", "--timeout", "1"],
        &["logs"],
        &["terminate"],
        &["set", "name=n"],
        &["close"],
    ];
    whatever_stands_beside_the_record(make, &commands);
}

#[test]
fn whatever_stands_beside_the_record_of_a_live_process() {
    let commands: [&[&str]; 7] = [
        &["is-alive"],
        &["logs"],
        &["join", "--timeout", "0"],
        &["kill", "-s", "0"],
        &["set", "name=n"],
        &["terminate"],
        &["join", "--timeout", "0.1"],
    ];
    whatever_stands_beside_the_record(|env| env.sleeper(&[]), &commands);
}

#[test]
fn whatever_stands_beside_the_record_of_a_process_without_a_monitor() {
    let make = |env: &TestEnv| {
        let id = env.sleeper(&[]);
        kill_monitor(env, &id);
        id
    };
    let commands: [&[&str]; 5] =
        [&["is-alive"], &["join", "--timeout", "0"], &["kill"], &["join", "--timeout", "0.05"], &["close"]];
    whatever_stands_beside_the_record(make, &commands);
}

#[test]
fn whatever_stands_beside_the_record_of_a_process_that_was_not_started() {
    let make = |env: &TestEnv| env.ok(["create", "-e", "A=b", "--", "true"]);
    let commands: [&[&str]; 5] =
        [&["get"], &["set", "daemon=true"], &["start"], &["join", "--timeout", "0.1"], &["close"]];
    whatever_stands_beside_the_record(make, &commands);
}

#[test]
fn a_closed_process_is_gone_also_without_its_sentinel() {
    let env = TestEnv::new();
    let id = env.start(&[], &["true"]);
    assert_eq!(env.join(&id), 0);
    let dir = record_file(&env, &id).parent().unwrap().to_owned();
    fs::remove_file(dir.join("sentinel")).unwrap();
    env.ok(["close", &id]);
    assert!(!dir.exists(), "it said that it was closed");
}

/// A deep field of a later version is kept, and does not overflow the small stack on which a start writes the record.
#[test]
fn deep_fields_of_a_later_version_survive_a_start() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "sh", "-c", "exit 5"]);
    let mut deep = json!("ground");
    for level in 0..120 {
        deep = if level % 2 == 0 { json!([deep]) } else { json!({"down": deep}) };
    }
    edit_record(&env, &id, |record| record["from_the_future"] = deep.clone());
    env.ok(["start", &id]);
    assert_eq!(env.join(&id), 5);
    env.ok(["set", &id, "name=deep"]);
    assert_eq!(env.record(&id)["from_the_future"], deep);
}

/// Odd entries of the indexes are no entries.
#[test]
fn whatever_stands_in_the_indexes() {
    let mut scene = Scene::new();
    let run = scene.env.run_dir();
    let target = scene.env.file("target", "precious");
    for shelf in ["initial", "live", "ended", "joined"] {
        let shelf = run.join("names").join(shelf);
        fs::create_dir_all(shelf.join("fff")).unwrap();
        fs::write(shelf.join("a file"), "").unwrap();
        fifo(&shelf.join("a FIFO"));
        symlink("/", shelf.join("a symlink")).unwrap();
        symlink("../../..", shelf.join("up")).unwrap();
        let live = &scene.live;
        for name in [
            "-",
            "x",
            "....",
            "0.0.0.0",
            "\u{1b}[2J",
            &"n".repeat(255),
            &format!("fff0000000000000.0.0.{live}"),
            &format!("+ff.+0.0.{live}"),
            &format!("ffffffffffffffffff.0.0.{live}"),
            "fff0000000000000.0.0.abcdefgh",
            &format!("fff0000000000000.ffffffffffffffff.0.{}", scene.victim),
        ] {
            symlink(&target, shelf.join("fff").join(name)).unwrap();
        }
    }
    let parents = run.join("parents");
    let ledger = fs::read_dir(&parents).unwrap().flatten().next().unwrap().path();
    for name in ["+1", "001", "0", "-1", "x", "99999999999999999999999", "18446744073709551615"] {
        symlink(&scene.live, ledger.join(name)).unwrap();
    }
    symlink("../../x", ledger.join("77")).unwrap();
    symlink(&target, ledger.join("78")).unwrap();
    fs::create_dir(ledger.join("79")).unwrap();
    fs::write(ledger.join("80"), "").unwrap();
    for key in ["none", "1-2-3-4", "x", "1-1-1-00000000"] {
        fs::write(parents.join(key), "").unwrap();
    }
    let processes = run.join("processes");
    fs::write(processes.join("a file"), "").unwrap();
    // A folder that none of the three is in.
    let free =
        ["zz", "zy", "zx", "zw"].map(|name| processes.join(name)).into_iter().find(|path| !path.exists());
    symlink("/", free.unwrap()).unwrap();
    fs::create_dir(processes.join("\u{1b}[2J")).unwrap();
    fs::write(processes.join("\u{1b}[2J/abcdefgh"), "").unwrap();
    fs::write(scene.dir().parent().unwrap().join("gone.a file"), "").unwrap();

    let env = &scene.env;
    assert_eq!(env.status().len(), 3);
    let children = env.json(["status", "--json", "--children"]);
    assert_eq!(children.as_array().unwrap().len(), 3, "each once: {children:#}");
    let alive = env.json(["status", "--json", "--alive"]);
    assert_eq!(alive.as_array().unwrap().len(), 1, "each once: {alive:#}");
    env.ok(["is-alive", &env.get("live", "pid")]);
    env.procctl(["join", "--all", "--timeout", "0"]).output().exits(124);
    scene.others_are_well("indexes");

    let env = &scene.env;
    let next = env.start(&[], &["true"]);
    assert_eq!(env.get(&next, "name"), "Process-4");
    // The signal is sent once.
    let counted =
        env.start_ready(&["-n", "counted"], "trap 'echo one' USR1; echo ready; while :; do sleep 0.02; done");
    symlink("-", run.join(format!("names/live/fff/fff0000000000001.0.0.{counted}"))).unwrap();
    env.ok(["kill", "--all", "-s", "USR1"]);
    env.procctl(["join", "live", "--timeout", "5"]).output().exits(138);
    eventually("the signal was seen", || env.ok(["logs", &counted]).contains("one").then_some(()));
    env.ok(["terminate", "--all", "--wait"]);
    assert_eq!(env.ok(["logs", &counted]).matches("one").count(), 1);
    env.ok(["close", "--all"]);
    assert!(env.status().is_empty());
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");
    scene.bystander.noticed_nothing();
}

#[test]
fn whatever_stands_in_the_count_of_children() {
    for (content, next) in [
        (&b""[..], Some("Process-2")),
        (b"rubbish", Some("Process-2")),
        (b"-5", Some("Process-2")),
        (b"\xff\xfe", Some("Process-2")),
        (b"41", Some("Process-42")),
        (b"99999999999999999999999999", Some("Process-2")),
        (b"18446744073709551615", None),
    ] {
        let env = TestEnv::new();
        let id = env.start(&[], &["true"]);
        assert_eq!(env.join(&id), 0);
        let ledger = fs::read_dir(env.run_dir().join("parents")).unwrap().flatten().next().unwrap().path();
        fs::write(ledger.join("count"), content).unwrap();
        match next {
            Some(name) => {
                let id = env.start(&[], &["true"]);
                assert_eq!(env.get(&id, "name"), name, "{content:?}");
                // Nothing of it is left, behind the number that was written over it.
                let count = fs::read_to_string(ledger.join("count")).unwrap();
                assert_eq!(format!("Process-{count}"), name, "{content:?}");
            }
            None => drop(env.refused(["start", "--", "true"], 125, &["count"])),
        }
        calm(env.procctl(["status", "--children"]).output().exits(0));
        env.ok(["close", &id]);
    }
    for what in IN_ITS_PLACE {
        let env = TestEnv::new();
        let id = env.start(&[], &["true"]);
        assert_eq!(env.join(&id), 0);
        let ledger = fs::read_dir(env.run_dir().join("parents")).unwrap().flatten().next().unwrap().path();
        put(&ledger.join("count"), what, &env.file("target", "1"));
        for args in [&["start", "--", "true"][..], &["status", "--children"], &["join"], &["close", "--all"]]
        {
            calm(&env.procctl(args).output());
        }
        assert_eq!(fs::read_to_string(env.path("target")).unwrap(), "1");
    }
}

/// Names grow with each generation; a record whose name is too long could not be read again, by anybody.
#[test]
fn a_line_of_ancestors_too_long_for_a_name_asks_for_one() {
    let env = TestEnv::new();
    let id = env.start_ready(
        &[],
        "echo ready; until [ -e go ]; do sleep 0.01; done
        procctl start -- true; procctl create -- true; procctl start -n named -- true; procctl join named
        echo over; sleep 1000",
    );
    edit_record(&env, &id, |record| record["identity"] = json!(vec![1_000_000; 60]));
    env.file("go", "");
    eventually("the script is over", || env.ok(["logs", &id]).contains("over").then_some(()));
    let said = env.ok(["logs", &id]);
    assert_eq!(said.matches("hint: name it with -n NAME").count(), 2, "{said}");
    assert_eq!(env.status().len(), 2, "{said}");
    assert_eq!(env.get("named", "exitcode"), "0");
}

/// Text that a terminal would obey.
const EVIL: &str = "\u{1b}]0;title\u{7}\u{1b}[31m\u{9b}2J\r\u{7f}\u{8}\u{202e}\u{2028}x\n\u{85}";

#[test]
fn nothing_in_a_record_or_a_log_moves_a_terminal() {
    let scene = Scene::new();
    let env = &scene.env;
    let evil = env.start(&["-n", "evil"], &["sh", "-c", "printf '%s' \"$1\"; exit 3", EVIL, EVIL]);
    assert_eq!(env.join(&evil), 3);
    let far = env.sleeper(&["-n", "far"]);
    let old = Held::open(env.pid(&far));
    kill_monitor(env, &far);
    old.signal(rustix::process::Signal::KILL);
    old.wait_reaped();
    let lie = |record: &mut Value| {
        for key in ["cwd", "stdin", "stdout", "stderr", "sentinel", "host", "boot_id", "lost"] {
            record[key] = json!(EVIL);
        }
        record["command"] = json!([EVIL, {"hex": "1b5b326a9b"}, "x"]);
        record["parent"]["name"] = json!(EVIL);
        record["from_the_future"] = json!({EVIL: [EVIL]});
        record[EVIL] = json!(EVIL);
    };
    edit_record(env, &evil, lie);
    edit_record(env, &far, lie);
    fs::write(&scene.record, scene.changed(|record| record["name"] = json!(EVIL))).unwrap();
    let mut calls: Vec<Vec<&str>> = vec![
        vec!["status"],
        vec!["status", "--no-trunc"],
        vec!["status", "--tree", "--no-trunc"],
        vec!["status", "--columns", "parent,command,cwd,log,host,lost,ended-by,state,name"],
        vec!["status", "--columns", EVIL],
        vec!["status", "--sort", EVIL],
        vec!["status", "--name", EVIL],
        vec!["status", "--json"],
        vec!["join", "--all", "--timeout", "0"],
        vec!["get", EVIL],
        vec!["start", EVIL],
        vec!["start", "-n", EVIL, "--", "true"],
        vec!["start", "--", EVIL],
        vec!["start", "-C", EVIL, "--", "true"],
        vec!["start", "--stdin", EVIL, "--", "true"],
        vec!["kill", "-s", EVIL, &far],
        vec!["join", "--timeout", EVIL, &far],
        vec!["set", &far, EVIL],
        vec!["get", &far, EVIL],
        vec!["--run-dir", EVIL, "status", "x"],
        vec!["--run-dir", EVIL, "doctor"],
        vec!["doctor"],
        vec!["logs", &evil, &far],
        vec!["logs", "--since", EVIL, &evil],
        vec!["status", "--format", "{command} {command.0} {cwd} {lost} {host} {parent.name}"],
        vec!["get", &evil, "--format", "{\u{1b}[2J}"],
        vec![EVIL],
    ];
    for id in [&evil, &far, &scene.victim] {
        for command in [
            &["get"][..],
            &["logs"],
            &["logs", "-n", "1"],
            &["is-alive"],
            &["status"],
            &["join", "--timeout", "0"],
            &["terminate"],
            &["start"],
            &["close"],
        ] {
            if command[0] == "close" && *id != far {
                continue;
            }
            let mut args = command.to_vec();
            args.insert(1, id);
            calls.push(args);
        }
    }
    for field in ["cwd", "command", "command.1", "lost", "host", "sentinel", "from_the_future", "parent.name"]
    {
        calls.push(vec!["get", &evil, field]);
    }
    for args in calls {
        let (_, got) = on_terminal(env, &[&["--color", "never"], &args[..]].concat());
        let text = String::from_utf8(got).unwrap_or_else(|e| panic!("{args:?}: {e}"));
        let raw = text.chars().find(|&c| c.is_control() && c != '\n' && c != '\t');
        assert_eq!(raw, None, "{args:?} wrote {text:?}");
    }
    // What it wrote is there, in a form that can be read.
    let logs = String::from_utf8(on_terminal(env, &["--color", "never", "logs", &evil]).1).unwrap();
    assert!(logs.contains("\\x1b]0;title\\x07"), "{logs}");
}

/// A process cannot be told from a record by what stands in the environment of its caller.
#[test]
fn a_forged_environment_is_no_way_into_a_family() {
    let env = TestEnv::new();
    let live = env.sleeper(&["-n", "live"]);
    let long = "x".repeat(100_000);
    for id in ["", "../../../../x", "\u{1b}[2J", &long, "abcdefgh", &live] {
        let output =
            env.procctl(["start", "--", "true"]).env("PROCCTL_ID", id).env("PROCCTL_NAME", EVIL).output();
        let child = output.success();
        assert_eq!(env.record(&child)["parent"]["id"], Value::Null, "{id}");
        env.procctl(["get", "@self"]).env("PROCCTL_ID", id).output().refused(125, &["@self"]);
    }
    assert!(said_inside(&env, &[], "procctl get @self state").contains("started"));
    assert!(!files_below(&env.run_dir()).is_empty());
    kill_leftovers(&env);
}
