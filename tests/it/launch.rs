//! What a started process is given: descriptors, streams, signals, environment, session.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use crate::harness::{TestEnv, eventually, proc_fds, proc_stat, proc_status, python};

/// Checks the numbers of the open descriptors of a process. The program opens some itself while it starts (the dynamic
/// loader its libraries), and closes them again: one that was inherited stays.
fn has_descriptors(pid: i32, wanted: &[i32]) {
    eventually(&format!("the descriptors of {pid} are {wanted:?}"), || {
        let numbers: Vec<i32> = proc_fds(pid).into_iter().map(|(number, _)| number).collect();
        (numbers == wanted).then_some(())
    });
}

/// Where one of the descriptors of a process leads.
fn leads_to(pid: i32, fd: i32) -> PathBuf {
    proc_fds(pid)
        .into_iter()
        .find_map(|(number, path)| (number == fd).then_some(path))
        .unwrap_or_else(|| panic!("{pid} has no descriptor {fd}"))
}

/// A mask of /proc/PID/status as a number: bit N-1 is signal N. Without 32 and 33, which glibc keeps to itself: its
/// posix_spawn, by which the tests start programs, sets them to ignored.
fn mask(pid: i32, field: &str) -> u64 {
    let all = u64::from_str_radix(&proc_status(pid, field).unwrap(), 16).unwrap();
    all & !(1 << (32 - 1) | 1 << (33 - 1))
}

#[test]
fn stdin_is_null_and_the_output_goes_to_the_log() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let pid = env.pid(&id);
    has_descriptors(pid, &[0, 1, 2]);
    assert_eq!(leads_to(pid, 0), PathBuf::from("/dev/null"));
    let log = leads_to(pid, 1);
    assert_eq!(log.file_name().unwrap(), "output.log");
    assert!(log.starts_with(fs::canonicalize(env.run_dir()).unwrap()));
    assert_eq!(leads_to(pid, 2), log);
    let flags = fs::read_to_string(format!("/proc/{pid}/fdinfo/1")).unwrap();
    let flags = flags.lines().find(|line| line.starts_with("flags:")).unwrap();
    let flags = i32::from_str_radix(flags.split_whitespace().nth(1).unwrap(), 8).unwrap();
    assert_ne!(flags & nix::fcntl::OFlag::O_APPEND.bits(), 0);
}

#[test]
fn no_other_descriptor_reaches_the_process_or_its_monitor() {
    let env = TestEnv::new();
    let marker = env.file("marker", "");
    let id = env.bash("exec 3<marker 7>>marker 63<marker; procctl start -- sleep 1000").output().success();
    has_descriptors(env.pid(&id), &[0, 1, 2]);
    for (number, path) in proc_fds(env.monitor_pid(&id)) {
        assert_ne!(path, marker, "descriptor {number} of the monitor");
    }
}

#[test]
fn the_monitor_holds_no_stream_of_the_caller_or_of_the_process() {
    let env = TestEnv::new();
    for name in ["in", "out", "err"] {
        env.file(name, "");
    }
    let id = env.bash("procctl start --stdout file -- sleep 1000 <in 2>err >out; cat out").output().success();
    for (number, path) in proc_fds(env.monitor_pid(&id)) {
        for name in ["in", "out", "err", "file"] {
            assert_ne!(path, env.path(name), "descriptor {number} of the monitor");
        }
    }
}

#[test]
fn a_caller_with_closed_streams_is_no_trouble() {
    let env = TestEnv::new();
    let script = "procctl start -n logged -- sleep 1000 <&- >&- 2>&-
         procctl start -n inherited --stdin inherit --stdout inherit --stderr inherit -- sleep 1000 <&- >&- 2>&-
         procctl run -- sh -c 'exit 4' <&- >&- 2>&-; echo $?";
    assert_eq!(env.bash(script).output().success(), "4");
    for name in ["logged", "inherited"] {
        for (number, path) in proc_fds(env.pid(name)) {
            let harmless = path.as_os_str() == "/dev/null" || path.ends_with("output.log");
            assert!(harmless && number <= 2, "{name}: {number} is {}", path.display());
        }
    }
    has_descriptors(env.pid("logged"), &[0, 1, 2]);
}

#[test]
fn fd_leaves_that_descriptor_open_under_its_number() {
    let env = TestEnv::new();
    env.file("three", "third\n");
    env.file("nine", "ninth\n");
    env.file("marker", "");
    env.bash(
        "exec 3<three 5<marker 9<nine
         procctl start -n x --fd 9 --fd 3 -- bash -c 'cat <&3; cat <&9; exec sleep 1000'",
    )
    .output()
    .success();
    let pid = env.pid("x");
    has_descriptors(pid, &[0, 1, 2, 3, 9]);
    eventually("both were read", || (env.ok(["logs", "x"]) == "third\nninth").then_some(()));
    for (number, path) in proc_fds(env.monitor_pid("x")) {
        for name in ["three", "nine", "marker"] {
            assert_ne!(path, env.path(name), "descriptor {number} of the monitor");
        }
    }
}

