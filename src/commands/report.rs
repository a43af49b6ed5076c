//! Errors: one line on standard error, a hint below it, an exit status.

use std::io::{self, Write};

use crate::output::escape;
use crate::process::entry::Entry;
use crate::process::error::{Error, Result, message, status};
use crate::process::observe::{self, Life, Observed, Unrecorded};
use crate::process::record::Record;
use crate::process::rundir::RunDir;
use crate::process::wait::Waiting;

/// Prints an error with its causes. Returns the exit status it means.
#[inline(never)]
pub(super) fn error(error: &anyhow::Error) -> u8 {
    let known = error.downcast_ref::<Error>();
    lines(&message(error.as_ref()), known.and_then(Error::hint));
    known.map_or(status::FAILED, Error::status)
}

/// Prints several. Returns the exit status they mean: 0 if there are none.
pub(super) fn errors(errors: Vec<Error>) -> u8 {
    errors.into_iter().fold(0, |_, e| error(&e.into()))
}

/// Says why a process that has ended is waited for.
pub(super) fn unrecorded(seen: &Observed) {
    let why = match seen.life {
        Life::Ending(why) => why,
        _ => Unrecorded::NotWritten,
    };
    unrecorded_end(&seen.record, &seen.entry, why);
}

/// As [`unrecorded`], of one that ended while it was waited for.
pub(super) fn late(one: &Waiting) {
    let why = if observe::is_adopted(&one.record) { Unrecorded::NotReaped } else { Unrecorded::NotWritten };
    unrecorded_end(&one.record, &one.entry, why);
}

fn unrecorded_end(record: &Record, entry: &Entry, why: Unrecorded) {
    let what = format!("{} ({}) has ended, and its end is not recorded yet", record.id, record.name);
    let hint = match why {
        Unrecorded::NotWritten => {
            let place = entry.dir.path();
            format!("its monitor is stopped, or cannot write it: is there room for {}?", place.display())
        }
        Unrecorded::NotReaped => {
            "its monitor was killed; its exit code can be had when whoever inherited it has reaped it"
                .to_owned()
        }
    };
    lines(&what, Some(&hint));
}

/// Says which of those that are still waited for have ended, unless that was said.
pub(super) fn still_unrecorded(run_dir: &RunDir, all: &[Waiting]) -> Result<()> {
    for one in all.iter().filter(|one| !one.is_over() && !one.is_told_late()) {
        if let Some(seen) = observe::by_id(run_dir, &one.record.id)?
            && matches!(seen.life, Life::Ending(_))
        {
            unrecorded(&seen);
        }
    }
    Ok(())
}

/// Prints a line `procctl: …`, and one with a hint.
pub(super) fn lines(what: &str, hint: Option<&str>) {
    let mut text = format!("procctl: {}\n", escape::text(what));
    if let Some(hint) = hint {
        text.push_str("hint: ");
        text.push_str(&escape::text(hint));
        text.push('\n');
    }
    // With standard error closed there is nobody to tell.
    let _ = io::stderr().write_all(text.as_bytes());
}
