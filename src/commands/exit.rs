//! Exit statuses of processes.

use crate::process::error::status;
use crate::process::record::Record;

/// The status that `run` and `join` exit with for an ended process.
pub(super) fn status_of(record: &Record) -> u8 {
    match record.exitcode {
        None => status::FAILED,
        Some(code) if code < 0 => {
            u8::try_from(-code).map_or(status::FAILED, |n| n.saturating_add(status::SIGNAL_BASE))
        }
        Some(code) => u8::try_from(code & 0xff).unwrap_or(status::FAILED),
    }
}
