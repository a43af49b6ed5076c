//! The arguments of the program.

use std::ffi::{CStr, OsStr, OsString, c_char, c_int};
use std::os::unix::ffi::OsStrExt;

/// Copies the arguments.
///
/// # Safety
/// `arguments` points to `count` C strings, as it does in `main`.
pub unsafe fn from_c(count: c_int, arguments: *const *const c_char) -> Vec<OsString> {
    let mut copies = Vec::new();
    for at in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: by the contract above, `at` is inside of the array.
        let argument = unsafe { *arguments.wrapping_add(at) };
        // SAFETY: by the contract above, it is a C string.
        let argument = unsafe { CStr::from_ptr(argument) };
        copies.push(OsStr::from_bytes(argument.to_bytes()).to_owned());
    }
    copies
}
