//! Faults on command: the named steps at which a test can kill or fail procctl.
//!
//! Every system call that changes something outside of the process, or that a life depends on, is made through [`deed`] or
//! [`file_deed`], or has a [`moment`] beside it. With the cargo feature `faults`, which only tests use, the environment says
//! at which step of which role to strike and how (see `armed.rs`). Without it, in every build that is shipped, nothing of this
//! is left.

#[cfg(feature = "faults")]
mod armed;

use std::path::Path;

use rustix::io::Errno;

/// From now on the steps are those of this role, each of which has its own count. Returns the role until now.
#[inline]
pub fn play(role: &'static str) -> &'static str {
    #[cfg(feature = "faults")]
    return armed::play(role);
    #[cfg(not(feature = "faults"))]
    role
}

/// A step at which we can be killed, and nothing can fail.
#[inline]
pub fn moment(what: &'static str) {
    #[cfg(feature = "faults")]
    let _ = armed::strike("at", what, Path::new(""));
    #[cfg(not(feature = "faults"))]
    let _ = what;
}

/// A step: what `call` does, of which it can be told that it failed, and before and after which we can be killed.
#[inline]
pub fn deed<T, E: From<Errno>>(
    what: &'static str,
    whom: impl AsRef<Path>,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    #[cfg(feature = "faults")]
    {
        armed::strike("before", what, whom.as_ref())?;
        let done = call();
        // What has been done cannot have failed.
        let _ = armed::strike("after", what, whom.as_ref());
        done
    }
    #[cfg(not(feature = "faults"))]
    {
        let _ = (what, whom);
        call()
    }
}

/// As [`deed`], of a file: it can be done and yet reported as failed, as network file systems do.
#[inline]
pub fn file_deed<T, E: From<Errno>>(
    what: &'static str,
    whom: impl AsRef<Path>,
    call: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    #[cfg(feature = "faults")]
    {
        armed::strike("before", what, whom.as_ref())?;
        let done = call()?;
        armed::strike("after", what, whom.as_ref())?;
        Ok(done)
    }
    #[cfg(not(feature = "faults"))]
    {
        let _ = (what, whom);
        call()
    }
}
