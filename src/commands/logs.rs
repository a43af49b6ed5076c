//! `procctl logs`: what a process wrote.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::{Outcome, Session, answer};
use crate::cli::Logs;
use crate::os::fs::FileError;
use crate::output::{escape, terminal};
use crate::process::error::Error;
use crate::process::follow::Follower;
use crate::process::observe::{Life, Observed};
use crate::process::reference::Resolver;

pub(super) fn run(session: &Session, args: &Logs) -> Outcome {
    let run_dir = session.existing_run_dir()?;
    let seen = Resolver::new(&run_dir).one(&args.reference)?;
    let Some(path) = seen.record.log.as_ref().map(|log| PathBuf::from(log.as_os_str())) else {
        return Err(elsewhere(&seen).into());
    };
    // The directory's own file, not whatever has that path now.
    let opened =
        crate::os::fs::optional(seen.entry.dir.open_file(crate::process::entry::LOG)).map_err(Error::from)?;
    let Some(mut log) = opened.map(File::from) else {
        // Not started: nothing was written.
        return Ok(0);
    };
    let failed = |e| Error::from(FileError::new("read", &path, e));
    if let Some(lines) = args.lines {
        let start = start_of_last(&mut log, lines).map_err(failed)?;
        log.seek(SeekFrom::Start(start)).map_err(failed)?;
    }
    let mut printer = Printer::default();
    let mut follower =
        if args.follow && seen.is_alive() { Some(Follower::new(&run_dir, seen)?) } else { None };
    loop {
        // Asked before reading: what was written before the end is read after it was seen.
        let ended = follower.as_mut().is_none_or(Follower::has_ended);
        let mut buffer = vec![0; 64 * 1024];
        loop {
            let length = match log.read(&mut buffer) {
                Err(e) if e.kind() == std::io::ErrorKind::Interrupted => continue,
                other => other.map_err(failed)?,
            };
            if length == 0 {
                break;
            }
            if !printer.print(&buffer[..length])? {
                return Ok(0);
            }
        }
        match &follower {
            Some(follower) if !ended => {
                if !follower.sleep()? {
                    break;
                }
            }
            _ => break,
        }
    }
    printer.finish();
    Ok(0)
}

fn elsewhere(seen: &Observed) -> Error {
    let record = &seen.record;
    let hint = match seen.life {
        Life::Initial => "it would not go there when it is started either".to_owned(),
        _ => format!("standard output: {}, standard error: {}", record.stdout, record.stderr),
    };
    Error::hinted(format!("{} ({}) has no log: its output goes elsewhere", record.id, record.name), hint)
}

/// Where the last so many lines begin. Read from the end, in blocks.
fn start_of_last(log: &mut File, lines: usize) -> std::io::Result<u64> {
    const BLOCK: u64 = 64 * 1024;
    let length = log.seek(SeekFrom::End(0))?;
    if lines == 0 {
        return Ok(length);
    }
    let mut left = lines;
    let mut end = length;
    while end > 0 {
        let start = end.saturating_sub(BLOCK);
        let mut block = vec![0; usize::try_from(end - start).unwrap_or(0)];
        log.seek(SeekFrom::Start(start))?;
        log.read_exact(&mut block)?;
        for (at, _) in block.iter().enumerate().rev().filter(|&(_, &b)| b == b'\n') {
            let at = start + at as u64;
            // The line end at the very end closes the last line, it does not begin another one.
            if at + 1 == length {
                continue;
            }
            left -= 1;
            if left == 0 {
                return Ok(at + 1);
            }
        }
        end = start;
    }
    Ok(0)
}

/// Prints raw into a pipe, and escaped on a terminal.
#[derive(Default)]
struct Printer {
    /// The beginning of a character whose rest has not been read yet.
    cut: Vec<u8>,
}

impl Printer {
    /// Says whether somebody still reads.
    fn print(&mut self, bytes: &[u8]) -> anyhow::Result<bool> {
        if !terminal::is_terminal() {
            return answer::stream(bytes);
        }
        self.cut.extend_from_slice(bytes);
        let whole = match std::str::from_utf8(&self.cut) {
            Err(e) if e.error_len().is_none() => e.valid_up_to(),
            _ => self.cut.len(),
        };
        let rest = self.cut.split_off(whole);
        let text = std::mem::replace(&mut self.cut, rest);
        answer::stream(escape::output(&String::from_utf8_lossy(&text)).as_bytes())
    }

    fn finish(self) {
        if !self.cut.is_empty() {
            let _ = answer::raw(escape::output(&String::from_utf8_lossy(&self.cut)).as_bytes());
        }
    }
}
