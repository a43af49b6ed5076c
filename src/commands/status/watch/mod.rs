//! `status --watch`: the same again on every change of state as it happens, and every so often for the live figures.
//!
//! On a terminal it is redrawn in place; elsewhere, and as JSON, each change of state is a block of its own. Between two looks
//! it sleeps in one `poll`. However much happens, there is a pause between two looks, and always one look after the last change.

mod screen;
mod source;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::super::{Outcome, Session, answer, report};
use super::collect::{self, Found};
use super::scripts::Scripts;
use super::{draw, empty, style};
use crate::cli::Status;
use crate::os::{caught, process};
use crate::output::table::row;
use crate::output::tone::Tone;
use crate::output::{age, escape, terminal};
use crate::process::error::{Error, Result, message};
use crate::process::share::Shares;
use crate::process::time::{self, Moment};

use screen::{Screen, Wish};
use source::Source;

/// The shortest pause between two looks that changes cause.
const PAUSE: Duration = Duration::from_millis(100);
/// A look that takes long is followed by a pause of so many times that.
const REST: u32 = 2;

pub(super) fn run(session: &Session, args: &Status, scripts: &Scripts<'_>, every: Duration) -> Outcome {
    // A look can give a process a new monitor, which is a child of this one.
    process::let_kernel_reap();
    let mut source = Source::open(session)?;
    let mut looker = Looker { session, args, scripts, every, shares: Shares::default() };
    // What is asked wrongly is an error, and no picture.
    let mut picture = looker.look(&mut source).map_err(|e| with_hint(e, args))?;
    let mut show = Show::new(scripts)?;
    loop {
        if !show.show(&looker, &picture, &source)? {
            return Ok(0);
        }
        match sleep(&looker, &picture, &mut source, &mut show)? {
            Wish::Quit => return Ok(0),
            Wish::Die(signal) => {
                drop(show);
                caught::do_as_usual(signal);
                return Ok(0);
            }
            Wish::Nothing | Wish::Redraw | Wish::Look => {}
        }
        picture = looker.look(&mut source).unwrap_or_else(|e| Picture::of_error(&e));
    }
}

/// `--watch 5` is a REF 5, which is mostly not what was meant.
fn with_hint(e: Error, args: &Status) -> Error {
    match args.references.iter().find(|word| time::parse(word).is_ok()) {
        Some(word) => Error::hinted(message(&e), format!("if {word} was meant as the time: --watch={word}")),
        None => e,
    }
}

/// Looks again and again.
struct Looker<'a> {
    session: &'a Session,
    args: &'a Status,
    scripts: &'a Scripts<'a>,
    every: Duration,
    shares: Shares,
}

/// What was seen.
struct Picture {
    begun: Instant,
    took: Duration,
    /// How many there are, and how many of them are alive.
    count: (usize, usize),
    text: Vec<u8>,
    /// What a change is judged by: live figures are none.
    states: BTreeMap<String, String>,
    complaints: Vec<Complaint>,
}

impl Picture {
    fn of_error(e: &Error) -> Self {
        Self {
            begun: Instant::now(),
            took: Duration::ZERO,
            count: (0, 0),
            text: Vec::new(),
            states: BTreeMap::new(),
            complaints: vec![complaint(e)],
        }
    }

    /// When the next look is due after something has changed.
    fn soonest(&self) -> Instant {
        self.begun + self.took + PAUSE.max(self.took * REST)
    }
}

impl Looker<'_> {
    fn look(&mut self, source: &mut Source) -> Result<Picture> {
        let begun = Instant::now();
        self.shares.begin_look();
        let run_dir = source.look(self.session)?;
        let found = match run_dir {
            Some(run_dir) => collect::collect(run_dir, self.args, &self.shares, |one, _| Ok(one))?,
            None => Found::default(),
        };
        let mut left_out = None;
        let text = match run_dir {
            _ if self.scripts.are_there() => self.scripts.text(&found)?,
            Some(run_dir) if !found.is_empty() => {
                let style = style(self.session, self.args);
                let drawn = draw(run_dir, &self.shares, self.args, &found, style);
                left_out = super::left_out(self.session, self.args, &drawn);
                drawn.text.into()
            }
            _ => format!("{}\n", empty(self.args)).into(),
        };
        let alive = found.processes.iter().filter(|one| one.seen.is_alive()).count();
        Ok(Picture {
            begun,
            took: begun.elapsed(),
            count: (found.processes.len(), alive),
            text,
            states: states(&found),
            complaints: complaints(found, self.scripts).into_iter().chain(left_out).collect(),
        })
    }

    /// What stands above the picture.
    fn head(&self, picture: &Picture, source: &Source, has_keys: bool) -> Option<String> {
        if self.session.is_quiet() {
            return None;
        }
        let (all, alive) = picture.count;
        let now = Moment::now().local();
        let now = now.split(' ').nth(1).unwrap_or_default();
        let every = if self.every == Duration::MAX {
            String::new()
        } else {
            format!(", every {}", age::as_typed(self.every))
        };
        let keys = if has_keys { "q" } else { "^C" };
        let partial =
            if source.is_partial() { "; some changes show late (fs.inotify.max_user_watches)" } else { "" };
        let text = format!("{alive} of {all} alive at {now}{every}{partial}; {keys} quits");
        Some(Tone::Faded.paint(&text, self.session.colour()))
    }
}

