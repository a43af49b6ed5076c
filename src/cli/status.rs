//! `status`.

use clap::Args;

use super::values::reference;

#[expect(missing_docs, reason = "its variant of Command says it, and clap would take it from here")]
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// Processes to show [default: all]
    #[arg(value_name = "REF", value_parser = reference())]
    pub references: Vec<String>,
    /// Print the records as a JSON array
    #[arg(long)]
    pub json: bool,
    /// Only those that are alive
    #[arg(long)]
    pub alive: bool,
    /// Only the caller's own children
    #[arg(long)]
    pub children: bool,
    /// Do not cut the command to the width of the terminal
    #[arg(long)]
    pub no_trunc: bool,
}
