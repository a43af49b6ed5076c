//! `close`.

use std::time::Duration;

use clap::Args;

use super::values::reference;
use crate::process::time;

/// `close`
#[derive(Clone, Debug, Args)]
#[group(required = true, multiple = true, id = "which")]
pub struct Close {
    /// The processes
    #[arg(value_name = "REF", value_parser = reference(), group = "which", conflicts_with = "all")]
    pub references: Vec<String>,
    /// Every process in the run directory that is not alive
    #[arg(long, group = "which")]
    pub all: bool,
    /// Only those that ended longer ago than this; without REFs, of all
    #[arg(long, group = "which", value_name = "T", value_parser = time::parse, allow_hyphen_values = true)]
    pub older_than: Option<Duration>,
}
