//! Every member of `multiprocessing.Process`, and the session of its documentation, next to Python's own.

use serde_json::{Value, json};

use crate::harness::{Output, TestEnv, eventually};

#[test]
fn the_session_of_the_documentation() {
    let env = TestEnv::new();
    let said = env
        .bash(
            "p=$(procctl create -- sleep 1000)
             alive() { procctl is-alive $p && echo True || echo False; }
             procctl status --columns state $p | grep -ow initial; alive
             procctl start $p > started; test \"$(cat started)\" = $p || echo other
             procctl status --columns state $p | grep -ow started; alive
             procctl terminate $p
             procctl join $p; echo $?
             procctl status --columns state $p | grep -oF 'stopped[SIGTERM]'; alive
             procctl get $p exitcode",
        )
        .output()
        .success();
    assert_eq!(said, "initial\nFalse\nstarted\nTrue\n143\nstopped[SIGTERM]\nFalse\n-15");
}

/// What Python prints of a process is what procctl's record says of the same one.
#[test]
fn attributes_come_out_as_in_python() {
    let env = TestEnv::new();
    let script = "
import json, multiprocessing, os, signal, subprocess, sys, time

def nap():
    time.sleep(1000)

class Theirs:
    def __init__(self):
        self.p = multiprocessing.get_context('fork').Process(target=nap)
    def look(self):
        p = self.p
        # A process of the fork context is ForkProcess-1.
        return [p.name.replace('Fork', ''), p.daemon, p.is_alive(), p.pid is None, p.exitcode]
    def start(self): self.p.start()
    def terminate(self): self.p.terminate()
    def join(self, timeout=None): self.p.join(timeout)
    def rename(self, name): self.p.name = name
    def close(self): self.p.close()

class Ours:
    def __init__(self):
        self.id = self.run('create', '--', 'sleep', '1000')
    def run(self, *args, codes=(0,)):
        done = subprocess.run(['procctl', *args], capture_output=True, text=True)
        assert done.returncode in codes, done
        return done.stdout.strip()
    def look(self):
        alive = subprocess.run(['procctl', 'is-alive', self.id]).returncode == 0
        r = json.loads(self.run('get', self.id))
        return [r['name'], r['daemon'], alive, r['pid'] is None, r['exitcode']]
    def start(self): self.run('start', self.id)
    def terminate(self): self.run('terminate', self.id)
    def join(self, timeout=None):
        options = [] if timeout is None else [f'--timeout={timeout}']
        self.run('join', self.id, *options, codes=(124, 143))
    def rename(self, name): self.run('set', self.id, f'name={name}')
    def close(self): self.run('close', self.id)

def session(p):
    seen = [p.look()]
    p.rename('renamed')
    seen.append(p.look())
    p.start()
    seen.append(p.look())
    p.join(0.01); p.join(0); p.join(-1)
    seen.append(p.look())
    p.terminate(); p.join(); p.join()
    seen.append(p.look())
    p.close()
    return seen

theirs, ours = session(Theirs()), session(Ours())
assert theirs == ours, (theirs, ours)
print(ours[-1])";
    assert_eq!(env.python(script).output().success(), "['renamed', False, False, False, -15]");
}

#[test]
fn default_names_are_those_python_gives() {
    let env = TestEnv::new();
    let theirs = env
        .python(
            "import multiprocessing, sys
def inner():
    print(multiprocessing.current_process().name.replace('Fork', ''), flush=True)
def outer():
    for _ in range(2):
        p = context.Process(target=inner)
        p.start(); p.join()
context = multiprocessing.get_context('fork')
context.Process(target=inner, name='named')
for _ in range(2):
    p = context.Process(target=outer)
    p.start(); p.join()",
        )
        .output()
        .success();
    let ours = env
        .bash(
            "procctl create -n named -- true > created
             for n in 1 2; do
                 procctl run -- bash -c '
                     for n in 1 2; do procctl run -- procctl get @self name; done'
             done",
        )
        .output()
        .success();
    assert_eq!(theirs, "Process-2:1\nProcess-2:2\nProcess-3:1\nProcess-3:2");
    assert_eq!(ours, theirs);
}

#[test]
fn start_is_at_most_once_and_join_any_number_of_times() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "sh", "-c", "exit 2"]);
    env.ok(["start", &id]);
    env.refused(["start", &id], 125, &[&id]);
    for _ in 0..3 {
        assert_eq!(env.join(&id), 2);
    }
    env.refused(["start", &id], 125, &[&id]);
}

