//! Bytes that nobody but their owner may see: they do not stay in memory, and no core dump is made of it while they are there.

use std::cell::Cell;
use std::io;
use std::ops::Deref;
use std::os::fd::AsFd;
use std::sync::atomic::{Ordering, compiler_fence};

use nix::libc;

thread_local! {
    /// How many secrets there are (there is one thread), and whether core dumps were made before.
    static ALIVE: Cell<(usize, bool)> = const { Cell::new((0, false)) };
}

/// A secret. It is never copied: a monitor is a fork of its launcher, and would keep a copy for life.
pub struct Secret(Vec<u8>);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret")
    }
}

impl Deref for Secret {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl Secret {
    /// One of that many zeros, for the caller to fill in place.
    pub fn zeros(length: usize) -> Self {
        let (others, mut was) = ALIVE.get();
        if others == 0 {
            was = is_dumpable();
            set_dumpable(false);
        }
        ALIVE.set((others + 1, was));
        Self(vec![0; length])
    }

    /// Its bytes, to be filled.
    pub fn bytes(&mut self) -> &mut [u8] {
        &mut self.0
    }

    /// Reads a file to its end, or `limit` bytes and one more.
    pub fn read(from: impl AsFd, limit: usize) -> io::Result<Self> {
        // All of it at once: a buffer that grows leaves copies behind. What is not written to takes no memory.
        let mut secret = Self::zeros(limit + 1);
        let mut length = 0;
        while length <= limit {
            match rustix::io::read(&from, &mut secret.0[length..]) {
                Ok(0) => break,
                Ok(more) => length += more,
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
        secret.0.truncate(length);
        Ok(secret)
    }

    /// It in hex, and a line end.
    #[must_use]
    pub fn to_hex_line(&self) -> Self {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut line = Self::zeros(self.len() * 2 + 1);
        for (pair, byte) in line.0.chunks_exact_mut(2).zip(&self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        if let Some(last) = line.0.last_mut() {
            *last = b'\n';
        }
        line
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.fill(0);
        // What is about to be freed need not be written, the compiler may think.
        std::hint::black_box(self.0.as_mut_ptr());
        compiler_fence(Ordering::SeqCst);
        let (alive, was) = ALIVE.get();
        ALIVE.set((alive - 1, was));
        if alive == 1 && was {
            set_dumpable(true);
        }
    }
}

fn is_dumpable() -> bool {
    // SAFETY: prctl(2) with plain numbers.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 }
}

/// Whether the memory of this process goes into core dumps, and may be looked at by other processes of its user.
fn set_dumpable(yes: bool) {
    // SAFETY: prctl(2) with plain numbers. It fails for no values of these.
    unsafe { libc::prctl(libc::PR_SET_DUMPABLE, libc::c_ulong::from(yes), 0, 0, 0) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_read_whole_and_shown_in_hex() {
        let mut file = tempfile::tempfile().expect("file");
        io::Write::write_all(&mut file, b"\x00\xff\n").expect("write");
        io::Seek::rewind(&mut file).expect("seek");
        let secret = Secret::read(&file, 10).expect("read");
        assert_eq!(&*secret, b"\x00\xff\n");
        assert_eq!(&*secret.to_hex_line(), b"00ff0a\n");
        assert_eq!(format!("{secret:?}"), "Secret");
        io::Seek::rewind(&mut file).expect("seek");
        assert_eq!(Secret::read(&file, 1).expect("read").len(), 2);
    }
}
