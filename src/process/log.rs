//! The log of one process, read piece by piece from wherever reading has got to.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use rustix::io::retry_on_intr;

use crate::os::fs::{Dir, FileError, optional, same_file};
use crate::os::retry::uninterrupted;

use super::entry::LOG;
use super::error::{Error, Result};
use super::observe::Observed;
use super::time::Moment;

const BLOCK: usize = 64 * 1024;

/// Where to begin.
#[derive(Clone, Copy, Debug)]
pub enum Begin {
    /// With the first line.
    AtStart,
    /// Behind the last.
    AtEnd,
    /// With that many lines before the end.
    LastLines(usize),
}

/// The log of a process.
#[derive(Debug)]
pub struct Log {
    who: String,
    dir: Dir,
    /// `None`: not started, so nothing was written.
    file: Option<File>,
    position: u64,
    block: Vec<u8>,
}

impl Log {
    /// Of that process. It is not opened yet.
    pub fn new(seen: &Observed) -> Self {
        let who = format!("{} ({})", seen.record.id, seen.record.name);
        Self { who, dir: seen.entry.dir.clone(), file: None, position: 0, block: Vec::new() }
    }

    /// The process, by id and name.
    pub fn who(&self) -> &str {
        &self.who
    }

    /// How far it was read.
    pub fn position(&self) -> u64 {
        self.position
    }

    /// Opens it, if that was not done. When it was written to last; `None` if there is none yet.
    pub fn open(&mut self) -> Result<Option<Moment>> {
        if self.file.is_none() {
            // The directory's own file, not whatever has that path now.
            self.file = optional(self.dir.open_file(LOG))?.map(File::from);
        }
        let Some(stat) = self.stat()? else { return Ok(None) };
        let nanoseconds = i32::try_from(stat.st_mtime_nsec).unwrap_or(0);
        Ok(Moment::after_1970(stat.st_mtime, nanoseconds))
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(LOG)
    }

    fn failed(&self, e: impl Into<io::Error>) -> Error {
        FileError::new("read", self.path(), e).into()
    }

    fn stat(&self) -> Result<Option<rustix::fs::Stat>> {
        let look = |file: &File| retry_on_intr(|| rustix::fs::fstat(file)).map_err(|e| self.failed(e));
        self.file.as_ref().map(look).transpose()
    }

    /// How long it is now.
    pub fn length(&self) -> Result<u64> {
        Ok(self.stat()?.map_or(0, |stat| u64::try_from(stat.st_size).unwrap_or(0)))
    }

    /// Whether what is printed would become a part of it.
    pub fn is_standard_output(&self) -> bool {
        let stdout = retry_on_intr(|| rustix::fs::fstat(rustix::stdio::stdout()));
        matches!((self.stat(), stdout), (Ok(Some(log)), Ok(stdout)) if same_file(&log, &stdout))
    }

    /// Whether it is shorter than what was read of it. If so it begins anew.
    pub fn was_truncated(&mut self) -> Result<bool> {
        let truncated = self.length()? < self.position;
        if truncated {
            self.position = 0;
        }
        Ok(truncated)
    }

    /// Goes to where reading is to begin.
    pub fn begin(&mut self, begin: Begin) -> Result<()> {
        let length = self.length()?;
        self.position = match begin {
            Begin::AtStart => 0,
            Begin::AtEnd | Begin::LastLines(0) => length,
            Begin::LastLines(lines) => self.start_of_last(lines, length)?,
        };
        Ok(())
    }

    /// The next piece, up to there.
    pub fn read(&mut self, end: u64) -> Result<Option<&[u8]>> {
        let wanted = usize::try_from(end.saturating_sub(self.position)).unwrap_or(BLOCK).min(BLOCK);
        let length = self.read_at(self.position, wanted)?;
        self.position += length as u64;
        Ok((length > 0).then(|| &self.block[..length]))
    }

    /// Fills the block from there. How much there was.
    fn read_at(&mut self, position: u64, wanted: usize) -> Result<usize> {
        let Some(file) = &self.file else { return Ok(0) };
        self.block.resize(BLOCK, 0);
        uninterrupted(|| file.read_at(&mut self.block[..wanted], position)).map_err(|e| self.failed(e))
    }

    /// Where the last so many lines begin. Read from the end, in blocks.
    fn start_of_last(&mut self, lines: usize, length: u64) -> Result<u64> {
        let mut left = lines;
        let mut end = length;
        while end > 0 {
            let start = end.saturating_sub(BLOCK as u64);
            let wanted = usize::try_from(end - start).unwrap_or(0);
            if self.read_at(start, wanted)? < wanted {
                // It was truncated in this moment: what is there now is all new.
                return Ok(0);
            }
            for (at, _) in self.block[..wanted].iter().enumerate().rev().filter(|&(_, &b)| b == b'\n') {
                let next = start + at as u64 + 1;
                // The line end at the very end closes the last line, it does not begin another one.
                if next == length {
                    continue;
                }
                left -= 1;
                if left == 0 {
                    return Ok(next);
                }
            }
            end = start;
        }
        Ok(0)
    }
}
