//! The environment of a process: the caller's (or none), changed by `-e`, and what procctl adds.

use std::ffi::{CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

use crate::os::fs::{FileError, optional};

use super::entry::{ENVIRONMENT, Entry};
use super::error::{Error, Result};
use super::family::{ID_VARIABLE, NAME_VARIABLE, PARENT_VARIABLE};
use super::record::{LARGEST, Record};
use super::rundir::{RunDir, VARIABLE};
use super::text::Text;

/// What the user asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Begin with nothing.
    pub clear: bool,
    /// Variables to set, in this order.
    pub set: Vec<(Text, Text)>,
}

impl Changes {
    /// From `-e KEY=VALUE` and `-e KEY` (the caller's value, if it has one).
    pub fn new(clear: bool, words: &[OsString]) -> Result<Self> {
        let mut set = Vec::new();
        for word in words {
            let bytes = word.as_bytes();
            let at = bytes.iter().position(|&b| b == b'=');
            let key = OsStr::from_bytes(&bytes[..at.unwrap_or(bytes.len())]);
            if key.is_empty() {
                let what =
                    format!("'{}' is no variable: its name is empty", word.to_string_lossy().escape_debug());
                return Err(Error::hinted(
                    what,
                    "write -e KEY=VALUE, or -e KEY for the value that KEY has here",
                ));
            }
            let value = match at {
                Some(at) => Some(OsString::from_vec(bytes[at + 1..].to_vec())),
                None => std::env::var_os(key),
            };
            if let Some(value) = value {
                set.push((Text(key.to_owned()), Text(value)));
            }
        }
        Ok(Self { clear, set })
    }

    /// Keeps them for a later start, in a private file.
    pub fn save(&self, entry: &Entry) -> Result<()> {
        if *self == Self::default() {
            return Ok(());
        }
        let json =
            serde_json::to_vec(self).map_err(|e| FileError::new("write", entry.path(ENVIRONMENT), e))?;
        Ok(entry.dir.write_new(ENVIRONMENT, &json)?)
    }

    /// Those that were kept.
    pub fn load(entry: &Entry) -> Result<Self> {
        let Some(bytes) = optional(entry.dir.read(ENVIRONMENT, LARGEST))? else { return Ok(Self::default()) };
        serde_json::from_slice(&bytes).map_err(|e| FileError::new("read", entry.path(ENVIRONMENT), e).into())
    }

    /// The whole environment of a process.
    pub fn of_process(&self, run_dir: &RunDir, record: &Record) -> Vec<(OsString, OsString)> {
        let inherited: Vec<_> = if self.clear { Vec::new() } else { std::env::vars_os().collect() };
        let mut variables = inherited;
        variables.retain(|(key, _)| key != PARENT_VARIABLE);
        let mut set = |key: &OsStr, value: &OsStr| match variables.iter_mut().find(|(known, _)| known == key)
        {
            Some((_, old)) => value.clone_into(old),
            None => variables.push((key.to_owned(), value.to_owned())),
        };
        for (key, value) in &self.set {
            set(key.as_os_str(), value.as_os_str());
        }
        set(ID_VARIABLE.as_ref(), record.id.as_str().as_ref());
        set(NAME_VARIABLE.as_ref(), record.name.as_ref());
        set(VARIABLE.as_ref(), run_dir.path().as_os_str());
        variables
    }
}

/// As execve(2) takes it.
pub fn to_c_strings(variables: &[(OsString, OsString)]) -> Result<Vec<CString>> {
    variables
        .iter()
        .map(|(key, value)| to_c_string([key.as_bytes(), b"=", value.as_bytes()].concat()))
        .collect()
}

/// A string of the operating system for the kernel.
pub fn to_c_string(bytes: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::refused("an argument or variable has a NUL byte in it"))
}
