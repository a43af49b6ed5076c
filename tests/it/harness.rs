//! What every test stands on: a private run directory, a cleared environment, a deadline on every wait, and the
//! promise that nothing the test started outlives it.

use std::ffi::{OsStr, OsString};
use std::fmt::{Debug, Display};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use serde_json::Value;

/// The program under test.
pub(crate) const PROCCTL: &str = env!("CARGO_BIN_EXE_procctl");

/// How long anything may take before the test calls it a hang. Far above what it takes on a busy machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

/// How often a condition that cannot be awaited is looked at.
const LOOK: Duration = Duration::from_millis(5);

/// A run directory of its own, and everything that is started in it.
pub(crate) struct TestEnv {
    root: tempfile::TempDir,
    leftovers_allowed: Option<&'static str>,
}

impl TestEnv {
    pub(crate) fn new() -> Self {
        let root = tempfile::Builder::new().prefix("procctl-test-").tempdir().expect("temp dir");
        fs::create_dir(root.path().join("home")).unwrap();
        fs::create_dir(root.path().join("bin")).unwrap();
        // Scripts say `procctl`, as a user would.
        std::os::unix::fs::symlink(PROCCTL, root.path().join("bin/procctl")).unwrap();
        Self { root, leftovers_allowed: None }
    }

    /// This test leaves OS processes behind that `procctl kill --all --tree` is not meant to reach.
    /// They are killed all the same; without this the test would fail for them.
    pub(crate) fn allow_leftovers(&mut self, why: &'static str) {
        self.leftovers_allowed = Some(why);
    }

    /// Whether its files stay when the test ends: somebody will want to look at them.
    pub(crate) fn keep(&mut self, keep: bool) {
        self.root.disable_cleanup(keep);
    }

