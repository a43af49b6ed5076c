//! The floor under everything: thin wrappers around kernel interfaces.
//!
//! Nothing here knows what a managed process is. Functions return [`std::io::Result`] (or [`fs::Result`], which adds
//! the path). All `unsafe` code of the crate is on this floor, or promises what a function of this floor asks for.

#![expect(unsafe_code, reason = "system calls that no library wraps")]

pub mod arguments;
pub mod caught;
pub mod environment;
pub mod fault;
pub mod fd;
pub mod fs;
pub mod heap;
pub mod inotify;
pub mod keyboard;
pub mod lock;
pub mod mount;
pub mod pidfd;
pub mod probe;
pub mod proc;
pub mod process;
pub mod retry;
pub mod secret;
pub mod signals;
pub mod stack;
pub mod system;
pub mod title;
pub mod umask;
pub mod zone;
