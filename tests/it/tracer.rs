//! Makes one system call of procctl, or of what it forks, fail, or be the last one before a SIGKILL.
//!
//! What `strace -e inject` does, and what it can't: its `when=N` counts per process, so what fails in a monitor would have
//! failed in its launcher before. Here a fault is meant for one process of the family. The command itself is let go when it
//! has been exec'ed: it runs as without a tracer.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread;

use nix::errno::Errno;
use nix::libc;
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use crate::harness::{DEADLINE, PROCCTL, TestEnv};

/// What happens to a system call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It does nothing and gives that error.
    Fails(Errno),
    /// It is done, and gives that error all the same: what an interrupted or repeated request on a network file system is.
    DoneButFails(Errno),
    /// The process is killed instead of it.
    Kill,
}

/// The system call that is meant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    /// How far the process is from the one that was started: 0 is procctl, 1 what that forked…
    pub(crate) depth: usize,
    /// The number of the system call, and which of those with it, from 0.
    pub(crate) number: i64,
    pub(crate) nth: usize,
    pub(crate) fault: Fault,
}

/// A system call as it was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SystemCall {
    pub(crate) number: i64,
    pub(crate) arguments: [u64; 6],
}

/// What a traced procctl did.
#[derive(Debug)]
pub(crate) struct Traced {
    /// Its exit status; none if it was killed.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// The system calls of each process of the family, by depth.
    pub(crate) calls: Vec<Vec<SystemCall>>,
    /// The system call that the fault befell.
    pub(crate) hit: Option<SystemCall>,
    /// It did not end, and was killed.
    pub(crate) hung: bool,
}

impl Traced {
    /// Where procctl's own system calls begin, in the process at that depth: what comes before it looks at its standard streams is
    /// the C library's.
    pub(crate) fn first_own(&self, depth: usize) -> usize {
        let is_first = |call: &SystemCall| call.number == libc::SYS_fcntl && call.arguments[0] == 0;
        if depth == 0 { self.calls[0].iter().position(is_first).unwrap() } else { 0 }
    }

    /// What aims that fault at a system call that was made.
    pub(crate) fn aim(&self, depth: usize, at: usize, fault: Fault) -> Aim {
        let number = self.calls[depth][at].number;
        let nth = self.calls[depth][..at].iter().filter(|before| before.number == number).count();
        Aim { depth, number, nth, fault }
    }
}

/// Until when the family is traced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Until {
    /// A monitor waits for its process: it is let go.
    Idle,
    /// All have ended.
    End,
}

struct Tracee {
    pid: Pid,
    depth: usize,
    /// Between the entry and the exit of a system call.
    is_inside: bool,
    /// What that is to give instead of its result.
    instead: Option<Errno>,
    made: BTreeMap<i64, usize>,
}

/// `procctl ARG...` under the fault.
pub(crate) fn trace(env: &TestEnv, args: &[&str], until: Until, aim: Option<Aim>) -> Traced {
    follow(env, args, until, aim, None)
}

/// `procctl ARG...`, and `deed` is done just before its system call number `at`, from 0. If it waits for something earlier, then
/// before that; there was no `hit` then.
pub(crate) fn trace_beside(env: &TestEnv, args: &[&str], at: usize, deed: &mut dyn FnMut()) -> Traced {
    follow(env, args, Until::Idle, None, Some((at, deed)))
}

