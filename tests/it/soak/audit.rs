//! When everything is at rest, the model, the records, the files and the OS processes must agree.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant, SystemTime};

use procctl::os::pidfd;
use serde_json::Value;

use super::chaos::ours;
use super::model::{Closed, Start, Verdict, Violation, broken};
use super::operation::Tag;
use super::porter::describe_blocked;
use super::{Soak, is_alive};

/// Most descriptors that a monitor has: three streams, two directories, sentinel, signals, pidfds of parent and process.
const DESCRIPTORS: usize = 9;

/// What may lie in the directory of a process.
const FILES: [&str; 7] =
    ["record.json", "sentinel", "output.log", "signals", "environment", "authkey", "hold"];

/// After a storm.
pub(super) fn at_rest(soak: &Soak) {
    // What waits for a long life to end is waited for; then no gate is opened any more.
    come_to_rest(soak);
    soak.gates().closed = true;
    come_to_rest(soak);
    if soak.is_broken() {
        return;
    }
    if let Err(violation) = all_agree(soak) {
        return soak.violate(violation);
    }
    nothing_stays_behind(soak);
    if soak.figures().rounds % 3 == 2 {
        forget(soak);
    }
    soak.gates().closed = false;
}

/// When all is over: everything ends, everything is closed, and nothing is left.
pub(super) fn at_the_end(soak: &Soak) {
    soak.gates().all = true;
    soak.wait_until("all gates are open", || {
        let (_, tag) = *soak.gates().due.first()?;
        Some(broken(tag, "its gate is closed"))
    });
    at_rest(soak);
    if soak.is_broken() {
        return;
    }
    soak.env.ok(["kill", "--all", "--wait"]);
    at_rest(soak);
    if soak.is_broken() {
        return;
    }
    forget(soak);
    soak.wait_until("all monitors leave", || {
        ours(soak).first().map(|&pid| broken(None, describe_blocked(pid)))
    });
    clear_leftovers(soak);
    let left: Vec<PathBuf> = entries(&soak.env.run_dir())
        .into_iter()
        .filter(|path| is_of_a_process(path) || is_tag(path) || is_child(path))
        .collect();
    if !left.is_empty() {
        soak.violate(broken(None, format!("all is closed, and this is left: {left:#?}")));
    }
}

/// Waits until everything that was told to end has ended and every procctl but the monitors has come back.
fn come_to_rest(soak: &Soak) {
    soak.wait_until("every procctl comes back", || {
        if soak.witnesses.load(Ordering::SeqCst) > 0 {
            return Some(broken(None, "a join waits at a gate"));
        }
        let is_busy = |pid: &i32| monitor_of(*pid).is_none() && Path::new(&format!("/proc/{pid}")).exists();
        let busy = ours(soak).into_iter().find(is_busy)?;
        Some(broken(None, describe_blocked(busy)))
    });
    soak.wait_until("what must end ends", || {
        let mut model = soak.model();
        model.workers.iter_mut().find_map(|(tag, worker)| {
            worker.look();
            let runs = worker.process.is_some() && worker.ended.is_none();
            let why = worker.must_end.as_ref().filter(|_| runs)?;
            Some(broken(*tag, format!("it runs on ({why})")))
        })
    });
    // Nobody is at work: nothing is on its way any more.
    let mut model = soak.model();
    model.wide.clear();
    model.about.clear();
    model.attacked.clear();
    model.trees.clear();
    model.closing = 0;
    model.workers.values_mut().for_each(|worker| worker.closers = 0);
}

/// The id of the process that an OS process is the monitor of.
fn monitor_of(pid: i32) -> Option<String> {
    let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let title = String::from_utf8_lossy(&title).into_owned();
    Some(title.strip_prefix("procctl: monitor of ")?.split(' ').next()?.to_owned())
}

/// The rows of `status`, when none of them is about to change.
fn rows(soak: &Soak) -> Vec<Value> {
    let mut rows = Vec::new();
    soak.wait_until("all ends are recorded", || {
        rows = soak.env.status();
        let model = soak.model();
        rows.iter().find_map(|row| {
            let tag = model.tag_of(row)?;
            let is_late = match row["state"].as_str() {
                Some("started") => model.workers[&tag].must_end.is_some(),
                // Somebody has yet to reap it.
                Some("stopped") => row["witness"].is_null(),
                _ => false,
            };
            is_late.then(|| broken(tag, row.to_string()))
        })
    });
    rows
}

