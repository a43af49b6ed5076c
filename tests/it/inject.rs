//! §6.8 and §6.9 at every step: each system call of a command and of what it forks fails once in each way that it can, is
//! done and reported as failed once, and is replaced by a SIGKILL once. Whatever it was: the run directory answers, each
//! live process has a record and the other way round, nothing leaks, no number is lost, the next attempt works.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use nix::errno::Errno;
use nix::libc;
use serde_json::Value;

use crate::harness::{TestEnv, eventually, is_gone, proc_stat};
use crate::tracer::{Aim, Fault, SystemCall, Traced, Until, trace};

/// What the traced command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deed {
    /// `start` of a process that stays.
    Start,
    /// `start` of a daemonic process with a name of its own.
    StartUnique,
    /// `start` of a process that ends, and its monitor until that has left.
    Life,
    Run,
    Create,
    /// `start REF`
    StartRecorded,
    /// `join` of a process that ends a moment later.
    Join,
    /// `join` of one that has ended.
    JoinEnded,
    Terminate,
    KillTree,
    Close,
    /// `set name=`
    Rename,
    /// `set daemon=`
    SetDaemon,
    Status,
    Get,
    Logs,
    IsAlive,
}

impl Deed {
    const ALL: [Self; 17] = [
        Self::Start,
        Self::StartUnique,
        Self::Life,
        Self::Run,
        Self::Create,
        Self::StartRecorded,
        Self::Join,
        Self::JoinEnded,
        Self::Terminate,
        Self::KillTree,
        Self::Close,
        Self::Rename,
        Self::SetDaemon,
        Self::Status,
        Self::Get,
        Self::Logs,
        Self::IsAlive,
    ];

    fn until(self) -> Until {
        if self == Self::Life { Until::End } else { Until::Idle }
    }

    /// What it is done to, if to something of its own.
    fn prepare(self, stage: &Stage) -> Option<String> {
        let env = &stage.env;
        Some(match self {
            Self::StartRecorded => env.ok(["create", "-e", "A=1", "--", "sleep", "1000"]),
            Self::Rename | Self::SetDaemon => env.ok(["create", "--", "true"]),
            Self::Join => env.start(&[], &["sh", "-c", "sleep 0.02; exit 7"]),
            Self::JoinEnded | Self::Close => {
                let id = env.start(&[], &["sh", "-c", "exit 7"]);
                wait_for_monitor(env, &id, || assert_eq!(env.join(&id), 7));
                id
            }
            Self::Terminate | Self::KillTree => env.sleeper(&[]),
            _ => return None,
        })
    }

    fn arguments<'a>(self, stage: &'a Stage, target: &'a str) -> Vec<&'a str> {
        match self {
            Self::Start => vec!["start", "--", "sleep", "1000"],
            Self::StartUnique => vec!["start", "-d", "--unique", "-n", "one", "--", "sleep", "1000"],
            Self::Life => vec!["start", "--", "sh", "-c", "exit 7"],
            Self::Run => vec!["run", "--", "sh", "-c", "exit 7"],
            Self::Create => vec!["create", "-e", "A=1", "--", "true"],
            Self::StartRecorded => vec!["start", target],
            Self::Join | Self::JoinEnded => vec!["join", target],
            Self::Terminate => vec!["terminate", "--wait", target],
            Self::KillTree => vec!["kill", "--tree", "--wait", target],
            Self::Close => vec!["close", target],
            Self::Rename => vec!["set", target, "name=renamed"],
            Self::SetDaemon => vec!["set", target, "daemon=true"],
            Self::Status => vec!["status", "--json"],
            Self::Get => vec!["get", &stage.ended, "exitcode"],
            Self::Logs => vec!["logs", &stage.ended],
            Self::IsAlive => vec!["is-alive", &stage.alive],
        }
    }

    fn success(self) -> i32 {
        match self {
            Self::Run | Self::Join | Self::JoinEnded => 7,
            _ => 0,
        }
    }

