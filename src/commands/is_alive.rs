//! `procctl is-alive`: the answer is the exit status.

use super::{Outcome, Session};
use crate::cli::One;
use crate::process::error::{Error, status};
use crate::process::observe::Life;
use crate::process::reference::Resolver;

pub(super) fn run(session: &Session, args: &One) -> Outcome {
    let run_dir = session.existing_run_dir()?;
    let seen = Resolver::new(&run_dir).one(&args.reference)?;
    if matches!(seen.life, Life::Elsewhere) {
        let record = &seen.record;
        return Err(Error::refused(format!(
            "{} is on the host {}: nothing is known here",
            record.id, record.host
        ))
        .into());
    }
    Ok(if seen.is_alive() { 0 } else { status::NOT_ALIVE })
}
