//! The feature `faults`: strikes where the environment says.
//!
//! - `PROCCTL_FAULT=ROLE:N:ACTION`: at the N-th step of that role, counted from one; before and after a deed are two steps.
//!   ACTION is `KILL` or an error number. Who says no other plays the role `command`.
//! - `PROCCTL_FAULT_LOG=FILE`: a line for each step that is passed, `ROLE N WHEN WHAT WHOM`, with `struck` at the end of the
//!   one that was struck.

use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::sync::{Mutex, OnceLock, PoisonError};

use nix::libc;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// What the environment says, read at the first step: a program can write its title over the environment.
struct Orders {
    role: String,
    step: usize,
    action: Option<Action>,
    log: Option<CString>,
}

#[derive(Clone, Copy)]
enum Action {
    Kill,
    Fail(Errno),
}

fn orders() -> &'static Orders {
    static ORDERS: OnceLock<Orders> = OnceLock::new();
    ORDERS.get_or_init(|| {
        let log = std::env::var_os("PROCCTL_FAULT_LOG").map(OsString::into_vec);
        let text = std::env::var("PROCCTL_FAULT").unwrap_or_default();
        let mut parts = text.split(':');
        let role = parts.next().unwrap_or_default().to_owned();
        let step = parts.next().and_then(|step| step.parse().ok()).unwrap_or(0);
        let action = parts.next().and_then(|action| match action {
            "KILL" => Some(Action::Kill),
            number => Some(Action::Fail(Errno::from_raw_os_error(number.parse().ok()?))),
        });
        Orders { role, step, action, log: log.and_then(|path| CString::new(path).ok()) }
    })
}

/// The role that is played, and how many steps each role has made.
struct Play {
    role: &'static str,
    steps: Vec<(&'static str, usize)>,
}

/// A child that shares its parent's memory finds it there, and so does the parent afterwards. Never locked while a signal of ours
/// can end the process.
static PLAY: Mutex<Play> = Mutex::new(Play { role: "command", steps: Vec::new() });

pub(super) fn play(role: &'static str) -> &'static str {
    std::mem::replace(&mut PLAY.lock().unwrap_or_else(PoisonError::into_inner).role, role)
}

fn next_step() -> (&'static str, usize) {
    let mut play = PLAY.lock().unwrap_or_else(PoisonError::into_inner);
    let role = play.role;
    if let Some((_, steps)) = play.steps.iter_mut().find(|(known, _)| *known == role) {
        *steps += 1;
        return (role, *steps);
    }
    play.steps.push((role, 1));
    (role, 1)
}

/// Passes a step. `Err`: it is to be told that it failed.
pub(super) fn strike(when: &str, what: &str, whom: &Path) -> Result<(), Errno> {
    let orders = orders();
    let (role, step) = next_step();
    let action = orders.action.filter(|_| orders.role == role && orders.step == step);
    let mark = if action.is_some() { " struck" } else { "" };
    log(orders, &format!("{role} {step} {when} {what} {}{mark}\n", whom.display()));
    match action {
        Some(Action::Kill) => {
            // SAFETY: getpid(2) takes nothing. The kernel's answer is right in every fork.
            let me = unsafe { libc::getpid() };
            // SAFETY: two numbers.
            unsafe { libc::kill(me, libc::SIGKILL) };
            Ok(())
        }
        Some(Action::Fail(error)) => Err(error),
        None => Ok(()),
    }
}

/// Adds a line to the log, in one write: launcher and monitor log at the same time.
fn log(orders: &Orders, line: &str) {
    let Some(path) = &orders.log else { return };
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC;
    if let Ok(file) = rustix::fs::open(path.as_c_str(), flags, Mode::RUSR | Mode::WUSR) {
        let _ = rustix::io::write(file, line.as_bytes());
    }
}
