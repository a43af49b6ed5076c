//! `doctor`.

use clap::Args;

#[expect(missing_docs, reason = "its variant of Command says it, and clap would take it from here")]
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// Print what was found out as one JSON object
    #[arg(long)]
    pub json: bool,
}
