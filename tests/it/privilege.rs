//! §4, §7: what other users can do to procctl, and what it can do to theirs: nothing. And commands that are another user
//! themselves, parents of another user, a /proc that hides: defined behaviour, or a clear refusal.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileExt, PermissionsExt, chown, lchown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::harness::{TestEnv, eventually, installed, is_root, proc_status, skipped};
use crate::support::{Held, OtherUser, kernel_tells_exit_codes, kill_leftovers, with_mounts};

/// Somebody who is neither root nor the user of a test.
const STRANGER: u32 = 65534;

/// Every command, on a process that is named `victim`. None may have an effect.
const COMMANDS: [&[&str]; 19] = [
    &["create", "--", "touch", "made"],
    &["start", "--", "touch", "made"],
    &["start", "-d", "--", "touch", "made"],
    &["start", "victim"],
    &["run", "--", "touch", "made"],
    &["join", "victim"],
    &["join", "--all"],
    &["terminate", "victim"],
    &["terminate", "--tree", "--wait", "victim"],
    &["kill", "--all"],
    &["interrupt", "victim"],
    &["is-alive", "victim"],
    &["status"],
    &["status", "--json"],
    &["logs", "victim"],
    &["get", "victim"],
    &["get", "victim", "authkey"],
    &["set", "victim", "name=x"],
    &["close", "--all"],
];

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// A copy of a program that is on this machine, with that mode.
fn copy_of(env: &TestEnv, program: &str, mode: u32) -> PathBuf {
    let found = env.program("sh").args(["-c", &format!("readlink -f $(command -v {program})")]).output();
    let copy = env.path(format!("{program}-{mode:o}"));
    fs::copy(found.success(), &copy).unwrap();
    set_mode(&copy, mode);
    copy
}

/// What a user runs that becomes root altogether, as `su` does, and then runs a shell script.
fn as_root(env: &TestEnv, script: &str) -> Vec<String> {
    let setpriv = copy_of(env, "setpriv", 0o4755);
    let words = [setpriv.to_str().unwrap(), "--reuid=0", "--regid=0", "--clear-groups", "sh", "-c", script];
    words.map(str::to_owned).to_vec()
}

fn start_as_root(env: &TestEnv, user: &OtherUser<'_>, options: &[&str], script: &str) -> String {
    let mut args: Vec<String> = vec!["start".to_owned()];
    args.extend(options.iter().map(|&option| option.to_owned()));
    args.push("--".to_owned());
    args.extend(as_root(env, script));
    let id = user.procctl(args).output().success();
    let pid = user.ok(&["get", &id, "pid"]).parse().unwrap();
    eventually("it has become root", || proc_status(pid, "Uid")?.starts_with("0\t0").then_some(()));
    id
}

#[test]
fn every_command_refuses_the_run_directory_of_another_user() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    set_mode(env.root(), 0o777);
    let roots = env.path("roots");
    let id =
        env.procctl(["start", "-n", "victim", "--", "sleep", "1000"]).env("PROCCTL_RUN_DIR", &roots).output();
    let id = id.success();
    let users = env.run_dir();
    user.ok(&["start", "-n", "victim", "--", "sleep", "1000"]);
    for args in COMMANDS {
        user.procctl(args)
            .env("PROCCTL_RUN_DIR", &roots)
            .output()
            .refused(125, &[roots.to_str().unwrap(), "Permission denied"]);
        env.procctl(args)
            .output()
            .refused(125, &[users.to_str().unwrap(), &format!("belongs to user {}", user.uid)]);
    }
    assert!(!env.path("made").exists());
    user.ok(&["is-alive", "victim"]);
    user.ok(&["kill", "--wait", "victim"]);
    let own = |args: &[&str]| env.procctl(args).env("PROCCTL_RUN_DIR", &roots).output();
    own(&["is-alive", &id]).success();
    own(&["kill", "--wait", &id]).success();
}

