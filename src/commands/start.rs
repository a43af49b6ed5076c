//! `procctl start`: start a command, or what `create` recorded.

use std::ffi::{OsStr, OsString};

use super::launch::{self, Ground};
use super::{Outcome, Session, report};
use crate::cli::Start;
use crate::output::shell;
use crate::process::error::{Error, Result, status};
use crate::process::launch::{self as domain, Request, Started, Then, Unstarted};
use crate::process::observe::Observed;
use crate::process::reference::{Purpose, Resolver};

pub(super) fn run(session: &Session, args: &Start) -> Outcome {
    match (args.references.is_empty(), args.command.is_empty()) {
        (true, true) => {
            let hint = "procctl start -- CMD [ARG]..., or procctl start REF";
            Err(Error::hinted("nothing to start", hint).into())
        }
        (true, false) => {
            let mut request = launch::request(&args.launch, &args.command, Ground::Back)?;
            if let Some(count) = args.count {
                if count > 1 {
                    return start_many(session, args, request, count);
                }
                request.index = Some(0);
            }
            let record = domain::start(&session.make_run_dir()?, request)?;
            launch::print(&record, args.launch.json)?;
            Ok(0)
        }
        (false, true) if !args.launch.is_given() && args.count.is_none() => start_recorded(session, args),
        // Launch options and --count go with a command only.
        (false, _) => Err(missing_dashes(session, args).into()),
    }
}

// Not in the frame of `run`, which a monitor keeps.
#[inline(never)]
fn start_many(session: &Session, args: &Start, request: Request, count: u32) -> Outcome {
    if args.launch.unique {
        return Err(Error::hinted(
            format!("--unique allows one live process of a name, and --count {count} would make {count}"),
            "leave out one of the two",
        )
        .into());
    }
    let Unstarted { index, why, left } =
        match domain::start_many(&session.make_run_dir()?, request, count, args.launch.json) {
            Ok(Started::Ids(ids)) => return launch::print_ids(&ids).map(|()| 0),
            Ok(Started::Records(records)) => return launch::print_records(&records).map(|()| 0),
            Err(unstarted) => unstarted,
        };
    let is_undone = left.is_empty();
    // Those are stopped, or could not be killed.
    report::errors(left);
    Err(match index {
        None => why.into(),
        Some(index) if is_undone => {
            anyhow::Error::new(why).context(format!("none of {count} was started: index {index}"))
        }
        Some(index) => {
            anyhow::Error::new(why).context(format!("not all of {count} were started: index {index}"))
        }
    })
}

/// The words were meant to be a command: shows the right line to type.
fn missing_dashes(session: &Session, args: &Start) -> Error {
    let words: Vec<&OsStr> = args.references.iter().chain(&args.command).map(OsString::as_os_str).collect();
    let first = args.references.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    Error::hinted(
        format!("'{first}' stands before '--', and the command belongs after it"),
        format!("procctl {} -- {}", shell::line(session.options_before(&words)), shell::line(words)),
    )
}

#[inline(never)]
fn start_recorded(session: &Session, args: &Start) -> Outcome {
    let Some(run_dir) = session.run_dir()? else { return Err(unknown(args, None).into()) };
    let resolver = Resolver::new(&run_dir);
    let references: Vec<String> =
        args.references.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let found: Result<Vec<Observed>> = resolver.all(&references, Purpose::Start);
    let found =
        found.map_err(|e| if is_unknown(&resolver, &references) { unknown(args, Some(e)) } else { e })?;
    let mut exit = 0;
    let mut found = found.into_iter();
    while let Some(seen) = found.next() {
        let then = if found.len() == 0 { Then::End } else { Then::StartMore };
        match domain::start_recorded(&run_dir, seen.entry, then) {
            Ok(record) => launch::print(&record, args.launch.json)?,
            // The others are started all the same.
            Err(e) => {
                let status = report::error(&e.into());
                exit = if references.len() == 1 { status } else { status::FAILED };
            }
        }
    }
    Ok(exit)
}

/// Whether some word means no process at all.
fn is_unknown(resolver: &Resolver<'_>, references: &[String]) -> bool {
    references.iter().any(|reference| resolver.find(reference, Purpose::Status).is_err())
}

/// A word that names no process is probably the first of a command.
fn unknown(args: &Start, error: Option<Error>) -> Error {
    let line = shell::line(args.references.iter().map(OsString::as_os_str));
    let first = args.references.first().map(|word| word.to_string_lossy()).unwrap_or_default();
    let what = error.map_or_else(|| format!("no process '{first}'"), |e| e.to_string());
    Error::hinted(what, format!("to start a command, write: procctl start -- {line}"))
}
