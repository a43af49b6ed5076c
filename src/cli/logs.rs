//! `logs`.

use clap::Args;

use super::values::{parse_lines, reference};
use crate::process::time::{self, Moment};

#[expect(missing_docs, reason = "its variant of Command says it, and clap would take it from here")]
#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// The processes. Of several, each line has the name before it
    #[arg(value_name = "REF", value_parser = reference(), required = true)]
    pub references: Vec<String>,
    /// Go on printing until the process has ended; one that has not been started is waited for
    #[arg(short, long)]
    pub follow: bool,
    /// With --follow: exit as the process did; of several, as the first, in the order given, that did not exit with 0
    #[arg(long, requires = "follow")]
    pub exit_code: bool,
    /// Only the last lines of each
    #[arg(short = 'n', long, value_name = "LINES", value_parser = parse_lines, allow_hyphen_values = true)]
    pub lines: Option<usize>,
    /// Nothing of a log that was last written to before: so long ago (10m), or 2026-01-31T12:00:00Z. The lines of a log
    /// bear no times, so one that goes on after that is printed whole, with a notice
    #[arg(long, value_name = "T", value_parser = time::parse_moment, allow_hyphen_values = true)]
    pub since: Option<Moment>,
    /// Nothing of a process that was started after that. Otherwise as --since
    #[arg(long, value_name = "T", value_parser = time::parse_moment, allow_hyphen_values = true, conflicts_with = "follow")]
    pub until: Option<Moment>,
    /// Let everything pass to a terminal, not colours only
    #[arg(long)]
    pub raw: bool,
}
