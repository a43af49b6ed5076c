//! Control characters never reach a terminal raw.

use std::borrow::Cow;

/// Replaces control characters (C0, DEL, C1) by `\n`, `\t`, `\x1b`, `\u{9b}`; also characters that turn the direction of
/// text or hide in it.
pub fn text(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        push(&mut safe, c);
    }
    safe
}

/// As [`text()`], for what a process wrote: line ends and tabs stay.
pub fn output(raw: &str) -> String {
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        if matches!(c, '\n' | '\t') { safe.push(c) } else { push(&mut safe, c) }
    }
    safe
}

fn push(safe: &mut String, c: char) {
    use std::fmt::Write;
    match c {
        '\n' => safe.push_str("\\n"),
        '\t' => safe.push_str("\\t"),
        '\r' => safe.push_str("\\r"),
        c if c.is_ascii_control() => drop(write!(safe, "\\x{:02x}", u32::from(c))),
        c if c.is_control() || is_deceptive(c) => drop(write!(safe, "\\u{{{:x}}}", u32::from(c))),
        c => safe.push(c),
    }
}

/// Marks, embeddings, overrides and isolates of text direction; line and paragraph separators.
fn is_deceptive(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// JSON as it is, with DEL and C1 written as `\u…`. They can stand only inside of strings, so it means the same.
pub fn json(raw: &str) -> Cow<'_, str> {
    use std::fmt::Write;
    if !may_have_controls(raw.as_bytes()) {
        return Cow::Borrowed(raw);
    }
    let mut safe = String::with_capacity(raw.len());
    for c in raw.chars() {
        if c.is_control() && c != '\n' {
            let _ = write!(safe, "\\u{:04x}", u32::from(c));
        } else {
            safe.push(c);
        }
    }
    Cow::Owned(safe)
}

/// As [`json`], of what stands at the end of a text, from there on.
pub fn json_from(text: &mut Vec<u8>, begin: usize) {
    if may_have_controls(&text[begin..]) {
        let safe = json(&String::from_utf8_lossy(&text[begin..])).into_owned();
        text.truncate(begin);
        text.extend_from_slice(safe.as_bytes());
    }
}

/// Mostly there are none: DEL is one byte, and C1 begin with this one.
fn may_have_controls(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [b' '; 8];
    last[..rest.len()].copy_from_slice(rest);
    words.iter().chain([&last]).any(|&word| has_control(u64::from_ne_bytes(word)))
}

/// Of eight bytes at once: one after the other they would cost a tenth of the listing of many.
fn has_control(word: u64) -> bool {
    const EACH: u64 = u64::MAX / 0xff;
    const LOW: u64 = 0x7f * EACH;
    // The highest bit of each byte that is zero.
    let zeros = |word: u64| !(((word & LOW) + LOW) | word | LOW);
    let equal = |b: u8| zeros(word ^ (u64::from(b) * EACH));
    let below_space = zeros(word & (0xe0 * EACH));
    (below_space & !equal(b'\n')) | equal(0x7f) | equal(0xc2) != 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escapes_are_readable() {
        assert_eq!(text("a\u{1b}[31m\nb\u{9b}\u{202e}é日"), "a\\x1b[31m\\nb\\u{9b}\\u{202e}é日");
        assert_eq!(output("a\tb\r\n"), "a\tb\\r\n");
        assert_eq!(json("\"\u{7f}\u{85}\""), "\"\\u007f\\u0085\"");
    }

    #[test]
    fn each_byte_that_may_be_one_is_seen_wherever_it_stands() {
        for length in 0..24 {
            for b in 0..=u8::MAX {
                for at in 0..length {
                    let mut bytes = vec![b'\n'; length];
                    bytes[at] = b;
                    let is_one = matches!(b, 0x7f | 0xc2) || (b < b' ' && b != b'\n');
                    assert_eq!(may_have_controls(&bytes), is_one, "{b:#x} at {at} of {length}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_raw_is_left(raw in "\\PC*|.*") {
            prop_assert!(!text(&raw).chars().any(char::is_control));
            prop_assert!(!output(&raw).chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
        }
        #[test]
        fn json_keeps_its_meaning(raw in ".*") {
            let value = serde_json::Value::String(raw);
            let safe = json(&value.to_string()).into_owned();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&safe).expect("JSON"), value.clone());
            prop_assert!(!safe.chars().any(char::is_control));
            let mut text = format!("\u{7f}{value}").into_bytes();
            json_from(&mut text, 1);
            prop_assert_eq!(text, format!("\u{7f}{safe}").into_bytes());
        }
    }
}
