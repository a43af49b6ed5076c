//! What `-h`, `--help` and `help COMMAND` print: of the grammar with all explanations, which is made only here.

use std::ffi::OsString;

use super::usage;
use crate::cli;

/// The help that was asked for; `None` if it was not.
pub(super) fn text(arguments: &[OsString]) -> Option<String> {
    let mut grammar = cli::explained();
    let words: Vec<&str> = arguments.iter().skip(1).map(|word| word.to_str().unwrap_or_default()).collect();
    if let Some(at) = usage::first_word(&grammar, &words)
        && words[at] == "help"
    {
        // As short as -h.
        let mut asked = &mut grammar;
        for word in words[at + 1..].iter().filter(|word| !word.starts_with('-')) {
            asked = asked.find_subcommand_mut(word)?;
        }
        return Some(asked.render_help().to_string());
    }
    grammar.try_get_matches_from(arguments).err().map(|help| help.render().to_string())
}
