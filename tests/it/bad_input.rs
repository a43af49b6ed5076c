//! What is wrong gets one clear error with the value concerned, exit status 125, and changes nothing.

use std::os::unix::ffi::OsStrExt;

use crate::harness::TestEnv;

/// Neither a record nor the file that the refused commands would have made.
fn assert_nothing_happened(env: &TestEnv) {
    assert!(!env.path("made").exists());
    assert!(!env.run_dir().exists() || env.status().is_empty());
}

#[test]
fn bad_names_are_refused() {
    let env = TestEnv::new();
    let long = "n".repeat(256);
    for (name, said) in [
        ("", "name"),
        ("-dash", "-dash"),
        ("@self", "@self"),
        ("@x", "@x"),
        ("a\nb", "a"),
        ("tab\tbed", "tab"),
        ("esc\x1b[31m", "esc"),
        ("del\x7f", "del"),
        ("c1\u{9b}31m", "c1"),
        (&long, "255"),
    ] {
        let option = format!("--name={name}");
        for command in ["create", "start", "run"] {
            env.refused([command, &option, "--", "touch", "made"], 125, &[said]);
        }
    }
    let output = env
        .procctl(["start", "-n"])
        .arg(std::ffi::OsStr::from_bytes(b"caf\xe9"))
        .args(["--", "touch", "made"])
        .output();
    output.refused(125, &["UTF-8"]);
    assert_nothing_happened(&env);
}

#[test]
fn bad_names_are_refused_by_set_too() {
    let env = TestEnv::new();
    let id = env.sleeper(&["-n", "good"]);
    for name in ["", "-dash", "@x", "a\nb", "esc\x1b[31m", "c1\u{9b}", &"n".repeat(256)] {
        env.refused(["set", &id, &format!("name={name}")], 125, &[]);
        assert_eq!(env.get(&id, "name"), "good");
    }
}

#[test]
fn good_names_are_taken() {
    let env = TestEnv::new();
    for name in ["a", "0", "a b", "wörker", "日本", "a-b_c.d/e:f", "..", "/", "%s", "$(x)", "'\"\\", "a@b"]
    {
        let id = env.ok(["create", "-n", name, "--", "true"]);
        assert_eq!(env.get(&id, "name"), name);
        assert_eq!(env.get(name, "id"), id);
    }
    let long = "é".repeat(127);
    let id = env.ok(["create", "-n", &long, "--", "true"]);
    assert_eq!(env.get(&long, "id"), id);
}

#[test]
fn unknown_refs_are_errors_that_name_them() {
    let env = TestEnv::new();
    env.sleeper(&["-n", "worker"]);
    for command in
        ["start", "join", "terminate", "kill", "interrupt", "is-alive", "status", "logs", "get", "close"]
    {
        for reference in ["nobody", "99999999", "@nobody", "../../etc/passwd", "worker\n"] {
            let output = env.procctl([command, reference]).output();
            output.exits(125).one_error(&[reference.trim_end()]);
        }
    }
    env.refused(["set", "nobody", "name=x"], 125, &["nobody"]);
    for reference in ["esc\x1b[2J", "bell\x07", "c1\u{9b}31m", "two\nlines"] {
        env.refused(["get", reference], 125, &[&reference[..2]]);
    }
    let odd = std::ffi::OsStr::from_bytes(b"nob\xffdy");
    env.procctl(["get"]).arg(odd).output().refused(125, &["nob"]);
    assert_eq!(env.get("worker", "state"), "started");
    assert_eq!(env.status().len(), 1);
}

#[test]
fn an_unknown_ref_where_nothing_was_ever_started_is_an_error() {
    let env = TestEnv::new();
    for command in ["start", "join", "terminate", "is-alive", "logs", "get", "close"] {
        env.refused([command, "nobody"], 125, &[]);
    }
    assert_nothing_happened(&env);
}

#[test]
fn an_empty_command_is_refused() {
    let env = TestEnv::new();
    for command in ["create", "start", "run"] {
        env.refused([command, "--"], 125, &[]);
        env.refused([command, "-n", "w", "--"], 125, &[]);
        env.refused([command], 125, &[]);
    }
    for command in ["start", "run"] {
        let output = env.procctl([command, "--", ""]).output();
        assert!([125, 127].contains(&output.code()), "{output:?}");
        output.one_error(&[]);
    }
    assert_nothing_happened(&env);
}

