//! What there is on this machine for procctl to work with, and what is wrong in the run directory. Nothing is changed: no
//! directory is made, no monitor, no record written.
//!
//! Facts only; what they mean is said by [`crate::output::doctor`].

mod caller;
mod installed;
mod kernel;
mod machine;
mod records;
mod run_dir;

use std::path::Path;

use serde::Serialize;

pub use caller::{Caller, Who};
pub use installed::{Completions, Installed};
pub use kernel::Kernel;
pub use machine::{Machine, Proc};
pub use records::{Broken, Foreign, Records, Unrecorded};
pub use run_dir::{FileSystem, RunDirectory};

use super::error::{self, Error};

/// Everything that was found out.
#[derive(Debug, Serialize)]
pub struct Facts {
    /// The version of this procctl.
    pub version: &'static str,
    /// What the kernel can do.
    pub kernel: Kernel,
    /// Limits and /proc.
    pub machine: Machine,
    /// Where the records are.
    pub run_dir: RunDirectory,
    /// On whose behalf procctl runs.
    pub caller: Caller,
    /// The program, its completions and man pages.
    pub installed: Installed,
}

/// Something that cannot be used, or not be found out, and what to do about it.
#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// What, and why.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl From<Error> for Problem {
    fn from(e: Error) -> Self {
        Self { what: error::message(&e), hint: e.hint().map(str::to_owned) }
    }
}

/// Looks at everything. `option` is `--run-dir`.
pub fn examine(option: Option<&Path>) -> Facts {
    let (opened, run_dir) = run_dir::examine(option);
    Facts {
        version: env!("CARGO_PKG_VERSION"),
        kernel: Kernel::examine(),
        machine: Machine::examine(),
        caller: Caller::examine(opened.as_ref()),
        run_dir,
        installed: Installed::examine(),
    }
}
