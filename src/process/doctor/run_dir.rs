//! The run directory, whether it is there or not.

use std::path::Path;

use serde::Serialize;

use crate::os::fs::Dir;
use crate::os::mount::Mount;
use crate::os::probe::{self, Room};
use crate::process::retention;
use crate::process::rundir::{self, RunDir};
use crate::process::text::Text;

use super::{Problem, Records};

/// The run directory.
#[derive(Debug, Serialize)]
pub struct RunDirectory {
    /// Where it is; none if that is said wrongly.
    pub path: Option<Text>,
    /// Which option or variable says so.
    pub chosen_by: Option<&'static str>,
    /// Whether it is there.
    pub exists: bool,
    /// Why it cannot be used, if so.
    pub problem: Option<Problem>,
    /// Whether this user may write there; where it is to be made, if it is not there.
    pub may_write: bool,
    /// What it is on, or would be.
    pub file_system: Option<FileSystem>,
    /// Why `PROCCTL_KEEP` makes no sense, if so.
    pub keep_problem: Option<Problem>,
    /// For how long ended records are kept; none: for ever.
    pub keep_seconds: Option<u64>,
    /// What is in it.
    pub records: Option<Records>,
}

/// What a directory is on.
#[derive(Clone, Debug, Serialize)]
pub struct FileSystem {
    /// `ext4`, `tmpfs`…; none where /proc does not show it.
    pub kind: Option<String>,
    /// How much room there is.
    #[serde(flatten)]
    pub room: Room,
}

impl FileSystem {
    fn of(directory: &Path) -> Option<Self> {
        let opened = Dir::open(directory).ok()?;
        let kind = Mount::of(&opened).ok().flatten().map(|mount| mount.kind);
        Some(Self { kind, room: probe::room(&opened).ok()? })
    }
}

/// Looks at it. It is also returned open, if it may be used.
pub(super) fn examine(option: Option<&Path>) -> (Option<RunDir>, RunDirectory) {
    let mut found = RunDirectory {
        path: None,
        chosen_by: None,
        exists: false,
        problem: None,
        may_write: false,
        file_system: None,
        keep_problem: retention::check().err().map(Problem::from),
        keep_seconds: retention::keep().map(|keep| keep.as_secs()),
        records: None,
    };
    let path = match rundir::locate_and_say(option) {
        Ok((path, by)) => {
            found.chosen_by = Some(by);
            found.path = Some(path.clone().into());
            path
        }
        Err(e) => {
            found.problem = Some(e.into());
            return (None, found);
        }
    };
    let opened = RunDir::open(&path);
    found.exists = !matches!(opened, Ok(None));
    // One that is missing will be where the nearest directory is that is there.
    let there = path.ancestors().find(|path| std::fs::exists(path).unwrap_or(true)).unwrap_or(Path::new("/"));
    found.file_system = FileSystem::of(there);
    found.may_write = probe::may_write(there);
    match opened {
        Ok(opened) => {
            match opened.as_ref().map(Records::examine).transpose() {
                Ok(records) => found.records = records,
                Err(e) => found.problem = Some(e.into()),
            }
            (opened, found)
        }
        Err(e) => {
            found.problem = Some(e.into());
            (None, found)
        }
    }
}
