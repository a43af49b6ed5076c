//! §3: what a name means while the process that bears it goes its way. Whatever happens between two system calls of a command
//! that looks for it, the process is found, and no other one of that name instead.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::thread;
use std::time::Duration;

use crate::harness::{Gate, Running, TestEnv, eventually};
use crate::tracer::{Fault, Traced, Until, trace, trace_beside};

/// `procctl ARG...` again and again, each time with `deed` done before another one of its system calls, from the first of its own.
/// `prepare` makes a process for each time, which has ended after it.
fn beside_each_step<T>(
    env: &TestEnv,
    args: &[&str],
    prepare: impl Fn() -> (String, T),
    deed: impl Fn(&str, &T),
    check: impl Fn(&str, &Traced),
) {
    for at in first_step(env, args).. {
        let (id, scene) = prepare();
        let mut is_done = false;
        let traced = trace_beside(env, args, at, &mut || {
            is_done = true;
            deed(&id, &scene);
        });
        if !is_done {
            deed(&id, &scene);
        }
        assert!(!traced.hung, "step {at}: {traced:?}");
        check(&id, &traced);
        env.ok(["close", &id]);
        if traced.hit.is_none() {
            break;
        }
    }
}

fn first_step(env: &TestEnv, args: &[&str]) -> usize {
    trace(env, args, Until::End, None).first_own(0)
}

