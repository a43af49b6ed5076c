//! Signals: their names and numbers, the mask, and receiving them through a descriptor.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::fault::deed;

use nix::libc;
use nix::sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, sigprocmask};

/// While it lives, every signal is blocked and SIGCHLD has its default action, so that children that end become zombies.
/// Dropped, it puts both back as they were.
#[derive(Debug)]
pub struct Blocked {
    /// The mask there was.
    pub mask: SigSet,
    /// Whether SIGCHLD was ignored.
    pub ignored_child: bool,
}

impl Blocked {
    /// Blocks them.
    pub fn new() -> io::Result<Self> {
        // SAFETY: the default action is no handler of ours.
        let old = unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
        let mut blocked = Self { mask: SigSet::empty(), ignored_child: matches!(old, SigHandler::SigIgn) };
        sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut blocked.mask))?;
        Ok(blocked)
    }

    /// In a fork of whoever blocked them: the same for it, whatever was done with SIGCHLD since.
    pub fn in_fork(self) -> io::Result<Self> {
        // SAFETY: the default action is no handler of ours.
        unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigDfl) }?;
        Ok(self)
    }

    /// Whether one of these has arrived that would have ended the program, had it not been blocked here. It will, when this is
    /// dropped.
    pub fn holds_back(&self, signals: &[Signal]) -> bool {
        let mut pending = std::mem::MaybeUninit::zeroed();
        // SAFETY: the buffer is valid for the write of a sigset_t.
        if unsafe { libc::sigpending(pending.as_mut_ptr()) } != 0 {
            return false;
        }
        // SAFETY: zeroed is a valid sigset_t, and the kernel has filled it.
        let pending = unsafe { pending.assume_init() };
        // SAFETY: as above.
        let pending = unsafe { SigSet::from_sigset_t_unchecked(pending) };
        signals
            .iter()
            .any(|&signal| pending.contains(signal) && !self.mask.contains(signal) && !is_ignored(signal))
    }

    /// In a new process: puts both back for the command.
    pub fn restore(&self) -> io::Result<()> {
        if self.ignored_child {
            // SAFETY: ignoring needs no handler.
            unsafe { nix::sys::signal::signal(Signal::SIGCHLD, SigHandler::SigIgn) }?;
        }
        set_mask(&self.mask)
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // Both calls can fail only for arguments that make no sense.
        let _ = self.restore();
    }
}

/// Whether a signal is ignored. One that is blocked besides is pending nevertheless.
fn is_ignored(signal: Signal) -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is given, and the buffer is valid for the write of the old one.
    let asked = unsafe { libc::sigaction(signal as i32, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroed is a valid sigaction, and the kernel has filled it.
    asked == 0 && unsafe { action.assume_init() }.sa_sigaction == libc::SIG_IGN
}

/// A mask that blocks these besides.
pub fn union(mask: &SigSet, signals: &[Signal]) -> SigSet {
    mask.iter().chain(signals.iter().copied()).collect()
}

/// Sets the mask.
pub fn set_mask(mask: &SigSet) -> io::Result<()> {
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(mask), None)?;
    Ok(())
}

/// Takes back those of these blocked signals that are pending, as if they had never been sent.
pub fn discard(signals: &[Signal]) {
    let set = union(&SigSet::empty(), signals);
    let at_once = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: both point to values that live on; where to put what is known of the signal may be null (sigtimedwait(2)).
    while unsafe { libc::sigtimedwait(set.as_ref(), std::ptr::null_mut(), &raw const at_once) } > 0 {}
}

/// Does something while SIGPIPE is ignored, so that writing to a pipe without a reader is an error and not the end. The
/// action is restored afterwards: processes that are started later inherit it.
pub fn without_sigpipe<T>(deed: impl FnOnce() -> T) -> T {
    // SAFETY: ignoring needs no handler.
    let old = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, SigHandler::SigIgn) };
    let done = deed();
    if let Ok(old) = old {
        // SAFETY: what is restored was there before; procctl has no handler of its own.
        let _ = unsafe { nix::sys::signal::signal(Signal::SIGPIPE, old) };
    }
    done
}

/// One signal as it arrived.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    /// Its number.
    pub signal: i32,
    /// Whether the kernel itself sent it (`SI_KERNEL`): the terminal, which tells its whole foreground group.
    pub by_kernel: bool,
}

/// A descriptor that becomes readable when one of some blocked signals has arrived (signalfd(2)).
#[derive(Debug)]
pub struct SignalFd(OwnedFd);

