//! A table that need not fit, as it goes into a pipe: there can be many rows, and long ones, so each is written in one go. It
//! looks as one that is drawn for a terminal.

use std::iter::repeat_n;

use super::layout::GAP;
use super::{Column, Line};
use crate::output::cut::width;

/// A line end after each row, and nothing before it.
pub(super) fn draw(lines: &[Line], columns: &[Column]) -> String {
    let widest = |at: usize| lines.iter().map(|line| width(&line.texts[at])).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns.len()).map(widest).collect();
    let mut drawn = String::new();
    for line in lines {
        let begin = drawn.len();
        for (at, text) in line.texts.iter().enumerate() {
            if at > 0 {
                drawn.extend(repeat_n(' ', GAP));
            }
            let space = repeat_n(' ', widths[at] - width(text));
            if columns[at].is_number() {
                drawn.extend(space);
                drawn.push_str(text);
            } else {
                drawn.push_str(text);
                drawn.extend(space);
            }
        }
        drawn.truncate(begin + drawn[begin..].trim_end().len());
        drawn.push('\n');
    }
    drawn
}
