//! Text that must fit so many columns of a terminal.

use std::borrow::Cow;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// The columns that a text takes.
pub fn width(text: &str) -> usize {
    // Each of these takes one.
    if text.bytes().all(|b| (b' '..=b'~').contains(&b)) { text.len() } else { text.width() }
}

/// Cuts a text to that many columns; a cut one ends in `…`.
pub fn cut(text: &str, columns: usize) -> Cow<'_, str> {
    // No character takes more columns than bytes.
    if text.len() <= columns {
        return Cow::Borrowed(text);
    }
    let mut used = 0;
    let mut end = 0;
    for (at, c) in text.char_indices() {
        used += width_alone(c);
        if used >= columns {
            // It may be the last one, or one that joins the one before.
            return if width(text) <= columns { Cow::Borrowed(text) } else { cut_at(text, end, columns) };
        }
        end = at + c.len_utf8();
    }
    Cow::Borrowed(text)
}

fn cut_at(text: &str, end: usize, columns: usize) -> Cow<'_, str> {
    // What would join the next character joins nothing now.
    let kept = text[..end].trim_end_matches(['\u{200d}', '\u{fe0f}']);
    if columns == 0 { Cow::Borrowed("") } else { Cow::Owned(format!("{kept}…")) }
}

/// Never less than what it adds: a variation selector widens the character before it.
fn width_alone(c: char) -> usize {
    if c == '\u{fe0f}' { 1 } else { c.width().unwrap_or(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_fits_stays() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("日本語", 6), "日本語");
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(cut("e\u{301}e\u{301}", 2), "e\u{301}e\u{301}");
        assert_eq!(cut("abc", 1), "…");
        assert_eq!(cut("abc", 0), "");
    }

    proptest! {
        #[test]
        fn it_never_is_wider(text in "\\PC{0,40}", columns in 0usize..30) {
            let kept = cut(&text, columns);
            prop_assert!(width(&kept) <= columns, "{:?}", kept);
            prop_assert_eq!(width(&text), text.width());
            if width(&text) <= columns {
                prop_assert_eq!(kept.as_ref(), text.as_str());
            }
        }
    }
}
