//! Signals that a command catches to put something right before it goes: a flag for each, and a pipe to wait for.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::{flag, low_level};

/// Signals that are caught from now on, for good.
#[derive(Debug)]
pub struct Caught {
    pipe: UnixStream,
    flags: Vec<(i32, Arc<AtomicBool>)>,
}

impl AsFd for Caught {
    /// Readable when one has come.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pipe.as_fd()
    }
}

impl Caught {
    /// Catches these.
    pub fn new(signals: &[i32]) -> io::Result<Self> {
        let (pipe, writer) = UnixStream::pair()?;
        pipe.set_nonblocking(true)?;
        let mut flags = Vec::with_capacity(signals.len());
        for &signal in signals {
            let came = Arc::new(AtomicBool::new(false));
            // The flag first: whoever wakes must find it.
            flag::register(signal, Arc::clone(&came))?;
            low_level::pipe::register(signal, writer.try_clone()?)?;
            flags.push((signal, came));
        }
        Ok(Self { pipe, flags })
    }

    /// Those that have come since the last time.
    pub fn take(&self) -> Vec<i32> {
        let mut buffer = [0; 64];
        while (&self.pipe).read(&mut buffer).is_ok_and(|length| length > 0) {}
        let came = self.flags.iter().filter(|(_, came)| came.swap(false, Ordering::SeqCst));
        came.map(|&(signal, _)| signal).collect()
    }
}

/// Does what the signal does to a process that does not catch it: ends it, or stops it until it is continued.
pub fn do_as_usual(signal: i32) {
    let _ = low_level::emulate_default_handler(signal);
}
