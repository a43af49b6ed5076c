//! What sends signals: `terminate`, `kill`, `interrupt`.

use std::time::Duration;

use clap::Args;

use super::values::{parse_signal, reference};
use crate::process::time;

/// Whom to signal.
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = false, id = "whom")]
pub struct Targets {
    /// The processes
    #[arg(value_name = "REF", value_parser = reference(), group = "whom")]
    pub references: Vec<String>,
    /// Every live process in the run directory
    #[arg(long, group = "whom")]
    pub all: bool,
}

/// `terminate`
#[derive(Clone, Debug, Args)]
pub struct Terminate {
    #[command(flatten)]
    /// Whom.
    pub targets: Targets,
    /// Return when they have ended
    #[arg(long)]
    pub wait: bool,
    /// Wait this long, then send SIGKILL, then wait for the end
    #[arg(long, value_name = "T", value_parser = time::parse, allow_hyphen_values = true)]
    pub kill_after: Option<Duration>,
    /// Take every descendant along; return when none is left
    #[arg(long)]
    pub tree: bool,
}

/// `kill`
#[derive(Clone, Debug, Args)]
pub struct Kill {
    #[command(flatten)]
    /// Whom.
    pub targets: Targets,
    /// The signal: a name or a number
    #[arg(short, long, value_name = "SIGNAL", value_parser = parse_signal, default_value = "KILL", allow_hyphen_values = true)]
    pub signal: i32,
    /// Return when they have ended
    #[arg(long)]
    pub wait: bool,
    /// Take every descendant along; return when none is left
    #[arg(long)]
    pub tree: bool,
}

/// `interrupt`
#[derive(Clone, Debug, Args)]
pub struct Interrupt {
    #[command(flatten)]
    /// Whom.
    pub targets: Targets,
    /// Return when they have ended
    #[arg(long)]
    pub wait: bool,
}
