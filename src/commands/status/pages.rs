//! `status REF`: a page for each.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::collect::Found;
use crate::output::page::{self, Page};
use crate::output::table::Style;
use crate::process::entry::LOG;
use crate::process::live::{self, Managed};
use crate::process::observe::Observed;
use crate::process::rundir::RunDir;
use crate::process::share::Shares;

/// Draws them, with an empty line between two.
pub(super) fn draw(run_dir: &RunDir, shares: &Shares, found: &Found, lines: usize, style: Style) -> String {
    let pages = found.processes.iter().map(|one| {
        let page = Page {
            seen: &one.seen,
            live: one.live,
            parent: live::fate_of_parent(run_dir, &one.seen.record),
            descendants: live::descendants(run_dir, &one.seen, Managed::Listed, shares),
            log: last_lines(&one.seen, lines),
        };
        page::draw(&page, style)
    });
    pages.collect::<Vec<_>>().join("\n")
}

/// As much of the end of a log as a page needs; lines can be long.
const AT_MOST: u64 = 256 * 1024;

/// The last lines of the log; `None` if it has none, or it cannot be read: a page fails for nothing.
fn last_lines(seen: &Observed, lines: usize) -> Option<Vec<String>> {
    seen.record.log.as_ref()?;
    // The directory's own file, not whatever has that path now.
    let mut log = File::from(seen.entry.dir.open_file(LOG).ok()?);
    let length = log.seek(SeekFrom::End(0)).ok()?;
    let from = length.saturating_sub(AT_MOST);
    log.seek(SeekFrom::Start(from)).ok()?;
    let mut bytes = Vec::new();
    log.take(AT_MOST).read_to_end(&mut bytes).ok()?;
    Some(split(&bytes, from > 0, lines))
}

/// The last lines of the bytes. The first one was cut off, if what was before them is missing.
fn split(bytes: &[u8], is_cut: bool, lines: usize) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes.strip_suffix(b"\n").unwrap_or(bytes));
    if text.is_empty() {
        return Vec::new();
    }
    let mut found: Vec<String> =
        text.split('\n').map(|line| line.trim_end_matches('\r').to_owned()).collect();
    if is_cut && found.len() > 1 {
        found.remove(0);
    }
    found.split_off(found.len().saturating_sub(lines))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_lines_are_whole_where_they_can_be() {
        assert_eq!(split(b"", false, 3), [""; 0]);
        assert_eq!(split(b"a\nb\r\nc\n", false, 2), ["b", "c"]);
        assert_eq!(split(b"a\nb", false, 5), ["a", "b"]);
        assert_eq!(split(b"st of it\nb\n", true, 5), ["b"]);
        assert_eq!(split(b"one that is too long", true, 5), ["one that is too long"]);
        assert_eq!(split(b"a\n\n", false, 5), ["a", ""]);
        assert_eq!(split(b"a\n", false, 0), [""; 0]);
    }
}
