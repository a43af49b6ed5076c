//! §4: who the parent is: in every form in which a shell can start something, with a leaked variable, and when it is
//! said outright.

use serde_json::Value;

use crate::harness::{Shell, TestEnv, eventually, installed, proc_state, skipped};
use crate::support::said_inside;

/// Ways to start a process from a shell script. Each prints the id.
const FORMS: &[&str] = &[
    "procctl start -- sleep 1000",
    r#"x=$(procctl start -- sleep 1000); echo "$x""#,
    r#"x=$(procctl start -- sleep 1000; :); echo "$x""#,
    r#"x=$(procctl start -- sleep 1000 | cat); echo "$x""#,
    r#"x=`procctl start -- sleep 1000`; echo "$x""#,
    "( procctl start -- sleep 1000 )",
    "( procctl start -- sleep 1000; : )",
    "( ( procctl start -- sleep 1000; : ); : )",
    "procctl start -- sleep 1000 | cat",
    "{ procctl start -- sleep 1000; } | cat",
    "{ procctl start -- sleep 1000; :; } | cat",
    "echo | procctl start -- sleep 1000",
    "echo | { read _; procctl start -- sleep 1000; :; }",
    r#"x=$( ( procctl start -- sleep 1000; : ) | cat ); echo "$x""#,
    r#"f() { procctl start -- sleep 1000; return 0; }; x=$(f); echo "$x""#,
    "procctl start -- sleep 1000 & wait",
    "{ procctl start -- sleep 1000; :; } & wait",
    "if procctl start -- sleep 1000; then :; fi",
    "eval 'procctl start -- sleep 1000'",
];

fn the_shell_is_the_parent_in_every_form(shell: Shell) {
    if !installed(shell.name()) {
        skipped(shell.name());
        return;
    }
    let env = TestEnv::new();
    let script = format!("echo $$\n{}", FORMS.join("\n"));
    let said = env.script(shell, &script).output().success();
    let mut lines = said.lines();
    let shell_pid: i32 = lines.next().unwrap().parse().unwrap();
    let ids: Vec<&str> = lines.collect();
    assert_eq!(ids.len(), FORMS.len(), "{said}");
    // By now the shell is gone: the records keep who it was.
    for (nth, (id, form)) in ids.iter().zip(FORMS).enumerate() {
        let record = env.record(id);
        assert_eq!(record["parent"]["pid"], shell_pid, "{form}: {record}");
        assert_eq!(record["parent"]["id"], Value::Null, "{form}: {record}");
        assert_eq!(record["name"], format!("Process-{}", nth + 1), "{form}");
    }
}

#[test]
fn bash_is_the_parent_in_every_form() {
    the_shell_is_the_parent_in_every_form(Shell::Bash);
}

#[test]
fn dash_is_the_parent_in_every_form() {
    the_shell_is_the_parent_in_every_form(Shell::Dash);
}

#[test]
fn zsh_is_the_parent_in_every_form() {
    the_shell_is_the_parent_in_every_form(Shell::Zsh);
}

#[test]
fn process_substitution_has_the_shell_as_parent() {
    for shell in [Shell::Bash, Shell::Zsh] {
        if !installed(shell.name()) {
            skipped(shell.name());
            continue;
        }
        let env = TestEnv::new();
        let script = "echo $$\ncat <(procctl start -- sleep 1000)\ncat <(procctl start -- sleep 1000; :)";
        let said = env.script(shell, script).output().success();
        let lines: Vec<&str> = said.lines().collect();
        for id in &lines[1..] {
            assert_eq!(env.get(id, "parent.pid"), lines[0], "{shell:?}");
        }
        assert_eq!(lines.len(), 3, "{said}");
    }
}

#[test]
fn a_shell_within_a_shell_is_a_parent_of_its_own() {
    for shell in Shell::installed() {
        let env = TestEnv::new();
        // The same executable as its parent, but exec'ed: it is not a subshell.
        let script = format!(
            "procctl start -- sleep 1000 >/dev/null\n{} -c 'echo $$; procctl start -- sleep 1000; :'",
            shell.name()
        );
        let said = env.script(shell, &script).output().success();
        let (inner, id) = said.split_once('\n').unwrap();
        assert_eq!(env.get(id, "parent.pid"), inner, "{shell:?}");
        assert_eq!(env.get(id, "name"), "Process-1", "{shell:?}");
    }
}