#[test]
fn what_another_user_planted_under_the_name_of_the_run_directory_is_refused() {
    if !is_root() {
        return skipped("it takes root to own what another user planted");
    }
    let env = TestEnv::new();
    let mine = env.path("mine");
    fs::create_dir(&mine).unwrap();
    set_mode(&mine, 0o700);
    for mode in [0o1777, 0o777, 0o775] {
        let place = env.path(format!("place-{mode:o}"));
        fs::create_dir(&place).unwrap();
        chown(&place, None, Some(STRANGER)).unwrap();
        set_mode(&place, mode);
        let run = place.join("procctl-0");
        let plants: [(&str, &dyn Fn()); 7] = [
            ("file", &|| fs::write(&run, "").unwrap()),
            ("socket", &|| drop(UnixListener::bind(&run).unwrap())),
            ("FIFO", &|| nix::unistd::mkfifo(&run, nix::sys::stat::Mode::S_IRWXU).unwrap()),
            ("directory", &|| fs::create_dir(&run).unwrap()),
            ("open directory", &|| {
                fs::create_dir(&run).unwrap();
                set_mode(&run, 0o777);
            }),
            ("symlink", &|| symlink(&mine, &run).unwrap()),
            ("dangling symlink", &|| symlink(env.path("none"), &run).unwrap()),
        ];
        for (what, plant) in plants {
            plant();
            lchown(&run, Some(STRANGER), Some(STRANGER)).unwrap();
            for args in [
                &["start", "--", "touch", "made"][..],
                &["create", "--", "true"],
                &["run", "--", "touch", "made"],
            ] {
                let said = env.procctl(args).env("PROCCTL_RUN_DIR", &run).output();
                assert_eq!(said.code(), 125, "{what} in a place of mode {mode:o}: {said:?}");
                said.one_error(&[run.to_str().unwrap()]);
            }
            // Those that only look may take it for nothing.
            let kill = env.procctl(["kill", "--all"]).env("PROCCTL_RUN_DIR", &run).output();
            assert!(what == "dangling symlink" || kill.code() == 125, "{what}: {kill:?}");
            let _ = fs::remove_file(&run).or_else(|_| fs::remove_dir(&run));
        }
        assert_eq!(fs::read_dir(&mine).unwrap().count(), 0, "something was made in {mode:o}");
    }
    assert!(!env.path("made").exists() && !env.path("none").exists());
}

#[test]
fn one_that_another_user_swaps_for_his_own_is_refused_and_the_end_is_recorded_all_the_same() {
    if !is_root() {
        return skipped("it takes root to own what another user planted");
    }
    let env = TestEnv::new();
    let place = env.path("place");
    fs::create_dir(&place).unwrap();
    set_mode(&place, 0o777);
    let (run, moved) = (place.join("run"), place.join("moved"));
    let gate = env.gate("gate");
    let call = |args: &[&str]| env.procctl(args).env("PROCCTL_RUN_DIR", &run).output();
    let id = call(&["start", "--", "bash", "-c", &format!("{}; exit 7", gate.wait())]).success();
    let process = Held::open(call(&["get", &id, "pid"]).success().parse().unwrap());
    fs::rename(&run, &moved).unwrap();
    // With the very content.
    assert!(env.program("cp").args(["-a", "moved", "run"]).cwd(&place).output().status.success());
    chown(&run, Some(STRANGER), Some(STRANGER)).unwrap();
    for args in [&["kill", &id][..], &["kill", "--all"], &["status"], &["start", "--", "true"]] {
        call(args).refused(125, &["belongs to user 65534"]);
    }
    assert!(process.is_alive());
    gate.open();
    process.wait_reaped();
    fs::remove_dir_all(&run).unwrap();
    fs::rename(&moved, &run).unwrap();
    assert_eq!(call(&["join", &id]).code(), 7);
}

/// Where in the memory of a process those bytes are. None if that memory may not be read.
fn found_in_memory(pid: i32, needle: &[u8]) -> Option<Vec<String>> {
    let memory = fs::File::open(format!("/proc/{pid}/mem")).ok()?;
    let mut found = Vec::new();
    let mut readable = 0;
    for line in fs::read_to_string(format!("/proc/{pid}/maps")).ok()?.lines() {
        let (range, rest) = line.split_once(' ').unwrap();
        let (from, to) = range.split_once('-').unwrap();
        let [from, to] = [from, to].map(|text| u64::from_str_radix(text, 16).unwrap());
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        // Not all of it can be read: the kernel's own pages.
        if rest.starts_with('r') && memory.read_exact_at(&mut bytes, from).is_ok() {
            readable += bytes.len();
            if bytes.windows(needle.len()).any(|part| part == needle) {
                found.push(line.to_owned());
            }
        }
    }
    assert!(readable > 10_000, "there must be memory: {readable}");
    Some(found)
}

