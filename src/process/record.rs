//! The record: what is known of one process, as JSON. Schema 1.
//!
//! Within a schema number fields are added, never renamed or removed. A field that this version does not know is kept
//! when the record is written again.
//!
//! | schema | since | change |
//! |---|---|---|
//! | 1 | 0.1.0 | the first |

use std::fmt;

use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

use crate::os::proc::Times;
use crate::os::process::{Status, Usage as OsUsage};
use crate::os::signals;

use super::id::Id;
use super::identity::Identity;
use super::name;
use super::text::Text;
use super::time::Moment;

/// The schema that this version writes, and the newest that it reads.
pub const SCHEMA: u32 = 1;

/// Largest record that is read, bytes. Linux allows 6 MiB of arguments at most; escaped as JSON they stay below.
pub const LARGEST: usize = 48 << 20;

/// What a process's number among its siblings can be: the next one can always be counted.
const NUMBERS: std::ops::RangeInclusive<u64> = 1..=1 << 53;

/// What an exitcode can be: a status, or minus a signal (64 of them; 127 on MIPS).
const EXITCODES: std::ops::RangeInclusive<i32> = -127..=255;

/// Python's states of a process. (`closed` is the absence of a record.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Recorded, not started.
    Initial,
    /// Started, its end not recorded.
    Started,
    /// Ended.
    Stopped,
}

impl State {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Started => "started",
            Self::Stopped => "stopped",
        }
    }
}

/// The creating process, as it was.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Parent {
    /// What tells it from every other.
    #[serde(flatten)]
    pub process: Identity,
    /// Its id; null if procctl did not start it.
    pub id: Option<Id>,
    /// Its name; null if procctl did not start it.
    pub name: Option<String>,
    /// When it started.
    pub started_at: Moment,
    /// The name of the ledger of its children.
    pub key: String,
}

/// Read as the flat object that it is: serde keeps all of what it flattens for a second look.
impl<'de> Deserialize<'de> for Parent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ParentReader)
    }
}

struct ParentReader;

impl<'de> Visitor<'de> for ParentReader {
    type Value = Parent;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object that says which process")
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Parent, A::Error> {
        #[derive(Deserialize)]
        struct Flat {
            pid: i32,
            start_ticks: u64,
            pidfd_inode: Option<u64>,
            id: Option<Id>,
            name: Option<String>,
            started_at: Moment,
            key: String,
        }
        let Flat { pid, start_ticks, pidfd_inode, id, name, started_at, key } =
            Flat::deserialize(MapAccessDeserializer::new(map))?;
        Ok(Parent { process: Identity { pid, start_ticks, pidfd_inode }, id, name, started_at, key })
    }
}

/// The monitor of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Monitor {
    /// Its pid, meaningful while the life lock is held.
    pub pid: i32,
    /// It took the place of one that was killed: it watches the process and is not its OS parent.
    #[serde(default)]
    pub adopted: bool,
}

/// What the process used, waited-for descendants included.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Usage {
    /// Time in user mode, seconds.
    pub user_seconds: f64,
    /// Time in the kernel, seconds.
    pub system_seconds: f64,
    /// Largest resident set, bytes.
    pub max_rss_bytes: u64,
    /// Page faults without reading.
    pub minor_faults: u64,
    /// Page faults with reading.
    pub major_faults: u64,
    /// Blocks read from storage, 512 bytes each.
    pub blocks_in: u64,
    /// Blocks written to storage, 512 bytes each.
    pub blocks_out: u64,
    /// Times it gave up the processor to wait.
    pub voluntary_switches: u64,
    /// Times it was made to give it up.
    pub involuntary_switches: u64,
}

impl From<OsUsage> for Usage {
    fn from(u: OsUsage) -> Self {
        Self {
            user_seconds: u.user_seconds,
            system_seconds: u.system_seconds,
            max_rss_bytes: u.max_rss_bytes,
            minor_faults: u.minor_faults,
            major_faults: u.major_faults,
            blocks_in: u.blocks_in,
            blocks_out: u.blocks_out,
            voluntary_switches: u.voluntary_switches,
            involuntary_switches: u.involuntary_switches,
        }
    }
}

/// What of its usage is known of a process that nobody waited for as its OS parent.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PartialUsage {
    /// Time in user mode, seconds.
    pub user_seconds: f64,
    /// Time in the kernel, seconds.
    pub system_seconds: f64,
    /// Page faults without reading.
    pub minor_faults: u64,
    /// Page faults with reading.
    pub major_faults: u64,
}

