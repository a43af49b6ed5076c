//! What the tests of the family and of the truth need beside the harness: processes that end on command, OS processes
//! held by a pidfd, records edited by hand, a pid namespace.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use nix::sys::stat::Mode;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde_json::Value;

use crate::harness::{Call, DEADLINE, PROCCTL, Running, TestEnv, eventually, installed, is_root, skipped};

/// Is the running kernel that version or a later one?
pub(crate) fn kernel_at_least(major: u32, minor: u32) -> bool {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    let running: (u32, u32) = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    running >= (major, minor)
}

/// Can the kernel tell the exit code of a process that somebody else reaped (`PIDFD_INFO_EXIT`)?
/// If not, says so: the promise can't be looked at.
pub(crate) fn kernel_tells_exit_codes() -> bool {
    let can = kernel_at_least(6, 15);
    if !can {
        skipped("the kernel is older than 6.15");
    }
    can
}

/// Whether /proc tells the exit code of a zombie. Says so when it does not.
pub(crate) fn proc_tells_exit_codes() -> bool {
    let can = kernel_at_least(5, 17);
    if !can {
        skipped("the kernel is older than 5.17");
    }
    can
}

/// One OS process, held by a pidfd: whoever gets its pid later is not it.
pub(crate) struct Held {
    pid: i32,
    fd: OwnedFd,
}

impl Held {
    #[track_caller]
    pub(crate) fn open(pid: i32) -> Self {
        let fd = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty())
            .unwrap_or_else(|error| panic!("process {pid}: {error}"));
        Self { pid, fd }
    }

    /// Signals it; nothing happens if it is no more.
    pub(crate) fn signal(&self, signal: Signal) {
        match pidfd_send_signal(&self.fd, signal) {
            Ok(()) | Err(Errno::SRCH) => {}
            Err(error) => panic!("signal to {}: {error}", self.pid),
        }
    }

    /// It runs, or it sleeps: it is no zombie and not gone.
    pub(crate) fn is_alive(&self) -> bool {
        !self.ends_within(Timespec { tv_sec: 0, tv_nsec: 0 })
    }

    /// Waits for its end, which its parent need not have noticed yet.
    #[track_caller]
    pub(crate) fn wait_end(&self) {
        let ended = self.ends_within(Timespec { tv_sec: DEADLINE.as_secs().cast_signed(), tv_nsec: 0 });
        assert!(ended, "process {} did not end in time", self.pid);
    }

    /// Waits until its parent has reaped it: there is no such pid any more.
    #[track_caller]
    pub(crate) fn wait_reaped(&self) {
        self.wait_end();
        eventually(&format!("process {} is reaped", self.pid), || {
            (!Path::new(&format!("/proc/{}", self.pid)).exists()).then_some(())
        });
    }

    fn ends_within(&self, time: Timespec) -> bool {
        let mut fds = [PollFd::new(&self.fd, PollFlags::IN)];
        poll(&mut fds, Some(&time)).unwrap() > 0
    }
}

/// A managed process that lives until it is told what to exit with.
pub(crate) struct Worker {
    pub(crate) id: String,
    /// Held open at both ends: neither end's open ever blocks, and what is written waits for its reader.
    pipe: File,
}

impl Worker {
    pub(crate) fn start(env: &TestEnv, options: &[&str]) -> Self {
        Self::start_in(env, &env.run_dir(), options)
    }

    /// In another run directory.
    pub(crate) fn start_in(env: &TestEnv, run_dir: &Path, options: &[&str]) -> Self {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        let path = env.path(format!("worker-{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        let pipe = OpenOptions::new().read(true).write(true).open(&path).unwrap();
        let script = r#"read -r code < "$0"; exit "$code""#;
        let call = env.procctl(["start"]).args(options).args(["--", "sh", "-c", script]).arg(&path);
        let id = call.env("PROCCTL_RUN_DIR", run_dir).output().success();
        Self { id, pipe }
    }

    /// Makes it exit with `code`; does not wait for that.
    pub(crate) fn exit(&self, code: u8) {
        (&self.pipe).write_all(format!("{code}\n").as_bytes()).unwrap();
    }
}

/// Somebody who inherits a managed process and reaps it on command only, as the init of some containers takes its time.
pub(crate) struct LateReaper {
    pub(crate) running: Running,
    gate: PathBuf,
}

impl LateReaper {
    /// Starts one, and a managed `sleep 1000` below it, whose id is returned.
    pub(crate) fn start(env: &TestEnv) -> (String, Self) {
        let reaper = env.python(
            r#"
import ctypes, os, subprocess
assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0  # PR_SET_CHILD_SUBREAPER
id = subprocess.check_output(["procctl", "start", "--", "sleep", "1000"], text=True).strip()
with open("id.new", "w") as file:
    file.write(id)
os.rename("id.new", "id")
while open("reap").readline():
    # Reap what there is.
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"#,
        );
        let gate = env.path("reap");
        nix::unistd::mkfifo(&gate, Mode::S_IRWXU).unwrap();
        let running = reaper.spawn();
        let id = eventually("the process is started", || fs::read_to_string(env.path("id")).ok());
        (id, Self { running, gate })
    }

    /// Makes it reap what has ended.
    pub(crate) fn reap(&self) {
        fs::write(&self.gate, "now\n").unwrap();
    }
}

/// Kills a process's monitor as `kill -9` would, and waits until it is dead.
pub(crate) fn kill_monitor(env: &TestEnv, id: &str) {
    let monitor = Held::open(env.monitor_pid(id));
    monitor.signal(Signal::KILL);
    monitor.wait_end();
}

/// Kills every OS process of the test: what a process leaves behind is not procctl's to end.
#[track_caller]
pub(crate) fn kill_leftovers(env: &TestEnv) {
    eventually("nothing is left", || {
        let left = env.os_processes();
        for &pid in &left {
            // It may be gone by now.
            if let Ok(fd) = pidfd_open(Pid::from_raw(pid).unwrap(), PidfdFlags::empty()) {
                let _ = pidfd_send_signal(&fd, Signal::KILL);
            }
        }
        left.is_empty().then_some(())
    });
}

/// Every regular file below a directory. What vanishes meanwhile is left out.
pub(crate) fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        let Ok(entries) = fs::read_dir(&dir) else {
            continue;
        };
        for entry in entries.flatten() {
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => open.push(entry.path()),
                Ok(kind) if kind.is_file() => found.push(entry.path()),
                _ => {}
            }
        }
    }
    found.sort();
    found
}

