//! The umask: procctl's own files are private by their modes, so it works with a umask that takes nothing from the owner;
//! the files of the user, and the process, get the caller's.

use std::sync::OnceLock;

use rustix::fs::Mode;
use rustix::process::umask;

static CALLERS: OnceLock<Mode> = OnceLock::new();

fn own() -> Mode {
    Mode::RWXG | Mode::RWXO
}

/// Sets procctl's own umask and remembers the caller's. Doing it again changes nothing.
pub fn make_private() {
    CALLERS.get_or_init(|| umask(own()));
}

/// The caller's umask.
pub fn of_caller() -> Mode {
    make_private();
    CALLERS.get().copied().unwrap_or_else(own)
}

/// Does something under the caller's umask.
pub fn as_caller<T>(deed: impl FnOnce() -> T) -> T {
    let callers = of_caller();
    umask(callers);
    let done = deed();
    umask(own());
    done
}
