//! The table of processes.

pub mod columns;
pub mod layout;
mod plain;
pub mod row;
pub mod sort;

use std::borrow::Cow;

use comfy_table::{CellAlignment, ContentArrangement, Table};

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
}

/// Draws a table.
pub fn draw(rows: impl IntoIterator<Item = Line>, columns: &[Column], style: Style) -> Drawn {
    let all: Vec<Line> = [Line::of_headings(columns)].into_iter().chain(rows).collect();
    if style.width.is_none() && !style.colour {
        return Drawn { text: plain::draw(&all, columns), left_out: Vec::new() };
    }
    arrange(all, columns, style)
}

/// Draws one that may have to fit, or has colour.
fn arrange(all: Vec<Line>, columns: &[Column], style: Style) -> Drawn {
    let widths = widths(&all, columns, style.limit());
    let kept: Vec<usize> = (0..columns.len()).filter(|&at| widths[at].is_some()).collect();

    let mut table = Table::new();
    table.load_style(comfy_table::presets::NOTHING);
    table.set_content_arrangement(ContentArrangement::Disabled);
    for line in all {
        let cells = line.texts.into_iter().zip(line.tones).zip(&widths);
        let cells = cells.filter_map(|((text, tone), width)| Some(tone.cell(cut_to(text, (*width)?))));
        table.add_row(cells.collect::<Vec<_>>());
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
    Drawn { text: lines(&mut table, style.colour), left_out }
}

/// A line end after each row, and nothing before it.
fn lines(table: &mut Table, colour: bool) -> String {
    if colour {
        table.enforce_styling();
        table.style_text_only();
    } else {
        table.force_no_tty();
    }
    table.lines().fold(String::new(), |text, line| text + line.trim_end() + "\n")
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

fn widths(lines: &[Line], columns: &[Column], limit: Option<usize>) -> Vec<Option<usize>> {
    let natural = |at: usize| lines.iter().map(|line| width(&line.texts[at])).max().unwrap_or(0);
    match limit {
        None => (0..columns.len()).map(|_| Some(usize::MAX)).collect(),
        Some(limit) => {
            let mut wishes: Vec<_> =
                columns.iter().enumerate().map(|(at, column)| column.wish(natural(at), limit)).collect();
            // Nobody asked for it, and it says `no` nearly always.
            for (wish, column) in wishes.iter_mut().zip(columns) {
                wish.modest = columns == Column::TABLE && *column == Column::Daemon;
            }
            layout::fit(&wishes, limit)
        }
    }
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
            let style = Style { colour: false, width: None };
            prop_assert_eq!(plain::draw(&lines(), &columns), arrange(lines(), &columns, style).text);
        }
    }

    #[test]
    fn what_is_very_long_stays_in_one_line() {
        let line = Line { texts: vec!["a".to_owned(), "b ".repeat(70_000)], tones: vec![Tone::Plain; 2] };
        let drawn = draw([line], &[Column::Id, Column::Command], Style { colour: false, width: None });
        assert_eq!(drawn.text.lines().count(), 2);
    }
}
