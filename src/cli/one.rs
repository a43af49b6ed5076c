//! A command that takes one process and nothing else: `is-alive`.

use clap::Args;

use super::values::reference;

/// One process.
#[derive(Clone, Debug, Args)]
pub struct One {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
}