/// The file that holds the record of `id`: the one JSON object below the run directory that says so.
#[track_caller]
pub(crate) fn record_file(env: &TestEnv, id: &str) -> PathBuf {
    let is_record = |path: &PathBuf| {
        // One that is about to take the place of another.
        if path.extension().is_some_and(|extension| extension == "tmp") {
            return false;
        }
        let Ok(bytes) = fs::read(path) else {
            return false;
        };
        serde_json::from_slice::<Value>(&bytes)
            .is_ok_and(|value| value["id"] == id && value["command"].is_array())
    };
    let found: Vec<PathBuf> = files_below(&env.run_dir()).into_iter().filter(is_record).collect();
    match &found[..] {
        [one] => one.clone(),
        _ => panic!("the record of {id} must be one file: {found:?}"),
    }
}

/// The record of `id` as it stands in its file: no command looks at the process.
#[track_caller]
pub(crate) fn read_record(env: &TestEnv, id: &str) -> Value {
    serde_json::from_slice(&fs::read(record_file(env, id)).unwrap()).unwrap()
}

/// Replaces a record, by hand, as somebody with an editor might. Its monitor must be dead, or it would write too.
#[track_caller]
pub(crate) fn edit_record(env: &TestEnv, id: &str, edit: impl FnOnce(&mut Value)) -> PathBuf {
    let path = record_file(env, id);
    let mut record: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    edit(&mut record);
    fs::write(&path, serde_json::to_vec(&record).unwrap()).unwrap();
    path
}

/// The boot id of the running kernel.
pub(crate) fn boot_id() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    id.trim().to_owned()
}

/// The names of all records, in no order.
pub(crate) fn names(env: &TestEnv) -> Vec<String> {
    let name = |record: &Value| record["name"].as_str().unwrap().to_owned();
    env.status().iter().map(name).collect()
}

/// `Process-1` … `Process-N`, each once: numbers are neither doubled nor left out.
#[track_caller]
pub(crate) fn assert_numbered_without_gap(mut names: Vec<String>) {
    let number = |name: &String| -> usize {
        let digits = name.strip_prefix("Process-").unwrap_or_default();
        digits.parse().unwrap_or_else(|_| panic!("not numbered: {name}"))
    };
    names.sort_by_key(number);
    let wanted: Vec<String> = (1..=names.len()).map(|n| format!("Process-{n}")).collect();
    assert_eq!(names, wanted);
}

/// What a row of `status` says agrees with itself.
#[track_caller]
pub(crate) fn assert_row_is_consistent(row: &Value) {
    match row["state"].as_str() {
        Some("started") => {
            assert!(row["pid"].is_i64() && row["started_at"].is_string(), "{row}");
            assert!(row["exitcode"].is_null() && row["stopped_at"].is_null(), "{row}");
        }
        Some("stopped") => {
            assert!(row["exitcode"].is_i64() && row["stopped_at"].is_string(), "{row}");
            assert!(row["lost"].is_null(), "{row}");
        }
        _ => panic!("no state for a started process: {row}"),
    }
}

/// A figure or a seed, among what the test runner shows of a test that fails, or of all with `--nocapture`.
#[expect(clippy::print_stderr, reason = "writing to stderr itself would not be captured")]
pub(crate) fn say(what: &str) {
    eprintln!("{what}");
}

