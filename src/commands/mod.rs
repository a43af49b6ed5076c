//! The commands: one file each. This floor prints, and makes exit statuses of errors.

mod answer;
mod array;
mod close;
mod complete;
mod create;
mod doctor;
mod exit;
mod format;
mod get;
mod help;
mod is_alive;
mod join;
mod launch;
mod logs;
mod report;
mod run;
mod schema;
mod session;
mod set;
mod signal;
mod start;
mod status;
mod usage;

use std::ffi::OsString;

use crate::cli::{self, Cli, Command};
use crate::os::{fd, heap};
use crate::process::error::status as code;

use session::Session;

/// The result of a command: its exit status.
type Outcome = anyhow::Result<u8>;

/// Runs procctl with these arguments, the program's name first.
pub fn run(arguments: &[OsString]) -> u8 {
    // Our own files must not land where the standard streams should be.
    if fd::open_standard_streams().is_err() {
        return code::FAILED;
    }
    if arguments.get(1).is_some_and(|word| word == complete::WORD) {
        return complete::run(&arguments[2..]);
    }
    let cli = match read(arguments) {
        Ok(cli) => cli,
        Err(e) => return usage::answer(&e, arguments),
    };
    let session = Session::new(cli.global, arguments);
    let outcome = match cli.command {
        Command::Create(args) => apart(create::run, &session, &args),
        Command::Start(args) => apart(start::run, &session, &args),
        Command::Run(args) => apart(run::run, &session, &args),
        Command::Join(args) => apart(join::run, &session, &args),
        Command::Terminate(args) => apart(signal::terminate, &session, &args),
        Command::Kill(args) => apart(signal::kill, &session, &args),
        Command::Interrupt(args) => apart(signal::interrupt, &session, &args),
        Command::IsAlive(args) => apart(is_alive::run, &session, &args),
        Command::Status(args) => apart(status::run, &session, &args),
        Command::Logs(args) => apart(logs::run, &session, &args),
        Command::Get(args) => apart(get::run, &session, &args),
        Command::Schema => schema::run(),
        Command::Set(args) => apart(set::run, &session, &args),
        Command::Close(args) => apart(close::run, &session, &args),
        Command::Doctor(args) => apart(doctor::run, &session, &args),
    };
    outcome.unwrap_or_else(|e| report::error(&e))
}

/// Runs a command in a frame of its own. A monitor keeps those of the functions that it was forked in, and the largest of all
/// commands would be in this one.
#[inline(never)]
fn apart<A>(run: fn(&Session, &A) -> Outcome, session: &Session, args: &A) -> Outcome {
    run(session, args)
}

// A frame of its own: the stack below it is used again.
#[inline(never)]
#[expect(unsafe_code, reason = "the memory of the grammar is given back whole")]
fn read(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    let parse = || cli::parse(arguments);
    let keep = |parsed: &Result<Cli, clap::Error>| parsed.as_ref().ok().cloned();
    // SAFETY: of what clap makes for a command line nothing is used after it has answered, and our own parsers of values keep
    // nothing either; a clone has nothing of the original.
    unsafe { heap::for_a_moment(parse, keep) }.or_else(|failed| failed)
}
