//! The domain: what a managed process is, how it starts, how its end becomes known.
//!
//! Read in this order: [`record`] (what is known of one), [`entry`] (where that is kept, and the two locks),
//! [`rundir`] with its indexes [`names`] and [`ledger`], [`family`] (who creates), [`launch`] → [`child`] →
//! [`monitor`] → [`ending`] (the life), [`observe`] and [`wait`] (how others see it), [`mod@reference`] (how it is named).
//! Nothing here prints.

pub mod authkey;
pub mod change;
pub mod child;
pub mod doctor;
pub mod ending;
pub mod entry;
pub mod environment;
pub mod error;
pub mod family;
pub mod fields;
pub mod follow;
pub mod glance;
pub mod host;
pub mod id;
pub mod identity;
pub mod launch;
pub mod ledger;
pub mod live;
pub mod log;
pub mod monitor;
pub mod name;
pub mod names;
pub mod observe;
pub mod record;
pub mod recover;
pub mod reference;
pub mod remove;
pub mod retention;
pub mod rundir;
pub mod schema;
pub mod share;
pub mod signal;
pub mod streams;
pub mod text;
pub mod time;
pub mod tree;
pub mod wait;
pub mod watch;
