//! §6: what counts as alive, and what is told, in less usual states of a process, of its caller and of the run directory.

use std::fs;

use nix::sys::signal::Signal;
use rustix::process::Signal as OsSignal;

use crate::harness::{TestEnv, eventually, is_gone, proc_state, proc_status};
use crate::support::{Held, Worker};

#[test]
fn a_process_whose_first_thread_has_ended_is_alive() {
    let env = TestEnv::new();
    let program = "import ctypes, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
ctypes.CDLL(None).pthread_exit(None)";
    let python = crate::harness::python().to_str().unwrap();
    let id = env.start(&[], &[python, "-c", program]);
    let pid = env.pid(&id);
    // In /proc it looks like a zombie.
    eventually("the first thread has ended", || (proc_state(pid) == Some('Z')).then_some(()));
    env.ok(["is-alive", &id]);
    assert_eq!(env.get(&id, "state"), "started");
    env.procctl(["join", &id, "--timeout", "0.1"]).output().exits(124);
    env.ok(["kill", &id]);
    assert_eq!(env.join(&id), 137);
}

#[test]
fn a_stopped_process_is_alive() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    env.ok(["kill", "-s", "STOP", &id]);
    let pid = env.pid(&id);
    eventually("it is stopped", || (proc_state(pid) == Some('T')).then_some(()));
    env.ok(["is-alive", &id]);
    assert_eq!(env.get(&id, "state"), "started");
    env.procctl(["join", &id, "--timeout", "0.1"]).output().exits(124);
}

#[test]
fn a_caller_that_ignores_sigchld_loses_no_exit_code() {
    for command in ["start", "run"] {
        let env = TestEnv::new();
        let program = format!(
            "import os, signal
signal.signal(signal.SIGCHLD, signal.SIG_IGN)
os.execvp('procctl', ['procctl', '{command}', '-n', 'w', '--', 'sh', '-c', 'exit 3'])"
        );
        let output = env.python(&program).output();
        output.exits(if command == "run" { 3 } else { 0 });
        assert_eq!(env.join("w"), 3, "{command}");
        assert_eq!(env.get("w", "lost"), "", "{command}");
    }
}

#[test]
fn a_caller_that_blocks_all_signals_does_not_deafen_the_monitor() {
    let env = TestEnv::new();
    let program = "import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execvp('procctl', ['procctl', 'start', '--', 'sleep', '1000'])";
    let id = env.python(program).output().success();
    let monitor = Held::open(env.monitor_pid(&id));
    monitor.signal(OsSignal::TERM);
    // The process blocks it as its caller did: it is pending there.
    let pid = env.pid(&id);
    let term = 1_u64 << (Signal::SIGTERM as u64 - 1);
    eventually("TERM is passed on", || {
        let pending = u64::from_str_radix(&proc_status(pid, "ShdPnd")?, 16).unwrap();
        (pending & term != 0).then_some(())
    });
    env.ok(["kill", &id, "--wait"]);
    assert_eq!(env.join(&id), 137);
}

#[test]
fn a_caller_without_standard_streams_starts_as_any_other() {
    let env = TestEnv::new();
    let script = "procctl start -n w -- sh -c 'read x; echo out; echo err >&2; exit 4' <&- >&- 2>&-; echo $?";
    // It may say that nobody reads its answer; the process runs, and its descriptors are its own.
    env.bash(script).output().quiet();
    assert_eq!(env.join("w"), 4);
    assert_eq!(env.ok(["logs", "w"]), "out\nerr");
}

#[test]
fn a_caller_in_a_directory_that_is_gone_gets_a_process_or_an_error() {
    let env = TestEnv::new();
    let script = "mkdir gone; cd gone; rmdir ../gone; procctl start -n w -- sh -c 'exit 4'";
    let output = env.bash(script).output();
    if output.status.success() {
        assert_eq!(env.join("w"), 4);
    } else {
        output.refused(125, &[]);
        assert_eq!(env.status().len(), 0);
    }
}

#[test]
fn a_removed_run_directory_leaves_no_monitor_and_no_join_behind() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let (pid, monitor) = (env.pid(&worker.id), env.monitor_pid(&worker.id));
    let mut join = env.procctl(["join", &worker.id]).spawn();
    join.wait_until_blocked();
    fs::remove_dir_all(env.run_dir()).unwrap();
    worker.exit(6);
    // The code is told, or that it can't be; nobody waits for ever for a directory to come back.
    let output = join.wait();
    assert!(matches!(output.code(), 6 | 125), "{output:?}");
    eventually("process and monitor are gone", || (is_gone(pid) && is_gone(monitor)).then_some(()));
    assert!(!env.run_dir().exists(), "made again behind the user's back");
}

#[test]
fn a_join_that_is_interrupted_harms_nothing() {
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let mut join = env.procctl(["join", &worker.id]).spawn();
    join.wait_until_blocked();
    join.signal(Signal::SIGINT);
    let output = join.wait();
    assert!(output.signal() == Some(2) || output.status.code() == Some(130), "{output:?}");
    env.ok(["is-alive", &worker.id]);
    worker.exit(3);
    assert_eq!(env.join(&worker.id), 3);
}
