//! `status --watch`: every change of state as it happens, in place on a terminal, a block each elsewhere.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::{DEADLINE, Output, TestEnv, eventually, installed, proc_state, proc_status, skipped};
use crate::support::{Held, Worker, kill_monitor};

/// A watch whose output is read line by line.
struct Watch {
    child: Child,
    lines: Receiver<String>,
}

impl Watch {
    fn start(env: &TestEnv, args: &[&str]) -> Self {
        let mut command: Command = env.procctl(["status"]).args(args).into_command();
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(DEADLINE).expect("a line in time")
    }

    /// The first JSON array, from now on, that is as wanted; and how many there were.
    #[track_caller]
    fn until(&self, what: &str, wanted: impl Fn(&[Value]) -> bool) -> (Vec<Value>, usize) {
        let deadline = Instant::now() + DEADLINE;
        let mut last = None;
        for count in 1.. {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else { break };
            let rows: Vec<Value> = serde_json::from_str(&line).unwrap();
            if wanted(&rows) {
                return (rows, count);
            }
            last = Some(rows);
        }
        panic!("not in time: {what}; last: {last:?}");
    }

    /// The state of the one process that there is.
    #[track_caller]
    fn until_state(&self, state: &str) -> Value {
        let one = |rows: &[Value]| matches!(rows, [row] if row["state"] == state);
        self.until(state, one).0.remove(0)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const JSON: &[&str] = &["--json", "--watch=1h"];

#[test]
fn each_change_is_a_line_of_json_as_it_happens() {
    let env = TestEnv::new();
    let watch = Watch::start(&env, JSON);
    // There is no run directory yet, nor what it is in.
    assert_eq!(watch.line(), "[]");
    let id = env.ok(["create", "-n", "one", "--", "sh", "-c", "read -r x < gate; exit 3"]);
    assert_eq!(watch.until_state("initial")["id"], json!(id));
    let gate = env.gate("gate");
    env.ok(["start", "one"]);
    assert_eq!(watch.until_state("started")["pid"], json!(env.pid(&id)));
    env.ok(["set", &id, "name=two"]);
    watch.until("its new name", |rows| rows[0]["name"] == "two");
    gate.open();
    assert_eq!(watch.until_state("stopped")["exitcode"], json!(3));
    assert_eq!(env.join(&id), 3);
    env.ok(["close", &id]);
    watch.until("nothing", <[Value]>::is_empty);
    // In a folder that is new, and one that is not: an id is chance.
    for count in 1..=5 {
        env.sleeper(&[]);
        watch.until("another one", |rows| {
            rows.len() == count && rows.iter().all(|row| row["state"] == "started")
        });
    }
    env.ok(["kill", "--all", "--wait"]);
    watch.until("all ended", |rows| rows.iter().all(|row| row["exitcode"] == -9));
}

#[test]
fn what_was_there_before_is_watched_too() {
    let env = TestEnv::new();
    let initial = env.ok(["create", "--", "true"]);
    let worker = Worker::start(&env, &[]);
    let ended = env.start(&[], &["true"]);
    env.ok(["join", &ended]);
    let watch = Watch::start(&env, JSON);
    watch.until("all three", |rows| rows.len() == 3);
    worker.exit(5);
    watch.until("the end", |rows| rows.iter().any(|row| row["exitcode"] == 5));
    env.ok(["start", &initial]);
    watch.until("both", |rows| rows.iter().all(|row| row["state"] == "stopped"));
    env.ok(["close", &ended]);
    watch.until("one less", |rows| rows.len() == 2);
}

#[test]
fn of_many_changes_none_is_lost_and_not_each_is_a_look() {
    let env = TestEnv::new();
    let watch = Watch::start(&env, JSON);
    watch.line();
    let begin = Instant::now();
    env.bash("for n in $(seq 60); do procctl start -- true >/dev/null & done; wait").output().success();
    let (_, count) = watch.until("all", |rows| {
        rows.len() == 60 && rows.iter().all(|row| row["state"] == "stopped" && row["exitcode"] == 0)
    });
    let most = begin.elapsed().as_millis() / 100 + 2;
    assert!(count as u128 <= most, "{count} looks, {most} at most");
    env.ok(["close", "--all"]);
    watch.until("nothing", <[Value]>::is_empty);
}

#[test]
fn the_end_of_a_process_whose_monitor_was_killed_is_told() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let watch = Watch::start(&env, JSON);
    watch.until_state("started");
    let process = Held::open(env.pid(&worker.id));
    kill_monitor(&env, &worker.id);
    // It is given a new one, as by any command that looks.
    watch.until("the new monitor", |rows| rows[0]["monitor"]["adopted"] == true);
    worker.exit(4);
    process.wait_reaped();
    let row = watch.until_state("stopped");
    if crate::support::kernel_tells_exit_codes() {
        assert_eq!(row["exitcode"], json!(4));
    }
    // The new monitor was a child of the watch, which must not keep its zombie.
    let children = format!("/proc/{0}/task/{0}/children", watch.pid());
    eventually("no zombie is left", || {
        let children = fs::read_to_string(&children).unwrap();
        let is_zombie = |pid: &str| proc_state(pid.parse().unwrap()) == Some('Z');
        (!children.split_whitespace().any(is_zombie)).then_some(())
    });
}

#[test]
fn it_does_not_wake_up_while_nothing_happens() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    env.ok(["create", "--", "true"]);
    let watch = Watch::start(&env, JSON);
    watch.line();
    let switches = || proc_status(watch.pid(), "voluntary_ctxt_switches").unwrap();
    // The first look may be followed by one more, for what happened meanwhile.
    let before = eventually("it sleeps", || {
        let before = switches();
        thread::sleep(Duration::from_millis(300));
        (switches() == before).then_some(before)
    });
    // Looks of others, and other run directories, are no changes.
    let other = TestEnv::new();
    for _ in 0..5 {
        other.sleeper(&[]);
        env.ok(["status"]);
    }
    thread::sleep(Duration::from_millis(500));
    assert_eq!(switches(), before);
}

