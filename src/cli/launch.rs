//! How to launch: `create`, `start`, `run`.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::Args;

use super::values::{parse_count, parse_descriptor, parse_name, parse_pid};

/// How to launch a command.
#[derive(Clone, Debug, Args)]
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
    /// Print the record as JSON, not the id
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
#[derive(Clone, Debug, Args)]
#[command(override_usage = "procctl create [LAUNCH OPTIONS] -- CMD [ARG]...")]
pub struct Create {
    #[command(flatten)]
    /// How.
    pub launch: Launch,
    /// Words before `--`: there should be none.
    #[arg(hide = true)]
    pub stray: Vec<OsString>,
    /// The command and its arguments, taken literally
    #[arg(last = true, value_name = "CMD", help_heading = None::<&str>)]
    pub command: Vec<OsString>,
}

/// `start`
#[derive(Clone, Debug, Args)]
#[command(
    override_usage = "procctl start [LAUNCH OPTIONS] -- CMD [ARG]...\n       procctl start [--json] REF..."
)]
pub struct Start {
    #[command(flatten)]
    /// How.
    pub launch: Launch,
    /// Start so many processes of the command, all of them or none; PROCCTL_INDEX in each says which it is, from 0
    #[arg(long, value_name = "COUNT", value_parser = parse_count, allow_hyphen_values = true)]
    pub count: Option<u32>,
    /// Processes that `create` recorded
    #[arg(value_name = "REF", help_heading = None::<&str>)]
    pub references: Vec<OsString>,
    /// The command and its arguments, taken literally
    #[arg(last = true, value_name = "CMD", help_heading = None::<&str>)]
    pub command: Vec<OsString>,
}

/// `run`
#[derive(Clone, Debug, Args)]
#[command(override_usage = "procctl run [LAUNCH OPTIONS] -- CMD [ARG]...")]
pub struct Run {
    #[command(flatten)]
    /// How.
    pub launch: Launch,
    /// Words before `--`: there should be none.
    #[arg(hide = true)]
    pub stray: Vec<OsString>,
    /// The command and its arguments, taken literally
    #[arg(last = true, value_name = "CMD", help_heading = None::<&str>)]
    pub command: Vec<OsString>,
}
