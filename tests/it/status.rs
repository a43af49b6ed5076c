//! `status`: the table, and the same as JSON.

use std::fs;

use serde_json::{Value, json};

use crate::harness::{Shell, TestEnv};
use crate::support::{on_terminal, record_file};

/// The ids in a JSON status, sorted.
fn ids(rows: &Value) -> Vec<String> {
    let mut ids: Vec<_> =
        rows.as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    ids.sort_unstable();
    ids
}

fn sorted<const N: usize>(ids: [&str; N]) -> Vec<String> {
    let mut ids = ids.map(str::to_owned).to_vec();
    ids.sort_unstable();
    ids
}

/// The line of the table that is about `id`.
fn row(table: &str, id: &str) -> String {
    let lines: Vec<_> = table.lines().filter(|line| line.contains(id)).collect();
    assert_eq!(lines.len(), 1, "one line about {id} in\n{table}");
    lines[0].to_owned()
}

#[test]
fn the_table_has_a_row_for_each_with_its_state() {
    let env = TestEnv::new();
    let initial = env.ok(["create", "-n", "first", "--", "true"]);
    let started = env.sleeper(&["-n", "second"]);
    let zero = env.start(&["-n", "third"], &["true"]);
    let three = env.start(&["-n", "fourth"], &["sh", "-c", "exit 3"]);
    let term = env.sleeper(&["-n", "fifth"]);
    env.ok(["terminate", "--wait", &term]);
    env.ok(["join", &zero]);
    assert_eq!(env.join(&three), 3);

    let table = env.ok(["status"]);
    for (id, name, state) in [
        (&initial, "first", "initial"),
        (&started, "second", "started"),
        (&zero, "third", "stopped"),
        (&three, "fourth", "stopped[3]"),
        (&term, "fifth", "stopped[SIGTERM]"),
    ] {
        let row = row(&table, id);
        assert!(row.contains(name) && row.contains(state), "{name} {state}: {row}");
    }
    assert!(row(&table, &started).contains(&env.get(&started, "pid")), "{table}");
    assert!(!row(&table, &zero).contains("stopped["), "{table}");
    assert!(row(&table, &started).contains("sleep 1000"), "{table}");
}

#[test]
fn refs_narrow_it_in_the_table_and_as_json() {
    let env = TestEnv::new();
    let one = env.sleeper(&["-n", "a"]);
    let two = env.sleeper(&["-n", "b"]);
    let other = env.sleeper(&["-n", "c"]);
    let table = env.ok(["status", "--columns", "id,name", "a", &two]);
    row(&table, &one);
    row(&table, &two);
    assert!(!table.contains(&other), "{table}");
    assert_eq!(ids(&env.json(["status", "--json", &one, "b"])), sorted([&one, &two]));
}

#[test]
fn a_name_means_every_record_of_that_name() {
    let env = TestEnv::new();
    let ended = env.start(&["-n", "w"], &["true"]);
    env.ok(["join", &ended]);
    let alive = env.sleeper(&["-n", "w"]);
    let initial = env.ok(["create", "-n", "w", "--", "true"]);
    env.sleeper(&["-n", "other"]);
    assert_eq!(ids(&env.json(["status", "--json", "w"])), sorted([&ended, &alive, &initial]));
}

#[test]
fn json_is_an_array_of_the_records() {
    let env = TestEnv::new();
    assert_eq!(env.json(["status", "--json"]), json!([]));
    let id = env.sleeper(&[]);
    let rows = env.status();
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0], env.record(&id));
}

#[test]
fn of_nothing_it_is_no_error() {
    let env = TestEnv::new();
    for round in ["before", "after"] {
        for option in ["--no-trunc", "--alive", "--children"] {
            let output = env.procctl(["status", option]).output();
            output.exits(0);
            assert_eq!(output.stdout(), "", "{option} {round} the first start");
            env.ok(["--quiet", "status", option]);
            assert_eq!(env.json(["status", "--json", option]), json!([]));
        }
        let id = env.start(&[], &["true"]);
        env.ok(["join", &id]);
        env.ok(["close", &id]);
    }
}

#[test]
fn alive_shows_those_that_run() {
    let env = TestEnv::new();
    env.ok(["create", "--", "true"]);
    let ended = env.start(&[], &["true"]);
    env.ok(["join", &ended]);
    let alive = env.sleeper(&[]);
    assert_eq!(ids(&env.json(["status", "--alive", "--json"])), [alive.as_str()]);
    let table = env.ok(["status", "--alive"]);
    row(&table, &alive);
    assert!(!table.contains(&ended), "{table}");
}

