//! `status REF`: the page of one process.

use std::fs;

use rustix::process::Signal;

use crate::harness::{TestEnv, eventually};
use crate::support::{Held, edit_record, kill_monitor, on_terminal_of};

/// The value of a field of a page.
#[track_caller]
fn field<'a>(page: &'a str, label: &str) -> &'a str {
    let lines = page.lines().filter_map(|line| line.trim_start().strip_prefix(label)?.strip_prefix(": "));
    let found: Vec<_> = lines.collect();
    assert_eq!(found.len(), 1, "one {label:?} in\n{page}");
    found[0]
}

fn has(page: &str, label: &str) -> bool {
    page.lines().any(|line| line.trim_start().starts_with(&format!("{label}: ")))
}

#[test]
fn it_tells_all_of_a_live_process() {
    let env = TestEnv::new();
    let script = "exec 7</dev/null; for n in $(seq 15); do echo line $n; done; printf '\\033[31m\\n'; echo ready; sleep 1000 & wait";
    let id = env.start_ready(&["-n", "web", "-d"], script);
    let pid = env.pid(&id);
    let page = env.ok(["status", "web"]);
    assert_eq!(page.lines().next().unwrap(), format!("● web ({id}): started"));
    assert!(field(&page, "State").starts_with("started "), "{page}");
    assert_eq!(field(&page, "Pid"), format!("{pid} (monitor {})", env.monitor_pid(&id)));
    assert!(field(&page, "Parent").contains(&format!("pid {}", std::process::id())), "{page}");
    assert!(field(&page, "Daemon").starts_with("yes"), "{page}");
    assert_eq!(field(&page, "Cwd"), env.root().to_str().unwrap());
    assert_eq!([field(&page, "Stdin"), field(&page, "Output")], ["null", "log"]);
    assert!(field(&page, "CPU").contains("user"), "{page}");
    assert!(field(&page, "Memory").contains("peak"), "{page}");
    assert_eq!(field(&page, "Threads"), "1");
    let files = fs::read_dir(format!("/proc/{pid}/fd")).unwrap().count();
    assert_eq!(field(&page, "Files"), format!("{files} open descriptors"));
    assert!(!has(&page, "Ended by") && !has(&page, "Note"), "{page}");
    assert!(!page.contains('\u{1b}'), "{page:?}");

    assert_eq!(field(&page, "Log"), env.get("web", "log"));
    let log = |page: &str| -> Vec<String> {
        page.lines().filter_map(|line| line.trim_start().strip_prefix("│ ").map(str::to_owned)).collect()
    };
    assert_eq!(log(&page).len(), 10, "{page}");
    assert_eq!(log(&page)[7..], ["line 15", r"\x1b[31m", "ready"], "{page}");
    assert_eq!(log(&env.ok(["status", "web", "-n", "2"])), [r"\x1b[31m", "ready"]);
    assert_eq!(log(&env.ok(["status", "web", "--lines", "0"])), [""; 0]);
}

#[test]
fn it_tells_how_and_by_whom_one_ended() {
    let env = TestEnv::new();
    env.start(&["-n", "bad"], &["sh", "-c", "exit 3"]);
    env.join("bad");
    env.sleeper(&["-n", "killed"]);
    env.ok(["kill", "--wait", "killed"]);
    env.ok(["create", "-n", "new", "--stderr", "stdout", "--", "true"]);

    let bad = env.ok(["status", "bad"]);
    assert!(bad.starts_with("× bad "), "{bad}");
    assert!(field(&bad, "State").starts_with("stopped: it exited with 3, "), "{bad}");
    assert!(field(&bad, "Memory").starts_with("peak "), "{bad}");
    assert!(has(&bad, "Ran") && has(&bad, "CPU") && !has(&bad, "Threads") && !has(&bad, "Ended by"), "{bad}");

    let killed = env.ok(["status", "killed"]);
    assert!(field(&killed, "State").starts_with("stopped: SIGKILL ended it, "), "{killed}");
    let by = format!("procctl kill by pid {} (SIGKILL), ", std::process::id());
    assert!(field(&killed, "Ended by").starts_with(&by), "{killed}");

    let new = env.ok(["status", "new"]);
    assert!(new.starts_with("○ new "), "{new}");
    assert!(field(&new, "State").starts_with("initial: not started; created "), "{new}");
    assert!(!has(&new, "Pid") && !has(&new, "CPU") && !has(&new, "Log"), "{new}");
    // Several are several pages.
    assert_eq!(env.ok(["status", "new", "killed"]), format!("{new}\n\n{killed}"));
}

#[test]
fn a_lost_code_is_explained() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "w"]);
    let process = Held::open(env.pid(&id));
    kill_monitor(&env, &id);
    process.signal(Signal::KILL);
    process.wait_reaped();
    let page = env.ok(["status", "w"]);
    assert!(page.starts_with("× w "), "{page}");
    assert!(field(&page, "State").starts_with("lost: "), "{page}");
    assert_eq!(field(&page, "Note"), env.get("w", "lost"));
}

