//! How the log of one process is printed: raw into a pipe, safe on a terminal; beside others only in whole lines, each
//! with the name before it.

use crate::output::screen::Screen;

/// A line that is longer is printed as several: it is kept in memory until its end.
const LONGEST_LINE: usize = 1 << 20;

pub(super) struct Voice {
    prefix: Option<String>,
    screen: Option<Screen>,
    /// What was said of a line that has not ended.
    line: Vec<u8>,
}

impl Voice {
    /// On a terminal it is said whether colours are to be kept.
    pub(super) fn new(prefix: Option<String>, on_terminal: Option<bool>) -> Self {
        Self { prefix, screen: on_terminal.map(Screen::new), line: Vec::new() }
    }

    /// What to print now that this was said.
    pub(super) fn say(&mut self, piece: &[u8]) -> Vec<u8> {
        if self.prefix.is_none() {
            return self.safe(piece);
        }
        let mut out = Vec::with_capacity(piece.len() * 2);
        for part in piece.split_inclusive(|&b| b == b'\n') {
            self.line.extend_from_slice(part);
            if part.ends_with(b"\n") {
                self.end_line(&mut out);
            } else if self.line.len() >= LONGEST_LINE {
                self.line.push(b'\n');
                self.end_line(&mut out);
            }
        }
        out
    }

    /// What is left to print when nothing more is said.
    pub(super) fn finish(&mut self) -> Vec<u8> {
        let mut out = Vec::new();
        if !self.line.is_empty() {
            self.line.push(b'\n');
            self.end_line(&mut out);
        }
        if let Some(screen) = &mut self.screen {
            out.extend(screen.finish().into_bytes());
        }
        out
    }

    fn end_line(&mut self, out: &mut Vec<u8>) {
        let mut line = std::mem::take(&mut self.line);
        out.extend(self.prefix.iter().flat_map(|prefix| prefix.bytes()));
        out.extend(self.safe(&line));
        // Its memory is for the next one.
        line.clear();
        self.line = line;
    }

    fn safe(&mut self, bytes: &[u8]) -> Vec<u8> {
        match &mut self.screen {
            Some(screen) => screen.show(bytes).into_bytes(),
            None => bytes.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alone_it_is_said_as_it_comes() {
        let mut voice = Voice::new(None, None);
        assert_eq!(voice.say(b"a\xff\x1b"), b"a\xff\x1b");
        assert_eq!(voice.finish(), b"");
    }

    #[test]
    fn beside_others_in_whole_lines() {
        let mut voice = Voice::new(Some("w | ".to_owned()), Some(true));
        assert_eq!(voice.say(b"on"), b"");
        assert_eq!(voice.say(b"e\n\n\x1b[3"), b"w | one\nw | \n");
        assert_eq!(voice.say(b"1mred\n"), b"w | \x1b[31mred\x1b[0m\n");
        assert_eq!(voice.say(b"\xc3"), b"");
        assert_eq!(voice.say(b"\xa9"), b"");
        assert_eq!(voice.finish(), "w | é\n".as_bytes());
        assert_eq!(voice.finish(), b"");
    }

    #[test]
    fn a_line_without_an_end_is_not_kept_for_ever() {
        let mut voice = Voice::new(Some("w | ".to_owned()), None);
        let piece = vec![b'x'; 65536];
        let mut said = 0;
        for _ in 0..100 {
            said += voice.say(&piece).len();
            assert!(voice.line.len() < LONGEST_LINE);
        }
        assert!(said >= 100 * 65536 - LONGEST_LINE);
    }
}
