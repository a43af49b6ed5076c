//! §6.5: the first command that finds a live process without a monitor gives it a new one, which learns the exit code
//! through the pidfd though nobody waits, and watches the parent of a daemonic process again.

use std::process::Command;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Running, TestEnv, eventually, is_gone, proc_fds, proc_stat, proc_state, proc_status};
use crate::support::{
    Held, LateReaper, Worker, kernel_tells_exit_codes, kill_leftovers, kill_monitor, proc_tells_exit_codes,
    read_record,
};

/// A worker whose monitor was killed and was seen dead by nobody yet; the pid of that monitor.
fn orphaned(env: &TestEnv, options: &[&str]) -> (Worker, i32) {
    let worker = Worker::start(env, options);
    let monitor = env.monitor_pid(&worker.id);
    kill_monitor(env, &worker.id);
    (worker, monitor)
}

/// A `sleep 1000` whose monitor was killed, with somebody as its OS parent who reaps on command only.
fn orphaned_to_late_reaper(env: &TestEnv) -> (String, Held, LateReaper) {
    let (id, reaper) = LateReaper::start(env);
    let process = Held::open(env.pid(&id));
    kill_monitor(env, &id);
    (id, process, reaper)
}

/// The monitors of `id` that there are, by what `ps` shows of them.
fn monitors(env: &TestEnv, id: &str) -> Vec<i32> {
    let title = format!("procctl: monitor of {id} ");
    let is_monitor = |pid: &i32| {
        std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| line.starts_with(title.as_bytes()))
    };
    env.os_processes().into_iter().filter(is_monitor).collect()
}

/// There is one new monitor, and the record names it.
#[track_caller]
fn assert_adopted(env: &TestEnv, id: &str, old: i32) -> i32 {
    let record = read_record(env, id);
    let new = i32::try_from(record["monitor"]["pid"].as_i64().unwrap()).unwrap();
    assert_ne!(new, old, "{record}");
    assert_eq!(record["monitor"]["adopted"], true, "{record}");
    assert_eq!(record["state"], "started", "{record}");
    assert_eq!(monitors(env, id), [new]);
    new
}

/// The end gets into the record though no command looks.
#[track_caller]
fn await_record(env: &TestEnv, id: &str, exitcode: i32) -> Value {
    let record = eventually("the new monitor records the end", || {
        Some(read_record(env, id)).filter(|record| record["state"] == "stopped")
    });
    assert_eq!(record["exitcode"], exitcode, "{record}");
    assert_eq!(record["lost"], Value::Null, "{record}");
    assert_eq!(record["witness"], "pidfd", "{record}");
    assert!(record["stopped_at"].is_string(), "{record}");
    record
}

#[test]
fn each_command_that_looks_makes_a_monitor_that_learns_the_code_by_itself() {
    if !kernel_tells_exit_codes() {
        return;
    }
    for (args, exit) in [
        (&["status"][..], 0),
        (&["status", "--json"], 0),
        (&["status", "--alive"], 0),
        (&["status", "--children"], 0),
        (&["get", "worker"], 0),
        (&["get", "worker", "state"], 0),
        (&["is-alive", "worker"], 0),
        (&["logs", "worker"], 0),
        (&["kill", "-s", "0", "worker"], 0),
        (&["kill", "-s", "CONT", "--all"], 0),
        (&["set", "worker", "name=other"], 0),
        (&["join", "worker", "--timeout", "0"], 124),
        (&["join", "--timeout", "0"], 124),
        (&["join", "--all", "--timeout", "0"], 124),
        (&["start", "--unique", "-n", "worker", "--", "true"], 125),
        (&["close", "worker"], 125),
        (&["close", "--all"], 0),
    ] {
        let env = TestEnv::new();
        let (worker, old) = orphaned(&env, &["-n", "worker"]);
        env.procctl(args).output().exits(exit);
        let new = assert_adopted(&env, &worker.id, old);
        worker.exit(7);
        await_record(&env, &worker.id, 7);
        assert_eq!(env.join(&worker.id), 7, "{args:?}");
        eventually("the new monitor leaves", || is_gone(new).then_some(()));
    }
}

#[test]
fn a_death_by_signal_is_told_with_who_sent_it() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (worker, _) = orphaned(&env, &[]);
    env.ok(["terminate", &worker.id]);
    let record = await_record(&env, &worker.id, -15);
    assert_eq!(record["ended_by"]["action"], "terminate", "{record}");
}