fn all_agree(soak: &Soak) -> Verdict {
    let began = Instant::now();
    let rows = rows(soak);
    let mut model = soak.model();
    let mut live: BTreeMap<String, Tag> = BTreeMap::new();
    let mut shown: BTreeSet<Tag> = BTreeSet::new();
    for row in &rows {
        model.record(row, began, "at rest", true)?;
        let tag = model.tag_of(row).unwrap();
        shown.insert(tag);
        model.worker(tag).closed = Closed::No;
        model.worker(tag).answered.get_or_insert_with(Instant::now);
        if row["state"] == "initial" {
            model.worker(tag).start = Start::Recorded;
        }
        if row["state"] == "started" {
            live.insert(row["id"].as_str().unwrap().to_owned(), tag);
            let pid = i32::try_from(row["pid"].as_i64().unwrap()).unwrap();
            let process = pidfd::open(pid).ok().filter(is_alive);
            let inode = process.and_then(|process| pidfd::inode(process).unwrap());
            if inode != row["pidfd_inode"].as_u64() {
                return Err(broken(tag, format!("at rest: started, and its process is not there: {row}")));
            }
        }
    }
    for (tag, worker) in &mut model.workers {
        worker.look();
        let runs = worker.process.as_ref().is_some_and(is_alive);
        if !shown.contains(tag) {
            if runs {
                return Err(broken(*tag, "at rest: it runs, and no record tells of it"));
            }
            if worker.can_be_known() {
                return Err(broken(*tag, "at rest: its record is gone, and nobody closed it"));
            }
            if worker.closed == Closed::Maybe {
                worker.closed = Closed::Yes;
            }
        }
        if worker.doomed.is_none() && worker.process.is_some() && !runs {
            return Err(broken(*tag, "at rest: it has ended, and nobody told it to"));
        }
        for kid in &worker.kids {
            if !worker.tree_may_end && !is_alive(&kid.process) {
                return Err(broken(
                    *tag,
                    format!("its child {} has ended, and nobody asked for that", kid.pid),
                ));
            }
        }
    }
    for (key, (parent, numbers)) in &model.numbers {
        // Those that were closed before anybody saw their numbers.
        let unseen = model.workers.values().filter(|worker| {
            let of_parent = [worker.parent, worker.asked].iter().any(|&at| {
                model.shells.get(at).is_some_and(|shell| shell.pid == *parent || shell.ended.is_some())
            });
            worker.number.is_none() && worker.start != Start::Refused && of_parent
        });
        let last = numbers.keys().next_back().copied().unwrap_or(0);
        let missing = usize::try_from(last).unwrap() - numbers.len();
        if missing > unseen.count() + model.forgotten_unseen
            && *parent != i32::try_from(std::process::id()).unwrap()
        {
            let numbers: Vec<_> = numbers.keys().collect();
            return Err(broken(None, format!("the numbers of {key} have gaps: {numbers:?}")));
        }
    }
    drop(model);
    processes_and_records_agree(soak, &live)
}

/// Each live process of the soak has a live record, and each that has a monitor has one.
fn processes_and_records_agree(soak: &Soak, live: &BTreeMap<String, Tag>) -> Verdict {
    soak.wait_until("only what is recorded runs", || stray_process(soak, live));
    let mut monitors: BTreeMap<String, Vec<i32>> = BTreeMap::new();
    soak.wait_until("monitors of what has ended leave", || {
        monitors.clear();
        for pid in ours(soak) {
            monitors.entry(monitor_of(pid).unwrap_or_default()).or_default().push(pid);
        }
        let (id, pids) = monitors.iter().find(|(id, _)| !live.contains_key(*id))?;
        Some(broken(soak.model().ids.get(id).copied(), describe_blocked(pids[0])))
    });
    for (id, tag) in live {
        let own = monitors.get(id).map_or(&[][..], Vec::as_slice);
        let was_attacked = !soak.model().worker(*tag).attacked.is_empty();
        if own.len() > 1 || (own.is_empty() && !was_attacked) {
            return Err(broken(*tag, format!("its monitors: {own:?}")));
        }
        for &pid in own {
            let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
            if open > DESCRIPTORS {
                return Err(broken(*tag, format!("its monitor has {open} descriptors open")));
            }
        }
    }
    Ok(())
}

/// A process that carries the name of one of the soak's and is none of the live ones.
fn stray_process(soak: &Soak, live: &BTreeMap<String, Tag>) -> Option<Violation> {
    let hello = soak.hello();
    for entry in fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else {
            continue;
        };
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let words: Vec<_> = words.split(|&byte| byte == 0).map(String::from_utf8_lossy).collect();
        let is_own = words.iter().any(|word| *word == hello.to_string_lossy());
        let Some(tag) = words.iter().find_map(|word| Tag::parse(word)).filter(|_| is_own) else { continue };
        let model = soak.model();
        let worker = model.workers.get(&tag);
        let id = worker.and_then(|worker| worker.id.clone());
        let is_live = id.is_some_and(|id| live.contains_key(&id));
        if !is_live {
            return Some(broken(tag, format!("pid {pid}: {words:?}")));
        }
    }
    None
}