#[test]
fn sigpipe_is_default_in_the_process() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let pid = env.pid(&id);
    assert_eq!(mask(pid, "SigIgn"), 0);
    assert_eq!(mask(pid, "SigBlk"), 0);
    let id = env.start(&[], &["bash", "-c", "yes | head -n 1 >/dev/null; exit ${PIPESTATUS[0]}"]);
    assert_eq!(env.join(&id), 128 + 13);
}

#[test]
fn the_signal_mask_and_the_ignored_signals_are_those_of_the_caller() {
    let env = TestEnv::new();
    let id = env
        .program("env")
        .args(["--ignore-signal=INT", "--ignore-signal=PIPE"])
        .args(["--block-signal=USR1", "--block-signal=TERM"])
        .args(["procctl", "start", "--", "sleep", "1000"])
        .output()
        .success();
    let pid = env.pid(&id);
    assert_eq!(mask(pid, "SigIgn"), 1 << (2 - 1) | 1 << (13 - 1));
    assert_eq!(mask(pid, "SigBlk"), 1 << (10 - 1) | 1 << (15 - 1));
}

#[test]
fn a_caller_that_ignores_the_end_of_children_still_gets_the_exit_code() {
    let env = TestEnv::new();
    let caller = |args: &[&str]| {
        let env_args = ["--ignore-signal=CHLD", "--block-signal=CHLD", "procctl"];
        env.program("env").args(env_args).args(args).output()
    };
    let id = caller(&["start", "--", "sh", "-c", "exit 5"]).success();
    assert_eq!(env.join(&id), 5);
    caller(&["run", "--", "sh", "-c", "exit 6"]).exits(6).quiet();
    caller(&["join", &id]).exits(5).quiet();
    let sleeper = caller(&["start", "--", "sleep", "1000"]).success();
    assert_eq!(mask(env.pid(&sleeper), "SigIgn"), 1 << (17 - 1));
    assert_eq!(mask(env.pid(&sleeper), "SigBlk"), 1 << (17 - 1));
}

#[test]
fn it_has_a_session_of_its_own_and_no_terminal() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    let pid = env.pid(&id);
    let stat = proc_stat(pid).unwrap();
    assert_eq!(stat[2], pid.to_string(), "process group");
    assert_eq!(stat[3], pid.to_string(), "session");
    assert_eq!(stat[4], "0", "terminal");
}

#[test]
fn the_umask_is_the_callers() {
    let env = TestEnv::new();
    for (umask, mode) in [("027", 0o640), ("000", 0o666), ("077", 0o600)] {
        let made = env.path(format!("made-{umask}"));
        env.bash(&format!(
            "umask {umask}; procctl start -n w --stdout out-{umask} -- touch {}",
            made.display()
        ))
        .output()
        .success();
        assert_eq!(env.join("w"), 0);
        for file in [made, env.path(format!("out-{umask}"))] {
            let found = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
            assert_eq!(found, mode, "{}", file.display());
        }
        env.ok(["close", "w"]);
    }
}

#[test]
fn limits_and_oom_score_are_those_of_the_caller() {
    let env = TestEnv::new();
    env.bash(
        "ulimit -n 77; ulimit -c 0; echo 321 > /proc/self/oom_score_adj
         procctl start -n w -- sleep 1000",
    )
    .output()
    .success();
    let pid = env.pid("w");
    let limits = fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files"));
    let files: Vec<_> = files.unwrap().split_whitespace().collect();
    assert_eq!(&files[3..5], ["77", "77"]);
    let score = fs::read_to_string(format!("/proc/{pid}/oom_score_adj")).unwrap();
    assert_eq!(score.trim(), "321");
}

#[test]
fn cwd_is_the_callers_or_as_said() {
    let env = TestEnv::new();
    fs::create_dir_all(env.path("a/b")).unwrap();
    let here = fs::canonicalize(env.root()).unwrap();
    for (options, dir) in
        [(&[][..], here.join("a")), (&["-C", "b"], here.join("a/b")), (&["-C", "/"], PathBuf::from("/"))]
    {
        let mut args = vec!["start", "-n", "w"];
        args.extend(options);
        args.extend(["--", "sleep", "1000"]);
        env.procctl(args).cwd(env.path("a")).output().success();
        let pid = env.pid("w");
        assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).unwrap(), dir);
        assert_eq!(env.get("w", "cwd"), dir.to_str().unwrap());
        env.ok(["kill", "--wait", "w"]);
        env.ok(["close", "w"]);
    }
}