#[test]
fn live_figures_are_no_change_of_state() {
    let env = TestEnv::new();
    let busy = env.start(&["-n", "busy"], &["sh", "-c", "while :; do :; done"]);
    let watch = Watch::start(&env, &["--watch=50ms"]);
    let heading = watch.line();
    for word in ["ID", "CPU%", "RSS", "COMMAND"] {
        assert!(heading.contains(word), "{heading}");
    }
    assert!(watch.line().contains(&busy));
    // Many times T.
    assert_eq!(watch.lines.recv_timeout(Duration::from_millis(500)), Err(RecvTimeoutError::Timeout));
    env.ok(["kill", "busy"]);
    assert_eq!(watch.line(), "");
    assert!(watch.line().starts_with("ID"));
    assert!(watch.line().contains("stopped[SIGKILL]"));
}

#[test]
fn the_share_of_the_cpu_is_a_column_and_can_be_sorted_by() {
    let env = TestEnv::new();
    let ended = env.start(&["-n", "ended"], &["true"]);
    env.ok(["join", &ended]);
    env.sleeper(&["-n", "idle"]);
    env.start(&["-n", "busy"], &["sh", "-c", "while :; do :; done"]);
    eventually("the busy one comes first", || {
        let table = env.ok(["status", "--columns=name,cpu%", "--sort=-cpu%"]);
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[0], ["NAME", "CPU%"]);
        assert!(rows.contains(&vec!["ended", "-"]), "{table}");
        let share = rows[1][1].parse::<f64>().ok()?;
        (rows[1][0] == "busy" && share > 1.0).then_some(())
    });
}

#[test]
fn filters_pages_and_trees_can_be_watched() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &["-n", "w1"]);
    let other = env.sleeper(&["-n", "x"]);
    let alive = Watch::start(&env, &["--json", "--watch=1h", "--alive", "--name", "w*"]);
    assert_eq!(alive.until("one", |rows| rows.len() == 1).0[0]["id"], json!(worker.id));
    let page = Watch::start(&env, &["w1", "--watch=1h"]);
    assert!(page.line().contains("w1"));
    let tree = Watch::start(&env, &["--tree", "--watch=1h", "--columns=name,state,cpu%"]);
    assert!(tree.line().contains("CPU%"));
    // A word after it is a REF.
    let named = Watch::start(&env, &["--json", "--watch", "w1"]);
    assert_eq!(named.until("one", |rows| rows.len() == 1).0[0]["id"], json!(worker.id));
    worker.exit(7);
    alive.until("none", <[Value]>::is_empty);
    let until = |watch: &Watch, word: &str| while !watch.line().contains(word) {};
    until(&page, "7");
    until(&tree, "stopped[7]");
    named.until("the end", |rows| rows[0]["exitcode"] == 7);
    // Others' changes are none of its.
    env.ok(["kill", "--wait", &other]);
    assert_eq!(named.lines.recv_timeout(Duration::from_millis(300)), Err(RecvTimeoutError::Timeout));
}

#[test]
fn a_run_directory_that_goes_and_comes_back_is_watched() {
    let env = TestEnv::new();
    let id = env.start(&[], &["true"]);
    env.ok(["join", &id]);
    let watch = Watch::start(&env, JSON);
    watch.until_state("stopped");
    fs::remove_dir_all(env.run_dir()).unwrap();
    watch.until("nothing", <[Value]>::is_empty);
    env.sleeper(&[]);
    watch.until_state("started");
    // Below something that is not there either.
    let deep = env.path("a/b/c");
    let deep = deep.to_str().unwrap();
    let watch = Watch::start(&env, &["--run-dir", deep, "--json", "--watch=1h"]);
    assert_eq!(watch.line(), "[]");
    fs::create_dir(env.path("a")).unwrap();
    let worker = Worker::start_in(&env, &env.path("a/b/c"), &[]);
    watch.until_state("started");
    worker.exit(0);
    watch.until_state("stopped");
}

