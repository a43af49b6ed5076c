//! Making and waiting for OS processes.

use std::borrow::Cow;
use std::ffi::CStr;
use std::io;
use std::mem::MaybeUninit;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;

use nix::libc;

use super::fault::{self, deed, moment};

/// Which side of a fork this is.
#[derive(Debug)]
pub enum Fork {
    /// The process that forked; the child's pid.
    Parent(i32),
    /// The new process.
    Child,
}

/// fork(2). The process must have one thread only.
pub fn fork() -> io::Result<Fork> {
    // SAFETY: procctl never makes a thread, so no lock can be held by one that is missing in the child.
    let fork = || unsafe { nix::unistd::fork() }.map_err(io::Error::from);
    match deed("fork", "", fork)? {
        nix::unistd::ForkResult::Parent { child } => Ok(Fork::Parent(child.as_raw())),
        nix::unistd::ForkResult::Child => Ok(Fork::Child),
    }
}

/// Ends the process at once: no destructors, no buffers of the process it was forked from.
pub fn exit(status: i32) -> ! {
    // SAFETY: _exit(2) takes a number and does not return.
    unsafe { libc::_exit(status) }
}

/// Makes a child process that runs `child` *in the memory of the caller* and is expected to exec: clone(2) with
/// `CLONE_VM | CLONE_VFORK`. The caller is suspended until the child has exec'ed or ended. Returns the child's pid.
///
/// Unlike fork(2) nothing is copied: no page tables, no page faults later. What `child` writes, the caller sees.
/// If `child` returns, the child process ends with the status it returned.
///
/// The child's stack is the caller's, below all that is in use there, as with vfork(2).
///
/// The caller must have one thread and all signals blocked: no handler may run in the shared memory.
pub fn spawn(child: &mut dyn FnMut() -> i32) -> io::Result<i32> {
    extern "C" fn enter(argument: *mut libc::c_void) -> libc::c_int {
        // SAFETY: `argument` is the pointer made below; the caller is suspended while the child uses what it points to.
        let child = unsafe { &mut *argument.cast::<&mut dyn FnMut() -> i32>() };
        fault::play("child");
        child()
    }

    const FLAGS: libc::c_int = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;

    // In a frame of its own, which is small: that of `spawn` becomes a part of its caller's, and can be larger than the gap.
    #[cfg(not(procctl_sanitize))]
    #[inline(never)]
    fn clone(argument: *mut libc::c_void) -> libc::pid_t {
        // Between the stack of the one and that of the other: clone(3) itself uses next to nothing.
        const GAP: usize = 4096;
        let here = 0u8;
        let top = (std::ptr::from_ref(&here).expose_provenance() - GAP) & !15;
        let stack = std::ptr::with_exposed_provenance_mut(top);
        // SAFETY: nothing is in use below this frame and what clone(3) needs, and nothing will be until the child has left
        // this memory (CLONE_VFORK); `argument` lives as long; one thread and blocked signals (see above) mean that nothing
        // else runs in this memory meanwhile. The stack grows for whoever touches it (mmap(2), MAP_GROWSDOWN).
        unsafe { libc::clone(enter, stack, FLAGS, argument) }
    }

    // AddressSanitizer moves locals off the stack, so that no address says where it is; and it would never hear that the child's
    // frames are gone, for those that exec do not return.
    #[cfg(procctl_sanitize)]
    fn clone(argument: *mut libc::c_void) -> libc::pid_t {
        let mut stack = vec![0u128; 256 * 1024 / size_of::<u128>()];
        // SAFETY: the stack is the child's alone, and is freed when it has left this memory; the rest as above.
        unsafe { libc::clone(enter, stack.as_mut_ptr_range().end.cast(), FLAGS, argument) }
    }

    let mut child = child;
    let argument = std::ptr::from_mut(&mut child).cast::<libc::c_void>();
    deed("spawn", "", || {
        let role = fault::play("");
        let pid = clone(argument);
        fault::play(role);
        if pid < 0 { Err(io::Error::last_os_error()) } else { Ok(pid) }
    })
}

/// Replaces the program (execve(2)). Returns only when that failed. `trying` is true while the kernel is at it: whoever shares
/// this memory sees whether the process has left it on that way.
pub fn exec(
    path: &CStr,
    arguments: &PointerList,
    environment: &PointerList,
    trying: &AtomicBool,
) -> io::Error {
    let exec = || {
        trying.store(true, Relaxed);
        // SAFETY: both lists are null-terminated arrays of C strings that they own (see PointerList).
        unsafe { libc::execve(path.as_ptr(), arguments.pointers.as_ptr(), environment.pointers.as_ptr()) };
        trying.store(false, Relaxed);
        Err(io::Error::last_os_error())
    };
    match deed::<std::convert::Infallible, _>("exec", "", exec) {
        Err(e) => e,
    }
}

