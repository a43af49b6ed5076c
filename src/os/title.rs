//! What `ps` shows of this process.

use std::io;

use super::proc::{STAT_LINE, stat_line};

/// Overwrites the area of the arguments and the environment, the first of which is what ps(1) prints, and sets the short
/// name (15 bytes).
///
/// A forked copy would go on showing the arguments of the command it was forked from: `pkill -f` would find it by them,
/// and secrets in them would stay visible. A text that is longer than the arguments were runs on into the environment,
/// which the kernel shows then (fs/proc/base.c, `get_mm_cmdline`).
///
/// # Safety
/// Neither `argv` nor the environment is used afterwards, nor a string of [`super::environment::inherited`].
pub unsafe fn set(short: &std::ffi::CStr, long: &str) -> io::Result<()> {
    rustix::thread::set_name(short)?;
    let mut buffer = [0; STAT_LINE];
    let text = String::from_utf8_lossy(stat_line("/proc/self/stat", &mut buffer)?);
    let after_name = text.rsplit_once(')').map_or("", |(_, rest)| rest);
    // arg_start, arg_end, env_start and env_end are fields 48 to 51; the first one after the name is field 3.
    let mut fields = after_name.split_ascii_whitespace().skip(45);
    let mut address = || fields.next().and_then(|field| field.parse::<usize>().ok()).filter(|&at| at != 0);
    let (Some(start), Some(arg_end), Some(env_start), Some(env_end)) =
        (address(), address(), address(), address())
    else {
        return Err(io::Error::other("the kernel does not tell where the arguments are"));
    };
    let end = if env_start == arg_end { env_end } else { arg_end };
    let Some(length) = end.checked_sub(start).filter(|&length| length > 0) else { return Ok(()) };
    let text = &long.as_bytes()[..long.len().min(length - 1)];
    let area = std::ptr::with_exposed_provenance_mut::<u8>(start);
    // SAFETY: the kernel says that [start, end) holds this process's own arguments and environment: writable stack memory,
    // which lives as long as the process; by the contract above nothing reads it through a reference.
    unsafe { area.write_bytes(0, length) };
    // SAFETY: as above, and `text` is shorter than the area and does not overlap it.
    unsafe { area.copy_from_nonoverlapping(text.as_ptr(), text.len()) };
    Ok(())
}
