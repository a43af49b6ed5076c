//! The environment of a process: the caller's (or none), changed by `-e`, and what procctl adds.

use std::borrow::Cow;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use serde::{Deserialize, Serialize};

use crate::os::environment;
use crate::os::fs::{FileError, optional};

use super::entry::{ENVIRONMENT, Entry};
use super::error::{Error, Result};
use super::family::{ID_VARIABLE, INDEX_VARIABLE, NAME_VARIABLE, PARENT_VARIABLE};
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

    /// The whole environment of a process, as execve(2) takes it.
    pub fn of_process(&self, run_dir: &RunDir, record: &Record) -> Result<Variables> {
        let inherited = if self.clear { Vec::new() } else { environment::inherited() };
        let mut variables = Vec::with_capacity(inherited.len() + self.set.len() + 3);
        variables.extend(inherited.into_iter().map(Cow::Borrowed));
        let mut variables = Variables(variables);
        let is_callers_own =
            |key: &[u8]| key == PARENT_VARIABLE.as_bytes() || key == INDEX_VARIABLE.as_bytes();
        variables.0.retain(|variable| split(variable).is_some_and(|(key, _)| !is_callers_own(key)));
        for (key, value) in &self.set {
            variables.set(key.as_os_str(), value.as_os_str())?;
        }
        variables.set(ID_VARIABLE, record.id.as_str())?;
        variables.set(NAME_VARIABLE, &record.name)?;
        variables.set(VARIABLE, run_dir.path().as_os_str())?;
        if let Some(index) = record.index {
            variables.set(INDEX_VARIABLE, index.to_string())?;
        }
        Ok(variables)
    }
}

/// An environment. What is inherited is not copied: most of what a start would allocate.
#[derive(Debug, Default)]
pub struct Variables(pub Vec<Cow<'static, CStr>>);

impl Variables {
    /// The value of a variable.
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.0
            .iter()
            .filter_map(|variable| split(variable))
            .find(|(known, _)| *known == key.as_bytes())
            .map(|(_, value)| value)
    }

    /// Sets one, in its place. There can be several of a name, of which programs see the first or the last: one is left.
    fn set(&mut self, key: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Result<()> {
        let key = key.as_ref().as_bytes();
        let mut variable = Some(Cow::Owned(to_c_string([key, b"=", value.as_ref().as_bytes()].concat())?));
        self.0.retain_mut(|known| {
            if split(known).is_none_or(|(known, _)| known != key) {
                return true;
            }
            variable.take().map(|variable| *known = variable).is_some()
        });
        self.0.extend(variable);
        Ok(())
    }
}

/// Key and value. A key is not empty: a string that begins with `=` is one whose key does (as the C library sees it).
fn split(variable: &CStr) -> Option<(&[u8], &[u8])> {
    let bytes = variable.to_bytes();
    let at = 1 + bytes.get(1..)?.iter().position(|&b| b == b'=')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// A string of the operating system for the kernel.
pub fn to_c_string(bytes: impl Into<Vec<u8>>) -> Result<CString> {
    CString::new(bytes).map_err(|_| Error::refused("an argument or variable has a NUL byte in it"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_set_is_there_once() {
        let strings = [c"A=1", c"=B=2", c"B=3", c"A=4", c"B=5"];
        let mut variables = Variables(strings.map(Cow::Borrowed).into());
        variables.set("B", "x=y").expect("set");
        variables.set("C", "").expect("set");
        let all: Vec<&CStr> = variables.0.iter().map(AsRef::as_ref).collect();
        assert_eq!(all, [c"A=1", c"=B=2", c"B=x=y", c"A=4", c"C="]);
        assert_eq!(variables.get("B"), Some(&b"x=y"[..]));
        assert!(variables.set("D", "a\0b").is_err());
    }
}
