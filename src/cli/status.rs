//! `status`.

use std::time::Duration;

use clap::Args;

use super::values::{ColumnParser, parse_every, parse_key, parse_lines, parse_pattern, reference};
use crate::output::table::Column;
use crate::output::table::sort::Key;

/// `status`
#[derive(Clone, Debug, Args)]
pub struct Status {
    /// Processes to show, a page for each [default: a table of all]
    #[arg(value_name = "REF", value_parser = reference())]
    pub references: Vec<String>,
    /// Print the records as a JSON array
    #[arg(long)]
    pub json: bool,
    /// Print a line for each, as '{name}\t{parent.pid}'.
    ///
    /// In braces stand fields of the record; `procctl schema` describes them. A null is nothing, an array or an object JSON.
    /// \t, \n and \\ are a tab, a line end and a backslash, {{ and }} are braces.
    #[arg(long, value_name = "TEMPLATE", conflicts_with_all = ["json", "columns"])]
    pub format: Option<String>,
    /// Those that are alive.
    ///
    /// With --ended or --failed, those as well.
    #[arg(long)]
    pub alive: bool,
    /// Those that have ended
    #[arg(long)]
    pub ended: bool,
    /// Those that have ended with anything but 0.
    ///
    /// Lost ones too.
    #[arg(long)]
    pub failed: bool,
    /// Only the caller's own children
    #[arg(long)]
    pub children: bool,
    /// Only names that match a pattern; repeatable.
    ///
    /// *, ? and [a-z] as in a shell.
    #[arg(long, value_name = "GLOB", value_parser = parse_pattern, allow_hyphen_values = true)]
    pub name: Vec<glob::Pattern>,
    /// The family as a tree.
    ///
    /// With descendants that procctl did not start.
    #[arg(long)]
    pub tree: bool,
    /// A table of these columns, in this order
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', value_parser = ColumnParser, conflicts_with = "json")]
    pub columns: Vec<Column>,
    /// Sort by columns; -cpu: the largest first.
    ///
    /// [default: created]
    #[arg(long, value_name = "COLUMN", value_delimiter = ',', value_parser = parse_key, allow_hyphen_values = true)]
    pub sort: Vec<Key>,
    /// Lines of the log on a page
    #[arg(short = 'n', long, value_name = "LINES", value_parser = parse_lines, default_value = "10", allow_hyphen_values = true)]
    pub lines: usize,
    /// Show it again on every change of state.
    ///
    /// And every T, for CPU and memory [default: 2].
    #[arg(
        long,
        value_name = "T",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "2",
        value_parser = parse_every
    )]
    pub watch: Option<Duration>,
    /// Cut nothing to the width of the terminal
    #[arg(long)]
    pub no_trunc: bool,
}