#[test]
fn the_authkey_is_not_in_the_memory_of_a_monitor() {
    let env = TestEnv::new();
    // The end of a key is left where its beginning was overwritten by what came after.
    let mut key = [0; 200];
    fs::File::open("/dev/urandom").unwrap().read_exact(&mut key).unwrap();
    env.file("key", key);
    let file = ["--authkey-file", "key"];
    env.sleeper(&["-n", "made"]);
    env.sleeper(&[&["-n", "given"][..], &file].concat());
    let several = env.ok([&["start", "--count", "2"][..], &file, &["--", "sleep", "1000"]].concat());
    let run = env.procctl([&["run", "-n", "run"][..], &file, &["--", "sleep", "1000"]].concat()).spawn();
    env.ok(["create", "-n", "set", "--", "sleep", "1000"]);
    env.ok(["set", "set", "authkey-file=key"]);
    env.ok(["start", "set"]);
    eventually("run has started", || {
        env.procctl(["is-alive", "run"]).output().status.success().then_some(())
    });
    for name in ["made", "given", "set", "run"].into_iter().chain(several.lines()) {
        let hex = env.get(name, "authkey");
        let byte = |at: usize| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap();
        let bytes: Vec<u8> = (0..hex.len() / 2).map(byte).collect();
        for pid in [env.monitor_pid(name), env.pid(name)] {
            for part in [&bytes[..8], &bytes[bytes.len() - 8..], &hex.as_bytes()[..16]] {
                let Some(found) = found_in_memory(pid, part) else {
                    return skipped("the memory of other processes may not be read here");
                };
                assert!(found.is_empty(), "{name}: {found:?}");
            }
        }
        // It could be found.
        let known = found_in_memory(env.monitor_pid(name), env.get(name, "id").as_bytes());
        assert_ne!(known, Some(Vec::new()), "{name}");
    }
    env.ok(["kill", "run"]);
    run.wait().exits(137);
}

#[test]
fn no_core_is_dumped_of_a_procctl_that_has_the_authkey_in_its_memory() {
    let env = TestEnv::new();
    let control = env.bash("ulimit -c unlimited || exit 0; exec bash -c 'kill -ABRT $$'").output();
    if !control.status.core_dumped() {
        return skipped("no core is dumped here");
    }
    let key = env.path("key");
    nix::unistd::mkfifo(&key, nix::sys::stat::Mode::S_IRWXU).unwrap();
    let mut pipe = fs::OpenOptions::new().read(true).write(true).open(&key).unwrap();
    pipe.write_all(b"the key, of which more is awaited").unwrap();
    let mut launcher = env.bash("ulimit -c unlimited; exec procctl start --authkey-file key -- true").spawn();
    launcher.wait_until_blocked();
    launcher.signal(Signal::SIGABRT);
    let output = launcher.wait();
    assert_eq!(output.signal(), Some(6), "{output:?}");
    assert!(!output.status.core_dumped(), "{output:?}");
}

#[test]
fn the_authkey_of_another_user_cannot_be_read_from_anything_of_procctls() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    set_mode(env.root(), 0o755);
    let id = user.ok(&["start", "--", "sleep", "1000"]);
    let stranger = |command: &[&str]| {
        let id = STRANGER.to_string();
        env.program("setpriv")
            .args(["--clear-groups", "--regid", &id, "--reuid", &id, "--"])
            .args(command)
            .output()
    };
    let run = env.run_dir();
    let run = run.to_str().unwrap();
    assert_eq!(stranger(&["find", run]).stdout(), run);
    for pid in [user.ok(&["get", &id, "pid"]), user.ok(&["get", &id, "monitor.pid"])] {
        for page in ["environ", "mem", "maps", "fd/0"] {
            assert!(!stranger(&["cat", &format!("/proc/{pid}/{page}")]).status.success(), "{page} of {pid}");
        }
    }
    user.ok(&["kill", "--wait", &id]);
}

