//! `procctl close`: forget processes that are not alive.

use super::{Outcome, Session, report};
use crate::cli::Close;
use crate::process::error::{Error, Result, status};
use crate::process::observe::{self, Life, Observed};
use crate::process::reference::{self, Purpose, Resolver};
use crate::process::remove;
use crate::process::retention;
use crate::process::rundir::RunDir;

pub(super) fn run(session: &Session, args: &Close) -> Outcome {
    let all = args.all || args.references.is_empty();
    if all && session.run_dir()?.is_none() {
        return Ok(0);
    }
    let run_dir = session.existing_run_dir()?;
    let mut exit = 0;
    let mut failed = |e: Error| {
        report::error(&e.into());
        exit = status::FAILED;
    };
    let resolver = Resolver::new(&run_dir);
    let mut found = Vec::new();
    if all {
        observe::all(&run_dir, |_, seen, _| {
            match seen {
                // The live ones are passed over; one whose end is not recorded yet is said to be.
                Ok(seen) => found.extend(
                    seen.filter(|seen| seen.is_over() || matches!(seen.life, Life::Ending(_)))
                        .map(Observed::released),
                ),
                Err(e) => failed(e),
            }
            Ok(())
        })?;
    } else {
        for word in &args.references {
            match resolver.find(word, Purpose::Close) {
                Ok(more) => more.into_iter().for_each(|seen| reference::add(&mut found, seen)),
                Err(e) => failed(e),
            }
        }
    }
    resolver.take_broken().into_iter().for_each(&mut failed);
    if let Some(keep) = args.older_than {
        found.retain(|seen| retention::is_overdue(seen, keep));
    }
    for seen in found {
        if let Err(e) = close(&run_dir, &seen) {
            failed(e);
        }
    }
    Ok(exit)
}

fn close(run_dir: &RunDir, seen: &Observed) -> Result<()> {
    let id = &seen.record.id;
    match seen.life {
        Life::Alive { .. } => Err(Error::hinted(
            format!("cannot close {id} ({}): it is alive", seen.record.name),
            format!("procctl terminate --wait {id}"),
        )),
        Life::Elsewhere => {
            Err(Error::refused(format!("cannot close {id}: it is on the host {}", seen.record.host)))
        }
        Life::Ending(_) => {
            let hint = format!(
                "is its monitor stopped, is there room for {}? procctl join {id} waits until it is recorded",
                seen.entry.dir.path().display()
            );
            Err(Error::hinted(
                format!("cannot close {id}: it has ended, and its end is not recorded yet"),
                hint,
            ))
        }
        Life::Initial | Life::Ended => remove::close(run_dir, &seen.entry, &seen.record),
    }
}
