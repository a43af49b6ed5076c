//! What is odd among the records.

use std::collections::BTreeSet;

use crate::output::units;
use crate::process::doctor::{Broken, Records};

use super::{Finding, some};

/// Each broken record has its own reason and remedy, but the page is one page.
const SHOWN: usize = 10;

pub(super) fn judge(records: &Records) -> Vec<Finding> {
    let mut found = vec![
        Finding::ok(
            "processes",
            format!("{} alive, {} ended, {} not started", records.alive, records.ended, records.initial),
        ),
        Finding::ok(
            "size",
            format!("{}, of which logs: {}", units::bytes(records.bytes), units::bytes(records.log_bytes)),
        ),
    ];
    let (unmonitored, stuck, unrecorded) = (&records.unmonitored, &records.stuck, &records.unrecorded);
    if !unmonitored.is_empty() {
        let text = format!("{} alive without one: {}", unmonitored.len(), some(unmonitored));
        found.push(Finding::bad("monitors", text).hint("procctl status gives each a new one"));
    }
    if !stuck.is_empty() {
        let text = format!("{} happened, and the monitor has not recorded it: {}", stuck.len(), some(stuck));
        let hint = "their monitors are stopped, or cannot write: is there room?";
        found.push(Finding::bad("ends", text).hint(hint));
    }
    if !unrecorded.is_empty() {
        let each = unrecorded.iter().map(|one| format!("{} ({})", one.id, one.why));
        let text = format!("{} happened, and nobody has recorded it: {}", unrecorded.len(), some(each));
        found.push(Finding::note("ends", text).hint("procctl status records what can be known"));
    }
    if !records.lost.is_empty() {
        let text = format!("the exit code of {} is not known: {}", records.lost.len(), some(&records.lost));
        let hint = "procctl get ID lost says why; procctl close ID forgets it";
        found.push(Finding::note("lost", text).hint(hint));
    }
    if !records.foreign.is_empty() {
        let hosts: BTreeSet<&str> = records.foreign.iter().map(|one| one.host.as_str()).collect();
        let text = format!("{} records, which are left alone: {}", records.foreign.len(), some(hosts));
        found.push(Finding::note("other hosts", text));
    }
    for Broken { id, problem } in records.broken.iter().take(SHOWN) {
        let what = if problem.what.contains(id.as_str()) {
            problem.what.clone()
        } else {
            format!("{id}: {}", problem.what)
        };
        found.push(Finding { hint: problem.hint.clone(), ..Finding::bad("broken", what) });
    }
    if let Some(more) = records.broken.len().checked_sub(SHOWN).filter(|&more| more > 0) {
        found.push(Finding::bad("broken", format!("and {more} more: procctl status")));
    }
    let left = records.cut_off_starts.iter().map(ToString::to_string).chain(records.cut_off_closings.clone());
    let left: Vec<String> = left.collect();
    if !left.is_empty() {
        let text = format!("{} of starts or closings that were cut off: {}", left.len(), some(&left));
        found.push(Finding::note("leftovers", text).hint("they are cleared within an hour of use"));
    }
    found
}
