//! Opens the gates: who waits at one says so, is held by a pidfd from then on, and is let go when its time has come.
//! Before some gates are opened, a join is made to wait: it must be told the exit code whatever happens to the monitor.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::sync::atomic::Ordering;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::{Duration, Instant};

use procctl::os::pidfd;

use super::model::{Closed, Kid, Start, Worker, broken};
use super::operation::Tag;
use super::rng::Rng;
use super::shell::Done;
use super::{PORTER, Soak};
use crate::harness::{DEADLINE, proc_state};

/// Hears what shells and processes say.
pub(super) fn hear(soak: &Soak, done: &[Sender<Done>]) {
    let _guard = soak.guard();
    let mouth = fs::OpenOptions::new().read(true).write(true).open(soak.hello()).unwrap();
    for line in BufReader::new(mouth).lines() {
        let line = line.unwrap();
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["done", slot, sequence, status] => {
                let slot: usize = slot.parse().unwrap();
                // Nobody listens if that shell was given up.
                let _ = done[slot].send((sequence.parse().unwrap(), status.parse().unwrap()));
            }
            ["kid", tag, pid] => note_kid(soak, Tag::parse(tag).unwrap(), pid.parse().unwrap()),
            ["ready", tag, pid, id] => note_ready(soak, Tag::parse(tag).unwrap(), pid.parse().unwrap(), id),
            ["over"] => return,
            _ => panic!("somebody said {line:?}"),
        }
    }
}

/// Opens the pidfd of a process that calls itself so. None if it has ended by now.
fn hold(pid: i32, called: &str) -> Option<std::os::fd::OwnedFd> {
    let process = pidfd::open(pid).ok()?;
    let words = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let is_it = words.windows(called.len()).any(|part| part == called.as_bytes());
    is_it.then_some(process)
}

fn note_kid(soak: &Soak, tag: Tag, pid: i32) {
    // It is still a fork of the shell, or has become what it is to be.
    if let Some(process) = hold(pid, &tag.to_string()).or_else(|| hold(pid, "sleep\x001000")) {
        soak.model().worker(tag).kids.push(Kid { pid, process });
    }
}

fn note_ready(soak: &Soak, tag: Tag, pid: i32, id: &str) {
    let process = hold(pid, &tag.to_string());
    let mut model = soak.model();
    let known = model.knows_id(tag, id);
    let worker = model.worker(tag);
    worker.ready = Some(Instant::now());
    if process.is_none() && worker.doomed.is_none() {
        drop(model);
        return soak.violate(broken(tag, "it has ended, and nobody told it to"));
    }
    if worker.start == Start::Refused {
        drop(model);
        return soak.violate(broken(tag, "it runs, and its start had failed"));
    }
    if worker.process.is_none() {
        worker.process = process;
    }
    worker.pid = Some(pid);
    worker.history.push(format!("{} ready, pid {pid}", super::model::stamp(Instant::now())));
    let due = Instant::now() + worker.plan.life;
    drop(model);
    soak.gates().due.push((due, tag));
    if let Err(violation) = known {
        soak.violate(violation);
    }
}

/// The gates that are not open yet.
#[derive(Default)]
pub(super) struct Gates {
    pub(super) files: BTreeMap<Tag, fs::File>,
    pub(super) due: Vec<(Instant, Tag)>,
    /// Everybody may go now.
    pub(super) all: bool,
    /// Nobody may go now.
    pub(super) closed: bool,
}

/// Opens gates when their time has come, and keeps an eye on all processes.
pub(super) fn open_gates(soak: &Soak) {
    let _guard = soak.guard();
    let mut rng = Rng::new(soak.seed, PORTER);
    thread::scope(|scope| {
        while !soak.is_over() {
            thread::sleep(Duration::from_millis(3));
            soak.model().workers.values_mut().for_each(super::model::Worker::look);
            let now = Instant::now();
            let mut gates = soak.gates();
            if gates.closed {
                continue;
            }
            let all = gates.all;
            let due: Vec<Tag> =
                gates.due.extract_if(.., |(due, _)| all || *due <= now).map(|(_, tag)| tag).collect();
            // Whoever comes to rest waits for them: they are counted before the gates can be closed.
            soak.witnesses.fetch_add(due.len(), Ordering::SeqCst);
            drop(gates);
            for tag in due {
                if rng.percent(25) {
                    scope.spawn(move || {
                        let _guard = soak.guard();
                        open_with_witness(soak, tag);
                        soak.witnesses.fetch_sub(1, Ordering::SeqCst);
                    });
                } else {
                    open(soak, tag);
                    soak.witnesses.fetch_sub(1, Ordering::SeqCst);
                }
            }
        }
    });
}

