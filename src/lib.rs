//! procctl: `multiprocessing.Process` for the shell.
//!
//! The floors, from the top down; a floor uses those below it and none above:
//!
//! - [`commands`]: one file per command; the only floor that prints and that makes exit statuses of errors
//! - [`cli`]: the grammar; [`output`]: tables and text for people
//! - [`process`]: the domain
//! - [`os`]: the kernel, thinly

pub mod cli;
pub mod commands;
pub mod os;
pub mod output;
pub mod process;

use std::ffi::OsString;

/// Runs procctl with these arguments, the program's name first. Returns the exit status.
pub fn run(arguments: &[OsString]) -> u8 {
    commands::run(arguments)
}
