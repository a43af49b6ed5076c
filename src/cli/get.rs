//! `get`.

use clap::Args;

use super::values::reference;

/// `get`
#[derive(Clone, Debug, Args)]
pub struct Get {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
    /// A field of the record (pid, exitcode, parent.pid, usage.user_seconds, …), or authkey [default: the record]
    #[arg(value_name = "FIELD")]
    pub field: Option<String>,
    /// Print a line like this: '{name}\t{parent.pid}'.
    ///
    /// In braces stand fields of the record; `procctl schema` describes them. A null is nothing, an array or an object JSON.
    /// \t, \n and \\ are a tab, a line end and a backslash, {{ and }} are braces.
    #[arg(long, value_name = "TEMPLATE", conflicts_with = "field")]
    pub format: Option<String>,
}
