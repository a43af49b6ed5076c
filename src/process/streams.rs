//! Where the standard streams of a process come from and go to.

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::retry_on_intr;

use crate::os::fd;
use crate::os::fs::{self, FileError};
use crate::os::umask;

use super::entry::{Entry, LOG};
use super::error::{Error, Result};
use super::text::Text;

/// One end of a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stream {
    /// /dev/null
    Null,
    /// That of whoever says `start`.
    Inherit,
    /// The process's own log.
    Log,
    /// Standard error only: where standard output goes.
    Stdout,
    /// A file, by its absolute path.
    File(PathBuf),
}

/// Which stream it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    /// 0
    Input,
    /// 1
    Output,
    /// 2
    Error,
}

impl Stream {
    /// From the word on the command line. A relative path is one of the caller's.
    pub fn from_word(word: &OsString, which: Which) -> Result<Self> {
        Ok(match (word.to_str(), which) {
            (Some("null"), _) => Self::Null,
            (Some("inherit"), _) => Self::Inherit,
            (Some("log"), Which::Output | Which::Error) => Self::Log,
            (Some("stdout"), Which::Error) => Self::Stdout,
            (Some(""), _) => return Err(Error::refused("the name of a file for a standard stream is empty")),
            _ => Self::File(std::path::absolute(word).map_err(|e| FileError::new("find", word, e))?),
        })
    }

    /// From a record.
    pub fn from_record(text: &Text) -> Self {
        match text.as_os_str().to_str() {
            Some("null") => Self::Null,
            Some("inherit") => Self::Inherit,
            Some("log") => Self::Log,
            Some("stdout") => Self::Stdout,
            _ => Self::File(PathBuf::from(text.as_os_str())),
        }
    }

    /// For the record: the word, or the path.
    pub fn to_record(&self) -> Text {
        match self {
            Self::Null => "null".into(),
            Self::Inherit => "inherit".into(),
            Self::Log => "log".into(),
            Self::Stdout => "stdout".into(),
            Self::File(path) => path.clone().into(),
        }
    }
}

/// The three streams of a process.
#[derive(Clone, Debug)]
pub struct Streams {
    /// 0
    pub input: Stream,
    /// 1
    pub output: Stream,
    /// 2
    pub error: Stream,
}

/// Where a descriptor of the process comes from.
#[derive(Debug)]
pub enum Source {
    /// It is left as it is.
    Inherited,
    /// A copy of this one.
    Opened(OwnedFd),
    /// A copy of standard output.
    LikeStdout,
    /// /dev/null.
    Null,
}

/// The files among the streams, opened. That can take as long as a FIFO's other end does, so it is done before anything is
/// locked.
#[derive(Debug)]
pub struct Files([Option<OwnedFd>; 3]);

impl Files {
    /// In one of several forks that are to have the same files: a file to read is read by each from its beginning. What there is to
    /// be written, and FIFOs, they share: those who append to one file need not have opened it each.
    pub fn for_one_of_several(&mut self) -> Result<()> {
        if let Some(input) = self.0[0].as_mut().filter(|input| fs::is_regular(input)) {
            *input =
                fd::open_again(&input).map_err(|e| Error::system("cannot open standard input again", e))?;
        }
        Ok(())
    }
}

/// The opened streams.
#[derive(Debug)]
pub struct Opened {
    /// Of 0, 1 and 2.
    pub sources: [Source; 3],
    /// /dev/null, for those that want it and for the monitor.
    pub null: OwnedFd,
}

impl Streams {
    /// Whether something goes to the log.
    pub fn use_log(&self) -> bool {
        self.output == Stream::Log || self.error == Stream::Log
    }

    /// Opens the files, as the caller and with its umask.
    pub fn open_files(&self) -> Result<Files> {
        let open = |stream: &Stream, which| match stream {
            Stream::File(path) => open_file(path, which).map(Some),
            _ => Ok(None),
        };
        Ok(Files([
            open(&self.input, Which::Input)?,
            open(&self.output, Which::Output)?,
            open(&self.error, Which::Error)?,
        ]))
    }

    /// Opens the rest.
    pub fn open(&self, files: Files, entry: &Entry) -> Result<Opened> {
        let null = fd::dev_null().map_err(|e| FileError::new("open", "/dev/null", e))?;
        let Files([input, output, error]) = files;
        let source = |stream: &Stream, file: Option<OwnedFd>| match stream {
            Stream::Null => Ok(Source::Null),
            Stream::Inherit => Ok(Source::Inherited),
            Stream::Stdout => Ok(Source::LikeStdout),
            Stream::Log => entry.dir.open_append(LOG).map(Source::Opened),
            Stream::File(_) => Ok(file.map_or(Source::Null, Source::Opened)),
        };
        let error = match (&self.output, &self.error) {
            // One open file for both keeps their bytes in order.
            (Stream::Log, Stream::Log) => Source::LikeStdout,
            _ => source(&self.error, error)?,
        };
        Ok(Opened { sources: [source(&self.input, input)?, source(&self.output, output)?, error], null })
    }
}

fn open_file(path: &Path, which: Which) -> Result<OwnedFd> {
    let flags = match which {
        Which::Input => OFlags::RDONLY,
        Which::Output | Which::Error => OFlags::WRONLY | OFlags::CREATE | OFlags::APPEND,
    };
    let mode = Mode::from_raw_mode(0o666);
    let open =
        || retry_on_intr(|| rustix::fs::openat(CWD, path, flags | OFlags::CLOEXEC | OFlags::NOCTTY, mode));
    umask::as_caller(open).map_err(|e| {
        let what = if which == Which::Input { "open for standard input" } else { "open for output" };
        FileError::new(what, path, e).into()
    })
}
