//! `procctl doctor`: what there is to work with, and what is wrong.

use serde_json::json;

use super::{Outcome, Session, answer};
use crate::cli::Doctor;
use crate::output::doctor::{self, Mark};
use crate::output::terminal;
use crate::process::doctor::examine;
use crate::process::error::status;

pub(super) fn run(session: &Session, args: &Doctor) -> Outcome {
    let facts = examine(session.run_dir_option());
    let sections = doctor::judge(&facts);
    let needing: Vec<_> = doctor::all(&sections).filter(|finding| finding.mark == Mark::Bad).collect();
    if args.json {
        let mut value = serde_json::to_value(&facts)?;
        value["well"] = json!(needing.is_empty());
        value["attention"] = serde_json::to_value(&needing)?;
        answer::json(&value)?;
    } else {
        let page = doctor::page(&facts, &sections, session.colour(), terminal::width());
        answer::raw(page.as_bytes())?;
    }
    Ok(if needing.is_empty() { 0 } else { status::ATTENTION })
}
