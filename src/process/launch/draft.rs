//! A new process before its first record: everything that it takes in the run directory, or nothing.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use rustix::io::retry_on_intr;

use crate::os::fs::FileError;

use super::Request;
use crate::process::authkey::{self, Key};
use crate::process::entry::{self, Entry, LOG};
use crate::process::error::{Error, Result};
use crate::process::family::{self, Creator};
use crate::process::ledger::{Ledger, Number};
use crate::process::name;
use crate::process::names::Shelf;
use crate::process::record::{NO_PARENT, Record, SCHEMA, State};
use crate::process::retention;
use crate::process::rundir::RunDir;
use crate::process::text::Text;
use crate::process::time::Moment;

/// What can be found out before there is anything of a process, and holds for all that are made at once.
pub(super) struct Basis<'a> {
    pub(super) run_dir: &'a RunDir,
    pub(super) creator: Option<Creator>,
    pub(super) ledger: Ledger,
    daemon: bool,
    pub(super) directory: PathBuf,
    boot_id: &'a str,
    pid_namespace: u64,
}

/// A process that has a directory, a number and a name, and no record yet.
pub(super) struct Draft<'a> {
    pub(super) run_dir: &'a RunDir,
    pub(super) entry: Entry,
    pub(super) record: Record,
    /// `None` for one of several: whoever starts them all has taken it, and gives it back.
    pub(super) number: Option<Number>,
    pub(super) creator: Option<Creator>,
}

impl Draft<'_> {
    /// Gives everything back.
    pub(super) fn undo(&self) {
        let names = self.run_dir.names();
        let _ = names.remove(Shelf::Live, &self.record);
        let _ = names.remove(Shelf::Initial, &self.record);
        if let Some(number) = &self.number {
            number.take_back(self.run_dir, self.record.parent_key());
        }
        let _ = self.run_dir.remove_entry(&self.entry.id);
    }
}

/// Takes everything that a new process needs in the run directory, or nothing.
pub(super) fn draft<'a>(run_dir: &'a RunDir, request: &Request) -> Result<Draft<'a>> {
    let basis = Basis::of(run_dir, request)?;
    let entry = run_dir.make_entry()?;
    let number =
        basis.ledger.next(run_dir, &entry.id).inspect_err(|_| drop(run_dir.remove_entry(&entry.id)))?;
    let key = request.authkey.as_deref().map_or(Key::OfFamily, Key::Own);
    basis.draft(request, entry, number.value, Some(number), key)
}

impl<'a> Basis<'a> {
    /// Nothing is made but the ledger of the parent.
    pub(super) fn of(run_dir: &'a RunDir, request: &Request) -> Result<Self> {
        let creator = family::creator(run_dir, request.parent)?;
        if let Some(creator) = &creator {
            creator.check_may_have_children()?;
        }
        let daemon = request.daemon.unwrap_or(false);
        if daemon && creator.is_none() {
            return Err(Error::hinted(
                "a daemonic process needs a parent, and that of procctl is outside of this PID namespace or hidden from you",
                "say --parent PID",
            ));
        }
        check_file_size_limit()?;
        retention::check()?;
        let directory = match &request.directory {
            Some(directory) => directory.clone(),
            None => working_directory()?,
        };
        let (boot_id, pid_namespace) = (run_dir.host.boot_id()?, run_dir.host.pid_namespace()?);
        let key = creator.as_ref().map_or(NO_PARENT, |creator| &creator.key);
        let ledger = Ledger::open_or_create(run_dir, key)?;
        Ok(Self { run_dir, creator, ledger, daemon, directory, boot_id, pid_namespace })
    }

    /// The draft of a process that has a directory and a number: all that is in the directory before its start.
    pub(super) fn draft(
        self,
        request: &Request,
        entry: Entry,
        value: u64,
        number: Option<Number>,
        key: Key<'_>,
    ) -> Result<Draft<'a>> {
        let Self { run_dir, creator, ledger, daemon, directory, boot_id, pid_namespace } = self;
        let managed = creator.as_ref().and_then(|creator| creator.managed.as_ref());
        let mut identity = managed.map(|record| record.identity.clone()).unwrap_or_default();
        identity.push(value);
        let record = Record {
            schema: SCHEMA,
            name: request.name.clone().unwrap_or_else(|| name::default_for(&identity)),
            state: State::Initial,
            pid: None,
            exitcode: None,
            daemon,
            identity,
            index: request.index,
            parent: creator.as_ref().map(Creator::to_parent),
            command: request.command.iter().cloned().map(Text).collect(),
            cwd: directory.into(),
            created_at: Moment::now(),
            started_at: None,
            stopped_at: None,
            lost: None,
            stdin: request.streams.input.to_record(),
            stdout: request.streams.output.to_record(),
            stderr: request.streams.error.to_record(),
            sentinel: entry.path(entry::SENTINEL).into(),
            log: request.streams.use_log().then(|| entry.path(LOG).into()),
            usage: None,
            partial_usage: None,
            ended_by: None,
            core_dumped: None,
            host: run_dir.host.name().to_owned(),
            boot_id: boot_id.to_owned(),
            monitor: None,
            start_ticks: None,
            pidfd_inode: None,
            pid_namespace: Some(pid_namespace),
            unique: request.unique,
            witness: None,
            other: std::collections::BTreeMap::new(),
            id: entry.id.clone(),
        };
        let draft = Draft { run_dir, entry, record, number, creator };
        let filled = (|| {
            // The numbers of many ancestors make a long name.
            name::check(&draft.record.name).map_err(|why| Error::hinted(why, "name it with -n NAME"))?;
            draft.entry.make_sentinel()?;
            authkey::give(run_dir, draft.creator.as_ref(), &ledger, &draft.entry, key)
        })();
        if let Err(e) = filled {
            draft.undo();
            return Err(e);
        }
        Ok(draft)
    }
}

/// The caller's working directory.
fn working_directory() -> Result<PathBuf> {
    // One that was deleted or cannot be reached from the root has no path, and a process can well be started there: /proc shows
    // what there is to show. It is asked only then, for it takes longer.
    let read = || match rustix::process::getcwd(Vec::new()) {
        Ok(path) if path.as_bytes().starts_with(b"/") => Ok(path),
        _ => rustix::fs::readlink("/proc/self/cwd", Vec::new()),
    };
    let path = retry_on_intr(read).map_err(|e| FileError::new("read", "/proc/self/cwd", e))?;
    Ok(OsString::from_vec(path.into_bytes()).into())
}

/// Records and logs are files: with a limit that they cannot be written under, nothing is begun.
fn check_file_size_limit() -> Result<()> {
    const ENOUGH: u64 = 64 * 1024;
    let limit = rustix::process::getrlimit(rustix::process::Resource::Fsize);
    match limit.current {
        Some(limit) if limit < ENOUGH => Err(Error::hinted(
            format!(
                "the limit on the size of files, {limit} bytes, is too small for records: {ENOUGH} are needed"
            ),
            "ulimit -f unlimited; the command can set its own limit: procctl start -- sh -c 'ulimit -f 1; exec CMD'",
        )),
        _ => Ok(()),
    }
}
