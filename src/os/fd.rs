//! Descriptors as numbers: what is open, what goes through an exec.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use nix::libc;
use rustix::io::{Errno, FdFlags, retry_on_intr};

use super::fault::deed;

/// Borrows a descriptor by its number.
fn borrow(fd: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the result is used for a single system call right away; a number that is not open gives EBADF there.
    unsafe { BorrowedFd::borrow_raw(fd) }
}

/// Whether that number is an open descriptor.
pub fn is_open(fd: RawFd) -> bool {
    fd >= 0 && rustix::io::fcntl_getfd(borrow(fd)).is_ok()
}

/// Opens /dev/null in the place of every standard stream that is closed, so that no file opened later lands there.
pub fn open_standard_streams() -> io::Result<()> {
    while let Some(closed) = (0..3).find(|&fd| !is_open(fd)) {
        let opened = dev_null()?;
        if opened.as_raw_fd() == closed {
            // Kept open for the life of the process, under that number.
            std::mem::forget(opened);
        } else {
            return Err(io::Error::other("a closed standard stream could not be replaced"));
        }
    }
    Ok(())
}

/// Writes to a descriptor, without a buffer.
#[derive(Clone, Copy, Debug)]
pub struct Writer<'a>(pub BorrowedFd<'a>);

impl io::Write for Writer<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(retry_on_intr(|| rustix::io::write(self.0, bytes))?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// /dev/null for reading and writing; not passed through an exec.
pub fn dev_null() -> io::Result<OwnedFd> {
    let flags = rustix::fs::OFlags::RDWR | rustix::fs::OFlags::CLOEXEC;
    let open = || rustix::fs::open("/dev/null", flags, rustix::fs::Mode::empty());
    Ok(deed("open", "/dev/null", || retry_on_intr(open))?)
}

/// By what path the file of a descriptor is reached, whatever its own leads to meanwhile (proc(5), /proc/PID/fd).
pub fn path_of(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Opens the file of a descriptor again for reading, from its beginning. Not passed through an exec.
pub fn open_again(fd: impl AsFd) -> io::Result<OwnedFd> {
    let path = path_of(fd);
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC | rustix::fs::OFlags::NOCTTY;
    let open = || rustix::fs::open(&*path, flags, rustix::fs::Mode::empty());
    Ok(deed("open", &path, || retry_on_intr(open))?)
}

/// Puts a copy of `from` in the place of the descriptor `to`; the copy goes through an exec.
pub fn put(from: RawFd, to: RawFd) -> io::Result<()> {
    let dup2 = || {
        // SAFETY: dup2(2) of two plain numbers; what was open as `to` is one of the standard streams, which nothing owns.
        let done = unsafe { libc::dup2(from, to) };
        if done == to {
            Ok(())
        } else {
            Err(Errno::from_io_error(&io::Error::last_os_error()).unwrap_or(Errno::IO))
        }
    };
    Ok(deed("dup2", "", || retry_on_intr(dup2))?)
}

/// Closes a standard stream, which nothing owns.
pub fn close(stream: RawFd) {
    // SAFETY: close(2) of a plain number, which nobody uses afterwards.
    unsafe { libc::close(stream) };
}

/// Lets a descriptor through an exec.
pub fn pass_on(fd: RawFd) -> io::Result<()> {
    Ok(rustix::io::fcntl_setfd(borrow(fd), FdFlags::empty())?)
}

const CLOSE_RANGE_CLOEXEC: libc::c_uint = 1 << 2;

fn close_range(first: RawFd, last: RawFd, flags: libc::c_uint) -> io::Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: with the CLOEXEC flag nothing is closed now; without it the callers name what they own.
    let done = unsafe { libc::syscall(libc::SYS_close_range, first, last, flags) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Whether the kernel has close_range(2). What it is tried on is never open.
pub fn closes_ranges() -> bool {
    close_range(RawFd::MAX, RawFd::MAX, CLOSE_RANGE_CLOEXEC).is_ok()
}

/// Keeps every descriptor above 2 from going through an exec (close_range(2), Linux 5.11; else one by one).
pub fn keep_all_from_exec() -> io::Result<()> {
    if deed("close_range", "", || close_range(3, RawFd::MAX, CLOSE_RANGE_CLOEXEC)).is_ok() {
        return Ok(());
    }
    for fd in all()? {
        if fd > 2 {
            // One that is not open any more (the listing's own) needs nothing.
            let _ = rustix::io::fcntl_setfd(borrow(fd), FdFlags::CLOEXEC);
        }
    }
    Ok(())
}

/// Closes every descriptor above 2 except those named. Nothing else in the process may own one of the others.
pub fn close_all_but(kept: &mut [RawFd]) -> io::Result<()> {
    kept.sort_unstable();
    let mut first = 3;
    for &mut fd in kept {
        if fd >= first {
            close_between(first, fd - 1)?;
            first = fd + 1;
        }
    }
    close_between(first, RawFd::MAX)
}

fn close_between(first: RawFd, last: RawFd) -> io::Result<()> {
    if deed("close_range", "", || close_range(first, last, 0)).is_ok() {
        return Ok(());
    }
    for fd in all()? {
        if (first..=last).contains(&fd) {
            // SAFETY: the caller gives up whatever has these numbers.
            unsafe { libc::close(fd) };
        }
    }
    Ok(())
}

fn all() -> io::Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/self/fd")? {
        if let Some(fd) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) {
            found.push(fd);
        }
    }
    Ok(found)
}

/// Raises the number of descriptors that this process may open to the hard limit, and returns it.
pub fn raise_limit() -> usize {
    let mut limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    if limit.current != limit.maximum {
        limit.current = limit.maximum;
        let _ = rustix::process::setrlimit(rustix::process::Resource::Nofile, limit);
    }
    limit.maximum.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(1 << 20)
}
