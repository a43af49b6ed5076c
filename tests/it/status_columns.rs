//! `status` as a table: which columns, which rows, in which order, and what fits a terminal.

use std::fs;

use serde_json::{Value, json};
use unicode_width::UnicodeWidthStr;

use crate::harness::TestEnv;
use crate::support::on_terminal_of;

/// The words of each line below the headings.
fn rows(table: &str) -> Vec<Vec<&str>> {
    table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect()
}

/// The names in a JSON status, in its order.
fn names(rows: &Value) -> Vec<&str> {
    rows.as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

/// One of each: `alive`, `fine` (0), `bad` (3), `killed` (SIGTERM) and `new`, created in that order.
fn one_of_each(env: &TestEnv) {
    env.sleeper(&["-n", "alive"]);
    for (name, code) in [("fine", 0), ("bad", 3)] {
        let id = env.start(&["-n", name], &["sh", "-c", &format!("exit {code}")]);
        assert_eq!(env.join(&id), code);
    }
    env.sleeper(&["-n", "killed"]);
    env.ok(["terminate", "--wait", "killed"]);
    env.ok(["create", "-n", "new", "--", "true"]);
}

#[test]
fn columns_are_picked_and_ordered() {
    let env = TestEnv::new();
    one_of_each(&env);
    let table = env.ok(["status", "--columns", "exitcode,name,ended-by", "--columns", "pid"]);
    assert_eq!(
        table.lines().next().unwrap().split_whitespace().collect::<Vec<_>>(),
        ["EXITCODE", "NAME", "ENDED", "BY", "PID"]
    );
    let me = std::process::id().to_string();
    assert_eq!(
        rows(&table),
        [
            vec!["-", "alive", "-", &env.get("alive", "pid")],
            vec!["0", "fine", "-", &env.get("fine", "pid")],
            vec!["3", "bad", "-", &env.get("bad", "pid")],
            vec!["-15", "killed", "terminate", "by", &me, &env.get("killed", "pid")],
            vec!["-", "new", "-", "-"],
        ]
    );
    // With a REF, too, it is a table then.
    assert_eq!(rows(&env.ok(["status", "bad", "--columns", "name,state"])), [["bad", "stopped[3]"]]);
}

#[test]
fn every_column_can_be_had() {
    let env = TestEnv::new();
    one_of_each(&env);
    let refusal = env.refused(["status", "--columns", "nonsense"], 125, &["nonsense", "exitcode", "rss"]);
    let (_, columns) = refusal.lines().next().unwrap().split_once("there are ").unwrap();
    for column in columns.split(", ") {
        let table = env.ok(["status", "--columns", column, "--sort", column]);
        assert_eq!(table.lines().count(), 6, "{column}: {table}");
        assert_eq!(table.lines().next().unwrap().trim(), column.replace('-', " ").to_uppercase());
    }
    env.refused(["status", "--sort", "nonsense"], 125, &["nonsense", "exitcode", "rss"]);
    env.refused(["status", "--json", "--columns", "id"], 125, &["--json", "--columns"]);
}

#[test]
fn live_columns_say_what_proc_says() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let script = "
import threading, time
blocks = [bytearray(1 << 20) for _ in range(64)]
files = [open('/dev/null') for _ in range(20)]
hold = threading.Event()
for _ in range(3):
    threading.Thread(target=hold.wait, daemon=True).start()
end = time.process_time() + 0.2
while time.process_time() < end:
    pass
print('ready', flush=True)
open('gate').read()";
    let python = crate::harness::python().to_str().unwrap();
    let id = env.start(&["-n", "busy"], &[python, "-c", script]);
    env.ok(["create", "-n", "new", "--", "true"]);
    // The gate is open for reading once the script has got there.
    let open_when_ready = || env.ok(["logs", &id]).contains("ready").then_some(());
    crate::harness::eventually("it is ready", open_when_ready);
    let table = env.ok(["status", "--columns", "name,cpu,rss,peak,threads,fds"]);
    let rows = rows(&table);
    let [name, cpu, rss, peak, threads, fds] = rows[0][..] else { panic!("{table}") };
    assert_eq!((name, threads), ("busy", "4"));
    let number = |text: &str, unit: char| text.trim_end_matches(unit).parse::<f64>().unwrap();
    assert!(number(cpu, 's') >= 0.2, "{table}");
    assert!(number(rss, 'M') > 64.0 && number(peak, 'M') > 64.0, "{table}");
    let there = fs::read_dir(format!("/proc/{}/fd", env.pid(&id))).unwrap().count();
    assert!((there - 1..=there + 1).contains(&fds.parse().unwrap()), "{there}: {table}");
    assert_eq!(rows[1], ["new", "-", "-", "-", "-", "-"]);
    gate.open();
    assert_eq!(env.join(&id), 0);
    // What is known of it now is in the record.
    let table = env.ok(["status", "busy", "--columns", "name,cpu,rss,peak,threads,fds"]);
    let ended = self::rows(&table);
    assert_eq!([ended[0][2], ended[0][4], ended[0][5]], ["-", "-", "-"], "{table}");
    assert!(number(ended[0][1], 's') >= 0.2 && number(ended[0][3], 'M') > 64.0, "{table}");
}