/// A null-terminated array of C strings, as execve(2) takes it.
#[derive(Debug)]
pub struct PointerList {
    _strings: Vec<Cow<'static, CStr>>,
    pointers: Vec<*const libc::c_char>,
}

impl PointerList {
    /// Makes the array; it owns the strings.
    pub fn new(strings: Vec<Cow<'static, CStr>>) -> Self {
        let pointers = strings.iter().map(|s| s.as_ptr()).chain([std::ptr::null()]).collect();
        Self { _strings: strings, pointers }
    }
}

/// Makes the caller leader of a new session (setsid(2)).
pub fn new_session() -> io::Result<()> {
    deed("setsid", "", || rustix::process::setsid().map(drop).map_err(io::Error::from))
}

/// Asks the kernel to make this process the new parent of its orphaned descendants (`PR_SET_CHILD_SUBREAPER`).
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: prctl(2) with plain numbers.
    let done = unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Asks the kernel to send this process a signal when its OS parent ends (`PR_SET_PDEATHSIG`); kept through an exec
/// unless the program is set-user-ID or has capabilities.
pub fn die_with_os_parent(signal: i32) -> io::Result<()> {
    deed("pdeathsig", "", || {
        // SAFETY: prctl(2) with plain numbers.
        let done = unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    })
}

/// Whether the calling process leads its session.
pub fn is_session_leader() -> bool {
    rustix::process::getsid(None).is_ok_and(|session| session == rustix::process::getpid())
}

/// How a child ended, as waitid(2) tells it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ended {
    /// Its pid.
    pub pid: i32,
    /// `exit` status, or the signal that ended it.
    pub status: Status,
    /// What it used, waited-for descendants included.
    pub usage: Usage,
}

/// The end of an OS process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It called exit(3) with this, 0 to 255.
    Exited(i32),
    /// A signal ended it.
    Signaled {
        /// The number of the signal.
        signal: i32,
        /// Whether it left a core dump.
        core_dumped: bool,
    },
}

impl Status {
    /// From the status word of wait(2).
    pub fn from_wait(word: i32) -> Self {
        if libc::WIFSIGNALED(word) {
            Self::Signaled { signal: libc::WTERMSIG(word), core_dumped: libc::WCOREDUMP(word) }
        } else {
            Self::Exited(libc::WEXITSTATUS(word))
        }
    }
}

/// `struct rusage` (getrusage(2)) in plain units.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// Time in user mode, seconds.
    pub user_seconds: f64,
    /// Time in the kernel, seconds.
    pub system_seconds: f64,
    /// Largest resident set, bytes.
    pub max_rss_bytes: u64,
    /// Page faults without reading.
    pub minor_faults: u64,
    /// Page faults with reading.
    pub major_faults: u64,
    /// Blocks read from storage, 512 bytes each.
    pub blocks_in: u64,
    /// Blocks written to storage, 512 bytes each.
    pub blocks_out: u64,
    /// Times it gave up the processor to wait.
    pub voluntary_switches: u64,
    /// Times it was made to give it up.
    pub involuntary_switches: u64,
}

/// Which child to wait for.
#[derive(Clone, Copy, Debug)]
pub enum Which {
    /// This one.
    Pid(i32),
    /// Any.
    Any,
}

