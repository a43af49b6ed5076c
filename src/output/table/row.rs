//! The rows: what each column says of a process.

use std::ffi::OsStr;
use std::time::Duration;

use crate::process::identity::Identity;
use crate::process::live::{Descendant, Fate, Live};
use crate::process::observe::{Life, Observed};
use crate::process::record::{Action, EndedBy, Parent, Record};
use crate::process::text::Text;
use crate::process::time::Moment;

use super::Column;
use crate::output::tone::Tone;
use crate::output::{age, escape, shell, units};

/// What a row is about.
#[derive(Debug)]
pub enum Subject<'a> {
    /// A process, and what /proc said of it if it was asked.
    Process(&'a Observed, Option<&'a Live>),
    /// The id of a record that cannot be used, and why.
    Broken(&'a str, &'a str),
    /// Something that procctl did not start and that descends from a process.
    Descendant(&'a Descendant),
    /// A parent that has no record here, and what has become of it.
    Outside(&'a Parent, &'a Fate),
}

/// One row.
#[derive(Debug)]
pub struct Row<'a> {
    /// What it is about.
    pub subject: Subject<'a>,
    /// What stands before its first cell: a piece of a tree.
    pub stem: String,
    /// Whether it is there for the others' sake.
    pub faded: bool,
}

impl<'a> Row<'a> {
    /// A row like any other.
    pub fn of(subject: Subject<'a>) -> Self {
        Self { subject, stem: String::new(), faded: false }
    }

    /// What a column says; `None`: nothing.
    pub(super) fn cell(&self, column: Column) -> Option<String> {
        match &self.subject {
            Subject::Process(seen, live) => of_process(seen, *live, column),
            Subject::Broken(id, why) => match column {
                Column::Id => Some((*id).to_owned()),
                Column::State => Some("broken".to_owned()),
                Column::Command | Column::Lost => Some(escape::text(why)),
                _ => None,
            },
            Subject::Descendant(descendant) => of_descendant(descendant, column),
            Subject::Outside(parent, fate) => of_outside(parent, fate, column),
        }
    }

    /// How a cell is to look.
    pub(super) fn tone(&self, column: Column) -> Tone {
        match (&self.subject, column) {
            _ if self.faded => Tone::Faded,
            (Subject::Process(seen, _), Column::State) => tone(seen),
            (Subject::Broken(..), Column::State) => Tone::Lost,
            _ => Tone::Plain,
        }
    }
}

fn of_outside(parent: &Parent, fate: &Fate, column: Column) -> Option<String> {
    match column {
        Column::Id => parent.id.as_ref().map(ToString::to_string),
        Column::Name => Some(match (&parent.name, fate) {
            (Some(name), _) => escape::text(name),
            (None, Fate::Alive(Some(program))) => escape::text(program),
            _ => format!("pid {}", parent.process.pid),
        }),
        Column::Pid => Some(parent.process.pid.to_string()),
        Column::State => match (&parent.id, fate) {
            (Some(_), _) => Some("closed".to_owned()),
            (None, Fate::Alive(_)) => Some("outside".to_owned()),
            (None, Fate::Ended) => Some("ended".to_owned()),
            (None, Fate::Unknown) => None,
        },
        Column::Started => Some(parent.started_at.local()),
        Column::Age if matches!(fate, Fate::Alive(_)) => Some(age::short(parent.started_at.elapsed())),
        _ => None,
    }
}

pub(super) fn of_process(seen: &Observed, live: Option<&Live>, column: Column) -> Option<String> {
    let record = &seen.record;
    match column {
        Column::Id => Some(record.id.to_string()),
        Column::Name => Some(escape::text(&record.name)),
        Column::Pid => record.pid.map(|pid| pid.to_string()),
        Column::State => Some(state(seen)),
        Column::Daemon => Some(if record.daemon { "yes" } else { "no" }.to_owned()),
        Column::Parent => record.parent.as_ref().map(parent),
        Column::Age => lifetime(seen).map(age::short),
        Column::Command => Some(shell::line(record.command.iter().map(Text::as_os_str))),
        Column::Exitcode => record.exitcode.map(|code| code.to_string()),
        Column::Index => record.index.map(|index| index.to_string()),
        Column::Created => Some(record.created_at.local()),
        Column::Started => record.started_at.map(Moment::local),
        Column::Ended => record.stopped_at.map(Moment::local),
        Column::EndedBy => record.ended_by.as_ref().map(ended_by),
        Column::Cpu => cpu_seconds(record, live).map(units::cpu),
        Column::CpuShare => cpu_share(seen, live).map(units::percent),
        Column::Rss => live.map(|live| units::bytes(live.load.rss_bytes)),
        Column::Peak => peak_bytes(record, live).map(units::bytes),
        Column::Threads => live.map(|live| live.load.threads.to_string()),
        Column::Fds => live?.descriptors.map(|count| count.to_string()),
        Column::Cwd => Some(escape::text(&record.cwd.to_string())),
        Column::Log => record.log.as_ref().map(|log| escape::text(&log.to_string())),
        Column::Monitor => record.monitor.map(|monitor| monitor.pid.to_string()),
        Column::Host => Some(escape::text(&record.host)),
        Column::Lost => record.lost.as_deref().map(escape::text),
    }
}

