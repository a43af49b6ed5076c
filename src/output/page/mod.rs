//! Everything about one process, for people: as `systemctl status` shows a unit.

mod words;

use std::fmt::Write;

use crate::process::live::{Descendant, Fate, Live};
use crate::process::observe::Observed;
use crate::process::record::{Parent, Record};
use crate::process::text::Text;

use super::cut::{cut, width};
use super::table::{Style, row};
use super::tone::Tone;
use super::{escape, shell, tree, units};

/// What a page is made of.
#[derive(Debug)]
pub struct Page<'a> {
    /// The process.
    pub seen: &'a Observed,
    /// What /proc says of it.
    pub live: Option<Live>,
    /// What has become of its parent.
    pub parent: Fate,
    /// What descends from it.
    pub descendants: Vec<Descendant>,
    /// The last lines of its log, as they are; `None` if it has none.
    pub log: Option<Vec<String>>,
}

/// Where values begin.
const INDENT: usize = 11;

/// Draws it.
pub fn draw(page: &Page<'_>, style: Style) -> String {
    let mut sheet = Sheet { text: String::new(), style };
    let Page { seen, live, .. } = page;
    let record = &seen.record;
    sheet.title(seen);
    let is_suspended = live.is_some_and(|live| live.is_suspended);
    sheet.field("State", &words::state(seen, is_suspended));
    for note in words::notes(seen) {
        sheet.field("Note", &note);
    }
    sheet.some("Ended by", record.ended_by.as_ref().map(words::ended_by));
    sheet.some("Ran", words::ran(seen));
    sheet.some("Pid", pids(seen));
    sheet.some("Parent", record.parent.as_ref().map(|parent| self::parent(page, parent)));
    if record.daemon {
        sheet.field("Daemon", "yes, it is terminated when its parent ends");
    }
    sheet.field("Command", &shell::line(record.command.iter().map(Text::as_os_str)));
    sheet.field("Cwd", &escape::text(&record.cwd.to_string()));
    sheet.streams(record);
    sheet.some("CPU", cpu(record, live.as_ref()));
    sheet.some("Memory", memory(record, live.as_ref()));
    sheet.some("Threads", live.map(|live| live.load.threads.to_string()));
    sheet.some(
        "Files",
        live.and_then(|live| live.descriptors).map(|count| format!("{count} open descriptors")),
    );
    sheet.descendants(&page.descendants);
    sheet.log(record, page.log.as_deref());
    sheet.text
}

struct Sheet {
    text: String,
    style: Style,
}

impl Sheet {
    fn line(&mut self, line: &str) {
        self.text.push_str(line.trim_end());
        self.text.push('\n');
    }

    /// A line that may be cut.
    fn line_to_fit(&mut self, line: &str) {
        let line = match self.style.width {
            Some(limit) => cut(line, limit.into()),
            None => line.into(),
        };
        self.line(&line);
    }

    fn title(&mut self, seen: &Observed) {
        let tone = row::tone(seen);
        let colour = self.style.colour;
        let dot = match tone {
            Tone::Good => "●",
            Tone::Bad | Tone::Lost => "×",
            _ => "○",
        };
        let name = Tone::Strong.paint(&escape::text(&seen.record.name), colour);
        let state = tone.paint(&row::state(seen), colour);
        self.line(&format!("{} {name} ({}): {state}", tone.paint(dot, colour), seen.record.id));
    }

    fn field(&mut self, label: &str, value: &str) {
        self.line(&format!("{label:>width$}: {value}", width = INDENT - 2));
    }

    fn some(&mut self, label: &str, value: Option<String>) {
        if let Some(value) = value {
            self.field(label, &value);
        }
    }

    fn streams(&mut self, record: &Record) {
        let show = |text: &Text| escape::text(&text.to_string());
        let (stdin, stdout, stderr) = (show(&record.stdin), show(&record.stdout), show(&record.stderr));
        self.field("Stdin", &stdin);
        if stderr == "stdout" || stderr == stdout {
            self.field("Output", &stdout);
        } else {
            self.field("Stdout", &stdout);
            self.field("Stderr", &stderr);
        }
    }