    /// Whether it is about a new process.
    fn makes(self) -> bool {
        matches!(self, Self::Start | Self::StartUnique | Self::Life | Self::Run | Self::Create)
    }
}

/// Lets a process end, and its monitor go, which has more to do than to record that.
fn wait_for_monitor(env: &TestEnv, id: &str, end: impl FnOnce()) {
    let monitor = env.monitor_pid(id);
    end();
    eventually("the monitor is gone", || is_gone(monitor).then_some(()));
}

/// A run directory with two earlier processes, where one attempt after the other is made.
struct Stage {
    env: TestEnv,
    ended: String,
    alive: String,
    records: [Vec<u8>; 2],
    /// How many numbers are used up.
    numbers: u64,
}

impl Stage {
    fn new() -> Self {
        let env = TestEnv::new();
        let ended = env.start(&["-n", "ended"], &["sh", "-c", "echo said; exit 3"]);
        assert_eq!(env.join(&ended), 3);
        let alive = env.start(&["-n", "alive"], &["sleep", "2000"]);
        let records = [&ended, &alive].map(|id| fs::read(entry(&env, id).join("record.json")).unwrap());
        Self { env, ended, alive, records, numbers: 2 }
    }

    /// One attempt under one fault, and what did not hold afterwards.
    fn attempt(&mut self, deed: Deed, aim: Option<Aim>) -> (Traced, Vec<String>) {
        let target = deed.prepare(self);
        let traced = {
            let arguments = deed.arguments(self, target.as_deref().unwrap_or_default());
            trace(&self.env, &arguments, deed.until(), aim)
        };
        let mut wrong = Vec::new();
        self.check(deed, aim, target.as_deref(), &traced, &mut wrong);
        (traced, wrong)
    }

    fn check(
        &mut self,
        deed: Deed,
        aim: Option<Aim>,
        target: Option<&str>,
        traced: &Traced,
        wrong: &mut Vec<String>,
    ) {
        let killed = aim.is_some_and(|aim| aim.fault == Fault::Kill);
        // What was done and nobody was told is cleared later, like what a kill leaves; what failed has cleared up.
        // So is the rest of what is closed, and an old name.
        let unknown = aim.is_some_and(|aim| {
            matches!(deed, Deed::Close | Deed::Rename) || !matches!(aim.fault, Fault::Fails(_))
        });
        let succeeded = traced.code == Some(deed.success()) && traced.stderr.is_empty();
        if traced.hung {
            wrong.push("it hung".to_owned());
        }
        check_answer(deed, aim, traced, wrong);
        let env = &self.env;
        let Some(rows) = self.settled(!unknown, wrong) else { return };
        for (id, before) in [&self.ended, &self.alive].into_iter().zip(&self.records) {
            if fs::read(entry(env, id).join("record.json")).ok().as_ref() != Some(before) {
                wrong.push(format!("the earlier record {id} is not as it was"));
            }
        }
        let new: Vec<&Value> =
            rows.iter().filter(|row| row["id"] != *self.ended && row["id"] != *self.alive).collect();
        let made = new.iter().filter(|row| Some(row["id"].as_str().unwrap()) != target).count();
        let wanted = match (deed.makes(), succeeded) {
            (true, true) => 1..=1,
            (true, false) if killed || is_answer(traced.hit) => 0..=1,
            // The command ran, and what became of it may have been told.
            (true, false) if deed == Deed::Run => 0..=1,
            _ => 0..=0,
        };
        if !wanted.contains(&made) {
            wrong.push(format!("{made} new records"));
        }
        check_ends(env, deed, aim, &new, wrong);
        self.try_again(deed, target, wrong);
        self.clear(unknown, wrong);
    }