#[test]
fn a_blocked_join_makes_one_when_it_sees_the_monitor_die() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let worker = Worker::start(&env, &[]);
    let old = env.monitor_pid(&worker.id);
    let mut join = env.procctl(["join", &worker.id]).spawn();
    join.wait_until_blocked();
    kill_monitor(&env, &worker.id);
    eventually("there is a new monitor", || {
        (read_record(&env, &worker.id)["monitor"]["adopted"] == true).then_some(())
    });
    join.wait_until_blocked();
    assert_adopted(&env, &worker.id, old);
    // The join is not needed any more.
    join.signal(nix::sys::signal::Signal::SIGKILL);
    drop(join);
    worker.exit(9);
    await_record(&env, &worker.id, 9);
}

#[test]
fn of_many_commands_that_find_it_together_one_makes_a_monitor() {
    let env = TestEnv::new();
    for _ in 0..10 {
        let (worker, old) = orphaned(&env, &[]);
        let looks: Vec<Running> = (0..12)
            .map(|at| {
                let command: &[&str] = if at % 2 == 0 { &["is-alive"] } else { &["get"] };
                env.procctl(command.iter().copied().chain([worker.id.as_str()])).spawn()
            })
            .collect();
        for look in looks {
            look.wait().exits(0).quiet();
        }
        assert_adopted(&env, &worker.id, old);
        worker.exit(0);
        env.join(&worker.id);
    }
}

#[test]
fn a_new_monitor_that_is_killed_is_replaced_as_well() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (worker, mut old) = orphaned(&env, &[]);
    for _ in 0..5 {
        env.ok(["is-alive", &worker.id]);
        old = assert_adopted(&env, &worker.id, old);
        kill_monitor(&env, &worker.id);
    }
    env.ok(["is-alive", &worker.id]);
    worker.exit(3);
    await_record(&env, &worker.id, 3);
}

#[test]
fn a_run_that_was_killed_is_made_up_for() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let mut run = env.procctl(["run", "-n", "main", "--", "sleep", "1000"]).spawn();
    run.wait_until_blocked();
    let process = Held::open(env.pid("main"));
    run.signal(nix::sys::signal::Signal::SIGKILL);
    eventually("run is dead", || (!run.is_running()).then_some(()));
    env.ok(["is-alive", "main"]);
    process.signal(Signal::KILL);
    let id = env.get("main", "id");
    await_record(&env, &id, -9);
}

#[test]
fn the_new_monitor_keeps_nothing_of_the_command_that_made_it() {
    let env = TestEnv::new();
    let (worker, old) = orphaned(&env, &["-n", "worker"]);
    // Neither a pipe of the caller's, nor a descriptor, nor the working directory.
    let said =
        env.bash(r#"exec 7< /dev/zero; cd home; x=$(procctl get worker state); echo "$x" | cat"#).output();
    assert_eq!(said.success(), "started");
    let new = assert_adopted(&env, &worker.id, old);
    let (here, root) = (env.run_dir(), std::path::Path::new("/"));
    for (number, to) in proc_fds(new) {
        let known = match number {
            0..=2 => to == std::path::Path::new("/dev/null"),
            _ => to.starts_with(&here) || to.to_string_lossy().starts_with("anon_inode:"),
        };
        assert!(known || to.to_string_lossy().contains("pidfd"), "{number} leads to {}", to.display());
    }
    assert_eq!(std::fs::read_link(format!("/proc/{new}/cwd")).unwrap(), root);
    let stat = proc_stat(new).unwrap();
    assert_eq!((&stat[2], &stat[3]), (&new.to_string(), &new.to_string()), "its own session");
    let switches = || proc_status(new, "voluntary_ctxt_switches").unwrap();
    let before = switches();
    for _ in 0..50 {
        env.ok(["get", "worker", "name"]);
    }
    assert_eq!(switches(), before, "it woke up");
    worker.exit(0);
}

#[test]
fn a_signal_to_the_new_monitor_is_passed_on() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (worker, old) = orphaned(&env, &[]);
    env.ok(["is-alive", &worker.id]);
    Held::open(assert_adopted(&env, &worker.id, old)).signal(Signal::TERM);
    await_record(&env, &worker.id, -15);
}

/// A parent for daemonic processes.
fn parent(env: &TestEnv) -> Running {
    env.program("sleep").arg("1000").spawn()
}

