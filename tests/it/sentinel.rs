//! The sentinel: a path that becomes ready when the process has ended, for shells and for poll and select.

use std::os::unix::fs::FileTypeExt;

use crate::harness::{Shell, TestEnv};

/// Python that says whether `fd`, opened from `path`, is ready now, by each way there is.
const READY: &str = "
import os, select, sys
from multiprocessing.connection import wait

def ready(fd, timeout):
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    ways = [
        bool(wait([fd], timeout)),
        bool(select.select([fd], [], [], timeout)[0]),
        bool(poll.poll(timeout * 1000)),
    ]
    assert len(set(ways)) == 1, ways
    return ways[0]

fd = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
";

#[test]
fn it_is_a_private_pipe_of_its_own() {
    let env = TestEnv::new();
    let one = env.get(&env.sleeper(&[]), "sentinel");
    let two = env.get(&env.sleeper(&[]), "sentinel");
    assert_ne!(one, two);
    assert!(std::path::Path::new(&one).is_absolute());
    assert!(std::fs::metadata(&one).unwrap().file_type().is_fifo());
}

#[test]
fn a_shells_read_waits_for_the_end() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start(&["-n", "worker"], &["bash", "-c", &format!("{}; exit 3", gate.wait())]);
    // `read` gives 1 at the end of input and more than 128 when its time ran out.
    let script = "read -t 15 < \"$(procctl get worker sentinel)\"; echo $?; procctl get worker exitcode";
    let mut reader = env.bash(script).spawn();
    reader.wait_until_blocked();
    gate.open();
    assert_eq!(reader.wait().success(), "1\n3");
    assert_eq!(env.join(&id), 3);
}

#[test]
fn a_shells_read_runs_out_of_time_while_the_process_lives() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "worker"]);
    let output = env
        .bash("read -t 0.1 < \"$(procctl get worker sentinel)\"; echo $?; procctl is-alive worker; echo $?")
        .output();
    assert_eq!(output.success(), "142\n0");
}

#[test]
fn of_an_ended_process_it_is_ready_at_once() {
    for shell in Shell::installed() {
        let env = TestEnv::new();
        let id = env.start(&["-n", "worker"], &["true"]);
        assert_eq!(env.join(&id), 0);
        env.script(shell, "read x < \"$(procctl get worker sentinel)\"; exit $?").output().exits(1).quiet();
    }
}

#[test]
fn poll_select_and_multiprocessing_see_the_end_and_not_before() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let sentinel = env.get(&id, "sentinel");
    let output = env
        .python(&format!(
            "{READY}
import subprocess
assert not ready(fd, 0)
subprocess.run(['procctl', 'terminate', '{id}'], check=True)
assert wait([fd], 15), 'not ready in time'
assert ready(fd, 0)
# Its record is final then.
get = subprocess.run(['procctl', 'get', '{id}', 'exitcode'], capture_output=True, text=True)
assert (get.stdout, get.stderr) == ('-15\\n', ''), get
later = os.open(sys.argv[1], os.O_RDONLY | os.O_NONBLOCK)
assert ready(later, 15)
blocking = os.open(sys.argv[1], os.O_RDONLY)
assert os.read(blocking, 1) == b''"
        ))
        .arg(&sentinel)
        .output();
    output.success();
}

#[test]
fn the_record_is_final_when_it_is_ready() {
    let env = TestEnv::new();
    let output = env
        .python(
            "import os, subprocess
from multiprocessing.connection import wait
def procctl(*args):
    return subprocess.run(['procctl', *args], capture_output=True, text=True).stdout.strip()
for code in range(1, 30):
    id = procctl('start', '--', 'sh', '-c', f'exit {code}')
    fd = os.open(procctl('get', id, 'sentinel'), os.O_RDONLY | os.O_NONBLOCK)
    assert wait([fd], 15)
    os.close(fd)
    assert (procctl('get', id, 'state'), procctl('get', id, 'exitcode')) == ('stopped', str(code))",
        )
        .output();
    output.success();
}

#[test]
fn the_first_of_several_can_be_awaited() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "slow"]);
    env.start(&["-n", "fast"], &["sleep", "0.1"]);
    let output = env
        .python(
            "import os, subprocess
from multiprocessing.connection import wait
fds = {}
for name in ('slow', 'fast'):
    path = subprocess.check_output(['procctl', 'get', name, 'sentinel'], text=True).strip()
    fds[os.open(path, os.O_RDONLY | os.O_NONBLOCK)] = name
print([fds[fd] for fd in wait(list(fds), 15)])",
        )
        .output();
    assert_eq!(output.success(), "['fast']");
}

#[test]
fn a_grandchild_that_lives_on_does_not_delay_it() {
    let mut env = TestEnv::new();
    env.allow_leftovers("an orphan that outlives the process");
    let gate = env.gate("gate");
    let id = env.start_ready(
        &["-n", "worker"],
        &format!("sleep 1000 & setsid sleep 1000 & echo ready; {}", gate.wait()),
    );
    let mut reader = env.bash("read -t 15 < \"$(procctl get worker sentinel)\"; echo $?").spawn();
    reader.wait_until_blocked();
    gate.open();
    assert_eq!(reader.wait().success(), "1");
    assert_eq!(env.join(&id), 0);
}

#[test]
fn before_the_start_it_is_not_ready() {
    let env = TestEnv::new();
    let id = env.ok(["create", "--", "sleep", "1000"]);
    let sentinel = env.get(&id, "sentinel");
    let output = env
        .python(&format!(
            "{READY}
import subprocess
assert not ready(fd, 0), 'before the start'
subprocess.run(['procctl', 'start', '{id}'], check=True, capture_output=True)
assert not ready(fd, 0), 'while it lives'
subprocess.run(['procctl', 'kill', '{id}'], check=True)
assert wait([fd], 15)"
        ))
        .arg(&sentinel)
        .output();
    output.success();
}
