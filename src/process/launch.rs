//! Launching: from what the user asked for to a process that runs under its monitor, or to nothing at all.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use nix::sys::signal::Signal;

use crate::os::fs::FileError;
use crate::os::process::{self, Fork, PointerList};
use crate::os::signals::{self, Blocked, Received, SignalFd};
use crate::os::{fd, umask};

use super::authkey;
use super::child::Plan;
use super::entry::{Entry, LOG, RECORD};
use super::environment::{self, Changes};
use super::error::{Error, Result};
use super::family::{self, Creator};
use super::ledger::{Ledger, Number};
use super::monitor::{Answer, Job, Supervisor};
use super::name;
use super::names::Shelf;
use super::observe;
use super::record::{Record, SCHEMA, State};
use super::recover;
use super::rundir::RunDir;
use super::streams::{Files, Stream, Streams};
use super::text::Text;
use super::time::Moment;

/// What the user asked for.
#[derive(Debug)]
pub struct Request {
    /// The command and its arguments; not empty.
    pub command: Vec<OsString>,
    /// The name, or the default one.
    pub name: Option<String>,
    /// The daemon flag, or the parent's.
    pub daemon: Option<bool>,
    /// No other live process may have the name.
    pub unique: bool,
    /// The creating process, or the caller's.
    pub parent: Option<i32>,
    /// The working directory, absolute; or the caller's.
    pub directory: Option<PathBuf>,
    /// Changes to the environment.
    pub changes: Changes,
    /// The standard streams.
    pub streams: Streams,
    /// Descriptors to pass on.
    pub passed: Vec<RawFd>,
    /// The authkey, or the parent's.
    pub authkey: Option<Vec<u8>>,
}

/// A process that has a directory, a number and a name, and no record yet.
struct Draft<'a> {
    run_dir: &'a RunDir,
    entry: Entry,
    record: Record,
    number: Number,
    name_lock: Option<OwnedFd>,
    creator: Option<Creator>,
}

impl Draft<'_> {
    fn undo(&self) {
        let names = self.run_dir.names();
        let _ = names.remove(Shelf::Live, &self.record);
        let _ = names.remove(Shelf::Initial, &self.record);
        self.number.take_back(self.run_dir, self.record.parent_key());
        let _ = self.run_dir.root.remove_flat(self.entry.id.path());
    }
}

/// Records a process without starting it.
pub fn create(run_dir: &RunDir, request: &Request) -> Result<Record> {
    let draft = draft(run_dir, request)?;
    let recorded = (|| {
        request.changes.save(&draft.entry)?;
        run_dir.names().add(Shelf::Initial, &draft.record)?;
        draft.entry.save(&draft.record)
    })();
    if let Err(e) = recorded {
        draft.undo();
        return Err(e);
    }
    // If it cannot be written, the next one to take a number finds out.
    let _ = draft.number.commit();
    Ok(draft.record)
}

/// Records a process and starts it in the background.
pub fn start(run_dir: &RunDir, request: &Request) -> Result<Record> {
    let job = job(run_dir, request, true)?;
    in_background(job)
}

/// Starts what [`create`] recorded.
pub fn start_recorded(run_dir: &RunDir, entry: Entry) -> Result<Record> {
    in_background(recorded_job(run_dir, entry)?)
}

/// Records a process, starts it in the foreground and stays its monitor until it has ended. Returns the final record.
pub fn run(run_dir: &RunDir, request: &Request) -> Result<Record> {
    in_foreground(job(run_dir, request, false)?)
}

