//! `set`.

use std::ffi::OsString;

use clap::Args;

use super::values::reference;

/// `set`
#[derive(Clone, Debug, Args)]
pub struct Set {
    /// The process
    #[arg(value_name = "REF", value_parser = reference())]
    pub reference: String,
    /// name=NAME at any time; daemon=true|false and authkey-file=FILE before the start
    #[arg(value_name = "KEY=VALUE", required = true)]
    pub changes: Vec<OsString>,
}
