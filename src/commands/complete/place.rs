//! What may stand where somebody is typing, as the grammar says.

use clap::{Arg, ArgAction, Command};

/// What may stand at the end of a line.
#[derive(Debug)]
pub(super) struct Place<'a> {
    /// The command that was named; the program itself before that.
    pub(super) command: &'a Command,
    /// What is expected there.
    pub(super) expected: Expected<'a>,
    /// How many bytes of the last word stand before the value: `--name=`, `-n`.
    pub(super) attached: usize,
    /// The options that were given.
    pub(super) given: Vec<&'a Arg>,
    /// The values that were given, each with what it is for.
    pub(super) values: Vec<(&'a Arg, &'a str)>,
}

/// What is expected.
#[derive(Debug)]
pub(super) enum Expected<'a> {
    /// The name of a command, or an option.
    Command,
    /// An option.
    Option,
    /// A value.
    Value(&'a Arg),
    /// A command of the system and its arguments, from that word on.
    Foreign(usize),
    /// Nothing that is known.
    Nothing,
}

/// The place at the end of these words, the last of which is being typed. The grammar must have been built.
pub(super) fn find<'a>(grammar: &'a Command, words: &'a [String]) -> Place<'a> {
    let Some((current, before)) = words.split_last() else {
        return Walk::new(grammar).place(Expected::Command, 0);
    };
    let mut walk = Walk::new(grammar);
    for (at, word) in before.iter().enumerate() {
        if word == "--" && walk.awaited.is_none() {
            if walk.command.get_arguments().any(Arg::is_last_set) {
                return walk.place(Expected::Foreign(at + 1), 0);
            }
            walk.only_positionals = true;
        } else {
            walk.step(word);
        }
    }
    walk.end(current)
}

/// A way through the words.
struct Walk<'a> {
    command: &'a Command,
    given: Vec<&'a Arg>,
    values: Vec<(&'a Arg, &'a str)>,
    /// An option that the next word belongs to.
    awaited: Option<&'a Arg>,
    positionals: usize,
    only_positionals: bool,
}

impl<'a> Walk<'a> {
    fn new(command: &'a Command) -> Self {
        Self {
            command,
            given: Vec::new(),
            values: Vec::new(),
            awaited: None,
            positionals: 0,
            only_positionals: false,
        }
    }

    fn place(self, expected: Expected<'a>, attached: usize) -> Place<'a> {
        Place { command: self.command, expected, attached, given: self.given, values: self.values }
    }

    /// Goes past a whole word.
    fn step(&mut self, word: &'a str) {
        if let Some(option) = self.awaited.take() {
            self.values.push((option, word));
        } else if !self.only_positionals && word.len() > 1 && word.starts_with('-') {
            match self.option(word) {
                Some((option, at)) if at < word.len() => self.values.push((option, &word[at..])),
                // What can stand alone, or has its value after `=`, does not take the next word.
                Some((option, _)) if needs_value(option) => self.awaited = Some(option),
                Some(_) | None => {}
            }
        } else if let Some(command) = self.command.find_subcommand(word) {
            self.command = command;
        } else {
            if let Some(argument) = self.positional() {
                self.values.push((argument, word));
            }
            self.positionals += 1;
        }
    }

    /// What the last word, which may go on, can be.
    fn end(mut self, word: &'a str) -> Place<'a> {
        if let Some(option) = self.awaited {
            return self.place(Expected::Value(option), 0);
        }
        if !self.only_positionals && word.starts_with('-') {
            return match self.option(word) {
                // `--name` and `-n` themselves can still be completed, to themselves; after `--name=` and `-nx` comes a value.
                Some((option, at)) if at < word.len() || word.ends_with('=') => {
                    self.place(Expected::Value(option), at)
                }
                _ => {
                    // The last word is not yet given.
                    if let Some(option) = self.named(word.trim_start_matches('-')) {
                        self.given.retain(|given| given.get_id() != option.get_id());
                    }
                    self.place(Expected::Option, 0)
                }
            };
        }
        if self.command.has_subcommands() {
            return self.place(Expected::Command, 0);
        }
        match self.positional() {
            Some(argument) => self.place(Expected::Value(argument), 0),
            // There can only be options, or the command of the system.
            None if !self.only_positionals && word.is_empty() => self.place(Expected::Option, 0),
            None => self.place(Expected::Nothing, 0),
        }
    }

    /// The option of this word that takes a value, and where in the word that begins.
    fn option(&mut self, word: &str) -> Option<(&'a Arg, usize)> {
        if let Some(long) = word.strip_prefix("--") {
            let (name, value) =
                long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
            let option = self.named(name)?;
            self.given.push(option);
            return takes_value(option).then(|| (option, word.len() - value.map_or(0, str::len)));
        }
        for (at, short) in word.char_indices().skip(1) {
            let option = self.command.get_arguments().find(|option| option.get_short() == Some(short))?;
            self.given.push(option);
            if takes_value(option) {
                return Some((option, at + short.len_utf8()));
            }
        }
        None
    }

    fn named(&self, long: &str) -> Option<&'a Arg> {
        self.command.get_arguments().find(|option| option.get_long() == Some(long))
    }

    fn positional(&self) -> Option<&'a Arg> {
        let positionals = || {
            self.command
                .get_positionals()
                .filter(|argument| !argument.is_last_set() && !argument.is_hide_set())
        };
        // The last one may be repeated.
        positionals().nth(self.positionals).or_else(|| positionals().last().filter(|last| repeats(last)))
    }
}

