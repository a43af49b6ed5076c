//! Printing answers to standard output. A reader that has gone away is no error.

use std::io::{self, BufWriter, ErrorKind, Write};

use serde::Serialize;

use crate::os::{fd, signals};
use crate::output::{escape, terminal};
use crate::process::error::{Error, Result};
use crate::process::record::Record;

/// Prints bytes as they are. Says whether somebody still reads.
pub(super) fn stream(bytes: &[u8]) -> anyhow::Result<bool> {
    is_read(signals::without_sigpipe(|| standard_output().write_all(bytes)))
}

/// Prints what is written in many pieces.
pub(super) fn written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> anyhow::Result<()> {
    const AT_ONCE: usize = 64 << 10;
    let print = || {
        let mut out = BufWriter::with_capacity(AT_ONCE, standard_output());
        write(&mut out)?;
        out.flush()
    };
    is_read(signals::without_sigpipe(print)).map(drop)
}

/// Not std's, whose buffer would only copy what is there already, and which looks for line ends in all of it.
fn standard_output() -> fd::Writer<'static> {
    fd::Writer(rustix::stdio::stdout())
}

fn is_read(printed: io::Result<()>) -> anyhow::Result<bool> {
    match printed {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(e) => Err(Error::system("cannot write to standard output", e).into()),
    }
}

/// Prints bytes as they are.
pub(super) fn raw(bytes: &[u8]) -> anyhow::Result<()> {
    stream(bytes).map(drop)
}

/// Prints text that is safe for a terminal, and a line end.
pub(super) fn line(text: &str) -> anyhow::Result<()> {
    raw(format!("{text}\n").as_bytes())
}

/// Prints a value as it is, or escaped on a terminal, and a line end.
pub(super) fn value(bytes: &[u8]) -> anyhow::Result<()> {
    if terminal::is_terminal() {
        return line(&escape::text(&String::from_utf8_lossy(bytes)));
    }
    raw(&[bytes, b"\n"].concat())
}

/// JSON for standard output: one value, indented on a terminal, and a line end.
pub(super) fn json_text(value: &impl Serialize) -> Result<String> {
    let text = if terminal::is_terminal() {
        serde_json::to_string_pretty(value)
    } else {
        serde_json::to_string(value)
    };
    let text = text.map_err(|e| Error::system("cannot write JSON", e))?;
    Ok(escape::json(&text).into_owned() + "\n")
}

/// Prints JSON.
pub(super) fn json(value: &impl Serialize) -> anyhow::Result<()> {
    raw(json_text(value)?.as_bytes())
}

/// A record as a JSON value.
pub(super) fn to_value(record: &Record) -> Result<serde_json::Value> {
    serde_json::to_value(record).map_err(|e| Error::system("cannot write JSON", e))
}
