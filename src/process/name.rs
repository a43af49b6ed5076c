//! Names of processes.

/// Checks a name: UTF-8, 1 to 255 bytes, no control characters, not starting with `-` or `@`.
pub fn check(name: &str) -> Result<(), String> {
    let why = if name.is_empty() {
        "it is empty"
    } else if name.len() > 255 {
        "it is longer than 255 bytes"
    } else if name.starts_with('-') {
        "it begins with '-'"
    } else if name.starts_with('@') {
        "it begins with '@'"
    } else if name.chars().any(char::is_control) {
        "it has a control character"
    } else {
        return Ok(());
    };
    let shown: String = name.chars().take(40).collect();
    let cut = if shown.len() < name.len() { "…" } else { "" };
    Err(format!("'{}{cut}' is no name for a process: {why}", shown.escape_debug()))
}

/// The default name of a process with these numbers: `Process-1:2`.
pub fn default_for(identity: &[u64]) -> String {
    let numbers: Vec<String> = identity.iter().map(u64::to_string).collect();
    format!("Process-{}", numbers.join(":"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_and_bad_names() {
        for good in ["a", "Process-1:2", "wörker", "a b", "日本", &"x".repeat(255), "5", "/", ".."] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for bad in ["", "-a", "@a", "a\nb", "\u{1b}[31m", "\u{7f}", "\u{9b}", &"x".repeat(256)] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn default_names_are_those_of_python() {
        assert_eq!(default_for(&[3]), "Process-3");
        assert_eq!(default_for(&[1, 2]), "Process-1:2");
    }
}
