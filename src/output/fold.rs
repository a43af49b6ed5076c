//! Text in lines that are not too long.

use unicode_width::UnicodeWidthStr;

/// Breaks a text between its words into lines of so many columns at most, the first one and the others. A word that is longer has
/// a line to itself, and is not broken.
pub fn fold(text: &str, first: usize, others: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut left = first;
    for word in text.split_whitespace() {
        let wide = word.width();
        let line = lines.len() - 1;
        if lines[line].is_empty() {
            lines[line].push_str(word);
            left = left.saturating_sub(wide);
        } else if wide < left {
            lines[line].extend([" ", word]);
            left -= wide + 1;
        } else {
            lines.push(word.to_owned());
            left = others.saturating_sub(wide);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_words_only() {
        assert_eq!(fold("a bc def", 4, 4), ["a bc", "def"]);
        assert_eq!(fold("a bc  def g", 3, 6), ["a", "bc def", "g"]);
        assert_eq!(fold("longer", 3, 3), ["longer"]);
        assert_eq!(fold("日本 語", 4, 4), ["日本", "語"]);
        assert_eq!(fold("", 4, 4), [""]);
    }
}