/// Everything below a directory.
fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    found
}

fn component(path: &Path, back: usize) -> String {
    path.components()
        .rev()
        .nth(back)
        .map_or_else(String::new, |part| part.as_os_str().to_string_lossy().into_owned())
}

/// `processes/FOLDER/ID`
fn is_of_a_process(path: &Path) -> bool {
    component(path, 2) == "processes"
}

/// `names/SHELF/BUCKET/TAG`
fn is_tag(path: &Path) -> bool {
    component(path, 3) == "names" && component(path, 0) != "lock"
}

/// `parents/KEY/NUMBER`
fn is_child(path: &Path) -> bool {
    component(path, 2) == "parents" && component(path, 0).parse::<u64>().is_ok()
}

/// What a killed launcher has left counts as young for an hour. Makes it old, and lets the next monitor on its way out clear.
fn clear_leftovers(soak: &Soak) {
    let long_ago = SystemTime::now() - Duration::from_secs(2 * 3600);
    let run = soak.env.run_dir();
    for path in entries(&run).into_iter().filter(|path| is_of_a_process(path)) {
        if !path.join("record.json").exists() {
            File::open(&path).and_then(|directory| directory.set_modified(long_ago)).unwrap();
        }
    }
    if let Ok(stamp) = File::open(run.join("cleared")) {
        stamp.set_modified(long_ago).unwrap();
    }
    let id = soak.env.start(&["-n", "housekeeper"], &["true"]);
    soak.env.ok(["join", &id]);
    soak.wait_until("the housekeeper's monitor leaves", || {
        let pid = ours(soak).into_iter().find(|&pid| monitor_of(pid).as_deref() == Some(&id))?;
        Some(broken(None, describe_blocked(pid)))
    });
    soak.env.ok(["close", &id]);
}

/// No leftovers of killed procctls, no index entry that leads nowhere, no temporary files.
fn nothing_stays_behind(soak: &Soak) {
    clear_leftovers(soak);
    // Another monitor may have been on its way out, and be the one that clears.
    soak.wait_until("leftovers are cleared", || {
        let left = leftovers(soak);
        (!left.is_empty()).then(|| broken(None, format!("{left:#?}")))
    });
}

fn leftovers(soak: &Soak) -> Vec<PathBuf> {
    let run = soak.env.run_dir();
    let is_known = |id: &str| {
        id.len() == 8 && run.join("processes").join(&id[..2]).join(id).join("record.json").exists()
    };
    let mut left = Vec::new();
    for path in entries(&run) {
        let name = component(&path, 0);
        let good = if is_of_a_process(&path) {
            is_known(&name)
        } else if component(&path, 3) == "processes" {
            // A killed writer's temporary file goes with the directory, or is written over.
            FILES.contains(&&*name)
                || path.extension().is_some_and(|extension| extension == "tmp" || extension == "new")
        } else if is_tag(&path) {
            name.rsplit('.').next().is_some_and(is_known)
        } else if is_child(&path) {
            fs::read_link(&path).is_ok_and(|id| is_known(&id.to_string_lossy()))
        } else if component(&path, 2) == "parents" {
            matches!(&*name, "count" | "authkey")
        } else if path.parent() == Some(&run) {
            matches!(&*name, "processes" | "names" | "parents" | "cleared")
        } else {
            true
        };
        if !good {
            left.push(path.strip_prefix(&run).unwrap().to_owned());
        }
    }
    left
}

/// Closes everything that has ended, and forgets it.
fn forget(soak: &Soak) {
    let lost = soak.env.status().iter().filter(|row| !row["lost"].is_null()).count();
    soak.env.ok(["close", "--all"]);
    let mut model = soak.model();
    let mut figures = soak.figures();
    figures.lost += lost as u64;
    let open: BTreeSet<String> =
        soak.env.status().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect();
    let before = model.workers.len();
    let mut unseen = 0;
    model.workers.retain(|_, worker| {
        let stays = worker.id.as_ref().is_some_and(|id| open.contains(id));
        unseen += usize::from(!stays && worker.number.is_none() && worker.start != Start::Refused);
        if !stays {
            for kid in worker.kids.drain(..) {
                let _ = pidfd::send_signal(kid.process.as_fd(), 9);
            }
        }
        stays
    });
    model.forgotten_unseen += unseen;
    figures.processes += before - model.workers.len();
    let tags: BTreeSet<Tag> = model.workers.keys().copied().collect();
    model.ids.retain(|_, tag| tags.contains(tag));
    model.early_attacks.clear();
    let mut gates = soak.gates();
    gates.due.retain(|(_, tag)| tags.contains(tag));
    gates.files.retain(|tag, _| tags.contains(tag));
}
