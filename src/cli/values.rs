//! The words of the command line, read.

use clap::builder::{OsStringValueParser, PossibleValuesParser, TypedValueParser};

use crate::os::signals;
use crate::output::table::Column;
use crate::output::table::sort::Key;
use crate::process::name;

pub(super) fn parse_name(text: &str) -> Result<String, String> {
    name::check(text).map(|()| text.to_owned())
}

pub(super) fn parse_pid(text: &str) -> Result<i32, String> {
    let pid = text.parse().ok().filter(|&pid| pid > 0);
    pid.ok_or_else(|| format!("'{}' is no pid", text.escape_debug()))
}

pub(super) fn parse_descriptor(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|&number| number >= 0);
    number
        .ok_or_else(|| format!("'{}' is no descriptor: write the number of an open one", text.escape_debug()))
}

pub(super) fn parse_lines(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("'{}' is no number of lines", text.escape_debug()))
}

/// Names and ids are UTF-8.
pub(super) fn reference() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new()
        .try_map(|text| text.into_string().map_err(|text| format!("no process '{}'", text.to_string_lossy())))
}

pub(super) fn parse_signal(text: &str) -> Result<i32, String> {
    let wrong = || {
        format!(
            "'{}' is no signal: write a name (TERM, USR1, RTMIN+1) or a number from 0 to 64",
            text.escape_debug()
        )
    };
    signals::parse(text).ok_or_else(wrong)
}

/// The names of the columns are listed by help and completions.
pub(super) fn columns() -> impl TypedValueParser<Value = Column> {
    PossibleValuesParser::new(Column::ALL.map(Column::name))
        .try_map(|name| Column::parse(&name).ok_or("no such column"))
}

pub(super) fn parse_key(text: &str) -> Result<Key, String> {
    Key::parse(text).ok_or_else(|| format!("'{}' is no column: {}", text.escape_debug(), Column::names()))
}

pub(super) fn parse_pattern(text: &str) -> Result<glob::Pattern, String> {
    glob::Pattern::new(text).map_err(|e| format!("'{}' is no pattern: {}", text.escape_debug(), e.msg))
}
