//! `procctl status`: a table of processes, a page of one, or the family as a tree.

mod collect;
mod family;
mod pages;
mod scripts;
mod watch;

use super::{Outcome, Session, answer, report};
use crate::cli::Status;
use crate::output::table::{self, Line, Style};
use crate::output::terminal;
use crate::process::rundir::RunDir;
use crate::process::share::Shares;

use collect::{Found, Process};
use family::Family;
use scripts::{Pieces, Scripts};

pub(super) fn run(session: &Session, args: &Status) -> Outcome {
    let scripts = Scripts::new(args)?;
    if let Some(every) = args.watch {
        return watch::run(session, args, &scripts, every);
    }
    let Some(run_dir) = session.run_dir()? else {
        if !args.references.is_empty() {
            return session.existing_run_dir().map(|_| 0).map_err(Into::into);
        }
        return if scripts.are_there() {
            scripts.print(&Pieces::default(), &[])
        } else {
            say_empty(session, args)
        };
    };
    let shares = Shares::default();
    if scripts.are_there() {
        return for_scripts(&run_dir, args, &scripts, &shares);
    }
    let style = style(session, args);
    let drawn = if args.tree || collect::is_pages(args) {
        let mut found = collect::collect(&run_dir, args, &shares, |one, _| Ok(one))?;
        tell_complaints(&mut found);
        (!found.is_empty()).then(|| draw(&run_dir, &shares, args, &found, style))
    } else {
        let columns = collect::columns(args);
        let mut found =
            collect::collect(&run_dir, args, &shares, |one, _| Ok(Line::of(&one.row(), columns, style)))?;
        tell_complaints(&mut found);
        (!found.is_empty()).then(|| {
            let lines = std::mem::take(&mut found.processes);
            let broken = found.broken_rows().map(|row| Line::of(&row, columns, style));
            table::draw(lines.into_iter().chain(broken), columns, style)
        })
    };
    let Some(drawn) = drawn else { return say_empty(session, args) };
    answer::raw(drawn.text.as_bytes())?;
    if let Some((what, hint)) = left_out(session, args, &drawn) {
        report::lines(&what, hint.as_deref());
    }
    Ok(0)
}

fn for_scripts(run_dir: &RunDir, args: &Status, scripts: &Scripts<'_>, shares: &Shares) -> Outcome {
    let broken = if args.tree {
        let mut found = collect::collect(run_dir, args, shares, |one, _| Ok(one))?;
        tell_complaints(&mut found);
        answer::raw(&scripts.text(&found)?)?;
        found.broken
    } else {
        let mut pieces = Pieces::default();
        let mut found = collect::collect(run_dir, args, shares, |one, file| {
            scripts.add(&one.seen.record, file, &mut pieces)
        })?;
        tell_complaints(&mut found);
        scripts.print(&pieces, &found.processes)?;
        found.broken
    };
    // The answer has only what is a record.
    for (_, why) in &broken {
        report::lines(why, None);
    }
    Ok(0)
}

/// The others are shown all the same.
fn tell_complaints<T>(found: &mut Found<T>) {
    report::errors(std::mem::take(&mut found.complaints));
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
        let family = Family::of(Some((run_dir, shares)), found);
        return table::draw(family.rows().iter().map(|row| Line::of(row, columns, style)), columns, style);
    }
    let rows = found.processes.iter().map(Process::row).chain(found.broken_rows());
    table::draw(rows.map(|row| Line::of(&row, columns, style)), columns, style)
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
