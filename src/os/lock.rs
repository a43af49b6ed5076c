//! Open-file-description locks (fcntl(2), `F_OFD_SETLK`, Linux 3.15) on single bytes of a file.
//!
//! Such a lock belongs to the open file, not to a process: a forked copy of the descriptor keeps it, and the kernel
//! frees it when the last copy is closed, however its holders die. Asking who holds it (`F_OFD_GETLK`) takes nothing,
//! so a look never makes somebody else's attempt fail.

use std::io;
use std::os::fd::AsFd;

use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

use super::fault::{deed, moment};
use super::retry::uninterrupted;

fn byte(kind: libc::c_int, at: u8) -> libc::flock {
    libc::flock {
        l_type: libc::c_short::try_from(kind).unwrap_or_default(),
        l_whence: libc::c_short::try_from(libc::SEEK_SET).unwrap_or_default(),
        l_start: libc::off_t::from(at),
        l_len: 1,
        l_pid: 0,
    }
}

/// Sets the lock to that kind. Some file systems ask a server about locks, which can be interrupted.
fn set(fd: impl AsFd, kind: libc::c_int, at: u8, wait: bool) -> io::Result<()> {
    let lock = byte(kind, at);
    let command = || if wait { FcntlArg::F_OFD_SETLKW(&lock) } else { FcntlArg::F_OFD_SETLK(&lock) };
    uninterrupted(|| Ok(fcntl(fd.as_fd(), command()).map(drop)?))
}

/// Takes the lock if nobody has it. The descriptor must be open for writing.
pub fn try_lock(fd: impl AsFd, at: u8) -> io::Result<bool> {
    deed("try_lock", "", || match set(fd, libc::F_WRLCK, at, false) {
        Ok(()) => Ok(true),
        Err(e) if matches!(e.raw_os_error(), Some(libc::EAGAIN | libc::EACCES)) => Ok(false),
        Err(e) => Err(e),
    })
}

/// Takes the lock, waiting for it. The descriptor must be open for writing.
pub fn lock(fd: impl AsFd, at: u8) -> io::Result<()> {
    deed("lock", "", || set(fd, libc::F_WRLCK, at, true))
}

/// Gives it back, for every copy of the descriptor.
pub fn unlock(fd: impl AsFd, at: u8) -> io::Result<()> {
    moment("unlock");
    set(fd, libc::F_UNLCK, at, false)
}

/// Whether somebody else holds it.
pub fn is_locked(fd: impl AsFd, at: u8) -> io::Result<bool> {
    let mut probe = byte(libc::F_WRLCK, at);
    let mut look = || uninterrupted(|| Ok(fcntl(fd.as_fd(), FcntlArg::F_OFD_GETLK(&mut probe)).map(drop)?));
    deed("is_locked", "", &mut look)?;
    Ok(i32::from(probe.l_type) != libc::F_UNLCK)
}