/// A daemonic process that has its monitor killed, and says how many times it was told to terminate; the second time it
/// ends with 9. (The first is that of the kernel, which it asked for the parent-death signal.)
fn daemonic(env: &TestEnv, parent: &Running) -> String {
    let gate = env.gate("gate");
    let script = format!(
        "n=0; trap 'n=$((n + 1)); echo term $n; [ $n = 2 ] && exit 9' TERM; echo ready; exec 3<>{}; \
         while :; do read -r _ <&3; done",
        env.path("gate").display()
    );
    let _ = gate;
    let pid = parent.pid().to_string();
    let id = env.start_ready(&["-d", "--parent", &pid], &script);
    kill_monitor(env, &id);
    let log = env.get(&id, "log");
    eventually("the kernel tells it", || {
        std::fs::read_to_string(&log).unwrap().contains("term 1").then_some(())
    });
    id
}

#[test]
fn the_parent_of_a_daemonic_process_is_watched_again() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let parent = parent(&env);
    let id = daemonic(&env, &parent);
    env.ok(["is-alive", &id]);
    let by = parent.pid();
    drop(parent);
    let record = await_record(&env, &id, 9);
    assert_eq!(record["ended_by"]["action"], "parent-exit", "{record}");
    assert_eq!(record["ended_by"]["by_pid"], by, "{record}");
}

#[test]
fn a_parent_that_ended_while_nobody_watched_is_made_up_for() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let parent = parent(&env);
    // The command that looks must not be the one that waits for the trap: that one has adopted the process already.
    let id = daemonic(&env, &parent);
    kill_monitor(&env, &id);
    drop(parent);
    assert_eq!(read_record(&env, &id)["state"], "started");
    env.procctl(["is-alive", &id]).output();
    let record = await_record(&env, &id, 9);
    assert_eq!(record["ended_by"]["action"], "parent-exit", "{record}");
}

#[test]
fn a_tree_without_its_first_monitor_is_still_a_tree() {
    let env = TestEnv::new();
    let id = env.start_ready(&[], "sleep 1000 & sleep 1000 & echo ready; wait");
    kill_monitor(&env, &id);
    env.ok(["is-alive", &id]);
    let session = env.get(&id, "pid");
    let left = || {
        let in_session = |&pid: &i32| proc_stat(pid).is_some_and(|stat| stat[3] == session && stat[0] != "Z");
        env.os_processes().into_iter().filter(in_session).count()
    };
    assert_eq!(left(), 3);
    env.ok(["terminate", "--tree", &id]);
    assert_eq!(left(), 0);
}

#[test]
fn nobody_need_reap_a_process_for_its_code_and_times_to_be_told() {
    if !proc_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (id, process, reaper) = orphaned_to_late_reaper(&env);
    env.ok(["is-alive", &id]);
    process.signal(Signal::KILL);
    let record = await_record(&env, &id, -9);
    assert_eq!(proc_state(env.pid(&id)), Some('Z'));
    env.procctl(["join", &id]).output().exits(137).quiet();
    reaper.reap();
    assert!(record["partial_usage"]["user_seconds"].is_number(), "{record}");
    assert!(record["partial_usage"]["minor_faults"].as_u64().unwrap() > 0, "{record}");
    // Only its OS parent is told that.
    assert_eq!(record["usage"], Value::Null, "{record}");
}

#[test]
fn of_a_zombie_that_nobody_monitors_the_code_is_told_at_once() {
    if !proc_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (id, process, reaper) = orphaned_to_late_reaper(&env);
    process.signal(Signal::TERM);
    process.wait_end();
    env.procctl(["is-alive", &id]).output().exits(1).quiet();
    let record = read_record(&env, &id);
    assert_eq!((&record["exitcode"], &record["witness"]), (&(-15).into(), &"pidfd".into()), "{record}");
    assert!(monitors(&env, &id).is_empty());
    reaper.reap();
}

