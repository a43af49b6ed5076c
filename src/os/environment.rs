//! The environment as execve(2) passed it.

use std::ffi::{CStr, c_char};

unsafe extern "C" {
    /// environ(7)
    static environ: *const *const c_char;
}

/// Its strings, `KEY=VALUE` mostly, in their order and without a copy.
///
/// [`super::title::set`] overwrites them: who calls it promises that they are not used afterwards.
pub fn inherited() -> Vec<&'static CStr> {
    let mut strings = Vec::new();
    // SAFETY: the C library sets it up before `main`, and nothing here changes it.
    let mut at = unsafe { environ };
    while !at.is_null() {
        // SAFETY: an array of pointers that ends with a null pointer, and this is not beyond its end.
        let string = unsafe { *at };
        if string.is_null() {
            break;
        }
        // SAFETY: each is a C string on the stack that the kernel made, which lives as long as the process; nothing writes to it
        // before `title::set`, and nobody uses it after that.
        strings.push(unsafe { CStr::from_ptr(string) });
        at = at.wrapping_add(1);
    }
    strings
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::ffi::OsStrExt;

    #[test]
    fn it_is_what_the_standard_library_sees() {
        let seen: Vec<Vec<u8>> = std::env::vars_os()
            .map(|(key, value)| [key.as_bytes(), b"=", value.as_bytes()].concat())
            .collect();
        let own: Vec<Vec<u8>> = inherited().into_iter().map(|string| string.to_bytes().to_vec()).collect();
        assert!(!own.is_empty());
        assert!(seen.iter().all(|variable| own.contains(variable)));
    }
}