impl From<Times> for PartialUsage {
    fn from(t: Times) -> Self {
        let Times { user_seconds, system_seconds, minor_faults, major_faults } = t;
        Self { user_seconds, system_seconds, minor_faults, major_faults }
    }
}

/// A deed of procctl that ends processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// `terminate`
    Terminate,
    /// `kill`
    Kill,
    /// `interrupt`
    Interrupt,
    /// The parent of a daemonic process ended.
    ParentExit,
}

/// A signal that procctl sent: who asked for it, and when.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct EndedBy {
    /// The deed.
    pub action: Action,
    /// The signal's number.
    pub signal: i32,
    /// The process that asked: the caller of procctl; for `parent-exit` the parent.
    pub by_pid: i32,
    /// When.
    pub at: Moment,
}

/// How the end became known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Witness {
    /// Its monitor saw it; or another one, whose child it became when its own was killed.
    Monitor,
    /// Its monitor was gone; a new one, or a command that waited, held its pidfd and asked the kernel (Linux 6.15).
    Pidfd,
    /// Nobody saw it.
    Nobody,
}

/// Everything that is known of one process. A string that is not UTF-8 is written as `{"hex": "66ff"}`, its bytes.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Record {
    /// The number of this form. Within it fields are added, never renamed or removed.
    #[cfg_attr(test, schemars(extend("const" = SCHEMA)))]
    pub schema: u32,
    /// Its id, unique in its run directory.
    pub id: Id,
    /// Its name, not necessarily unique.
    pub name: String,
    /// Its state as last recorded.
    pub state: State,
    /// Its pid; null before the start.
    pub pid: Option<i32>,
    /// Python's exitcode: the status, or `-N` for signal N; null before the end, or if it is lost.
    #[cfg_attr(test, schemars(range(min = *EXITCODES.start(), max = *EXITCODES.end())))]
    pub exitcode: Option<i32>,
    /// The daemon flag: when its parent ends it gets SIGTERM, and it may have no children.
    pub daemon: bool,
    /// Its number among its parent's children, after the parent's own numbers: `[1, 2]` is the second child of the first.
    pub identity: Vec<u64>,
    /// Which of several it is that one `start --count` started, from 0; else null.
    #[serde(default)]
    pub index: Option<u32>,
    /// Its creating process; null if that is outside of the pid namespace.
    pub parent: Option<Parent>,
    /// The command and its arguments.
    #[cfg_attr(test, schemars(length(min = 1)))]
    pub command: Vec<Text>,
    /// Its working directory at the start.
    pub cwd: Text,
    /// When it was recorded.
    pub created_at: Moment,
    /// When it was started; null before.
    pub started_at: Option<Moment>,
    /// When it ended; null before, and if that is not known.
    pub stopped_at: Option<Moment>,
    /// Why the exit code is not known, if it is not though the process has ended.
    pub lost: Option<String>,
    /// Its standard input: `null`, `inherit` or a path.
    pub stdin: Text,
    /// Its standard output: `log`, `null`, `inherit` or a path.
    pub stdout: Text,
    /// Its standard error: `log`, `null`, `inherit`, a path, or `stdout`: where that goes.
    pub stderr: Text,
    /// A path that can be read from, without blocking, once the process has ended and that is on record.
    pub sentinel: Text,
    /// Where `log` output goes; null if neither stream does.
    #[serde(default)]
    pub log: Option<Text>,
    /// What it used, waited-for descendants included; null before the end, and if that is not known.
    pub usage: Option<Usage>,
    /// What of that is known where its monitor was killed, else null.
    #[serde(default)]
    pub partial_usage: Option<PartialUsage>,
    /// The last signal of procctl that explains the end; null if none does.
    pub ended_by: Option<EndedBy>,
    /// Whether it left a core dump; null before the end, and if that is not known.
    pub core_dumped: Option<bool>,
    /// The name of the host it was recorded on.
    pub host: String,
    /// The boot: the kernel's random boot id.
    pub boot_id: String,
    /// Its monitor; null before the start.
    pub monitor: Option<Monitor>,
    /// When it started, in clock ticks after boot (`starttime` of proc_pid_stat(5)); null before the start.
    #[serde(default)]
    pub start_ticks: Option<u64>,
    /// Inode of its pidfd, never used twice in one boot; null before the start, and before Linux 6.9.
    #[serde(default)]
    pub pidfd_inode: Option<u64>,
    /// Its pid namespace (the inode of /proc/PID/ns/pid).
    #[serde(default)]
    pub pid_namespace: Option<u64>,
    /// Whether no other live process may take its name.
    #[serde(default)]
    pub unique: bool,
    /// How the end became known; null before.
    #[serde(default)]
    pub witness: Option<Witness>,
    /// Fields of a later version.
    #[serde(flatten)]
    pub other: std::collections::BTreeMap<String, serde_json::Value>,
}