    /// The test's own directory. The run directory, the home and the scripts are in it.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// A path in the test's own directory.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.root().join(name)
    }

    /// The run directory. It does not exist until procctl makes it.
    pub(crate) fn run_dir(&self) -> PathBuf {
        self.path("run")
    }

    /// Writes a file into the test's own directory.
    pub(crate) fn file(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    /// Any program, in the test's environment and in a process group of its own.
    pub(crate) fn program(&self, program: impl AsRef<OsStr>) -> Call {
        let mut path = self.path("bin").into_os_string();
        if let Some(outer) = std::env::var_os("PATH") {
            path.push(":");
            path.push(outer);
        }
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.path("home"))
            .env("TMPDIR", self.root())
            .env("LC_ALL", "C")
            .env("PROCCTL_RUN_DIR", self.run_dir())
            .current_dir(self.root())
            .process_group(0);
        // Only a procctl that was built with AddressSanitizer knows it.
        if let Some(options) = std::env::var_os("ASAN_OPTIONS") {
            command.env("ASAN_OPTIONS", options);
        }
        Call { command, input: None, deadline: DEADLINE }
    }

    /// `procctl ARG...`, whose caller is the test process itself.
    pub(crate) fn procctl<I, S>(&self, args: I) -> Call
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.program(PROCCTL).args(args)
    }

    /// Runs `procctl ARG...`, which must succeed without a word on stderr; its stdout without the last newline.
    pub(crate) fn ok<I, S>(&self, args: I) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.procctl(args).output().success()
    }

    /// Runs `procctl ARG...`, which must fail with `code`, one `procctl: …` error that contains every one of
    /// `words`, and nothing on stdout. Returns what was said.
    pub(crate) fn refused<I, S>(&self, args: I, code: i32, words: &[&str]) -> String
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.procctl(args).output().refused(code, words)
    }

    /// Runs `procctl ARG...` and reads its stdout as JSON.
    pub(crate) fn json<I, S>(&self, args: I) -> Value
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        let text = self.ok(args);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error} in {text:?}"))
    }

    /// Starts `sleep 1000` with more options before the `--`; its id.
    pub(crate) fn sleeper(&self, options: &[&str]) -> String {
        self.start(options, &["sleep", "1000"])
    }

    /// `procctl start OPTIONS -- COMMAND`; its id.
    pub(crate) fn start(&self, options: &[&str], command: &[&str]) -> String {
        let mut args = vec!["start"];
        args.extend(options);
        args.push("--");
        args.extend(command);
        self.ok(args)
    }

    /// Starts a bash script and waits until it has said `ready` (it must `echo ready` when it is); its id.
    /// For scripts that set a trap first: a signal sent before the trap is set would be another test.
    pub(crate) fn start_ready(&self, options: &[&str], script: &str) -> String {
        let id = self.start(options, &["bash", "-c", script]);
        eventually("the script says ready", || {
            self.ok(["logs", &id]).lines().any(|line| line == "ready").then_some(())
        });
        id
    }

    /// Joins `reference` whatever it exited with; that code.
    pub(crate) fn join(&self, reference: &str) -> i32 {
        let output = self.procctl(["join", reference]).output();
        output.quiet();
        output.code()
    }

    /// `procctl get REF FIELD`, as text.
    pub(crate) fn get(&self, reference: &str, field: &str) -> String {
        self.ok(["get", reference, field])
    }

    /// The whole record.
    pub(crate) fn record(&self, reference: &str) -> Value {
        self.json(["get", reference])
    }

    /// The records of everything in the run directory.
    pub(crate) fn status(&self) -> Vec<Value> {
        match self.json(["status", "--json"]) {
            Value::Array(rows) => rows,
            other => panic!("not an array: {other}"),
        }
    }

    /// The pid of a process, from its record.
    pub(crate) fn pid(&self, reference: &str) -> i32 {
        self.get(reference, "pid").parse().expect("a pid")
    }

    /// The pid of a process's monitor, from its record.
    pub(crate) fn monitor_pid(&self, reference: &str) -> i32 {
        self.get(reference, "monitor.pid").parse().expect("a pid")
    }

    /// KiB that no file is behind. Shared with other monitors or not: the last that lives has it alone.
    pub(crate) fn anonymous_memory_of_monitor(&self, reference: &str) -> u64 {
        let path = format!("/proc/{}/smaps_rollup", self.monitor_pid(reference));
        let rollup = fs::read_to_string(path).expect("a monitor");
        let line = rollup.lines().find(|line| line.starts_with("Anonymous:")).expect("a line");
        line.split_whitespace().nth(1).expect("a number").parse().expect("a number")
    }

    /// A script in a file of its own, so that no shell turns its last command into an exec, and the caller of its
    /// procctl commands is the shell.
    pub(crate) fn script(&self, shell: Shell, text: &str) -> Call {
        static NUMBER: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let number = NUMBER.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let file = self.file(&format!("script-{number}"), format!("{text}\n"));
        let call = self.program(shell.name());
        let call = if shell == Shell::Zsh { call.arg("-f") } else { call };
        call.arg(file)
    }

    /// A new gate.
    pub(crate) fn gate(&self, name: &str) -> Gate {
        let path = self.path(name);
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        Gate(path)
    }

    /// A bash script; see `script`.
    pub(crate) fn bash(&self, text: &str) -> Call {
        self.script(Shell::Bash, text)
    }

    /// A bash script that finds the run directory read-only, and nothing but the script does. None if that can't be had.
    pub(crate) fn bash_read_only(&self, text: &str) -> Option<Call> {
        let run = self.run_dir();
        let run = run.display();
        if !is_root() {
            let script = format!("chmod -R a-w {run}; {text}\ncode=$?; chmod -R u+w {run}; exit $code");
            return Some(self.bash(&script));
        }
        // Modes do not keep root from writing: a read-only mount does.
        let script = format!("mount --bind {run} {run}; mount -o remount,ro,bind {run}\n{text}");
        installed("unshare").then(|| self.program("unshare").args(["--mount", "bash", "-c", &script]))
    }

    /// A Python program.
    pub(crate) fn python(&self, text: &str) -> Call {
        self.program(python()).args(["-c", text])
    }

    /// Every OS process that the test started: the test's own directory occurs in its environment, or, for a monitor,
    /// which may have written its title over that, among its open files.
    pub(crate) fn os_processes(&self) -> Vec<i32> {
        let own = i32::try_from(std::process::id()).unwrap();
        let entries = fs::read_dir("/proc").unwrap().flatten();
        entries
            .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
            .filter(|&pid| pid != own && self.is_ours(pid))
            .collect()
    }

    /// Not if it is gone, a zombie, or another user's.
    fn is_ours(&self, pid: i32) -> bool {
        // Whatever another test has forked holds what this one had open just then, until the exec. Asked first: what is held
        // after that is its own.
        let program = |pid: &dyn Display| fs::read_link(format!("/proc/{pid}/exe")).ok();
        if program(&pid) == program(&"self") {
            return false;
        }
        let needle = self.root().as_os_str().as_bytes();
        let named = fs::read(format!("/proc/{pid}/environ"))
            .is_ok_and(|environ| environ.windows(needle.len()).any(|part| part == needle));
        named
            || fs::read_dir(format!("/proc/{pid}/fd")).is_ok_and(|fds| {
                fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|to| to.starts_with(self.root())))
            })
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        if self.os_processes().is_empty() {
            return;
        }
        let _ = self.procctl(["kill", "--all", "--tree", "--wait"]).try_output();
        // Monitors and whoever was joining need a moment to see the end.
        let empty_by = Instant::now() + DEADLINE / 4;
        while !self.os_processes().is_empty() && Instant::now() < empty_by {
            thread::sleep(LOOK);
        }
        let left: Vec<String> = self.os_processes().into_iter().map(describe).collect();
        let dead_by = Instant::now() + DEADLINE;
        loop {
            let alive = self.os_processes();
            if alive.is_empty() || Instant::now() > dead_by {
                break;
            }
            for pid in alive {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
            thread::sleep(LOOK);
        }
        assert!(
            left.is_empty() || self.leftovers_allowed.is_some() || thread::panicking(),
            "left behind by the test, or not reached by kill --all --tree: {left:#?}"
        );
    }
}

