//! Errors: one line on standard error, a hint below it, an exit status.

use std::io::{self, Write};

use crate::output::escape;
use crate::process::error::{Error, Result, message, status};
use crate::process::observe::{self, Life, Observed, Unrecorded};
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
    let what =
        format!("{} ({}) has ended, and its end is not recorded yet", seen.record.id, seen.record.name);
    let hint = if matches!(seen.life, Life::Ending(Unrecorded::NotWritten)) {
        let place = seen.entry.dir.path();
        let place = place.display();
        format!("its monitor is stopped, or cannot write it: is there room for {place}?")
    } else {
        "its monitor was killed; its exit code can be had when whoever inherited it has reaped it".to_owned()
    };
    lines(&what, Some(&hint));
}

/// Says which of those that are still waited for have ended.
pub(super) fn still_unrecorded(run_dir: &RunDir, all: &[Waiting]) -> Result<()> {
    for one in all.iter().filter(|one| !one.is_over()) {
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
