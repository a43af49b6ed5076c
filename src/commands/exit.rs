//! Exit statuses of processes.

use super::report;
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

/// The status of the first that did not end with 0, if there is one. It is said if nobody knows with what.
pub(super) fn first_failure<'a>(mut records: impl Iterator<Item = &'a Record>) -> Option<u8> {
    let failed = records.find(|record| status_of(record) != 0)?;
    if let Some(why) = &failed.lost {
        report::lines(&format!("the exit code of {} is lost: {why}", failed.id), None);
    }
    Some(status_of(failed))
}