/// A file name that no other has.
fn another(what: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    format!("{what}-{}", COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A process that bears the name, too, and has ended with 4 long before; another one's child, joined.
fn older(env: &TestEnv) {
    env.bash("procctl start -n w -- sh -c 'exit 4'; procctl join").output().exits(4);
}

/// Starts one that is no child of the test's.
fn start_by_another(env: &TestEnv, script: &str) -> String {
    // The shell does not exec the last command, or that would be the test's child.
    env.bash(&format!("procctl start -n w -- sh -c '{script}'; exit $?")).output().success()
}

#[test]
fn one_that_ends_during_the_look_is_found_and_no_older_one_instead() {
    for args in [&["join", "w"][..], &["kill", "-s", "0", "w"]] {
        let env = TestEnv::new();
        older(&env);
        let live = || {
            let gate = env.gate(&another("gate"));
            (start_by_another(&env, &format!("{}; exit 3", gate.wait())), gate)
        };
        let ends = |id: &str, gate: &Gate| {
            gate.open();
            assert_eq!(env.join(id), 3);
        };
        beside_each_step(&env, args, live, ends, |_, traced| {
            let code = if args[0] == "join" { 3 } else { 0 };
            assert_eq!(traced.code, Some(code), "{args:?}: {traced:?}");
        });
    }
}

/// An end is recorded first and on its shelf a moment later: the two are told apart by putting the entry back.
#[test]
fn one_whose_end_is_being_recorded_is_found_and_no_older_one_instead() {
    for args in [&["join", "w"][..], &["get", "w", "exitcode"], &["kill", "-s", "0", "w"]] {
        let env = TestEnv::new();
        older(&env);
        let recorded = || {
            let id = start_by_another(&env, "exit 3");
            assert_eq!(env.join(&id), 3);
            let ended = eventually("its monitor has moved the entry", || entry_of(&env, &id));
            let mut parts: Vec<&str> = ended.file_name().unwrap().to_str().unwrap().split('.').collect();
            parts[1] = "0";
            let bucket = ended.parent().unwrap().file_name().unwrap();
            let live = env.run_dir().join("names/live").join(bucket).join(parts.join("."));
            fs::rename(&ended, &live).unwrap();
            (id, (live, ended))
        };
        let moved = |_: &str, (live, ended): &(PathBuf, PathBuf)| fs::rename(live, ended).unwrap();
        beside_each_step(&env, args, recorded, moved, |_, traced| {
            let told = match args[0] {
                "join" => (Some(3), ""),
                "get" => (Some(0), "3\n"),
                _ => (Some(0), ""),
            };
            assert_eq!((traced.code, &*traced.stdout), told, "{args:?}: {traced:?}");
        });
    }
}

/// The entry of an ended process in the index by name.
fn entry_of(env: &TestEnv, id: &str) -> Option<PathBuf> {
    let buckets = fs::read_dir(env.run_dir().join("names/ended")).unwrap();
    let mut entries = buckets.flat_map(|bucket| fs::read_dir(bucket.unwrap().path()).unwrap());
    entries.find_map(|entry| {
        Some(entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == id))
    })
}

#[test]
fn one_that_is_joined_by_its_parent_during_the_look_is_found() {
    let env = TestEnv::new();
    older(&env);
    let ended = || {
        let (gate, said) = (env.gate(&another("gate")), another("id"));
        let script =
            format!("procctl start -n w -- sh -c 'exit 3' > {said}; {}; procctl join w", gate.wait());
        let parent = env.bash(&script).spawn();
        let id = eventually("it is started", || {
            let id = fs::read_to_string(env.path(&said)).unwrap_or_default();
            id.strip_suffix('\n').map(str::to_owned)
        });
        assert_eq!(env.join(&id), 3);
        (id, (gate, RefCell::new(Some(parent))))
    };
    let joined = |_: &str, (gate, parent): &(Gate, RefCell<Option<Running>>)| {
        gate.open();
        parent.take().unwrap().wait().exits(3);
    };
    beside_each_step(&env, &["get", "w", "exitcode"], ended, joined, |_, traced| {
        assert_eq!((traced.code, &*traced.stdout), (Some(0), "3\n"), "{traced:?}");
    });
}

#[test]
fn one_that_is_started_during_the_look_is_found() {
    let env = TestEnv::new();
    let initial = || (env.ok(["create", "-n", "w", "--", "sleep", "1000"]), ());
    let is_started = |id: &str, (): &()| assert_eq!(env.ok(["start", id]), *id);
    beside_each_step(&env, &["get", "w", "state"], initial, is_started, |id, traced| {
        assert_eq!(traced.code, Some(0), "{traced:?}");
        assert!(matches!(traced.stdout.trim_end(), "initial" | "started"), "{traced:?}");
        env.ok(["kill", "--wait", id]);
    });

    older(&env);
    beside_each_step(&env, &["terminate", "w"], initial, is_started, |id, traced| {
        // Nobody is told that it was done when it was not.
        if traced.code == Some(0) {
            assert_eq!(env.join(id), 143, "{traced:?}");
        } else {
            assert!(traced.code == Some(125) && traced.stderr.contains(id), "{traced:?}");
            env.ok(["kill", "--wait", id]);
        }
    });
}

/// A start puts its process on the shelf of live ones first of all.
#[test]
fn one_whose_start_was_cut_off_hides_no_ended_one() {
    let env = TestEnv::new();
    older(&env);
    let id = env.ok(["create", "-n", "w", "--", "sleep", "1000"]);
    let args = ["start", &*id];
    let whole = trace(&env, &args, Until::Idle, None);
    assert_eq!(whole.code, Some(0), "{whole:?}");
    env.ok(["kill", "--wait", &id]);
    env.ok(["close", &id]);
    for (at, call) in whole.calls[0].iter().enumerate() {
        let id = env.ok(["create", "-n", "w", "--", "sleep", "1000"]);
        trace(&env, &["start", &id], Until::Idle, Some(whole.aim(0, at, Fault::Kill)));
        if env.get(&id, "state") == "initial" {
            assert_eq!(env.join("w"), 4, "step {at}: {call:?}");
        }
        env.ok(["kill", "--all", "--wait"]);
        env.ok(["close", &id]);
    }
}

#[test]
fn one_that_is_given_another_name_during_the_look_is_among_all() {
    let env = TestEnv::new();
    let live = || (env.sleeper(&["-n", "w"]), ());
    let renamed = |id: &str, (): &()| assert_eq!(env.ok(["set", id, &format!("name={}", another("w"))]), "");
    for args in [&["kill", "--all", "--wait"][..], &["status", "--alive"]] {
        beside_each_step(&env, args, live, renamed, |id, traced| {
            assert_eq!(traced.code, Some(0), "{traced:?}");
            let is_right = if args[0] == "kill" {
                env.get(id, "state") == "stopped"
            } else {
                traced.stdout.contains(id)
            };
            assert!(is_right, "{args:?}: {traced:?}");
            env.ok(["kill", "--wait", id]);
        });
    }
}

#[test]
fn one_that_is_started_during_a_change_of_its_name_gets_that_name() {
    let env = &TestEnv::new();
    let initial = || (env.ok(["create", "-n", "w", "--", "sleep", "1000"]), ());
    thread::scope(|scope| {
        let starting = RefCell::new(None);
        // It may have to wait for the change. By another thread: a tracer takes the children of its own for tracees.
        let starts = |id: &str, (): &()| {
            let (id, (done, is_done)) = (id.to_owned(), channel());
            let starts = move || {
                env.ok(["start", &id]);
                let _ = done.send(());
            };
            starting.replace(Some(scope.spawn(starts)));
            let _ = is_done.recv_timeout(Duration::from_millis(50));
        };
        beside_each_step(env, &["set", "w", "name=v"], initial, starts, |id, traced| {
            assert_eq!(traced.code, Some(0), "{traced:?}");
            starting.take().unwrap().join().unwrap();
            assert_eq!(env.get(id, "name"), "v");
            assert_eq!(env.get(id, "state"), "started");
            env.ok(["kill", "--wait", id]);
        });
    });
}

#[test]
fn one_that_is_closed_during_the_wait_keeps_nobody_from_the_others() {
    let env = TestEnv::new();
    for at in (first_step(&env, &["terminate", "nobody"])..).step_by(3) {
        let yields = env.sleeper(&[]);
        let resists = env.start_ready(&[], "trap '' TERM; echo ready; exec sleep 1000");
        let args = ["terminate", "--kill-after", "0.05", &yields, &resists];
        let traced = trace_beside(&env, &args, at, &mut || {
            env.ok(["terminate", "--wait", &yields]);
            env.ok(["close", &yields]);
        });
        assert!(!traced.hung, "step {at}: {traced:?}");
        // It may have been closed before it was looked for.
        let is_right = traced.code == Some(0) || traced.stderr.contains("no process");
        assert!(is_right && env.get(&resists, "exitcode") == "-9", "step {at}: {traced:?}");
        env.ok(["kill", "--all", "--tree", "--wait"]);
        if traced.hit.is_none() {
            break;
        }
    }
}
