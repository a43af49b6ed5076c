//! What is offered at a place.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};

use super::place::{self, Expected, Place};
use crate::os::signals;
use crate::output::{escape, shell};
use crate::process::entry::Entry;
use crate::process::family::ID_VARIABLE;
use crate::process::fields;
use crate::process::glance::{self, Stand, Wanted};
use crate::process::id::Id;
use crate::process::record::Record;
use crate::process::rundir::{self, RunDir};
use crate::process::text::Text;

/// What the shell is to offer besides our own candidates.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Besides {
    #[default]
    Nothing,
    Files,
    Directories,
    /// All that it knows of the command of the system that begins with that word.
    Command(usize),
}

/// One candidate.
#[derive(Debug)]
pub(super) struct Candidate {
    /// What is inserted. Without control characters.
    pub(super) value: String,
    /// What it is, safe for a terminal; may be empty.
    pub(super) about: String,
}

/// What is offered.
#[derive(Debug, Default)]
pub(super) struct Offer {
    pub(super) besides: Besides,
    pub(super) candidates: Vec<Candidate>,
    /// Something has to follow directly, so that no space should.
    pub(super) goes_on: bool,
    /// How many bytes of what is typed stand before a file's name.
    pub(super) before_file: usize,
}

impl Offer {
    /// Adds one, unless it has control characters in it: to be inserted it would have to be raw, and a line end would make
    /// two of it.
    fn add(&mut self, value: impl Into<String>, about: &str) {
        let value = value.into();
        if !value.chars().any(char::is_control) {
            self.candidates.push(Candidate { value, about: escape::text(about) });
        }
    }

    fn of(candidates: impl IntoIterator<Item = (&'static str, &'static str)>) -> Self {
        let mut offer = Self::default();
        for (value, about) in candidates {
            offer.add(value, about);
        }
        offer
    }

    fn besides(besides: Besides) -> Self {
        Self { besides, ..Self::default() }
    }
}

/// What kind of value an argument takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Processes(Wanted),
    Names,
    Field,
    Template,
    Signal,
    Files,
    Directories,
    Source,
    Destination,
    Variable,
    Setting,
    /// Made up by the user: a number, a time, a new name.
    Free,
}

/// The kind of a value, by its name in the grammar. `None`: nobody has said yet what a value of that name is.
fn kind_of(command: &str, argument: &Arg) -> Option<Kind> {
    let name = argument.get_value_names()?.first()?.as_str();
    Some(match (name, command) {
        ("REF", "terminate" | "kill" | "interrupt") => Kind::Processes(Wanted::Live),
        ("REF", "join") => Kind::Processes(Wanted::Begun),
        ("REF", "close") => Kind::Processes(Wanted::Over),
        ("REF", "start") => Kind::Processes(Wanted::Initial),
        ("REF", _) => Kind::Processes(Wanted::Any),
        ("GLOB", _) => Kind::Names,
        ("FIELD", _) => Kind::Field,
        ("TEMPLATE", _) => Kind::Template,
        ("SIGNAL", _) => Kind::Signal,
        ("FILE", _) => Kind::Files,
        ("DIR", _) => Kind::Directories,
        ("WHERE", _) if argument.get_long() == Some("stdin") => Kind::Source,
        ("WHERE", _) => Kind::Destination,
        ("KEY=VALUE", "set") => Kind::Setting,
        ("KEY=VALUE", _) => Kind::Variable,
        ("NAME" | "PID" | "N" | "T" | "LINES" | "COUNT" | "CMD", _) => Kind::Free,
        _ => return None,
    })
}

/// What is offered at a place, where `typed` is what stands there already.
pub(super) fn at(grammar: &Command, place: &Place<'_>, typed: &str) -> Offer {
    match place.expected {
        Expected::Command if typed.starts_with('-') => options(place),
        Expected::Command => commands(place),
        Expected::Option => options(place),
        Expected::Value(argument) => values(grammar, place, argument, typed),
        Expected::Foreign(at) => Offer::besides(Besides::Command(at)),
        Expected::Nothing => Offer::default(),
    }
}

fn commands(place: &Place<'_>) -> Offer {
    let mut offer = Offer::default();
    for command in place.command.get_subcommands().filter(|command| !command.is_hide_set()) {
        offer.add(command.get_name(), &first_line(command.get_about()));
    }
    offer
}

fn options(place: &Place<'_>) -> Offer {
    let mut offer = Offer::default();
    let is_new = |option: &&Arg| {
        place::repeats(option) || place.given.iter().all(|given| given.get_id() != option.get_id())
    };
    for option in place.command.get_arguments().filter(|option| !option.is_hide_set()).filter(is_new) {
        if let Some(long) = option.get_long() {
            offer.add(format!("--{long}"), &first_line(option.get_help()));
        }
    }
    if place.command.get_arguments().any(Arg::is_last_set) {
        offer.add("--", "The command follows");
    }
    offer
}

fn first_line(help: Option<&clap::builder::StyledStr>) -> String {
    help.map(|help| help.to_string().lines().next().unwrap_or_default().to_owned()).unwrap_or_default()
}

