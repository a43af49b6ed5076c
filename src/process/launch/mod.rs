//! Launching: from what the user asked for to a process that runs under its monitor, or to nothing at all.
//!
//! `draft` (directory, number, key) → `job` (locks, name) with its `plan` (what the child will do) → `background` (the
//! monitor is forked) or `foreground` (procctl is the monitor itself). `many` does the first two steps in the monitors.

mod background;
mod draft;
mod foreground;
mod job;
mod many;
mod plan;
mod undo;

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::path::PathBuf;

use crate::os::secret::Secret;

use super::entry::Entry;
use super::environment::Changes;
use super::error::Result;
use super::names::Shelf;
use super::record::Record;
use super::rundir::RunDir;
use super::streams::Streams;

pub use background::Then;
pub use many::{Started, Unstarted, start_many};
pub use plan::check_passed;

/// What the user asked for.
#[derive(Debug)]
pub struct Request {
    /// The command and its arguments; not empty.
    pub command: Vec<OsString>,
    /// The name, or the default one.
    pub name: Option<String>,
    /// The daemon flag, or the parent's.
    pub daemon: Option<bool>,
    /// No other live process may have the name.
    pub unique: bool,
    /// The creating process, or the caller's.
    pub parent: Option<i32>,
    /// The working directory, absolute; or the caller's.
    pub directory: Option<PathBuf>,
    /// Changes to the environment.
    pub changes: Changes,
    /// The standard streams.
    pub streams: Streams,
    /// Descriptors to pass on.
    pub passed: Vec<RawFd>,
    /// The authkey, or the parent's.
    pub authkey: Option<Secret>,
    /// Which of several it is.
    pub index: Option<u32>,
}

/// Records a process without starting it.
pub fn create(run_dir: &RunDir, request: &Request) -> Result<Record> {
    let draft = draft::draft(run_dir, request)?;
    let recorded = (|| {
        request.changes.save(&draft.entry)?;
        run_dir.names().add(Shelf::Initial, &draft.record)?;
        draft.entry.save(&draft.record)
    })();
    if let Err(e) = recorded {
        draft.undo();
        return Err(e);
    }
    // If it cannot be written, the next one to take a number finds out.
    let _ = draft.number.map(|number| number.commit());
    Ok(draft.record)
}

/// Records a process and starts it in the background.
pub fn start(run_dir: &RunDir, request: Request) -> Result<Record> {
    background::start(job::new(run_dir, request, true)?, Then::End)
}

/// Starts what [`create`] recorded.
pub fn start_recorded(run_dir: &RunDir, entry: Entry, then: Then) -> Result<Record> {
    background::start(job::recorded(run_dir, entry)?, then)
}

/// Records a process, starts it in the foreground and stays its monitor until it has ended. Returns the final record.
pub fn run(run_dir: &RunDir, request: Request) -> Result<Record> {
    foreground::run(job::new(run_dir, request, false)?)
}