#[test]
fn a_relative_command_is_found_from_its_own_cwd() {
    let env = TestEnv::new();
    fs::create_dir(env.path("a")).unwrap();
    let program = env.file("a/program", "#!/bin/sh\nexit 5\n");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let id = env.start(&["-C", "a"], &["./program"]);
    assert_eq!(env.join(&id), 5);
}

#[test]
fn the_environment_is_the_callers_with_additions() {
    let env = TestEnv::new();
    let id = env
        .procctl(["start", "-e", "A=1=2", "-e", "FROM_CALLER", "-e", "EMPTY="])
        .args(["--", "env"])
        .env("FROM_CALLER", "kept")
        .env("A", "0")
        .output()
        .success();
    assert_eq!(env.join(&id), 0);
    let log = env.ok(["logs", &id]);
    for line in ["A=1=2", "FROM_CALLER=kept", "EMPTY=", "LC_ALL=C"] {
        assert_eq!(log.lines().filter(|said| *said == line).count(), 1, "{line} in {log}");
    }
    assert_eq!(log.lines().filter(|line| line.starts_with("A=")).count(), 1);
}

#[test]
fn clear_env_leaves_what_was_asked_for_and_who_it_is() {
    let env = TestEnv::new();
    let id = env
        .procctl(["start", "-n", "w", "--clear-env", "-e", "A=1", "-e", "KEPT"])
        .args(["--", "/usr/bin/env"])
        .env("KEPT", "kept")
        .output()
        .success();
    assert_eq!(env.join(&id), 0);
    let log = env.ok(["logs", &id]);
    let mut lines: Vec<_> = log.lines().collect();
    lines.sort_unstable();
    let run_dir = format!("PROCCTL_RUN_DIR={}", env.run_dir().display());
    let own_id = format!("PROCCTL_ID={id}");
    assert_eq!(lines, ["A=1", "KEPT=kept", &own_id, "PROCCTL_NAME=w", &run_dir]);
}

#[test]
fn the_process_is_told_who_it_is_and_not_who_its_parent_was_said_to_be() {
    let env = TestEnv::new();
    let id = env
        .procctl(["start", "-n", "w", "--", "env"])
        .env("PROCCTL_PARENT", std::process::id().to_string())
        .output()
        .success();
    assert_eq!(env.join(&id), 0);
    let log = env.ok(["logs", &id]);
    let run_dir = format!("PROCCTL_RUN_DIR={}", env.run_dir().display());
    for line in [&*format!("PROCCTL_ID={id}"), "PROCCTL_NAME=w", &run_dir] {
        assert!(log.lines().any(|said| said == line), "{line} in {log}");
    }
    assert!(!log.contains("PROCCTL_PARENT"), "{log}");
    assert_eq!(env.get(&id, "parent.pid"), std::process::id().to_string());
}

#[test]
fn who_it_is_can_not_be_said_otherwise() {
    let env = TestEnv::new();
    let id = env.start(
        &["-n", "w", "-e", "PROCCTL_ID=x", "-e", "PROCCTL_NAME=x", "-e", "PROCCTL_RUN_DIR=/x"],
        &["sh", "-c", "echo $PROCCTL_ID $PROCCTL_NAME $PROCCTL_RUN_DIR"],
    );
    assert_eq!(env.join(&id), 0);
    assert_eq!(env.ok(["logs", &id]), format!("{id} w {}", env.run_dir().display()));
}

#[test]
fn stdin_may_be_a_file_or_the_callers() {
    let env = TestEnv::new();
    env.file("fed", "from the file\n");
    let file = env.start(&["--stdin", "fed"], &["cat"]);
    assert_eq!(env.join(&file), 0);
    assert_eq!(env.ok(["logs", &file]), "from the file");
    let inherited = env
        .procctl(["start", "--stdin", "inherit", "--", "cat"])
        .input("from the caller\n")
        .output()
        .success();
    assert_eq!(env.join(&inherited), 0);
    assert_eq!(env.ok(["logs", &inherited]), "from the caller");
    let null =
        env.procctl(["start", "--stdin", "null", "--", "cat"]).input("not for you\n").output().success();
    assert_eq!(env.join(&null), 0);
    assert_eq!(env.ok(["logs", &null]), "");
}

#[test]
fn stdout_may_be_a_file_that_is_appended_to() {
    let env = TestEnv::new();
    let out = env.file("out", "before\n");
    fs::create_dir(env.path("elsewhere")).unwrap();
    // Relative files are the caller's, not those of --cwd.
    let id = env.start(&["--stdout", "out", "-C", "elsewhere"], &["sh", "-c", "echo after; echo log >&2"]);
    assert_eq!(env.join(&id), 0);
    assert_eq!(fs::read_to_string(&out).unwrap(), "before\nafter\n");
    assert_eq!(env.ok(["logs", &id]), "log");
    assert!(!env.path("elsewhere/out").exists());
}

