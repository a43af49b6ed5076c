//! `procctl status`: a table of processes, a page of one, or the family as a tree.

mod collect;
mod family;
mod pages;
mod scripts;
mod watch;

use super::{Outcome, Session, answer, report};
use crate::cli::Status;
use crate::output::table::{self, Style};
use crate::output::terminal;
use crate::process::rundir::RunDir;
use crate::process::share::Shares;

use collect::Found;
use family::Family;
use scripts::Scripts;

pub(super) fn run(session: &Session, args: &Status) -> Outcome {
    let scripts = Scripts::new(args)?;
    if let Some(every) = args.watch {
        return watch::run(session, args, &scripts, every);
    }
    let run_dir = session.run_dir()?;
    let shares = Shares::default();
    let mut found = match &run_dir {
        Some(run_dir) => collect::collect(run_dir, args, &shares)?,
        None if args.references.is_empty() => Found::default(),
        None => return session.existing_run_dir().map(|_| 0).map_err(Into::into),
    };
    // The others are shown all the same.
    report::errors(std::mem::take(&mut found.complaints));
    if scripts.are_there() {
        answer::raw(&scripts.print(&found)?)?;
        // The answer has only what is a record.
        for (_, why) in &found.broken {
            report::lines(why, None);
        }
        return Ok(0);
    }
    match run_dir {
        Some(run_dir) if !found.is_empty() => {
            let drawn = draw(&run_dir, &shares, args, &found, style(session, args));
            answer::raw(drawn.text.as_bytes())?;
            if let Some((what, hint)) = left_out(session, args, &drawn) {
                report::lines(&what, hint.as_deref());
            }
            Ok(0)
        }
        _ => say_empty(session, args),
    }
}

/// How standard output is drawn on.
fn style(session: &Session, args: &Status) -> Style {
    let width = if args.no_trunc { None } else { terminal::width() };
    Style { colour: session.colour(), width }
}

/// The picture of what was found: pages, a tree or a table.
fn draw(run_dir: &RunDir, shares: &Shares, args: &Status, found: &Found, style: Style) -> table::Drawn {
    if collect::is_pages(args) {
        let text = pages::draw(run_dir, shares, found, args.lines, style);
        return table::Drawn { text, left_out: Vec::new() };
    }
    let columns = collect::columns(args);
    if args.tree {
        return table::draw(&Family::of(Some((run_dir, shares)), found).rows(), columns, style);
    }
    table::draw(&found.rows(), columns, style)
}

/// Nobody is to miss a column in silence that was asked for: what to say of that, and what to do about it.
fn left_out(session: &Session, args: &Status, drawn: &table::Drawn) -> Option<(String, Option<String>)> {
    if args.columns.is_empty() || drawn.left_out.is_empty() || session.is_quiet() {
        return None;
    }
    let names: Vec<&str> = drawn.left_out.iter().map(|column| column.name()).collect();
    let what = format!("the terminal is too narrow for these columns: {}", names.join(", "));
    Some((what, Some("--no-trunc shows them all".to_owned())))
}

/// That there is nothing, in words.
fn empty(args: &Status) -> &'static str {
    let asked_more = args.ended || args.failed || !args.name.is_empty() || !args.references.is_empty();
    match (args.alive, args.children) {
        _ if asked_more => "no process matches",
        (true, true) => "none of your processes is alive",
        (true, false) => "no process is alive",
        (false, true) => "you have no processes",
        (false, false) => "no processes",
    }
}

fn say_empty(session: &Session, args: &Status) -> Outcome {
    if session.is_quiet() {
        return Ok(0);
    }
    if terminal::is_terminal() {
        answer::line(empty(args))?;
    } else {
        report::lines(empty(args), None);
    }
    Ok(0)
}