impl Record {
    /// Reads one. The error says in words what is wrong.
    pub fn from_json(bytes: &[u8]) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Head {
            schema: u64,
        }
        // Whether it is UTF-8 is asked once, not for each string; if it is not, the parser knows where.
        let read = match std::str::from_utf8(bytes) {
            Ok(text) => serde_json::from_str::<Self>(text),
            Err(_) => serde_json::from_slice::<Self>(bytes),
        };
        let record = read.map_err(|e| match serde_json::from_slice::<Head>(bytes) {
            Ok(head) if head.schema > u64::from(SCHEMA) => newer(head.schema),
            _ => e.to_string(),
        })?;
        if record.schema != SCHEMA {
            return Err(newer(record.schema.into()));
        }
        record.check()?;
        Ok(record)
    }

    /// Reads that of the process with this id.
    pub fn of(id: &Id, bytes: &[u8]) -> Result<Self, String> {
        let record = Self::from_json(bytes)?;
        if record.id != *id {
            return Err(format!("it says that its id is {}", record.id));
        }
        Ok(record)
    }

    /// What a record must be for its pids to be believed, besides being JSON of the right form.
    fn check(&self) -> Result<(), String> {
        name::check(&self.name)?;
        if self.command.is_empty() || self.identity.is_empty() {
            return Err("it has no command, or no number".to_owned());
        }
        if self.state == State::Started && self.process().is_none() {
            return Err("it says 'started' and not which OS process".to_owned());
        }
        let monitor = self.monitor.map(|monitor| monitor.pid);
        let parent = self.parent.as_ref().map(|parent| parent.process.pid);
        if [self.pid, monitor, parent].into_iter().flatten().any(|pid| pid <= 0) {
            return Err("it has an impossible pid".to_owned());
        }
        if self.identity.iter().any(|number| !NUMBERS.contains(number)) {
            return Err("it has an impossible number".to_owned());
        }
        if self.exitcode.is_some_and(|code| !EXITCODES.contains(&code)) {
            return Err("it has an exit code that no process has".to_owned());
        }
        // It becomes the name of a directory: one that leads elsewhere would make `close` remove files there.
        let is_key = |key: &str| {
            (1..=255).contains(&key.len()) && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        if !is_key(self.parent_key()) {
            return Err("the key of its parent is none".to_owned());
        }
        Ok(())
    }

    /// Writes it: one line.
    pub fn to_json(&self) -> Result<Vec<u8>, std::io::Error> {
        let mut bytes = serde_json::to_vec(self)?;
        bytes.push(b'\n');
        Ok(bytes)
    }

    /// The OS process, once it has been started.
    pub fn process(&self) -> Option<Identity> {
        Some(Identity { pid: self.pid?, start_ticks: self.start_ticks?, pidfd_inode: self.pidfd_inode })
    }

    /// The key of the parent's ledger.
    pub fn parent_key(&self) -> &str {
        self.parent.as_ref().map_or(NO_PARENT, |parent| &parent.key)
    }

    /// Its number among its parent's children.
    pub fn number(&self) -> u64 {
        self.identity.last().copied().unwrap_or(0)
    }

    /// Whether the end is recorded.
    pub fn is_final(&self) -> bool {
        self.state == State::Stopped
    }

    /// The state in a word for people: `initial`, `started`, `stopped`, `stopped[3]`, `stopped[SIGTERM]`, `lost`.
    pub fn state_in_words(&self) -> String {
        match (self.state, self.exitcode) {
            (State::Stopped, None) => "lost".to_owned(),
            (State::Stopped, Some(0)) => "stopped".to_owned(),
            (State::Stopped, Some(code)) if code > 0 => format!("stopped[{code}]"),
            (State::Stopped, Some(code)) => format!("stopped[{}]", signals::name(-code)),
            (state, _) => state.as_str().to_owned(),
        }
    }
}

