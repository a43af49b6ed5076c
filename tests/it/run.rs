//! `run`: in the foreground, as if procctl were not there.

use nix::sys::signal::Signal;
use serde_json::json;

use crate::harness::{Shell, TestEnv, eventually, installed, is_root, proc_stat, skipped};

#[test]
fn it_exits_as_the_command_does() {
    let env = TestEnv::new();
    for code in [0, 1, 42, 124, 255] {
        let script = format!("exit {code}");
        env.procctl(["run", "--", "sh", "-c", &script]).output().exits(code).quiet();
    }
}

#[test]
fn a_death_by_signal_is_128_and_the_number() {
    let env = TestEnv::new();
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("USR1", 138)] {
        let script = format!("kill -{signal} $$");
        env.procctl(["run", "-n", signal, "--", "sh", "-c", &script]).output().exits(code);
        assert_eq!(env.get(signal, "exitcode"), (128 - code).to_string());
    }
}

#[test]
fn the_streams_are_the_callers_and_no_id_is_printed() {
    let env = TestEnv::new();
    let output = env.procctl(["run", "--", "sh", "-c", "cat; echo err >&2"]).input("in\n").output();
    output.exits(0);
    assert_eq!(output.stdout(), "in");
    assert_eq!(output.stderr(), "err");
}

#[test]
fn streams_may_be_sent_elsewhere() {
    let env = TestEnv::new();
    let output = env
        .procctl(["run", "-n", "w", "--stdin", "null", "--stdout", "log"])
        .args(["--stderr", "err", "--", "sh", "-c", "cat; echo out; echo err >&2"])
        .input("in\n")
        .output();
    assert_eq!(output.success(), "");
    assert_eq!(env.ok(["logs", "w"]), "out");
    assert_eq!(std::fs::read_to_string(env.path("err")).unwrap(), "err\n");
}

#[test]
fn a_command_that_cannot_be_executed_leaves_no_record() {
    let env = TestEnv::new();
    let plain = env.file("plain", "");
    let plain = plain.to_str().unwrap();
    env.refused(["run", "--", plain], 126, &[plain]);
    env.refused(["run", "--", "no-such-command"], 127, &["no-such-command"]);
    env.refused(["run", "-C", "no/dir", "--", "true"], 125, &["no/dir"]);
    assert!(env.status().is_empty());
}

#[test]
fn it_stays_in_the_callers_process_group_and_session() {
    let env = TestEnv::new();
    let running = env.procctl(["run", "-n", "w", "--", "sleep", "1000"]).spawn();
    eventually("it has started", || env.procctl(["is-alive", "w"]).output().status.success().then_some(()));
    let own = proc_stat(running.pid()).unwrap();
    let process = proc_stat(env.pid("w")).unwrap();
    assert_eq!(process[2], own[2], "process group");
    assert_eq!(process[3], own[3], "session");
    env.ok(["terminate", "w"]);
    running.wait().exits(143);
}

#[test]
fn others_see_it_join_it_and_signal_it() {
    let env = TestEnv::new();
    let running = env.procctl(["run", "-n", "w", "--", "sleep", "1000"]).spawn();
    eventually("it has started", || env.procctl(["is-alive", "w"]).output().status.success().then_some(()));
    assert_eq!(env.get("w", "state"), "started");
    assert_eq!(env.get("w", "parent.pid"), std::process::id().to_string());
    let mut join = env.procctl(["join", "w"]).spawn();
    join.wait_until_blocked();
    env.ok(["interrupt", "w"]);
    join.wait().exits(130);
    running.wait().exits(130);
    assert_eq!(env.record("w")["ended_by"]["action"], json!("interrupt"));
}

#[test]
fn it_forwards_signals_to_the_process() {
    let env = TestEnv::new();
    for signal in ["INT", "TERM", "HUP", "QUIT", "USR1", "USR2"] {
        let script = format!(
            "trap 'kill -9 $!; echo got {signal}; exit 9' {signal}
             sleep 1000 > /dev/null 2>&1 & echo ready > {signal}; wait"
        );
        let running = env.procctl(["run", "-n", signal, "--", "bash", "-c", &script]).spawn();
        eventually("the trap is set", || env.path(signal).exists().then_some(()));
        running.signal(format!("SIG{signal}").parse::<Signal>().unwrap());
        let output = running.wait();
        output.exits(9);
        assert_eq!(output.stdout(), format!("got {signal}"));
    }
}

