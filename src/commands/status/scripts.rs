//! What `status` prints for scripts.

use std::io::{self, Write};
use std::ops::Range;

use super::super::Outcome;
use super::super::answer;
use super::super::array::Array;
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
    form: Option<Form>,
}

enum Form {
    Json(Array),
    Lines(Format),
}

/// What each record became, one after the other, in no order: with many, a record is not kept any longer than it takes.
#[derive(Default)]
pub(super) struct Pieces {
    text: Vec<u8>,
}

impl<'a> Scripts<'a> {
    pub(super) fn new(args: &'a Status) -> Result<Self> {
        let form = match &args.format {
            Some(template) => Some(Form::Lines(Format::new(template, &Fields::of_record())?)),
            None => args.json.then(|| Form::Json(Array::for_output())),
        };
        Ok(Self { args, form })
    }

    /// Whether they asked for it.
    pub(super) fn are_there(&self) -> bool {
        self.form.is_some()
    }

    /// It, in the order of the picture.
    pub(super) fn text(&self, found: &Found) -> Result<Vec<u8>> {
        let records: Vec<&Record> = if self.args.tree {
            Family::of(None, found).wanted().map(|seen| &seen.record).collect()
        } else {
            found.processes.iter().map(|one| &one.seen.record).collect()
        };
        let mut pieces = Pieces::default();
        let order = records.into_iter().map(|record| self.add(record, &[], &mut pieces));
        let order = order.collect::<Result<Vec<_>>>()?;
        let mut text = Vec::new();
        // Nothing can go wrong with writing to memory.
        let _ = self.write(&pieces, &order, &mut text);
        Ok(text)
    }

    /// Adds what a record becomes, of which its file says that (or nothing); where it is.
    pub(super) fn add(&self, record: &Record, file: &[u8], pieces: &mut Pieces) -> Result<Range<usize>> {
        let text = &mut pieces.text;
        let begin = text.len();
        match &self.form {
            Some(Form::Json(array)) => array.add(record, file.trim_ascii_end(), text)?,
            Some(Form::Lines(format)) => text.extend(format.line(&answer::to_value(record)?)),
            None => {}
        }
        Ok(begin..text.len())
    }

    /// Prints them in that order.
    pub(super) fn print(&self, pieces: &Pieces, order: &[Range<usize>]) -> Outcome {
        answer::written(|out| self.write(pieces, order, out))?;
        Ok(0)
    }

    fn write(&self, pieces: &Pieces, order: &[Range<usize>], out: &mut dyn Write) -> io::Result<()> {
        let [open, between, close] = match &self.form {
            Some(Form::Json(array)) => array.frame(order.is_empty()),
            Some(Form::Lines(_)) | None => [""; 3],
        };
        out.write_all(open.as_bytes())?;
        for (number, piece) in order.iter().enumerate() {
            if number > 0 {
                out.write_all(between.as_bytes())?;
            }
            out.write_all(&pieces.text[piece.clone()])?;
        }
        out.write_all(close.as_bytes())
    }
}
