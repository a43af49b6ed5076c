//! Wrong usage, and requests for help: what clap has to say, in procctl's form and with its exit statuses.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};

use super::{answer, help, report};
use crate::cli;
use crate::os::signals;
use crate::output::shell;
use crate::process::error::status;

/// Prints what clap says. Returns the exit status.
#[inline(never)]
pub(super) fn answer(error: &Error, arguments: &[OsString]) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            let asked = if error.kind() == ErrorKind::DisplayHelp { help::text(arguments) } else { None };
            let text = asked.unwrap_or_else(|| error.render().to_string());
            match answer::raw(text.as_bytes()) {
                Ok(()) => 0,
                Err(e) => report::error(&e),
            }
        }
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            report::lines("no command given", Some("procctl --help lists the commands"));
            status::FAILED
        }
        _ => {
            let (what, hint) = in_our_form(&error.render().to_string());
            let better = better_hint(error, arguments);
            report::lines(&what, better.or(hint).as_deref());
            status::FAILED
        }
    }
}

/// What was meant, where the words tell.
fn better_hint(error: &Error, arguments: &[OsString]) -> Option<String> {
    let grammar = cli::command();
    let words: Vec<&str> = arguments.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    let at = 1 + first_word(&grammar, words.get(1..)?)?;
    let (command, rest) = (words[at], &words[at + 1..]);
    if let Some(others) = who_takes(error, &grammar, command, rest) {
        return Some(others);
    }
    match (error.kind(), command) {
        (ErrorKind::InvalidSubcommand, _) => Some(match known_elsewhere_as(command) {
            Some(here) => format!("procctl {here}"),
            None => {
                similar_to(error, command).unwrap_or_else(|| "procctl --help lists the commands".to_owned())
            }
        }),
        (ErrorKind::UnknownArgument, "kill") => {
            let is_signal =
                |word: &&&str| word.strip_prefix('-').is_some_and(|name| signals::parse(name).is_some());
            let signal = rest.iter().find(is_signal)?;
            let others: Vec<&str> = rest.iter().filter(|word| word != &signal).copied().collect();
            Some(format!("procctl kill -s {} {}", signal.trim_start_matches('-'), others.join(" ")))
        }
        // An option of a command that was given without `--`.
        (ErrorKind::UnknownArgument, "run" | "start" | "create") if !words.contains(&"--") => {
            let first = at + 1 + first_word(grammar.find_subcommand(command)?, rest)?;
            let line = shell::line(arguments[first..].iter().map(OsString::as_os_str));
            Some(format!("procctl {} -- {line}", words[1..first].join(" ")))
        }
        _ => None,
    }
}

/// The commands that have an option which this one has not. Behind a command that was given without `--` it is that command's.
fn who_takes(error: &Error, grammar: &clap::Command, command: &str, rest: &[&str]) -> Option<String> {
    let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg) else { return None };
    let name = option.strip_prefix("--").filter(|_| error.kind() == ErrorKind::UnknownArgument)?;
    if matches!(command, "run" | "start" | "create") {
        let here = rest.iter().position(|word| word.split('=').next() == Some(option))?;
        if first_word(grammar.find_subcommand(command)?, rest).is_some_and(|first| first < here) {
            return None;
        }
    }
    let takes =
        |other: &&clap::Command| other.get_arguments().any(|argument| argument.get_long() == Some(name));
    let takers: Vec<&str> = grammar.get_subcommands().filter(takes).map(clap::Command::get_name).collect();
    (!takers.is_empty()).then(|| format!("{option} is an option of {} only", takers.join(", ")))
}

/// The first word that is neither an option nor the value of one.
pub(super) fn first_word(grammar: &clap::Command, words: &[&str]) -> Option<usize> {
    let takes_value = |word: &str| {
        grammar.get_arguments().filter(|argument| argument.get_action().takes_values()).any(|argument| {
            let long = argument.get_long().is_some_and(|long| word.strip_prefix("--") == Some(long));
            long || argument
                .get_short()
                .is_some_and(|short| word.strip_prefix('-') == Some(&short.to_string()))
        })
    };
    let mut at = 0;
    while words.get(at)?.starts_with('-') {
        at += if takes_value(words[at]) { 2 } else { 1 };
    }
    words.get(at).map(|_| at)
}

/// The commands that may have been meant. What is mistyped has the right letter first, nearly always.
fn similar_to(error: &Error, command: &str) -> Option<String> {
    let Some(ContextValue::Strings(similar)) = error.get(ContextKind::SuggestedSubcommand) else {
        return None;
    };
    let same_letter = |other: &&String| other.chars().next() == command.chars().next();
    // The most similar one is the last.
    let best: Vec<&str> = similar.iter().rev().filter(same_letter).take(2).map(String::as_str).collect();
    (!best.is_empty()).then(|| format!("procctl {}", best.join(", procctl ")))
}

/// What other tools call our commands.
fn known_elsewhere_as(command: &str) -> Option<&'static str> {
    Some(match command {
        "stop" | "term" | "signal" => "terminate",
        "wait" => "join",
        "ps" | "ls" | "list" | "show" | "top" => "status",
        "rm" | "remove" | "delete" | "forget" | "prune" | "clean" => "close",
        "exec" | "spawn" | "launch" => "start",
        "log" | "tail" => "logs",
        "inspect" => "get",
        "rename" => "set",
        _ => return None,
    })
}

/// clap's text: `error: what`, further lines (indented lists, tips), usage, a pointer to help. One line and a hint are
/// made of it. Our own parsers say what is wrong with a value better than "invalid value" does.
fn in_our_form(text: &str) -> (String, Option<String>) {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let what = lines.join(" ").trim_start_matches("error: ").to_owned();
    let what = match what.strip_prefix("invalid value ").and_then(|rest| rest.split_once("' for '")) {
        Some((_, rest)) => match rest.split_once("': ") {
            // `--timeout <T>`, `--watch[=<T>]`, `<REF>`, `[FIELD]`: what people type of it.
            Some((option, why)) if option.starts_with('-') => {
                format!("{}: {why}", option.split([' ', '[', '=']).next().unwrap_or(option))
            }
            Some((argument, why)) => format!("{}: {why}", argument.split(' ').next().unwrap_or(argument)),
            None => what,
        },
        None => what,
    };
    // "To pass '-x' as a value" is never what was meant.
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: ")).map(str::to_owned);
    let tip = tip.filter(|tip| !tip.contains("as a value"));
    let usage =
        text.lines().skip_while(|line| !line.starts_with("Usage: ")).take_while(|line| !line.is_empty());
    let usage = usage.map(|line| line.trim().trim_start_matches("Usage: ")).collect::<Vec<_>>().join(", or ");
    (what, tip.or((!usage.is_empty()).then_some(usage)))
}
