//! `procctl __complete`: what the shells' completions ask for. Not in the grammar, for people never type it.
//!
//!     procctl __complete bash LINE REPLACED     LINE up to the cursor, and its end that bash would replace
//!     procctl __complete zsh|fish WORD...       the words without quotes, up to the cursor
//!
//! The first line of the answer says what else the shell is to offer, and how:
//!
//!     nothing|files|directories|command ATTACHED FOLLOWS AT
//!
//! ATTACHED is how many characters (ASCII ones) of the last word stand before the value (`--run-dir=`), FOLLOWS `on` if something has to
//! follow a candidate directly, AT (for `command`) which of the words begins the command of the system. The other lines are
//! candidates, written as the shell takes them. There are no errors: who presses a key gets nothing, at worst.

mod line;
mod offer;
mod place;

use std::ffi::OsString;
use std::fmt::Write;

use line::Line;
use offer::{Besides, Candidate, Offer};

use super::answer;
use crate::cli;

/// The word in the place of a command that asks for this.
pub(super) const WORD: &str = "__complete";

/// Answers a shell.
#[inline(never)]
pub(super) fn run(arguments: &[OsString]) -> u8 {
    let texts: Vec<String> = arguments.iter().map(|text| text.to_string_lossy().into_owned()).collect();
    let answer = match texts.split_first() {
        Some((shell, rest)) => match (shell.as_str(), rest) {
            ("bash", [line, replaced]) => for_bash(line, replaced),
            ("zsh", words) => for_zsh(words),
            ("fish", words) => for_fish(words),
            _ => String::new(),
        },
        None => String::new(),
    };
    // A shell that has gone away needs no answer.
    let _ = answer::raw(answer.as_bytes());
    0
}

/// What is offered at the end of these words (the program's name is not among them), and the number of characters before
/// the value.
fn offer_at(words: &[String]) -> (Offer, usize) {
    let mut grammar = cli::command();
    grammar.build();
    let place = place::find(&grammar, words);
    let typed = words.last().map_or("", |word| &word[place.attached..]);
    let offer = offer::at(&grammar, &place, typed);
    (offer, place.attached)
}

fn head(offer: &Offer, attached: usize) -> String {
    let (besides, at) = match offer.besides {
        Besides::Nothing => ("nothing", 0),
        Besides::Files => ("files", 0),
        Besides::Directories => ("directories", 0),
        Besides::Command(at) => ("command", at),
    };
    let follows = if offer.goes_on { "on" } else { "-" };
    format!("{besides} {} {follows} {at}\n", attached + offer.before_file)
}

/// Candidates as they are to be inserted; bash neither filters nor quotes them, and shows nothing beside them.
fn for_bash(line: &str, replaced: &str) -> String {
    let line = Line::read(line);
    let words = &line.words[1.min(line.words.len() - 1)..];
    let (offer, attached) = offer_at(words);
    let before = words.last().map_or("", |word| &word[..attached]);
    let typed = words.last().map_or("", String::as_str);
    let mut answer = head(&offer, attached);
    for Candidate { value, .. } in &offer.candidates {
        let whole = format!("{before}{value}");
        if let Some(written) = Some(whole)
            .filter(|whole| whole.starts_with(typed))
            .and_then(|whole| line.write(&whole, replaced))
        {
            let _ = writeln!(answer, "{written}");
        }
    }
    answer
}

/// `VALUE:DESCRIPTION`, as `_describe` takes it.
fn for_zsh(words: &[String]) -> String {
    let (offer, attached) = offer_at(words);
    let mut answer = head(&offer, attached);
    for Candidate { value, about } in &offer.candidates {
        let value = value.replace('\\', "\\\\").replace(':', "\\:");
        let _ = writeln!(answer, "{value}:{about}");
    }
    answer
}

/// `VALUE`, a tab, `DESCRIPTION`, where the value is the whole word.
fn for_fish(words: &[String]) -> String {
    let (offer, attached) = offer_at(words);
    let before = words.last().map_or("", |word| &word[..attached]);
    let mut answer = head(&offer, attached);
    for Candidate { value, about } in &offer.candidates {
        let _ = writeln!(answer, "{before}{value}\t{about}");
    }
    answer
}