/// Takes everything that a new process needs in the run directory, or nothing.
fn draft<'a>(run_dir: &'a RunDir, request: &Request) -> Result<Draft<'a>> {
    let creator = family::creator(run_dir, request.parent)?;
    if let Some(creator) = &creator {
        creator.check_may_have_children()?;
    }
    let daemon = request.daemon.unwrap_or(false);
    if daemon && creator.is_none() {
        return Err(Error::hinted(
            "a daemonic process needs a parent, and that of procctl is outside of this PID namespace",
            "say --parent PID",
        ));
    }
    check_file_size_limit()?;
    let directory = match &request.directory {
        Some(directory) => directory.clone(),
        // Not getcwd(3): that fails in a directory that was deleted, and a process can well be started there.
        None => {
            std::fs::read_link("/proc/self/cwd").map_err(|e| FileError::new("read", "/proc/self/cwd", e))?
        }
    };
    let (boot_id, pid_namespace) = (run_dir.host.boot_id()?.to_owned(), run_dir.host.pid_namespace()?);
    let key = creator.as_ref().map_or(super::record::NO_PARENT, |creator| &creator.key);
    let ledger = Ledger::open_or_create(run_dir, key)?;
    let entry = run_dir.make_entry()?;
    let number =
        ledger.next(run_dir, &entry.id).inspect_err(|_| drop(run_dir.root.remove_flat(entry.id.path())))?;

    let managed = creator.as_ref().and_then(|creator| creator.managed.as_ref());
    let mut identity = managed.map(|record| record.identity.clone()).unwrap_or_default();
    identity.push(number.value);
    let record = Record {
        schema: SCHEMA,
        name: request.name.clone().unwrap_or_else(|| name::default_for(&identity)),
        state: State::Initial,
        pid: None,
        exitcode: None,
        daemon,
        identity,
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
        sentinel: entry.path(super::entry::SENTINEL).into(),
        log: request.streams.use_log().then(|| entry.path(LOG).into()),
        usage: None,
        ended_by: None,
        core_dumped: None,
        host: run_dir.host.name().to_owned(),
        boot_id,
        monitor: None,
        start_ticks: None,
        pidfd_inode: None,
        pid_namespace: Some(pid_namespace),
        unique: request.unique,
        witness: None,
        other: std::collections::BTreeMap::new(),
        id: entry.id.clone(),
    };
    let draft = Draft { run_dir, entry, record, number, name_lock: None, creator };
    let filled = (|| {
        draft.entry.make_sentinel()?;
        authkey::give(run_dir, draft.creator.as_ref(), &ledger, &draft.entry, request.authkey.as_deref())
    })();
    if let Err(e) = filled {
        draft.undo();
        return Err(e);
    }
    Ok(draft)
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

/// A new process, ready to be spawned.
fn job<'a>(run_dir: &'a RunDir, request: &Request, own_session: bool) -> Result<Job<'a>> {
    for &passed in &request.passed {
        check_passed(passed)?;
    }
    let files = request.streams.open_files()?;
    let mut draft = draft(run_dir, request)?;
    let prepared = (|| {
        draft.name_lock = claim_name(run_dir, &draft.record)?;
        let life = draft
            .entry
            .begin_start()?
            .ok_or_else(|| Error::refused("the new process is locked by somebody else"))?;
        let directory = request.directory.as_deref();
        let (changes, streams) = (&request.changes, (&request.streams, files));
        let passed = request.passed.clone();
        let plan =
            plan(run_dir, &draft.entry, &draft.record, changes, streams, directory, passed, own_session)?;
        run_dir.names().add(Shelf::Live, &draft.record)?;
        Ok((life, plan))
    })();
    match prepared {
        Err(e) => {
            draft.undo();
            Err(e)
        }
        Ok((life, plan)) => {
            let Draft { run_dir, entry, record, number, name_lock, creator } = draft;
            let number = Some(number);
            Ok(Job { run_dir, entry, record, was_recorded: false, plan, life, number, name_lock, creator })
        }
    }
}

/// A process in state `initial`, ready to be spawned.
fn recorded_job(run_dir: &RunDir, entry: Entry) -> Result<Job<'_>> {
    let id = entry.id.clone();
    let once = || Error::refused(format!("cannot start {id}: a process can be started only once"));
    let before = entry.load()?.filter(|record| record.state == State::Initial).ok_or_else(once)?;
    let streams = Streams {
        input: Stream::from_record(&before.stdin),
        output: Stream::from_record(&before.stdout),
        error: Stream::from_record(&before.stderr),
    };
    let files = streams.open_files()?;
    let Some(life) = entry.begin_start()? else {
        // Started by somebody else; or `set` is at work, or a start that will fail: those are waited for.
        entry.wait_for_start()?;
        return recorded_job(run_dir, entry);
    };
    // The life lock is ours: a start before this one is over. If it was cut off, its outcome is settled first.
    if entry.dir.has(super::entry::STARTING) {
        drop(life);
        recover::settle(run_dir, &entry)?;
        return recorded_job(run_dir, entry);
    }
    let mut record = entry.load()?.filter(|record| record.state == State::Initial).ok_or_else(once)?;
    let creator = parent_of_recorded(run_dir, &record)?;
    if let Some(creator) = &creator {
        creator.check_may_have_children()?;
    }
    run_dir.host.name().clone_into(&mut record.host);
    run_dir.host.boot_id()?.clone_into(&mut record.boot_id);
    record.pid_namespace = Some(run_dir.host.pid_namespace()?);
    let changes = Changes::load(&entry)?;
    let name_lock = claim_name(run_dir, &record)?;
    let directory = PathBuf::from(record.cwd.as_os_str());
    let streams = (&streams, files);
    let plan = plan(run_dir, &entry, &record, &changes, streams, Some(&directory), Vec::new(), true)?;
    run_dir.names().add(Shelf::Live, &record)?;
    Ok(Job { run_dir, entry, record, was_recorded: true, plan, life, number: None, name_lock, creator })
}

