//! `procctl schema`: the JSON Schema of a record.

use super::{Outcome, answer};
use crate::process::schema;

#[inline(never)]
pub(super) fn run() -> Outcome {
    answer::raw(schema::RECORD.as_bytes())?;
    Ok(0)
}
