//! The table of processes.

use comfy_table::{Cell, Color, ContentArrangement, Table};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use crate::process::observe::{Life, Observed};
use crate::process::record::Parent;
use crate::process::time::Moment;

use super::{age, escape, shell, terminal};

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Use colour.
    pub colour: bool,
    /// Cut the command to this many columns in all; `None`: never.
    pub width: Option<u16>,
}

/// One row: a process, or a record that cannot be used.
#[derive(Debug)]
pub enum Row<'a> {
    /// A process.
    Process(&'a Observed),
    /// Its id, and why its record cannot be used.
    Broken(&'a str, &'a str),
}

const COLUMNS: [&str; 8] = ["ID", "NAME", "PID", "STATE", "DAEMON", "PARENT", "AGE", "COMMAND"];

/// The table, with a line end after each row.
pub fn draw(rows: &[Row<'_>], style: Style) -> String {
    let rows: Vec<[String; 8]> = rows.iter().map(cells).collect();
    let mut table = Table::new();
    table.set_content_arrangement(ContentArrangement::Disabled);
    let mut lines = vec![COLUMNS.map(str::to_owned)];
    lines.extend(rows);
    let mut widths = [0usize; 8];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = (*width).max(cell.width());
        }
    }
    // Two columns of space after each but the last.
    let before: usize = widths[..7].iter().map(|width| width + 2).sum();
    if let Some(total) = style.width {
        let left = usize::from(total).saturating_sub(before).max(8);
        for line in &mut lines {
            line[7] = cut(&line[7], left);
        }
    }
    for (at, line) in lines.into_iter().enumerate() {
        let heading = at == 0;
        let cells = line.into_iter().enumerate().map(|(column, text)| {
            let colour = if heading || !style.colour || column != 3 { None } else { colour_of(&text) };
            let cell = Cell::new(text);
            match colour {
                Some(colour) => cell.fg(colour),
                None => cell,
            }
        });
        table.add_row(cells.collect::<Vec<_>>());
    }
    plain_lines(&mut table, style.colour)
}

/// Without any lines: columns two spaces apart, nothing at the end of a row.
fn plain_lines(table: &mut Table, colour: bool) -> String {
    table.load_style(comfy_table::presets::NOTHING);
    if colour {
        table.enforce_styling();
    } else {
        table.force_no_tty();
    }
    let columns = table.column_count();
    for at in 0..columns {
        if let Some(column) = table.column_mut(at) {
            column.set_padding((0, if at + 1 == columns { 0 } else { 2 }));
        }
    }
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
}

fn cells(row: &Row<'_>) -> [String; 8] {
    match row {
        Row::Process(seen) => process(seen),
        Row::Broken(id, why) => {
            let why = escape::text(why);
            let none = || "-".to_owned();
            [(*id).to_owned(), none(), none(), "broken".to_owned(), none(), none(), none(), why]
        }
    }
}

fn process(seen: &Observed) -> [String; 8] {
    let record = &seen.record;
    let command = shell::line(record.command.iter().map(crate::process::text::Text::as_os_str));
    [
        record.id.to_string(),
        escape::text(&record.name),
        record.pid.map_or("-".to_owned(), |pid| pid.to_string()),
        state(seen),
        if record.daemon { "yes" } else { "no" }.to_owned(),
        record.parent.as_ref().map_or("-".to_owned(), parent),
        lifetime(seen).unwrap_or("-".to_owned()),
        command,
    ]
}

fn state(seen: &Observed) -> String {
    match &seen.life {
        Life::Elsewhere => format!("on {}", escape::text(&seen.record.host)),
        Life::Ending(_) => "ending".to_owned(),
        _ => seen.record.state_in_words(),
    }
}

fn parent(parent: &Parent) -> String {
    parent.id.as_ref().map_or_else(|| parent.process.pid.to_string(), ToString::to_string)
}

/// How long it has lived, or lived.
fn lifetime(seen: &Observed) -> Option<String> {
    let started = seen.record.started_at?;
    let lived = match seen.record.stopped_at {
        Some(stopped) => stopped.since(started),
        None if seen.is_alive() => Moment::elapsed(started),
        None => return None,
    };
    Some(age::short(lived))
}

fn colour_of(state: &str) -> Option<Color> {
    match state {
        "started" => Some(Color::Green),
        "initial" => Some(Color::Cyan),
        "stopped" => None,
        "lost" | "broken" => Some(Color::Magenta),
        _ if state.starts_with("stopped[") => Some(Color::Red),
        _ => Some(Color::Yellow),
    }
}

/// Cuts a text to that many columns; a cut one ends in `…`.
fn cut(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut kept = String::new();
    let mut used = 0;
    for c in text.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > columns {
            break;
        }
        kept.push(c);
    }
    kept.push('…');
    kept
}

/// The width to cut to, for standard output.
pub fn width_for_output(no_trunc: bool) -> Option<u16> {
    if no_trunc || !terminal::is_terminal() { None } else { terminal::width() }
}