/// The creator of a recorded process, if it lives. A daemonic process cannot be started without one.
fn parent_of_recorded(run_dir: &RunDir, record: &Record) -> Result<Option<Creator>> {
    let here = record.boot_id == run_dir.host.boot_id()?
        && record.pid_namespace == Some(run_dir.host.pid_namespace()?);
    let parent = record.parent.as_ref().filter(|_| here);
    let pidfd = match parent {
        Some(parent) => {
            parent.process.open().map_err(|e| Error::system("cannot look at the parent process", e))?
        }
        None => None,
    };
    let alive = pidfd.filter(|pidfd| {
        let stage = crate::os::pidfd::stage(std::os::fd::AsFd::as_fd(pidfd));
        stage.is_ok_and(|stage| stage == crate::os::pidfd::Stage::Alive)
    });
    match (parent, alive) {
        (Some(parent), Some(pidfd)) => {
            let managed = match &parent.id {
                Some(id) => observe::by_id(run_dir, id)?.map(|seen| Box::new(seen.record)),
                None => None,
            };
            Ok(Some(Creator { process: parent.process, pidfd, managed, key: parent.key.clone() }))
        }
        _ if record.daemon => Err(Error::hinted(
            format!("cannot start {}: it is daemonic and its parent has ended", record.id),
            format!("procctl set {} daemon=false", record.id),
        )),
        _ => Ok(None),
    }
}

/// For a unique process: takes the lock on its name, and refuses if a live process bears it.
fn claim_name(run_dir: &RunDir, record: &Record) -> Result<Option<OwnedFd>> {
    if !record.unique {
        return Ok(None);
    }
    let lock = run_dir.names().lock_name(&record.name)?;
    for tag in run_dir.names().find(Shelf::Live, &record.name)? {
        // A record that cannot be read bears no name.
        let Ok(Some(seen)) = observe::by_id(run_dir, &tag.id) else { continue };
        if seen.record.name == record.name && seen.is_alive() {
            return Err(Error::hinted(
                format!("a live process named '{}' exists: {}", record.name, seen.record.id),
                format!("procctl terminate --wait {}", seen.record.id),
            ));
        }
    }
    Ok(Some(lock))
}

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
fn plan(
    run_dir: &RunDir,
    entry: &Entry,
    record: &Record,
    changes: &Changes,
    (streams, files): (&Streams, Files),
    directory: Option<&Path>,
    passed: Vec<RawFd>,
    own_session: bool,
) -> Result<Plan> {
    let streams = streams.open(files, entry)?;
    let variables = changes.of_process(run_dir, record);
    let candidates = candidates(&record.command[0].0, &variables)?;
    let arguments = record.command.iter().map(|text| environment::to_c_string(text.0.as_bytes()));
    Ok(Plan {
        own_session,
        streams,
        passed,
        directory: directory.map(|path| environment::to_c_string(path.as_os_str().as_bytes())).transpose()?,
        umask: umask::of_caller(),
        signals: Blocked::new().map_err(|e| Error::system("cannot set up signals", e))?,
        candidates,
        arguments: PointerList::new(arguments.collect::<Result<_>>()?),
        environment: PointerList::new(environment::to_c_strings(&variables)?),
    })
}

/// The files that a command may mean. With a slash it is a path; else it is looked for in the process's own `PATH`.
fn candidates(command: &OsStr, variables: &[(OsString, OsString)]) -> Result<Vec<CString>> {
    const DEFAULT_PATH: &[u8] = b"/usr/local/bin:/usr/bin:/bin";
    if command.is_empty() {
        return Err(Error::Exec {
            command: "''".to_owned(),
            status: super::error::status::NOT_FOUND,
            source: std::io::Error::other("the command is empty"),
        });
    }
    if command.as_bytes().contains(&b'/') {
        return Ok(vec![environment::to_c_string(command.as_bytes())?]);
    }
    let path =
        variables.iter().find(|(key, _)| key == "PATH").map_or(DEFAULT_PATH, |(_, value)| value.as_bytes());
    path.split(|&b| b == b':')
        .map(|folder| if folder.is_empty() { &b"."[..] } else { folder })
        .map(|folder| environment::to_c_string([folder, b"/", command.as_bytes()].concat()))
        .collect()
}

