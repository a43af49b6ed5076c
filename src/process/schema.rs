//! The JSON Schema of a record, and its fields by their paths.
//!
//! `docs/record.schema.json` is made from the types in [`record`](super::record) and their comments by a test below, which
//! fails when they differ: so nothing is in a record that is not in the schema, and described there.

use serde_json::Value;

use super::error::{Error, Result};

/// The schema, draft 2020-12.
pub const RECORD: &str = include_str!("../../docs/record.schema.json");

/// What stands in a JSON value under a path such as `usage.user_seconds` or `command.0`. Below a null is null.
pub fn walk<'a>(value: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('.').try_fold(value, |value, key| match value {
        Value::Null => Some(value),
        Value::Object(fields) => fields.get(key),
        Value::Array(items) => items.get(key.parse::<usize>().ok()?),
        _ => None,
    })
}

/// The fields that there can be, whether or not a given process has them.
#[derive(Debug)]
pub struct Fields {
    schema: Value,
    /// The path of the object that is meant, and what it is called.
    top: Option<&'static str>,
}

impl Fields {
    /// Those of a record.
    pub fn of_record() -> Self {
        // What was compiled in is JSON.
        Self { schema: serde_json::from_str(RECORD).unwrap_or_default(), top: None }
    }

    /// Those of the field `parent`, which is all that is known of a parent that is no managed process.
    pub fn of_parent() -> Self {
        Self { top: Some("parent"), ..Self::of_record() }
    }

    /// An error if nothing can stand under that path.
    pub fn check(&self, path: &str) -> Result<()> {
        let root = match self.top {
            None => vec![&self.schema],
            Some(top) => Self::below(&self.shapes(&self.schema), top),
        };
        let mut here: Vec<&Value> = root.iter().flat_map(|schema| self.shapes(schema)).collect();
        let mut known: Vec<&str> = Vec::new();
        for key in path.split('.') {
            let next = Self::below(&here, key);
            if next.is_empty() {
                return Err(self.unknown(path, &known, &here));
            }
            known.push(key);
            here = next.into_iter().flat_map(|schema| self.shapes(schema)).collect();
        }
        Ok(())
    }

    fn unknown(&self, path: &str, known: &[&str], here: &[&Value]) -> Error {
        let of = self.top.map_or("a record", |_| "a parent that is no managed process");
        let names = names(here);
        let hint = match (known, names.is_empty()) {
            ([], _) => format!("fields: {}", names.join(", ")),
            (_, false) => format!("fields of {}: {}", known.join("."), names.join(", ")),
            (_, true) => format!("there are no fields below {}", known.join(".")),
        };
        Error::hinted(format!("{of} has no field '{}'", path.escape_debug()), hint)
    }

    /// The schemas of what stands under one key.
    fn below<'a>(shapes: &[&'a Value], key: &str) -> Vec<&'a Value> {
        let of_object = |shape: &&'a Value| shape["properties"].get(key);
        let of_array = |shape: &&'a Value| key.parse::<usize>().ok().and_then(|_| shape.get("items"));
        shapes.iter().filter_map(|shape| of_object(shape).or_else(|| of_array(shape))).collect()
    }

    /// What a schema comes to: references are followed, and alternatives told apart.
    fn shapes<'a>(&'a self, schema: &'a Value) -> Vec<&'a Value> {
        if let Some(pointer) = schema["$ref"].as_str().and_then(|to| to.strip_prefix('#')) {
            return self.schema.pointer(pointer).map_or_else(Vec::new, |schema| self.shapes(schema));
        }
        match schema["anyOf"].as_array() {
            Some(either) => either.iter().flat_map(|schema| self.shapes(schema)).collect(),
            None => vec![schema],
        }
    }
}

