//! `procctl set`: change the name; or, before the start, the daemon flag or the authkey.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::{Outcome, Session};
use crate::cli::Set;
use crate::process::authkey;
use crate::process::change::{self, Changes};
use crate::process::error::{Error, Result};
use crate::process::name;
use crate::process::reference::Resolver;

pub(super) fn run(session: &Session, args: &Set) -> Outcome {
    let changes = parse(&args.changes)?;
    let run_dir = session.existing_run_dir()?;
    let seen = Resolver::new(&run_dir).one(&args.reference)?;
    change::apply(&run_dir, seen, &changes)?;
    Ok(0)
}

fn parse(words: &[OsString]) -> Result<Changes> {
    const KEYS: &str = "keys: name=NAME, daemon=true|false, authkey-file=FILE";
    let mut changes = Changes::default();
    for word in words {
        let shown = word.to_string_lossy();
        let bytes = word.as_bytes();
        let at = bytes.iter().position(|&b| b == b'=');
        let at = at.ok_or_else(|| Error::hinted(format!("'{shown}' is not KEY=VALUE"), KEYS))?;
        let value = OsStr::from_bytes(&bytes[at + 1..]);
        match &bytes[..at] {
            b"name" => {
                let text = value
                    .to_str()
                    .ok_or_else(|| Error::refused(format!("the name '{shown}' is not UTF-8")))?;
                name::check(text).map_err(Error::refused)?;
                changes.name = Some(text.to_owned());
            }
            b"daemon" => changes.daemon = Some(flag(value, &shown)?),
            b"authkey-file" => changes.authkey = Some(authkey::from_file(Path::new(value))?),
            b"authkey" => {
                let what = "a key on the command line could be seen by everybody";
                return Err(Error::hinted(what, "authkey-file=FILE"));
            }
            key => {
                let key = String::from_utf8_lossy(key);
                return Err(Error::hinted(format!("'{}' cannot be set", key.escape_debug()), KEYS));
            }
        }
    }
    Ok(changes)
}

fn flag(value: &OsStr, shown: &str) -> Result<bool> {
    match value.to_str() {
        Some("true" | "yes" | "1") => Ok(true),
        Some("false" | "no" | "0") => Ok(false),
        _ => {
            Err(Error::hinted(format!("'{shown}' is neither true nor false"), "daemon=true or daemon=false"))
        }
    }
}
