//! `procctl status`: a table of processes, a page of one, or the family as a tree.

mod collect;
mod family;
mod pages;

use super::format::Format;
use super::{Outcome, Session, answer, report};
use crate::cli::Status;
use crate::output::table::{self, Column, Style};
use crate::output::terminal;
use crate::process::observe::Observed;
use crate::process::rundir::RunDir;
use crate::process::schema::Fields;

use collect::Found;
use family::Family;

pub(super) fn run(session: &Session, args: &Status) -> Outcome {
    let format =
        args.format.as_deref().map(|template| Format::new(template, &Fields::of_record())).transpose()?;
    let run_dir = session.run_dir()?;
    let found = match &run_dir {
        Some(run_dir) => collect::collect(run_dir, args)?,
        None if args.references.is_empty() => Found::default(),
        None => return session.existing_run_dir().map(|_| 0).map_err(Into::into),
    };
    if args.json {
        return print_json(&found, args);
    }
    if let Some(format) = format {
        return print_format(&found, args, &format);
    }
    match run_dir {
        Some(run_dir) if !found.is_empty() => {
            let width = if args.no_trunc { None } else { terminal::width() };
            let style = Style { colour: session.colour(), width };
            let drawn = draw(&run_dir, args, &found, style);
            answer::raw(drawn.text.as_bytes())?;
            if !args.columns.is_empty() && !session.is_quiet() {
                say_left_out(&drawn.left_out);
            }
            Ok(0)
        }
        _ => say_empty(session, args),
    }
}

/// The picture of what was found: pages, a tree or a table.
fn draw(run_dir: &RunDir, args: &Status, found: &Found, style: Style) -> table::Drawn {
    if collect::is_pages(args) {
        let text = pages::draw(run_dir, found, args.lines, style);
        return table::Drawn { text, left_out: Vec::new() };
    }
    let columns = collect::columns(args);
    if args.tree {
        return table::draw(&Family::of(Some(run_dir), found).rows(), columns, style);
    }
    table::draw(&found.rows(), columns, style)
}

/// What a script is told of, in this order.
fn records<'a>(found: &'a Found, family: Option<&'a Family<'_>>) -> Vec<&'a Observed> {
    family.map_or_else(
        || found.processes.iter().map(|one| &one.seen).collect(),
        |family| family.wanted().collect(),
    )
}

/// Broken records are named on standard error: the array has only what is a record.
fn print_json(found: &Found, args: &Status) -> Outcome {
    let family = args.tree.then(|| Family::of(None, found));
    let values = records(found, family.as_ref())
        .iter()
        .map(|seen| answer::to_value(&seen.record))
        .collect::<anyhow::Result<Vec<_>>>()?;
    answer::json(&values.into())?;
    say_broken(found);
    Ok(0)
}

/// A line for each.
fn print_format(found: &Found, args: &Status, format: &Format) -> Outcome {
    let family = args.tree.then(|| Family::of(None, found));
    let mut lines = Vec::new();
    for seen in records(found, family.as_ref()) {
        lines.extend(format.line(&answer::to_value(&seen.record)?));
    }
    answer::raw(&lines)?;
    say_broken(found);
    Ok(0)
}

fn say_broken(found: &Found) {
    for (_, why) in &found.broken {
        report::lines(why, None);
    }
}

/// Nobody is to miss a column in silence that was asked for.
fn say_left_out(columns: &[Column]) {
    if columns.is_empty() {
        return;
    }
    let names: Vec<&str> = columns.iter().map(|column| column.name()).collect();
    let what = format!("the terminal is too narrow for these columns: {}", names.join(", "));
    report::lines(&what, Some("--no-trunc shows them all"));
}

fn say_empty(session: &Session, args: &Status) -> Outcome {
    let asked_more = args.ended || args.failed || !args.name.is_empty() || !args.references.is_empty();
    let words = match (args.alive, args.children) {
        _ if asked_more => "no process matches",
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
