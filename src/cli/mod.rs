//! The grammar of the command line, and the help text. No behaviour.

mod close;
mod doctor;
mod get;
mod join;
mod launch;
mod logs;
mod one;
mod set;
mod signal;
mod status;
pub mod texts;
mod values;

use std::ffi::OsString;
use std::mem::ManuallyDrop;
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

pub use close::Close;
pub use doctor::Doctor;
pub use get::Get;
pub use join::Join;
pub use launch::{Create, Launch, Run, Start};
pub use logs::Logs;
pub use one::One;
pub use set::Set;
pub use signal::{Interrupt, Kill, Targets, Terminate};
pub use status::Status;

/// Start named processes; join, signal and inspect them from any later command.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "procctl",
    version,
    disable_help_subcommand = false,
    arg_required_else_help = true,
    infer_subcommands = false
)]
pub struct Cli {
    #[command(flatten)]
    /// Options of every command.
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// Where the records are [default: $PROCCTL_RUN_DIR, else $XDG_STATE_HOME/procctl, else ~/.local/state/procctl]
    #[arg(long, value_name = "DIR", global = true)]
    pub run_dir: Option<PathBuf>,
    /// Whether to use colour
    #[arg(long, value_name = "WHEN", global = true, default_value = "auto")]
    pub color: When,
    /// Print no notices, only answers and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal, unless `NO_COLOR` is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Record a process without starting it; print its id
    Create(Create),
    /// Start processes in the background; print their ids
    Start(Start),
    /// Start a process in the foreground, join it, exit as it exits
    Run(Run),
    /// Wait for processes to end; exit as they did
    Join(Join),
    /// Send SIGTERM
    Terminate(Terminate),
    /// Send SIGKILL, or another signal
    Kill(Kill),
    /// Send SIGINT
    Interrupt(Interrupt),
    /// Exit 0 if the process is alive, 1 if not
    IsAlive(One),
    /// Show processes: in a table, a page for each, or a tree
    Status(Status),
    /// Print what processes wrote to their logs
    Logs(Logs),
    /// Print one field of the record, or all of it, for scripts
    Get(Get),
    /// Print the JSON Schema of a record
    Schema,
    /// Change the name; before the start also daemon flag and authkey
    Set(Set),
    /// Forget processes that have ended, with their logs
    Close(Close),
    /// Say what this machine gives to work with, and what is wrong
    Doctor(Doctor),
}

/// What takes part in the grammar of a command.
type Augment = fn(clap::Command) -> clap::Command;

/// The commands that scripts run again and again, by name.
const SHORT_LIVED: [(&str, Augment); 12] = [
    ("create", Create::augment_args),
    ("start", Start::augment_args),
    ("run", Run::augment_args),
    ("join", Join::augment_args),
    ("terminate", Terminate::augment_args),
    ("kill", Kill::augment_args),
    ("interrupt", Interrupt::augment_args),
    ("is-alive", One::augment_args),
    ("status", Status::augment_args),
    ("get", Get::augment_args),
    ("set", Set::augment_args),
    ("close", Close::augment_args),
];

/// Reads the arguments, the program's name first.
///
/// To build the grammar of all commands is most of what a short one computes. So that of the command alone is tried
/// first; whatever it does not take (an error, a wish for help) is answered by the whole.
pub fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    parse_by_one(arguments).map_or_else(|| Cli::try_parse_from(arguments), Ok)
}

fn parse_by_one(arguments: &[OsString]) -> Option<Cli> {
    let word = arguments.get(1)?;
    let &(name, augment) = SHORT_LIVED.iter().find(|(name, _)| word == name)?;
    let grammar =
        Global::augment_args(clap::Command::new("procctl")).subcommand(augment(clap::Command::new(name)));
    // Once for each process: to take them to pieces would be a tenth of the work.
    let mut grammar = ManuallyDrop::new(grammar);
    let mut matches = ManuallyDrop::new(grammar.try_get_matches_from_mut(arguments).ok()?);
    Cli::from_arg_matches_mut(&mut matches).ok()
}

/// The grammar.
pub fn command() -> clap::Command {
    Cli::command()
}

