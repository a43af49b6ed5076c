//! What kind of place the output goes to.

use std::io::IsTerminal;

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    std::io::stdout().is_terminal()
}

/// Whether to use colour there: as asked, or on a terminal unless `NO_COLOR` is set.
pub fn use_colour(asked: Option<bool>) -> bool {
    let wanted = || is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    asked.unwrap_or_else(wanted)
}

/// The terminal's columns; `None` if it is none, or does not tell.
pub fn width() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    (size.ws_col > 0).then_some(size.ws_col)
}
