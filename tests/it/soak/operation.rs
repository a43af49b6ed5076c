//! What the shells are made to do. An operation is drawn from a stream of chance alone, never from what happened before: the
//! same seed gives the same operations.

use std::fmt::{self, Display};
use std::time::Duration;

use super::rng::Rng;

/// The shells, by slot: two of each kind, and two bash that are managed processes themselves.
pub(super) const SLOTS: u16 = 6;
pub(super) const FIRST_INSIDE: u16 = 4;

/// What a process of the soak is called in its own command line, and so in its record and in `ps`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag {
    /// The slot of the shell that started it; that shell itself has 100 more.
    pub(super) slot: u16,
    pub(super) number: u32,
}

impl Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "soak-{}-{}", self.slot, self.number)
    }
}

impl Tag {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (slot, number) = text.strip_prefix("soak-")?.split_once('-')?;
        Some(Self { slot: slot.parse().ok()?, number: number.parse().ok()? })
    }
}

/// How a process behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Exits with its code at once.
    AtOnce,
    /// Ends itself by a signal, at once.
    BySignal(i32),
    /// Waits at its gate, and exits with its code when that is opened.
    AtGate,
    /// As `AtGate`, and ignores SIGTERM and SIGINT.
    Stubborn,
    /// As `AtGate`, and leaves two children behind, one of them in a session of its own.
    Forks,
    /// There is no such command.
    Missing,
    /// A shell of the soak that is a managed process.
    Shell,
}

impl Kind {
    pub(super) fn waits_at_gate(self) -> bool {
        matches!(self, Self::AtGate | Self::Stubborn | Self::Forks)
    }
}

/// How a process is launched.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) kind: Kind,
    pub(super) code: i32,
    /// When its gate is opened.
    pub(super) life: Duration,
    pub(super) name: Option<String>,
    pub(super) unique: bool,
    pub(super) daemon: Option<bool>,
    /// The slot of the shell that is to be the parent.
    pub(super) parent: Option<u16>,
    pub(super) stdout: &'static str,
    pub(super) authkey: bool,
    pub(super) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum How {
    Start,
    Create,
    Run,
}

/// How processes are named.
#[derive(Clone, Debug)]
pub(super) enum Whom {
    Id(Tag),
    Prefix(Tag),
    Pid(Tag),
    Both(Tag, Tag),
    Name(String),
    Own,
    All,
}

