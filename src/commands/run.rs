//! `procctl run`: a whole main process in the foreground.

use super::launch::{self, Ground};
use super::{Outcome, Session, answer, exit, report};
use crate::cli::Run;
use crate::os::process;
use crate::process::error::Result;
use crate::process::launch as domain;
use crate::process::ledger::Ledger;
use crate::process::observe::{self, Observed};
use crate::process::record::Record;
use crate::process::rundir::RunDir;
use crate::process::signal::{self, Order};
use crate::process::time::Deadline;
use crate::process::wait;

pub(super) fn run(session: &Session, args: &Run) -> Outcome {
    launch::check_command(session, "run", &args.stray, &args.command)?;
    let request = launch::request(&args.launch, &args.command, Ground::Fore)?;
    let run_dir = session.make_run_dir()?;
    let record = domain::run(&run_dir, request)?;
    if let Err(e) = end_family(&run_dir, &record) {
        report::error(&e.into());
    }
    if args.launch.json {
        answer::json(&record)?;
    }
    Ok(exit::status_of(&record))
}

/// Like a Python program at its end: terminates its daemonic children, joins the others.
fn end_family(run_dir: &RunDir, record: &Record) -> Result<()> {
    let Some(ledger) = Ledger::open(run_dir, record.id.as_str())? else { return Ok(()) };
    let mut live = Vec::new();
    for id in ledger.children()? {
        // One whose record is broken stops nobody from ending the others.
        match observe::by_id(run_dir, &id) {
            Ok(child) => live.extend(child.map(Observed::released).filter(Observed::is_alive)),
            Err(e) => drop(report::error(&e.into())),
        }
    }
    // The monitors of the daemonic ones watch for the end of their parent and terminate them. One without a monitor has no
    // other to do it.
    let left_alone = |child: &&Observed| child.record.daemon && !child.is_monitored();
    for child in live.iter().filter(left_alone) {
        if let Err(e) = signal::send(child, Order::TERMINATE) {
            report::error(&e.into());
        }
    }
    // Orphans become children of `run`; a child without a monitor does, too, and its code is told when it has been reaped.
    process::let_kernel_reap();
    wait::for_all(run_dir, live, Deadline::NEVER, &report::late)?;
    Ok(())
}
