//! `-h` and `help COMMAND` fit on a screen; `--help` explains, with examples.

use std::collections::BTreeSet;

use procctl::cli::texts;
use procctl::process::fields;
use serde_json::Value;

use crate::harness::{Call, TestEnv};

const COLUMNS: usize = 80;

/// The commands, and procctl itself as an empty word.
fn commands() -> Vec<String> {
    let grammar = procctl::cli::command();
    let names = grammar.get_subcommands().filter(|command| !command.is_hide_set());
    names.map(|command| command.get_name().to_owned()).chain([String::new()]).collect()
}

fn in_a_narrow_terminal(call: Call) -> String {
    call.env("COLUMNS", COLUMNS.to_string()).output().success()
}

#[test]
fn the_short_help_fits_on_a_screen() {
    let env = TestEnv::new();
    for command in commands() {
        let words: Vec<&str> = [command.as_str()].into_iter().filter(|word| !word.is_empty()).collect();
        let short = in_a_narrow_terminal(env.procctl(&words).arg("-h"));
        // The options of a launch are too many.
        let lines = if matches!(command.as_str(), "create" | "start" | "run") { 40 } else { 24 };
        let has = short.lines().count();
        assert!(has <= lines, "{command} -h has {has} lines:\n{short}");
        for line in short.lines() {
            assert!(line.chars().count() <= COLUMNS, "{command}: {line:?}");
            assert_eq!(line, line.trim_end(), "{command}");
        }
        assert_eq!(in_a_narrow_terminal(env.procctl(["help"]).args(&words)), short, "help {command}");
        assert_eq!(in_a_narrow_terminal(env.procctl(["--run-dir", "x", "help"]).args(&words)), short);
    }
    assert!(!env.path("x").exists());
}

#[test]
fn the_long_help_has_examples() {
    let env = TestEnv::new();
    for command in commands() {
        let words: Vec<&str> = [command.as_str()].into_iter().filter(|word| !word.is_empty()).collect();
        let long = in_a_narrow_terminal(env.procctl(&words).arg("--help"));
        for heading in ["\nExit status:\n", "\nExamples:\n", "\nNotes:\n", "--run-dir <DIR>"] {
            assert!(long.contains(heading), "{command} --help has no {heading:?}:\n{long}");
        }
        // An example that was broken into two lines cannot be pasted.
        let name = if command.is_empty() { "procctl" } else { &command };
        for section in texts::sections(texts::of(name).unwrap()) {
            for block in section.blocks {
                let texts::Block::Verbatim(text) = block else { continue };
                for line in text.lines() {
                    assert!(long.contains(&format!("\n      {line}\n")), "{command}: {line:?} in\n{long}");
                }
            }
        }
    }
}

#[test]
fn help_for_what_is_no_command() {
    let env = TestEnv::new();
    env.refused(["help", "no-such"], 125, &["no-such"]);
    env.refused(["no-such", "--help"], 125, &["no-such"]);
    // After the command's name it is the command's own.
    assert_eq!(env.ok(["run", "--", "printf", "%s", "--help"]), "--help");
    let short = env.ok(["run", "-n", "x", "-h"]);
    assert!(short.starts_with("Start a process in the foreground"), "{short}");
}

#[test]
fn every_field_of_a_record_is_explained() {
    fn paths(value: &Value, below: &str, found: &mut BTreeSet<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            let path = format!("{below}{key}");
            paths(value, &format!("{path}."), found);
            found.insert(path);
        }
    }
    let env = TestEnv::new();
    let mut there = BTreeSet::new();
    let id = env.sleeper(&[]);
    env.ok(["terminate", "--wait", &id]);
    paths(&env.record(&id), "", &mut there);
    let explained: BTreeSet<String> = fields::all().into_iter().map(|field| field.path).collect();
    assert!(there.is_subset(&explained), "not explained: {:?}", there.difference(&explained));
    // What a monitor that was killed leaves is not made here.
    let rest: Vec<&String> =
        explained.difference(&there).filter(|path| !path.starts_with("partial_usage.")).collect();
    assert!(rest.is_empty(), "explained, and not there: {rest:?}");
    let record = env.record(&id);
    for field in fields::all().iter().filter(|field| !field.path.contains('.')) {
        let value = &record[&field.path];
        let kind = match value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        };
        let is_time = field.kind.starts_with("time") && kind == "string";
        assert!(is_time || field.kind.contains(kind), "{} is {value}, not {}", field.path, field.kind);
    }
}