impl Whom {
    /// The processes that it means whatever else happens; empty if that depends.
    pub(super) fn tags(&self) -> Vec<Tag> {
        match self {
            Self::Id(tag) | Self::Prefix(tag) | Self::Pid(tag) => vec![*tag],
            Self::Both(one, other) => vec![*one, *other],
            Self::Name(_) | Self::Own | Self::All => Vec::new(),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Operation {
    Launch(How, Tag, Plan),
    StartRecorded(Tag),
    Join {
        whom: Whom,
        timeout: Option<&'static str>,
        any: bool,
        json: bool,
    },
    Signal {
        command: &'static str,
        signal: i32,
        whom: Whom,
        wait: bool,
        kill_after: bool,
        tree: bool,
    },
    IsAlive(Tag),
    Status {
        whom: Whom,
        alive: bool,
        children: bool,
        json: bool,
    },
    Get(Tag, &'static str),
    Rename(Tag, String),
    Logs(Tag),
    Close(Tag),
    CloseAll {
        older_than: Option<&'static str>,
    },
    /// Something that is refused, whatever else there is.
    Wrong(&'static [&'static str]),
}

const SIGTERM: i32 = 15;
const SIGKILL: i32 = 9;
const SIGINT: i32 = 2;

/// Draws the operations of one shell.
pub(super) struct Source {
    slot: u16,
    rng: Rng,
    started: u32,
}

impl Source {
    pub(super) fn new(seed: u64, slot: u16) -> Self {
        Self { slot, rng: Rng::new(seed, slot.into()), started: 0 }
    }

    pub(super) fn next(&mut self) -> Operation {
        match self.rng.below(100) {
            0..34 => {
                let how =
                    self.rng.pick(&[How::Start, How::Start, How::Start, How::Start, How::Create, How::Run]);
                let plan = self.plan(how);
                Operation::Launch(how, self.new_tag(), plan)
            }
            34..38 => Operation::StartRecorded(self.tag()),
            38..52 => self.join(),
            52..64 => self.signal(),
            64..69 => Operation::IsAlive(self.tag()),
            69..76 => self.status(),
            76..82 => {
                let fields = ["exitcode", "state", "pid", "authkey", ""];
                Operation::Get(self.tag(), self.rng.pick(&fields))
            }
            82..87 => Operation::Rename(self.tag(), self.name()),
            87..90 => Operation::Logs(self.tag()),
            90..95 => Operation::Close(self.tag()),
            95..96 => Operation::CloseAll { older_than: self.rng.pick(&[None, Some("0.5")]) },
            _ => Operation::Wrong(self.rng.pick::<&[&str]>(&[
                &["start", "sleep", "1"],
                &["join", "nobody-has-this-name"],
                &["kill", "nobody-has-this-name"],
                &["get", "@nothing"],
                &["start", "-C", "/does/not/exist", "--", "true"],
                &["start", "--parent", "0", "--", "true"],
                &["join", "--no-such-option"],
            ])),
        }
    }

    fn new_tag(&mut self) -> Tag {
        self.started += 1;
        Tag { slot: self.slot, number: self.started }
    }

    /// A process that this shell started, or one that another shell may have started by now.
    fn tag(&mut self) -> Tag {
        let slot = if self.rng.percent(70) {
            self.slot
        } else {
            u16::try_from(self.rng.below(SLOTS.into())).unwrap()
        };
        let back = u32::try_from(self.rng.below(12)).unwrap();
        Tag { slot, number: self.started.saturating_sub(back).max(1) }
    }

    fn name(&mut self) -> String {
        format!("name-{}", self.rng.below(6))
    }

    fn plan(&mut self, how: How) -> Plan {
        let kind = match self.rng.below(100) {
            0..20 => Kind::AtOnce,
            20..28 => Kind::BySignal(self.rng.pick(&[1, 9, 10, 15])),
            28..80 => Kind::AtGate,
            80..88 => Kind::Stubborn,
            88..96 => Kind::Forks,
            _ => Kind::Missing,
        };
        // Some outlive the round in which they were started.
        let long = how != How::Run && self.rng.percent(25);
        let unique = self.rng.percent(15);
        Plan {
            kind,
            code: i32::try_from(self.rng.below(120)).unwrap(),
            life: if long { Duration::from_secs(6) } else { self.rng.time(Duration::from_millis(700)) },
            name: if unique {
                Some(format!("only-{}", self.rng.below(3)))
            } else if self.rng.percent(50) {
                Some(self.name())
            } else {
                None
            },
            unique,
            daemon: self.rng.pick(&[None, None, None, Some(true), Some(true), Some(false)]),
            parent: self.rng.percent(8).then(|| u16::try_from(self.rng.below(SLOTS.into())).unwrap()),
            stdout: self.rng.pick(&["", "", "", "null", "file"]),
            authkey: self.rng.percent(10),
            json: how != How::Run && self.rng.percent(20),
        }
    }

    fn whom(&mut self) -> Whom {
        match self.rng.below(100) {
            0..50 => Whom::Id(self.tag()),
            50..60 => Whom::Prefix(self.tag()),
            60..70 => Whom::Pid(self.tag()),
            70..80 => Whom::Both(self.tag(), self.tag()),
            _ => Whom::Name(self.name()),
        }
    }

    fn join(&mut self) -> Operation {
        let whom = match self.rng.below(100) {
            0..75 => self.whom(),
            75..92 => Whom::Own,
            _ => Whom::All,
        };
        let timeouts = [Some("0"), Some("0.05"), Some("300ms")];
        // Who waits for one of the soak's own shells would wait for long.
        let forever = !matches!(whom, Whom::Own | Whom::All) && self.rng.percent(60);
        let timeout = if forever { None } else { self.rng.pick(&timeouts) };
        Operation::Join { whom, timeout, any: self.rng.percent(20), json: self.rng.percent(15) }
    }

    fn signal(&mut self) -> Operation {
        let (command, signal) = self.rng.pick(&[
            ("terminate", SIGTERM),
            ("terminate", SIGTERM),
            ("kill", SIGKILL),
            ("interrupt", SIGINT),
            ("kill -s USR1", 10),
            ("kill -s HUP", 1),
        ]);
        let all = self.rng.below(60) == 0;
        let whom = if all { Whom::All } else { self.whom() };
        let kill_after = command == "terminate" && self.rng.percent(25);
        // What ignores the signal is waited for until its gate is opened: not for those that live long.
        let wait = signal != SIGINT && self.rng.percent(25);
        let tree = command != "interrupt" && self.rng.percent(20);
        Operation::Signal { command, signal, whom, wait, kill_after, tree }
    }

    fn status(&mut self) -> Operation {
        let whom = if self.rng.percent(40) { Whom::Id(self.tag()) } else { Whom::All };
        let json = self.rng.percent(85);
        Operation::Status { whom, alive: self.rng.percent(25), children: self.rng.percent(15), json }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_alone_decides_the_operations() {
        let of = |seed| {
            let mut source = Source::new(seed, 1);
            (0..200).map(|_| format!("{:?}", source.next())).collect::<Vec<_>>()
        };
        assert_eq!(of(7), of(7));
        assert_ne!(of(7), of(8));
    }
}
