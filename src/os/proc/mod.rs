//! /proc/PID: what proc(5) says about a process that need not be ours.

mod load;

pub use load::{Load, descriptors, peak_rss_bytes};

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::sync::OnceLock;

use super::retry::uninterrupted;
use super::system;

use rustix::io::retry_on_intr;

/// The fields of /proc/PID/stat that we use (proc_pid_stat(5)).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// pid
    pub pid: i32,
    /// comm: the first 15 bytes of the program's name
    pub comm: Vec<u8>,
    /// state: `R`, `S`, `D`, `T` (stopped), `t` (traced), `Z` (zombie)…
    pub state: char,
    /// ppid; 0 when the parent is outside of this pid namespace
    pub parent: i32,
    /// session
    pub session: i32,
    /// starttime, in clock ticks after boot
    pub start_ticks: u64,
    /// startstack: address of the bottom of the stack; 0 when we may not know
    pub start_stack: u64,
}

impl Stat {
    /// Reads it. `ENOENT` or `ESRCH` when there is no such process.
    pub fn of(pid: i32) -> io::Result<Self> {
        Self::read(&format!("/proc/{pid}/stat"))
    }

    /// Reads that of the calling process (its own in any fork, unlike a cached pid).
    pub fn of_self() -> io::Result<Self> {
        Self::read("/proc/self/stat")
    }

    fn read(path: &str) -> io::Result<Self> {
        read_stat_line(path, Self::parse)
    }

    /// Parses the line. The name may hold anything, spaces and `)` included: the last `)` ends it.
    pub fn parse(line: &[u8]) -> Option<Self> {
        let open = line.iter().position(|&b| b == b'(')?;
        let close = line.iter().rposition(|&b| b == b')')?;
        let pid = std::str::from_utf8(line.get(..open)?).ok()?.trim().parse().ok()?;
        let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
        // Field numbers as in proc(5) are those of this iterator plus 3.
        let mut fields = rest.split_ascii_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent = fields.next()?.parse().ok()?;
        let session = fields.nth(1)?.parse().ok()?;
        let start_ticks = fields.nth(15)?.parse().ok()?;
        let start_stack = fields.nth(5)?.parse().ok()?;
        Some(Self {
            pid,
            comm: line.get(open + 1..close)?.to_vec(),
            state,
            parent,
            session,
            start_ticks,
            start_stack,
        })
    }
}

/// Room for the line in /proc/PID/stat: 52 numbers of 20 digits at most, and a name.
pub(super) const STAT_LINE: usize = 1200;

/// Reads the line in a /proc/PID/stat. The kernel hands out the whole of it at the first read.
pub(super) fn stat_line<'a>(path: &str, buffer: &'a mut [u8; STAT_LINE]) -> io::Result<&'a [u8]> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let fd = retry_on_intr(|| rustix::fs::open(path, flags, rustix::fs::Mode::empty()))?;
    let length = retry_on_intr(|| rustix::io::read(&fd, &mut buffer[..]))?;
    Ok(&buffer[..length])
}

fn not_as_described() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "not as proc(5) describes it")
}

fn read_stat_line<T>(path: &str, parse: impl FnOnce(&[u8]) -> Option<T>) -> io::Result<T> {
    parse(stat_line(path, &mut [0; STAT_LINE])?).ok_or_else(not_as_described)
}

/// What of the usage of a process, waited-for descendants included, is in /proc/PID/stat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Times {
    /// Time in user mode, seconds.
    pub user_seconds: f64,
    /// Time in the kernel, seconds.
    pub system_seconds: f64,
    /// Page faults without reading.
    pub minor_faults: u64,
    /// Page faults with reading.
    pub major_faults: u64,
}

/// What /proc tells of a process that has ended and was not reaped.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Zombie {
    /// What it used.
    pub times: Times,
    /// Its wait status (`exit_code`, Linux 5.17); `None` where we may not know.
    pub status: Option<i32>,
}

