//! Templates of `--format`: `'{name}\t{parent.pid}'`.
//!
//! `{field}` stands for a field of the record, `{{` and `}}` for braces, `\t`, `\n` and `\\` for a tab, a line end and a
//! backslash. What is a string is put in as it is, a null as nothing, an array or an object as JSON.

use std::os::unix::ffi::OsStrExt;

use serde::Deserialize;
use serde_json::Value;

use crate::process::schema;
use crate::process::text::Text;

use super::escape;

/// A template that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// Stands for itself.
    Text(String),
    /// A field, by its path.
    Field(String),
}

impl Template {
    /// Reads one. The error says in words what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text.chars().peekable();
        while let Some(c) = rest.next() {
            match c {
                '{' if rest.next_if_eq(&'{').is_some() => plain.push('{'),
                '}' if rest.next_if_eq(&'}').is_some() => plain.push('}'),
                '{' => {
                    let field: String =
                        std::iter::from_fn(|| rest.next_if(|&c| !matches!(c, '{' | '}'))).collect();
                    if rest.next() != Some('}') {
                        return Err(format!(
                            "'{{{}' has no '}}' (write {{{{ for a brace)",
                            field.escape_debug()
                        ));
                    }
                    if !plain.is_empty() {
                        parts.push(Part::Text(std::mem::take(&mut plain)));
                    }
                    parts.push(Part::Field(field));
                }
                '}' => return Err("a '}' without a '{' (write }} for a brace)".to_owned()),
                '\\' => plain.push(match rest.next() {
                    Some('t') => '\t',
                    Some('n') => '\n',
                    Some('\\') => '\\',
                    Some(other) => {
                        return Err(format!("no '\\{}': there are \\t, \\n and \\\\", other.escape_debug()));
                    }
                    None => return Err("a '\\' at the end (write \\\\ for a backslash)".to_owned()),
                }),
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// The paths of the fields in it.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|part| match part {
            Part::Field(path) => Some(path.as_str()),
            Part::Text(_) => None,
        })
    }

    /// Fills it in. For a terminal, what stands in the record is escaped.
    pub fn fill(&self, record: &Value, for_terminal: bool) -> Vec<u8> {
        let mut line = Vec::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => line.extend_from_slice(text.as_bytes()),
                Part::Field(path) => {
                    let value = schema::walk(record, path).unwrap_or(&Value::Null);
                    match plain(value) {
                        Some(bytes) if for_terminal => {
                            line.extend(escape::text(&String::from_utf8_lossy(&bytes)).into_bytes());
                        }
                        Some(bytes) => line.extend(bytes),
                        None => line.extend(escape::json(&value.to_string()).bytes()),
                    }
                }
            }
        }
        line
    }
}

/// A value as a script wants it: a string as it is, one that is not UTF-8 included, nothing for null, a number or a word.
/// `None` of an array or an object: JSON is all there is for those.
pub fn plain(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Null => Some(Vec::new()),
        Value::String(text) => Some(text.as_bytes().to_vec()),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string().into_bytes()),
        Value::Object(_) => {
            let text = Text::deserialize(value).ok()?;
            Some(text.as_os_str().as_bytes().to_vec())
        }
        Value::Array(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn fill(template: &str, record: &Value) -> String {
        let line = Template::parse(template).expect("understood").fill(record, false);
        String::from_utf8(line).expect("UTF-8")
    }

    #[test]
    fn fields_escapes_and_braces() {
        let record = json!({ "name": "w", "pid": 5, "daemon": true, "usage": null, "command": ["a", {"hex": "ff"}],
            "parent": { "pid": 7, "id": null }, "n": 0.25 });
        for (template, line) in [
            ("", ""),
            ("{name}", "w"),
            (r"{name}\t{pid}\n{daemon}", "w\t5\ntrue"),
            ("{parent.pid}{parent.id}{usage.user_seconds}.", "7."),
            ("{{{name}}}", "{w}"),
            ("{{}}", "{}"),
            (r"C:\\{command.0}|{command.9}|", r"C:\a||"),
            ("{command} {n}", r#"["a",{"hex":"ff"}] 0.25"#),
            ("{parent}", r#"{"pid":7,"id":null}"#),
            ("é→{name}", "é→w"),
        ] {
            assert_eq!(fill(template, &record), line, "{template}");
        }
    }

    #[test]
    fn strings_are_bytes_in_a_pipe_and_harmless_on_a_terminal() {
        let record = json!({ "cwd": { "hex": "66ff" }, "name": "a\u{202e}", "lost": "\u{1b}[2J", "command": ["\u{9b}\n"] });
        let template = Template::parse("{cwd}|{lost}|{command}").expect("understood");
        assert_eq!(template.fill(&record, false), b"f\xff|\x1b[2J|[\"\\u009b\\n\"]");
        assert_eq!(template.fill(&record, true), "f\u{fffd}|\\x1b[2J|[\"\\u009b\\n\"]".as_bytes());
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (template, why) in [
            ("{", "'{' has no '}'"),
            ("{name", "'{name' has no '}'"),
            ("{na{me}", "'{na' has no '}'"),
            ("}", "without a '{'"),
            ("{name}}", "without a '{'"),
            (r"\x", r"no '\x'"),
            ("\\\u{1b}", r"no '\\u{1b}'"),
            ("\\", "at the end"),
        ] {
            let said = Template::parse(template).expect_err(template);
            assert!(said.contains(why) && !said.chars().any(char::is_control), "{template}: {said}");
        }
    }

    proptest! {
        #[test]
        fn any_text_can_be_written(text in "\\PC*") {
            let quoted = text.replace('\\', r"\\").replace('{', "{{").replace('}', "}}");
            prop_assert_eq!(fill(&quoted, &Value::Null), text);
        }
        #[test]
        fn nothing_raw_of_a_record_reaches_a_terminal(name in ".*", argument in ".*", bytes in "([0-9a-f]{2})*") {
            let record = json!({ "name": name, "command": [argument, { "hex": bytes }], "cwd": { "hex": bytes } });
            let template = Template::parse("{name}{command}{command.0}{command.1}{cwd}").expect("understood");
            let line = String::from_utf8(template.fill(&record, true)).expect("UTF-8");
            prop_assert!(!line.chars().any(char::is_control), "{:?}", line);
        }
    }
}