#[test]
fn a_new_monitor_is_told() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    kill_monitor(&env, &id);
    let page = env.ok(["status", &id]);
    assert!(field(&page, "State").starts_with("started "), "{page}");
    assert!(field(&page, "Note").contains("monitor was killed"), "{page}");
}

#[test]
fn its_command_can_be_pasted_into_a_shell() {
    let env = TestEnv::new();
    let words = ["printf", "<%s>", "a b", "it's", "$HOME", "\n\u{1b}[31m", "日本", ""];
    env.start(&["-n", "w"], &words);
    env.join("w");
    let said = env.ok(["logs", "w"]);
    // Also on a terminal that is too narrow for it.
    let (page, _) = on_terminal_of(&env, 20, &["--color", "never", "status", "w"]);
    assert_eq!(env.bash(field(&page, "Command")).output().success(), said);
}

#[test]
fn its_descendants_are_a_tree_without_monitors() {
    let env = TestEnv::new();
    // An orphan, a child with a child, and a process that is managed.
    let script = "bash -c 'sleep 1001 & echo'
        bash -c 'sleep 1002; true' &
        procctl start -n inner -- sleep 1003
        procctl run -n front -- sleep 1004 &
        until [ \"$(procctl get front state 2>&1)\" = started ]; do :; done
        echo ready; wait";
    let id = env.start_ready(&["-n", "outer"], script);
    let tree = || -> Vec<String> {
        let page = env.ok(["status", "outer"]);
        let lines = page.lines().filter(|line| line.contains("─ "));
        lines.map(|line| line.trim().to_owned()).collect()
    };
    let tree = eventually("all are there", || Some(tree()).filter(|tree| tree.len() == 5));
    let line = |what: &str| {
        let found: Vec<&String> = tree.iter().filter(|line| line.ends_with(what)).collect();
        assert_eq!(found.len(), 1, "one {what:?} in {tree:#?}");
        found[0].clone()
    };
    line("sleep 1001");
    line("bash -c 'sleep 1002; true'");
    assert!(line("sleep 1002").starts_with("│  └─ "), "{tree:#?}");
    for (name, command) in [("inner", "sleep 1003"), ("front", "sleep 1004")] {
        let id = env.get(name, "id");
        let line = line(command);
        assert!(line.contains(&format!(" {name} ({id}): ")), "{line}");
        assert!(line.contains(&format!("─ {} ", env.pid(&id))), "{line}");
    }
    let page = env.ok(["status", &id]);
    assert!(field(&page, "Tree").starts_with("5 descendants, "), "{page}");
}

#[test]
fn nothing_is_said_of_a_stranger_who_has_the_pid() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    // The monitor holds the lock, and the record says another pid with another identity.
    let mut whole = serde_json::Value::Null;
    edit_record(&env, &id, |record| {
        whole = record.clone();
        record["pid"] = std::process::id().into();
        record["monitor"]["pid"] = 1.into();
    });
    let page = env.procctl(["status", &id]).output();
    let page = page.exits(0).stdout();
    for label in ["Threads", "Memory", "Tree", "Files"] {
        assert!(!has(&page, label), "{page}");
    }
    edit_record(&env, &id, |record| *record = whole);
}

#[test]
fn colour_is_a_matter_of_the_terminal_and_the_option() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "w"]);
    let (page, _) = on_terminal_of(&env, 80, &["status", "w"]);
    assert!(page.starts_with("\u{1b}[32m●\u{1b}[0m "), "{page:?}");
    let (page, _) = on_terminal_of(&env, 80, &["--color", "never", "status", "w"]);
    assert!(page.starts_with("● w "), "{page:?}");
    assert!(env.ok(["--color", "always", "status", "w"]).contains('\u{1b}'));
}

#[test]
fn a_process_that_asks_for_itself_does_not_see_the_asking() {
    let env = TestEnv::new();
    let id = env.start(&[], &["bash", "-c", "procctl status @self; procctl status --tree"]);
    assert_eq!(env.join(&id), 0);
    let said = env.ok(["logs", &id]);
    assert!(said.contains(&format!("({id}): started")), "{said}");
    assert!(!said.contains("Tree: ") && !said.contains("procctl status\n"), "{said}");
    assert_eq!(said.matches("─ ").count(), 1, "{said}");
}

#[test]
fn a_suspended_process_is_said_to_be_so() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    assert!(!env.ok(["status", &id]).contains("suspended"));
    env.ok(["kill", "-s", "STOP", &id]);
    eventually("it says so", || {
        env.ok(["status", &id]).contains("; suspended, until it gets SIGCONT").then_some(())
    });
    env.ok(["kill", "-s", "CONT", &id]);
    eventually("it goes on", || (!env.ok(["status", &id]).contains("suspended")).then_some(()));
}
