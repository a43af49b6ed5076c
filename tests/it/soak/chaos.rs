//! Kills and stops whatever of procctl's own there is: monitors, launchers in mid-flight, blocked joins; and shells.
//!
//! Nothing is harmed before it is known what it is, and the model knows it, too.

use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::thread;
use std::time::{Duration, Instant};

use procctl::os::pidfd::{self, Stage};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::model::{Model, stamp};
use super::operation::{FIRST_INSIDE, Tag};
use super::rng::Rng;
use super::{CHAOS, Soak};
use crate::harness::proc_stat;

/// What a procctl process is.
enum Victim {
    /// The monitor of the process with that id.
    Monitor(String),
    /// A part of an operation: its own process, or something that it forked.
    Part { slot: u16, sequence: u32, is_main: bool },
}

const SIGKILL: i32 = 9;
const SIGSTOP: i32 = 19;
const SIGCONT: i32 = 18;

/// Works until the storm is over.
pub(super) fn rage(soak: &Soak, round: u64) {
    let _guard = soak.guard();
    let mut rng = Rng::new(soak.seed ^ round, CHAOS);
    let mut stopped: Vec<(Instant, OwnedFd)> = Vec::new();
    while soak.is_storm() {
        thread::sleep(rng.time(Duration::from_millis(30)));
        release(&mut stopped, Instant::now());
        let signal = if rng.percent(30) { SIGSTOP } else { SIGKILL };
        let hit = match rng.below(100) {
            0..40 => ambush(soak, &mut rng).and_then(|pid| strike(soak, pid, signal)),
            40..97 => {
                let all = ours(soak);
                if all.is_empty() { None } else { strike(soak, rng.pick(&all), signal) }
            }
            _ => {
                kill_a_shell(soak, &mut rng);
                None
            }
        };
        if let Some(process) = hit.filter(|_| signal == SIGSTOP) {
            stopped.push((Instant::now() + rng.time(Duration::from_millis(250)), process));
        }
    }
    release(&mut stopped, Instant::now() + Duration::from_secs(3600));
}

/// Lets those continue that have been stopped for long enough.
fn release(stopped: &mut Vec<(Instant, OwnedFd)>, now: Instant) {
    for (_, process) in stopped.extract_if(.., |(until, _)| *until <= now) {
        // It may have been killed meanwhile.
        let _ = pidfd::send_signal(process.as_fd(), SIGCONT);
    }
}

/// Every process that runs the soak's own copy of procctl.
pub(super) fn ours(soak: &Soak) -> Vec<i32> {
    let all = fs::read_dir("/proc").unwrap().flatten();
    all.filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|&pid| is_ours(soak, pid))
        .collect()
}

fn is_ours(soak: &Soak, pid: i32) -> bool {
    fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|exe| exe == soak.program)
}

fn children(pid: i32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    text.split_whitespace().filter_map(|pid| pid.parse().ok()).collect()
}

/// Waits for a shell to run a procctl, lets that get on for a moment, and takes it or something that it forked.
fn ambush(soak: &Soak, rng: &mut Rng) -> Option<i32> {
    let shells: Vec<i32> = {
        let model = soak.model();
        model.current.iter().flatten().map(|&shell| model.shells[shell].pid).collect()
    };
    let until = Instant::now() + Duration::from_millis(20);
    while Instant::now() < until {
        for &shell in &shells {
            if let Some(pid) = children(shell).into_iter().find(|&pid| is_ours(soak, pid)) {
                let moment = Instant::now() + rng.time(Duration::from_millis(6));
                while Instant::now() < moment {
                    std::hint::spin_loop();
                }
                let mut family = vec![pid];
                family.extend(children(pid));
                family.extend(family.clone().into_iter().skip(1).flat_map(children));
                return Some(rng.pick(&family));
            }
        }
    }
    None
}

/// What that process is, by its title or its environment.
fn identify(model: &Model, pid: i32) -> Option<Victim> {
    let title = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    if let Some(rest) = String::from_utf8_lossy(&title).strip_prefix("procctl: monitor of ") {
        return Some(Victim::Monitor(rest.split(' ').next()?.to_owned()));
    }
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let operation =
        environment.split(|&byte| byte == 0).find_map(|variable| variable.strip_prefix(b"SOAK_OP="))?;
    let (slot, sequence) = std::str::from_utf8(operation).ok()?.split_once('.')?;
    let parent: i32 = proc_stat(pid)?.get(1)?.parse().ok()?;
    let is_main = model.shells.iter().any(|shell| shell.pid == parent && shell.ended.is_none());
    Some(Victim::Part { slot: slot.parse().ok()?, sequence: sequence.parse().ok()?, is_main })
}

