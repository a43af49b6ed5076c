//! §6.8, §6.9: procctl killed, and failing, at every single step.
//!
//! The program under test is built with the feature `faults`: it strikes itself at the step that the environment names
//! (src/os/fault). Each scene is played again and again, with the next step struck each time, until there is none left;
//! and after each time the run directory must be as if nothing had happened, or as if it had not been tried.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "../it/harness.rs"]
mod harness;
#[expect(dead_code, reason = "shared with the other tests, which use all of it")]
#[path = "../it/support.rs"]
mod support;

mod play;
mod scenes;
mod tidy;
