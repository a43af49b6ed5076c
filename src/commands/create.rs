//! `procctl create`: record a process without starting it.

use super::launch::{self, Ground};
use super::{Outcome, Session};
use crate::cli::Create;
use crate::process::error::Error;
use crate::process::launch as domain;

pub(super) fn run(session: &Session, args: &Create) -> Outcome {
    launch::check_command(session, "create", &args.stray, &args.command)?;
    if let Some(fd) = args.launch.fd.first() {
        return Err(Error::hinted(
            format!("create --fd {fd}: a descriptor cannot be recorded"),
            "name a file with --stdin, --stdout or --stderr, or use procctl start",
        )
        .into());
    }
    let request = launch::request(&args.launch, &args.command, Ground::Back)?;
    let record = domain::create(&session.make_run_dir()?, &request)?;
    launch::print(&record, args.launch.json)?;
    Ok(0)
}
