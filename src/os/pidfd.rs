//! pidfd: a descriptor that stands for one process and never for the next one with its pid (pidfd_open(2), Linux 5.3).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;

use nix::libc;
use rustix::event::{PollFd, PollFlags};
use rustix::io::retry_on_intr;
use rustix::process::{Pid, PidfdFlags};

use super::fault::deed;

/// Opens the pidfd of a process, alive or a zombie. `ESRCH` when there is none.
pub fn open(pid: i32) -> io::Result<OwnedFd> {
    // A negative number would mean something else to the library.
    let pid = Pid::from_raw(pid.max(0)).ok_or(io::ErrorKind::InvalidInput)?;
    deed("pidfd_open", "", || Ok(rustix::process::pidfd_open(pid, PidfdFlags::empty())?))
}

/// Magic number of pidfs (statfs(2); include/uapi/linux/magic.h), where every pidfd has an inode of its own (Linux 6.9).
const PIDFS_MAGIC: rustix::fs::FsWord = 0x5049_4446;

/// The inode number, unique for one boot, of the process behind a pidfd; `None` where the kernel has no pidfs. An error is
/// not "none": a process would be taken for another one.
pub fn inode(pidfd: impl AsFd) -> io::Result<Option<u64>> {
    static PIDFS: OnceLock<bool> = OnceLock::new();
    let is_pidfs = if let Some(&known) = PIDFS.get() {
        known
    } else {
        let found = retry_on_intr(|| rustix::fs::fstatfs(pidfd.as_fd()))?.f_type == PIDFS_MAGIC;
        *PIDFS.get_or_init(|| found)
    };
    Ok(if is_pidfs { Some(retry_on_intr(|| rustix::fs::fstat(&pidfd))?.st_ino) } else { None })
}

/// Sends a signal; number 0 only checks. `ESRCH` when the process has been reaped.
pub fn send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    deed("pidfd_send_signal", "", || {
        // SAFETY: pidfd_send_signal(2) takes an open descriptor, a number, a null siginfo and no flags; it reads no memory.
        let sent = unsafe {
            libc::syscall(
                libc::SYS_pidfd_send_signal,
                pidfd.as_raw_fd(),
                signal,
                std::ptr::null::<libc::siginfo_t>(),
                0u32,
            )
        };
        if sent == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    })
}

/// How far the process behind a pidfd has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It runs, or is stopped.
    Alive,
    /// It has ended and waits for its parent to reap it.
    Zombie,
    /// It was reaped.
    Reaped,
}

/// Waits until the process has ended.
pub fn wait(pidfd: impl AsFd) -> io::Result<()> {
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    retry_on_intr(|| rustix::event::poll(&mut fds, None))?;
    Ok(())
}

/// What can be seen at once. A kernel that does not tell the reaping (`POLLHUP`, Linux 6.9) says `Zombie` for both.
pub fn stage(pidfd: BorrowedFd<'_>) -> io::Result<Stage> {
    let mut fds = [PollFd::from_borrowed_fd(pidfd, PollFlags::IN)];
    let at_once = rustix::event::Timespec { tv_sec: 0, tv_nsec: 0 };
    retry_on_intr(|| rustix::event::poll(&mut fds, Some(&at_once)))?;
    let seen = fds[0].revents();
    Ok(if seen.contains(PollFlags::HUP) {
        Stage::Reaped
    } else if seen.contains(PollFlags::IN) {
        Stage::Zombie
    } else {
        Stage::Alive
    })
}

/// Whether the process is still there, alive or a zombie: its pid is its own, and /proc/PID was about it until now.
pub fn is_unreaped(pidfd: BorrowedFd<'_>) -> bool {
    // Who may not signal it is told so, and that it is there.
    !send_signal(pidfd, 0).is_err_and(|e| e.raw_os_error() == Some(libc::ESRCH))
}

/// `struct pidfd_info` (include/uapi/linux/pidfd.h) as of Linux 6.13, 64 bytes; later kernels fill what they are given.
#[repr(C)]
#[derive(Default)]
struct PidfdInfo {
    mask: u64,
    cgroupid: u64,
    pid: u32,
    tgid: u32,
    ppid: u32,
    ids: [u32; 8],
    exit_code: i32,
}

/// `PIDFD_INFO_EXIT`: the wait status (Linux 6.15).
const INFO_EXIT: u64 = 1 << 3;
/// `PIDFD_GET_INFO`: `_IOWR(0xFF, 11, struct pidfd_info)` with its first size, 64.
const GET_INFO: u64 = (3 << 30) | (64 << 16) | (0xFF << 8) | 0x0B;

/// The wait status (as in wait(2)) of a process that has been reaped, by whomever.
///
/// `None` where the kernel does not keep it (before Linux 6.15) or the process was not reaped yet.
pub fn exit_status(pidfd: impl AsFd) -> Option<i32> {
    let mut info = PidfdInfo { mask: INFO_EXIT, ..PidfdInfo::default() };
    let fd = pidfd.as_fd().as_raw_fd();
    // SAFETY: the request number encodes the size of PidfdInfo, and the kernel writes no more than that into it.
    let done = unsafe { libc::ioctl(fd, GET_INFO as _, &raw mut info) };
    (done == 0 && info.mask & INFO_EXIT != 0).then_some(info.exit_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn info_has_the_size_that_the_request_number_says() {
        assert_eq!(size_of::<PidfdInfo>(), 64);
    }

    #[test]
    fn own_pidfd_is_alive_and_takes_signal_zero() {
        let me = open(i32::try_from(std::process::id()).expect("pid")).expect("pidfd");
        assert_eq!(stage(me.as_fd()).expect("stage"), Stage::Alive);
        send_signal(me.as_fd(), 0).expect("signal 0");
        assert_eq!(exit_status(&me), None);
    }
}
