//! Commands as lines that can be pasted into a shell.

use std::ffi::OsStr;
use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;

/// A word, quoted if it must be. Control characters and bytes that are not UTF-8 are written as `$'\x1b'`.
pub fn quote(word: &OsStr) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-./,:=@%+".contains(b);
    match word.to_str() {
        Some(text) if !text.is_empty() && text.bytes().all(|b| plain(&b)) => text.to_owned(),
        Some(text) if super::escape::text(text) == text => format!("'{}'", text.replace('\'', r"'\''")),
        _ => quote_bytes(word.as_bytes()),
    }
}

fn quote_bytes(bytes: &[u8]) -> String {
    let mut quoted = String::from("$'");
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\'' | '\\' => quoted.extend(['\\', c]),
                c if super::escape::text(c.encode_utf8(&mut [0; 4])).len() == c.len_utf8() => quoted.push(c),
                c => escape_bytes(&mut quoted, c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        escape_bytes(&mut quoted, chunk.invalid());
    }
    quoted.push('\'');
    quoted
}

fn escape_bytes(quoted: &mut String, bytes: &[u8]) {
    for b in bytes {
        let _ = write!(quoted, "\\x{b:02x}");
    }
}

/// A command with its arguments.
pub fn line<'a>(words: impl IntoIterator<Item = &'a OsStr>) -> String {
    words.into_iter().map(quote).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ffi::OsString;
    use std::os::unix::ffi::OsStringExt;

    #[test]
    fn quoting() {
        for (word, quoted) in
            [("a-b.c", "a-b.c"), ("", "''"), ("a b", "'a b'"), ("it's", r"'it'\''s'"), ("*", "'*'")]
        {
            assert_eq!(quote(word.as_ref()), quoted);
        }
        assert_eq!(quote("a\n'".as_ref()), r"$'a\x0a\''");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]
        #[test]
        fn bash_reads_back_what_was_quoted(bytes in proptest::collection::vec(1u8..=255, 0..20)) {
            let word = OsString::from_vec(bytes);
            let quoted = quote(&word);
            prop_assert!(!quoted.chars().any(char::is_control));
            let script = format!("printf %s {quoted}");
            if let Ok(out) = std::process::Command::new("bash").env("LC_ALL", "C").arg("-c").arg(script).output() {
                prop_assert_eq!(OsString::from_vec(out.stdout), word);
            }
        }
    }
}
