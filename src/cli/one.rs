//! A command that takes one process and nothing else: `is-alive`.

use clap::Args;

use super::values::reference;

#[expect(missing_docs, reason = "its variant of Command says it, and clap would take it from here")]
#[derive(Clone, Debug, Args)]
pub struct One {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
}