/// Something a script waits at until the test lets it go on: once, for a FIFO that is used again may still be open from
/// before.
pub(crate) struct Gate(PathBuf);

impl Gate {
    /// The shell command that waits at it. Its name may not need quoting.
    pub(crate) fn wait(&self) -> String {
        format!("read -r _ < {}", self.0.display())
    }

    /// The FIFO.
    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    /// Waits until somebody waits at it, and lets that one go on.
    pub(crate) fn open(&self) {
        let mut pipe = eventually("somebody waits at the gate", || {
            fs::OpenOptions::new()
                .write(true)
                .custom_flags(nix::fcntl::OFlag::O_NONBLOCK.bits())
                .open(&self.0)
                .ok()
        });
        pipe.write_all(b"go\n").unwrap();
    }
}

/// A shell that scripts are written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shell {
    Bash,
    Dash,
    Zsh,
}

impl Shell {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Dash => "dash",
            Self::Zsh => "zsh",
        }
    }

    /// Those of the three that are installed.
    pub(crate) fn installed() -> impl Iterator<Item = Self> {
        [Self::Bash, Self::Dash, Self::Zsh].into_iter().filter(|shell| installed(shell.name()))
    }
}

/// Is there a program of that name in PATH?
pub(crate) fn installed(program: &str) -> bool {
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).is_file()))
}

/// Can strace be used here? Says so when it cannot.
pub(crate) fn can_trace(env: &TestEnv) -> bool {
    let can = installed("strace")
        && env.program("strace").args(["-c", "-o", "/dev/null", "true"]).output().status.success();
    if !can {
        skipped("strace is not installed, or may not trace");
    }
    can
}

