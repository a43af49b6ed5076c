//! What must hold for any bytes at all, for everything that procctl parses. The fuzz targets in `fuzz/` call these
//! functions with what they think of, and corpus.rs with what they thought of before.

use procctl::os::proc::{Load, Stat};
use procctl::os::signals;
use procctl::output::screen::Screen;
use procctl::output::template::Template;
use procctl::output::{escape, shell};
use procctl::process::environment::Changes;
use procctl::process::family;
use procctl::process::id::{self, Id};
use procctl::process::name;
use procctl::process::names::Tag;
use procctl::process::record::{EndedBy, Record};
use procctl::process::schema;
use procctl::process::text::Text;
use procctl::process::time::{self, Moment};

fn text_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// A record that can be read can be written, and what was written is read as the same; once more changes nothing.
pub(crate) fn record(bytes: &[u8]) {
    // The lines of `signals`, and the file `environment`, are JSON of the same kind.
    if let Ok(sent) = serde_json::from_slice::<EndedBy>(bytes) {
        again(&sent);
    }
    if let Ok(changes) = serde_json::from_slice::<Changes>(bytes) {
        again(&changes);
    }
    let Ok(record) = Record::from_json(bytes) else { return };
    let _ = record.state_in_words();
    assert!(record.number() >= 1 && !record.parent_key().contains(['/', '.', '\0']));
    assert!(record.process().is_none_or(|process| process.pid > 0));
    let written = record.to_json().expect("a record can be written");
    let read = Record::from_json(&written).expect("what was written can be read");
    let same = |a: &Record, b: &Record| {
        (a.pid, a.start_ticks, a.pidfd_inode, a.exitcode, a.state)
            == (b.pid, b.start_ticks, b.pidfd_inode, b.exitcode, b.state)
            && (&a.id, &a.name, &a.command, &a.cwd) == (&b.id, &b.name, &b.command, &b.cwd)
            && a.other == b.other
    };
    assert!(same(&record, &read), "{record:?}\n{read:?}");
    assert_eq!(written, read.to_json().expect("written again"));
}

fn again<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) {
    let once = serde_json::to_vec(value).expect("written");
    let read: T = serde_json::from_slice(&once).expect("read");
    assert_eq!(once, serde_json::to_vec(&read).expect("written again"));
}

/// A line of /proc/PID/stat.
pub(crate) fn proc_stat(bytes: &[u8]) {
    if let Some(load) = Load::parse(bytes) {
        assert!(load.user_seconds >= 0.0 && load.system_seconds >= 0.0);
    }
    let Some(stat) = Stat::parse(bytes) else { return };
    // The name is what stands between the first and the last parenthesis, whatever it is.
    let open = bytes.iter().position(|&b| b == b'(').expect("open");
    assert_eq!(&bytes[open + 1..=open + stat.comm.len()], stat.comm);
    assert!(!bytes[open + stat.comm.len() + 2..].contains(&b')'));
}

/// Times as people type them, and moments as records have them.
pub(crate) fn time(bytes: &[u8]) {
    let Some(text) = text_of(bytes) else { return };
    let _ = time::parse_moment(text);
    if let Ok(time) = time::parse(text) {
        assert!(!text.starts_with('-') || time.is_zero());
        let _ = time::Deadline::after(time).left();
    }
    let json = serde_json::Value::from(text);
    let Ok(moment) = serde_json::from_value::<Moment>(json) else { return };
    let shown = moment.to_string();
    let read: Moment = serde_json::from_value(shown.as_str().into()).expect("what was shown can be read");
    assert_eq!(read.to_string(), shown);
    assert_eq!(read.micros(), moment.micros());
    let _ = (moment.elapsed(), moment.since(read), Moment::now().since(moment));
    let _ = moment.rounded_to(std::time::Duration::from_millis(10)).to_string();
}

