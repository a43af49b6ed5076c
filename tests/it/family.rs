//! §4: names, numbers and identity; what a process knows of itself, its parent and its children.

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::harness::{Shell, TestEnv};
use crate::support::{assert_numbered_without_gap, names, said_inside};

#[test]
fn a_shell_joins_its_children_from_any_subshell() {
    for shell in Shell::installed() {
        let env = TestEnv::new();
        let script = r#"
            x=$(procctl start -- sh -c 'exit 3' | cat)
            procctl join; echo $?
            ( procctl join; echo $? )
            { procctl join; echo $?; } | cat
            y=$(procctl join; echo $?); echo "$y"
        "#;
        let output = env.script(shell, script).output();
        assert_eq!(output.success(), "3\n3\n3\n3", "{shell:?}");
    }
}

#[test]
fn each_outside_parent_counts_from_one_and_joins_its_own() {
    let env = TestEnv::new();
    let script = "procctl start -- sh -c 'exit 3'\nprocctl start -- sh -c 'exit 0'\nprocctl join\necho $?";
    for _ in 0..2 {
        let said = env.bash(script).output().success();
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(env.get(lines[0], "name"), "Process-1");
        assert_eq!(env.get(lines[1], "name"), "Process-2");
        assert_eq!(lines[2], "3");
    }
    // This test's process started none of them.
    env.refused(["join"], 125, &["--all"]);
    assert_eq!(env.json(["status", "--children", "--json"]), json!([]));
    env.procctl(["join", "--all"]).output().exits(3);
}

#[test]
fn children_of_managed_processes_are_named_after_the_family() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    let inner = env.file(
        "inner",
        "procctl start -- sleep 1000 >/dev/null\nprocctl get @self name\nprocctl get Process-2:2:1 identity\n",
    );
    let said = said_inside(
        &env,
        &[],
        &format!(
            r#"
            first=$(procctl start -- sleep 1000 | cat)
            second=$(procctl start -- bash {})
            procctl get "$first" name
            procctl get "$first" identity
            procctl get "$second" name
            procctl join "$second"
            procctl logs "$second"
            "#,
            inner.display()
        ),
    );
    let lines: Vec<String> = said.lines().map(|line| line.replace(' ', "")).collect();
    let wanted = ["Process-2:1", "[2,1]", "Process-2:2", "Process-2:2", "[2,2,1]"];
    assert_eq!(lines, wanted);
}

#[test]
fn a_named_parents_children_are_numbered_by_its_identity() {
    let env = TestEnv::new();
    let script = r#"id=$(procctl start -- true); procctl get "$id" name"#;
    assert_eq!(said_inside(&env, &["-n", "boss"], script), "Process-1:1");
    assert_eq!(said_inside(&env, &["-n", "boss"], script), "Process-2:1");
}

#[test]
fn a_process_knows_itself_its_parent_and_its_children() {
    let env = TestEnv::new();
    let me = std::process::id().to_string();
    let said = said_inside(
        &env,
        &["-n", "outer"],
        r#"
        echo "$PROCCTL_NAME $(procctl get @self name)"
        [ "$PROCCTL_ID" = "$(procctl get @self id)" ] && echo same id
        [ "$(procctl get @self pid)" = $$ ] && echo same pid
        [ "$PROCCTL_RUN_DIR" ] && echo run dir
        procctl get @parent pid
        kid=$(procctl start -n kid -- bash -c 'procctl get @parent name; procctl get @parent pid; exit 3')
        procctl start -n kid2 -- true > /dev/null
        procctl join; echo "join $?"
        procctl logs "$kid"
        echo "pid $$"
        procctl status --children --json > children
        "#,
    );
    let lines: Vec<&str> = said.lines().collect();
    let pid = lines.last().unwrap().strip_prefix("pid ").unwrap();
    let wanted = ["outer outer", "same id", "same pid", "run dir", &me, "join 3", "outer", pid];
    assert_eq!(lines[..lines.len() - 1], wanted);
    let children: Value = serde_json::from_slice(&std::fs::read(env.path("children")).unwrap()).unwrap();
    let mut kids: Vec<&str> =
        children.as_array().unwrap().iter().map(|child| child["name"].as_str().unwrap()).collect();
    kids.sort_unstable();
    assert_eq!(kids, ["kid", "kid2"]);
}

