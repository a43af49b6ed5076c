//! The grammar of the command line, and the help text. No behaviour.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use clap::{Args, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::os::signals;
use crate::process::{name, time};

/// Start named child processes, and join, signal or inspect them from any later command.
#[derive(Debug, Parser)]
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

const JOIN_STATUS: &str = "\
Exit status: that of the process, 128+N if signal N ended it; with several, of the first one (in the order given, or \
started) that did not end with 0. 124: the time ran out. 125: procctl failed, or the exit code is lost.";

/// Options of every command.
#[derive(Debug, Args)]
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
#[derive(Debug, Subcommand)]
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
    /// List processes
    Status(Status),
    /// Print what a process wrote to its log
    Logs(Logs),
    /// Print one field of the record, or all of it, for scripts
    Get(Get),
    /// Change the name; or, before the start, the daemon flag or the authkey
    Set(Set),
    /// Forget processes that have ended, with their logs
    Close(Close),
}

/// How to launch a command.
#[derive(Debug, Args)]
#[command(next_help_heading = "Launch options")]
pub struct Launch {
    /// Name of the process; need not be unique [default: Process-N, counted by the parent]
    #[arg(short, long, value_parser = parse_name, allow_hyphen_values = true)]
    pub name: Option<String>,
    /// End it (SIGTERM) when its parent ends
    #[arg(short, long, overrides_with = "no_daemon")]
    pub daemon: bool,
    /// Let it live on when its parent ends [default: as the parent itself]
    #[arg(long, overrides_with = "daemon")]
    pub no_daemon: bool,
    /// Refuse if a live process has that name
    #[arg(long)]
    pub unique: bool,
    /// The parent, instead of the caller [env: PROCCTL_PARENT]
    #[arg(long, value_name = "PID", value_parser = parse_pid, allow_hyphen_values = true)]
    pub parent: Option<i32>,
    /// Working directory
    #[arg(short = 'C', long, value_name = "DIR")]
    pub cwd: Option<PathBuf>,
    /// Set a variable, or with KEY alone pass the caller's on; repeatable
    #[arg(short, long, value_name = "KEY=VALUE")]
    pub env: Vec<OsString>,
    /// Begin with an empty environment
    #[arg(long)]
    pub clear_env: bool,
    /// Standard input: null, inherit, or a file [default: null; run: inherit]
    #[arg(long, value_name = "WHERE")]
    pub stdin: Option<OsString>,
    /// Standard output: log, null, inherit, or a file to append to [default: log; run: inherit]
    #[arg(long, value_name = "WHERE")]
    pub stdout: Option<OsString>,
    /// Standard error: as --stdout, or stdout for the same place [default: log; run: inherit]
    #[arg(long, value_name = "WHERE")]
    pub stderr: Option<OsString>,
    /// Leave this open descriptor of the caller open in the process; repeatable
    #[arg(long, value_name = "N", value_parser = parse_descriptor, allow_hyphen_values = true)]
    pub fd: Vec<i32>,
    /// Take the authkey from a file instead of the parent
    #[arg(long, value_name = "FILE")]
    pub authkey_file: Option<PathBuf>,
    /// Print the record instead of the id
    #[arg(long)]
    pub json: bool,
}

