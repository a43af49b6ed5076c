//! `logs`.

use clap::Args;

use super::values::{parse_lines, reference};

#[expect(missing_docs, reason = "its variant of Command says it, and clap would take it from here")]
#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
    /// Go on printing until the process has ended
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES", value_parser = parse_lines, allow_hyphen_values = true)]
    pub lines: Option<usize>,
}