/// REFs, ids, names, and the file names of the indexes.
pub(crate) fn reference(bytes: &[u8]) {
    let Some(text) = text_of(bytes) else { return };
    if let Some(id) = Id::parse(text) {
        assert_eq!(id.as_str(), text);
        let path = id.path();
        assert!(path.starts_with("processes/") && path.matches('/').count() == 2 && !path.contains('.'));
    }
    if text.len() >= id::SHORTEST_PREFIX && id::could_begin_one(text) {
        assert!(id::folder(text).len() == "processes/".len() + 2);
    }
    if name::check(text).is_ok() {
        assert!(!text.is_empty() && text.len() <= 255 && !text.chars().any(char::is_control));
    }
    if let Some(tag) = Tag::parse(text) {
        assert_eq!(Tag::parse(&tag.file()), Some(tag));
    }
    if let Some((process, boot)) = family::parse_key(text) {
        let key = family::key_of(&process, boot);
        assert_eq!(family::parse_key(&key), Some((process, boot)));
    }
}

/// Names and numbers of signals.
pub(crate) fn signal(bytes: &[u8]) {
    let Some(text) = text_of(bytes) else { return };
    if let Some(signal) = signals::parse(text) {
        assert!((0..=signals::LAST).contains(&signal));
        assert_eq!(signals::parse(&signals::name(signal)), Some(signal));
    }
    if let Ok(number) = text.parse() {
        let _ = signals::name(number);
    }
}

/// Strings of the operating system in JSON; read from it, and written to it.
pub(crate) fn text(bytes: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    let text = Text(std::ffi::OsStr::from_bytes(bytes).to_owned());
    let json = serde_json::to_vec(&text).expect("any bytes can be written");
    assert_eq!(serde_json::from_slice::<Text>(&json).expect("and read"), text);
    if let Ok(read) = serde_json::from_slice::<Text>(bytes) {
        again(&read);
    }
}

/// Templates of `--format`, with the bytes themselves as what the fields say.
pub(crate) fn template(bytes: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    let Some(text) = text_of(bytes) else { return };
    let template = match Template::parse(text) {
        Ok(template) => template,
        Err(why) => {
            assert!(!why.chars().any(char::is_control), "{why:?}");
            return;
        }
    };
    let fields = schema::Fields::of_record();
    for path in template.fields() {
        let _ = fields.check(path);
    }
    let odd = Text(std::ffi::OsStr::from_bytes(bytes).to_owned());
    let record = serde_json::json!({ "name": text, "cwd": odd, "command": [odd], "parent": { "id": text } });
    let raw = template.fill(&record, false);
    let safe = template.fill(&record, true);
    // Without fields it is the same everywhere.
    assert!(template.fields().next().is_some() || raw == safe);
    let own = |text: &str| text.chars().filter(|c| c.is_control()).count();
    let safe = String::from_utf8(safe).expect("text for a terminal");
    assert!(own(&safe) <= own(text) + text.matches(['\\']).count(), "{safe:?}");
}

/// What is shown to people has nothing raw, whatever it is made of.
pub(crate) fn terminal(bytes: &[u8]) {
    use std::os::unix::ffi::OsStrExt;
    let raw = String::from_utf8_lossy(bytes);
    let line = shell::line(bytes.split(|&b| b == 0).map(std::ffi::OsStr::from_bytes));
    for shown in [escape::text(&raw), line] {
        assert!(!shown.chars().any(char::is_control), "{shown:?}");
    }
    assert!(!escape::output(&raw).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
    for keep_colours in [false, true] {
        let mut screen = Screen::new(keep_colours);
        let (one, other) = bytes.split_at(bytes.len() / 2);
        let shown = screen.show(one) + &screen.show(other) + &screen.finish();
        let mut whole = Screen::new(keep_colours);
        assert_eq!(shown, whole.show(bytes) + &whole.finish());
        // ESC begins a colour, or is not there.
        for (at, part) in shown.split('\x1b').enumerate() {
            let is_colour =
                part.strip_prefix('[').and_then(|part| part.split_once('m')).is_some_and(|(colour, _)| {
                    keep_colours && colour.chars().all(|c| c.is_ascii_digit() || matches!(c, ';' | ':'))
                });
            assert!(at == 0 || is_colour, "{shown:?}");
            assert!(!part.chars().any(|c| c.is_control() && c != '\n' && c != '\t'), "{shown:?}");
        }
    }
    let value = serde_json::Value::from(raw.as_ref());
    let json = escape::json(&value.to_string()).into_owned();
    assert!(!json.chars().any(char::is_control), "{json:?}");
    assert_eq!(serde_json::from_str::<serde_json::Value>(&json).expect("JSON"), value);
}
