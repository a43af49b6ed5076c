//! `logs`.

use clap::Args;

use super::values::{parse_lines, reference};
use crate::process::time::{self, Moment};

/// `logs`
#[derive(Clone, Debug, Args)]
pub struct Logs {
    /// The processes; of several, each line has the name before it.
    ///
    /// Of several processes only whole lines are printed; one without an end becomes several after 1 MiB.
    #[arg(value_name = "REF", value_parser = reference(), required = true)]
    pub references: Vec<String>,
    /// Go on printing until the process has ended.
    ///
    /// One that has not been started is waited for. What descendants write after the end is not.
    #[arg(short, long)]
    pub follow: bool,
    /// With --follow: exit as the process did.
    ///
    /// Of several: as the first, in the order given, that did not exit with 0.
    #[arg(long, requires = "follow")]
    pub exit_code: bool,
    /// Only the last lines of each
    #[arg(short = 'n', long, value_name = "LINES", value_parser = parse_lines, allow_hyphen_values = true)]
    pub lines: Option<usize>,
    /// Only logs that were written to since then: so long ago (10m), or 2026-01-31T12:00:00Z.
    ///
    /// The lines of a log bear no times. What is known is when the process was started and when its log was last written to.
    /// So a log that begins before that moment and goes on after it is printed whole, with a notice.
    #[arg(long, value_name = "T", value_parser = time::parse_moment, allow_hyphen_values = true)]
    pub since: Option<Moment>,
    /// Only of processes that were started until then.
    ///
    /// As with --since, a log that goes on after that moment is printed whole, with a notice.
    #[arg(
        long, value_name = "T", value_parser = time::parse_moment, allow_hyphen_values = true, conflicts_with = "follow"
    )]
    pub until: Option<Moment>,
    /// Let everything pass to a terminal, not colours only.
    ///
    /// Otherwise control characters are escaped there. Into a pipe or a file a log always goes as it is.
    #[arg(long)]
    pub raw: bool,
}