#[test]
fn children_are_those_of_the_caller_ended_ones_too() {
    for shell in Shell::installed() {
        let env = TestEnv::new();
        let stranger = env.sleeper(&[]);
        let said = env
            .script(
                shell,
                "a=$(procctl start -- true); procctl join $a
                 b=$(procctl start -- sleep 1000)
                 echo $a $b
                 x=$(procctl status --children --json | cat); echo \"$x\" | tr -d '\\n'; echo
                 procctl status --json --children --alive | tr -d '\\n'; echo",
            )
            .output()
            .success();
        let lines: Vec<_> = said.lines().collect();
        let [created, children, alive] = lines[..] else {
            panic!("{said}");
        };
        let (ended, running) = created.split_once(' ').unwrap();
        let children: Value = serde_json::from_str(children).unwrap();
        assert_eq!(ids(&children), sorted([ended, running]), "{shell:?}");
        let alive: Value = serde_json::from_str(alive).unwrap();
        assert_eq!(ids(&alive), [running], "{shell:?}");
        assert_eq!(env.get(&stranger, "state"), "started");
    }
}

#[test]
fn children_inside_a_process_are_its_own() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    env.file(
        "outer",
        "procctl start -n inner -- sleep 1000
         procctl status --children --json > children; echo ready; read -r _ < gate",
    );
    let gate = env.gate("gate");
    let outer = env.start_ready(&["-n", "outer"], "exec bash outer");
    let children: Value = serde_json::from_slice(&fs::read(env.path("children")).unwrap()).unwrap();
    assert_eq!(ids(&children), [env.get("inner", "id")]);
    assert_eq!(children[0]["parent"]["id"], json!(outer));
    assert_eq!(children[0]["name"], json!("inner"));
    gate.open();
    assert_eq!(env.join(&outer), 0);
}

#[test]
fn an_unknown_ref_is_an_error() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    env.procctl(["status", "nobody"]).output().exits(125).one_error(&["nobody"]);
}

#[test]
fn long_commands_are_cut_in_the_table_unless_asked_for_whole() {
    let env = TestEnv::new();
    let long = "x".repeat(3000);
    let id = env.start(&[], &["true", &long]);
    env.ok(["join", &id]);
    assert!(env.ok(["status", "--no-trunc"]).replace(['\n', ' ', '|', '│'], "").contains(&long));
    assert_eq!(env.record(&id)["command"], json!(["true", long]));
}

#[test]
fn colour_is_a_matter_of_the_option_and_the_terminal() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    let has_colour = |args: &[&str], no_color: bool| {
        let call = env.procctl(args);
        let call = if no_color { call.env("NO_COLOR", "1") } else { call };
        call.output().success().contains('\x1b')
    };
    assert!(!has_colour(&["status"], false));
    assert!(!has_colour(&["status", "--color", "auto"], false));
    assert!(!has_colour(&["status", "--color", "never"], false));
    assert!(has_colour(&["status", "--color", "always"], false));
    assert!(!has_colour(&["status"], true));
    assert!(has_colour(&["status", "--color", "always"], true));
    assert!(!has_colour(&["--color=always", "status", "--json"], false));
}

#[test]
fn control_characters_of_arguments_never_reach_a_terminal_raw() {
    let env = TestEnv::new();
    env.start(&[], &["true", "\x1b]0;title\x07", "\x1b[2J", "\u{9b}31m", "a\nb\rc"]);
    env.ok(["join", "--all"]);
    for args in [
        &["status", "--no-trunc"][..],
        &["status", "--json"],
        &["get", "Process-1"],
        &["get", "Process-1", "command"],
    ] {
        let (code, seen) = on_terminal(&env, &[&["--color", "never"], args].concat());
        let seen = String::from_utf8(seen).unwrap();
        assert!(code == 0 && seen.contains("true"), "{seen}");
        let raw = seen.chars().find(|&c| c.is_control() && c != '\n');
        assert_eq!(raw, None, "{seen:?}");
    }
}

#[test]
fn a_closed_stdout_ends_it_quietly() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    for command in ["['procctl', 'status']", "['procctl', 'status', '--json']"] {
        let output = env
            .python(&format!(
                "import os, subprocess
reader, writer = os.pipe()
os.close(reader)
done = subprocess.run({command}, stdout=writer, stderr=subprocess.PIPE)
assert done.stderr == b'', done
assert done.returncode in (0, -13), done"
            ))
            .output();
        output.success();
    }
}

#[test]
fn a_full_disk_behind_stdout_is_an_error() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    env.bash("procctl status > /dev/full").output().refused(125, &[]);
    env.bash("procctl status --json > /dev/full").output().refused(125, &[]);
}

#[test]
fn a_broken_record_is_one_row_and_the_others_are_shown() {
    let env = TestEnv::new();
    let good = env.sleeper(&[]);
    let broken = env.start(&[], &["true"]);
    env.ok(["join", &broken]);
    let file = record_file(&env, &broken);
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();

    let output = env.procctl(["status"]).output();
    assert!(output.stdout().contains(&good));
    assert!(format!("{}{}", output.stdout(), output.stderr()).contains(&broken));
    let output = env.procctl(["get", &broken]).output();
    output.refused(125, &[&broken]);
    assert_eq!(env.get(&good, "state"), "started");
    let another = env.start(&[], &["true"]);
    assert_eq!(env.join(&another), 0);
}
