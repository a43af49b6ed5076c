//! The life of a process in a sentence.

use std::time::Duration;

use crate::os::signals;
use crate::output::table::row;
use crate::output::{age, escape};
use crate::process::observe::{self, Life, Observed, Unrecorded};
use crate::process::record::{Action, EndedBy, Witness};
use crate::process::time::Moment;

/// The state, with what there is to say of when and how.
pub(super) fn state(seen: &Observed, is_suspended: bool) -> String {
    let record = &seen.record;
    match &seen.life {
        Life::Initial => format!("initial: not started; created {}", ago(record.created_at)),
        Life::Alive { .. } => {
            let started = record.started_at.map_or("started".to_owned(), |at| format!("started {}", ago(at)));
            let suspended = if is_suspended { "; suspended, until it gets SIGCONT" } else { "" };
            started + suspended
        }
        Life::Elsewhere => format!(
            "{}, on host {}: nothing more can be known of it here",
            record.state.as_str(),
            escape::text(&record.host)
        ),
        Life::Ending(why) => format!("ending: it has ended, and {}", unrecorded(*why)),
        Life::Ended => ended(seen),
    }
}

fn unrecorded(why: Unrecorded) -> &'static str {
    match why {
        Unrecorded::NotWritten => "its monitor has not recorded that yet",
        Unrecorded::NotReaped => "its exit code is not known before somebody has reaped it",
    }
}

fn ended(seen: &Observed) -> String {
    let record = &seen.record;
    let how = match record.exitcode {
        None => "lost: it has ended, and its exit code is not known".to_owned(),
        Some(code) if code >= 0 => format!("stopped: it exited with {code}"),
        Some(code) => {
            let core = if record.core_dumped == Some(true) { ", with a core dump" } else { "" };
            format!("stopped: {} ended it{core}", signals::name(-code))
        }
    };
    let when = record.stopped_at.map(|at| format!(", {}", ago(at))).unwrap_or_default();
    how + &when
}

/// How long it ran, and from when; `None` while it runs, and where that is not known.
pub(super) fn ran(seen: &Observed) -> Option<String> {
    let (started, lived) = (seen.record.started_at?, row::lifetime(seen)?);
    (!seen.is_alive()).then(|| format!("{}, since {}", age::short(lived), started.local_in_full()))
}

/// `2h10m ago (Wed 2026-11-25 14:34:16 UTC)`.
fn ago(at: Moment) -> String {
    let elapsed = at.elapsed();
    let ago = if elapsed < Duration::from_secs(1) {
        "just now".to_owned()
    } else {
        format!("{} ago", age::short(elapsed))
    };
    format!("{ago} ({})", at.local_in_full())
}

/// By whom, and when.
pub(super) fn ended_by(deed: &EndedBy) -> String {
    let signal = signals::name(deed.signal);
    let at = deed.at.local();
    let by = deed.by_pid;
    let command = match deed.action {
        Action::Terminate => "terminate",
        Action::Kill => "kill",
        Action::Interrupt => "interrupt",
        Action::ParentExit => return format!("the end of its parent, pid {by} ({signal}), {at}"),
    };
    format!("procctl {command} by pid {by} ({signal}), {at}")
}

/// What is unusual about it.
pub(super) fn notes(seen: &Observed) -> Vec<String> {
    let record = &seen.record;
    let mut notes = Vec::new();
    if let Life::Ended = seen.life
        && record.exitcode.is_none()
        && let Some(why) = &record.lost
    {
        notes.push(escape::text(why));
    }
    if seen.is_alive() && !seen.is_monitored() {
        notes.push("its monitor was killed, and no new one could be made".to_owned());
    } else if observe::is_adopted(record) && !record.is_final() {
        notes.push("its monitor was killed; it has a new one".to_owned());
    }
    if record.witness == Some(Witness::Pidfd) && record.exitcode.is_some() {
        notes.push("its monitor was killed; the kernel told its exit code".to_owned());
    }
    notes
}
