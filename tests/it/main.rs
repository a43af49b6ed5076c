//! Drives the real program as a user would: every test has its own run directory and a deadline on every wait.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod adoption;
mod authkey;
mod bad_input;
mod close;
mod corpus;
mod crash;
mod create;
mod daemon;
mod dead_monitor;
mod directory;
mod disk;
mod docs;
mod family;
mod generated;
mod get;
mod harness;
mod hostile;
#[cfg(target_arch = "x86_64")]
mod inject;
mod is_alive;
mod join;
mod launch;
mod limits;
mod logs;
mod monitor;
mod parent;
mod parsers;
mod pid_reuse;
mod privilege;
mod python;
mod races;
mod reboot;
mod record;
mod refs;
mod retention;
mod run;
mod rundir;
mod scale;
mod sentinel;
mod set;
mod soak;
mod start;
mod status;
mod status_columns;
mod status_page;
mod status_tree;
mod storm;
mod support;
mod surroundings;
mod terminate;
#[cfg(target_arch = "x86_64")]
mod tracer;
mod truth;
mod upgrade;
