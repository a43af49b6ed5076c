//! Who says it: what stands before each line where several processes speak.

use unicode_width::UnicodeWidthStr;

use super::escape;

/// Told apart also by those who don't see all colours alike: neighbours differ in brightness.
const COLOURS: [u8; 10] = [36, 33, 35, 32, 34, 96, 93, 95, 92, 94];

/// One for each, given names and ids. All are equally wide; who shares a name with another is told by the id.
pub fn all(speakers: &[(&str, &str)], colour: bool) -> Vec<String> {
    let labels: Vec<String> = speakers
        .iter()
        .map(|(name, id)| {
            let shared = speakers.iter().filter(|(other, _)| other == name).count() > 1;
            let name = escape::text(name);
            if shared { format!("{name} ({id})") } else { name }
        })
        .collect();
    let widest = labels.iter().map(|label| label.width()).max().unwrap_or(0);
    let padded = labels.into_iter().map(|label| {
        let padding = " ".repeat(widest - label.width());
        label + &padding
    });
    let whole = |(label, code): (String, &u8)| {
        if colour { format!("\x1b[0;{code}m{label} |\x1b[0m ") } else { format!("{label} | ") }
    };
    padded.zip(COLOURS.iter().cycle()).map(whole).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_are_equally_wide_and_tell_everybody_apart() {
        let speakers = [("web", "aaaabbbb"), ("日本", "ccccdddd"), ("web", "eeeeffff")];
        assert_eq!(all(&speakers, false), ["web (aaaabbbb) | ", "日本           | ", "web (eeeeffff) | "]);
        let coloured = all(&speakers[..2], true);
        assert_eq!(coloured, ["\x1b[0;36mweb  |\x1b[0m ", "\x1b[0;33m日本 |\x1b[0m "]);
    }

    #[test]
    fn a_name_moves_nothing() {
        assert_eq!(all(&[("a\u{202e}b", "x")], false), ["a\\u{202e}b | "]);
    }
}
