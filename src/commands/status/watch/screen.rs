//! The terminal while it is watched: a screen of its own, keys one by one, and everything as it was before on every way out.

use std::io;
use std::os::fd::AsFd;

use nix::libc;
use rustix::event::{PollFd, PollFlags};
use rustix::termios::Termios;

use super::super::super::answer;
use crate::os::{caught, caught::Caught, keyboard};
use crate::output::frame::{self, Frame};
use crate::output::terminal;
use crate::process::error::Error;

/// Another screen, no cursor, and long lines cut instead of wrapped.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";

/// The terminal, taken until dropped.
#[derive(Debug)]
pub(super) struct Screen {
    signals: Caught,
    /// How the keyboard was before; `None` if there is none.
    before: Option<Termios>,
    has_keys: bool,
    frame: Frame,
}

/// What the user wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Go on.
    Nothing,
    /// Look again now.
    Look,
    /// Draw it anew, as soon as another look is due after a change.
    Redraw,
    /// Leave.
    Quit,
    /// End as this signal ends a program.
    Die(i32),
}

impl Screen {
    pub(super) fn new() -> anyhow::Result<Self> {
        let caught = [
            libc::SIGINT,
            libc::SIGTERM,
            libc::SIGHUP,
            libc::SIGQUIT,
            libc::SIGWINCH,
            libc::SIGTSTP,
            libc::SIGCONT,
        ];
        let signals = Caught::new(&caught).map_err(|e| Error::system("cannot catch signals", e))?;
        let mut screen = Self { signals, before: None, has_keys: true, frame: Frame::default() };
        screen.enter()?;
        Ok(screen)
    }

    fn enter(&mut self) -> anyhow::Result<()> {
        // Where standard input is no terminal there are no keys, and ^C is enough.
        self.before = keyboard::take_keys(io::stdin()).ok();
        self.frame.forget();
        answer::raw(ENTER.as_bytes())
    }

    fn leave(&mut self) {
        // Whoever has taken the terminal away needs nothing put right.
        let _ = answer::raw(LEAVE.as_bytes());
        if let Some(before) = self.before.take() {
            let _ = keyboard::set(io::stdin(), &before);
        }
    }

    /// Whether keys can be pressed.
    pub(super) fn has_keys(&self) -> bool {
        self.has_keys && self.before.is_some()
    }

    /// What to poll for: signals, and keys.
    pub(super) fn poll_fds<'a>(&'a self, stdin: &'a io::Stdin) -> Vec<PollFd<'a>> {
        let mut fds = vec![PollFd::new(&self.signals, PollFlags::IN)];
        if self.has_keys() {
            fds.push(PollFd::from_borrowed_fd(stdin.as_fd(), PollFlags::IN));
        }
        fds
    }

    /// What the signals and keys mean. `ready` says which of [`Screen::poll_fds`] something happened to.
    pub(super) fn wish(&mut self, ready: &[bool]) -> anyhow::Result<Wish> {
        let mut wish = Wish::Nothing;
        if ready.get(1).is_some_and(|&ready| ready) {
            match keyboard::keys(io::stdin()) {
                Some(keys) if keys.iter().any(|key| matches!(key, b'q' | b'Q')) => return Ok(Wish::Quit),
                Some(keys) if keys.iter().any(|key| matches!(key, b' ' | b'\r' | b'\n')) => wish = Wish::Look,
                Some(_) => {}
                None => self.has_keys = false,
            }
        }
        for signal in self.signals.take() {
            match signal {
                libc::SIGWINCH => {
                    self.frame.forget();
                    wish = Wish::Redraw;
                }
                libc::SIGTSTP => {
                    self.leave();
                    caught::do_as_usual(signal);
                    self.enter()?;
                    wish = Wish::Look;
                }
                // After a SIGSTOP the shell may have put the terminal as it wants it.
                libc::SIGCONT => {
                    self.leave();
                    self.enter()?;
                    wish = Wish::Look;
                }
                fatal => return Ok(Wish::Die(fatal)),
            }
        }
        Ok(wish)
    }

    /// Shows a picture in the place of the one before it. Says whether somebody still looks.
    pub(super) fn show(&mut self, head: Option<String>, body: &str) -> anyhow::Result<bool> {
        let text = self.frame.turn_into(frame::fit(head, body, terminal::height()));
        if text.is_empty() { Ok(true) } else { answer::stream(text.as_bytes()) }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.leave();
    }
}