/// Lets a process go.
fn open(soak: &Soak, tag: Tag) {
    let Some(mut gate) = soak.gates().files.remove(&tag) else { return };
    let mut model = soak.model();
    // It may have been closed long ago.
    let Some(worker) = model.workers.get_mut(&tag) else { return };
    if worker.must_end.is_some() {
        // It has to end without this: an open gate would hide that it does not.
        worker.gate = Some(gate);
        return;
    }
    let code = worker.plan.code;
    worker.history.push(format!("{} gate opened: {code}", super::model::stamp(Instant::now())));
    worker.may_end_with(code);
    worker.must_end.get_or_insert_with(|| "its gate was opened".to_owned());
    // Both ends are open here: it is there for as long as the file is, so it has to outlive the reader.
    writeln!(gate, "{code}").unwrap();
    worker.gate = Some(gate);
}

/// Makes a join wait for a process before it is let go.
fn open_with_witness(soak: &Soak, tag: Tag) {
    // While its start is under way nobody is told of it, though it runs.
    let is_told = |worker: &&Worker| worker.answered.is_some();
    let id = soak.model().workers.get(&tag).filter(is_told).and_then(|worker| worker.id.clone());
    let Some(id) = id else { return open(soak, tag) };
    let mut join = soak.env.program(&soak.program).args(["join", &id]).spawn();
    let deadline = Instant::now() + Duration::from_secs(3);
    let blocked = loop {
        if !join.is_running() || Instant::now() > deadline {
            break false;
        }
        if is_polling(join.pid()) {
            break true;
        }
        thread::sleep(Duration::from_millis(1));
    };
    {
        let mut model = soak.model();
        let worker = model.worker(tag);
        worker.look();
        let holds = blocked && worker.process.is_some() && worker.ended.is_none();
        worker.witnessed |= holds && worker.closed == Closed::No;
    }
    open(soak, tag);
    let deadline = Instant::now() + DEADLINE;
    while join.is_running() && !soak.is_broken() {
        if Instant::now() > deadline {
            let what = format!("a join that waited does not come back: {}", describe_blocked(join.pid()));
            return soak.violate(broken(tag, what));
        }
        thread::sleep(Duration::from_millis(2));
    }
    if soak.is_broken() {
        return;
    }
    let output = join.wait();
    let status = output.status.code().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut model = soak.model();
    let witnessed = model.worker(tag).witnessed;
    model.worker(tag).history.push(format!(
        "{} a join that waited ({blocked}): {status} {said}",
        super::model::stamp(Instant::now())
    ));
    let verdict = match status {
        125 if said.contains("is lost") => model.loses(tag, "a join that waited", witnessed),
        125 if model.worker(tag).closed != Closed::No && !witnessed => Ok(()),
        125 => Err(broken(tag, format!("a join that waited said {said}"))),
        status => model.tells(tag, super::judge::exitcode_of(status), "a join that waited"),
    };
    drop(model);
    if let Err(violation) = verdict {
        soak.violate(violation);
    }
}

/// What somebody waits for, as far as /proc tells.
pub(super) fn describe_blocked(pid: i32) -> String {
    let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let words = String::from_utf8_lossy(&words).replace('\0', " ");
    let place = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
    let state = proc_state(pid);
    format!("pid {pid} ({words:.200}), state {state:?} in {place}, open: {:?}", fds_of(pid))
}

fn fds_of(pid: i32) -> Vec<std::path::PathBuf> {
    let fds = fs::read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
    fds.filter_map(|fd| fs::read_link(fd.path()).ok()).collect()
}

/// It waits for what it has to wait for, and not for a lock.
fn is_polling(pid: i32) -> bool {
    proc_state(pid) == Some('S')
        && fs::read_to_string(format!("/proc/{pid}/wchan")).is_ok_and(|place| place.contains("poll"))
}
