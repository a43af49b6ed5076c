//! What every command begins with: the options of all commands, and the run directory.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use crate::cli::{Global, When};
use crate::os::umask;
use crate::output::terminal;
use crate::process::error::{Error, Result};
use crate::process::rundir::{self, RunDir};

/// One run of procctl.
#[derive(Debug)]
pub(super) struct Session {
    global: Global,
    arguments: Vec<OsString>,
}

impl Session {
    pub(super) fn new(global: Global, arguments: &[OsString]) -> Self {
        umask::make_private();
        Self { global, arguments: arguments.to_vec() }
    }

    /// What was typed after the program's name, without these words (the last occurrence of each) and `--`.
    pub(super) fn options_before<'a>(&'a self, words: &[&OsStr]) -> Vec<&'a OsStr> {
        let typed = self.arguments.iter().skip(1).map(OsString::as_os_str).filter(|word| *word != "--");
        let mut left: Vec<&OsStr> = typed.collect();
        for word in words.iter().rev() {
            if let Some(at) = left.iter().rposition(|typed| typed == word) {
                left.remove(at);
            }
        }
        left
    }

    /// `--run-dir`.
    pub(super) fn run_dir_option(&self) -> Option<&Path> {
        self.global.run_dir.as_deref()
    }

    /// Where the run directory is, or would be.
    pub(super) fn path(&self) -> Result<PathBuf> {
        rundir::locate(self.run_dir_option())
    }

    /// The run directory, made if it is not there.
    pub(super) fn make_run_dir(&self) -> Result<RunDir> {
        RunDir::open_or_create(&self.path()?)
    }

    /// The run directory; `None` if it is not there: there are no processes then.
    pub(super) fn run_dir(&self) -> Result<Option<RunDir>> {
        RunDir::open(&self.path()?)
    }

    /// The run directory, for a command that needs a process in it.
    pub(super) fn existing_run_dir(&self) -> Result<RunDir> {
        let path = self.path()?;
        RunDir::open(&path)?.ok_or_else(|| {
            Error::hinted(
                format!("there are no processes: the run directory {} does not exist", path.display()),
                "procctl start makes it; --run-dir and PROCCTL_RUN_DIR name another one",
            )
        })
    }

    /// Whether to use colour on standard output.
    pub(super) fn colour(&self) -> bool {
        terminal::use_colour(match self.global.color {
            When::Auto => None,
            When::Always => Some(true),
            When::Never => Some(false),
        })
    }

    /// Whether to print errors only.
    pub(super) fn is_quiet(&self) -> bool {
        self.global.quiet
    }
}
