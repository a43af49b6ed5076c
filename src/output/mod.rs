//! Text for people: escaping, tables, pages, trees, quantities; and templates for scripts.

pub mod age;
pub mod cut;
pub mod doctor;
pub mod escape;
pub mod fold;
pub mod frame;
pub mod page;
pub mod prefix;
pub mod screen;
pub mod shell;
pub mod table;
pub mod template;
pub mod terminal;
pub mod tone;
pub mod tree;
pub mod units;
pub mod verbatim;
