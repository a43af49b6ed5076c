//! `procctl get`: one field of a record, raw, for scripts.

use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use super::{Outcome, Session, answer};
use crate::cli::Get;
use crate::process::authkey;
use crate::process::error::{Error, Result};
use crate::process::family;
use crate::process::observe::Observed;
use crate::process::reference::Resolver;
use crate::process::rundir::RunDir;
use crate::process::text::Text;

pub(super) fn run(session: &Session, args: &Get) -> Outcome {
    let run_dir = session.existing_run_dir()?;
    if args.reference == "@parent"
        && let Some(value) = outside_parent(&run_dir, args.field.as_deref())?
    {
        return print(&value).map(|()| 0);
    }
    let seen = Resolver::new(&run_dir).one(&args.reference)?;
    match args.field.as_deref() {
        Some("authkey") => answer::raw(&authkey::of(&seen.entry)?.to_hex_line())?,
        None => answer::json(&answer::to_value(&seen.record)?)?,
        Some(field) => print(&field_of(&seen, field)?)?,
    }
    Ok(0)
}

/// The parent of the surrounding process, if that is no managed process: what its child's record keeps of it.
fn outside_parent(run_dir: &RunDir, field: Option<&str>) -> Result<Option<Value>> {
    let Some((own, _)) = family::surrounding(run_dir)? else { return Ok(None) };
    let Some(parent) = own.parent else { return Ok(None) };
    // A managed one that was closed is known by what is kept of it, too.
    if let Some(id) = &parent.id
        && run_dir.entry(id)?.is_some()
    {
        return Ok(None);
    }
    let value = serde_json::to_value(&parent).map_err(|e| Error::system("cannot print the parent", e))?;
    match field {
        None => Ok(Some(value)),
        Some(field) => {
            if let Some(found) = walk(&value, field) {
                Ok(Some(found.clone()))
            } else {
                let what = format!(
                    "nothing is known of '{}' of a parent that is no managed process",
                    field.escape_debug()
                );
                Err(Error::hinted(what, format!("fields: {}", fields(&value))))
            }
        }
    }
}

fn field_of(seen: &Observed, field: &str) -> Result<Value> {
    let record =
        serde_json::to_value(&seen.record).map_err(|e| Error::system("cannot print the record", e))?;
    let found = walk(&record, field).cloned();
    found.ok_or_else(|| {
        let what = format!("a record has no field '{}'", field.escape_debug());
        Error::hinted(what, format!("fields: {}, authkey", fields(&record)))
    })
}

/// `usage.user_seconds` of a record without a usage is null, as `usage` itself is.
fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| match value {
        Value::Null => Some(value),
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

fn fields(value: &Value) -> String {
    let names = value.as_object().map(|fields| fields.keys().cloned().collect::<Vec<_>>());
    names.unwrap_or_default().join(", ")
}

/// Strings raw, null as an empty line, the rest as JSON.
fn print(value: &Value) -> anyhow::Result<()> {
    match value {
        Value::Null => answer::line(""),
        Value::String(text) => answer::value(text.as_bytes()),
        Value::Object(_) => match serde_json::from_value::<Text>(value.clone()) {
            // A string that is not UTF-8.
            Ok(text) => answer::value(text.as_os_str().as_bytes()),
            Err(_) => answer::json(value),
        },
        other => answer::json(other),
    }
}