fn values(grammar: &Command, place: &Place<'_>, argument: &Arg, typed: &str) -> Offer {
    if let Some(offer) = listed(place.command, argument, typed) {
        return offer;
    }
    let command = place.command.get_name();
    match kind_of(command, argument).unwrap_or(Kind::Free) {
        Kind::Processes(wanted) => processes(grammar, place, argument, wanted, typed),
        Kind::Names => names(grammar, place),
        Kind::Field => {
            let mut offer = Offer::default();
            for field in fields::all() {
                offer.add(field.path, &field.meaning);
            }
            offer.add("authkey", "The key of the family, in hexadecimal digits");
            offer
        }
        Kind::Template => template(typed),
        Kind::Signal => signal_names(),
        Kind::Files => Offer::besides(Besides::Files),
        Kind::Directories => Offer::besides(Besides::Directories),
        Kind::Source => Offer {
            besides: Besides::Files,
            ..Offer::of([("null", "Nothing to read"), ("inherit", "That of the caller")])
        },
        Kind::Destination => {
            let mut offer = Offer {
                besides: Besides::Files,
                ..Offer::of([("log", "The log"), ("null", "Nowhere"), ("inherit", "That of the caller")])
            };
            if argument.get_long() == Some("stderr") {
                offer.add("stdout", "Where standard output goes");
            }
            offer
        }
        Kind::Variable => variables(),
        Kind::Setting => settings(typed),
        Kind::Free => Offer::default(),
    }
}

/// The values that the grammar lists for an argument, or for another one of that command whose values have the same name. Of
/// several, with commas between them and perhaps a sign before each, the last is being typed.
fn listed(command: &Command, argument: &Arg, typed: &str) -> Option<Offer> {
    let same_name = |other: &&Arg| other.get_value_names() == argument.get_value_names();
    let arguments = [argument].into_iter().chain(command.get_arguments().filter(same_name));
    let values = arguments.map(Arg::get_possible_values).find(|values| !values.is_empty())?;
    let at =
        argument.get_value_delimiter().and_then(|delimiter| typed.rfind(delimiter)).map_or(0, |at| at + 1);
    let has_sign = argument.is_allow_hyphen_values_set() && typed[at..].starts_with('-');
    let before = &typed[..at + usize::from(has_sign)];
    let mut offer = Offer::default();
    for value in values.iter().filter(|value| !value.is_hide_set()) {
        offer.add(format!("{before}{}", value.get_name()), &first_line(value.get_help()));
    }
    Some(offer)
}

/// A text with fields in braces: in an open one, fields.
fn template(typed: &str) -> Offer {
    let mut offer = Offer { goes_on: true, ..Offer::default() };
    if let Some(at) = typed.rfind('{').filter(|&at| !typed[at..].contains('}')) {
        for field in fields::all() {
            offer.add(format!("{}{{{}}}", &typed[..at], field.path), &field.meaning);
        }
    }
    offer
}

fn signal_names() -> Offer {
    let mut offer = Offer::default();
    for signal in 1..=signals::LAST {
        let name = signals::name(signal);
        offer.add(name.strip_prefix("SIG").unwrap_or(&name), &format!("Signal {signal}"));
    }
    offer
}

fn variables() -> Offer {
    let mut offer = Offer::default();
    for name in std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()) {
        offer.add(name, "As in the caller's environment");
    }
    offer
}

fn settings(typed: &str) -> Offer {
    match typed.split_once('=') {
        None => Offer {
            goes_on: true,
            ..Offer::of([
                ("name=", "Another name, at any time"),
                ("daemon=", "Whether it ends with its parent, before the start"),
                ("authkey-file=", "File with another key, before the start"),
            ])
        },
        Some(("daemon", _)) => Offer::of([("daemon=true", ""), ("daemon=false", "")]),
        Some((key @ "authkey-file", _)) => {
            Offer { before_file: key.len() + 1, ..Offer::besides(Besides::Files) }
        }
        Some(_) => Offer::default(),
    }
}

/// The run directory that the line names, or else the usual one. Never made.
fn run_dir(grammar: &Command, place: &Place<'_>) -> Option<RunDir> {
    let named = grammar.get_arguments().find(|option| {
        option.get_value_names().is_some_and(|names| names.first().is_some_and(|name| name == "DIR"))
    })?;
    let mut values = place.values.iter().rev();
    let option = values.find(|(option, _)| option.get_id() == named.get_id()).map(|(_, value)| {
        // The shell has not come to it yet.
        match (value.strip_prefix("~/"), std::env::var_os("HOME")) {
            (Some(rest), Some(home)) => Path::new(&home).join(rest),
            _ => PathBuf::from(value),
        }
    });
    RunDir::open(&rundir::locate(option.as_deref()).ok()?).ok()?
}

