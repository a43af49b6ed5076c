//! What a process wrote, made safe for a terminal piece by piece: colours pass, and end where the line ends; line ends and
//! tabs pass; all else that moves the cursor, or does more, is escaped.

use super::escape;

const ESC: u8 = 0x1b;
const RESET: &str = "\x1b[0m";

/// The most parameters of a colour, in bytes. Real ones have below 40.
const LONGEST: usize = 64;

/// Makes it safe.
#[derive(Debug)]
pub struct Screen {
    keep_colours: bool,
    /// The beginning of a character, or of a colour, whose rest has not been read yet.
    held: Vec<u8>,
    /// A colour is on.
    coloured: bool,
}

impl Screen {
    /// Colours are left out if they are not to be kept.
    pub fn new(keep_colours: bool) -> Self {
        Self { keep_colours, held: Vec::new(), coloured: false }
    }

    /// What to show of the next piece.
    pub fn show(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let mut safe = String::with_capacity(bytes.len());
        let mut rest = &bytes[..];
        while let Some(at) = rest.iter().position(|&b| b == ESC) {
            self.text(&rest[..at], &mut safe);
            rest = &rest[at..];
            match colour(rest) {
                Found::Colour(length) => {
                    self.colour(&rest[..length], &mut safe);
                    rest = &rest[length..];
                }
                Found::Other => {
                    self.text(&rest[..1], &mut safe);
                    rest = &rest[1..];
                }
                Found::Cut => {
                    self.held = rest.to_vec();
                    return safe;
                }
            }
        }
        let whole = rest.len() - begun_character(rest);
        self.text(&rest[..whole], &mut safe);
        self.held = rest[whole..].to_vec();
        safe
    }

    /// What is left to show at the end.
    pub fn finish(&mut self) -> String {
        let held = std::mem::take(&mut self.held);
        let mut safe = String::new();
        self.text(&held, &mut safe);
        self.end_colour(&mut safe);
        safe
    }

    fn text(&mut self, bytes: &[u8], safe: &mut String) {
        for (at, line) in String::from_utf8_lossy(bytes).split('\n').enumerate() {
            if at > 0 {
                self.end_colour(safe);
                safe.push('\n');
            }
            safe.push_str(&escape::output(line));
        }
    }

    fn colour(&mut self, sequence: &[u8], safe: &mut String) {
        if self.keep_colours {
            safe.push_str(&String::from_utf8_lossy(sequence));
            // `ESC [ m` and `ESC [ 0 m` put an end to it.
            self.coloured = sequence[2..sequence.len() - 1].iter().any(|&b| b != b'0');
        }
    }

    fn end_colour(&mut self, safe: &mut String) {
        if std::mem::take(&mut self.coloured) {
            safe.push_str(RESET);
        }
    }
}

enum Found {
    /// `ESC [ … m` of that length.
    Colour(usize),
    /// Something else.
    Other,
    /// What could become a colour.
    Cut,
}

/// What begins with this ESC. Strictly: numbers, `;` and `:` between `ESC [` and `m`, and not too many.
fn colour(bytes: &[u8]) -> Found {
    match bytes.get(1) {
        None => return Found::Cut,
        Some(b'[') => {}
        Some(_) => return Found::Other,
    }
    let parameters = &bytes[2..];
    let end = parameters.iter().position(|&b| !matches!(b, b'0'..=b'9' | b';' | b':'));
    match end {
        Some(end) if parameters[end] == b'm' && end <= LONGEST => Found::Colour(2 + end + 1),
        None if parameters.len() <= LONGEST => Found::Cut,
        _ => Found::Other,
    }
}

