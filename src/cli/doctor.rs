//! `doctor`.

use clap::Args;

#[expect(missing_docs, reason = "its variant of Command says it, and clap would take it from here")]
#[derive(Clone, Debug, Args)]
#[command(after_help = "\
Exit status: 0 if all is well, 1 if something needs attention. Nothing is changed: no directory is made, no record \
written, no process signalled.")]
pub struct Doctor {
    /// Print what was found out as one JSON object
    #[arg(long)]
    pub json: bool,
}
