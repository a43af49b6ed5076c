//! Whether bytes are the very JSON that serde_json writes of a value. They are compared piece by piece as it would be written,
//! which costs much less than to write it: most of it is names of fields, and those are only looked at.

mod serializer;

use std::fmt;

use serde::ser::{self, Serialize};

/// Whether `serde_json::to_vec(value)` would give these bytes. "No" may be said of what takes a closer look: a string with
/// something to escape in it.
pub fn is_json_of(value: &impl Serialize, bytes: &[u8]) -> bool {
    let mut rest = Rest(bytes);
    value.serialize(&mut rest).is_ok() && rest.0.is_empty()
}

/// What has not been compared yet.
struct Rest<'a>(&'a [u8]);

/// It is not the same, or that cannot be told.
#[derive(Debug)]
struct Differs;

impl fmt::Display for Differs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not the same")
    }
}

impl std::error::Error for Differs {}

impl ser::Error for Differs {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Self
    }
}

type Compared = Result<(), Differs>;

/// 1 for each byte that does not stand for itself in a string.
const IS_ESCAPED: [u8; 256] = {
    let mut is = [0; 256];
    let mut b = 0;
    while b < b' ' as usize {
        is[b] = 1;
        b += 1;
    }
    is[b'"' as usize] = 1;
    is[b'\\' as usize] = 1;
    is
};

impl Rest<'_> {
    fn pass(&mut self, expected: &[u8]) -> Compared {
        self.0 = self.0.strip_prefix(expected).ok_or(Differs)?;
        Ok(())
    }

    fn string(&mut self, text: &str) -> Compared {
        self.pass(b"\"")?;
        let (found, rest) = self.0.split_at_checked(text.len()).ok_or(Differs)?;
        // They are short, mostly: a loop to the end is quicker than one that stops, or memcmp.
        let differs = |so_far, (a, b): (&u8, u8)| so_far | (a ^ b) | IS_ESCAPED[usize::from(b)];
        if found.iter().zip(text.bytes()).fold(0, differs) != 0 {
            return Err(Differs);
        }
        self.0 = rest;
        self.pass(b"\"")
    }

    /// As serde_json writes it: the shortest form of a fraction is a matter of its own.
    fn number(&mut self, number: impl Serialize) -> Compared {
        let mut written = [0; 32];
        let mut room = &mut written[..];
        serde_json::to_writer(&mut room, &number).map_err(|_| Differs)?;
        let length = 32 - room.len();
        self.pass(&written[..length])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::record::{self, Record};
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn final_record() -> String {
        let mut record: Value = serde_json::from_str(record::tests::OLD).expect("JSON");
        for (key, value) in [
            ("state", json!("stopped")),
            ("exitcode", json!(-15)),
            ("stopped_at", json!("2026-11-22T16:00:02.5Z")),
            (
                "usage",
                json!({ "user_seconds": 0.000_848, "system_seconds": 0.0, "max_rss_bytes": 1_441_792, "minor_faults": 69,
                "major_faults": 0, "blocks_in": 0, "blocks_out": 0, "voluntary_switches": 2, "involuntary_switches": 0 }),
            ),
            (
                "ended_by",
                json!({ "action": "terminate", "signal": 15, "by_pid": 7, "at": "2026-11-22T16:00:02Z" }),
            ),
            ("core_dumped", json!(false)),
            ("witness", json!("monitor")),
            ("from_the_future", json!({ "a": [1.5] })),
        ] {
            record[key] = value;
        }
        let record = Record::from_json(record.to_string().as_bytes()).expect("a record");
        serde_json::to_string(&record).expect("JSON")
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            ".{0,4}".prop_map(Value::from),
            "[a-z]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::vec(("[a-z\"]{0,2}", inner), 0..4)
                    .prop_map(|fields| Value::from(fields.into_iter().collect::<serde_json::Map<_, _>>())),
            ]
        })
    }

    fn has_escapes(json: &str) -> bool {
        json.contains('\\')
    }

    proptest! {
        #[test]
        fn what_is_written_is_the_same_unless_it_has_escapes(value in any_json()) {
            let json = value.to_string();
            prop_assert_eq!(is_json_of(&value, json.as_bytes()), !has_escapes(&json), "{}", json);
        }

        #[test]
        fn nothing_else_is(value in any_json(), other in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let json = value.to_string().into_bytes();
            prop_assert!(!is_json_of(&value, other.to_string().as_bytes()) || other.to_string().as_bytes() == json);
            let mut changed = json.clone();
            let at = at.index(json.len());
            changed[at] = byte;
            prop_assert!(!is_json_of(&value, &changed) || changed == json);
            changed.insert(at, byte);
            prop_assert!(!is_json_of(&value, &changed));
            prop_assert!(!is_json_of(&value, &json[..at]));
        }

        /// Whatever a file says that is read as a record, in whatever way: if it is printed as it is, then that is what would
        /// have been printed.
        #[test]
        fn a_record_is_never_printed_otherwise(
            at in any::<prop::sample::Index>(), byte in "[0-9a-zA-Z :.,+-]{0,2}", cut in 0usize..3,
        ) {
            let mut file = final_record();
            let at = at.index(file.len() - cut);
            file.replace_range(at..at + cut, &byte);
            if let Ok(record) = Record::from_json(file.as_bytes()) {
                let written = serde_json::to_string(&record).expect("JSON");
                prop_assert_eq!(is_json_of(&record, file.as_bytes()), written == file, "{}", file);
            }
        }
    }

    #[test]
    fn other_ways_to_write_the_same_are_not_it() {
        let file = final_record();
        let record = Record::from_json(file.as_bytes()).expect("a record");
        assert!(is_json_of(&record, file.as_bytes()));
        for (from, to) in [
            ("\"name\":\"", "\"name\": \""),
            ("\"daemon\":false,", ""),
            (",\"unique\":false", ""),
            ("Z\"", "000Z\""),
            ("Z\"", "+00:00\""),
            ("\"null\"", "\"nul\\u006c\""),
            ("\"null\"", "{\"hex\":\"6e756c6c\"}"),
            ("{\"schema\":1,", "{\"future\":1,\"schema\":1,"),
            ("\"system_seconds\":0.0", "\"system_seconds\":0"),
            ("\"system_seconds\":0.0", "\"system_seconds\":0.00"),
        ] {
            let other = file.replacen(from, to, 1);
            assert_ne!(other, file, "{from}");
            assert!(!is_json_of(&record, other.as_bytes()), "{to}");
            if let Ok(same) = Record::from_json(other.as_bytes()) {
                assert!(!is_json_of(&same, other.as_bytes()), "{to}");
            }
        }
        let key_that_is_no_string = std::collections::BTreeMap::from([(5, 1)]);
        assert!(!is_json_of(&key_that_is_no_string, b"{5:1}"));
        assert!(is_json_of(&json!({ "a": [1, null, { "b": "c" }] }), br#"{"a":[1,null,{"b":"c"}]}"#));
    }
}
