//! `status` of all: there can be many, so each is looked at with less ado than one that is named. What is said of it is the same.

use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use nix::sys::stat::Mode;
use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::support::{read_record, record_file};

fn ended(env: &TestEnv) -> String {
    let id = env.start(&[], &["true"]);
    env.ok(["join", &id]);
    id
}

/// The same record, written as no version of procctl does it, or as others do.
fn other_forms(record: &Value) -> Vec<String> {
    let changed = |change: &dyn Fn(&mut serde_json::Map<String, Value>)| {
        let mut fields = record.as_object().unwrap().clone();
        change(&mut fields);
        serde_json::to_string(&fields).unwrap()
    };
    let file = record.to_string();
    vec![
        file.clone(),
        format!(" {file}\n\n"),
        serde_json::to_string_pretty(record).unwrap(),
        file.replacen("\"log\"", "\"lo\\u0067\"", 1),
        file.replacen("Z\"", "789+00:00\"", 1),
        file.replacen("\"system_seconds\":", "\"system_seconds\":0e5,\"old\":", 1),
        changed(&|fields| drop(fields.shift_remove("witness"))),
        changed(&|fields| drop(fields.shift_remove("unique"))),
        changed(&|fields| {
            let name = fields.shift_remove("name").unwrap();
            fields.insert("name".to_owned(), name);
        }),
        changed(&|fields| {
            fields.shift_insert(0, "from_the_future".to_owned(), json!({ "b": [1.50], "a": "\u{7f}" }));
        }),
        changed(&|fields| drop(fields.insert("cwd".to_owned(), json!({ "hex": "2FFF" })))),
        changed(&|fields| drop(fields.insert("command".to_owned(), json!(["a\"\\\n\u{1}\u{85}\u{202e}é"])))),
    ]
}

#[test]
fn it_says_the_same_as_of_one_that_is_named_however_its_file_is_written() {
    let env = TestEnv::new();
    let id = ended(&env);
    let file = record_file(&env, &id);
    for form in other_forms(&read_record(&env, &id)) {
        fs::write(&file, &form).unwrap();
        for options in
            [&["--json"][..], &["--format", "{}"], &["--columns", "id,name,cwd,command,ended,peak"]]
        {
            let options =
                options.iter().map(|option| option.replace("{}", "{id} {command} {created_at} {usage}"));
            let all: Vec<String> = ["status".to_owned()].into_iter().chain(options).collect();
            let named = all.iter().chain([&id]);
            assert_eq!(env.ok(&all), env.ok(named), "{form}");
        }
        let whole: Value = serde_json::from_str(&env.ok(["get", &id])).unwrap();
        assert_eq!(env.json(["status", "--json"]), json!([whole]), "{form}");
    }
}

#[test]
fn what_a_monitor_that_was_killed_left_undone_is_done() {
    let env = TestEnv::new();
    let id = ended(&env);
    let sentinel = env.get(&id, "sentinel");
    let sentinel = Path::new(&sentinel);
    for args in [
        &["status"][..],
        &["status", "--json"],
        &["status", "--tree"],
        &["status", "--failed"],
        &["status", "--format", "{id}"],
        &["join", "--all"],
    ] {
        fs::remove_file(sentinel).unwrap();
        nix::unistd::mkfifo(sentinel, Mode::S_IRUSR | Mode::S_IWUSR).unwrap();
        env.procctl(args).output().exits(0);
        assert!(!fs::metadata(sentinel).unwrap().file_type().is_fifo(), "{args:?}");
    }
}

#[test]
fn those_that_need_more_than_a_look_get_it_among_many_that_do_not() {
    let env = TestEnv::new();
    let over: Vec<String> = (0..3).map(|_| ended(&env)).collect();
    let alive = env.sleeper(&[]);
    let initial = env.ok(["create", "--", "true"]);
    let broken = ended(&env);
    fs::write(record_file(&env, &broken), "{\"schema\":1").unwrap();
    let another = ended(&env);
    fs::copy(record_file(&env, &over[0]), record_file(&env, &another)).unwrap();
    // No command would find it there.
    let astray = ended(&env);
    let from = record_file(&env, &astray);
    let to = env.run_dir().join("processes/zz");
    fs::create_dir_all(&to).unwrap();
    fs::rename(from.parent().unwrap(), to.join(&astray)).unwrap();

    let table = env.ok(["status", "--columns", "id,state,lost"]);
    let mut states: Vec<(&str, &str)> =
        table.lines().skip(1).map(|line| line.split_once(' ').unwrap()).collect();
    for (_, state) in &mut states {
        *state = state.split_whitespace().next().unwrap();
    }
    let mut expected: Vec<(&str, &str)> = over.iter().map(|id| (id.as_str(), "stopped")).collect();
    expected.extend([
        (alive.as_str(), "started"),
        (&initial, "initial"),
        (&broken, "broken"),
        (&another, "broken"),
    ]);
    if astray.starts_with("zz") {
        expected.push((&astray, "stopped"));
    }
    states.sort_unstable();
    expected.sort_unstable();
    assert_eq!(states, expected, "{table}");
    assert!(table.contains("it says that its id is"), "{table}");

    let json = env.procctl(["status", "--json"]).output();
    json.exits(0);
    let rows: Vec<Value> = serde_json::from_str(&json.stdout()).unwrap();
    let usable = expected.iter().filter(|(_, state)| *state != "broken").count();
    assert_eq!((rows.len(), json.stderr().lines().count()), (usable, 2), "{json:?}");
}
