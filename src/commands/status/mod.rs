//! `procctl status`: list processes.

use super::{Outcome, Session, answer, report};
use crate::cli::Status;
use crate::output::table::{self, Row, Style};
use crate::output::terminal;
use crate::process::error::{self, Result};
use crate::process::observe::{self, Observed};
use crate::process::reference::{Purpose, Resolver};
use crate::process::rundir::RunDir;

/// What there is to show.
#[derive(Default)]
struct Found {
    processes: Vec<Observed>,
    /// Ids of records that cannot be used, and why.
    broken: Vec<(String, String)>,
}

pub(super) fn run(session: &Session, args: &Status) -> Outcome {
    let mut found = match session.run_dir()? {
        Some(run_dir) => collect(&run_dir, args)?,
        None if args.references.is_empty() => Found::default(),
        None => return session.existing_run_dir().map(|_| 0).map_err(Into::into),
    };
    if args.alive {
        found.processes.retain(Observed::is_alive);
        found.broken.clear();
    }
    found
        .processes
        .sort_by(|a, b| (a.record.created_at, &a.record.id).cmp(&(b.record.created_at, &b.record.id)));
    if args.json {
        return print_json(&found);
    }
    if found.processes.is_empty() && found.broken.is_empty() {
        return say_empty(session, args);
    }
    let rows: Vec<Row<'_>> = found
        .processes
        .iter()
        .map(Row::Process)
        .chain(found.broken.iter().map(|(id, why)| Row::Broken(id, why)))
        .collect();
    let style = Style { colour: session.colour(), width: table::width_for_output(args.no_trunc) };
    answer::raw(table::draw(&rows, style).as_bytes())?;
    Ok(0)
}

fn collect(run_dir: &RunDir, args: &Status) -> Result<Found> {
    let resolver = Resolver::new(run_dir);
    let found = collect_named(run_dir, &resolver, args)?;
    // The others are shown all the same.
    report::errors(resolver.take_broken());
    Ok(found)
}

fn collect_named(run_dir: &RunDir, resolver: &Resolver<'_>, args: &Status) -> Result<Found> {
    if args.children {
        let mut processes = resolver.children()?.unwrap_or_default();
        if !args.references.is_empty() {
            let named = resolver.all(&args.references, Purpose::Status)?;
            processes.retain(|child| named.iter().any(|seen| seen.record.id == child.record.id));
        }
        return Ok(Found { processes, broken: Vec::new() });
    }
    if !args.references.is_empty() {
        return Ok(Found { processes: resolver.all(&args.references, Purpose::Status)?, broken: Vec::new() });
    }
    if args.alive {
        return Ok(Found { processes: resolver.all_live()?, broken: Vec::new() });
    }
    let mut found = Found::default();
    for id in run_dir.all_ids()? {
        match observe::by_id(run_dir, &id) {
            Ok(seen) => found.processes.extend(seen.map(Observed::released)),
            Err(e) => found.broken.push((id.to_string(), error::message(&e))),
        }
    }
    Ok(found)
}

/// Broken records are named on standard error: the array has only what is a record.
fn print_json(found: &Found) -> Outcome {
    let records: anyhow::Result<Vec<_>> =
        found.processes.iter().map(|seen| answer::to_value(&seen.record)).collect();
    answer::json(&records?.into())?;
    for (_, why) in &found.broken {
        report::lines(why, None);
    }
    Ok(0)
}

fn say_empty(session: &Session, args: &Status) -> Outcome {
    let words = match (args.alive, args.children) {
        (true, true) => "none of your processes is alive",
        (true, false) => "no process is alive",
        (false, true) => "you have no processes",
        (false, false) => "no processes",
    };
    if session.is_quiet() {
        return Ok(0);
    }
    if terminal::is_terminal() {
        answer::line(words)?;
    } else {
        report::lines(words, None);
    }
    Ok(0)
}