#[test]
fn a_set_user_id_command_of_ones_own_takes_signals() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    let sleep = copy_of(&env, "sleep", 0o4755);
    let sleep = sleep.to_str().unwrap();
    for (args, code) in [
        (&["terminate", "--wait", "w"][..], "-15"),
        (&["kill", "--tree", "w"], "-9"),
        (&["interrupt", "--wait", "w"], "-2"),
    ] {
        let id = user.ok(&["start", "-n", "w", "--", sleep, "1000"]);
        user.ok(args);
        assert_eq!(user.ok(&["get", &id, "exitcode"]), code);
    }
    // Without new privileges it is a command as any other.
    let words =
        ["--no-new-privs", env.path("procctl").to_str().unwrap(), "start", "-n", "n", "--", sleep, "1000"]
            .map(str::to_owned);
    let id = user.program("setpriv").args(words).output().success();
    let pid = user.ok(&["get", &id, "pid"]).parse().unwrap();
    assert_eq!(proc_status(pid, "NoNewPrivs").unwrap(), "1");
    assert!(proc_status(pid, "Uid").unwrap().ends_with(&user.uid.to_string()));
    user.procctl(["terminate", "--wait", "n"]).output().success();
    assert_eq!(user.ok(&["get", "n", "exitcode"]), "-15");
}

#[test]
fn what_has_become_another_user_is_not_signalled_and_not_waited_for() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    let gate = env.gate("gate");
    let id = start_as_root(&env, &user, &["-n", "w"], &format!("{}; exit 5", gate.wait()));
    for args in [
        &["terminate", "w"][..],
        &["terminate", "--wait", "w"],
        &["terminate", "--kill-after", "0.1", "w"],
        &["terminate", "--tree", "w"],
        &["terminate", "--tree", "--kill-after", "0.1", "w"],
        &["kill", "--wait", "w"],
        &["kill", "--tree", "--wait", "w"],
        &["kill", "-s", "USR1", "--tree", "w"],
        &["kill", "-s", "0", "w"],
        &["interrupt", "w"],
        &["kill", "--all"],
    ] {
        user.procctl(args).output().refused(125, &["cannot signal", "not permitted", "hint: "]);
    }
    user.ok(&["is-alive", "w"]);
    assert_eq!(user.ok(&["get", "w", "state"]), "started");
    user.procctl(["join", "w", "--timeout", "0.05"]).output().exits(124);
    user.procctl(["close", "w"]).output().refused(125, &["w"]);
    gate.open();
    user.procctl(["join", "w"]).output().exits(5).quiet();
    // Nobody was signalled, so nobody's signal explains the end.
    assert_eq!(user.ok(&["get", &id, "ended_by"]), "");
}

/// /proc shows such a zombie's exit code to nobody but root, and says 0 instead: that is not believed.
#[test]
fn without_its_monitor_the_code_of_what_has_become_another_user_is_told_and_not_invented() {
    if !kernel_tells_exit_codes() {
        return;
    }
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    for looks in [&["is-alive", "w"][..], &["join", "w", "--timeout", "0"]] {
        let gate = env.gate(looks[0]);
        let id = start_as_root(&env, &user, &["-n", "w"], &format!("{}; exit 5", gate.wait()));
        let monitor = Held::open(user.ok(&["get", &id, "monitor.pid"]).parse().unwrap());
        monitor.signal(rustix::process::Signal::KILL);
        monitor.wait_end();
        user.procctl(looks).output();
        assert_eq!(user.ok(&["get", &id, "monitor.adopted"]), "true");
        gate.open();
        user.procctl(["join", &id]).output().exits(5).quiet();
        assert_eq!(user.ok(&["get", &id, "witness"]), "pidfd");
    }
}

#[test]
fn the_others_of_a_tree_and_of_several_refs_are_signalled_all_the_same() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    let root =
        as_root(&env, "exec sleep 1000").iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let script =
        env.file("script", format!("{root} &\necho $! > root\nsleep 1000 &\necho $! > sleep\nwait\n"));
    let tree = user.ok(&["start", "--", "bash", script.to_str().unwrap()]);
    let alone = start_as_root(&env, &user, &[], "exec sleep 1000");
    let last = user.ok(&["start", "--", "sleep", "1000"]);
    let pid_in = |file| {
        eventually("there is a pid", || fs::read_to_string(env.path(file)).ok()?.trim().parse::<i32>().ok())
    };
    let (sleep, rooted) = (Held::open(pid_in("sleep")), Held::open(pid_in("root")));
    eventually("it has become root", || {
        proc_status(pid_in("root"), "Uid")?.starts_with("0\t0").then_some(())
    });
    let output = user.procctl(["terminate", "--tree", "--wait", &alone, &tree, &last]).output();
    output.exits(125);
    assert_eq!(output.stderr().matches("cannot signal").count(), 2, "{output:?}");
    for id in [&tree, &last] {
        assert_eq!(user.ok(&["get", id, "exitcode"]), "-15");
    }
    sleep.wait_end();
    assert!(rooted.is_alive());
    user.ok(&["is-alive", &alone]);
    kill_leftovers(&env);
    user.procctl(["join", &alone]).output().exits(137);
}