/// The key of the ledger of processes whose parent is outside of the pid namespace.
pub const NO_PARENT: &str = "none";

fn newer(schema: u64) -> String {
    format!("it has schema {schema}, and this procctl knows {SCHEMA}: a newer procctl wrote it")
}

/// Python's exitcode of an end.
pub fn exitcode(status: Status) -> i32 {
    match status {
        Status::Exited(code) => code,
        Status::Signaled { signal, .. } => -signal,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(crate) const OLD: &str = include_str!("../../tests/data/record-0.1.0-started.json");

    #[test]
    fn a_record_of_the_first_version_loads_and_keeps_what_it_does_not_know() {
        let record = Record::from_json(OLD.as_bytes()).expect("loads");
        assert_eq!(record.name, "Process-1");
        let mut value: serde_json::Value = serde_json::from_str(OLD).expect("JSON");
        value["from_the_future"] = serde_json::json!({"a": [1]});
        let record = Record::from_json(value.to_string().as_bytes()).expect("loads");
        let written: serde_json::Value =
            serde_json::from_slice(&record.to_json().expect("written")).expect("JSON");
        // Fields that came later get their defaults.
        value["monitor"]["adopted"] = serde_json::json!(false);
        value["partial_usage"] = serde_json::json!(null);
        value["index"] = serde_json::json!(null);
        assert_eq!(written, value);
    }

    #[test]
    fn a_newer_schema_is_named() {
        let newer = OLD.replace("\"schema\":1", "\"schema\":2");
        assert!(Record::from_json(newer.as_bytes()).expect_err("refused").contains("schema 2"));
        assert!(Record::from_json(br#"{"schema":7}"#).expect_err("refused").contains("schema 7"));
    }

    #[test]
    fn impossible_records_are_refused() {
        let mut value: serde_json::Value = serde_json::from_str(OLD).expect("JSON");
        for (key, bad) in [
            ("pid", serde_json::json!(-1)),
            ("pid", serde_json::json!(null)),
            ("name", serde_json::json!("\u{1b}[2J")),
            ("id", serde_json::json!("../../x")),
            ("command", serde_json::json!([])),
            ("start_ticks", serde_json::json!(null)),
            ("parent", serde_json::json!([1, 2, null, null, null, "2026-11-22T16:00:00Z", "1"])),
            ("parent", serde_json::json!({ "pid": 1 })),
            ("cwd", serde_json::json!(["61"])),
            ("cwd", serde_json::json!({ "hex": "61", "more": 1 })),
        ] {
            let good = std::mem::replace(&mut value[key], bad.clone());
            assert!(Record::from_json(value.to_string().as_bytes()).is_err(), "{key}: {bad}");
            value[key] = good;
        }
    }

    #[test]
    fn every_truncation_is_refused_without_a_panic() {
        let whole = OLD.trim_end().as_bytes();
        for length in 0..whole.len() {
            assert!(Record::from_json(&whole[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn flipped_bytes_never_panic(at in 0..OLD.len(), bit in 0..8u8) {
            let mut bytes = OLD.as_bytes().to_vec();
            bytes[at] ^= 1 << bit;
            let _ = Record::from_json(&bytes);
        }
    }

    proptest! {
        /// Also of fields that this version does not know.
        #[test]
        fn fractions_are_kept_to_the_last_bit(number in any::<f64>().prop_filter("JSON", |x| x.is_finite())) {
            let mut value: serde_json::Value = serde_json::from_str(OLD).expect("JSON");
            value["from_the_future"] = serde_json::json!(number);
            let read = Record::from_json(value.to_string().as_bytes()).expect("loads");
            prop_assert_eq!(read.other["from_the_future"].as_f64(), Some(number));
        }
    }

    #[test]
    fn states_in_words() {
        let mut record = Record::from_json(OLD.as_bytes()).expect("loads");
        for (state, code, words) in [
            (State::Initial, None, "initial"),
            (State::Started, None, "started"),
            (State::Stopped, None, "lost"),
            (State::Stopped, Some(0), "stopped"),
            (State::Stopped, Some(3), "stopped[3]"),
            (State::Stopped, Some(-15), "stopped[SIGTERM]"),
        ] {
            (record.state, record.exitcode) = (state, code);
            assert_eq!(record.state_in_words(), words);
        }
    }
}