#[test]
fn filters_narrow_and_states_add_up() {
    let env = TestEnv::new();
    one_of_each(&env);
    for (filters, left) in [
        (&["--alive"][..], &["alive"][..]),
        (&["--ended"], &["fine", "bad", "killed"]),
        (&["--failed"], &["bad", "killed"]),
        (&["--alive", "--failed"], &["alive", "bad", "killed"]),
        (&["--ended", "--failed"], &["fine", "bad", "killed"]),
        (&["--name", "*a*"], &["alive", "bad"]),
        (&["--name", "[a-f]???", "--name", "ne?"], &["fine", "new"]),
        (&["--name", "*a*", "--failed"], &["bad"]),
        (&["--children", "--failed"], &["bad", "killed"]),
        (&["bad", "alive", "--failed"], &["bad"]),
        (&["bad", "alive", "--children", "--name", "a*"], &["alive"]),
        (&["--sort", "-name", "--ended"], &["killed", "fine", "bad"]),
    ] {
        let args = |more: &[&'static str]| [&["status"], filters, more].concat();
        assert_eq!(names(&env.json(args(&["--json"]))), left, "{filters:?}");
        let table = env.ok(args(&["--columns", "name"]));
        assert_eq!(rows(&table).concat(), left, "{filters:?}");
    }
    let output = env.procctl(["status", "--name", "nobody*"]).output();
    output.exits(0);
    assert_eq!((output.stdout(), output.stderr().trim_end()), (String::new(), "procctl: no process matches"));
    assert_eq!(env.json(["status", "--name", "nobody*", "--json"]), json!([]));
    env.refused(["status", "--name", "[a"], 125, &["[a"]);
}

#[test]
fn it_is_sorted_by_any_column_and_what_says_nothing_comes_last() {
    let env = TestEnv::new();
    one_of_each(&env);
    for (key, order) in [
        ("name", ["alive", "bad", "fine", "killed", "new"]),
        ("-name", ["new", "killed", "fine", "bad", "alive"]),
        ("exitcode", ["killed", "fine", "bad", "alive", "new"]),
        ("-exitcode", ["bad", "fine", "killed", "alive", "new"]),
        ("-created", ["new", "killed", "bad", "fine", "alive"]),
        ("daemon,-name", ["new", "killed", "fine", "bad", "alive"]),
        ("rss,-name", ["alive", "new", "killed", "fine", "bad"]),
    ] {
        assert_eq!(names(&env.json(["status", "--json", "--sort", key])), order, "{key}");
        assert_eq!(names(&env.json(["status", "--json", &format!("--sort={key}")])), order, "{key}");
    }
}

#[test]
fn in_a_pipe_nothing_is_cut_and_each_process_is_one_line() {
    let env = TestEnv::new();
    let name = "n".repeat(255);
    env.start(&["-n", &name], &["true", "a\nb", "\u{1b}[31m", &"x".repeat(500)]);
    env.join("--all");
    let table = env.ok(["status"]);
    assert_eq!(table.lines().count(), 2, "{table}");
    assert!(table.contains(&name) && table.contains(&"x".repeat(500)), "{table}");
    assert!(table.lines().all(|line| line.trim_end() == line), "{table:?}");
}

#[test]
fn on_a_terminal_every_line_fits_and_ids_pids_and_states_are_whole() {
    let env = TestEnv::new();
    let names =
        ["n".repeat(255), "日本語".repeat(28), "👨‍👩‍👧🚀☺️".repeat(8), "e\u{301}".repeat(80), "short".to_owned()];
    let mut whole = Vec::new();
    for name in &names {
        let id = env.start(
            &["-n", name],
            &["sh", "-c", "kill -ABRT $$; : 日本語 🚀\n\u{1b}[31m", &"長い".repeat(99)],
        );
        env.ok(["create", "-n", name, "--", "true"]);
        env.procctl(["join", &id]).output().exits(134);
        whole.push((id.clone(), env.get(&id, "pid")));
    }
    let columns = "id,name,pid,state,cwd,command";
    for width in [10, 30, 40, 60, 61, 79, 80, 120, 200] {
        for args in [&["status"][..], &["status", "--tree"], &["--quiet", "status", "--columns", columns]] {
            let (screen, errors) = on_terminal_of(&env, width, args);
            assert_eq!(errors, "", "{args:?}");
            let lines: Vec<&str> = screen.lines().collect();
            let widest = lines.iter().map(|line| plain(line).width()).max().unwrap();
            // The id and the state are never left out.
            let least = if args.contains(&"--tree") { 27 } else { 26 };
            assert!(widest <= usize::from(width).max(least), "{width} {args:?}: {widest}\n{screen}");
            for (id, pid) in &whole {
                let line = lines.iter().find(|line| line.contains(id)).unwrap();
                assert!(line.contains("stopped[SIGABRT]"), "{width} {args:?}\n{screen}");
                assert!(width < 60 || line.contains(pid), "{width} {args:?}\n{screen}");
            }
        }
    }
    // Wide enough, it is all there.
    let (screen, _) = on_terminal_of(&env, 60, &["status", "--no-trunc"]);
    assert!(names.iter().all(|name| screen.contains(name)), "{screen}");
}

/// Without colours.
fn plain(line: &str) -> String {
    let mut parts = line.split('\u{1b}');
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + part.split_once('m').map_or("", |(_, rest)| rest))
}

