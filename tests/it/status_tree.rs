//! `status --tree`: the family.

use serde_json::{Value, json};

use crate::harness::TestEnv;
use crate::support::{edit_record, on_terminal_of};

/// `outer`, which runs `sleep 1001` by itself and has the children `one` and `two`; and `other`, of the test itself.
fn family(env: &TestEnv) -> String {
    let script = "sleep 1001 &
        procctl start -n one -- sleep 1002 >/dev/null
        procctl start -n two -- bash -c 'procctl start -n inmost -- sh -c \"exit 3\"; procctl join inmost; echo ended; exec sleep 1003' >/dev/null
        until procctl logs two | grep -q ended; do :; done
        echo ready; wait";
    let outer = env.start_ready(&["-n", "outer"], script);
    env.sleeper(&["-n", "other"]);
    outer
}

/// The first column, cut at the end of the name.
fn shape(tree: &str) -> Vec<String> {
    let name = |line: &str| {
        let end = line.char_indices().find(|&(at, _)| {
            line[at..].starts_with("  ")
                && line[at..].trim_start().starts_with(|c: char| c.is_alphanumeric() || c == '-')
        });
        line[..end.map_or(line.len(), |(at, _)| at)].to_owned()
    };
    tree.lines().skip(1).map(name).collect()
}

#[test]
fn children_stand_beneath_their_parents_and_what_procctl_did_not_start_too() {
    let env = TestEnv::new();
    family(&env);
    let tree = env.ok(["status", "--tree"]);
    let shape = shape(&tree);
    assert_eq!(
        shape[1..],
        ["├─ outer", "│  ├─ sleep", "│  ├─ one", "│  └─ two", "│     └─ inmost", "└─ other",],
        "{tree}"
    );
    // The parent of all is this test.
    let root = tree.lines().nth(1).unwrap();
    assert!(root.contains(&std::process::id().to_string()) && root.contains("outside"), "{tree}");
    let line = |what: &str| tree.lines().find(|line| line.contains(what)).unwrap();
    assert!(line("─ sleep ").contains(" - "), "{tree}");
    assert!(line("─ inmost ").contains("stopped[3]"), "{tree}");
    assert!(line("─ two ").contains(&env.get("two", "id")), "{tree}");
}

#[test]
fn a_filter_keeps_the_ancestors_of_what_matches() {
    let env = TestEnv::new();
    let outer = family(&env);
    let tree = |filter: &[&str]| shape(&env.ok([&["status", "--tree"], filter].concat()))[1..].to_vec();
    assert_eq!(tree(&["--failed"]), ["└─ outer", "   └─ two", "      └─ inmost"]);
    assert_eq!(tree(&["--name", "o*"]), ["├─ outer", "│  ├─ sleep", "│  └─ one", "└─ other"]);
    // Those that are named come with all below them.
    assert_eq!(tree(&["two"]), ["└─ outer", "   └─ two", "      └─ inmost"]);
    assert_eq!(tree(&["two", "--alive"]), ["└─ outer", "   └─ two"]);
    assert_eq!(tree(&[&outer, "--name", "one"]), ["└─ outer", "   └─ one"]);
    assert_eq!(tree(&["--children", "--ended"]), ["└─ outer", "   └─ two", "      └─ inmost"]);
    let output = env.procctl(["status", "--tree", "--name", "nobody"]).output();
    assert_eq!((output.stdout(), output.stderr().trim_end()), (String::new(), "procctl: no process matches"));
    // They are faded, what was asked for is not.
    let (screen, _) = on_terminal_of(&env, 100, &["status", "--tree", "--failed", "--columns", "name"]);
    let is_faded = |name: &str| screen.lines().find(|line| line.contains(name)).unwrap().contains("2m");
    assert!(is_faded("outer") && is_faded("two") && !is_faded("inmost"), "{screen:?}");
}

#[test]
fn as_json_it_is_an_array_of_what_matches_parents_first() {
    let env = TestEnv::new();
    family(&env);
    let names = |args: &[&str]| -> Vec<Value> {
        let rows = env.json([&["status", "--tree", "--json"], args].concat());
        rows.as_array().unwrap().iter().map(|row| row["name"].clone()).collect()
    };
    assert_eq!(names(&[]), ["outer", "one", "two", "inmost", "other"]);
    assert_eq!(names(&["--sort", "-name"]), ["outer", "two", "inmost", "one", "other"]);
    assert_eq!(names(&["--failed"]), ["inmost"]);
    assert_eq!(env.json(["status", "--tree", "--json", "--name", "nobody"]), json!([]));
}

#[test]
fn the_children_of_a_parent_that_was_closed_stand_beneath_what_is_kept_of_it() {
    let env = TestEnv::new();
    let outer = env.start(&["-n", "outer"], &["bash", "-c", "procctl start -n inner -- true"]);
    env.join(&outer);
    env.join("inner");
    env.ok(["close", &outer]);
    let tree = env.ok(["status", "--tree"]);
    assert_eq!(shape(&tree), ["outer", "└─ inner"]);
    let root = tree.lines().nth(1).unwrap();
    assert!(root.contains(&outer) && root.contains("closed"), "{tree}");
}

#[test]
fn of_records_that_go_round_in_a_circle_each_is_shown_once() {
    let env = TestEnv::new();
    let ids: Vec<String> = ["a", "b"].iter().map(|name| env.start(&["-n", name], &["true"])).collect();
    for (id, parent) in [(&ids[0], &ids[1]), (&ids[1], &ids[0])] {
        env.join(id);
        edit_record(&env, id, |record| {
            record["parent"]["id"] = json!(parent);
            record["parent"]["key"] = json!(parent);
        });
    }
    for args in [&["status", "--tree"][..], &["status", "--tree", "a"]] {
        let tree = env.ok(args);
        assert_eq!(tree.lines().count(), 3, "{tree}");
        assert!(ids.iter().all(|id| tree.contains(id.as_str())), "{tree}");
    }
    assert_eq!(env.json(["status", "--tree", "--json"]).as_array().unwrap().len(), 2);
}

#[test]
fn columns_can_be_chosen_and_the_first_one_bears_the_tree() {
    let env = TestEnv::new();
    let outer = family(&env);
    let tree = env.ok(["status", "--tree", "--columns", "id,name,threads", "--alive", "outer"]);
    let words: Vec<Vec<&str>> = tree.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(words.contains(&vec!["└─", &outer, "outer", "1"]), "{tree}");
    assert!(words.contains(&vec!["├─", "-", "sleep", "1"]), "{tree}");
}