#[test]
fn a_reader_that_has_gone_away_ends_it_at_once() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    for json in ["", "--json"] {
        let output = env.bash(&format!("procctl status {json} --watch=1h | head -n 1")).output();
        assert!(!output.success().is_empty());
    }
}

#[test]
fn what_is_asked_wrongly_is_an_error() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "w"]);
    env.refused(["status", "--watch=0"], 125, &["--watch", "zero"]);
    env.refused(["status", "--watch=soon"], 125, &["procctl: --watch: 'soon' is not a time"]);
    env.refused(["status", "--watch", "nobody"], 125, &["nobody"]);
    // It may have been meant as the time, or as a pid.
    env.refused(["status", "--watch", "5"], 125, &["pid 5", "--watch=5"]);
    env.refused(["status", "--watch", "--run-dir", "/dev/null"], 125, &["/dev/null"]);
}

/// A Python program that watches in a terminal of 80 × 8, and what it may use.
fn in_terminal(env: &TestEnv, program: &str) -> Output {
    let prelude = r#"
import fcntl, os, pty, re, select, signal, struct, sys, termios, time

def size(terminal, lines):
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, 80, 0, 0))

class Watch:
    def __init__(self, *args, stdin=None):
        self.seen = ""
        go = os.pipe()
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.read(go[0], 1)
            if stdin:
                os.dup2(os.open(stdin, os.O_RDONLY), 0)
            os.environ["TERM"] = "xterm"
            os.execvp("procctl", ["procctl", "status", *args])
        size(self.terminal, 8)
        self.modes = termios.tcgetattr(self.terminal)
        os.write(go[1], b"x")

    def read(self):
        if not select.select([self.terminal], [], [], 20)[0]:
            sys.exit(f"nothing more in time: {self.seen!r}")
        try:
            self.seen += os.read(self.terminal, 10000).decode()
            return True
        except OSError:
            return False

    def until(self, word):
        while word not in self.seen:
            if not self.read():
                sys.exit(f"it ended without {word!r}: {self.seen!r}")

    def again(self, word):
        self.seen = ""
        self.until(word)

    def press(self, keys):
        os.write(self.terminal, keys)

    def is_as_before(self):
        now = termios.tcgetattr(self.terminal)
        assert now == self.modes, (now, self.modes)

    def end(self):
        while self.read():
            pass
        _, status = os.waitpid(self.pid, 0)
        # Another screen, no cursor, no wrapping: each was taken back, in the end.
        for mode in ("1049", "25", "7"):
            on, off = ("h", "l") if mode == "1049" else ("l", "h")
            assert self.seen.rfind(f"\x1b[?{mode}{off}") > self.seen.rfind(f"\x1b[?{mode}{on}"), self.seen
        return status
"#;
    env.python(&format!("{prelude}\n{program}")).output()
}

#[test]
fn on_a_terminal_it_is_redrawn_in_place_until_q() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "one"]);
    in_terminal(
        &env,
        r#"
import subprocess
watch = Watch("--watch=1h")
watch.until("sleep 1000")
assert watch.seen.startswith("\x1b[?1049h"), watch.seen
assert "1 of 1 alive" in watch.seen and "every 1h" in watch.seen, watch.seen
subprocess.run(["procctl", "start", "-n", "two", "--", "sleep", "1001"], check=True, stdout=subprocess.DEVNULL)
watch.again("sleep 1001")
# Only what is new was sent.
assert "2 of 2 alive" in watch.seen and "COMMAND" not in watch.seen, watch.seen
assert "\x1b[J" not in watch.seen and "\n" not in watch.seen, watch.seen
# Any other key does nothing, a space looks again.
watch.press(b"xyz\x1b[A")
while select.select([watch.terminal], [], [], 1.1)[0]:
    watch.read()
# The clock has moved on meanwhile.
watch.press(b" ")
watch.again("alive at")
watch.press(b"q")
assert watch.end() == 0
"#,
    )
    .success();
}