impl AsFd for SignalFd {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl SignalFd {
    /// Opens one; the caller has blocked the signals.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        let flags = libc::SFD_CLOEXEC | libc::SFD_NONBLOCK;
        let fd = deed("signalfd", "", || {
            // SAFETY: the set is a valid sigset_t for the duration of the call; -1 asks for a new descriptor.
            let fd = unsafe { libc::signalfd(-1, set.as_ref(), flags) };
            if fd < 0 { Err(io::Error::last_os_error()) } else { Ok(fd) }
        })?;
        // SAFETY: the kernel just gave us this descriptor, and nobody else knows it.
        Ok(Self(unsafe { std::os::fd::FromRawFd::from_raw_fd(fd) }))
    }

    /// The next signal that has arrived, if there is one.
    pub fn next(&self) -> io::Result<Option<Received>> {
        const SIZE: usize = size_of::<libc::signalfd_siginfo>();
        let mut buffer = [0u8; SIZE];
        match rustix::io::read(&self.0, &mut buffer) {
            Ok(SIZE) => {}
            Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => return Ok(None),
            Err(e) => return Err(e.into()),
        }
        // struct signalfd_siginfo begins with u32 ssi_signo, i32 ssi_errno, i32 ssi_code.
        let word =
            |at: usize| i32::from_ne_bytes([buffer[at], buffer[at + 1], buffer[at + 2], buffer[at + 3]]);
        Ok(Some(Received { signal: word(0), by_kernel: word(8) == libc::SI_KERNEL }))
    }
}

/// The largest signal number of the kernel: `SIGRTMAX`, 64 on all architectures but MIPS.
pub const LAST: i32 = 64;

/// The first real-time signal, as users of a glibc system know it (signal(7)): the C library that procctl is linked with may
/// keep more to itself and call another one so.
const FIRST_REAL_TIME: i32 = 34;

/// The name of a signal, `SIGTERM`, or `SIGRTMIN+3`, or the number.
pub fn name(signal: i32) -> String {
    if let Ok(known) = Signal::try_from(signal) {
        return known.as_str().to_owned();
    }
    match signal - FIRST_REAL_TIME {
        0 => "SIGRTMIN".to_owned(),
        n if n > 0 && signal <= LAST => format!("SIGRTMIN+{n}"),
        _ => signal.to_string(),
    }
}

/// Parses what kill(1) takes: a number, a name with or without `SIG`, in any case, `RTMIN+N`, `RTMAX-N`.
pub fn parse(text: &str) -> Option<i32> {
    if let Ok(number) = text.parse::<i32>() {
        return (0..=LAST).contains(&number).then_some(number);
    }
    let upper = text.to_ascii_uppercase();
    let short = upper.strip_prefix("SIG").unwrap_or(&upper);
    let offset = |rest: &str, sign: char| match rest {
        "" => Some(0),
        _ => rest
            .strip_prefix(sign)
            .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()))?
            .parse::<i32>()
            .ok(),
    };
    let (first, last) = (FIRST_REAL_TIME, LAST);
    if let Some(rest) = short.strip_prefix("RTMIN") {
        return offset(rest, '+').map(|n| first.saturating_add(n)).filter(|n| (first..=last).contains(n));
    }
    if let Some(rest) = short.strip_prefix("RTMAX") {
        return offset(rest, '-').map(|n| last.saturating_sub(n)).filter(|n| (first..=last).contains(n));
    }
    // Second names (signal(7)) that nix does not list.
    let short = match short {
        "CLD" => "CHLD",
        "POLL" => "IO",
        "IOT" => "ABRT",
        other => other,
    };
    format!("SIG{short}").parse::<Signal>().ok().map(|signal| signal as i32)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_as_kill_takes_them() {
        for (text, number) in
            [("TERM", 15), ("sigterm", 15), ("SigKill", 9), ("9", 9), ("0", 0), ("IOT", 6), ("usr1", 10)]
        {
            assert_eq!(parse(text), Some(number), "{text}");
        }
        assert_eq!(parse("RTMIN+1"), Some(FIRST_REAL_TIME + 1));
        assert_eq!(parse("SIGRTMAX"), Some(LAST));
        for text in ["", "SIG", "TERMINATE", "65", "-1", "RTMIN+99", "RTMAX-99", "RTMIN++1", "SIGSIGTERM"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_name_parses_back(signal in 1..=LAST) {
            prop_assert_eq!(parse(&name(signal)), Some(signal));
        }
        #[test]
        fn parsing_never_panics(text in ".{0,20}") {
            let _ = parse(&text);
        }
    }
}