fn of_descendant(descendant: &Descendant, column: Column) -> Option<String> {
    let load = &descendant.load;
    match column {
        Column::Name => Some(escape::text(&String::from_utf8_lossy(&descendant.comm))),
        Column::Pid => Some(descendant.pid.to_string()),
        Column::State => descendant.zombie.then(|| "zombie".to_owned()),
        Column::Age => Some(age::short(started_at(descendant).elapsed())),
        Column::Started => Some(started_at(descendant).local()),
        Column::Command => Some(command_of(descendant)),
        Column::Cpu => Some(units::cpu(load.cpu_seconds())),
        Column::CpuShare if !descendant.zombie => {
            let lived = started_at(descendant).elapsed();
            descendant.cpu_share.or_else(|| share(load.cpu_seconds(), lived)).map(units::percent)
        }
        Column::Rss if !descendant.zombie => Some(units::bytes(load.rss_bytes)),
        Column::Threads if !descendant.zombie => Some(load.threads.to_string()),
        _ => None,
    }
}

fn started_at(descendant: &Descendant) -> Moment {
    let Descendant { pid, start_ticks, .. } = *descendant;
    Identity { pid, start_ticks, pidfd_inode: None }.started_at()
}

/// The command of a process that procctl did not start; the name of its program, if there is none.
pub fn command_of(descendant: &Descendant) -> String {
    if descendant.arguments.is_empty() {
        return format!("[{}]", escape::text(&String::from_utf8_lossy(&descendant.comm)));
    }
    shell::line(descendant.arguments.iter().map(AsRef::<OsStr>::as_ref))
}

/// The state in a word.
pub fn state(seen: &Observed) -> String {
    match &seen.life {
        Life::Elsewhere => format!("on {}", escape::text(&seen.record.host)),
        Life::Ending(_) => "ending".to_owned(),
        _ => seen.record.state_in_words(),
    }
}

/// What that word looks like.
pub fn tone(seen: &Observed) -> Tone {
    match (&seen.life, seen.record.exitcode) {
        (Life::Alive { .. }, _) => Tone::Good,
        (Life::Initial, _) => Tone::New,
        (Life::Ended, None) => Tone::Lost,
        (Life::Ended, Some(0)) => Tone::Plain,
        (Life::Ended, Some(_)) => Tone::Bad,
        (Life::Ending(_) | Life::Elsewhere, _) => Tone::Odd,
    }
}

fn parent(parent: &Parent) -> String {
    parent.id.as_ref().map_or_else(|| parent.process.pid.to_string(), ToString::to_string)
}

/// How long it has lived, or lived.
pub fn lifetime(seen: &Observed) -> Option<Duration> {
    let started = seen.record.started_at?;
    match seen.record.stopped_at {
        Some(stopped) => Some(stopped.since(started)),
        None if seen.is_alive() => Some(started.elapsed()),
        None => None,
    }
}

/// Who ended it, in a few words.
pub fn ended_by(deed: &EndedBy) -> String {
    match deed.action {
        Action::Terminate => format!("terminate by {}", deed.by_pid),
        Action::Kill => format!("kill by {}", deed.by_pid),
        Action::Interrupt => format!("interrupt by {}", deed.by_pid),
        Action::ParentExit => format!("end of parent {}", deed.by_pid),
    }
}

/// The CPU time of a live process, or of an ended one.
pub fn cpu_seconds(record: &Record, live: Option<&Live>) -> Option<f64> {
    let live = live.map(|live| live.load.cpu_seconds());
    let used = || record.usage.map(|usage| usage.user_seconds + usage.system_seconds);
    let in_part = || record.partial_usage.map(|usage| usage.user_seconds + usage.system_seconds);
    live.or_else(used).or_else(in_part)
}

/// The share of one CPU of a live process: since the last look, at the first one since its start.
pub fn cpu_share(seen: &Observed, live: Option<&Live>) -> Option<f64> {
    let live = live?;
    live.cpu_share.or_else(|| share(live.load.cpu_seconds(), lifetime(seen)?))
}

fn share(seconds: f64, lived: Duration) -> Option<f64> {
    // The clock of one is not that of the other: in its first moments, a process would seem to use several CPUs.
    const TICK: f64 = 0.01;
    (!lived.is_zero()).then(|| seconds / lived.as_secs_f64().max(TICK))
}

/// The most memory that it has had, or had.
pub fn peak_bytes(record: &Record, live: Option<&Live>) -> Option<u64> {
    live.and_then(|live| live.peak_rss_bytes).or_else(|| record.usage.map(|usage| usage.max_rss_bytes))
}