/// Looks for a child that has ended and *leaves it a zombie*: its pid stays its own until [`reap`].
/// `None` when no such child has ended.
///
/// waitid(2) with `WNOWAIT`, as a raw system call because only that has the fifth argument, the resource usage.
pub fn peek_ended(which: Which) -> io::Result<Option<Ended>> {
    let mut info = MaybeUninit::<libc::siginfo_t>::zeroed();
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    let (kind, id) = match which {
        Which::Pid(pid) => (libc::P_PID, pid),
        Which::Any => (libc::P_ALL, 0),
    };
    let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
    moment("peek");
    loop {
        // SAFETY: both buffers are valid for writes of their types for the duration of the call.
        let done = unsafe {
            libc::syscall(libc::SYS_waitid, kind, id, info.as_mut_ptr(), flags, usage.as_mut_ptr())
        };
        if done >= 0 {
            break;
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    // SAFETY: zeroed is a valid siginfo_t, and the kernel fills what there is.
    let info = unsafe { info.assume_init() };
    // SAFETY: as above, for rusage.
    let usage = unsafe { usage.assume_init() };
    // SAFETY: waitid(2) fills these fields for SIGCHLD, and zero says that no child was found.
    let pid = unsafe { info.si_pid() };
    if pid == 0 {
        return Ok(None);
    }
    // SAFETY: as above.
    let value = unsafe { info.si_status() };
    let status = match info.si_code {
        libc::CLD_EXITED => Status::Exited(value),
        code => Status::Signaled { signal: value, core_dumped: code == libc::CLD_DUMPED },
    };
    Ok(Some(Ended { pid, status, usage: usage_of(&usage) }))
}

/// Reaps a child that has ended, or is about to: its pid is free from now on.
pub fn reap(pid: i32) -> io::Result<()> {
    moment("reap");
    loop {
        match nix::sys::wait::waitpid(nix::unistd::Pid::from_raw(pid), None) {
            Ok(_) => break,
            Err(nix::errno::Errno::EINTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
    moment("reaped");
    Ok(())
}

/// Sends a signal to a child that has not been reaped: its pid is its own until then.
pub fn signal_child(pid: i32, signal: i32) {
    // SAFETY: kill(2) takes two numbers. ESRCH cannot be, and EPERM (a set-user-ID command) cannot be helped.
    unsafe { libc::kill(pid, signal) };
}

/// Whether this process may signal a child that has not been reaped.
pub fn may_signal(pid: i32) -> bool {
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
}

/// Kills a child and reaps it.
pub fn end_child(pid: i32) {
    signal_child(pid, libc::SIGKILL);
    let _ = reap(pid);
}

/// Waits until some child has ended, and leaves it a zombie.
pub fn wait_for_any_child() {
    use nix::sys::wait::{Id, WaitPidFlag, waitid};
    let _ = waitid(Id::All, WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT);
}

/// From now on no child of this process becomes a zombie, those included that are its own only later (SIGCHLD ignored: see
/// wait(2)).
pub fn let_kernel_reap() {
    use nix::sys::signal::{SigHandler, Signal, signal};
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    // SAFETY: ignoring needs no handler.
    let _ = unsafe { signal(Signal::SIGCHLD, SigHandler::SigIgn) };
    // Those that are zombies by now.
    while waitpid(None, Some(WaitPidFlag::WNOHANG)).is_ok_and(|status| status != WaitStatus::StillAlive) {}
}

#[expect(clippy::cast_precision_loss, reason = "seconds of CPU time and microseconds are far below 2^52")]
fn usage_of(usage: &libc::rusage) -> Usage {
    let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
    let count = |value: libc::c_long| u64::try_from(value).unwrap_or(0);
    Usage {
        user_seconds: seconds(usage.ru_utime),
        system_seconds: seconds(usage.ru_stime),
        // ru_maxrss is in KiB.
        max_rss_bytes: count(usage.ru_maxrss) * 1024,
        minor_faults: count(usage.ru_minflt),
        major_faults: count(usage.ru_majflt),
        blocks_in: count(usage.ru_inblock),
        blocks_out: count(usage.ru_oublock),
        voluntary_switches: count(usage.ru_nvcsw),
        involuntary_switches: count(usage.ru_nivcsw),
    }
}

/// The OS parent of the calling process; 0 when it is outside of the pid namespace.
pub fn os_parent() -> i32 {
    nix::unistd::getppid().as_raw()
}

/// The pid of the calling process (asked anew: right in every fork).
pub fn own_pid() -> i32 {
    nix::unistd::getpid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peeked_child_is_still_there_and_then_reaped() {
        let blocked = crate::os::signals::Blocked::new().expect("mask");
        let pid = spawn(&mut || 7).expect("spawn");
        drop(blocked);
        wait_for_any_child();
        for _ in 0..2 {
            let ended = peek_ended(Which::Pid(pid)).expect("waitid").expect("ended");
            assert_eq!((ended.pid, ended.status), (pid, Status::Exited(7)));
        }
        reap(pid).expect("reap");
        assert!(peek_ended(Which::Pid(pid)).is_err());
    }

    #[test]
    fn wait_words() {
        assert_eq!(Status::from_wait(0x0300), Status::Exited(3));
        assert_eq!(Status::from_wait(15), Status::Signaled { signal: 15, core_dumped: false });
        assert_eq!(Status::from_wait(0x80 | 6), Status::Signaled { signal: 6, core_dumped: true });
    }
}