    /// The records, when what is under way is over: a process that was signalled may be about to end.
    fn settled(&self, without_leaks: bool, wrong: &mut Vec<String>) -> Option<Vec<Value>> {
        let until = Instant::now() + Duration::from_secs(3);
        loop {
            let mut now = Vec::new();
            let rows = status(&self.env, &mut now);
            if let Some(rows) = &rows {
                check_processes(&self.env, rows, &mut now);
                if without_leaks {
                    now.extend(leaks(&self.env, rows));
                }
            }
            if now.is_empty() || Instant::now() > until {
                wrong.extend(now);
                return rows;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// The same once more, without a fault.
    fn try_again(&self, deed: Deed, target: Option<&str>, wrong: &mut Vec<String>) {
        let env = &self.env;
        let state = target.map(|id| env.procctl(["get", id, "state"]).output());
        let state = state.filter(|state| state.status.success()).map(|state| state.stdout());
        let target = target.unwrap_or_default();
        match (deed, state.as_deref()) {
            // It has been done.
            (Deed::StartRecorded, Some("started" | "stopped")) | (Deed::Close, None) => return,
            // The one there may be has the name.
            (Deed::StartUnique, _) => drop(env.procctl(["kill", "--wait", "one"]).output()),
            _ => {}
        }
        let again = env.procctl(deed.arguments(self, target)).output();
        if again.status.code() != Some(deed.success()) || !again.stderr.is_empty() {
            wrong.push(format!("the second attempt: {again:?}"));
        }
    }

    /// Forgets all but the two, and looks for what is left.
    fn clear(&mut self, unknown: bool, wrong: &mut Vec<String>) {
        let Some(rows) = status(&self.env, wrong) else { return };
        let (mut numbers, mut ids) = (Vec::new(), Vec::new());
        for row in &rows {
            let id = row["id"].as_str().unwrap().to_owned();
            if id != self.ended && id != self.alive {
                ids.push(id);
                numbers.extend(row["identity"][0].as_u64());
            }
        }
        numbers.sort_unstable();
        let without_gap = numbers.iter().copied().eq((self.numbers + 1..).take(numbers.len()));
        // What was closed is not seen; it has used up its number all the same.
        if !without_gap {
            wrong.push(format!("numbers {numbers:?} after {}", self.numbers));
        }
        self.numbers = self.numbers.max(numbers.last().copied().unwrap_or(0));
        let env = &self.env;
        for id in ids {
            // It may be initial, or have ended.
            let patience = Duration::from_secs(60);
            env.procctl(["kill", &id]).output();
            // Without its monitor it is reaped by an init that can be slow.
            env.procctl(["join", &id]).deadline(patience).output();
            let closed = env.procctl(["close", &id]).output();
            if !closed.status.success() {
                wrong.push(format!("{closed:?}"));
            }
        }
        if unknown {
            self.sweep();
        }
        if let Some(rows) = self.settled(true, wrong)
            && rows.len() != 2
        {
            wrong.push(format!("{} records are left", rows.len()));
        }
    }

    /// Makes a monitor on its way out clear what was left behind more than an hour ago.
    fn sweep(&mut self) {
        let old = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
        let age = |path: &Path| fs::File::open(path).unwrap().set_modified(old).unwrap();
        for directory in entries(&self.env) {
            if !directory.join("record.json").exists() {
                age(&directory);
            }
        }
        let id = self.env.start(&[], &["sleep", "1000"]);
        self.numbers += 1;
        wait_for_monitor(&self.env, &id, || {
            age(&self.env.run_dir().join("cleared"));
            self.env.ok(["kill", "--wait", &id]);
        });
        self.env.ok(["close", &id]);
    }
}

fn entry(env: &TestEnv, id: &str) -> PathBuf {
    env.run_dir().join("processes").join(&id[..2]).join(id)
}

fn status(env: &TestEnv, wrong: &mut Vec<String>) -> Option<Vec<Value>> {
    let output = env.procctl(["status", "--json"]).output();
    if !output.status.success() || !output.stderr.is_empty() {
        wrong.push(format!("{output:?}"));
    }
    serde_json::from_slice(&output.stdout).ok()
}

/// The answer itself could not be written: nothing can be said of what was said.
fn is_answer(hit: Option<SystemCall>) -> bool {
    hit.is_some_and(|call| call.number == libc::SYS_write && matches!(call.arguments[0], 1 | 2))
}

/// What the command said and exited with.
fn check_answer(deed: Deed, aim: Option<Aim>, traced: &Traced, wrong: &mut Vec<String>) {
    let Traced { code, stdout, stderr, hit, .. } = traced;
    let fault = aim.map(|aim| aim.fault);
    if is_answer(*hit) || aim.is_some_and(|aim| (aim.depth, aim.fault) == (0, Fault::Kill)) {
        return;
    }
    if *code == Some(deed.success()) {
        // After the command's end `run` looks for its children, and says so if it can't; `status` shows what it can.
        if !stderr.is_empty() && !matches!(deed, Deed::Run | Deed::Status) {
            wrong.push(format!("it exits {code:?} and says {stderr:?}"));
        }
        return;
    }
    // The command of `run` was killed before it was one.
    if deed == Deed::Run && *code == Some(137) && fault == Some(Fault::Kill) {
        return;
    }
    let errors = stderr.lines().filter(|line| line.starts_with("procctl: ")).count();
    let is_error = matches!(code, Some(125..=127)) && errors == 1 && stderr.starts_with("procctl: ");
    if !is_error || (!stdout.is_empty() && !matches!(deed, Deed::Status | Deed::Logs)) {
        wrong.push(format!("it exits {code:?}, says {stderr:?} and answers {stdout:?}"));
    }
    if let Some(Fault::Fails(Errno::EINTR) | Fault::DoneButFails(Errno::EINTR)) = fault {
        wrong.push(format!("an interrupted system call is an error: {stderr:?}"));
    }
}

/// Every command that lives has one record that says so, and the other way round.
fn check_processes(env: &TestEnv, rows: &[Value], wrong: &mut Vec<String>) {
    let started = rows.iter().filter(|row| row["state"] == "started");
    let recorded: BTreeSet<i32> =
        started.map(|row| i32::try_from(row["pid"].as_i64().unwrap()).unwrap()).collect();
    let gone: Vec<_> = recorded.iter().filter(|&&pid| is_gone(pid)).collect();
    if !gone.is_empty() {
        wrong.push(format!("recorded as started, and not there: {gone:?}"));
    }
    // What a `sh` runs, which ends by itself, has no record of its own.
    let commands = [&b"sleep\x001000\0"[..], b"sleep\x002000\0"];
    let is_command = |pid: &i32| {
        fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|cmdline| commands.contains(&&cmdline[..]))
    };
    let alive = env.os_processes().into_iter().filter(is_command);
    let unknown: Vec<_> = alive.filter(|pid| !recorded.contains(pid) && !is_gone(*pid)).collect();
    if !unknown.is_empty() {
        wrong.push(format!("alive without a record that says so: {unknown:?}"));
    }
}

/// The exit code is never lost, unless the only witness was killed.
fn check_ends(env: &TestEnv, deed: Deed, aim: Option<Aim>, new: &[&Value], wrong: &mut Vec<String>) {
    let witness_killed =
        aim.is_some_and(|aim| aim.fault == Fault::Kill && (aim.depth > 0 || deed == Deed::Run));
    for row in new {
        let id = row["id"].as_str().unwrap();
        if matches!(deed, Deed::Life | Deed::Run) {
            let joined = env.procctl(["join", id]).output();
            let code = joined.status.code();
            if code != Some(7) && !(witness_killed && matches!(code, Some(125 | 137))) {
                wrong.push(format!("its end was lost: {joined:?}"));
            }
        }
        if row["state"] == "initial" && deed.makes() && deed != Deed::Create {
            wrong.push(format!("{id} is initial"));
        }
    }
}

/// The directories of processes.
fn entries(env: &TestEnv) -> Vec<PathBuf> {
    list(&env.run_dir().join("processes")).iter().flat_map(|folder| list(folder)).collect()
}

fn list(dir: &Path) -> Vec<PathBuf> {
    fs::read_dir(dir).map(|entries| entries.flatten().map(|entry| entry.path()).collect()).unwrap_or_default()
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// What is in the run directory and belongs to no record.
fn leaks(env: &TestEnv, rows: &[Value]) -> Vec<String> {
    const FILES: [&str; 7] =
        ["record.json", "sentinel", "output.log", "signals", "environment", "authkey", "hold"];
    let known: BTreeSet<&str> = rows.iter().map(|row| row["id"].as_str().unwrap()).collect();
    let mut found = Vec::new();
    for directory in entries(env) {
        if known.contains(name(&directory)) {
            found.extend(list(&directory).into_iter().filter(|file| !FILES.contains(&name(file))));
        } else {
            found.push(directory);
        }
    }
    for shelf in list(&env.run_dir().join("names")) {
        for tag in list(&shelf).iter().flat_map(|bucket| list(bucket)) {
            let id = name(&tag).rsplit('.').next().unwrap();
            if id != "lock" && !known.contains(id) {
                found.push(tag);
            }
        }
    }
    for file in list(&env.run_dir().join("parents")).iter().flat_map(|key| list(key)) {
        let id = fs::read_link(&file).ok();
        let is_known = id.is_some_and(|id| known.contains(id.to_str().unwrap_or_default()));
        if !is_known && !["count", "authkey"].contains(&name(&file)) {
            found.push(file);
        }
    }
    let run_dir = env.run_dir();
    let inside = |path: &PathBuf| path.strip_prefix(&run_dir).unwrap().display().to_string();
    found.iter().map(|path| format!("a leak: {}", inside(path))).collect()
}

/// The ways in which a system call can fail here. Some can't.
fn faults(call: SystemCall) -> Vec<Fault> {
    use Errno::{EAGAIN, EEXIST, EINTR, EIO, EMFILE, ENOENT, ENOLCK, ENOMEM, ENOSPC, ENOSYS, EPERM};
    const CREATE: u64 = libc::O_CREAT as u64;
    let [_, second, third, ..] = call.arguments;
    let (fails, done): (&[Errno], &[Errno]) = match call.number {
        libc::SYS_openat if third & CREATE != 0 => (&[ENOSPC, EIO, EMFILE, EINTR], &[]),
        libc::SYS_openat2 => (&[ENOSPC, EIO, EMFILE, EINTR, ENOSYS], &[]),
        libc::SYS_openat | libc::SYS_open => (&[EIO, EMFILE, EINTR], &[]),
        libc::SYS_read
        | libc::SYS_pread64
        | libc::SYS_getdents64
        | libc::SYS_readlink
        | libc::SYS_readlinkat
        | libc::SYS_statx
        | libc::SYS_newfstatat
        | libc::SYS_fstat
        | libc::SYS_fstatfs
        | libc::SYS_chdir
        | libc::SYS_utimensat => (&[EIO, EINTR], &[]),
        libc::SYS_write | libc::SYS_pwrite64 => (&[ENOSPC, EIO, EINTR], &[EIO]),
        libc::SYS_mkdirat | libc::SYS_symlinkat | libc::SYS_mknodat | libc::SYS_linkat => {
            (&[ENOSPC, EIO, EINTR], &[EIO, EEXIST])
        }
        libc::SYS_renameat => (&[ENOSPC, EIO, EINTR], &[EIO, ENOENT]),
        libc::SYS_unlinkat => (&[EIO, EINTR], &[EIO, ENOENT]),
        // Beyond F_SETFL: locks.
        libc::SYS_fcntl if second > 4 => (&[ENOLCK, EINTR], &[]),
        // The descriptor is closed in any case.
        libc::SYS_close => (&[], &[EIO, EINTR]),
        libc::SYS_clone => (&[EAGAIN, ENOMEM], &[]),
        libc::SYS_pipe2 | libc::SYS_signalfd4 | libc::SYS_pidfd_open => (&[EMFILE, ENOMEM], &[]),
        libc::SYS_pidfd_send_signal | libc::SYS_setsid => (&[EPERM], &[]),
        libc::SYS_poll | libc::SYS_ppoll => (&[EINTR, ENOMEM], &[]),
        libc::SYS_waitid | libc::SYS_wait4 | libc::SYS_getrandom => (&[EINTR], &[]),
        libc::SYS_mmap | libc::SYS_mprotect | libc::SYS_munmap => (&[ENOMEM], &[]),
        libc::SYS_dup2 => (&[EMFILE, EINTR], &[]),
        libc::SYS_close_range => (&[ENOSYS, ENOMEM], &[]),
        libc::SYS_execve => (&[EIO, ENOMEM, EAGAIN], &[]),
        _ => (&[], &[]),
    };
    let fails = fails.iter().copied().map(Fault::Fails);
    fails.chain(done.iter().copied().map(Fault::DoneButFails)).chain([Fault::Kill]).collect()
}

/// Every fault at every system call of a deed and of what it forks.
fn matrix(deed: Deed) -> Vec<Aim> {
    let (traced, wrong) = Stage::new().attempt(deed, None);
    assert!(wrong.is_empty(), "{deed:?} without a fault: {wrong:#?}");
    let mut all = Vec::new();
    for (depth, calls) in traced.calls.iter().enumerate() {
        for (at, &call) in calls.iter().enumerate().skip(traced.first_own(depth)) {
            let mut faults = faults(call);
            // `--tree` waits for what it may not signal.
            faults.retain(|&fault| deed != Deed::KillTree || fault != Fault::Fails(Errno::EPERM));
            all.extend(faults.into_iter().map(|fault| traced.aim(depth, at, fault)));
        }
    }
    all
}

/// Makes these attempts. How many met a system call, and all that was wrong.
fn attempts(deed: Deed, aims: impl IntoIterator<Item = Aim>) -> (usize, Vec<String>) {
    let mut stage = Stage::new();
    let (mut made, mut all_wrong) = (0, Vec::new());
    for aim in aims {
        let attempt = catch_unwind(AssertUnwindSafe(|| stage.attempt(deed, Some(aim))));
        let (hit, wrong) = match attempt {
            Ok((traced, wrong)) => (traced.hit, wrong),
            Err(_) => (None, vec!["the attempt did not come to its end".to_owned()]),
        };
        made += usize::from(hit.is_some());
        if !wrong.is_empty() {
            let arguments = hit.map(|call| call.arguments);
            all_wrong.push(format!("{deed:?} {aim:?} {arguments:x?}: {wrong:#?}"));
            // What is left of it is not to be held against the next.
            let mut spoilt = std::mem::replace(&mut stage, Stage::new());
            spoilt.env.allow_leftovers("it has failed already");
        }
    }
    (made, all_wrong)
}

#[test]
fn a_sample_of_faults_leaves_process_and_record_or_neither() {
    const PER_DEED: usize = 5;
    for deed in Deed::ALL {
        let all = matrix(deed);
        let step = (all.len() / PER_DEED).max(1);
        let (made, wrong) = attempts(deed, all.into_iter().step_by(step));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(made > PER_DEED / 2, "{deed:?}: {made} faults");
    }
}

#[test]
#[ignore = "it takes minutes"]
fn every_fault_leaves_process_and_record_or_neither() {
    let mut all_wrong = Vec::new();
    let only = std::env::var("PROCCTL_TEST_DEED").ok();
    for deed in Deed::ALL {
        if only.as_ref().is_some_and(|only| *only != format!("{deed:?}")) {
            continue;
        }
        let all = matrix(deed);
        let (count, before) = (all.len(), Instant::now());
        let (made, wrong) = attempts(deed, all);
        let (took, wrongs) = (before.elapsed(), wrong.len());
        let _ =
            writeln!(std::io::stderr(), "{deed:?}: {made} of {count} faults in {took:.0?}, {wrongs} wrong");
        all_wrong.extend(wrong);
    }
    assert!(all_wrong.is_empty(), "{}", all_wrong.join("\n"));
}

/// `procctl ARG...` again and again, each time with another one of these system calls failing for want of descriptors.
fn without_descriptors(env: &TestEnv, numbers: &[i64], args: &[&str], mut check: impl FnMut(&Traced)) {
    for &number in numbers {
        for nth in 0.. {
            let aim = Aim { depth: 0, number, nth, fault: Fault::Fails(Errno::ENFILE) };
            let traced = trace(env, args, Until::Idle, Some(aim));
            if traced.hit.is_none() {
                break;
            }
            check(&traced);
        }
    }
}

#[test]
fn a_look_that_fails_makes_no_tree_smaller() {
    let env = TestEnv::new();
    // The trap last: what it has forked would have it, too, until it has executed something.
    let script =
        "sh -c 'sleep 1000; :' & sleep 1000 & trap 'echo told' USR1; echo ready; while :; do wait; done";
    let mut id = env.start_ready(&[], script);
    let mut spared = |traced: &Traced| {
        if traced.code == Some(0) {
            let session = env.get(&id, "pid");
            let is_spared =
                |&pid: &i32| proc_stat(pid).is_some_and(|stat| stat[3] == session && stat[0] != "Z");
            eventually("all but the shell, which goes on, have ended by it", || {
                let left = env.os_processes().into_iter().filter(is_spared).count();
                (left == 1).then_some(())
            });
            env.ok(["kill", "--wait", &id]);
            id = env.start_ready(&[], script);
        }
    };
    let args = ["kill", "-s", "USR1", "--tree", "--all"];
    without_descriptors(&env, &[libc::SYS_open, libc::SYS_openat], &args, &mut spared);
    env.ok(["kill", "--all", "--tree", "--wait"]);
}

#[test]
fn a_look_that_fails_frees_no_unique_name_and_lets_no_daemon_have_children() {
    let env = TestEnv::new();
    let calls = [libc::SYS_pidfd_open, libc::SYS_openat2];
    let id = env.sleeper(&["-n", "one", "--unique"]);
    without_descriptors(&env, &calls, &["start", "--unique", "-n", "one", "--", "true"], |traced| {
        assert_eq!(traced.code, Some(125), "{:?}: {}", traced.hit, traced.stderr);
    });
    let other = env.sleeper(&[]);
    without_descriptors(&env, &calls, &["set", &other, "name=one"], |traced| {
        assert_eq!(traced.code, Some(125), "{:?}: {}", traced.hit, traced.stderr);
    });
    // A daemonic process may have no children.
    let parent = env.sleeper(&["-d"]);
    let pid = env.get(&parent, "pid");
    without_descriptors(&env, &calls, &["create", "--parent", &pid, "--", "true"], |traced| {
        assert_eq!(traced.code, Some(125), "{:?}: {}", traced.hit, traced.stderr);
    });
    env.ok(["kill", "--wait", &id, &other, &parent]);
}

/// Its monitor and what was to become the command, each killed at each step.
#[test]
fn a_command_that_is_not_there_was_never_started() {
    let env = TestEnv::new();
    let args = ["start", "--", "no-such-command"];
    // The first one makes directories.
    env.procctl(args).output().exits(127);
    let whole = trace(&env, &args, Until::End, None);
    assert_eq!(whole.code, Some(127), "{whole:?}");
    for (depth, calls) in whole.calls.iter().enumerate().skip(1) {
        for (at, call) in calls.iter().enumerate() {
            let aim = whole.aim(depth, at, Fault::Kill);
            let traced = trace(&env, &args, Until::End, Some(aim));
            assert_eq!(traced.hit.map(|hit| hit.number), Some(call.number));
            assert_ne!(traced.code, Some(0), "{aim:?}: {traced:?}");
            eventually("nothing is left", || env.status().is_empty().then_some(()));
        }
    }
}
