//! A picture that takes the place of the one before it: what to send to the terminal so that nothing flickers.

use std::fmt::Write;

/// What is on the screen, line by line.
#[derive(Debug, Default)]
pub struct Frame {
    lines: Vec<String>,
    /// Nothing is known of the screen.
    is_unknown: bool,
}

/// Begins and ends an update that terminals that know of it show in one go; the others pass over it.
const BEGIN: &str = "\x1b[?2026h";
const END: &str = "\x1b[?2026l";

impl Frame {
    /// What turns the old picture into the new one: the lines that differ. Empty, if none does.
    pub fn turn_into(&mut self, lines: Vec<String>) -> String {
        let mut text = String::new();
        if std::mem::take(&mut self.is_unknown) {
            self.lines.clear();
            text.push_str("\x1b[H\x1b[J");
        }
        for (at, line) in lines.iter().enumerate() {
            if self.lines.get(at) != Some(line) {
                // Erased first: after a line that fills the screen, terminals erase its last character.
                let _ = write!(text, "\x1b[{};1H\x1b[K{line}", at + 1);
            }
        }
        if lines.len() < self.lines.len() {
            let _ = write!(text, "\x1b[{};1H\x1b[J", lines.len() + 1);
        }
        self.lines = lines;
        if text.is_empty() { text } else { format!("{BEGIN}{text}{END}") }
    }

    /// Nothing is known of the screen any more.
    pub fn forget(&mut self) {
        self.is_unknown = true;
    }
}

/// A head and as many lines below it as there is room for; the last one says how many are missing.
pub fn fit(head: Option<String>, body: &str, height: Option<u16>) -> Vec<String> {
    let mut lines: Vec<String> = head.into_iter().chain(body.lines().map(str::to_owned)).collect();
    let height = height.map_or(usize::MAX, |height| usize::from(height).max(1));
    if lines.len() > height {
        let more = lines.len() - (height - 1);
        lines.truncate(height - 1);
        lines.push(format!("… {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(str::to_owned).collect()
    }

    #[test]
    fn only_what_differs_is_sent() {
        let mut frame = Frame::default();
        assert_eq!(frame.turn_into(lines("a\nb")), format!("{BEGIN}\x1b[1;1H\x1b[Ka\x1b[2;1H\x1b[Kb{END}"));
        assert_eq!(frame.turn_into(lines("a\nb")), "");
        assert_eq!(
            frame.turn_into(lines("a\nc\nd")),
            format!("{BEGIN}\x1b[2;1H\x1b[Kc\x1b[3;1H\x1b[Kd{END}")
        );
        assert_eq!(frame.turn_into(lines("a")), format!("{BEGIN}\x1b[2;1H\x1b[J{END}"));
        frame.forget();
        assert_eq!(frame.turn_into(lines("a")), format!("{BEGIN}\x1b[H\x1b[J\x1b[1;1H\x1b[Ka{END}"));
        assert_eq!(frame.turn_into(lines("a")), "");
    }

    #[test]
    fn what_does_not_fit_is_counted() {
        let head = || Some("head".to_owned());
        assert_eq!(fit(head(), "a\nb\n", Some(3)), ["head", "a", "b"]);
        assert_eq!(fit(head(), "a\nb\nc\n", Some(3)), ["head", "a", "… 2 more"]);
        assert_eq!(fit(head(), "a\nb\n", Some(1)), ["… 3 more"]);
        assert_eq!(fit(None, "a\nb\n", Some(0)), ["… 2 more"]);
        assert_eq!(fit(None, "a\nb\n", None), ["a", "b"]);
    }
}
