//! A JSON array whose elements are written one by one, each as soon as it is known: what comes of it is what serde_json makes
//! of all of them together.

use serde::Serialize;

use crate::output::{escape, terminal, verbatim};
use crate::process::error::{Error, Result};

/// How it is written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Array {
    indented: bool,
}

impl Array {
    /// For standard output: indented on a terminal.
    pub(super) fn for_output() -> Self {
        Self { indented: terminal::is_terminal() }
    }

    /// Adds an element to a text, without what stands between two. It may be known how it was written once.
    pub(super) fn add(self, element: &impl Serialize, known: &[u8], text: &mut Vec<u8>) -> Result<()> {
        let begin = text.len();
        let written = if self.indented {
            // A line end never stands inside of a string.
            serde_json::to_string_pretty(element)
                .map(|element| text.extend_from_slice(element.replace('\n', "\n  ").as_bytes()))
        } else if verbatim::is_json_of(element, known) {
            text.extend_from_slice(known);
            Ok(())
        } else {
            serde_json::to_writer(&mut *text, element)
        };
        written.map_err(|e| Error::system("cannot write JSON", e))?;
        escape::json_from(text, begin);
        Ok(())
    }

    /// What stands before the first element, between two, and after the last.
    pub(super) fn frame(self, is_empty: bool) -> [&'static str; 3] {
        if self.indented && !is_empty { ["[\n  ", ",\n  ", "\n]\n"] } else { ["[", ",", "]\n"] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn written(indented: bool, elements: &[Value]) -> String {
        let array = Array { indented };
        let mut text = Vec::new();
        let [open, between, close] = array.frame(elements.is_empty());
        for (number, element) in elements.iter().enumerate() {
            text.extend_from_slice(if number == 0 { open } else { between }.as_bytes());
            let known = if number % 2 == 0 { element.to_string() } else { format!(" {element}") };
            array.add(element, known.as_bytes(), &mut text).expect("written");
        }
        if elements.is_empty() {
            text.extend_from_slice(open.as_bytes());
        }
        text.extend_from_slice(close.as_bytes());
        String::from_utf8(text).expect("UTF-8")
    }

    proptest! {
        #[test]
        fn it_is_what_serde_makes_of_the_whole(
            parts in proptest::collection::vec((".*", any::<i64>(), proptest::collection::vec(".{0,3}", 0..3)), 0..4),
        ) {
            let elements: Vec<Value> =
                parts.iter().map(|(key, number, list)| json!({ "a": { key: number }, "b": list, "c": {} })).collect();
            let whole = |text: String| escape::json(&text).into_owned() + "\n";
            prop_assert_eq!(written(false, &elements), whole(serde_json::to_string(&elements).expect("JSON")));
            prop_assert_eq!(written(true, &elements), whole(serde_json::to_string_pretty(&elements).expect("JSON")));
        }
    }
}
