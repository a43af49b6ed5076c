//! What `status` prints for scripts.

use super::super::answer;
use super::super::format::Format;
use super::collect::Found;
use super::family::Family;
use crate::cli::Status;
use crate::process::error::Result;
use crate::process::record::Record;
use crate::process::schema::Fields;

/// Records as JSON, or a line made of each, if that was asked for.
pub(super) struct Scripts<'a> {
    args: &'a Status,
    format: Option<Format>,
}

impl<'a> Scripts<'a> {
    pub(super) fn new(args: &'a Status) -> Result<Self> {
        let format =
            args.format.as_deref().map(|template| Format::new(template, &Fields::of_record())).transpose()?;
        Ok(Self { args, format })
    }

    /// Whether they asked for it.
    pub(super) fn are_there(&self) -> bool {
        self.args.json || self.format.is_some()
    }

    /// It, in the order of the picture.
    pub(super) fn print(&self, found: &Found) -> Result<Vec<u8>> {
        let records: Vec<&Record> = if self.args.tree {
            Family::of(None, found).wanted().map(|seen| &seen.record).collect()
        } else {
            found.processes.iter().map(|one| &one.seen.record).collect()
        };
        let Some(format) = &self.format else { return Ok(answer::json_text(&records)?.into_bytes()) };
        let mut lines = Vec::new();
        for record in records {
            lines.extend(format.line(&answer::to_value(record)?));
        }
        Ok(lines)
    }
}