/// Forks the monitor and waits for its answer.
fn in_background(job: Job<'_>) -> Result<Record> {
    let pipe = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC);
    let forked = pipe.map_err(std::io::Error::from).and_then(|pipe| Ok((process::fork()?, pipe)));
    let (answer, report) = match forked {
        Ok((Fork::Child, (_, report))) => job.run_as_monitor(report),
        Ok((Fork::Parent(_), pipe)) => pipe,
        Err(e) => {
            job.undo();
            return Err(Error::system("cannot make a process", e));
        }
    };
    // The monitor's copies of the locks are to be the only ones.
    drop(report);
    let Job { run_dir, entry, mut record, plan, life, number, name_lock, creator, .. } = job;
    drop((life, number, name_lock, creator, plan));
    let bytes = read_to_end(&answer).map_err(|e| Error::system("cannot hear from the monitor", e))?;
    match serde_json::from_slice(&bytes) {
        Ok(Answer::Started(started)) => {
            started.complete(&mut record);
            Ok(record)
        }
        Ok(Answer::Failed(failure)) => {
            Err(failure.into_error(&record.command[0].to_string(), &record.cwd.to_string()))
        }
        // It was killed before it could say anything.
        Err(_) => without_answer(run_dir, &entry),
    }
}

/// The monitor was killed. Its process lives, and then there is a record; or there is neither.
fn without_answer(run_dir: &RunDir, entry: &Entry) -> Result<Record> {
    let record = if recover::is_recorded(run_dir, entry)? { observe::facts(run_dir, entry)? } else { None };
    match record {
        Some((record, _)) if record.state != State::Initial => Ok(record),
        _ => Err(Error::refused("the monitor was killed before the process was started")),
    }
}

/// Signals that `run` passes on to its command.
const FORWARDED: [Signal; 6] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGQUIT, Signal::SIGUSR1, Signal::SIGUSR2];

fn in_foreground(mut job: Job<'_>) -> Result<Record> {
    let (command, directory) = (job.record.command[0].to_string(), job.record.cwd.to_string());
    let _ = process::become_subreaper();
    let mut waited_for = FORWARDED.to_vec();
    waited_for.push(Signal::SIGCHLD);
    let signals = SignalFd::new(&waited_for).map_err(|e| {
        job.undo();
        Error::system("cannot wait for signals", e)
    })?;
    let pid = job.begin().map_err(|failure| failure.into_error(&command, &directory))?;
    let Job { run_dir, entry, record, plan, life, creator, .. } = job;
    let Plan { signals: blocked, .. } = plan;
    // Stop signals and the rest act on procctl as on any program, so that ^Z and fg work. Those that are forwarded have
    // been blocked since before there was a process, and none is lost.
    let _ = signals::set_mask(&signals::union(&blocked.mask, &waited_for));
    let parent = creator.as_ref().filter(|_| record.daemon);
    let supervisor = Supervisor { run_dir, entry: &entry, pid, signals: Some(&signals), parent };
    let ended = supervisor.wait(&mut |received: Received| {
        if !is_for_the_group(received) {
            process::signal_child(pid, received.signal);
        }
    });
    supervisor.record(ended);
    drop(life);
    // What came for a command that had just ended goes nowhere.
    while signals.next().is_ok_and(|received| received.is_some()) {}
    drop(blocked);
    entry.load()?.ok_or_else(|| {
        Error::refused(format!(
            "the record {} was removed while the process ran",
            entry.path(RECORD).display()
        ))
    })
}

/// Whether the whole foreground group, and so the command, has a signal already: the terminal sent it. A hang-up is sent to
/// the leader of the session alone.
fn is_for_the_group(received: Received) -> bool {
    received.by_kernel && !(received.signal == Signal::SIGHUP as i32 && process::is_session_leader())
}

/// Reads a pipe to its end.
fn read_to_end(pipe: &OwnedFd) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match rustix::io::read(pipe, &mut buffer) {
            Ok(0) => return Ok(bytes),
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_looked_for_in_the_path_of_the_process() {
        let variables = [("PATH".into(), "/a::/b".into())];
        let found = candidates("x".as_ref(), &variables).expect("candidates");
        assert_eq!(found, [c"/a/x".to_owned(), c"./x".to_owned(), c"/b/x".to_owned()]);
        assert_eq!(candidates("./x".as_ref(), &variables).expect("candidates"), [c"./x".to_owned()]);
        assert!(candidates("".as_ref(), &variables).is_err());
    }
}
