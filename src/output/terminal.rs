//! What kind of place the output goes to.

/// Whether standard output is a terminal.
pub fn is_terminal() -> bool {
    rustix::termios::isatty(rustix::stdio::stdout())
}

/// Whether to use colour there: as asked, or on a terminal unless `NO_COLOR` is set.
pub fn use_colour(asked: Option<bool>) -> bool {
    let wanted = || is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    asked.unwrap_or_else(wanted)
}

/// The terminal's columns; `None` if it is none, or does not tell.
pub fn width() -> Option<u16> {
    size().map(|size| size.ws_col).filter(|&columns| columns > 0)
}

/// The terminal's lines; `None` if it is none, or does not tell.
pub fn height() -> Option<u16> {
    size().map(|size| size.ws_row).filter(|&lines| lines > 0)
}

fn size() -> Option<rustix::termios::Winsize> {
    rustix::termios::tcgetwinsize(rustix::stdio::stdout()).ok()
}
