//! Text for people: escaping, tables, ages.

pub mod age;
pub mod escape;
pub mod shell;
pub mod table;
pub mod terminal;