#[test]
fn joining_oneself_or_an_ancestor_is_refused() {
    let env = TestEnv::new();
    let inner = env.file(
        "inner",
        r#"for ref in @self @parent grand "$PROCCTL_ID" "$1"; do
               procctl join "$ref" --timeout 5 >/dev/null 2>&1; echo "$ref $?"
           done"#,
    );
    let said = said_inside(
        &env,
        &["-n", "grand"],
        &format!(
            r#"
            middle=$(procctl start -n middle -- bash -c '
                kid=$(procctl start -n kid -- bash {} "$PROCCTL_ID"); procctl join "$kid"; procctl logs "$kid"')
            procctl join "$middle" && procctl logs "$middle""#,
            inner.display()
        ),
    );
    assert_eq!(said.lines().count(), 5, "{said}");
    for line in said.lines() {
        assert!(line.ends_with(" 125"), "not refused: {said}");
    }
}

#[test]
fn self_and_parent_outside_the_family_are_errors() {
    let env = TestEnv::new();
    env.sleeper(&[]);
    for command in ["join", "terminate", "kill", "interrupt"] {
        env.refused([command, "@self"], 125, &["@self"]);
        env.refused([command, "@parent"], 125, &["@parent"]);
    }
    env.refused(["get", "@self", "name"], 125, &["@self"]);
    // A process whose parent is no managed process.
    let said = said_inside(
        &env,
        &[],
        "for command in join terminate kill interrupt; do procctl $command @parent 2>/dev/null; echo $?; done",
    );
    assert_eq!(said, "125\n125\n125\n125");
    assert_eq!(env.get("Process-1", "state"), "started");
}

#[test]
fn failed_starts_use_up_no_number() {
    let env = TestEnv::new();
    let text = env.file("text", "no program");
    env.sleeper(&["-n", "taken"]);
    let start = |args: &[&str]| env.procctl(["start"].iter().chain(args)).output();
    start(&["--", "no-such-command"]).refused(127, &["no-such-command"]);
    start(&["--", text.to_str().unwrap()]).refused(126, &["text"]);
    start(&["-C", "/no/such/dir", "--", "true"]).refused(125, &["/no/such/dir"]);
    start(&["--unique", "-n", "taken", "--", "true"]).refused(125, &["taken"]);
    start(&["--stdin", "/no/such/file", "--", "true"]).refused(125, &["/no/such/file"]);
    let id = env.sleeper(&[]);
    assert_eq!(env.get(&id, "name"), "Process-2");
    assert_eq!(env.status().len(), 2);
}

#[test]
fn named_created_and_closed_children_count_too() {
    let env = TestEnv::new();
    let name = |id: &str| env.get(id, "name");
    let first = env.start(&[], &["true"]);
    let _second = env.sleeper(&["-n", "named"]);
    let third = env.ok(["create", "--", "true"]);
    assert_eq!(name(&third), "Process-3");
    env.join(&first);
    env.ok(["close", &first]);
    let fourth = env.sleeper(&[]);
    assert_eq!(name(&fourth), "Process-4");
    // The number was taken when it was created, not when it is started.
    env.ok(["start", &third]);
    assert_eq!(name(&third), "Process-3");
    env.join(&third);
    env.ok(["kill", "--all", "--wait"]);
    env.ok(["close", "--all"]);
    let fifth = env.sleeper(&[]);
    assert_eq!(name(&fifth), "Process-5");
}

#[test]
fn numbers_go_on_when_a_process_is_renamed() {
    let env = TestEnv::new();
    let first = env.sleeper(&[]);
    env.ok(["set", &first, "name=Process-2"]);
    let second = env.sleeper(&[]);
    assert_eq!(env.get(&second, "identity"), "[2]");
    env.ok(["set", &first, "name=first"]);
    env.sleeper(&[]);
    let mut all = names(&env);
    all.retain(|name| name != "first");
    all.push("Process-1".to_owned());
    assert_numbered_without_gap(all);
}

#[test]
fn a_child_outlives_its_outside_parent_unless_it_is_daemonic() {
    let env = TestEnv::new();
    let parent = env.program("sleep").arg("1000").spawn();
    let pid = parent.pid().to_string();
    let plain = env.sleeper(&["--parent", &pid]);
    let daemonic = env.sleeper(&["-d", "--parent", &pid]);
    parent.signal(Signal::SIGKILL);
    // When the one has had its signal, the other would have had it too.
    assert_eq!(env.join(&daemonic), 143);
    env.ok(["is-alive", &plain]);
}
