//! `doctor`.

use clap::Args;

/// `doctor`
#[derive(Clone, Debug, Args)]
pub struct Doctor {
    /// Print what was found out as one JSON object
    #[arg(long)]
    pub json: bool,
}