/// How many bytes at the end are the beginning of a character of UTF-8.
fn begun_character(bytes: &[u8]) -> usize {
    let is_begun = |length: &usize| {
        let tail = &bytes[bytes.len() - length..];
        std::str::from_utf8(tail).is_err_and(|e| e.valid_up_to() == 0 && e.error_len().is_none())
    };
    (1..=bytes.len().min(3)).find(is_begun).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(keep_colours: bool, bytes: &[u8]) -> String {
        let mut screen = Screen::new(keep_colours);
        screen.show(bytes) + &screen.finish()
    }

    #[test]
    fn colours_pass_and_end_with_the_line() {
        for (raw, safe) in [
            ("\x1b[31mred\x1b[0m\n", "\x1b[31mred\x1b[0m\n"),
            ("\x1b[31mred\x1b[m\n", "\x1b[31mred\x1b[m\n"),
            ("\x1b[1;38;5;208mred\nplain", "\x1b[1;38;5;208mred\x1b[0m\nplain"),
            ("\x1b[38:2::1:2:3mred", "\x1b[38:2::1:2:3mred\x1b[0m"),
            ("\x1b[0;31mred", "\x1b[0;31mred\x1b[0m"),
            ("a\tb", "a\tb"),
        ] {
            assert_eq!(shown(true, raw.as_bytes()), safe, "{raw:?}");
        }
        assert_eq!(shown(false, b"\x1b[31mred\x1b[0m\n"), "red\n");
    }

    #[test]
    fn all_else_is_escaped() {
        for (raw, safe) in [
            ("\x1b[2J", "\\x1b[2J"),
            ("\x1b[31", "\\x1b[31"),
            ("\x1b", "\\x1b"),
            ("\x1b\n", "\\x1b\n"),
            ("\x1b[?25l", "\\x1b[?25l"),
            ("\x1b[>4;1m", "\\x1b[>4;1m"),
            ("\x1b[1 m", "\\x1b[1 m"),
            ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
            ("\x1b\x1b[31mx", "\\x1b\x1b[31mx\x1b[0m"),
            ("50%\r60%", "50%\\r60%"),
            ("\u{9b}31m", "\\u{9b}31m"),
        ] {
            assert_eq!(shown(true, raw.as_bytes()), safe, "{raw:?}");
        }
        let long = format!("\x1b[{}m", "1;".repeat(40));
        assert!(shown(true, long.as_bytes()).starts_with("\\x1b[1;"));
        assert_eq!(shown(true, b"\xff\xc3\xa9\xc3"), "\u{fffd}é\u{fffd}");
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_it_is_cut(
            raw in proptest::collection::vec(prop_oneof![
                Just(b"\x1b[31m".to_vec()), Just(b"\x1b[0m".to_vec()), Just("é日\n".as_bytes().to_vec()),
                Just(b"\x1b[2J".to_vec()), proptest::collection::vec(any::<u8>(), 0..4),
            ], 0..8),
            cuts in proptest::collection::vec(1..5usize, 0..40),
            keep in any::<bool>(),
        ) {
            let raw = raw.concat();
            let mut screen = Screen::new(keep);
            let (mut rest, mut safe) = (&raw[..], String::new());
            for cut in cuts {
                let (piece, after) = rest.split_at(cut.min(rest.len()));
                safe += &screen.show(piece);
                rest = after;
            }
            safe += &screen.show(rest);
            safe += &screen.finish();
            prop_assert_eq!(&safe, &shown(keep, &raw));
            // What is left is colours, and they are off at each line end.
            let mut coloured = false;
            for (at, part) in safe.split('\x1b').enumerate() {
                if at > 0 {
                    let (parameters, _) = part.strip_prefix('[').and_then(|part| part.split_once('m')).expect("a colour");
                    prop_assert!(keep && parameters.chars().all(|c| matches!(c, '0'..='9' | ';' | ':')));
                    coloured = !parameters.chars().all(|c| c == '0');
                }
                prop_assert!(!(coloured && part.contains('\n')), "{:?}", safe);
                prop_assert!(!part.chars().any(|c| c.is_control() && c != '\n' && c != '\t'));
            }
            prop_assert!(!coloured);
        }
    }
}