#[test]
fn a_signal_right_after_the_start_is_forwarded() {
    let env = TestEnv::new();
    // The command signals `run` as its first deed.
    env.file(
        "inner",
        "sleep 1000 > /dev/null 2>&1 &
         trap 'kill -9 $!; exit 9' USR1
         kill -USR1 $1
         wait",
    );
    let output = env
        .bash(
            "for n in {1..60}; do
                 bash -c 'exec procctl run -- bash inner $$ > /dev/null' 2> /dev/null
                 code=$?; test $code = 9 || echo $code
             done 2> /dev/null",
        )
        .output();
    assert_eq!(output.success(), "");
}

#[test]
fn a_forwarded_signal_that_kills_is_reported_as_the_process_ended() {
    let env = TestEnv::new();
    let running = env.procctl(["run", "-n", "w", "--", "sleep", "1000"]).spawn();
    eventually("it has started", || env.procctl(["is-alive", "w"]).output().status.success().then_some(()));
    running.signal(Signal::SIGHUP);
    running.wait().exits(129);
    assert_eq!(env.get("w", "exitcode"), "-1");
}

#[test]
fn a_terminals_interrupt_reaches_the_process_once() {
    let env = TestEnv::new();
    let output = env
        .python(
            "import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp('procctl', ['procctl', 'run', '--', sys.executable, '-u', '-c', '''
import signal, sys, time
count = 0
def handler(*_):
    global count
    count += 1
signal.signal(signal.SIGINT, handler)
print('ready')
while count == 0:
    time.sleep(0.01)
# A second one, sent by procctl, would be here before the answer to a question put to procctl.
import subprocess
subprocess.run(['procctl', 'get', '@self', 'name'], stdout=subprocess.DEVNULL)
time.sleep(0.2)
print('count', count)
'''])
seen = b''
def until(word):
    global seen
    while word not in seen:
        seen += os.read(terminal, 1000)
until(b'ready')
os.write(terminal, b'\\x03')
until(b'count')
until(b'\\n')
_, status = os.waitpid(pid, 0)
try:
    while part := os.read(terminal, 1000):
        seen += part
except OSError:
    pass
print(os.waitstatus_to_exitcode(status))
print(seen.decode().count('count'), 'count 1\\r\\n' in seen.decode())",
        )
        .output();
    assert_eq!(output.success(), "0\n1 True");
}

#[test]
fn a_terminals_suspend_stops_it_and_fg_goes_on() {
    let env = TestEnv::new();
    let output = env
        .python(
            "import os, pty, subprocess, time
shell, terminal = pty.fork()
if shell == 0:
    os.environ.update(PS1='$ ', TERM='dumb')
    os.execvp('bash', ['bash', '--norc', '-i'])
seen = b''
def until(word):
    global seen
    while word not in seen:
        seen += os.read(terminal, 1000)
    seen = seen.split(word, 1)[1]
def procctl(*args):
    return subprocess.run(['procctl', *args], capture_output=True, text=True).stdout.strip()
def state(pid):
    with open(f'/proc/{pid}/stat') as stat:
        return stat.read().rpartition(')')[2].split()[0]
until(b'$ ')
os.write(terminal, b'procctl run -n tty -- sleep 1000\\r')
while procctl('get', 'tty', 'state') != 'started':
    time.sleep(0.01)
pid = procctl('get', 'tty', 'pid')
os.write(terminal, b'\\x1a')
until(b'Stopped')
until(b'$ ')
# The shell was told of procctl: the process may be a little later.
while state(pid) != 'T':
    time.sleep(0.01)
print(procctl('get', 'tty', 'state'), flush=True)
os.write(terminal, b'fg; echo code=$?\\r')
while state(pid) == 'T':
    time.sleep(0.01)
os.write(terminal, b'\\x03')
until(b'code=130')
print(procctl('get', 'tty', 'exitcode'))",
        )
        .output();
    assert_eq!(output.success(), "started\n-2");
}

#[test]
fn no_descriptor_of_the_caller_reaches_the_command() {
    let env = TestEnv::new();
    let script = "exec 3</dev/null 9</dev/null; procctl run -- sh -c 'echo /proc/$$/fd/*'";
    let said = env.bash(script).output().success();
    let mut numbers: Vec<_> = said.split(' ').map(|path| path.rsplit('/').next().unwrap()).collect();
    // The shell's own: it opens the directory, or its script.
    numbers.retain(|number| !["10", "255"].contains(number));
    assert!(!numbers.contains(&"9"), "{said}");
    assert!(numbers.starts_with(&["0", "1", "2"]), "{said}");
}

#[test]
fn after_the_command_it_terminates_daemonic_children_and_joins_the_others() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let script = format!(
        "procctl start -d -n daemonic -- sleep 1000
         procctl start -n other -- bash -c '{}; exit 3'
         exit 7",
        gate.wait()
    );
    let mut running = env.procctl(["run", "-n", "main", "--", "bash", "-c", &script]).spawn();
    eventually("the command has ended", || {
        (env.procctl(["get", "main", "state"]).output().stdout() == "stopped").then_some(())
    });
    assert_eq!(env.join("main"), 7);
    assert_eq!(env.join("daemonic"), 143);
    assert!(running.is_running(), "the other child is still to be joined");
    assert_eq!(env.get("other", "state"), "started");
    gate.open();
    running.wait().exits(7);
    assert_eq!(env.get("other", "exitcode"), "3");
    // `run` and the monitor of the daemonic one both see to it.
    let action = &env.record("daemonic")["ended_by"]["action"];
    assert!([json!("parent-exit"), json!("terminate")].contains(action), "{action}");
}

#[test]
fn it_works_in_every_shell_and_in_pipelines() {
    for shell in Shell::installed() {
        let env = TestEnv::new();
        let said = env
            .script(
                shell,
                "x=$(echo in | procctl run -- tr a-z A-Z | cat)
                 echo \"<$x>\"
                 procctl run -- sh -c 'exit 3' || echo $?
                 if procctl run -- true; then echo yes; fi",
            )
            .output()
            .success();
        assert_eq!(said, "<IN>\n3\nyes", "{shell:?}");
    }
}

#[test]
fn unique_is_refused_before_anything_runs() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "only"]);
    env.refused(["run", "--unique", "-n", "only", "--", "touch", "made"], 125, &["only"]);
    assert!(!env.path("made").exists());
}

#[test]
fn fd_reaches_the_command() {
    let env = TestEnv::new();
    env.file("five", "fifth\n");
    let said = env.bash("exec 5<five; procctl run --fd 5 -- bash -c 'cat <&5'").output().success();
    assert_eq!(said, "fifth");
    env.bash("exec 5<five; procctl run -- bash -c 'cat <&5' 2>/dev/null").output().exits(1);
}

#[test]
fn as_pid_1_of_a_container_it_reaps_orphans() {
    if !is_root() || !installed("unshare") {
        return skipped("it takes root and unshare to make a pid namespace");
    }
    let env = TestEnv::new();
    let output = env
        .program("unshare")
        .args(["--pid", "--fork", "--mount-proc", "procctl", "run", "--"])
        .args([
            "bash",
            "-c",
            "(exec bash -c 'exit 0' & exec bash -c 'sleep 0.05 & exit 0'); sleep 0.1
             for try in {1..500}; do
                 left=
                 for stat in /proc/[0-9]*/stat; do
                     read -r line 2>/dev/null < $stat || continue
                     set -- ${line##*) }
                     case $1 in Z) left=$line ;; esac
                 done
                 test -n \"$left\" || exit 0
                 sleep 0.01
             done
             echo \"$left\"; exit 1",
        ])
        .output();
    assert_eq!(output.success(), "");
}