/// Reads it; `None` of a process that is none.
pub fn zombie(pid: i32) -> io::Result<Option<Zombie>> {
    let mut buffer = [0; STAT_LINE];
    let line = stat_line(&format!("/proc/{pid}/stat"), &mut buffer)?;
    let Some(mut zombie) = parse_zombie(line) else { return Ok(None) };
    // Whoever may not read it is told 0 (fs/proc/array.c), which would be an invented code. This link needs the same permission
    // (PTRACE_MODE_READ_FSCREDS). And before Linux 5.17 it is that of the first thread, which can have ended long before the
    // others with a code of its own (pthread_exit(3): 0).
    if !system::kernel_is(5, 17) || std::fs::read_link(format!("/proc/{pid}/ns/user")).is_err() {
        zombie.status = None;
    }
    Ok(Some(zombie))
}

/// Whether a process, alive or not, has executed a program since it was forked.
pub fn has_executed(pid: i32) -> io::Result<bool> {
    /// `PF_FORKNOEXEC` (include/linux/sched.h) in the field flags. An exec clears it before it closes what is to be closed.
    const FORKED_NO_EXEC: u64 = 0x40;
    let flags = |line: &[u8]| Fields::of(line)?.get(9)?.parse::<u64>().ok();
    Ok(read_stat_line(&format!("/proc/{pid}/stat"), flags)? & FORKED_NO_EXEC == 0)
}

/// The fields of the line after the name, by their numbers in proc(5).
struct Fields<'a>(Vec<&'a str>);

impl<'a> Fields<'a> {
    fn of(line: &'a [u8]) -> Option<Self> {
        let close = line.iter().rposition(|&b| b == b')')?;
        let rest = std::str::from_utf8(line.get(close + 1..)?).ok()?;
        Some(Self(rest.split_ascii_whitespace().collect()))
    }

    fn get(&self, number: usize) -> Option<&'a str> {
        // The first one after the name is field 3.
        self.0.get(number - 3).copied()
    }
}

#[expect(clippy::cast_precision_loss, reason = "clock ticks of CPU time are far below 2^52")]
fn parse_zombie(line: &[u8]) -> Option<Zombie> {
    let fields = Fields::of(line)?;
    let field = |number: usize| fields.get(number);
    if field(3) != Some("Z") {
        return None;
    }
    let count = |number: usize| field(number)?.parse::<u64>().ok();
    let both = |own: usize, of_children: usize| Some(count(own)?.saturating_add(count(of_children)?));
    let seconds = |ticks: u64| ticks as f64 / TICKS_PER_SECOND as f64;
    Some(Zombie {
        times: Times {
            minor_faults: both(10, 11)?,
            major_faults: both(12, 13)?,
            user_seconds: seconds(both(14, 16)?),
            system_seconds: seconds(both(15, 17)?),
        },
        status: field(52).and_then(|word| word.parse().ok()),
    })
}

/// Clock ticks per second of the times in /proc: `USER_HZ`, 100 on every Linux architecture that we build for.
pub const TICKS_PER_SECOND: u64 = 100;

/// Whether two processes run the same executable file. `false` when we may not know.
pub fn same_executable(a: i32, b: i32) -> bool {
    let file = |pid: i32| std::fs::metadata(format!("/proc/{pid}/exe")).map(|m| (m.dev(), m.ino()));
    matches!((file(a), file(b)), (Ok(a), Ok(b)) if a == b)
}

/// The value of a variable in the environment that a process was started with; `None` when we may not look.
pub fn environment_variable(pid: i32, name: &str) -> Option<OsString> {
    let environment = std::fs::read(format!("/proc/{pid}/environ")).ok()?;
    environment.split(|&b| b == 0).find_map(|entry| {
        let value = entry.strip_prefix(name.as_bytes())?.strip_prefix(b"=")?;
        Some(OsString::from_vec(value.to_vec()))
    })
}

/// The arguments of a process.
pub fn arguments(pid: i32) -> io::Result<Vec<Vec<u8>>> {
    let bytes = std::fs::read(format!("/proc/{pid}/cmdline"))?;
    Ok(bytes.split(|&b| b == 0).map(<[u8]>::to_vec).collect())
}