#[test]
fn a_daemonic_process_may_not_have_children() {
    let env = TestEnv::new();
    let id = env.start(&["--daemon"], &["procctl", "start", "--", "true"]);
    assert_eq!(env.join(&id), 125);
    let log = env.ok(["logs", &id]);
    assert!(
        log.starts_with("procctl: ") && log.contains("daemonic processes are not allowed to have children"),
        "{log}"
    );
    assert_eq!(env.status().len(), 1);
}

#[test]
fn daemonic_children_are_terminated_when_their_parent_ends_and_others_live_on() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let script = format!(
        "procctl start -d -n daemonic -- sleep 1000
         procctl start -n other -- sleep 1000; echo ready; {}",
        gate.wait()
    );
    let parent = env.start_ready(&[], &script);
    assert_eq!(env.get("daemonic", "state"), "started");
    gate.open();
    assert_eq!(env.join(&parent), 0);
    assert_eq!(env.join("daemonic"), 143);
    assert_eq!(env.get("other", "state"), "started");
}

#[test]
fn the_daemon_flag_is_false_unless_said_and_no_daemon_says_so() {
    let env = TestEnv::new();
    for (options, daemon) in
        [(&[][..], "false"), (&["-d"], "true"), (&["--daemon"], "true"), (&["--no-daemon"], "false")]
    {
        let id = env.sleeper(options);
        assert_eq!(env.get(&id, "daemon"), daemon, "{options:?}");
    }
}

#[test]
fn current_parent_and_active_children() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    env.file(
        "inner",
        "procctl get @self name; procctl get @parent name; procctl get @parent pid
         id=$(procctl start -n ended -- true); procctl join $id
         procctl start -n child -- sleep 1000 > started
         procctl status --children --alive --json | tr -d '\\n'; echo",
    );
    let script = format!("procctl start -n inner -- bash inner; {}", gate.wait());
    let outer = env.start(&["-n", "outer"], &["bash", "-c", &script]);
    eventually("the inner one is there", || {
        (env.procctl(["join", "inner"]).output().code() == 0).then_some(())
    });
    let log = env.ok(["logs", "inner"]);
    let lines: Vec<_> = log.lines().collect();
    let [current, parent, pid, children] = lines[..] else {
        panic!("{log}");
    };
    assert_eq!((current, parent), ("inner", "outer"));
    assert_eq!(pid, env.get(&outer, "pid"));
    let children: Value = serde_json::from_str(children).unwrap();
    let names: Vec<_> = children.as_array().unwrap().iter().map(|child| &child["name"]).collect();
    assert_eq!(names, [&json!("child")]);
    gate.open();
    assert_eq!(env.join(&outer), 0);
}

#[test]
fn interrupt_is_a_keyboard_interrupt_to_a_python_program() {
    let env = TestEnv::new();
    let python = crate::harness::python().to_str().unwrap();
    let program = "
import time
try:
    print('ready', flush=True)
    time.sleep(1000)
except KeyboardInterrupt:
    print('interrupted', flush=True)
    raise SystemExit(4)";
    let id = env.start(&[], &[python, "-c", program]);
    eventually("it is ready", || env.ok(["logs", &id]).contains("ready").then_some(()));
    env.ok(["interrupt", &id, "--wait"]);
    assert_eq!(env.get(&id, "exitcode"), "4");
    assert_eq!(env.ok(["logs", &id]), "ready\ninterrupted");
}

#[test]
fn a_closed_process_is_no_more() {
    let env = TestEnv::new();
    let id = env.start(&[], &["true"]);
    assert_eq!(env.join(&id), 0);
    env.ok(["close", &id]);
    let refused = |args: &[&str]| -> Output {
        let output = env.procctl(args).output();
        output.refused(125, &[&id]);
        output
    };
    refused(&["join", &id]);
    refused(&["is-alive", &id]);
    refused(&["get", &id, "exitcode"]);
}

#[test]
fn python_may_start_join_and_read_the_exit_code() {
    let env = TestEnv::new();
    let output = env
        .python(
            "import os, subprocess
def procctl(*args, check=True):
    return subprocess.run(['procctl', *args], capture_output=True, text=True, check=check)
id = procctl('start', '-n', 'worker', '--', 'sh', '-c', 'exit 7').stdout.strip()
assert procctl('join', id, check=False).returncode == 7
assert int(procctl('get', id, 'parent.pid').stdout) == os.getpid()
print(int(procctl('get', 'worker', 'exitcode').stdout))",
        )
        .output();
    assert_eq!(output.success(), "7");
}
