//! A command line of bash that is being typed: its words, and how what is offered must be written there.

/// In what kind of quotes a place of the line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quotes {
    None,
    Single,
    Double,
}

/// A line up to the cursor.
#[derive(Debug)]
pub(super) struct Line {
    /// Its words without quotes; the last is the one that is being typed, perhaps empty.
    pub(super) words: Vec<String>,
    /// For each byte of the last word as typed, and for its end: how long it was without quotes, and what quotes were open.
    places: Vec<(usize, Quotes)>,
}

impl Line {
    /// Reads a line.
    pub(super) fn read(typed: &str) -> Self {
        let mut words = Vec::new();
        let mut word = String::new();
        let mut quotes = Quotes::None;
        let mut places = Vec::new();
        let mut begun = false;
        let mut chars = typed.chars().peekable();
        while let Some(c) = chars.next() {
            if quotes == Quotes::None && c.is_ascii_whitespace() {
                if begun {
                    words.push(std::mem::take(&mut word));
                }
                begun = false;
                places.clear();
                continue;
            }
            begun = true;
            let at = (word.len(), quotes);
            let mut width = c.len_utf8();
            match (quotes, c) {
                (Quotes::None, '\'') => quotes = Quotes::Single,
                (Quotes::None, '"') => quotes = Quotes::Double,
                (Quotes::Single, '\'') | (Quotes::Double, '"') => quotes = Quotes::None,
                (Quotes::None | Quotes::Double, '\\') => {
                    let stands_for_itself =
                        |next: &char| quotes == Quotes::None || "$`\"\\\n".contains(*next);
                    if let Some(next) = chars.next_if(stands_for_itself) {
                        width += next.len_utf8();
                        word.push(next);
                    } else if chars.peek().is_some() {
                        word.push(c);
                    }
                }
                _ => word.push(c),
            }
            places.extend(std::iter::repeat_n(at, width));
        }
        words.push(word);
        places.push((words.last().map_or(0, String::len), quotes));
        Self { words, places }
    }

    /// How to write `value` where bash replaces what it takes for the word, `replaced`: the end of the last word, after an
    /// opening quote, a colon or an equals sign. `None` if `value` does not begin with what stays before it.
    pub(super) fn write(&self, value: &str, replaced: &str) -> Option<String> {
        let at = (self.places.len() - 1).saturating_sub(replaced.len());
        let (kept, quotes) = self.places[at];
        let stays = self.words.last()?.get(..kept)?;
        let rest = value.strip_prefix(stays)?;
        Some(match quotes {
            Quotes::Single => rest.replace('\'', r"'\''"),
            Quotes::Double => with_backslashes(rest, |c| "$`\"\\".contains(c)),
            Quotes::None => with_backslashes(rest, |c| {
                c.is_ascii() && !c.is_ascii_alphanumeric() && !"_-./,:=@%+".contains(c)
            }),
        })
    }
}

fn with_backslashes(text: &str, needs_one: impl Fn(char) -> bool) -> String {
    let mut written = String::with_capacity(text.len());
    for c in text.chars() {
        if needs_one(c) {
            written.push('\\');
        }
        written.push(c);
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn words(typed: &str) -> Vec<String> {
        Line::read(typed).words
    }

    #[test]
    fn words_without_their_quotes() {
        assert_eq!(words("procctl get "), ["procctl", "get", ""]);
        assert_eq!(words("procctl  get we"), ["procctl", "get", "we"]);
        assert_eq!(words(r#"p 'a b' "c\"d\e" f\ g"#), ["p", "a b", r#"c"d\e"#, "f g"]);
        assert_eq!(words("p '' 'my na"), ["p", "", "my na"]);
        assert_eq!(words("p a\\"), ["p", "a"]);
    }

    #[test]
    fn written_where_bash_replaces() {
        for (typed, replaced, value, written) in [
            ("p we", "we", "web", Some("web")),
            ("p ", "", "a b", Some(r"a\ b")),
            ("p a\\ ", "a\\ ", "a b", Some(r"a\ b")),
            ("p 'a ", "a ", "a b", Some("a b")),
            ("p 'i", "i", "it's", Some(r"it'\''s")),
            ("p \"a", "a", "a$b", Some(r"a\$b")),
            ("p Process-1:", "", "Process-1:2", Some("2")),
            ("p --name=w", "w", "--name=web", Some("web")),
            ("p Process-2:", "", "Process-1:2", None),
            ("p é", "é", "étude n", Some(r"étude\ n")),
        ] {
            assert_eq!(Line::read(typed).write(value, replaced).as_deref(), written, "{typed:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(value in "[^\\pC\\n]{1,12}", open in "|'|\"") {
            let line = Line::read(&format!("p {open}"));
            let written = line.write(&value, "").expect("written");
            prop_assert_eq!(words(&format!("p {open}{written}{open}")).pop(), Some(value));
        }
        #[test]
        fn nothing_typed_panics(typed in ".*", replaced in ".{0,4}") {
            let _ = Line::read(&typed).write("value", &replaced);
        }
    }
}
