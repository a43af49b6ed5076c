//! `join`.

use std::time::Duration;

use clap::Args;

use super::values::reference;
use crate::process::time;

/// `join`
#[derive(Clone, Debug, Args)]
pub struct Join {
    /// Processes to wait for [default: the caller's own children]
    #[arg(value_name = "REF", value_parser = reference())]
    pub references: Vec<String>,
    /// Stop waiting after this time and exit 124; nothing is signalled
    #[arg(long, value_name = "T", value_parser = time::parse, allow_hyphen_values = true)]
    pub timeout: Option<Duration>,
    /// Return as soon as one has ended; print the ids of those that have
    #[arg(long)]
    pub any: bool,
    /// Every process in the run directory
    #[arg(long, conflicts_with = "references")]
    pub all: bool,
    /// Print the records
    #[arg(long)]
    pub json: bool,
}
