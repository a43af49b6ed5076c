//! The keyboard of a terminal: each key as it is pressed, and not shown.

use std::io;
use std::os::fd::AsFd;

use rustix::io::{Errno, retry_on_intr};
use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};

/// Takes keys one by one from now on. Signals by keys (^C, ^Z) stay. Returns how it was before.
pub fn take_keys(terminal: impl AsFd) -> io::Result<Termios> {
    let before = tcgetattr(&terminal)?;
    let mut keys = before.clone();
    keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO);
    keys.special_codes[SpecialCodeIndex::VMIN] = 1;
    keys.special_codes[SpecialCodeIndex::VTIME] = 0;
    set(terminal, &keys)?;
    Ok(before)
}

/// Puts it as it was.
pub fn set(terminal: impl AsFd, modes: &Termios) -> io::Result<()> {
    // Interrupted by SIGTTOU: in the background, and continued in the foreground.
    Ok(retry_on_intr(|| tcsetattr(&terminal, OptionalActions::Drain, modes))?)
}

/// The keys that were pressed; none when there are no more to come.
pub fn keys(terminal: impl AsFd) -> Option<Vec<u8>> {
    let mut buffer = [0; 64];
    match rustix::io::read(&terminal, &mut buffer) {
        Ok(0) => None,
        Ok(length) => Some(buffer[..length].to_vec()),
        Err(Errno::INTR | Errno::AGAIN) => Some(Vec::new()),
        Err(_) => None,
    }
}