#[test]
fn a_daemonic_process_that_has_become_another_user_outlives_its_parent_and_says_so() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    let parent = user.program("sleep").arg("1000").spawn();
    let gate = env.gate("gate");
    let pid = parent.pid().to_string();
    let id = start_as_root(&env, &user, &["-d", "--parent", &pid], &format!("{}; exit 6", gate.wait()));
    let monitor = user.ok(&["get", &id, "monitor.pid"]).parse().unwrap();
    let switches = || proc_status(monitor, "voluntary_ctxt_switches").unwrap();
    let before = switches();
    parent.signal(Signal::SIGKILL);
    eventually("the monitor has seen the end of the parent", || (switches() != before).then_some(()));
    user.ok(&["is-alive", &id]);
    gate.open();
    user.procctl(["join", &id]).output().exits(6).quiet();
    assert_eq!(user.ok(&["get", &id, "ended_by"]), "");
}

#[test]
fn a_process_of_another_user_may_be_the_parent() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    let parent = env.program("sleep").arg("1000").spawn();
    let pid = parent.pid().to_string();
    let id = user.ok(&["start", "-d", "--parent", &pid, "--", "sleep", "1000"]);
    assert_eq!(user.ok(&["get", &id, "parent.pid"]), pid);
    // Whoever becomes another user on the way is the parent, as any program is.
    let said = env
        .bash(&format!(
            "id=$({} procctl start -- sleep 1000); echo $$ $({} procctl get $id parent.pid)",
            user.words(),
            user.words()
        ))
        .output()
        .success();
    let (shell, of_second) = said.split_once(' ').unwrap();
    assert_eq!(shell, of_second);
    parent.signal(Signal::SIGKILL);
    user.procctl(["join", &id]).output().exits(143).quiet();
    assert_eq!(user.ok(&["get", &id, "ended_by.action"]), "parent-exit");
    user.ok(&["kill", "--all", "--wait"]);
}

#[test]
fn a_command_with_capabilities_of_its_own_is_managed_like_any_other() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    let sleep = copy_of(&env, "sleep", 0o755);
    if !installed("setcap")
        || !env.program("setcap").arg("cap_net_raw+ep").arg(&sleep).output().status.success()
    {
        return skipped("no file may be given capabilities here");
    }
    let parent = user.program("sleep").arg("1000").spawn();
    let sleep = sleep.to_str().unwrap();
    let start = |options: &[&str]| {
        let id = user.ok(&[&["start"][..], options, &["--", sleep, "1000"]].concat());
        let pid = user.ok(&["get", &id, "pid"]).parse().unwrap();
        eventually("it has its capability", || proc_status(pid, "CapEff")?.ends_with("2000").then_some(()));
        id
    };
    let plain = start(&[]);
    let daemonic = start(&["-d", "--parent", &parent.pid().to_string()]);
    user.ok(&["terminate", "--tree", "--wait", &plain]);
    parent.signal(Signal::SIGKILL);
    user.procctl(["join", &daemonic]).output().exits(143).quiet();
}