/// Sends a signal to a procctl process, once it is known which it is.
fn strike(soak: &Soak, pid: i32, signal: i32) -> Option<OwnedFd> {
    let process = pidfd::open(pid).ok()?;
    let mut model = soak.model();
    let victim = identify(&model, pid).filter(|_| is_ours(soak, pid))?;
    if pidfd::stage(process.as_fd()).ok()? != Stage::Alive {
        return None;
    }
    let about: Vec<Tag> = match &victim {
        Victim::Monitor(id) => model.ids.get(id).copied().into_iter().collect(),
        Victim::Part { slot, sequence, is_main } => {
            let key = (*slot, *sequence);
            if signal == SIGKILL {
                model.attacked.insert(key);
            }
            let about = model.about.get(&key).cloned().unwrap_or_default();
            let is_run = about.iter().any(|tag| model.workers.get(tag).is_some_and(|worker| worker.run));
            // A launcher may be killed, and its monitor lives; what was forked is a monitor, or becomes the process.
            if *is_main && !is_run { Vec::new() } else { about }
        }
    };
    let who = match &victim {
        Victim::Monitor(id) => format!("the monitor of {id}"),
        Victim::Part { slot, sequence, is_main } => format!("{slot}.{sequence} (itself: {is_main})"),
    };
    model.log.push_back(format!("{} signal {signal} to {who}, pid {pid}", stamp(Instant::now())));
    for &tag in &about {
        if let Some(worker) = model.workers.get_mut(&tag) {
            worker.history.push(format!("{} signal {signal} to {who}, pid {pid}", stamp(Instant::now())));
            worker.was_stopped |= signal == SIGSTOP;
            if signal == SIGKILL && matches!(victim, Victim::Part { .. }) {
                // It may have been the one that was about to exec.
                worker.may_get(SIGKILL);
            }
            if signal == SIGKILL {
                if worker.plan.daemon == Some(true) {
                    worker.may_get(15);
                }
                // Seen by nobody before, by everybody after.
                worker.attacked.push(Instant::now());
            }
        }
    }
    pidfd::send_signal(process.as_fd(), signal).ok()?;
    soak.figures().attacks += 1;
    if signal == SIGKILL {
        // What the kernel frees at a death is free when that is told.
        let second = Timespec { tv_sec: 10, tv_nsec: 0 };
        let _ = poll(&mut [PollFd::new(&process, PollFlags::IN)], Some(&second));
        if let Victim::Part { slot, sequence, .. } = &victim
            && model.trees.contains(&(*slot, *sequence))
        {
            thaw(soak);
        }
        let now = Instant::now();
        about
            .iter()
            .filter(|tag| model.workers.contains_key(tag))
            .copied()
            .collect::<Vec<_>>()
            .into_iter()
            .for_each(|tag| model.monitor_killed(tag, now));
        if let (Victim::Monitor(id), []) = (&victim, &about[..]) {
            model.early_attacks.push((id.clone(), now));
        }
    }
    Some(process)
}

/// Lets everything continue. `--tree` stops what it is about to end; killed then, it leaves that stopped, and nobody knows that it
/// was not meant to be. A monitor can be among it: one that has recorded the end is a process like others.
fn thaw(soak: &Soak) {
    for pid in soak.env.os_processes() {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        let is_managed =
            environment.split(|&byte| byte == 0).any(|variable| variable.starts_with(b"PROCCTL_ID="));
        if let Ok(process) = pidfd::open(pid)
            && (is_managed || is_ours(soak, pid))
        {
            let _ = pidfd::send_signal(process.as_fd(), SIGCONT);
        }
    }
}

/// Ends one of the outside shells, as `kill -9` does.
fn kill_a_shell(soak: &Soak, rng: &mut Rng) {
    let slot = rng.below(FIRST_INSIDE.into());
    let mut model = soak.model();
    if let Some(shell) = model.current[slot].filter(|&shell| model.shells[shell].ended.is_none()) {
        model.shell_ends(shell);
        let pid = model.shells[shell].pid;
        model.log.push_back(format!("{} the shell {pid} of slot {slot} killed", stamp(Instant::now())));
        pidfd::send_signal(model.shells[shell].process.as_fd(), SIGKILL).unwrap();
        soak.figures().shells_killed += 1;
    }
}
