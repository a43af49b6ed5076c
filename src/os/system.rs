//! The machine: boot, host, pid namespace, clocks, chance.

use std::io;
use std::time::Duration;

use nix::libc;
use rustix::io::retry_on_intr;
use rustix::time::ClockId;

/// The id of this boot (proc_sys_kernel(5), random/boot_id).
pub fn boot_id() -> io::Result<String> {
    let flags = rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC;
    let open = || rustix::fs::open("/proc/sys/kernel/random/boot_id", flags, rustix::fs::Mode::empty());
    let file = retry_on_intr(open)?;
    let mut text = [0; 64];
    let length = retry_on_intr(|| rustix::io::read(&file, &mut text[..]))?;
    Ok(String::from_utf8_lossy(&text[..length]).trim().to_owned())
}

/// The host's name, as uname(2) has it.
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// Whether the kernel is of that version or a later one, as uname(2) has it.
pub fn kernel_is(major: u32, minor: u32) -> bool {
    release_is(&rustix::system::uname().release().to_string_lossy(), major, minor)
}

/// `5.16.0-rc1`, `6.1-generic`. One that cannot be read is not.
fn release_is(release: &str, major: u32, minor: u32) -> bool {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    let (Some(Ok(first)), Some(Ok(second))) = (numbers.next(), numbers.next()) else { return false };
    (first, second) >= (major, minor)
}

/// The inode number that stands for the pid namespace of the caller (namespaces(7): the link says `pid:[NUMBER]` since
/// Linux 3.8).
pub fn pid_namespace() -> io::Result<u64> {
    // Not stat(2), which makes an inode for it each time.
    let target = retry_on_intr(|| rustix::fs::readlink("/proc/self/ns/pid", Vec::new()))?;
    let number =
        target.to_str().ok().and_then(|text| text.strip_prefix("pid:[")?.strip_suffix(']')?.parse().ok());
    number.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "it is no link to a PID namespace"))
}

/// The pid of the calling process in the pid namespace that /proc shows; 0 if it is not to be seen there.
pub fn own_pid_in_proc() -> io::Result<i32> {
    let target = retry_on_intr(|| rustix::fs::readlink("/proc/self", Vec::new()))?;
    Ok(target.to_str().ok().and_then(|pid| pid.parse().ok()).unwrap_or(0))
}

/// Time since 1970, by the clock of the machine. Negative if that is wrong by decades: then zero.
pub fn since_1970() -> Duration {
    read_clock(ClockId::Realtime)
}

/// Time since boot, suspension included: the clock of `starttime` in proc(5).
pub fn since_boot() -> Duration {
    read_clock(ClockId::Boottime)
}

/// clock_gettime(2), as a system call: for the few readings of a short command that is cheaper than to find the vDSO's function
/// (vdso(7)) and to have its pages mapped.
fn read_clock(clock: ClockId) -> Duration {
    #[cfg(target_pointer_width = "64")]
    let now = {
        let mut now = rustix::time::Timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the buffer is valid for writes of a timespec, which is the kernel's on 64-bit machines. It cannot fail: Linux
        // has both clocks.
        unsafe { libc::syscall(libc::SYS_clock_gettime, clock as libc::clockid_t, &raw mut now) };
        now
    };
    #[cfg(not(target_pointer_width = "64"))]
    let now = rustix::time::clock_gettime(clock);
    Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
}

/// Fills a buffer with random bytes (getrandom(2)).
pub fn random(buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let flags = rustix::rand::GetRandomFlags::empty();
        filled += retry_on_intr(|| rustix::rand::getrandom(&mut buffer[filled..], flags))?;
    }
    Ok(())
}

/// The effective user id of the caller.
pub fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_a_pid_namespace_is_its_inode() {
        let inode = rustix::fs::stat("/proc/self/ns/pid").expect("there is a /proc").st_ino;
        assert_eq!(pid_namespace().expect("there is a /proc"), inode);
    }

    #[test]
    fn versions_are_compared_as_numbers() {
        for (release, is) in [
            ("5.4.0-150-generic", false),
            ("5.16.20", false),
            ("5.17.0-rc1", true),
            ("5.17", true),
            ("5.100-x", true),
            ("6.1-generic", true),
            ("10.0.3", true),
            ("5", false),
            ("5.x", false),
            ("", false),
        ] {
            assert_eq!(release_is(release, 5, 17), is, "{release}");
        }
        assert!(kernel_is(0, 0) && !kernel_is(10_000, 0));
    }
}
