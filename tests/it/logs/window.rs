//! `--since` and `--until`: what the file's times tell, and that no more is claimed.

use std::fs;
use std::time::{Duration, SystemTime};

use crate::harness::TestEnv;

use super::log_of;

/// An ended process whose log was last written to so many seconds after the start.
fn ended(env: &TestEnv, lasted: u64) -> (String, String) {
    let id = env.start(&[], &["echo", "said"]);
    assert_eq!(env.join(&id), 0);
    let started: String = env.get(&id, "started_at");
    let log = fs::OpenOptions::new().append(true).open(log_of(env, &id)).unwrap();
    log.set_modified(SystemTime::now() + Duration::from_secs(lasted)).unwrap();
    (id, started)
}

#[test]
fn a_log_that_is_all_before_or_after_is_told_as_such() {
    let env = TestEnv::new();
    let (id, _) = ended(&env, 0);
    for (options, said) in [
        (&["--since", "1h"][..], "said\n"),
        (&["--since", "2020-01-01T00:00:00Z"], "said\n"),
        (&["--since", "2999-01-01T00:00:00+01:00"], ""),
        (&["--until", "1h"], ""),
        (&["--until", "2999-01-01 00:00:00Z"], "said\n"),
        (&["--since", "1h", "--until", "2999-01-01T00:00:00Z"], "said\n"),
        (&["--since", "2h", "--until", "1h"], ""),
        (&["--since", "1h", "-n", "0"], ""),
        (&["-f", "--since", "1h"], "said\n"),
    ] {
        let output = env.procctl(["logs", &id]).args(options).output();
        output.exits(0).quiet();
        assert_eq!(output.stdout, said.as_bytes(), "{options:?}");
    }
}

#[test]
fn one_that_goes_on_over_that_moment_is_printed_whole_with_a_notice() {
    let env = TestEnv::new();
    let (id, _) = ended(&env, 3600);
    for option in ["--since", "--until"] {
        let output = env.procctl(["logs", &id, option, "0"]).output();
        output.exits(0).one_error(&[&id, "no times", "all of it is printed"]);
        assert_eq!(output.stdout(), "said");
        assert_eq!(env.ok(["logs", "-q", &id, option, "0"]), "said");
    }
}

#[test]
fn with_follow_what_comes_from_now_on() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let id = env.start_ready(&[], &format!("echo ready; {}; echo new", gate.wait()));
    let log = fs::OpenOptions::new().append(true).open(log_of(&env, &id)).unwrap();
    log.set_modified(SystemTime::now() - Duration::from_secs(60)).unwrap();
    let mut follow = env.procctl(["logs", "-f", "--since", "30", &id]).spawn();
    follow.wait_until_blocked();
    gate.open();
    assert_eq!(follow.wait().success(), "new");
}

#[test]
fn what_is_no_moment_is_an_error() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for moment in ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "10x"] {
        env.refused(["logs", &id, "--since", moment], 125, &["--since", moment]);
        env.refused(["logs", &id, "--until", moment], 125, &["--until", moment]);
    }
    env.refused(["logs", &id, "-f", "--until", "0"], 125, &["--until", "--follow"]);
}