impl Launch {
    /// The daemon flag, if it was given.
    pub fn daemon_flag(&self) -> Option<bool> {
        match (self.daemon, self.no_daemon) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    /// Whether any option but `--json` was given.
    pub fn is_given(&self) -> bool {
        let Self {
            name,
            daemon,
            no_daemon,
            unique,
            parent,
            cwd,
            env,
            clear_env,
            stdin,
            stdout,
            stderr,
            fd,
            ..
        } = self;
        let texts = [name.is_some(), parent.is_some(), cwd.is_some(), self.authkey_file.is_some()];
        let streams = [stdin, stdout, stderr].iter().any(|stream| stream.is_some());
        let flags = *daemon || *no_daemon || *unique || *clear_env;
        texts.contains(&true) || streams || flags || !env.is_empty() || !fd.is_empty()
    }
}

/// `create`
#[derive(Debug, Args)]
#[command(override_usage = "procctl create [LAUNCH OPTIONS] -- CMD [ARG]...")]
pub struct Create {
    #[command(flatten)]
    /// How.
    pub launch: Launch,
    /// Words before `--`: there should be none.
    #[arg(hide = true)]
    pub stray: Vec<OsString>,
    /// The command and its arguments, taken literally
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `start`
#[derive(Debug, Args)]
#[command(
    override_usage = "procctl start [LAUNCH OPTIONS] -- CMD [ARG]...\n       procctl start [--json] REF..."
)]
pub struct Start {
    #[command(flatten)]
    /// How.
    pub launch: Launch,
    /// Processes that `create` recorded
    #[arg(value_name = "REF")]
    pub references: Vec<OsString>,
    /// The command and its arguments, taken literally
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `run`
#[derive(Debug, Args)]
#[command(override_usage = "procctl run [LAUNCH OPTIONS] -- CMD [ARG]...")]
pub struct Run {
    #[command(flatten)]
    /// How.
    pub launch: Launch,
    /// Words before `--`: there should be none.
    #[arg(hide = true)]
    pub stray: Vec<OsString>,
    /// The command and its arguments, taken literally
    #[arg(last = true, value_name = "CMD")]
    pub command: Vec<OsString>,
}

/// `join`
#[derive(Debug, Args)]
#[command(after_help = JOIN_STATUS)]
pub struct Join {
    /// Processes to wait for [default: the caller's own children]
    #[arg(value_name = "REF", value_parser = reference())]
    pub references: Vec<String>,
    /// Stop waiting after this time and exit 124; nothing is signalled
    #[arg(long, value_name = "T", value_parser = time::parse, allow_hyphen_values = true)]
    pub timeout: Option<Duration>,
    /// Return as soon as one has ended; print the ids of those that have
    #[arg(long)]
    pub any: bool,
    /// Every process in the run directory
    #[arg(long, conflicts_with = "references")]
    pub all: bool,
    /// Print the records
    #[arg(long)]
    pub json: bool,
}

/// Whom to signal.
#[derive(Debug, Args)]
#[group(required = true, multiple = false, id = "whom")]
pub struct Targets {
    /// The processes
    #[arg(value_name = "REF", value_parser = reference(), group = "whom")]
    pub references: Vec<String>,
    /// Every live process in the run directory
    #[arg(long, group = "whom")]
    pub all: bool,
}

/// `terminate`
#[derive(Debug, Args)]
pub struct Terminate {
    #[command(flatten)]
    /// Whom.
    pub targets: Targets,
    /// Return when they have ended
    #[arg(long)]
    pub wait: bool,
    /// Wait this long, then send SIGKILL, then wait for the end
    #[arg(long, value_name = "T", value_parser = time::parse, allow_hyphen_values = true)]
    pub kill_after: Option<Duration>,
    /// Take every descendant along; return when none is left
    #[arg(long)]
    pub tree: bool,
}

/// `kill`
#[derive(Debug, Args)]
pub struct Kill {
    #[command(flatten)]
    /// Whom.
    pub targets: Targets,
    /// The signal: a name or a number
    #[arg(short, long, value_name = "SIGNAL", value_parser = parse_signal, default_value = "KILL", allow_hyphen_values = true)]
    pub signal: i32,
    /// Return when they have ended
    #[arg(long)]
    pub wait: bool,
    /// Take every descendant along; return when none is left
    #[arg(long)]
    pub tree: bool,
}

/// `interrupt`
#[derive(Debug, Args)]
pub struct Interrupt {
    #[command(flatten)]
    /// Whom.
    pub targets: Targets,
    /// Return when they have ended
    #[arg(long)]
    pub wait: bool,
}

/// One process.
#[derive(Debug, Args)]
pub struct One {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
}

/// `status`
#[derive(Debug, Args)]
pub struct Status {
    /// Processes to show [default: all]
    #[arg(value_name = "REF", value_parser = reference())]
    pub references: Vec<String>,
    /// Print the records as a JSON array
    #[arg(long)]
    pub json: bool,
    /// Only those that are alive
    #[arg(long)]
    pub alive: bool,
    /// Only the caller's own children
    #[arg(long)]
    pub children: bool,
    /// Do not cut the command to the width of the terminal
    #[arg(long)]
    pub no_trunc: bool,
}

/// `logs`
#[derive(Debug, Args)]
pub struct Logs {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
    /// Go on printing until the process has ended
    #[arg(short, long)]
    pub follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "LINES", value_parser = parse_lines, allow_hyphen_values = true)]
    pub lines: Option<usize>,
}

/// `get`
#[derive(Debug, Args)]
pub struct Get {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
    /// A field of the record (pid, exitcode, parent.pid, usage.user_seconds, …), or authkey [default: the record]
    #[arg(value_name = "FIELD")]
    pub field: Option<String>,
}

/// `set`
#[derive(Debug, Args)]
pub struct Set {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
    /// name=NAME at any time; daemon=true|false and authkey-file=FILE before the start
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub changes: Vec<OsString>,
}

/// `close`
#[derive(Debug, Args)]
#[group(required = true, multiple = true, id = "which")]
pub struct Close {
    /// The processes
    #[arg(value_name = "REF", value_parser = reference(), group = "which", conflicts_with = "all")]
    pub references: Vec<String>,
    /// Every process in the run directory that is not alive
    #[arg(long, group = "which")]
    pub all: bool,
    /// Only those that ended longer ago than this; without REFs, of all
    #[arg(long, group = "which", value_name = "T", value_parser = time::parse, allow_hyphen_values = true)]
    pub older_than: Option<Duration>,
}

fn parse_name(text: &str) -> Result<String, String> {
    name::check(text).map(|()| text.to_owned())
}

fn parse_pid(text: &str) -> Result<i32, String> {
    let pid = text.parse().ok().filter(|&pid| pid > 0);
    pid.ok_or_else(|| format!("'{}' is no pid", text.escape_debug()))
}

fn parse_descriptor(text: &str) -> Result<i32, String> {
    let number = text.parse().ok().filter(|&number| number >= 0);
    number
        .ok_or_else(|| format!("'{}' is no descriptor: write the number of an open one", text.escape_debug()))
}

fn parse_lines(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("'{}' is no number of lines", text.escape_debug()))
}

/// Names and ids are UTF-8.
fn reference() -> impl TypedValueParser<Value = String> {
    OsStringValueParser::new()
        .try_map(|text| text.into_string().map_err(|text| format!("no process '{}'", text.to_string_lossy())))
}

fn parse_signal(text: &str) -> Result<i32, String> {
    let wrong = || {
        format!(
            "'{}' is no signal: write a name (TERM, USR1, RTMIN+1) or a number from 0 to 64",
            text.escape_debug()
        )
    };
    signals::parse(text).ok_or_else(wrong)
}

/// The grammar, for generating completions and man pages.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_grammar_is_sound() {
        super::command().debug_assert();
    }
}
