//! The table of processes.

pub mod columns;
pub mod layout;
mod plain;
pub mod row;
pub mod sort;

use std::borrow::Cow;

use comfy_table::{Cell, CellAlignment, ContentArrangement, Table};

use super::cut::{cut, width};
use super::tone::Tone;

pub use columns::Column;
pub use row::{Row, Subject};

/// How to draw.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Use colour.
    pub colour: bool,
    /// Fit it into this many columns; `None`: nothing is cut or left out.
    pub width: Option<u16>,
}

impl Style {
    fn limit(self) -> Option<usize> {
        self.width.map(usize::from)
    }
}

/// A table that was drawn.
#[derive(Debug)]
pub struct Drawn {
    /// A line for each row, below the headings.
    pub text: String,
    /// The columns that did not fit.
    pub left_out: Vec<Column>,
}

/// What stands in a row: all that is kept of what it is about, for there can be many.
#[derive(Debug)]
pub struct Line {
    texts: Vec<String>,
    tones: Vec<Tone>,
}

impl Line {
    /// What stands in that row.
    pub fn of(row: &Row<'_>, columns: &[Column], style: Style) -> Self {
        let texts = texts(row, columns, style.limit());
        Self { texts, tones: columns.iter().map(|&column| row.tone(column)).collect() }
    }

    fn of_headings(columns: &[Column]) -> Self {
        let texts = columns.iter().map(|column| column.heading()).collect();
        Self { texts, tones: vec![Tone::Strong; columns.len()] }
    }

    /// What is left of it in columns of these widths, of which some are left out.
    fn cut(self, widths: &[Option<usize>]) -> Self {
        let cells = self.texts.into_iter().zip(self.tones).zip(widths);
        let cells = cells.filter_map(|((text, tone), width)| Some((cut_to(text, (*width)?), tone)));
        let (texts, tones) = cells.unzip();
        Self { texts, tones }
    }

    /// Writes it as it has been arranged, each cell in its tone. Before each of them there are only spaces.
    fn paint(&self, arranged: &str, to: &mut String) {
        let mut rest = arranged;
        for (cell, tone) in self.texts.iter().zip(&self.tones) {
            let cell = cell.trim();
            if let Some((before, after)) = rest.split_once(cell) {
                to.push_str(before);
                to.push_str(&tone.paint(cell, true));
                rest = after;
            }
        }
        to.push_str(rest);
    }
}

/// Draws a table.
pub fn draw(rows: impl IntoIterator<Item = Line>, columns: &[Column], style: Style) -> Drawn {
    let all: Vec<Line> = [Line::of_headings(columns)].into_iter().chain(rows).collect();
    if let Some(limit) = style.limit() {
        return arrange(all, columns, limit, style.colour);
    }
    let text = plain::draw(&all, columns);
    let text = if style.colour { painted(text.lines(), &all) } else { text };
    Drawn { text, left_out: Vec::new() }
}

/// Draws one that has to fit.
fn arrange(all: Vec<Line>, columns: &[Column], limit: usize, colour: bool) -> Drawn {
    let widths = widths(&all, columns, limit);
    let kept: Vec<usize> = (0..columns.len()).filter(|&at| widths[at].is_some()).collect();

    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    let all: Vec<Line> = all.into_iter().map(|line| line.cut(&widths)).collect();
    for line in &all {
        table.add_row(line.texts.iter().map(Cell::new));
    }
    for (number, &at) in kept.iter().enumerate() {
        if let Some(column) = table.column_mut(number) {
            let is_last = number + 1 == kept.len();
            column.set_padding((0, if is_last { 0 } else { 2 }));
            if columns[at].is_number() {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let left_out = (0..columns.len()).filter(|at| !kept.contains(at)).map(|at| columns[at]).collect();
    let arranged: Vec<String> = table.lines().collect();
    let arranged = arranged.iter().map(|line| line.trim_end());
    let text =
        if colour { painted(arranged, &all) } else { arranged.flat_map(|line| [line, "\n"]).collect() };
    Drawn { text, left_out }
}

/// A line end after each row, and nothing before it.
fn painted<'a>(arranged: impl Iterator<Item = &'a str>, all: &[Line]) -> String {
    arranged.zip(all).fold(String::new(), |mut text, (arranged, line)| {
        line.paint(arranged, &mut text);
        text + "\n"
    })
}

fn texts(row: &Row<'_>, columns: &[Column], limit: Option<usize>) -> Vec<String> {
    let texts = columns.iter().enumerate().map(|(at, &column)| {
        let text = row.cell(column).unwrap_or_else(|| "-".to_owned());
        let text = if at == 0 { format!("{}{text}", row.stem) } else { text };
        // What is wider than the terminal is cut in any case: the rest of it need not be measured.
        match limit {
            Some(limit) if column.can_be_cut() => cut_to(text, limit),
            _ => text,
        }
    });
    texts.collect()
}

fn cut_to(text: String, columns: usize) -> String {
    match cut(&text, columns) {
        Cow::Borrowed(whole) if whole.len() == text.len() => text,
        kept => kept.into_owned(),
    }
}

fn widths(lines: &[Line], columns: &[Column], limit: usize) -> Vec<Option<usize>> {
    let natural = |at: usize| lines.iter().map(|line| width(&line.texts[at])).max().unwrap_or(0);
    let mut wishes: Vec<_> =
        columns.iter().enumerate().map(|(at, column)| column.wish(natural(at), limit)).collect();
    // Nobody asked for it, and it says `no` nearly always.
    for (wish, column) in wishes.iter_mut().zip(columns) {
        wish.modest = columns == Column::TABLE && *column == Column::Daemon;
    }
    layout::fit(&wishes, limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_plain_one_looks_as_one_that_is_arranged(
            rows in proptest::collection::vec(proptest::collection::vec("[ -~éñ日\u{301}]{0,12}", 3), 0..6),
            columns in proptest::sample::subsequence(Column::ALL.to_vec(), 3),
        ) {
            let lines = || {
                let rows = rows.iter().map(|texts| Line { texts: texts.clone(), tones: vec![Tone::Bad; 3] });
                [Line::of_headings(&columns)].into_iter().chain(rows).collect::<Vec<_>>()
            };
            let plain = plain::draw(&lines(), &columns);
            prop_assert_eq!(&plain, &arrange(lines(), &columns, 1000, false).text);

            let painted = arrange(lines(), &columns, 1000, true).text;
            prop_assert_eq!(&painted, &super::painted(plain.lines(), &lines()));
            let texts = lines().into_iter().flat_map(|line| line.texts);
            let cells = texts.filter(|text| !text.trim().is_empty()).count();
            prop_assert_eq!(painted.matches("\x1b[0m").count(), cells);
            let bare = ["0", "1", "31"].iter().fold(painted, |text, code| text.replace(&format!("\x1b[{code}m"), ""));
            prop_assert_eq!(plain, bare);
        }
    }

    #[test]
    fn what_is_very_long_stays_in_one_line_and_keeps_no_other_away() {
        for colour in [false, true] {
            let line =
                |command: String| Line { texts: vec!["a".to_owned(), command], tones: vec![Tone::Good; 2] };
            let lines = [line("b ".repeat(70_000)), line("last".to_owned())];
            let drawn = draw(lines, &[Column::Id, Column::Command], Style { colour, width: None });
            assert_eq!(drawn.text.lines().count(), 3);
            assert!(drawn.text.lines().last().is_some_and(|line| line.contains("last")));
        }
    }
}
