//! The machine: boot, host, pid namespace, clocks, chance.

use std::io;

use rustix::io::retry_on_intr;

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

/// The inode number that stands for the pid namespace of the caller (pid_namespaces(7)).
pub fn pid_namespace() -> io::Result<u64> {
    Ok(retry_on_intr(|| rustix::fs::stat("/proc/self/ns/pid"))?.st_ino)
}

/// The pid of the calling process in the pid namespace that /proc shows; 0 if it is not to be seen there.
pub fn own_pid_in_proc() -> io::Result<i32> {
    let target = rustix::fs::readlink("/proc/self", Vec::new())?;
    Ok(target.to_str().ok().and_then(|pid| pid.parse().ok()).unwrap_or(0))
}

/// Time since boot, suspension included: the clock of `starttime` in proc(5).
pub fn since_boot() -> std::time::Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    std::time::Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0))
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
