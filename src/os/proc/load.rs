//! What a live process takes: proc_pid_stat(5), proc_pid_status(5), proc_pid_fd(5).

use std::io;

use super::super::retry::uninterrupted;
use super::{Fields, Stat, TICKS_PER_SECOND, read_stat_line};

/// CPU time, memory and threads of a process, from its line in /proc/PID/stat.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    /// Time in user mode, seconds, with that of descendants that it has waited for.
    pub user_seconds: f64,
    /// Time in the kernel, seconds, likewise.
    pub system_seconds: f64,
    /// Threads.
    pub threads: u64,
    /// Resident memory.
    pub rss_bytes: u64,
}

impl Load {
    /// CPU time in all, seconds.
    pub fn cpu_seconds(&self) -> f64 {
        self.user_seconds + self.system_seconds
    }

    /// Reads it, with the other facts of that line. `ENOENT` or `ESRCH` when there is no such process.
    pub fn of(pid: i32) -> io::Result<(Stat, Self)> {
        read_stat_line(&format!("/proc/{pid}/stat"), |line| Some((Stat::parse(line)?, Self::parse(line)?)))
    }

    /// Parses the line.
    #[expect(clippy::cast_precision_loss, reason = "clock ticks of CPU time are far below 2^52")]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let fields = Fields::of(line)?;
        let count = |number: usize| fields.get(number)?.parse::<u64>().ok();
        let seconds = |own: usize, of_children: usize| {
            let ticks = count(own)?.saturating_add(count(of_children)?);
            Some(ticks as f64 / TICKS_PER_SECOND as f64)
        };
        Some(Self {
            user_seconds: seconds(14, 16)?,
            system_seconds: seconds(15, 17)?,
            threads: count(20)?,
            rss_bytes: count(24)?.saturating_mul(rustix::param::page_size() as u64),
        })
    }
}

/// The most resident memory it ever had (`VmHWM`); `None` of a zombie, which has none any more.
pub fn peak_rss_bytes(pid: i32) -> io::Result<Option<u64>> {
    let text = uninterrupted(|| std::fs::read(format!("/proc/{pid}/status")))?;
    Ok(parse_peak(&text))
}

/// The name comes first, and a line end in it is escaped by the kernel: no line is forged.
fn parse_peak(status: &[u8]) -> Option<u64> {
    let line = status.split(|&b| b == b'\n').find_map(|line| line.strip_prefix(b"VmHWM:"))?;
    let kib: u64 = std::str::from_utf8(line).ok()?.trim().strip_suffix(" kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

/// How many descriptors it has open. An error also of one that we may not look at.
pub fn descriptors(pid: i32) -> io::Result<u64> {
    let path = format!("/proc/{pid}/fd");
    // The size of the directory is their number since Linux 6.2; before, and where there is none, it is 0.
    let told = uninterrupted(|| std::fs::metadata(&path))?.len();
    if told > 0 {
        return Ok(told);
    }
    Ok(uninterrupted(|| std::fs::read_dir(&path))?.take_while(Result::is_ok).count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_of_stat_is_read() {
        let line =
            b"42 (a) b) S 7 42 41 0 -1 4194560 1 20 300 4000 100 250 10 50 20 0 3 0 98765 1000000 25 9";
        let load = Load::parse(line).expect("parsed");
        assert!(
            (load.user_seconds - 1.1).abs() < 1e-9 && (load.system_seconds - 3.0).abs() < 1e-9,
            "{load:?}"
        );
        assert_eq!((load.threads, load.rss_bytes), (3, 25 * rustix::param::page_size() as u64));
        assert_eq!(Load::parse(b"42 (a) S 7"), None);
    }

    #[test]
    fn the_peak_is_read() {
        assert_eq!(parse_peak(b"Name:\tsh\nVmHWM:\t    1544 kB\nVmRSS:\t 1000 kB\n"), Some(1544 * 1024));
        assert_eq!(parse_peak(b"Name:\tVmHWM:\nState:\tZ (zombie)\n"), None);
    }

    #[test]
    fn ones_own_is_read() {
        let me = i32::try_from(std::process::id()).expect("pid");
        let (stat, load) = Load::of(me).expect("load");
        assert_eq!(stat.pid, me);
        assert!(load.threads >= 1 && load.rss_bytes > 0);
        assert!(peak_rss_bytes(me).expect("status").expect("a peak") > 0);
        assert!(descriptors(me).expect("descriptors") >= 3);
    }

    proptest! {
        #[test]
        fn parsing_never_panics(line in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Load::parse(&line);
            let _ = parse_peak(&line);
        }
    }
}