#[test]
fn where_proc_hides_the_processes_of_others_everything_works_on_ones_own() {
    let env = TestEnv::new();
    let Some(user) = OtherUser::new(&env) else { return };
    let script = env.file(
        "hidden.sh",
        r#"
        die() { echo "$*"; exit 1; }
        id=$(procctl start -- sleep 1000) || die start
        [ "$(procctl get "$id" parent.pid)" = $$ ] || die parent
        procctl is-alive "$id" || die is-alive
        procctl terminate --wait "$id" || die terminate
        procctl join "$id"; [ $? = 143 ] || die join
        id=$(procctl start -- bash -c 'procctl start -n nested -- sleep 1000; echo ready; sleep 1000')
        until [ "$(procctl logs "$id" | tail -n 1)" = ready ]; do sleep 0.01; done
        procctl terminate --tree "$id" || die tree
        [ "$(procctl get nested exitcode)" = -15 ] || die "nested $(procctl get nested exitcode)"
        procctl run -- bash -c 'procctl start -d -- sleep 1000 >/dev/null; exit 3'; [ $? = 3 ] || die run
        bash -c 'procctl start -n d -d -- sleep 1000; :' > /dev/null; procctl join d; [ $? = 143 ] || die daemonic
        [ "$(procctl status --alive 2>&1)" = 'procctl: no process is alive' ] || die left
        "#,
    );
    for hidepid in [1, 2] {
        let mount = format!("mount -t proc -o hidepid={hidepid} proc /proc");
        let words = user.words();
        // The caller of these is root's shell, which the user can't see.
        let direct = format!(
            "{words} procctl start -n direct -- sleep 1000 >/dev/null || echo start
             {words} procctl start -d -- sleep 1000; echo $?
             {words} procctl start --parent $$ -- sleep 1000; echo $?
             {words} procctl status direct | grep -q '^  Threads: 1$' || echo status
             {words} procctl status --tree | grep -q '^direct ' || echo tree
             {words} procctl kill --wait direct; {words} procctl join direct; echo $?
             {words} bash {}",
            script.display()
        );
        let Some(call) = with_mounts(&env, &mount, &direct) else { return };
        let output = call.output();
        assert_eq!(output.stdout(), "125\n125\n137", "hidepid={hidepid}: {output:?}");
        output.exits(0);
        assert_eq!(output.stderr().matches("hidden from you").count(), 1, "{output:?}");
        assert_eq!(output.stderr().matches("may not look at it").count(), 1, "{output:?}");
        user.ok(&["close", "--all"]);
    }
}

/// Every command where /proc is not as it should be: each comes back, nothing is started, nobody is signalled.
fn nothing_happens(env: &TestEnv, inside: impl Fn(&str) -> Option<crate::harness::Output>, words: &str) {
    let victim = env.sleeper(&["-n", "victim"]);
    let process = Held::open(env.pid(&victim));
    let before = env.status().len();
    for args in COMMANDS {
        let Some(output) = inside(&format!("procctl {}", args.join(" "))) else { return };
        let code = output.code();
        if ["create", "start", "run"].contains(&args[0]) && args[1] != "victim" {
            output.refused(125, &[words]);
        } else if code == 125 {
            output.one_error(&[]);
        } else {
            assert!(
                ["is-alive", "status", "logs", "get", "join", "set", "close"].contains(&args[0]),
                "{output:?}"
            );
        }
        assert!(process.is_alive(), "{output:?}");
    }
    assert!(!env.path("made").exists());
    assert_eq!(env.status().len(), before);
    let left = env.program("sh").args(["-c", "ls run/processes/*/* -d | wc -l"]).output().success();
    assert_eq!(left, before.to_string());
    process.signal(rustix::process::Signal::KILL);
}

#[test]
fn without_proc_nothing_is_started_or_signalled() {
    let env = TestEnv::new();
    nothing_happens(
        &env,
        |script| Some(with_mounts(&env, "mount -t tmpfs none /proc", script)?.output()),
        "needs /proc",
    );
}

#[test]
fn with_the_proc_of_another_pid_namespace_nothing_is_started_or_signalled() {
    let env = TestEnv::new();
    let inside = |script: &str| {
        let unshare = |words: &[&str]| {
            env.program("unshare").args(["--pid", "--fork", "--kill-child"]).args(words).output()
        };
        if !installed("unshare") || !unshare(&["true"]).status.success() {
            skipped("no pid namespace may be made here");
            return None;
        }
        // Not the first process: it would take its own pid for somebody's.
        Some(unshare(&[
            "bash",
            "-c",
            &format!(
                "{}; exit $?",
                script
                    .replace("join --all", "join --all --timeout 0")
                    .replace("join victim", "join victim --timeout 0")
            ),
        ]))
    };
    nothing_happens(&env, inside, "another PID namespace");
}
