//! `procctl get`: one field of a record, raw, or some of them in a line, for scripts.

use serde_json::Value;

use super::format::Format;
use super::{Outcome, Session, answer};
use crate::cli::Get;
use crate::output::template;
use crate::process::authkey;
use crate::process::error::{Error, Result};
use crate::process::family;
use crate::process::reference::Resolver;
use crate::process::rundir::RunDir;
use crate::process::schema::{Fields, walk};

pub(super) fn run(session: &Session, args: &Get) -> Outcome {
    let run_dir = session.existing_run_dir()?;
    if args.reference == "@parent"
        && let Some(parent) = outside_parent(&run_dir)?
    {
        return print(&parent, Fields::of_parent, args);
    }
    let seen = Resolver::new(&run_dir).one(&args.reference)?;
    if args.field.as_deref() == Some("authkey") {
        answer::raw(&authkey::of(&seen.entry)?.to_hex_line())?;
        return Ok(0);
    }
    print(&answer::to_value(&seen.record)?, Fields::of_record, args)
}

/// The parent of the surrounding process, if that is no managed process: what its child's record keeps of it.
fn outside_parent(run_dir: &RunDir) -> Result<Option<Value>> {
    let Some((own, _)) = family::surrounding(run_dir)? else { return Ok(None) };
    let Some(parent) = own.parent else { return Ok(None) };
    // A managed one that was closed is known by what is kept of it, too.
    if let Some(id) = &parent.id
        && run_dir.entry(id)?.is_some()
    {
        return Ok(None);
    }
    let value = serde_json::to_value(&parent).map_err(|e| Error::system("cannot print the parent", e))?;
    Ok(Some(value))
}

/// Prints what was asked for of a record. Which fields there can be is not looked up before it is needed.
fn print(record: &Value, fields: fn() -> Fields, args: &Get) -> Outcome {
    if let Some(text) = &args.format {
        answer::raw(&Format::new(text, &fields())?.line(record))?;
        return Ok(0);
    }
    let value = match args.field.as_deref() {
        None => return answer::json(record).map(|()| 0),
        Some(path) => match walk(record, path) {
            // Of nothing there is every field that there can be.
            Some(Value::Null) => {
                if path.contains('.') {
                    fields().check(path)?;
                }
                &Value::Null
            }
            Some(value) => value,
            None => {
                fields().check(path)?;
                let whose = record["name"].as_str().unwrap_or("the parent");
                return Err(Error::refused(format!("{whose} has no {path}")).into());
            }
        },
    };
    match template::plain(value) {
        Some(bytes) => answer::value(&bytes)?,
        None => answer::json(value)?,
    }
    Ok(0)
}
