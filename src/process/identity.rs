//! The identity of an OS process: never the pid alone.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::libc;
use serde::{Deserialize, Serialize};

use crate::os::pidfd;
use crate::os::proc::{Stat, TICKS_PER_SECOND};
use crate::os::system;

use super::time::Moment;

/// What tells one OS process from every other of this boot and pid namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Identity {
    /// Its pid.
    pub pid: i32,
    /// When it started: clock ticks after boot (`starttime`, field 22 of proc_pid_stat(5)).
    pub start_ticks: u64,
    /// The inode of its pidfd, never used twice in one boot; null before Linux 6.9.
    pub pidfd_inode: Option<u64>,
}

impl Identity {
    /// The calling process itself.
    pub fn of_self() -> io::Result<Self> {
        let stat = Stat::of_self()?;
        let pidfd = pidfd::open(stat.pid)?;
        Ok(Self { pid: stat.pid, start_ticks: stat.start_ticks, pidfd_inode: pidfd::inode(&pidfd)? })
    }

    /// Whoever has that pid now, with the descriptor that pins it and what /proc says of it. `None` if nobody has it, or
    /// nobody whom this user may look at (hidepid of proc(5)).
    pub fn of_pid(pid: i32) -> io::Result<Option<(Self, OwnedFd, Stat)>> {
        let Some(pidfd) = open_any(pid)? else { return Ok(None) };
        let stat = match Stat::of(pid) {
            Ok(stat) => stat,
            Err(e) if is_gone(&e) || e.kind() == io::ErrorKind::PermissionDenied => return Ok(None),
            Err(e) => return Err(e),
        };
        // /proc was read by pid. If the process of the descriptor is still there afterwards, it was that one's page.
        match pidfd::send_signal(std::os::fd::AsFd::as_fd(&pidfd), 0) {
            Err(e) if is_gone(&e) => Ok(None),
            _ => {
                let identity =
                    Self { pid, start_ticks: stat.start_ticks, pidfd_inode: pidfd::inode(&pidfd)? };
                Ok(Some((identity, pidfd, stat)))
            }
        }
    }

    /// Opens the pidfd of *this* process, alive or a zombie. `None` if it has been reaped, whoever has its pid now.
    pub fn open(&self) -> io::Result<Option<OwnedFd>> {
        let Some(pidfd) = open_any(self.pid)? else { return Ok(None) };
        // A kernel that tells the inode now told it then, for it is the same boot: without one it is none of ours.
        if let Some(now) = pidfd::inode(&pidfd)? {
            return Ok((self.pidfd_inode == Some(now)).then_some(pidfd));
        }
        let found = Self::of_pid(self.pid)?;
        // Hidden is not gone.
        if found.is_none() && pidfd::send_signal(std::os::fd::AsFd::as_fd(&pidfd), 0).is_ok() {
            return Err(io::Error::new(io::ErrorKind::PermissionDenied, "/proc does not show it"));
        }
        Ok(found.filter(|(now, ..)| now.start_ticks == self.start_ticks).map(|(_, pidfd, _)| pidfd))
    }

    /// When it started, by the machine's clock; as exact as the clock tick.
    pub fn started_at(&self) -> Moment {
        const TICK: Duration = Duration::from_millis(1000 / TICKS_PER_SECOND);
        let since_boot = Duration::from_millis(self.start_ticks.saturating_mul(1000 / TICKS_PER_SECOND));
        Moment::before_now(system::since_boot().saturating_sub(since_boot)).rounded_to(TICK)
    }
}

fn open_any(pid: i32) -> io::Result<Option<OwnedFd>> {
    match pidfd::open(pid) {
        Ok(pidfd) => Ok(Some(pidfd)),
        Err(e) if is_gone(&e) => Ok(None),
        Err(e) => Err(e),
    }
}

/// Whether an error says that there is no such process. `EINVAL` is what pidfd_open(2) says of a thread that is no
/// process (`ENOENT` since Linux 6.15), and of a pid below 1.
fn is_gone(e: &io::Error) -> bool {
    e.kind() == io::ErrorKind::InvalidInput
        || matches!(e.raw_os_error(), Some(libc::ESRCH | libc::ENOENT | libc::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_found_again_and_no_other_is_taken_for_it() {
        let me = Identity::of_self().expect("identity");
        assert!(me.open().expect("open").is_some());
        let other = if me.pidfd_inode.is_some() {
            Identity { pidfd_inode: me.pidfd_inode.map(|inode| inode + 1), ..me }
        } else {
            Identity { start_ticks: me.start_ticks + 1, ..me }
        };
        assert!(other.open().expect("open").is_none());
        // The same start tick is not enough where the kernel has better.
        if me.pidfd_inode.is_some() {
            let without_inode = Identity { pidfd_inode: None, ..me };
            assert!(without_inode.open().expect("open").is_none());
        }
    }

    #[test]
    fn nobody_has_an_impossible_pid() {
        for pid in [0, -1, i32::MAX] {
            assert!(Identity::of_pid(pid).expect("answer").is_none(), "{pid}");
        }
    }
}
