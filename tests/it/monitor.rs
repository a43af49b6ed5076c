//! The monitor: nobody's child, nobody's burden.

use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::harness::{
    PROCCTL, TestEnv, can_trace, eventually, is_gone, proc_fds, proc_stat, proc_status, skipped,
};

#[test]
fn it_is_the_os_parent_of_the_process_and_no_child_of_the_caller() {
    let env = TestEnv::new();
    let said = env.bash("echo $$; procctl start -- sleep 1000").output().success();
    let (shell, id) = said.split_once('\n').unwrap();
    let monitor = env.monitor_pid(id);
    assert_eq!(proc_stat(env.pid(id)).unwrap()[1], monitor.to_string());
    assert_ne!(proc_stat(monitor).unwrap()[1], shell);
}

#[test]
fn the_caller_never_gets_it_as_a_child_while_it_lives() {
    let env = TestEnv::new();
    // The test process is the caller here, and lives.
    let id = env.sleeper(&[]);
    let parent = &proc_stat(env.monitor_pid(&id)).unwrap()[1];
    assert_ne!(*parent, std::process::id().to_string());
}

#[test]
fn it_has_a_session_of_its_own_and_one_thread_at_the_root() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let monitor = env.monitor_pid(&id);
    let stat = proc_stat(monitor).unwrap();
    let own = proc_stat(i32::try_from(std::process::id()).unwrap()).unwrap();
    assert_ne!(stat[3], own[3], "the caller's session");
    assert_ne!(stat[3], env.pid(&id).to_string(), "the process's session");
    assert_eq!(stat[4], "0", "terminal");
    assert_eq!(proc_status(monitor, "Threads").unwrap(), "1");
    let cwd = fs::read_link(format!("/proc/{monitor}/cwd")).unwrap();
    assert_eq!(cwd, PathBuf::from("/"));
}

#[test]
fn its_standard_streams_lead_to_nothing_of_anybodys() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for (number, path) in proc_fds(env.monitor_pid(&id)) {
        let text = path.display().to_string();
        assert!(
            number > 2 || text == "/dev/null" || path.starts_with(env.run_dir()),
            "descriptor {number} of the monitor: {text}"
        );
        assert_ne!(path.file_name().unwrap_or_default(), "output.log");
    }
}

#[test]
fn it_is_a_subreaper_for_what_the_process_leaves() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    // The middle one ends at once: its child is an orphan while the process lives on.
    let id = env.start_ready(&[], &format!("(sleep 1000 & echo $! > orphan); echo ready; {}", gate.wait()));
    let orphan: i32 = fs::read_to_string(env.path("orphan")).unwrap().trim().parse().unwrap();
    assert_eq!(proc_stat(orphan).unwrap()[1], env.monitor_pid(&id).to_string());
    // And it reaps: a dead orphan does not stay a zombie.
    kill(Pid::from_raw(orphan), Signal::SIGKILL).unwrap();
    eventually("the orphan is reaped", || proc_stat(orphan).is_none().then_some(()));
    assert_eq!(env.get(&id, "state"), "started");
    gate.open();
    assert_eq!(env.join(&id), 0);
}

#[test]
fn it_ends_with_the_process_also_when_a_grandchild_lives_on() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start_ready(&[], &format!("sleep 1000 & echo $! > left; echo ready; {}", gate.wait()));
    let monitor = env.monitor_pid(&id);
    let left: i32 = fs::read_to_string(env.path("left")).unwrap().trim().parse().unwrap();
    gate.open();
    assert_eq!(env.join(&id), 0);
    assert!(!is_gone(left), "orphans are not terminated");
    eventually("the monitor ends", || is_gone(monitor).then_some(()));
    kill(Pid::from_raw(left), Signal::SIGKILL).unwrap();
}

