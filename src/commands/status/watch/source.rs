//! Where the processes are looked at again and again: a run directory, or one that is still to appear.

use std::time::Duration;

use rustix::event::PollFd;

use super::super::super::Session;
use crate::process::error::Result;
use crate::process::rundir::RunDir;
use crate::process::watch::{Absence, Change, Watcher};

/// The run directory.
#[derive(Debug)]
pub(super) enum Source {
    /// Not there yet.
    Absent(Absence),
    /// There.
    Present(Box<RunDir>, Box<Watcher>),
    /// Not usable; why was said. It is tried again at the next look.
    Unusable,
}

/// How long a look waits for ends to be recorded that have happened: if it takes longer, that is told when it is done.
const PATIENCE: Duration = Duration::from_millis(50);

impl Source {
    pub(super) fn open(session: &Session) -> Result<Self> {
        if let Some(run_dir) = session.run_dir()? {
            return Self::of(run_dir);
        }
        let absence = Absence::of(&session.path()?)?;
        // It may have been made before it was waited for.
        match session.run_dir()? {
            Some(run_dir) => Self::of(run_dir),
            None => Ok(Self::Absent(absence)),
        }
    }

    fn of(run_dir: RunDir) -> Result<Self> {
        let watcher = Watcher::new(&run_dir)?;
        Ok(Self::Present(Box::new(run_dir), Box::new(watcher)))
    }

    /// The run directory for one look, if it is there.
    pub(super) fn look(&mut self, session: &Session) -> Result<Option<&RunDir>> {
        if !matches!(self, Self::Present(run_dir, _) if run_dir.is_in_place()) {
            *self = Self::Unusable;
            *self = Self::open(session)?;
        }
        match self {
            Self::Present(run_dir, _) => {
                run_dir.be_patient_for(PATIENCE);
                Ok(Some(run_dir))
            }
            _ => Ok(None),
        }
    }

    /// Whether some changes are seen at the next look only.
    pub(super) fn is_partial(&self) -> bool {
        matches!(self, Self::Present(_, watcher) if watcher.is_partial())
    }

    pub(super) fn poll_fds(&self) -> Vec<PollFd<'_>> {
        match self {
            Self::Absent(absence) => vec![absence.poll_fd()],
            Self::Present(_, watcher) => watcher.poll_fds(),
            Self::Unusable => Vec::new(),
        }
    }

    /// Whether something has changed.
    pub(super) fn take_in(&mut self, ready: &[bool]) -> Result<bool> {
        if !ready.contains(&true) {
            return Ok(false);
        }
        match self {
            Self::Absent(absence) => absence.take_in(),
            Self::Present(run_dir, watcher) => {
                let change = watcher.take_in(run_dir, ready)?;
                if change == Change::Gone {
                    *self = Self::Unusable;
                }
                Ok(change != Change::None)
            }
            Self::Unusable => Ok(false),
        }
    }
}
