//! In which order rows stand.

use std::cmp::Ordering;

use crate::process::live::Live;
use crate::process::observe::Observed;

use super::Column;
use super::row;

/// A column to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key {
    /// The column.
    pub column: Column,
    /// Largest first.
    pub reverse: bool,
}

impl Key {
    /// Reads it as it is typed: a column, or `-` and a column for the largest first.
    pub fn parse(text: &str) -> Option<Self> {
        let (reverse, name) = text.strip_prefix('-').map_or((false, text), |name| (true, name));
        Some(Self { column: Column::parse(name)?, reverse })
    }
}

/// Something to compare by. What says nothing comes last, whatever the direction.
#[derive(Clone, Debug, PartialEq, PartialOrd)]
pub enum Value {
    /// A number.
    Number(f64),
    /// A text.
    Text(String),
}

/// What a process is compared by.
#[expect(clippy::cast_precision_loss, reason = "only the order matters")]
pub fn value(column: Column, seen: &Observed, live: Option<&Live>) -> Option<Value> {
    let record = &seen.record;
    let number = match column {
        Column::Pid => record.pid.map(f64::from),
        Column::Daemon => Some(f64::from(u8::from(record.daemon))),
        Column::Age => row::lifetime(seen).map(|time| time.as_secs_f64()),
        Column::Exitcode => record.exitcode.map(f64::from),
        Column::Index => record.index.map(f64::from),
        Column::Created => Some(record.created_at.micros() as f64),
        Column::Started => record.started_at.map(|at| at.micros() as f64),
        Column::Ended => record.stopped_at.map(|at| at.micros() as f64),
        Column::Cpu => row::cpu_seconds(record, live),
        Column::CpuShare => row::cpu_share(seen, live),
        Column::Rss => live.map(|live| live.load.rss_bytes as f64),
        Column::Peak => row::peak_bytes(record, live).map(|bytes| bytes as f64),
        Column::Threads => live.map(|live| live.load.threads as f64),
        Column::Fds => live.and_then(|live| live.descriptors).map(|count| count as f64),
        Column::Monitor => record.monitor.map(|monitor| f64::from(monitor.pid)),
        _ => return row::of_process(seen, live, column).map(Value::Text),
    };
    number.map(Value::Number)
}

/// Compares by several keys, the first one first.
pub fn compare(keys: &[Key], a: &[Option<Value>], b: &[Option<Value>]) -> Ordering {
    for ((key, a), b) in keys.iter().zip(a).zip(b) {
        let order = match (a, b) {
            (Some(a), Some(b)) => {
                let order = a.partial_cmp(b).unwrap_or(Ordering::Equal);
                if key.reverse { order.reverse() } else { order }
            }
            (None, None) => Ordering::Equal,
            (None, Some(_)) => Ordering::Greater,
            (Some(_), None) => Ordering::Less,
        };
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}
