//! The program: hands the arguments to the library and returns its exit status.
//!
//! There is no Rust start-up code (`no_main`): that would ignore SIGPIPE, and every process started from here would
//! inherit it; and its work would be done again by every start.
#![no_main]

use std::ffi::{c_char, c_int};

use procctl::os::heap::Heap;
use procctl::os::process;

#[global_allocator]
static HEAP: Heap = Heap;

/// The C entry point.
///
/// # Safety
/// Called once, by the C start-up code, with argc and argv as the kernel made them.
#[expect(unsafe_code, reason = "the symbol that the C start-up code calls")]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn main(count: c_int, arguments: *const *const c_char) -> c_int {
    // SAFETY: the C start-up code passes argc and argv as the kernel made them.
    let arguments = unsafe { procctl::os::arguments::from_c(count, arguments) };
    // Not by returning: exit(3) would look after streams of C's that there are none of.
    process::exit(c_int::from(procctl::run(&arguments)))
}