/// Runs a bash script as PID 1 of a pid namespace of its own: whatever it leaves behind dies with it.
/// None, said aloud, where that is not permitted.
pub(crate) fn in_pid_namespace(env: &TestEnv, script: &str) -> Option<Call> {
    let unshare = ["-pf", "--mount-proc", "--kill-child"];
    let permitted =
        installed("unshare") && env.program("unshare").args(unshare).arg("true").output().status.success();
    if !permitted {
        skipped("no pid namespace may be made here");
        return None;
    }
    let file = env.file("namespace.sh", script);
    Some(env.program("unshare").args(unshare).arg("bash").arg(file))
}

/// What a managed bash script says, on either stream, when it is run to its end, which must be exit 0.
#[track_caller]
pub(crate) fn said_inside(env: &TestEnv, options: &[&str], script: &str) -> String {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let file = env.file(&format!("inside-{number}"), format!("{script}\n"));
    let id = env.start(options, &["bash", file.to_str().unwrap()]);
    let code = env.join(&id);
    let said = env.ok(["logs", &id]);
    assert_eq!(code, 0, "the script said: {said}");
    said
}

/// Another user: one that has no process but those of the test, and owns the test's directory.
pub(crate) struct OtherUser<'a> {
    env: &'a TestEnv,
    pub(crate) uid: u32,
}

impl<'a> OtherUser<'a> {
    /// None, said aloud, where there can't be one.
    pub(crate) fn new(env: &'a TestEnv) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        if !is_root() || !installed("setpriv") {
            skipped("it takes root and setpriv to become another user");
            return None;
        }
        // Nobody else's, whatever runs beside this test: limits count by user.
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let uid = 1_900_000_000 + std::process::id() % 1_000_000 * 100 + number % 100;
        for path in [env.root(), &env.path("home"), &env.path("bin")] {
            chown(path, Some(uid), Some(uid)).unwrap();
        }
        // The program may stand where only root can go.
        let program = env.path("procctl");
        fs::copy(PROCCTL, &program).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        fs::remove_file(env.path("bin/procctl")).unwrap();
        std::os::unix::fs::symlink(&program, env.path("bin/procctl")).unwrap();
        Some(Self { env, uid })
    }

    /// The words that make this user run the program that follows them.
    pub(crate) fn words(&self) -> String {
        format!("setpriv --clear-groups --regid {0} --reuid {0} --", self.uid)
    }

    /// A program that this user runs.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Call {
        let words = self.words();
        let mut words = words.split(' ');
        self.env.program(words.next().unwrap()).args(words).arg(program)
    }

    /// `procctl ARG...` by this user.
    pub(crate) fn procctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Call {
        self.program(self.env.path("procctl")).args(args)
    }

    /// `procctl ARG...` by this user, which must succeed.
    #[track_caller]
    pub(crate) fn ok(&self, args: &[&str]) -> String {
        self.procctl(args).output().success()
    }
}

/// Runs a bash script in a mount namespace of its own, after some words that mount. None, said aloud, where that is not
/// permitted.
pub(crate) fn with_mounts(env: &TestEnv, mount: &str, script: &str) -> Option<Call> {
    let run = |script: &str| env.program("unshare").args(["--mount", "bash", "-c", script]);
    if !installed("unshare") || !run(mount).output().status.success() {
        skipped("nothing may be mounted here");
        return None;
    }
    Some(run(&format!("{mount}\n{script}")))
}

/// What `procctl ARG...` writes to a terminal of that many columns, without the carriage returns; and its stderr, which is a
/// pipe. It must exit 0.
#[track_caller]
pub(crate) fn on_terminal_of(env: &TestEnv, columns: u16, args: &[&str]) -> (String, String) {
    let (code, seen, errors) = at_terminal(env, columns, true, args);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (seen, errors) = (text(seen), text(errors));
    assert_eq!(code, 0, "{seen}{errors}");
    (seen, errors)
}

/// What `procctl ARG...` exits with, and what it writes, errors too, to a terminal that does not say how wide it is, without
/// the carriage returns.
#[track_caller]
pub(crate) fn on_terminal(env: &TestEnv, args: &[&str]) -> (i32, Vec<u8>) {
    let (code, seen, _) = at_terminal(env, 0, false, args);
    (code, seen)
}

#[track_caller]
fn at_terminal(env: &TestEnv, columns: u16, errors_apart: bool, args: &[&str]) -> (i32, Vec<u8>, Vec<u8>) {
    let said = env
        .python(
            "import fcntl, json, os, pty, struct, subprocess, sys, termios
columns, apart, args = json.loads(sys.stdin.read())
terminal, slave = pty.openpty()
fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack('HHHH', 50, columns, 0, 0))
stderr = subprocess.PIPE if apart else slave
child = subprocess.Popen(['procctl', *args], stdin=subprocess.DEVNULL, stdout=slave, stderr=stderr)
os.close(slave)
seen = b''
try:
    while part := os.read(terminal, 10000):
        seen += part
except OSError:
    pass
errors = child.stderr.read() if apart else b''
print(json.dumps([child.wait(), list(seen.replace(b'\\r\\n', b'\\n')), list(errors)]))",
        )
        .input(serde_json::to_vec(&serde_json::json!([columns, errors_apart, args])).unwrap())
        .output()
        .success();
    serde_json::from_str(&said).unwrap()
}