/// The Python interpreter itself: what stands in PATH may be a wrapper that needs the user's own home.
pub(crate) fn python() -> &'static OsStr {
    static PYTHON: OnceLock<OsString> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let output = Command::new("python3")
            .args(["-c", "import sys; print(sys.executable)"])
            .output()
            .expect("the tests need python3");
        assert!(output.status.success(), "python3: {output:?}");
        OsStr::from_bytes(output.stdout.trim_ascii_end()).to_owned()
    })
}

/// Is the test run by root? Some promises can be seen by root alone, others not by root.
pub(crate) fn is_root() -> bool {
    // The effective user owns it.
    fs::metadata("/proc/self").unwrap().uid() == 0
}

/// Says on the terminal that a test was not made, and why: a skipped test must not look like a passed one.
pub(crate) fn skipped(why: &str) {
    // Not eprintln!: the test runner keeps to itself what a passing test prints with that.
    let test = thread::current();
    let test = test.name().unwrap_or("a test");
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// One call of a program that is yet to be made.
pub(crate) struct Call {
    command: Command,
    input: Option<Vec<u8>>,
    deadline: Duration,
}

impl Call {
    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<I, S>(mut self, args: I) -> Self
    where
        I: IntoIterator<Item = S>,
        S: AsRef<OsStr>,
    {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.command.env(key, value);
        self
    }

    pub(crate) fn env_remove(mut self, key: &str) -> Self {
        self.command.env_remove(key);
        self
    }

    pub(crate) fn cwd(mut self, dir: impl AsRef<Path>) -> Self {
        self.command.current_dir(dir);
        self
    }

    /// What it reads on stdin. Without it stdin is /dev/null.
    pub(crate) fn input(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.input = Some(bytes.as_ref().to_vec());
        self
    }

    pub(crate) fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// The bare command, for what needs other streams.
    pub(crate) fn into_command(self) -> Command {
        self.command
    }

    /// Runs it to its end, and to the end of its output: a stream that somebody else still holds open is an overrun.
    pub(crate) fn output(self) -> Output {
        self.spawn().wait()
    }

    /// As `output`, for a caller that must not panic.
    fn try_output(self) -> Result<Output, String> {
        self.spawn().try_wait()
    }

    /// Lets it run beside the test.
    pub(crate) fn spawn(mut self) -> Running {
        let what = format!("{:?}", self.command);
        self.command
            .stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{what}: {error}"));
        if let (Some(bytes), Some(mut pipe)) = (self.input, child.stdin.take()) {
            // Who does not read its input gets EPIPE here: its own affair.
            thread::spawn(move || pipe.write_all(&bytes));
        }
        Running {
            stdout: drain(child.stdout.take()),
            stderr: drain(child.stderr.take()),
            child,
            what,
            deadline: Instant::now() + self.deadline,
        }
    }
}

/// Reads a stream to its end in a thread, so that nobody who fills one pipe is kept waiting by the other.
fn drain(stream: Option<impl Read + Send + 'static>) -> Receiver<Vec<u8>> {
    let (sender, receiver) = channel();
    let mut stream = stream.expect("piped");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = stream.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    receiver
}

/// A program that runs beside the test. Killed, with its process group, when dropped.
pub(crate) struct Running {
    child: Child,
    stdout: Receiver<Vec<u8>>,
    stderr: Receiver<Vec<u8>>,
    what: String,
    deadline: Instant,
}

impl Running {
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Signals the program alone.
    pub(crate) fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Signals its whole process group, as a terminal would.
    pub(crate) fn signal_group(&self, signal: Signal) {
        killpg(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// Has it not ended yet?
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits until it sleeps in the kernel: whatever it had to do before it blocks, it has done.
    pub(crate) fn wait_until_blocked(&mut self) {
        let pid = self.pid();
        let what = self.what.clone();
        // One look may hit a page fault or a read of /proc: several in a row may not.
        let mut in_a_row = 0;
        eventually(&format!("{what} blocks"), || {
            assert!(self.is_running(), "{what} ended, it did not block");
            in_a_row = if proc_state(pid) == Some('S') { in_a_row + 1 } else { 0 };
            (in_a_row >= 10).then_some(())
        });
    }

    /// Waits for its end, and for the end of its output. Fails the test when the deadline passes.
    pub(crate) fn wait(self) -> Output {
        self.try_wait().unwrap_or_else(|overrun| panic!("{overrun}"))
    }

    fn try_wait(mut self) -> Result<Output, String> {
        let status = loop {
            if let Some(status) = self.child.try_wait().map_err(|error| error.to_string())? {
                break status;
            }
            if Instant::now() > self.deadline {
                let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
                return Err(format!(
                    "{} did not end in time\nstdout: {}\nstderr: {}",
                    self.what,
                    so_far(&self.stdout),
                    so_far(&self.stderr)
                ));
            }
            thread::sleep(Duration::from_millis(1));
        };
        let stdout = self.rest("stdout", &self.stdout)?;
        let stderr = self.rest("stderr", &self.stderr)?;
        Ok(Output { status, stdout, stderr, what: self.what.clone() })
    }

    fn rest(&self, name: &str, stream: &Receiver<Vec<u8>>) -> Result<Vec<u8>, String> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        match stream.recv_timeout(left.max(Duration::from_secs(1))) {
            Ok(bytes) => Ok(bytes),
            Err(RecvTimeoutError::Timeout) => {
                Err(format!("{} ended, but somebody still holds its {name} open", self.what))
            }
            Err(RecvTimeoutError::Disconnected) => Err(format!("{}: lost its {name}", self.what)),
        }
    }
}

/// What a killed program had said.
fn so_far(stream: &Receiver<Vec<u8>>) -> String {
    // Its group was just killed, so the stream ends, unless somebody else holds it.
    let bytes = stream.recv_timeout(Duration::from_secs(1)).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            let _ = killpg(Pid::from_raw(self.pid()), Signal::SIGKILL);
            let _ = self.child.wait();
        }
    }
}

