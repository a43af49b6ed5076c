//! What this kernel can do, found out by trying it. Nothing is left changed.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use nix::libc;
use nix::sys::wait::{Id, WaitPidFlag, waitid};
use nix::unistd::Pid;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use rustix::io::{Errno, retry_on_intr};

use super::pidfd::{self, Stage};
use super::proc;
use super::process::{self, Fork};
use super::signals::Blocked;

/// What the kernel tells of a process that has ended to somebody who has its pidfd.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ends {
    /// There are pidfds, and one can be waited for and signalled.
    pub pidfd: bool,
    /// A pidfd has an inode of its own.
    pub inode: bool,
    /// The exit code of a zombie, in /proc.
    pub of_zombie: bool,
    /// The exit code of a process that was reaped, by its pidfd.
    pub of_reaped: bool,
}

/// Makes a child that ends at once, and looks. An error: there can be no child.
pub fn ends() -> io::Result<Ends> {
    const CODE: i32 = 7;
    let blocked = Blocked::new()?;
    let pid = match process::fork()? {
        Fork::Child => process::exit(CODE),
        Fork::Parent(pid) => pid,
    };
    let opened = pidfd::open(pid);
    // The caller may have children that it had before it became procctl.
    while waitid(Id::Pid(Pid::from_raw(pid)), WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT)
        .is_err_and(|e| e == nix::Error::EINTR)
    {}
    let word = CODE << 8;
    let of_zombie = proc::zombie(pid).ok().flatten().and_then(|zombie| zombie.status) == Some(word);
    let answers = |pidfd: &OwnedFd| {
        pidfd::stage(pidfd.as_fd()).is_ok_and(|stage| stage != Stage::Alive)
            && pidfd::send_signal(pidfd.as_fd(), 0).is_ok()
    };
    let pidfd = opened.as_ref().is_ok_and(answers);
    let inode = opened.as_ref().is_ok_and(|pidfd| pidfd::inode(pidfd).is_ok_and(|inode| inode.is_some()));
    process::reap(pid)?;
    drop(blocked);
    let of_reaped = opened.is_ok_and(|pidfd| pidfd::exit_status(&pidfd) == Some(word));
    Ok(Ends { pidfd, inode, of_zombie, of_reaped })
}

/// openat2(2). Filters of system calls can make an error of it as well.
pub fn opens_in_one_step() -> bool {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = retry_on_intr(|| rustix::fs::openat2(CWD, "/", flags, Mode::empty(), ResolveFlags::empty()));
    !matches!(opened, Err(Errno::NOSYS | Errno::PERM))
}

/// Whether a process can become the new parent of its orphaned descendants.
pub fn knows_subreapers() -> bool {
    let mut is_one: libc::c_int = 0;
    // SAFETY: the kernel writes one int, which lives for the duration of the call.
    unsafe { libc::prctl(libc::PR_GET_CHILD_SUBREAPER, &raw mut is_one, 0, 0, 0) == 0 }
}

/// The kernel's release and the machine, as uname(2) has them.
pub fn release() -> (String, String) {
    let uname = rustix::system::uname();
    (uname.release().to_string_lossy().into_owned(), uname.machine().to_string_lossy().into_owned())
}

/// The largest pid, plus one (proc_sys_kernel(5), pid_max).
pub fn pid_max() -> Option<u64> {
    std::fs::read_to_string("/proc/sys/kernel/pid_max").ok()?.trim().parse().ok()
}

/// A resource limit of this process; `None`: unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Limit {
    /// What holds.
    pub soft: Option<u64>,
    /// As far as the process itself may raise it.
    pub hard: Option<u64>,
}

/// How many descriptors this process may have open.
pub fn open_files() -> Limit {
    limit(rustix::process::Resource::Nofile)
}

/// How many processes and threads this user may have.
pub fn processes() -> Limit {
    limit(rustix::process::Resource::Nproc)
}

fn limit(resource: rustix::process::Resource) -> Limit {
    let found = rustix::process::getrlimit(resource);
    Limit { soft: found.current, hard: found.maximum }
}

/// Room on the file system of an open directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Room {
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Of so many.
    pub total_bytes: u64,
    /// Files that can still be made.
    pub free_files: u64,
    /// Of so many; 0 where they are not counted.
    pub total_files: u64,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// How much room there is.
pub fn room(directory: impl AsFd) -> io::Result<Room> {
    let found = retry_on_intr(|| rustix::fs::fstatvfs(directory.as_fd()))?;
    Ok(Room {
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        free_files: found.f_favail,
        total_files: found.f_files,
        read_only: found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

/// Whether this user may make files in a directory.
pub fn may_write(directory: &Path) -> bool {
    use rustix::fs::{Access, AtFlags};
    let asked = Access::WRITE_OK | Access::EXEC_OK;
    retry_on_intr(|| rustix::fs::accessat(CWD, directory, asked, AtFlags::EACCESS)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_kernel_is_looked_at() {
        let ends = ends().expect("a child");
        assert!(ends.pidfd && knows_subreapers(), "{ends:?}");
        if super::super::system::kernel_is(6, 15) {
            assert_eq!(ends, Ends { pidfd: true, inode: true, of_zombie: true, of_reaped: true });
        }
        // Nothing is left.
        assert!(process::peek_ended(process::Which::Any).is_err());
    }
}