fn follow(
    env: &TestEnv,
    args: &[&str],
    until: Until,
    aim: Option<Aim>,
    beside: Option<(usize, &mut dyn FnMut())>,
) -> Traced {
    let (out, err) = (env.path("traced.out"), env.path("traced.err"));
    let mut command = Command::new("sh");
    command
        .args(["-c", r#"kill -STOP $$; exec "$@""#, "sh", PROCCTL])
        .args(args)
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("HOME", env.path("home"))
        .env("PROCCTL_RUN_DIR", env.run_dir())
        .current_dir(env.root())
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(File::create(&out).unwrap())
        .stderr(File::create(&err).unwrap());
    #[expect(clippy::zombie_processes, reason = "the tracer waits for everything that it traces")]
    let child = command.spawn().unwrap();
    let pid = Pid::from_raw(i32::try_from(child.id()).unwrap());
    waitpid(pid, Some(WaitPidFlag::WUNTRACED)).unwrap();
    let options = Options::PTRACE_O_TRACEFORK
        | Options::PTRACE_O_TRACEVFORK
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).unwrap();
    kill(pid, Signal::SIGCONT).unwrap();

    let watched = Arc::new(Mutex::new(vec![pid]));
    let (done, over) = channel::<()>();
    let watchdog = thread::spawn({
        let watched = Arc::clone(&watched);
        move || {
            let hangs = over.recv_timeout(DEADLINE) == Err(RecvTimeoutError::Timeout);
            if hangs {
                for &pid in watched.lock().unwrap().iter() {
                    let _ = kill(pid, Signal::SIGKILL);
                }
            }
            hangs
        }
    });
    let mut tracer = Tracer {
        main: pid,
        begun: false,
        tracees: vec![Tracee { pid, depth: 0, is_inside: false, instead: None, made: BTreeMap::new() }],
        early: Vec::new(),
        calls: Vec::new(),
        hit: None,
        code: None,
        until,
        aim,
        beside,
        watched,
    };
    tracer.follow();
    let _ = done.send(());
    let hung = watchdog.join().unwrap();
    let said = |path: &PathBuf| String::from_utf8_lossy(&std::fs::read(path).unwrap()).into_owned();
    let Tracer { code, calls, hit, .. } = tracer;
    Traced { code, stdout: said(&out), stderr: said(&err), calls, hit, hung }
}

struct Tracer<'a> {
    main: Pid,
    /// The shell has become procctl.
    begun: bool,
    tracees: Vec<Tracee>,
    /// Stopped, and their parent has not told of them yet.
    early: Vec<Pid>,
    calls: Vec<Vec<SystemCall>>,
    hit: Option<SystemCall>,
    code: Option<i32>,
    until: Until,
    aim: Option<Aim>,
    /// What is still to be done beside it, and when.
    beside: Option<(usize, &'a mut dyn FnMut())>,
    watched: Arc<Mutex<Vec<Pid>>>,
}

impl Tracer<'_> {
    fn follow(&mut self) {
        // Without __WNOTHREAD the children of other tests would be taken.
        let flags = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
        while !self.tracees.is_empty() {
            let status = match waitpid(Pid::from_raw(-1), Some(flags)) {
                Ok(status) => status,
                Err(Errno::EINTR) => continue,
                Err(Errno::ECHILD) => break,
                Err(error) => panic!("waitpid: {error}"),
            };
            match status {
                WaitStatus::Exited(pid, code) => self.ended(pid, Some(code)),
                WaitStatus::Signaled(pid, ..) => self.ended(pid, None),
                WaitStatus::PtraceSyscall(pid) => self.system_call(pid),
                WaitStatus::PtraceEvent(pid, _, event) => self.event(pid, event),
                WaitStatus::Stopped(pid, signal) => resume(pid, Some(signal)),
                _ => {}
            }
        }
    }

    fn ended(&mut self, pid: Pid, code: Option<i32>) {
        if pid == self.main {
            self.code = code;
        }
        self.forget(pid);
    }

    fn forget(&mut self, pid: Pid) {
        self.tracees.retain(|tracee| tracee.pid != pid);
        self.watched.lock().unwrap().retain(|&other| other != pid);
    }

    fn event(&mut self, pid: Pid, event: i32) {
        match event {
            libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK | libc::PTRACE_EVENT_CLONE => {
                if let (Ok(new), Some(parent)) = (ptrace::getevent(pid), self.find(pid)) {
                    let new = Pid::from_raw(i32::try_from(new).unwrap());
                    let depth = parent.depth + 1;
                    self.tracees.push(Tracee {
                        pid: new,
                        depth,
                        is_inside: false,
                        instead: None,
                        made: BTreeMap::new(),
                    });
                    self.watched.lock().unwrap().push(new);
                    if self.early.contains(&new) {
                        self.early.retain(|&early| early != new);
                        resume(new, None);
                    }
                }
                resume(pid, None);
            }
            libc::PTRACE_EVENT_EXEC => {
                if pid == self.main {
                    self.begun = true;
                    resume(pid, None);
                } else {
                    let _ = ptrace::detach(pid, None);
                    self.forget(pid);
                }
            }
            _ if self.find(pid).is_none() => self.early.push(pid),
            _ => resume(pid, None),
        }
    }

    fn find(&mut self, pid: Pid) -> Option<&mut Tracee> {
        self.tracees.iter_mut().find(|tracee| tracee.pid == pid)
    }

    fn system_call(&mut self, pid: Pid) {
        let begun = self.begun;
        let Ok(mut registers) = ptrace::getregs(pid) else { return resume(pid, None) };
        let (aim, until) = (self.aim, self.until);
        let Some(tracee) = self.find(pid) else { return resume(pid, None) };
        if std::mem::take(&mut tracee.is_inside) {
            if let Some(error) = tracee.instead.take() {
                registers.rax = i64::from(-(error as i32)).cast_unsigned();
                let _ = ptrace::setregs(pid, registers);
            }
            return resume(pid, None);
        }
        tracee.is_inside = true;
        // The exec itself, which makes procctl of the shell, is not procctl's.
        if !begun {
            return resume(pid, None);
        }
        let call = SystemCall {
            number: registers.orig_rax.cast_signed(),
            arguments: [
                registers.rdi,
                registers.rsi,
                registers.rdx,
                registers.r10,
                registers.r8,
                registers.r9,
            ],
        };
        let (depth, made) = (tracee.depth, tracee.made.entry(call.number).or_default());
        let here = (depth, call.number, *made);
        *made += 1;
        let fault = aim.filter(|aim| (aim.depth, aim.number, aim.nth) == here).map(|aim| aim.fault);
        match fault {
            Some(Fault::Fails(error)) => {
                tracee.instead = Some(error);
                registers.orig_rax = u64::MAX;
                let _ = ptrace::setregs(pid, registers);
            }
            Some(Fault::DoneButFails(error)) => tracee.instead = Some(error),
            Some(Fault::Kill) | None => {}
        }
        if self.calls.len() <= depth {
            self.calls.resize(depth + 1, Vec::new());
        }
        let is_there =
            |&mut (at, _): &mut (usize, _)| depth == 0 && (self.calls[0].len() == at || is_idle(pid, call));
        if let Some((at, deed)) = self.beside.take_if(is_there) {
            self.hit = (self.calls[0].len() == at).then_some(call);
            deed();
        }
        self.calls[depth].push(call);
        if let Some(fault) = fault {
            self.hit = Some(call);
            if fault == Fault::Kill {
                let _ = kill(pid, Signal::SIGKILL);
                return;
            }
        }
        if until == Until::Idle && depth > 0 && is_idle(pid, call) && fault.is_none() {
            let _ = ptrace::detach(pid, None);
            self.forget(pid);
            return;
        }
        resume(pid, None);
    }
}

/// It may have been killed meanwhile.
fn resume(pid: Pid, signal: Option<Signal>) {
    let _ = ptrace::syscall(pid, signal);
}

/// It waits for whatever comes; to look at something takes no time.
fn is_idle(pid: Pid, call: SystemCall) -> bool {
    const WNOHANG: u64 = libc::WNOHANG as u64;
    let [_, _, third, fourth, ..] = call.arguments;
    let word = |address: u64| ptrace::read(pid, address as ptrace::AddressType).unwrap_or(0);
    match call.number {
        libc::SYS_poll => third != 0,
        libc::SYS_ppoll => third == 0 || word(third) != 0 || word(third + 8) != 0,
        libc::SYS_waitid => fourth & WNOHANG == 0,
        _ => false,
    }
}