/// What a program did.
pub(crate) struct Output {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: Vec<u8>,
    what: String,
}

impl Output {
    /// Its exit status; a death by signal fails the test.
    #[track_caller]
    pub(crate) fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("{self:?}"))
    }

    /// The signal that ended it, if one did.
    pub(crate) fn signal(&self) -> Option<i32> {
        self.status.signal()
    }

    /// Stdout as text, without the last newline.
    #[track_caller]
    pub(crate) fn stdout(&self) -> String {
        text(&self.stdout)
    }

    /// Stderr as text, without the last newline.
    #[track_caller]
    pub(crate) fn stderr(&self) -> String {
        text(&self.stderr)
    }

    /// It must have ended with `code`.
    #[track_caller]
    pub(crate) fn exits(&self, code: i32) -> &Self {
        assert!(self.status.code() == Some(code), "wanted exit {code}: {self:?}");
        self
    }

    /// It must have said nothing on stderr.
    #[track_caller]
    pub(crate) fn quiet(&self) -> &Self {
        assert!(self.stderr.is_empty(), "unexpected stderr: {self:?}");
        self
    }

    /// It must have ended with 0 and said nothing on stderr; its stdout.
    #[track_caller]
    pub(crate) fn success(&self) -> String {
        self.exits(0).quiet().stdout()
    }

    /// It must have ended with `code`, one clear error that contains every one of `words`, and no answer.
    #[track_caller]
    pub(crate) fn refused(&self, code: i32, words: &[&str]) -> String {
        self.exits(code);
        assert!(self.stdout.is_empty(), "an answer and an error: {self:?}");
        self.one_error(words)
    }

    /// It must have said one error, in the form of all procctl errors, that contains every one of `words`.
    #[track_caller]
    pub(crate) fn one_error(&self, words: &[&str]) -> String {
        let said = self.stderr();
        let errors = said.lines().filter(|line| line.starts_with("procctl: "));
        assert!(errors.count() == 1, "wanted one error: {self:?}");
        let first = said.lines().next().unwrap_or_default();
        assert!(
            first.starts_with("procctl: ") && (!first.ends_with('.') || first.ends_with("...")),
            "not in the form of an error: {self:?}"
        );
        assert!(
            !said.chars().any(|c| c.is_control() && c != '\n'),
            "control characters in an error: {self:?}"
        );
        for word in words {
            assert!(said.contains(word), "the error does not say {word:?}: {self:?}");
        }
        said
    }
}