/// ^C, or a terminal that hangs up, while the monitor is still in the caller's process group; and a `--tree` of somebody else
/// that takes it for any process, for it is no monitor yet: that one finds the process, and signals it itself.
#[test]
fn what_comes_before_there_is_a_process_does_not_reach_it() {
    for call in ["setsid", "prctl"] {
        let env = TestEnv::new();
        if !can_trace(&env) {
            return;
        }
        let (trace, delay) = (format!("trace={call}"), format!("inject={call}:delay_enter=300000:when=1"));
        let strace = ["-f", "-qq", "-o", "trace", "-e", &trace, "-e", &delay];
        let start =
            env.program("strace").args(strace).arg(PROCCTL).args(["start", "--", "sleep", "1000"]).spawn();
        // strace's child is the launcher, and the launcher's the monitor.
        let child_of = |pid: i32| {
            let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).ok()?;
            children.split_whitespace().next()?.parse::<i32>().ok()
        };
        let monitor = eventually("the monitor is forked", || child_of(child_of(start.pid())?));
        let leads = || proc_stat(monitor).is_some_and(|stat| stat[3] == monitor.to_string());
        if call == "setsid" {
            assert!(!leads(), "the delay was too short");
        } else {
            eventually("it has a session of its own", || leads().then_some(()));
        }
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
            kill(Pid::from_raw(monitor), signal).unwrap();
        }
        assert_eq!(child_of(monitor), None, "the delay was too short");
        let id = eventually("it is started", || {
            let started = env.procctl(["status", "--alive", "--format", "{id}"]).output().success();
            (!started.is_empty()).then_some(started)
        });
        assert_eq!(env.monitor_pid(&id), monitor);
        let pending = || proc_status(monitor, "ShdPnd").is_some_and(|set| set != "0000000000000000");
        eventually("the monitor has looked at its signals", || (!pending()).then_some(()));
        env.procctl(["join", &id, "--timeout", "0.2"]).output().exits(124);
        env.ok(["kill", "--wait", &id]);
    }
}

/// A monitor inherits the monitors of what its descendants start. It is not to look at every live process when one ends.
#[test]
fn the_monitors_that_it_inherits_cost_it_nothing() {
    let env = TestEnv::new();
    let live = 20;
    for _ in 0..live {
        env.sleeper(&[]);
    }
    let gate = env.gate("gate");
    let inner = "procctl join $(for n in 1 2 3 4 5 6 7 8 9 10; do procctl start -- true; done)";
    let script = format!("{inner}; echo ready; read -r _ <{}", gate.path().display());
    let id = env.start_ready(&[], &script);
    let monitor = env.monitor_pid(&id);
    let inherited = || fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/children")).unwrap();
    eventually("only the process is left", || (inherited().split_whitespace().count() == 1).then_some(()));
    // Of the thread: what it has reaped counts as the process's own.
    let Ok(io) = fs::read_to_string(format!("/proc/{monitor}/task/{monitor}/io")) else {
        return skipped("the kernel does not count what processes read");
    };
    let reads: u64 = io.lines().find_map(|line| line.strip_prefix("syscr: ")).unwrap().parse().unwrap();
    assert!(reads < 10 * live, "{reads} reads");
    gate.open();
    assert_eq!(env.join(&id), 0);
}

#[test]
fn a_signal_to_end_is_passed_on_as_term_and_the_end_is_recorded() {
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        let env = TestEnv::new();
        let id = env.sleeper(&[]);
        kill(Pid::from_raw(env.monitor_pid(&id)), signal).unwrap();
        assert_eq!(env.join(&id), 128 + 15, "{signal}");
        let record = env.record(&id);
        assert_eq!(record["exitcode"], json!(-15), "{signal}");
        assert_eq!(record["lost"], json!(null), "{signal}");
    }
}

#[test]
fn it_does_not_wake_up_while_nothing_happens() {
    let env = TestEnv::new();
    let plain = env.sleeper(&[]);
    let daemonic = env.sleeper(&["-d"]);
    let monitors = [env.monitor_pid(&plain), env.monitor_pid(&daemonic)];
    let switches = || {
        monitors.map(|pid| {
            assert_eq!(proc_stat(pid).unwrap()[0], "S");
            proc_status(pid, "voluntary_ctxt_switches").unwrap()
        })
    };
    for pid in monitors {
        eventually("the monitor sleeps", || (proc_stat(pid)?[0] == "S").then_some(()));
    }
    let before = switches();
    // Not a wait for anything: the time in which nothing may happen.
    thread::sleep(Duration::from_millis(1500));
    assert_eq!(before, switches());
}