fn names<'a>(shapes: &[&'a Value]) -> Vec<&'a str> {
    shapes
        .iter()
        .filter_map(|shape| shape["properties"].as_object())
        .flat_map(|fields| fields.keys().map(String::as_str))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use schemars::generate::SchemaSettings;
    use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

    use super::*;
    use crate::process::id::Id;
    use crate::process::record::Record;
    use crate::process::text::Text;
    use crate::process::time::Moment;

    impl JsonSchema for Id {
        fn schema_name() -> Cow<'static, str> {
            "Id".into()
        }
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "description": "An id: a letter first, none that is easily taken for another.",
                "type": "string", "pattern": "^[abcdefghjkmnpqrstvwxyz][abcdefghjkmnpqrstvwxyz23456789]{7}$" })
        }
    }

    impl JsonSchema for Text {
        fn schema_name() -> Cow<'static, str> {
            "Text".into()
        }
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            let hex = json_schema!({ "type": "string", "pattern": "^([0-9a-f]{2})*$",
                "description": "The bytes, in hexadecimal digits." });
            json_schema!({ "description": "A string of the operating system: text, or the bytes of what is not UTF-8.",
                "anyOf": [{ "type": "string" }, { "type": "object", "properties": { "hex": hex },
                    "required": ["hex"], "additionalProperties": false }] })
        }
    }

    impl JsonSchema for Moment {
        fn schema_name() -> Cow<'static, str> {
            "Moment".into()
        }
        fn json_schema(_: &mut SchemaGenerator) -> Schema {
            json_schema!({ "description": "A moment, UTC, to the microsecond (RFC 3339).", "type": "string",
                "format": "date-time", "pattern": r"^-?\d{4,6}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$" })
        }
    }

    fn made_from_the_types() -> String {
        let generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
        let mut schema = generator.into_root_schema_for::<Record>();
        schema.insert("title".to_owned(), "A record of procctl".into());
        let mut text = format!("{:#}", schema.as_value());
        text.push('\n');
        text
    }

    /// `PROCCTL_UPDATE=1 cargo test generated` writes it anew.
    #[test]
    fn generated_from_the_types() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/record.schema.json");
        let made = made_from_the_types();
        if std::env::var_os("PROCCTL_UPDATE").is_some() {
            std::fs::write(path, &made).expect("written");
        }
        let kept = std::fs::read_to_string(path).expect("there is one");
        assert!(
            kept == made,
            "docs/record.schema.json is not that of the types: PROCCTL_UPDATE=1 cargo test generated"
        );
    }

    #[test]
    fn every_field_is_described() {
        fn look(schema: &Value, path: &str) {
            for (name, field) in schema["properties"].as_object().into_iter().flatten() {
                assert!(field["description"].is_string(), "{path}.{name}: {field}");
                look(field, &format!("{path}.{name}"));
            }
        }
        let schema: Value = serde_json::from_str(RECORD).expect("JSON");
        look(&schema, "");
        for (name, part) in schema["$defs"].as_object().expect("parts") {
            assert!(part["description"].is_string(), "{name}");
            look(part, name);
        }
    }

    #[test]
    fn fields_are_known_whether_or_not_a_process_has_them() {
        let fields = Fields::of_record();
        for path in [
            "pid",
            "parent",
            "parent.pid",
            "parent.id",
            "usage.max_rss_bytes",
            "partial_usage.user_seconds",
            "command.0",
            "command.99",
            "identity.1",
            "ended_by.at",
            "monitor.adopted",
            "cwd",
            "witness",
            "parent.started_at",
        ] {
            assert!(fields.check(path).is_ok(), "{path}");
        }
        for (path, hint) in [
            ("", "fields: schema, id, name"),
            ("nope", "fields: schema, id, name"),
            ("Pid", "fields: schema, id, name"),
            ("parent.nope", "fields of parent: "),
            ("pid.x", "no fields below pid"),
            ("command.x", "fields"),
            (".pid", "fields"),
            ("pid.", "fields"),
            ("authkey", "fields"),
        ] {
            let error = fields.check(path).expect_err(path);
            assert!(error.hint().is_some_and(|said| said.contains(hint)), "{path}: {error:?}");
        }
        let fields = Fields::of_parent();
        assert!(fields.check("pid").is_ok() && fields.check("started_at").is_ok());
        assert!(fields.check("command").is_err() && fields.check("parent.pid").is_err());
    }

    #[test]
    fn what_is_in_a_record_is_found() {
        fn look(fields: &Fields, value: &Value, path: &str) {
            let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
            match value {
                Value::Object(object) => {
                    object.iter().for_each(|(key, value)| look(fields, value, &below(key)));
                }
                Value::Array(items) => {
                    items
                        .iter()
                        .enumerate()
                        .for_each(|(at, value)| look(fields, value, &below(&at.to_string())));
                }
                _ => assert!(fields.check(path).is_ok(), "{path}"),
            }
        }
        let record = Record::from_json(crate::process::record::tests::OLD.as_bytes()).expect("loads");
        let record = serde_json::to_value(record).expect("JSON");
        look(&Fields::of_record(), &record, "");
        assert_eq!(walk(&record, "parent.pid"), Some(&4000.into()));
        assert_eq!(walk(&record, "command.1"), Some(&"1000".into()));
        assert_eq!(walk(&record, "usage.user_seconds"), Some(&Value::Null));
        for path in ["command.2", "command.-1", "name.x", "nope"] {
            assert_eq!(walk(&record, path), None, "{path}");
        }
    }
}