#[test]
fn a_missing_double_dash_shows_the_line_to_type() {
    let env = TestEnv::new();
    env.refused(["start", "touch", "made"], 125, &["procctl start -- touch made"]);
    env.refused(["run", "touch", "made"], 125, &["procctl run -- touch made"]);
    env.refused(["create", "touch", "made"], 125, &["procctl create -- touch made"]);
    env.refused(["start", "-n", "w", "touch", "made"], 125, &["procctl start -n w -- touch made"]);
    env.refused(["start", "touch", "-m", "made"], 125, &["--"]);
    env.refused(["start", "-n", "w", "--unique"], 125, &["--"]);
    assert_nothing_happened(&env);
}

#[test]
fn an_option_of_other_commands_is_said_to_be_theirs() {
    let env = TestEnv::new();
    let hint = |args: &[&str]| {
        let said = env.refused(args, 125, &["unexpected argument"]);
        said.split_once("hint: ").map(|(_, hint)| hint.to_owned()).unwrap_or_default()
    };
    assert_eq!(hint(&["logs", "--timeout", "3", "x"]), "--timeout is an option of join only");
    assert_eq!(hint(&["join", "x", "--tree"]), "--tree is an option of terminate, kill, status only");
    // That of a command which stands where no command may.
    assert_eq!(hint(&["run", "touch", "--count", "made"]), "procctl run -- touch --count made");
    assert_eq!(hint(&["run", "touch", "--nonsense", "made"]), "procctl run -- touch --nonsense made");
    assert_nothing_happened(&env);
}

#[test]
fn bad_descriptors_are_refused() {
    let env = TestEnv::new();
    for fd in ["x", "-1", "3x", "", "1.5", "99999999999", "200", "1000000"] {
        let option = format!("--fd={fd}");
        env.refused(["start", &option, "--", "touch", "made"], 125, &["--fd", fd]);
        env.refused(["run", &option, "--", "touch", "made"], 125, &["--fd", fd]);
    }
    assert_nothing_happened(&env);
}

#[test]
fn bad_times_are_refused() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for time in ["x", "", "5x", "1e", "5 s", "s", "--", "1.2.3", "½", "1d2", "0x10", "nan", "."] {
        let timeout = format!("--timeout={time}");
        env.refused(["join", &id, &timeout], 125, &[time]);
        let after = format!("--kill-after={time}");
        env.refused(["terminate", &id, &after], 125, &[time]);
        let older = format!("--older-than={time}");
        env.refused(["close", "--all", &older], 125, &[time]);
    }
    assert_eq!(env.get(&id, "state"), "started");
}

#[test]
fn bad_signal_names_are_refused() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for signal in ["", "NOPE", "SIG", "SIGSIG", "65", "-9", "9x", "1000000", "TERM,KILL", "KILL "] {
        let option = format!("--signal={signal}");
        env.refused(["kill", &option, &id], 125, &[signal.trim()]);
    }
    env.refused(["kill", "-s", "NOPE", &id], 125, &["NOPE"]);
    assert_eq!(env.get(&id, "state"), "started");
    assert_eq!(env.record(&id)["ended_by"], serde_json::Value::Null);
}

#[test]
fn bad_key_value_pairs_are_refused() {
    let env = TestEnv::new();
    for pair in ["=value", "", "="] {
        let option = format!("--env={pair}");
        env.refused(["start", &option, "--", "touch", "made"], 125, &[pair]);
    }
    assert_nothing_happened(&env);
    let id = env.ok(["create", "--", "true"]);
    let before = env.record(&id);
    for pair in ["name", "=x", "", "colour=red", "daemon=", "daemon=perhaps", "daemon"] {
        let key = pair.split('=').next().unwrap();
        env.refused(["set", &id, pair], 125, &[key]);
    }
    assert_eq!(env.record(&id), before);
}

#[test]
fn bad_directories_and_files_are_refused() {
    let env = TestEnv::new();
    env.file("file", "");
    for (option, value) in [
        ("--cwd", "no/such"),
        ("--cwd", "file"),
        ("--cwd", ""),
        ("--stdin", "no/such"),
        ("--stdin", ""),
        ("--stdout", "no/such/file"),
        ("--stdout", "home"),
        ("--stdout", ""),
        ("--stderr", "no/such/file"),
        ("--authkey-file", "no/such"),
        ("--authkey-file", "home"),
        ("--authkey-file", ""),
    ] {
        for command in ["start", "run"] {
            let option = format!("{option}={value}");
            env.refused([command, &option, "--", "touch", "made"], 125, &[value]);
        }
    }
    assert_nothing_happened(&env);
}

