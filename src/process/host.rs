//! Where we are: this boot, this host, this pid namespace. A record says where it was made; both together say what a
//! pid in it means here.

use std::cell::OnceCell;

use crate::os::{process, system};

use super::error::{Error, Result};
use super::record::Record;

/// This boot of this host, each fact asked for when it is first needed.
#[derive(Debug, Default)]
pub struct Host {
    boot_id: OnceCell<String>,
    name: OnceCell<String>,
    pid_namespace: OnceCell<u64>,
    proc_checked: OnceCell<()>,
}

/// What the pids of a record mean here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The same boot and pid namespace: they mean what they meant.
    Here,
    /// The same boot, another pid namespace (a container): the locks tell the truth, the pids tell nothing.
    OtherNamespace,
    /// This host, before it was restarted: none of its processes lives.
    EarlierBoot,
    /// Another host that shares the directory: nothing can be known.
    OtherHost,
}

impl Host {
    /// The id of this boot.
    pub fn boot_id(&self) -> Result<&str> {
        if let Some(known) = self.boot_id.get() {
            return Ok(known);
        }
        let read = system::boot_id()
            .map_err(|e| Error::system("cannot read the boot id in /proc (procctl needs /proc)", e))?;
        Ok(self.boot_id.get_or_init(|| read))
    }

    /// Refuses a /proc that is missing, or that of another pid namespace: its pids are not ours, and who goes by them takes
    /// strangers for parents and processes.
    pub fn check_proc(&self) -> Result<()> {
        if self.proc_checked.get().is_some() {
            return Ok(());
        }
        let seen = system::own_pid_in_proc()
            .map_err(|e| Error::system("cannot look at /proc/self (procctl needs /proc)", e))?;
        if seen != process::own_pid() {
            return Err(Error::hinted(
                "cannot use /proc: it is that of another PID namespace, and the pids in it mean others",
                "mount -t proc proc /proc; unshare does it with --mount-proc",
            ));
        }
        let _ = self.proc_checked.set(());
        Ok(())
    }

    /// The host's name.
    pub fn name(&self) -> &str {
        self.name.get_or_init(system::host_name)
    }

    /// The pid namespace's number.
    pub fn pid_namespace(&self) -> Result<u64> {
        if let Some(&known) = self.pid_namespace.get() {
            return Ok(known);
        }
        let read = system::pid_namespace().map_err(|e| {
            Error::system("cannot look at the PID namespace in /proc (procctl needs /proc)", e)
        })?;
        Ok(*self.pid_namespace.get_or_init(|| read))
    }

    /// What the pids of a record mean here.
    pub fn place_of(&self, record: &Record) -> Result<Place> {
        Ok(if record.boot_id == self.boot_id()? {
            match record.pid_namespace {
                Some(theirs) if theirs != self.pid_namespace()? => Place::OtherNamespace,
                _ => {
                    self.check_proc()?;
                    Place::Here
                }
            }
        } else if record.host == self.name() {
            Place::EarlierBoot
        } else {
            Place::OtherHost
        })
    }
}