#[test]
fn a_first_thread_that_ended_before_the_others_does_not_tell_the_code() {
    if !proc_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let gate = env.path("gate");
    nix::unistd::mkfifo(&gate, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let script = r#"
import ctypes, os, platform, sys, threading
def rest():
    open(sys.argv[1]).read()
    os._exit(7)
threading.Thread(target=rest).start()
print("ready", flush=True)
# exit(2): of this thread alone.
ctypes.CDLL(None).syscall({"x86_64": 60, "aarch64": 93}[platform.machine()], 0)
"#;
    let id = env.start_ready(&[], &format!("exec python3 -c '{script}' {}", gate.display()));
    eventually("the first thread is a zombie", || (proc_state(env.pid(&id)) == Some('Z')).then_some(()));
    kill_monitor(&env, &id);
    env.ok(["is-alive", &id]);
    assert_eq!(read_record(&env, &id)["state"], "started");
    std::fs::write(&gate, "").unwrap();
    await_record(&env, &id, 7);
}

#[test]
fn joins_that_see_the_monitor_die_together_need_no_reaping_either() {
    if !proc_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    for _ in 0..3 {
        let (id, reaper) = LateReaper::start(&env);
        let process = Held::open(env.pid(&id));
        let mut joins: Vec<Running> = (0..6).map(|_| env.procctl(["join", &id]).spawn()).collect();
        joins.iter_mut().for_each(Running::wait_until_blocked);
        // One of them makes a new monitor; the others find it being made.
        kill_monitor(&env, &id);
        eventually("there is a new monitor", || {
            (read_record(&env, &id)["monitor"]["adopted"] == true).then_some(())
        });
        joins.iter_mut().for_each(Running::wait_until_blocked);
        process.signal(Signal::KILL);
        for join in joins {
            join.wait().exits(137).quiet();
        }
        assert_eq!(proc_state(env.pid(&id)), Some('Z'));
        reaper.reap();
        drop(reaper);
        std::fs::remove_file(env.path("id")).unwrap();
        std::fs::remove_file(env.path("reap")).unwrap();
    }
}

#[test]
fn where_no_monitor_can_be_made_every_command_still_works() {
    let env = TestEnv::new();
    let (worker, _) = orphaned(&env, &[]);
    let id = &worker.id;
    let script =
        format!("procctl is-alive {id} && procctl get {id} state && procctl join {id} --timeout 0.1");
    let Some(call) = env.bash_read_only(&script) else { return };
    let output = call.output();
    output.exits(124).quiet();
    assert_eq!(output.stdout(), "started");
    assert!(monitors(&env, id).is_empty());
    worker.exit(0);
}

#[test]
fn the_code_of_a_zombie_is_told_where_it_cannot_be_written() {
    if !proc_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (id, process, reaper) = orphaned_to_late_reaper(&env);
    process.signal(Signal::KILL);
    process.wait_end();
    let script = format!(
        "procctl is-alive {id}; echo $?; procctl get {id} exitcode; procctl join {id} --timeout 5; echo $?"
    );
    let Some(call) = env.bash_read_only(&script) else { return };
    assert_eq!(call.output().success(), "1\n-9\n137");
    assert_eq!(read_record(&env, &id)["state"], "started");
    assert_eq!(env.join(&id), 137);
    reaper.reap();
}

#[test]
fn a_sentinel_that_was_settled_can_be_waited_for_again() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (worker, old) = orphaned(&env, &[]);
    // As a procctl leaves it that finds the monitor dead and can make no other.
    let sentinel = read_record(&env, &worker.id)["sentinel"].as_str().unwrap().to_owned();
    std::fs::remove_file(&sentinel).unwrap();
    std::fs::write(&sentinel, "").unwrap();
    let mut join = env.procctl(["join", &worker.id]).spawn();
    join.wait_until_blocked();
    assert_adopted(&env, &worker.id, old);
    let mut reader = Command::new("cat").arg(&sentinel).spawn().unwrap();
    assert_eq!(reader.try_wait().unwrap(), None);
    worker.exit(4);
    join.wait().exits(4).quiet();
    assert!(reader.wait().unwrap().success());
    await_record(&env, &worker.id, 4);
}

#[test]
fn adopted_processes_are_counted_and_closed_like_others() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let (worker, _) = orphaned(&env, &["--unique", "-n", "one"]);
    env.refused(["start", "--unique", "-n", "one", "--", "true"], 125, &["one"]);
    worker.exit(0);
    await_record(&env, &worker.id, 0);
    let next = env.start(&["--unique", "-n", "one"], &["true"]);
    assert_eq!(env.json(["get", &next, "identity"]), serde_json::json!([2]));
    env.join(&next);
    env.ok(["close", "--all"]);
    assert_eq!(env.status().len(), 0);
    kill_leftovers(&env);
}
