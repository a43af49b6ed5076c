//! What the child will do, computed before there is one.

use std::borrow::Cow;
use std::ffi::{CString, OsStr};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use crate::os::process::PointerList;
use crate::os::signals::Blocked;
use crate::os::{fd, umask};

use crate::process::child::Plan;
use crate::process::entry::Entry;
use crate::process::environment::{self, Changes, Variables};
use crate::process::error::{Error, Result, status};
use crate::process::record::Record;
use crate::process::rundir::RunDir;
use crate::process::streams::{Files, Streams};

/// Checks a descriptor of `--fd`, before procctl opens any of its own.
pub fn check_passed(passed: RawFd) -> Result<()> {
    if passed < 3 {
        return Err(Error::hinted(
            format!("--fd {passed} is a standard stream"),
            "use --stdin, --stdout or --stderr",
        ));
    }
    if !fd::is_open(passed) {
        return Err(Error::refused(format!("--fd {passed} is not open here")));
    }
    Ok(())
}

#[expect(clippy::too_many_arguments, reason = "each is a different part of what becomes the child's plan")]
pub(super) fn plan(
    run_dir: &RunDir,
    entry: &Entry,
    record: &Record,
    changes: &Changes,
    (streams, files): (&Streams, Files),
    directory: Option<&Path>,
    passed: Vec<RawFd>,
    own_session: bool,
    signals: Blocked,
) -> Result<Plan> {
    let streams = streams.open(files, entry)?;
    let variables = changes.of_process(run_dir, record)?;
    let candidates = candidates(&record.command[0].0, &variables)?;
    let arguments = record.command.iter().map(|text| environment::to_c_string(text.0.as_bytes()));
    Ok(Plan {
        own_session,
        streams,
        passed,
        directory: directory.map(|path| environment::to_c_string(path.as_os_str().as_bytes())).transpose()?,
        umask: umask::of_caller(),
        signals,
        candidates,
        arguments: PointerList::new(arguments.map(|word| word.map(Cow::Owned)).collect::<Result<_>>()?),
        environment: PointerList::new(variables.0),
    })
}

/// Blocks signals, for as long as a start takes.
pub(super) fn block_signals() -> Result<Blocked> {
    Blocked::new().map_err(|e| Error::system("cannot set up signals", e))
}

/// Refuses what is no command anywhere.
pub(super) fn check_command(command: &OsStr) -> Result<()> {
    if command.is_empty() {
        return Err(Error::Exec {
            command: "''".to_owned(),
            status: status::NOT_FOUND,
            source: std::io::Error::other("the command is empty"),
        });
    }
    Ok(())
}

/// The files that a command may mean. With a slash it is a path; else it is looked for in the process's own `PATH`.
fn candidates(command: &OsStr, variables: &Variables) -> Result<Vec<CString>> {
    const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
    check_command(command)?;
    if command.as_bytes().contains(&b'/') {
        return Ok(vec![environment::to_c_string(command.as_bytes())?]);
    }
    let path = variables.get("PATH").unwrap_or(DEFAULT_PATH);
    path.split(|&b| b == b':')
        .map(|folder| if folder.is_empty() { &b"."[..] } else { folder })
        .map(|folder| environment::to_c_string([folder, b"/", command.as_bytes()].concat()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_in_the_path_of_the_process() {
        let variables = Variables(vec![c"A=b".into(), c"PATH=/a::/b".into()]);
        let found = candidates("x".as_ref(), &variables).expect("candidates");
        assert_eq!(found, [c"/a/x".to_owned(), c"./x".to_owned(), c"/b/x".to_owned()]);
        assert_eq!(candidates("./x".as_ref(), &variables).expect("candidates"), [c"./x".to_owned()]);
        assert!(candidates("".as_ref(), &variables).is_err());
    }
}
