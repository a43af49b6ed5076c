//! The kernel, as far as it can be tried.

use serde::Serialize;

use crate::os::{fd, probe, proc};

/// What the kernel can do. Each was tried.
#[derive(Clone, Debug, Serialize)]
pub struct Kernel {
    /// As `uname -r` has it.
    pub release: String,
    /// As `uname -m` has it.
    pub machine: String,
    /// Why no process can be made, if so: then what takes one could not be tried.
    pub no_process: Option<String>,
    /// pidfd_open(2), pidfd_send_signal(2) and waiting for a pidfd.
    pub pidfd: bool,
    /// A pidfd has an inode of its own, never used twice in one boot.
    pub pidfd_inode: bool,
    /// `PIDFD_GET_INFO` tells the exit code of a process that was reaped by somebody else.
    pub exit_code_from_pidfd: bool,
    /// /proc tells the exit code of a zombie, whoever its parent is.
    pub exit_code_of_zombie: bool,
    /// `PR_SET_CHILD_SUBREAPER`.
    pub subreaper: bool,
    /// openat2(2).
    pub openat2: bool,
    /// close_range(2).
    pub close_range: bool,
    /// /proc/PID/task/TID/children (`CONFIG_PROC_CHILDREN`).
    pub lists_of_children: bool,
}

impl Kernel {
    pub(super) fn examine() -> Self {
        let (release, machine) = probe::release();
        let ends = probe::ends();
        let no_process = ends.as_ref().err().map(|e| super::error::message(e));
        let ends = ends.unwrap_or_default();
        Self {
            release,
            machine,
            no_process,
            pidfd: ends.pidfd,
            pidfd_inode: ends.inode,
            exit_code_from_pidfd: ends.of_reaped,
            exit_code_of_zombie: ends.of_zombie,
            subreaper: probe::knows_subreapers(),
            openat2: probe::opens_in_one_step(),
            close_range: fd::closes_ranges(),
            lists_of_children: proc::tells_children(),
        }
    }
}
