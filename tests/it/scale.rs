//! §7: what a command costs does not depend on how many records there are. Counted in system calls, which are the same
//! on every machine.

use std::fs;
use std::time::Duration;

use crate::harness::{PROCCTL, TestEnv, can_trace};

const FEW: usize = 10;
const MANY: usize = 500;

/// Calls may differ by a handful: an interrupted wait, a second look. A look at each record would be hundreds.
const TOLERANCE: u64 = 12;

/// How many system calls `procctl ARG...` and what it leaves behind make: the least of several runs.
fn calls(env: &TestEnv, args: &[&str]) -> u64 {
    let count = || {
        let report = env.path("calls");
        env.program("strace").args(["-f", "-qq", "-c", "-o"]).arg(&report).arg(PROCCTL).args(args).output();
        let text = fs::read_to_string(&report).unwrap();
        let total = text.lines().rfind(|line| line.ends_with(" total"));
        let total = total.unwrap_or_else(|| panic!("no total: {text}"));
        total.split_whitespace().nth(3).unwrap().parse::<u64>().unwrap()
    };
    (0..5).map(|_| count()).min().unwrap()
}

/// Fills the run directory with ended records.
fn fill(env: &TestEnv, count: usize) {
    let script = format!(
        "for lane in 1 2 3 4; do
            ( for i in $(seq {}); do procctl start -- true >/dev/null; done ) &
        done
        wait; procctl join",
        count / 4
    );
    env.bash(&script).deadline(Duration::from_secs(180)).output().success();
}

#[test]
fn a_command_that_names_one_process_costs_the_same_among_many() {
    if !can_trace(&TestEnv::new()) {
        return;
    }
    let env = TestEnv::new();
    let ended = env.start(&["-n", "ended"], &["sh", "-c", "exit 3"]);
    env.procctl(["join", &ended]).output().exits(3);
    let alive = env.sleeper(&["-n", "alive"]);
    // One parent for all starts: strace, which is the caller here, is another each time.
    let me = std::process::id().to_string();
    let commands: [&[&str]; 14] = [
        &["join", &ended],
        &["join", "ended"],
        &["join", &alive, "--timeout", "0"],
        &["get", &ended, "exitcode"],
        &["get", "ended", "exitcode"],
        &["get", &alive],
        &["is-alive", &alive],
        &["is-alive", "alive"],
        &["terminate", &ended],
        &["kill", "-s", "CONT", &alive],
        &["kill", "-s", "CONT", "alive"],
        &["status", "--json", &alive],
        &["start", "--parent", &me, "--", "true"],
        &["start", "--unique", "-n", "single", "--parent", &me, "--", "true"],
    ];
    fill(&env, FEW);
    let few = commands.map(|args| calls(&env, args));
    fill(&env, MANY);
    let many = commands.map(|args| calls(&env, args));
    for ((args, few), many) in commands.iter().zip(few).zip(many) {
        assert!(
            many <= few + TOLERANCE,
            "{args:?}: {few} system calls among {FEW} records, {many} among {MANY}"
        );
    }
}

#[test]
fn the_childrens_commands_cost_by_their_own_number() {
    if !can_trace(&TestEnv::new()) {
        return;
    }
    let env = TestEnv::new();
    let me = std::process::id().to_string();
    env.start(&["-n", "child"], &["true"]);
    env.join("child");
    let children = |args: &[&'static str]| {
        let count = || {
            let report = env.path("calls");
            env.program("strace")
                .args(["-f", "-qq", "-c", "-o"])
                .arg(&report)
                .arg(PROCCTL)
                .args(args)
                .env("PROCCTL_PARENT", &me)
                .output();
            let text = fs::read_to_string(&report).unwrap();
            let total = text.lines().rfind(|line| line.ends_with(" total")).unwrap().to_owned();
            total.split_whitespace().nth(3).unwrap().parse::<u64>().unwrap()
        };
        (0..5).map(|_| count()).min().unwrap()
    };
    let commands: [&[&str]; 2] = [&["join"], &["status", "--children", "--json"]];
    let few = commands.map(children);
    // Other parents' children: the script is their parent.
    fill(&env, MANY);
    let many = commands.map(children);
    for ((args, few), many) in commands.iter().zip(few).zip(many) {
        assert!(
            many <= few + TOLERANCE,
            "{args:?}: {few} system calls alone, {many} beside {MANY} records of others"
        );
    }
}