#[test]
fn the_record_of_a_nested_process_says_who_its_parent_was() {
    let env = TestEnv::new();
    let said = said_inside(&env, &["-n", "boss"], "procctl start -- sleep 1000");
    let boss = env.record("boss");
    let parent = env.record(&said)["parent"].clone();
    assert_eq!(parent["id"], boss["id"]);
    assert_eq!(parent["name"], "boss");
    assert_eq!(parent["pid"], boss["pid"]);
}

#[test]
fn a_leaked_id_in_an_unrelated_process_is_not_believed() {
    let env = TestEnv::new();
    let other = env.sleeper(&["-n", "other"]);
    let leaked = |args: &[&str]| env.procctl(args).env("PROCCTL_ID", &other).env("PROCCTL_NAME", "other");
    let id = leaked(&["start", "--", "sleep", "1000"]).output().success();
    assert_eq!(env.get(&id, "name"), "Process-2");
    assert_eq!(env.get(&id, "parent.pid"), std::process::id().to_string());
    leaked(&["get", "@self", "name"]).output().refused(125, &["@self"]);
    leaked(&["terminate", "@self"]).output().refused(125, &["@self"]);
    assert_eq!(env.get(&other, "state"), "started");
    // Nor is one that names nobody, or something that is no id at all.
    for nonsense in ["zzzzzz", "../../x", ""] {
        let started = env.procctl(["start", "--", "true"]).env("PROCCTL_ID", nonsense).output().success();
        assert_eq!(env.get(&started, "parent.pid"), std::process::id().to_string());
    }
}

#[test]
fn a_leaked_id_of_a_daemonic_process_forbids_nothing() {
    let env = TestEnv::new();
    let daemonic = env.sleeper(&["-d"]);
    let id = env.procctl(["start", "--", "true"]).env("PROCCTL_ID", &daemonic).output().success();
    assert_eq!(env.get(&id, "name"), "Process-2");
}

#[test]
fn an_id_leaked_by_a_process_that_has_ended_is_not_believed() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    // What it leaves behind outlives it, with its environment.
    let script = env.file(
        "left",
        format!(
            "{}\nprocctl get @self name 2>/dev/null; echo $? > said.new; mv said.new said\n",
            gate.wait()
        ),
    );
    let left = script.to_str().unwrap();
    let id = env.start(&[], &["bash", "-c", "setsid bash \"$0\" & exit 0", left]);
    assert_eq!(env.join(&id), 0);
    gate.open();
    let said =
        eventually("the left-behind one has spoken", || std::fs::read_to_string(env.path("said")).ok());
    assert_eq!(said, "125\n");
}

#[test]
fn an_orphan_of_a_live_process_still_belongs_to_it() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let orphan = env.file(
        "orphan",
        r#"monitor=$(procctl get @self monitor.pid)
           for try in $(seq 1000); do
               read -r _ _ _ parent _ < /proc/$$/stat
               [ "$parent" = "$monitor" ] && break
               sleep 0.01
           done
           [ "$parent" = "$monitor" ] || echo "not adopted by the monitor"
           procctl get @self name
           procctl start -- sleep 1000
           echo done"#,
    );
    let script = format!("( setsid bash {} & ); {}", orphan.display(), gate.wait());
    let id = env.start(&["-n", "live"], &["bash", "-c", &script]);
    let said = eventually("the orphan is done", || {
        let said = env.ok(["logs", &id]);
        said.ends_with("done").then_some(said)
    });
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[0], "live", "{said}");
    assert_eq!(env.get(lines[1], "name"), "Process-1:1");
    assert_eq!(env.get(lines[1], "parent.id"), id);
    gate.open();
    assert_eq!(env.join(&id), 0);
}

#[test]
fn a_process_of_another_run_directory_is_an_outside_parent() {
    let env = TestEnv::new();
    let other = env.path("other");
    let said = said_inside(
        &env,
        &[],
        &format!(
            r#"export PROCCTL_RUN_DIR={}
            procctl get @self name 2>/dev/null; echo $?
            id=$(procctl start -- true; :)
            procctl get "$id" name
            [ "$(procctl get "$id" parent.pid)" = $$ ] && echo mine
            procctl get "$id" parent.id"#,
            other.display()
        ),
    );
    // A null is an empty line.
    assert_eq!(said, "125\nProcess-1\nmine\n");
}

