//! The stack of a process that has done its deepest work.

use nix::libc;

/// Gives back what deeper calls than the present one have used. They find zeros there, as on a new stack.
pub fn release() {
    const PAGE: usize = 4096;
    // Far more than was used. What of it is no stack (any more) is a gap: the kernel keeps at least a megabyte below every stack
    // free (`stack_guard_gap`), and says ENOMEM of it when it has released the rest.
    const DEEPEST: usize = 256 * 1024;
    let here = 0u8;
    // The frames of this call and of the next one stay.
    let top = (std::ptr::from_ref(&here).addr() & !(PAGE - 1)).saturating_sub(PAGE);
    let bottom = std::ptr::with_exposed_provenance_mut(top.saturating_sub(DEEPEST));
    // SAFETY: private memory of this thread, below all that is in use: the stack grows down.
    unsafe { libc::madvise(bottom, DEEPEST, libc::MADV_DONTNEED) };
}
