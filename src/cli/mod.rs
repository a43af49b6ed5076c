//! The grammar of the command line, and the help text. No behaviour.

mod close;
mod get;
mod join;
mod launch;
mod logs;
mod one;
mod set;
mod signal;
mod status;
mod values;

use std::path::PathBuf;

use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

pub use close::Close;
pub use get::Get;
pub use join::Join;
pub use launch::{Create, Launch, Run, Start};
pub use logs::Logs;
pub use one::One;
pub use set::Set;
pub use signal::{Interrupt, Kill, Targets, Terminate};
pub use status::Status;

/// Start named child processes, and join, signal or inspect them from any later command.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "procctl",
    version,
    about,
    disable_help_subcommand = false,
    arg_required_else_help = true,
    infer_subcommands = false,
    after_help = EXIT_STATUS
)]
pub struct Cli {
    #[command(flatten)]
    /// Options of every command.
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_STATUS: &str = "\
Exit status: that of the process (run, join), 128+N if signal N ended it (run, join), 124 the time ran out (join), \
125 procctl failed or refused, 126/127 the command could not be executed / was not found (start, run), \
1 not alive (is-alive).

A REF is an id, the beginning of one (4 characters), a name, a pid, @self or @parent.
A time T is in seconds (5, 0.5), or has a unit: 500ms, 2m, 1h, 1d. Zero or less does not block.";

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
// Only the grammar of the command that is run is built: that is most of what a short command computes.
#[command(defer = true)]
pub enum Command {
    /// Record a process without starting it; print its id
    Create(Create),
    /// Start a process in the background, or some that `create` recorded; print the ids
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
    /// Show processes: a table, a page of each that is named, or the family as a tree
    Status(Status),
    /// Print what processes wrote to their logs
    Logs(Logs),
    /// Print one field of the record, or all of it, for scripts
    Get(Get),
    /// Print the JSON Schema of a record
    Schema,
    /// Change the name; or, before the start, the daemon flag or the authkey
    Set(Set),
    /// Forget processes that have ended, with their logs
    Close(Close),
}

/// The whole grammar, with that of each command: for completions, man pages and hints.
pub fn command() -> clap::Command {
    let mut whole = Cli::command();
    whole.build();
    whole
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_grammar_is_sound() {
        super::command().debug_assert();
    }
}
