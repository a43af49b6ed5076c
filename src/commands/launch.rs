//! From launch options to what the domain launches.

use std::ffi::{OsStr, OsString};

use anyhow::Context;

use super::answer;
use super::session::Session;
use crate::cli::Launch;
use crate::os::fs::FileError;
use crate::output::shell;
use crate::process::authkey;
use crate::process::environment::Changes;
use crate::process::error::{Error, Result};
use crate::process::id::Id;
use crate::process::launch::{self, Request};
use crate::process::record::Record;
use crate::process::streams::{Stream, Streams, Which};

/// Where the standard streams go when nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ground {
    /// Nothing in, everything to the log.
    Back,
    /// Those of the caller.
    Fore,
}

/// Resolves the options. Nothing is made yet.
#[inline(never)]
pub(super) fn request(options: &Launch, command: &[OsString], ground: Ground) -> Result<Request> {
    for &passed in &options.fd {
        launch::check_passed(passed)?;
    }
    let stream = |word: &Option<OsString>, which, default| match (word, ground) {
        (Some(word), _) => Stream::from_word(word, which),
        (None, Ground::Fore) => Ok(Stream::Inherit),
        (None, Ground::Back) => Ok(default),
    };
    let directory = match &options.cwd {
        Some(cwd) => Some(std::path::absolute(cwd).map_err(|e| FileError::new("find", cwd, e))?),
        None => None,
    };
    Ok(Request {
        command: command.to_vec(),
        name: options.name.clone(),
        daemon: options.daemon_flag(),
        unique: options.unique,
        parent: options.parent,
        directory,
        changes: Changes::new(options.clear_env, &options.env)?,
        streams: Streams {
            input: stream(&options.stdin, Which::Input, Stream::Null)?,
            output: stream(&options.stdout, Which::Output, Stream::Log)?,
            error: stream(&options.stderr, Which::Error, Stream::Log)?,
        },
        passed: options.fd.clone(),
        authkey: options.authkey_file.as_deref().map(authkey::from_file).transpose()?,
        index: None,
    })
}

/// Checks that there is a command and that it stands after `--`.
pub(super) fn check_command(
    session: &Session,
    subcommand: &str,
    stray: &[OsString],
    command: &[OsString],
) -> Result<()> {
    if let Some(first) = stray.first() {
        let words: Vec<&OsStr> = stray.iter().chain(command).map(OsString::as_os_str).collect();
        let (options, line) = (shell::line(session.options_before(&words)), shell::line(words));
        return Err(Error::hinted(
            format!("'{}' stands before '--', and the command belongs after it", first.to_string_lossy()),
            format!("procctl {options} -- {line}"),
        ));
    }
    if command.is_empty() {
        return Err(Error::hinted("no command given", format!("procctl {subcommand} -- CMD [ARG]...")));
    }
    Ok(())
}

/// Prints the id of a process, or its record.
pub(super) fn print(record: &Record, json: bool) -> anyhow::Result<()> {
    if json {
        return answer::json(record);
    }
    answer::line(record.id.as_str())
        .with_context(|| format!("{} is there, and could not be printed", record.id))
}

/// Prints the ids of several processes, one a line.
pub(super) fn print_ids(ids: &[Id]) -> anyhow::Result<()> {
    let lines: String = ids.iter().flat_map(|id| [id.as_str(), "\n"]).collect();
    answer::raw(lines.as_bytes()).with_context(|| told_in_vain(ids.len()))
}

/// Prints the records of several processes, one after the other.
pub(super) fn print_records(records: &[Record]) -> anyhow::Result<()> {
    let texts = records.iter().map(answer::json_text).collect::<Result<String>>()?;
    answer::raw(texts.as_bytes()).with_context(|| told_in_vain(records.len()))
}

fn told_in_vain(count: usize) -> String {
    format!("{count} processes were started, and their ids could not be printed (see procctl status)")
}