fn processes(grammar: &Command, place: &Place<'_>, argument: &Arg, wanted: Wanted, typed: &str) -> Offer {
    let mut offer = Offer::default();
    let Some(run_dir) = run_dir(grammar, place) else { return offer };
    let given: BTreeSet<&str> = place
        .values
        .iter()
        .filter(|(other, _)| other.get_id() == argument.get_id())
        .map(|(_, value)| *value)
        .collect();
    let found = glance::processes(&run_dir, wanted);
    for bearers in found.chunk_by(|(a, _), (b, _)| a.name == b.name) {
        let about = match bearers {
            [(record, stand)] => {
                format!("{}, {}: {}", record.id, state(record, *stand), command_of(record))
            }
            _ => format!("{} processes", bearers.len()),
        };
        offer.add(&bearers[0].0.name, &about);
    }
    for (record, stand) in &found {
        let about = format!("{}, {}: {}", record.name, state(record, *stand), command_of(record));
        offer.add(record.id.as_str(), &about);
        if let Some(pid) = record.pid.filter(|_| *stand == Stand::Live && is_number(typed)) {
            offer.add(pid.to_string(), &format!("pid of {about}"));
        }
    }
    if matches!(wanted, Wanted::Any | Wanted::Live) {
        relatives(&run_dir, &mut offer);
    }
    // What was given already is hardly meant again.
    offer.candidates.retain(|candidate| !given.contains(candidate.value.as_str()));
    offer
}

fn is_number(typed: &str) -> bool {
    !typed.is_empty() && typed.bytes().all(|b| b.is_ascii_digit())
}

fn state(record: &Record, stand: Stand) -> String {
    match stand {
        Stand::Ended if !record.is_final() => "ended".to_owned(),
        Stand::Elsewhere => format!("on {}", record.host),
        _ => record.state_in_words(),
    }
}

/// The beginning of its command.
fn command_of(record: &Record) -> String {
    const ENOUGH: usize = 60;
    let line = shell::line(record.command.iter().map(Text::as_os_str));
    match line.char_indices().nth(ENOUGH) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}

/// `@self` and `@parent`, in the environment of a managed process.
fn relatives(run_dir: &RunDir, offer: &mut Offer) {
    let own = std::env::var(ID_VARIABLE).ok().as_deref().and_then(Id::parse);
    let Some(entry) = own.and_then(|id| run_dir.entry(&id).ok()?) else { return };
    // The process can be so quick as to ask before its monitor has let its record appear.
    let looks = [Entry::load, Entry::load_starting, Entry::load];
    let Some(record) = looks.iter().find_map(|look| look(&entry).ok()?) else { return };
    offer.add("@self", &format!("{}, {}", record.id, record.name));
    if let Some(parent) = record.parent {
        let about = match (parent.id, parent.name) {
            (Some(id), Some(name)) => format!("{id}, {name}"),
            _ => format!("pid {}, no managed process", parent.process.pid),
        };
        offer.add("@parent", &about);
    }
}

fn names(grammar: &Command, place: &Place<'_>) -> Offer {
    let mut offer = Offer::default();
    let Some(run_dir) = run_dir(grammar, place) else { return offer };
    let found = glance::processes(&run_dir, Wanted::Any);
    for bearers in found.chunk_by(|(a, _), (b, _)| a.name == b.name) {
        let about = match bearers.len() {
            1 => "1 process".to_owned(),
            several => format!("{several} processes"),
        };
        offer.add(&bearers[0].0.name, &about);
    }
    offer
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A value that nobody can complete is said to be free: none is forgotten.
    #[test]
    fn lists_with_commas() {
        let columns = Arg::new("columns").long("columns").value_name("COLUMN").value_parser(["id", "cpu"]);
        let columns = columns.value_delimiter(',');
        let sort = Arg::new("sort").long("sort").value_name("COLUMN").value_delimiter(',');
        let sort = sort.allow_hyphen_values(true);
        let mut command = Command::new("status").args([columns, sort]);
        command.build();
        let offered = |option: &str, typed: &str| -> Vec<String> {
            let argument = command.get_arguments().find(|other| other.get_id() == option).expect("there");
            let offer = listed(&command, argument, typed).expect("a list");
            offer.candidates.into_iter().map(|candidate| candidate.value).collect()
        };
        assert_eq!(offered("columns", "c"), ["id", "cpu"]);
        assert_eq!(offered("columns", "id,c"), ["id,id", "id,cpu"]);
        assert_eq!(offered("sort", "id,-"), ["id,-id", "id,-cpu"]);
        assert_eq!(offered("sort", ""), ["id", "cpu"]);
    }

    #[test]
    fn every_value_of_the_grammar_is_of_a_known_kind() {
        let grammar = crate::cli::command();
        let commands = grammar.get_subcommands().chain([&grammar]);
        let mut unknown = Vec::new();
        for command in commands {
            for argument in command.get_arguments() {
                if argument.get_action().takes_values()
                    && !argument.is_hide_set()
                    && listed(command, argument, "").is_none()
                    && kind_of(command.get_name(), argument).is_none()
                {
                    unknown.push(format!("{} {argument}", command.get_name()));
                }
            }
        }
        assert!(unknown.is_empty(), "completion has to be told in kind_of what these are: {unknown:#?}");
    }
}