#[test]
fn the_terminal_is_as_before_on_every_way_out() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "one"]);
    in_terminal(
        &env,
        r#"
def modes_after(do):
    # The modes are read while somebody still holds the terminal.
    watch = Watch("--watch=1h")
    watch.until("sleep 1000")
    holder = os.open(f"/proc/{watch.pid}/fd/1", os.O_RDWR | os.O_NOCTTY)
    assert not termios.tcgetattr(watch.terminal)[3] & termios.ICANON
    do(watch)
    watch.until("\x1b[?1049l")
    _, status = os.waitpid(watch.pid, 0)
    watch.is_as_before()
    os.close(holder)
    for mode, after in (("1049", "l"), ("25", "h"), ("7", "h")):
        assert f"\x1b[?{mode}{after}" in watch.seen[watch.seen.rindex("\x1b[?7h"):]
    return status

assert modes_after(lambda watch: watch.press(b"q")) == 0
for key, number in ((b"\x03", signal.SIGINT), (b"\x1c", signal.SIGQUIT)):
    status = modes_after(lambda watch: watch.press(key))
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == number, status
for number in (signal.SIGTERM, signal.SIGHUP):
    status = modes_after(lambda watch: os.kill(watch.pid, number))
    assert os.WIFSIGNALED(status) and os.WTERMSIG(status) == number, status

# Standard input that is no terminal: no keys, and no modes.
watch = Watch("--watch=1h", stdin="/dev/null")
watch.until("sleep 1000")
assert "^C quits" in watch.seen, watch.seen
watch.is_as_before()
os.kill(watch.pid, signal.SIGTERM)
assert os.WTERMSIG(watch.end()) == signal.SIGTERM
"#,
    )
    .success();
}

#[test]
fn it_can_be_stopped_and_continued_and_the_terminal_resized() {
    let env = TestEnv::new();
    for n in 0..10 {
        env.ok(["create", "-n", &format!("number-{n}"), "--", "true"]);
    }
    in_terminal(
        &env,
        r#"
watch = Watch("--watch=1h")
# A head, the headings, five rows.
watch.until("… 5 more")
assert "number-4" in watch.seen and "number-5" not in watch.seen, watch.seen
size(watch.terminal, 5)
watch.again("… 8 more")
size(watch.terminal, 40)
watch.again("number-9")
assert "more" not in watch.seen, watch.seen
for by_key in (True, False):
    if by_key:
        watch.press(b"\x1a")
    else:
        os.kill(watch.pid, signal.SIGSTOP)
    _, status = os.waitpid(watch.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status), status
    if by_key:
        watch.is_as_before()
    # The shell may leave other modes behind.
    termios.tcsetattr(watch.terminal, termios.TCSANOW, watch.modes)
    os.kill(watch.pid, signal.SIGCONT)
    watch.again("number-9")
    while termios.tcgetattr(watch.terminal)[3] & termios.ICANON:
        watch.read()
watch.press(b"q")
assert watch.end() == 0
"#,
    )
    .success();
}

#[test]
fn errors_and_names_do_not_spoil_the_picture() {
    let env = TestEnv::new();
    env.start(&["-n", "w"], &["true", "\x1b[2J"]);
    env.ok(["join", "w"]);
    in_terminal(
        &env,
        r#"
import subprocess
watch = Watch("--watch=1h", "--no-trunc", "w")
watch.until("\\x1b[2J")
subprocess.run(["procctl", "close", "w"], check=True)
# It goes on: there may be another one.
watch.again("procctl: ")
subprocess.run(["procctl", "start", "-n", "w", "--", "sleep", "1002"], check=True, stdout=subprocess.DEVNULL)
watch.again("sleep 1002")
watch.press(b"q")
assert watch.end() == 0
"#,
    )
    .success();
}

#[test]
fn it_works_in_a_real_terminal_emulator() {
    if !installed("tmux") {
        return skipped("tmux is not installed");
    }
    let env = TestEnv::new();
    env.sleeper(&["-n", "one"]);
    let tmux = |args: &[&str]| env.program("tmux").args(["-S", "socket"]).args(args).output().success();
    tmux(&["-f", "/dev/null", "new-session", "-d", "-x", "90", "-y", "10", "exec bash --norc"]);
    let seen = |what: &str, wanted: &dyn Fn(&str) -> bool| {
        eventually(what, || Some(tmux(&["capture-pane", "-p"])).filter(|seen| wanted(seen)))
    };
    tmux(&["send-keys", "echo be''fore; procctl status --watch", "Enter"]);
    let screen = seen("the picture", &|seen| seen.contains("sleep 1000"));
    assert!(!screen.contains("before"), "{screen}");
    let id = env.sleeper(&["-n", "two"]);
    seen("the other one", &|seen| seen.contains(&id));
    env.ok(["kill", "--wait", "two"]);
    seen("its end", &|seen| seen.contains("stopped[SIGKILL]"));
    tmux(&["send-keys", "q"]);
    let screen = seen("the shell", &|seen| seen.contains("before"));
    assert!(!screen.contains("sleep 1000"), "{screen}");
    tmux(&["kill-server"]);
}