fn takes_value(option: &Arg) -> bool {
    option.get_action().takes_values()
}

/// Whether its value can be, and must be, the next word. The grammar has been built.
fn needs_value(option: &Arg) -> bool {
    !option.is_require_equals_set() && option.get_num_args().is_none_or(|count| count.min_values() > 0)
}

/// Whether an argument may be given again.
pub(super) fn repeats(argument: &Arg) -> bool {
    matches!(argument.get_action(), ArgAction::Append | ArgAction::Count)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In a word or two.
    fn at(typed: &str) -> String {
        let mut grammar = crate::cli::command();
        grammar.build();
        let words: Vec<String> = typed.split(' ').map(str::to_owned).collect();
        let place = find(&grammar, &words);
        let expected = match place.expected {
            Expected::Command => "command".to_owned(),
            Expected::Option => "option".to_owned(),
            Expected::Value(argument) => argument.get_id().to_string(),
            Expected::Foreign(at) => format!("foreign {at}"),
            Expected::Nothing => "nothing".to_owned(),
        };
        format!("{}: {expected} +{}", place.command.get_name(), place.attached)
    }

    #[test]
    fn an_option_that_can_stand_alone_does_not_take_the_next_word() {
        let watch = Arg::new("watch").long("watch").num_args(0..=1).require_equals(true);
        let mut grammar = Command::new("p").args([watch, Arg::new("reference")]);
        grammar.build();
        let words = ["--watch", ""].map(str::to_owned);
        let place = find(&grammar, &words);
        assert!(matches!(place.expected, Expected::Value(argument) if argument.get_id() == "reference"));
        let words = ["--watch="].map(str::to_owned);
        let place = find(&grammar, &words);
        assert!(matches!(place.expected, Expected::Value(argument) if argument.get_id() == "watch"));
    }

    #[test]
    fn places() {
        for (typed, place) in [
            ("", "procctl: command +0"),
            ("te", "procctl: command +0"),
            ("--run-dir /x ", "procctl: command +0"),
            ("--run-dir ", "procctl: run_dir +0"),
            ("--run-dir=/t", "procctl: run_dir +10"),
            ("-", "procctl: option +0"),
            ("terminate ", "terminate: references +0"),
            ("terminate --wait a ", "terminate: references +0"),
            ("terminate --kill-after ", "terminate: kill_after +0"),
            ("terminate --kill-after 5 -- ", "terminate: references +0"),
            ("kill -s", "kill: option +0"),
            ("kill -sT", "kill: signal +2"),
            ("kill -s TERM ", "kill: references +0"),
            ("get ", "get: reference +0"),
            ("get a ", "get: field +0"),
            ("get a b ", "get: option +0"),
            ("get a b c", "get: nothing +0"),
            ("set a ", "set: changes +0"),
            ("set a name=x ", "set: changes +0"),
            ("run ", "run: option +0"),
            ("start ", "start: references +0"),
            ("start -dC ", "start: cwd +0"),
            ("start -dC/", "start: cwd +3"),
            ("run -n x -- ", "run: foreign 4 +0"),
            ("run -n x -- ls -", "run: foreign 4 +0"),
            ("run --name -- ", "run: option +0"),
            ("help ", "help: command +0"),
        ] {
            assert_eq!(at(typed), place, "{typed:?}");
        }
    }
}