#[test]
fn parent_option_names_the_creating_process() {
    let env = TestEnv::new();
    let stranger = env.program("sleep").arg("1000").spawn();
    let pid = stranger.pid().to_string();
    env.sleeper(&[]);
    let id = env.sleeper(&["--parent", &pid]);
    assert_eq!(env.get(&id, "parent.pid"), pid);
    assert_eq!(env.get(&id, "name"), "Process-1");
    // The option is stronger than the variable.
    let output = env
        .procctl(["start", "--parent", &pid, "--", "true"])
        .env("PROCCTL_PARENT", std::process::id().to_string())
        .output();
    assert_eq!(env.get(&output.success(), "name"), "Process-2");
    drop(stranger);
    assert_eq!(env.get(&id, "parent.pid"), pid);
}

#[test]
fn parent_option_with_a_managed_pid_makes_a_child_of_it() {
    let env = TestEnv::new();
    let boss = env.sleeper(&["-n", "boss"]);
    let pid = env.get(&boss, "pid");
    let id = env.sleeper(&["--parent", &pid]);
    assert_eq!(env.get(&id, "name"), "Process-1:1");
    assert_eq!(env.get(&id, "parent.id"), boss);
    assert_eq!(env.get(&id, "parent.name"), "boss");
}

#[test]
fn parent_variable_says_who_the_caller_is() {
    let env = TestEnv::new();
    let stranger = env.program("sleep").arg("1000").spawn();
    let pid = stranger.pid().to_string();
    let as_stranger = |args: &[&str]| env.procctl(args).env("PROCCTL_PARENT", &pid).output();
    let mine = env.start(&["-n", "worker"], &["sleep", "1000"]);
    let id = as_stranger(&["start", "-n", "worker", "--", "sh", "-c", "exit 6"]).success();
    assert_eq!(env.get(&id, "parent.pid"), pid);
    assert_eq!(env.get(&id, "identity"), "[1]");
    // A name means the caller's own child first.
    as_stranger(&["join", "worker", "--timeout", "10"]).exits(6).quiet();
    as_stranger(&["join"]).exits(6).quiet();
    let said = as_stranger(&["status", "--children", "--json"]).success();
    let children: Value = serde_json::from_str(&said).unwrap();
    assert_eq!(children.as_array().unwrap().len(), 1, "{said}");
    assert_eq!(children[0]["id"], *id);
    assert_eq!(env.get(&mine, "state"), "started");
}

#[test]
fn parent_variable_is_not_passed_on_to_the_process() {
    let env = TestEnv::new();
    let id = env
        .procctl(["start", "--", "env"])
        .env("PROCCTL_PARENT", std::process::id().to_string())
        .output()
        .success();
    assert_eq!(env.join(&id), 0);
    let said = env.ok(["logs", &id]);
    assert!(said.contains("PROCCTL_ID="), "{said}");
    assert!(!said.contains("PROCCTL_PARENT"), "{said}");
}

#[test]
fn a_parent_that_is_none_is_refused() {
    let env = TestEnv::new();
    let dead = env.program("true").spawn();
    let dead_pid = dead.pid().to_string();
    eventually("a zombie", || (proc_state(dead.pid()) == Some('Z')).then_some(()));
    env.refused(["start", "--parent", &dead_pid, "--", "true"], 125, &[&dead_pid]);
    dead.wait();
    for bad in [&dead_pid, "0", "x", "999999999"] {
        env.refused(["start", "--parent", bad, "--", "true"], 125, &[bad]);
        let output = env.procctl(["start", "--", "true"]).env("PROCCTL_PARENT", bad).output();
        output.refused(125, &[bad]);
    }
    let daemonic = env.sleeper(&["-d"]);
    let pid = env.get(&daemonic, "pid");
    env.refused(["start", "--parent", &pid, "--", "true"], 125, &["daemonic"]);
    assert_eq!(env.status().len(), 1);
}