#[test]
fn bad_parents_are_refused() {
    let env = TestEnv::new();
    for parent in ["x", "", "0", "-1", "99999999999", "4194304"] {
        let option = format!("--parent={parent}");
        env.refused(["start", &option, "--", "touch", "made"], 125, &[parent]);
        env.procctl(["start", "--", "touch", "made"])
            .env("PROCCTL_PARENT", if parent.is_empty() { "x" } else { parent })
            .output()
            .refused(125, &[parent]);
    }
    assert_nothing_happened(&env);
}

#[test]
fn unknown_commands_and_options_are_procctls_own_errors() {
    let env = TestEnv::new();
    for args in [
        &["strat", "--", "touch", "made"][..],
        &["start", "--no-such-option", "--", "touch", "made"],
        &["status", "--no-such-option"],
        &["start", "-d", "--no-daemon", "--nmae", "x", "--", "touch", "made"],
        &["--color", "sometimes", "status"],
        &["join", "--timeout"],
        &["terminate", "--signal", "9", "x"],
        &[],
    ] {
        env.refused(args, 125, &[]);
    }
    assert_nothing_happened(&env);
}

#[test]
fn help_and_version_are_answers() {
    let env = TestEnv::new();
    for args in [&["--help"][..], &["-h"], &["start", "--help"], &["help", "join"]] {
        let text = env.ok(args);
        assert!(text.contains("procctl"), "{text}");
    }
    let version = env.ok(["--version"]);
    assert!(version.starts_with("procctl ") && version.contains(env!("CARGO_PKG_VERSION")), "{version}");
}

#[test]
fn hints_show_what_was_probably_meant() {
    let env = TestEnv::new();
    for (typed, meant) in [
        (&["run", "ls", "-l", "/"][..], "procctl run -- ls -l /"),
        (&["start", "-n", "w", "ls", "-l"], "procctl start -n w -- ls -l"),
        (&["--run-dir", "x", "run", "ls", "-l"], "procctl --run-dir x run -- ls -l"),
        (&["kill", "-9", "w"], "procctl kill -s 9 w"),
        (&["kill", "w", "-TERM"], "procctl kill -s TERM w"),
        (&["stop", "w"], "procctl terminate"),
        (&["wait"], "procctl join"),
        (&["ps"], "procctl status"),
        (&["frobnicate"], "procctl --help"),
    ] {
        env.refused(typed.iter().copied(), 125, &[&format!("hint: {meant}")]);
    }
}

#[test]
fn a_time_to_keep_records_that_makes_no_sense_starts_nothing() {
    let env = TestEnv::new();
    env.procctl(["start", "--", "true"])
        .env("PROCCTL_KEEP", "7days")
        .output()
        .refused(125, &["PROCCTL_KEEP", "7days"]);
    assert!(env.status().is_empty());
}

#[test]
fn a_start_that_fails_leaves_no_directory() {
    let env = TestEnv::new();
    env.refused(["start", "--", "no-such-command"], 127, &["no-such-command"]);
    let left: Vec<_> = std::fs::read_dir(env.run_dir().join("processes")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_directory_that_is_none_of_procctls_is_not_to_be_changed() {
    let env = TestEnv::new();
    let shared = env.path("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let refused =
        || env.refused(["--run-dir", shared.to_str().unwrap(), "status"], 125, &["open to group or others"]);
    // An empty one was made for procctl, and with other rights than it wants.
    let said = refused();
    assert!(said.contains("hint: chmod 700 "), "{said}");
    std::fs::write(shared.join("of-others"), "").unwrap();
    let said = refused();
    assert!(!said.contains("chmod"), "{said}");
}

#[test]
fn a_command_that_is_nearly_right_is_guessed() {
    let env = TestEnv::new();
    for (typed, meant) in [("stauts", "status"), ("strat", "start"), ("jion", "join"), ("clean", "close")] {
        let said = env.procctl([typed]).output();
        said.refused(125, &[typed]);
        assert!(said.stderr().contains(&format!("hint: procctl {meant}")), "{said:?}");
    }
}

#[test]
fn a_file_that_is_not_there_is_no_command_that_was_looked_for() {
    let env = TestEnv::new();
    env.refused(["start", "--", "/no/such/file"], 127, &["/no/such/file: No such file or directory"]);
    env.refused(["start", "--", "no-such-command"], 127, &["no-such-command: command not found"]);
}