/// The state of each process, as far as it is no live figure.
fn states(found: &Found) -> BTreeMap<String, String> {
    let processes = found.processes.iter().map(|one| {
        let record = serde_json::to_string(&one.seen.record).unwrap_or_default();
        (one.seen.record.id.to_string(), format!("{} {record}", row::state(&one.seen)))
    });
    processes.chain(found.broken.iter().cloned()).collect()
}

/// An error, and what to do about it.
type Complaint = (String, Option<String>);

fn complaint(e: &Error) -> Complaint {
    (message(e), e.hint().map(str::to_owned))
}

fn complaints(found: Found, scripts: &Scripts<'_>) -> Vec<Complaint> {
    let mut all: Vec<_> = found.complaints.iter().map(complaint).collect();
    if scripts.are_there() {
        all.extend(found.broken.into_iter().map(|(_, why)| (why, None)));
    }
    all
}

/// Where the pictures go.
enum Show {
    /// A terminal.
    Screen(Screen),
    /// Anything else: what was shown last is kept.
    Blocks(Option<BTreeMap<String, String>>, Vec<Complaint>),
}

impl Show {
    fn new(scripts: &Scripts<'_>) -> anyhow::Result<Self> {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term.is_empty() || term == "dumb");
        if scripts.are_there() || is_dumb || !terminal::is_terminal() {
            return Ok(Self::Blocks(None, Vec::new()));
        }
        Screen::new().map(Self::Screen)
    }

    /// Says whether somebody still looks.
    fn show(&mut self, looker: &Looker<'_>, picture: &Picture, source: &Source) -> anyhow::Result<bool> {
        match self {
            Self::Screen(screen) => {
                let mut text = String::from_utf8_lossy(&picture.text).into_owned();
                for (what, hint) in &picture.complaints {
                    text.extend(["procctl: ", &escape::text(what), "\n"]);
                    text.extend(hint.iter().map(|hint| format!("hint: {}\n", escape::text(hint))));
                }
                screen.show(looker.head(picture, source, screen.has_keys()), &text)
            }
            Self::Blocks(shown, complaints) => {
                if *complaints != picture.complaints {
                    for (what, hint) in &picture.complaints {
                        report::lines(what, hint.as_deref());
                    }
                    complaints.clone_from(&picture.complaints);
                }
                if shown.as_ref() == Some(&picture.states) || picture.text.is_empty() {
                    return Ok(true);
                }
                let between = if shown.is_some() && !looker.args.json { "\n" } else { "" };
                *shown = Some(picture.states.clone());
                answer::stream(&[between.as_bytes(), &picture.text].concat())
            }
        }
    }
}

/// Sleeps until it is time for the next look.
fn sleep(
    looker: &Looker<'_>,
    picture: &Picture,
    source: &mut Source,
    show: &mut Show,
) -> anyhow::Result<Wish> {
    let (stdin, stdout) = (std::io::stdin(), std::io::stdout());
    let mut due = picture.begun.checked_add(looker.every).map(|due| due.max(picture.soonest()));
    let mut changed = false;
    loop {
        let left = due.map(|due| due.saturating_duration_since(Instant::now()));
        // A reader that has gone away is told unasked.
        let mut fds = vec![PollFd::new(&stdout, PollFlags::empty())];
        if let Show::Screen(screen) = show {
            fds.extend(screen.poll_fds(&stdin));
        }
        let from = fds.len();
        // Once it is known that something has changed, more of it need not wake anybody.
        if !changed {
            fds.extend(source.poll_fds());
        }
        match poll(&mut fds, left.and_then(|left| Timespec::try_from(left).ok()).as_ref()) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(e) => return Err(Error::system("cannot wait for changes", e).into()),
        }
        let ready: Vec<bool> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        if ready[0] {
            return Ok(Wish::Quit);
        }
        if let Show::Screen(screen) = show {
            match screen.wish(&ready[1..from])? {
                Wish::Nothing => {}
                Wish::Redraw => changed = true,
                wish => return Ok(wish),
            }
        }
        // What cannot be told of any more is seen at the next look.
        changed |= source.take_in(&ready[from..]).unwrap_or(true);
        if changed {
            due = Some(due.map_or(picture.soonest(), |due| due.min(picture.soonest())));
        }
        if due.is_some_and(|due| due <= Instant::now()) {
            return Ok(Wish::Look);
        }
    }
}
