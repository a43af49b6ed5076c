//! `--format`: a line for each record, made from a template.

use serde_json::Value;

use crate::output::template::Template;
use crate::output::terminal;
use crate::process::error::{Error, Result};
use crate::process::schema::Fields;

/// A template all of whose fields there can be.
pub(super) struct Format {
    template: Template,
    for_terminal: bool,
}

impl Format {
    /// Reads it: a mistake in it shows also where there are no processes.
    pub(super) fn new(text: &str, fields: &Fields) -> Result<Self> {
        let template = Template::parse(text).map_err(|why| Error::refused(format!("--format: {why}")))?;
        template.fields().try_for_each(|path| fields.check(path))?;
        Ok(Self { template, for_terminal: terminal::is_terminal() })
    }

    /// What it makes of a record, with a line end.
    pub(super) fn line(&self, record: &Value) -> Vec<u8> {
        let mut line = self.template.fill(record, self.for_terminal);
        line.push(b'\n');
        line
    }
}