/// The grammar with everything that there is to say, for help and man pages. Built.
pub fn explained() -> clap::Command {
    const MORE: &str = "\
Options of every command: --run-dir DIR, --color WHEN, -q. Examples: --help";
    const MORE_OF_ALL: &str = "\
A REF is an id, the beginning of one (4 characters), a name, a pid, @self or
@parent. Options of every command, exit statuses, examples: procctl --help";
    const LAST: usize = 900;
    let mut grammar = command()
        .after_help(MORE_OF_ALL)
        .after_long_help(texts::of("procctl").map(texts::for_help).unwrap_or_default())
        // They would fill the screen that the command's own need, and stand between those.
        .mut_args(|option| option.hide_short_help(true).display_order(LAST));
    let names: Vec<String> = grammar.get_subcommands().map(|command| command.get_name().to_owned()).collect();
    for name in names {
        grammar = grammar.mut_subcommand(&name, |command| {
            let text = texts::of(&name).map(texts::for_help).unwrap_or_default();
            command.after_help(MORE).after_long_help(text).mut_args(short_and_long)
        });
    }
    grammar.build();
    let hidden = |option: clap::Arg| option.hide_short_help(true);
    grammar.mut_arg("help", hidden).mut_arg("version", hidden).mut_subcommand("help", |help| help.hide(true))
}

/// On the one screen of the short help there is a sentence for an option, and no long list of values.
fn short_and_long(option: clap::Arg) -> clap::Arg {
    const FEW: usize = 6;
    let Some(help) = option.get_help().map(ToString::to_string) else { return option };
    let (short, mut long) = match (option.get_long_help(), help.split_once(". ")) {
        (Some(long), _) => (help, long.to_string()),
        (None, Some((first, _))) => (first.to_owned(), help),
        (None, None) => (help.clone(), help),
    };
    let values: Vec<String> =
        option.get_possible_values().iter().map(|value| value.get_name().to_owned()).collect();
    if values.len() > FEW {
        long = format!("{long}. One of {}", values.join(", "));
    }
    let option = option.hide_possible_values(values.len() > FEW);
    if long == short { option } else { option.help(short).long_help(long) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_grammar_is_sound() {
        command().debug_assert();
    }

    /// Each option of each command, alone and before or after a word; and what only the whole grammar can answer.
    #[test]
    fn the_grammar_of_one_command_reads_what_the_whole_does() {
        let mut taken = 0;
        for (name, _) in SHORT_LIVED {
            let mut whole = command();
            whole.build();
            let one = whole.find_subcommand(name).expect("it is a command");
            for option in one.get_arguments() {
                let Some(long) = option.get_long() else { continue };
                for value in ["1", "TERM", "id", "x=y", "auto", "{id}"] {
                    for after in [&["w"][..], &["w", "--", "true"], &["--", "true"], &[]] {
                        let option = format!("--{long}");
                        let words = [&["procctl", name, &option, value], after].concat();
                        let arguments: Vec<OsString> = words.iter().map(Into::into).collect();
                        let whole = Cli::try_parse_from(&arguments).map(|cli| format!("{cli:?}"));
                        if let Some(one) = parse_by_one(&arguments) {
                            taken += 1;
                            assert_eq!(Some(format!("{one:?}")), whole.ok(), "{words:?}");
                        } else {
                            assert!(whole.is_err(), "{words:?} is left to the whole");
                        }
                    }
                }
            }
        }
        assert!(taken > 500, "{taken}");
    }

    #[test]
    fn the_short_help_has_a_sentence_for_an_option() {
        let option = |help: &'static str| super::short_and_long(clap::Arg::new("x").help(help));
        let texts = |option: clap::Arg| {
            let text = |help: Option<&clap::builder::StyledStr>| help.map(ToString::to_string);
            (text(option.get_help()), text(option.get_long_help()))
        };
        assert_eq!(texts(option("One")), (Some("One".to_owned()), None));
        let both = (Some("One".to_owned()), Some("One. Two".to_owned()));
        assert_eq!(texts(option("One. Two")), both);
        let many = clap::Arg::new("x").help("One").value_parser(["a", "b", "c", "d", "e", "f", "g"]);
        let (short, long) = texts(super::short_and_long(many));
        assert_eq!(short.as_deref(), Some("One"));
        assert_eq!(long.as_deref(), Some("One. One of a, b, c, d, e, f, g"));
    }
}
