//! Calls that a signal can interrupt.

use std::io;

/// Does it again if a signal came in between. (What rustix calls has `retry_on_intr`.)
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
