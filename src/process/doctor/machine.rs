//! The machine: /proc, the pid namespace, limits.

use serde::Serialize;

use crate::os::mount::Mount;
use crate::os::probe::{self, Limit};
use crate::process::host::Host;

use super::Problem;

/// This machine, or the container that procctl runs in.
#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    /// Its name.
    pub host: String,
    /// /proc.
    pub proc: Proc,
    /// The number that stands for the pid namespace.
    pub pid_namespace: Option<u64>,
    /// Pids are below this.
    pub pid_max: Option<u64>,
    /// How many processes and threads this user may have.
    pub processes: Limit,
    /// How many descriptors a process may have open.
    pub open_files: Limit,
}

/// What can be seen in /proc.
#[derive(Clone, Debug, Serialize)]
pub struct Proc {
    /// Why it cannot be used, if so.
    pub problem: Option<Problem>,
    /// The mount option of that name: which processes of other users are hidden.
    pub hidepid: Option<String>,
}

impl Machine {
    pub(super) fn examine() -> Self {
        let host = Host::default();
        Self {
            host: host.name().to_owned(),
            proc: Proc {
                problem: host.check_proc().err().map(Problem::from),
                hidepid: std::fs::File::open("/proc")
                    .and_then(Mount::of)
                    .ok()
                    .flatten()
                    .and_then(|proc| proc.option("hidepid").map(str::to_owned)),
            },
            pid_namespace: host.pid_namespace().ok(),
            pid_max: probe::pid_max(),
            processes: probe::processes(),
            open_files: probe::open_files(),
        }
    }
}