impl Debug for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}\n  {}\n  stdout: {:?}\n  stderr: {:?}",
            self.what,
            self.status,
            String::from_utf8_lossy(&self.stdout),
            String::from_utf8_lossy(&self.stderr)
        )
    }
}

#[track_caller]
fn text(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes)
        .unwrap_or_else(|_| panic!("not UTF-8: {}", String::from_utf8_lossy(bytes)));
    text.strip_suffix('\n').unwrap_or(text).to_owned()
}

/// Looks until `condition` gives something, and gives that. Only for what cannot be awaited.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "not in time: {what}");
        thread::sleep(LOOK);
    }
}

/// The state letter of an OS process (`R`, `S`, `T`, `Z`, …); none if there is no such process.
pub(crate) fn proc_state(pid: i32) -> Option<char> {
    proc_stat(pid)?.first()?.chars().next()
}

/// The fields of /proc/PID/stat after the command name: `[0]` is the state, `[1]` the OS parent, `[2]` the process
/// group, `[3]` the session.
pub(crate) fn proc_stat(pid: i32) -> Option<Vec<String>> {
    let stat = fs::read(format!("/proc/{pid}/stat")).ok()?;
    let stat = String::from_utf8_lossy(&stat);
    let (_, fields) = stat.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// A field of /proc/PID/status, as `SigBlk` or `Threads`.
pub(crate) fn proc_status(pid: i32, field: &str) -> Option<String> {
    let status = fs::read(format!("/proc/{pid}/status")).ok()?;
    let status = String::from_utf8_lossy(&status);
    status.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key == field).then(|| value.trim().to_owned())
    })
}

/// The open descriptors of an OS process and where they lead, in order of number.
pub(crate) fn proc_fds(pid: i32) -> Vec<(i32, PathBuf)> {
    let mut fds: Vec<(i32, PathBuf)> = fs::read_dir(format!("/proc/{pid}/fd"))
        .unwrap_or_else(|error| panic!("the descriptors of {pid}: {error}"))
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let number = entry.file_name().to_str()?.parse().ok()?;
            Some((number, fs::read_link(entry.path()).ok()?))
        })
        .collect();
    fds.sort();
    fds
}

/// No such OS process, or a zombie.
pub(crate) fn is_gone(pid: i32) -> bool {
    matches!(proc_state(pid), None | Some('Z' | 'X'))
}

/// One line about an OS process, for a failure message.
fn describe(pid: i32) -> String {
    let cmdline = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words: Vec<_> = cmdline.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
    format!("{pid} {:?} {}", proc_state(pid), words.join(" "))
}

#[test]
fn what_another_test_has_just_forked_is_not_ours() {
    let env = TestEnv::new();
    let _held_until_the_exec = fs::File::open(env.root()).unwrap();
    let another = thread::spawn(|| {
        for _ in 0..500 {
            Command::new("true").status().unwrap();
        }
    });
    while !another.is_finished() {
        assert_eq!(env.os_processes(), [0; 0]);
    }
    another.join().unwrap();
}