/// Whether the kernel lists the children of a process (`CONFIG_PROC_CHILDREN`).
pub fn tells_children() -> bool {
    static TELLS: OnceLock<bool> = OnceLock::new();
    *TELLS.get_or_init(|| std::fs::exists("/proc/thread-self/children").unwrap_or(false))
}

/// The children of a process, zombies included, in the order in which they became its own. None of one that is gone or
/// hidden.
///
/// The list of one thread is exact if all that it shows still are its children afterwards (fs/proc/array.c).
pub fn children(pid: i32) -> io::Result<Vec<i32>> {
    let mut found = Vec::new();
    let task = format!("/proc/{pid}/task");
    let Some(threads) = if_shown(uninterrupted(|| std::fs::read_dir(&task)))? else { return Ok(found) };
    for thread in threads {
        let thread = match thread {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other,
        };
        let Some(thread) = if_shown(thread)? else { continue };
        let path = thread.path().join("children");
        let list = if_shown(uninterrupted(|| std::fs::read_to_string(&path)))?.unwrap_or_default();
        found.extend(list.split_ascii_whitespace().filter_map(|pid| pid.parse::<i32>().ok()));
    }
    Ok(found)
}

/// `None` of a process, or a thread, that is gone or that we may not look at.
fn if_shown<T>(looked: io::Result<T>) -> io::Result<Option<T>> {
    match looked {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => Ok(None),
        Err(e) if e.raw_os_error() == Some(rustix::io::Errno::SRCH.raw_os_error()) => Ok(None),
        other => other.map(Some),
    }
}

/// Every process that can be seen, as it was at some moment of the call.
pub fn all() -> io::Result<Vec<Stat>> {
    let mut found = Vec::new();
    for entry in uninterrupted(|| std::fs::read_dir("/proc"))? {
        let name = match entry {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            other => other?.file_name(),
        };
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // One that went away meanwhile is not there.
        if let Ok(stat) = Stat::of(pid) {
            found.push(stat);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_shift_the_fields() {
        let line =
            b"42 (a) S 1 (b) R 7 42 41 0 -1 4194560 1 0 0 0 0 0 0 0 20 0 1 0 98765 1 2 3 4 5 140000 0 0";
        let stat = Stat::parse(line).expect("parsed");
        assert_eq!(
            (stat.pid, stat.comm.as_slice(), stat.state, stat.parent),
            (42, &b"a) S 1 (b"[..], 'R', 7)
        );
        assert_eq!((stat.session, stat.start_ticks, stat.start_stack), (41, 98765, 140_000));
    }

    #[test]
    fn what_a_zombie_leaves_is_read() {
        let line = |state: char| {
            let zeros = "0 ".repeat(29);
            format!(
                "42 (a) b) {state} 7 42 41 0 -1 4194624 1 20 300 4000 100 250 10 50 20 0 1 0 98765 {zeros}1792\n"
            )
        };
        let zombie = parse_zombie(line('Z').as_bytes()).expect("parsed");
        let Times { user_seconds, system_seconds, minor_faults, major_faults } = zombie.times;
        assert!((user_seconds - 1.1).abs() < 1e-9 && (system_seconds - 3.0).abs() < 1e-9, "{zombie:?}");
        assert_eq!((minor_faults, major_faults), (21, 4300));
        assert_eq!(zombie.status, Some(0x700));
        assert_eq!(parse_zombie(line('S').as_bytes()), None);
        assert_eq!(parse_zombie(b"42 (a) Z 7 42"), None);
    }

    #[test]
    fn own_stat_is_read() {
        let me = i32::try_from(std::process::id()).expect("pid");
        let stat = Stat::of(me).expect("stat");
        assert_eq!(stat.pid, me);
        assert!(stat.start_stack > 0 && stat.start_ticks > 0);
        assert!(same_executable(me, me));
    }

    proptest! {
        #[test]
        fn parsing_never_panics(line in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Stat::parse(&line);
        }
    }
}