#[test]
fn stderr_may_go_where_stdout_goes() {
    let env = TestEnv::new();
    let talk = ["sh", "-c", "echo one; echo two >&2; echo three"];
    let id = env.start(&["--stdout", "out", "--stderr", "stdout"], &talk);
    assert_eq!(env.join(&id), 0);
    let said = fs::read_to_string(env.path("out")).unwrap();
    assert_eq!(said, "one\ntwo\nthree\n");

    let mut args = vec!["start", "--stdout", "inherit", "--stderr", "stdout", "--"];
    args.extend(talk);
    let output = env.procctl(args).output();
    output.exits(0).quiet();
    let lines: Vec<_> = said.lines().collect();
    let heard = output.stdout();
    let heard: Vec<_> = heard.lines().filter(|line| lines.contains(line)).collect();
    assert_eq!(heard, lines);
}

#[test]
fn streams_may_be_null_or_the_callers() {
    let env = TestEnv::new();
    let id = env.start(
        &["--stdout", "null", "--stderr", "null"],
        &["sh", "-c", "echo out; echo err >&2; exec sleep 1000"],
    );
    let pid = env.pid(&id);
    assert_eq!(leads_to(pid, 1), PathBuf::from("/dev/null"));
    assert_eq!(leads_to(pid, 2), PathBuf::from("/dev/null"));

    let output = env
        .procctl(["start", "--stderr", "inherit", "--"])
        .args(["sh", "-c", "echo out; echo err >&2"])
        .output();
    output.exits(0);
    assert_eq!(output.stderr(), "err");
    let id = output.stdout();
    assert_eq!(env.join(&id), 0);
    assert_eq!(env.ok(["logs", &id]), "out");
}

#[test]
fn arguments_reach_the_command_byte_for_byte() {
    let env = TestEnv::new();
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe caf\xe9 \x1b[31m\n\t'\"\\");
    let id = env.procctl(["start", "--", "printf", "%s|"]).arg(odd).arg("").output().success();
    assert_eq!(env.join(&id), 0);
    let log = env.procctl(["logs", &id]).output();
    log.exits(0).quiet();
    assert_eq!(log.stdout, [odd.as_bytes(), b"||"].concat());
}

#[test]
fn an_environment_that_is_not_utf8_passes_through() {
    let env = TestEnv::new();
    let odd = std::ffi::OsStr::from_bytes(b"caf\xe9");
    let mut addition = std::ffi::OsString::from("ADDED=");
    addition.push(odd);
    let id = env
        .procctl(["start", "-e"])
        .arg(&addition)
        .args(["--", "sh", "-c", "printf '%s %s' \"$KEPT\" \"$ADDED\""])
        .env("KEPT", odd)
        .output()
        .success();
    assert_eq!(env.join(&id), 0);
    let log = env.procctl(["logs", &id]).output();
    assert_eq!(log.stdout, b"caf\xe9 caf\xe9");
}

#[test]
fn the_parent_may_be_said() {
    let env = TestEnv::new();
    let gate = env.gate("gate");
    let other = env.bash(&gate.wait()).spawn();
    let pid = other.pid().to_string();
    let id = env.start(&["--parent", &pid], &["sleep", "1000"]);
    assert_eq!(env.get(&id, "parent.pid"), pid);
    let by_variable = env.procctl(["create", "--", "true"]).env("PROCCTL_PARENT", &pid).output().success();
    assert_eq!(env.get(&by_variable, "parent.pid"), pid);
    assert_eq!(env.get(&by_variable, "name"), "Process-2");
    gate.open();
    other.wait().exits(0);
}

#[test]
fn a_parent_that_does_not_exist_or_is_a_zombie_is_refused() {
    let env = TestEnv::new();
    // Above the largest pid there can be.
    let none = "4194304";
    env.refused(["start", "--parent", none, "--", "true"], 125, &[none]);
    env.procctl(["start", "--", "true"]).env("PROCCTL_PARENT", none).output().refused(125, &[none]);

    let zombie = env
        .program(python())
        .args([
            "-c",
            "import os, subprocess, sys
pid = os.fork()
if pid == 0:
    os._exit(0)
os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
print(pid, flush=True)
sys.exit(subprocess.call(['procctl', 'start', '--parent', str(pid), '--', 'true']))",
        ])
        .output();
    let pid = zombie.stdout();
    zombie.exits(125).one_error(&[&pid]);
    assert!(env.status().is_empty());
}
