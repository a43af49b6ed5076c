//! On whose behalf procctl runs: who would be the parent of what is started now.

use serde::Serialize;

use crate::os::proc::Stat;
use crate::process::family;
use crate::process::id::Id;
use crate::process::rundir::RunDir;

use super::Problem;

/// The caller, as procctl sees it.
#[derive(Clone, Debug, Serialize)]
pub struct Caller {
    /// Who it is; none if that could not be found out.
    pub parent: Option<Who>,
    /// Why not.
    pub problem: Option<Problem>,
    /// What `PROCCTL_PARENT` says.
    pub variable: Option<String>,
    /// The managed process that the environment names and the caller does not belong to.
    pub leaked_id: Option<Id>,
}

/// Who the parent of new processes would be.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Who {
    /// A managed process.
    Managed {
        /// Its pid.
        pid: Option<i32>,
        /// Its id.
        id: Id,
        /// Its name.
        name: String,
        /// Whether it is daemonic, and so may have no children.
        daemon: bool,
    },
    /// Another process.
    Outside {
        /// Its pid.
        pid: i32,
        /// Its program, as ps(1) names it.
        program: String,
    },
    /// One that is not to be seen from here.
    OutOfSight,
}

impl Caller {
    pub(super) fn examine(run_dir: Option<&RunDir>) -> Self {
        let (parent, problem) = match family::caller(run_dir) {
            Ok(caller) => (Some(Who::of(caller)), None),
            Err(e) => (None, Some(e.into())),
        };
        let is_parent = |id: &Id| matches!(&parent, Some(Who::Managed { id: found, .. }) if found == id);
        let leaked_id = family::id_in_environment().filter(|id| !is_parent(id));
        let variable = std::env::var_os(family::PARENT_VARIABLE).filter(|value| !value.is_empty());
        let variable = variable.map(|value| value.to_string_lossy().into_owned());
        Self { parent, problem, leaked_id: leaked_id.filter(|_| variable.is_none()), variable }
    }
}

impl Who {
    fn of(caller: family::Caller) -> Self {
        match caller {
            family::Caller::Managed(record) => {
                let record = *record;
                Self::Managed { pid: record.pid, id: record.id, name: record.name, daemon: record.daemon }
            }
            family::Caller::Outside(process) => {
                let comm = Stat::of(process.pid).map(|stat| stat.comm).unwrap_or_default();
                Self::Outside { pid: process.pid, program: String::from_utf8_lossy(&comm).into_owned() }
            }
            family::Caller::OutOfSight => Self::OutOfSight,
        }
    }
}