#[test]
fn columns_that_were_asked_for_are_not_left_out_in_silence() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    let args = ["status", "--columns", "id,state,cwd,log,started"];
    let (screen, errors) = on_terminal_of(&env, 40, &args);
    assert!(!screen.contains("CWD"), "{screen}");
    assert!(errors.contains("cwd") && errors.contains("--no-trunc"), "{errors}");
    let (screen, errors) = on_terminal_of(&env, 200, &args);
    assert!(screen.contains("CWD"), "{screen}");
    assert_eq!(errors, "");
    // Of the usual ones, the least important go.
    let (screen, errors) = on_terminal_of(&env, 50, &["status"]);
    assert!(!screen.contains("DAEMON") && screen.contains("COMMAND"), "{screen}");
    assert_eq!(errors, "");
}

#[test]
fn times_are_local() {
    let env = TestEnv::new();
    env.start(&["-n", "w"], &["true"]);
    env.join("w");
    let started = |zone: &str| {
        let table = env.procctl(["status", "--columns", "started"]).env("TZ", zone).output().success();
        let page = env.procctl(["status", "w"]).env("TZ", zone).output().success();
        let at = table.lines().nth(1).unwrap().to_owned();
        assert!(
            page.contains(&format!("{at} {}", zone.trim_end_matches(|c: char| !c.is_alphabetic()))),
            "{page}"
        );
        at
    };
    let (here, there) = (started("UTC0"), started("XYZ-9"));
    let utc = env.get("w", "started_at").replace('T', " ");
    assert!(utc.starts_with(&here), "{utc}: {here}");
    assert_ne!(here, there);
}
