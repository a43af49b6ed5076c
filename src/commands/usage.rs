//! Wrong usage, and requests for help: what clap has to say, in procctl's form and with its exit statuses.

use clap::error::{Error, ErrorKind};

use super::{answer, report};
use crate::process::error::status;

/// Prints what clap says. Returns the exit status.
pub(super) fn answer(error: &Error) -> u8 {
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match answer::raw(error.render().to_string().as_bytes()) {
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
            report::lines(&what, hint.as_deref());
            status::FAILED
        }
    }
}

/// clap's text: `error: what`, further lines (indented lists, tips), usage, a pointer to help. One line and a hint are
/// made of it. Our own parsers say what is wrong with a value better than "invalid value" does.
fn in_our_form(text: &str) -> (String, Option<String>) {
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let lines: Vec<&str> = paragraph.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let what = lines.join(" ").trim_start_matches("error: ").to_owned();
    let what = match what.strip_prefix("invalid value ").and_then(|rest| rest.split_once("' for '")) {
        Some((_, rest)) => match rest.split_once("': ") {
            Some((option, why)) => format!("{}: {why}", option.split(' ').next().unwrap_or(option)),
            None => what,
        },
        None => what,
    };
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: ")).map(str::to_owned);
    let usage =
        text.lines().skip_while(|line| !line.starts_with("Usage: ")).take_while(|line| !line.is_empty());
    let usage = usage.map(|line| line.trim().trim_start_matches("Usage: ")).collect::<Vec<_>>().join(", or ");
    (what, tip.or((!usage.is_empty()).then_some(usage)))
}
