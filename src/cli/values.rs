//! The words of the command line, read.

use std::ffi::OsStr;

use std::time::Duration;

use clap::builder::{OsStringValueParser, PossibleValue, StringValueParser, TypedValueParser};

use crate::os::signals;
use crate::output::table::Column;
use crate::output::table::sort::Key;
use crate::process::{name, time};

pub(super) fn parse_name(text: &str) -> Result<String, String> {
    name::check(text).map(|()| text.to_owned())
}

pub(super) fn parse_pid(text: &str) -> Result<i32, String> {
    let pid = text.parse().ok().filter(|&pid| pid > 0);
    pid.ok_or_else(|| format!("'{}' is no pid", text.escape_debug()))
}

/// How many processes are started at once. Each takes two pids, of which a kernel has 4 million at most.
pub(super) fn parse_count(text: &str) -> Result<u32, String> {
    const MOST: u32 = 100_000;
    match text.parse::<u64>() {
        Ok(0) => Err("it must be at least 1".to_owned()),
        Ok(count) => match u32::try_from(count) {
            Ok(count) if count <= MOST => Ok(count),
            _ => Err(format!("no more than {MOST} are started at once")),
        },
        Err(_) => Err(format!("'{}' is no number of processes", text.escape_debug())),
    }
}

pub(super) fn parse_descriptor(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|&number| number >= 0);
    number
        .ok_or_else(|| format!("'{}' is no descriptor: write the number of an open one", text.escape_debug()))
}

/// How often something is done.
pub(super) fn parse_every(text: &str) -> Result<Duration, String> {
    let every = time::parse(text)?;
    if every.is_zero() { Err("it must be more than zero".to_owned()) } else { Ok(every) }
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

/// A column. Help and completions list them.
#[derive(Clone)]
pub(super) struct ColumnParser;

impl TypedValueParser for ColumnParser {
    type Value = Column;

    fn parse_ref(
        &self,
        command: &clap::Command,
        argument: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<Column, clap::Error> {
        let parse = |text: String| Column::parse(&text).ok_or_else(|| no_column(&text));
        StringValueParser::new().try_map(parse).parse_ref(command, argument, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(Column::ALL.into_iter().map(|column| PossibleValue::new(column.name()))))
    }
}

pub(super) fn parse_key(text: &str) -> Result<Key, String> {
    Key::parse(text).ok_or_else(|| no_column(text))
}

fn no_column(text: &str) -> String {
    format!("'{}' is no column; there are {}", text.escape_debug(), Column::names())
}

pub(super) fn parse_pattern(text: &str) -> Result<glob::Pattern, String> {
    glob::Pattern::new(text).map_err(|e| format!("'{}' is no pattern: {}", text.escape_debug(), e.msg))
}