    fn descendants(&mut self, all: &[Descendant]) {
        if all.is_empty() {
            return;
        }
        let cpu: f64 = all.iter().map(|one| one.load.cpu_seconds()).sum();
        let rss: u64 = all.iter().map(|one| one.load.rss_bytes).sum();
        let what = if all.len() == 1 { "descendant" } else { "descendants" };
        self.field(
            "Tree",
            &format!("{} {what}, CPU {}, memory {}", all.len(), units::cpu(cpu), units::bytes(rss)),
        );
        let depths: Vec<usize> = all.iter().map(|one| one.depth + 1).collect();
        // The process itself is the root.
        let stems = tree::stems(&[&[0], depths.as_slice()].concat());
        let heads: Vec<String> =
            stems[1..].iter().zip(all).map(|(stem, one)| format!("{stem}{}", one.pid)).collect();
        let widest = heads.iter().map(|head| width(head)).max().unwrap_or(0);
        for (head, one) in heads.iter().zip(all) {
            let space = widest - width(head);
            let cpu = units::cpu(one.load.cpu_seconds());
            let rss = if one.zombie { "-".to_owned() } else { units::bytes(one.load.rss_bytes) };
            let mut line = format!("{:INDENT$}{head}{:space$}  {cpu:>7}  {rss:>5}  ", "", "");
            if let Some(record) = &one.managed {
                let _ = write!(line, "{} ({}): ", escape::text(&record.name), record.id);
            }
            line.push_str(&row::command_of(one));
            if one.zombie {
                line.push_str(" (ended, not reaped)");
            }
            self.line_to_fit(&line);
        }
    }

    fn log(&mut self, record: &Record, lines: Option<&[String]>) {
        // Before the start there is none.
        let (Some(path), Some(lines)) = (&record.log, lines) else { return };
        self.field("Log", &escape::text(&path.to_string()));
        for line in lines {
            // Tabs would make it wider than it seems.
            let line = escape::output(&line.replace('\t', "    "));
            let bar = Tone::Faded.paint("│", self.style.colour);
            let line = match self.style.width {
                Some(limit) => cut(&line, usize::from(limit).saturating_sub(INDENT + 2)).into_owned(),
                None => line,
            };
            self.line(&format!("{:INDENT$}{bar} {line}", ""));
        }
    }
}

fn pids(seen: &Observed) -> Option<String> {
    let pid = seen.record.pid?;
    let monitor = seen.record.monitor.filter(|_| seen.is_monitored());
    Some(match monitor {
        Some(monitor) => format!("{pid} (monitor {})", monitor.pid),
        None => pid.to_string(),
    })
}

fn parent(page: &Page<'_>, parent: &Parent) -> String {
    let pid = parent.process.pid;
    let fate = if page.parent == Fate::Ended { ", has ended" } else { "" };
    if let (Some(id), Some(name)) = (&parent.id, &parent.name) {
        return format!("{} ({id}), pid {pid}{fate}", escape::text(name));
    }
    let program = match &page.parent {
        Fate::Alive(Some(program)) => format!("{}, ", escape::text(program)),
        _ => String::new(),
    };
    format!("{program}pid {pid}, outside of procctl{fate}")
}

fn cpu(record: &Record, live: Option<&Live>) -> Option<String> {
    let seconds = live
        .map(|live| (live.load.user_seconds, live.load.system_seconds))
        .or_else(|| record.usage.map(|usage| (usage.user_seconds, usage.system_seconds)))
        .or_else(|| record.partial_usage.map(|usage| (usage.user_seconds, usage.system_seconds)));
    let (user, system) = seconds?;
    let now = live.and_then(|live| live.cpu_share);
    let now = now.map(|share| format!(", now {}%", units::percent(share))).unwrap_or_default();
    let all = units::cpu(user + system);
    Some(format!("{all} (user {}, system {}){now}", units::cpu(user), units::cpu(system)))
}

fn memory(record: &Record, live: Option<&Live>) -> Option<String> {
    let peak = row::peak_bytes(record, live).map(units::bytes);
    match (live.map(|live| units::bytes(live.load.rss_bytes)), peak) {
        (Some(now), Some(peak)) => Some(format!("{now} (peak {peak})")),
        (Some(now), None) => Some(now),
        (None, peak) => peak.map(|peak| format!("peak {peak}")),
    }
}
