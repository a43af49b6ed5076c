//! The run directory: may it be used, and is there room.

use std::time::Duration;

use crate::output::{age, units};
use crate::process::doctor::{FileSystem, RunDirectory};

use super::Finding;

/// Below this, something will soon not be recorded.
const LITTLE_ROOM: u64 = 8 << 20;
/// A process takes some ten files and directories.
const FEW_FILES: u64 = 100;

pub(super) fn judge(run_dir: &RunDirectory) -> Vec<Finding> {
    let mut found = Vec::from([place(run_dir)]);
    if let Some(file_system) = &run_dir.file_system {
        found.extend([kind(file_system), room(file_system)]);
    }
    found.push(match (&run_dir.keep_problem, run_dir.keep_seconds) {
        (Some(problem), _) => Finding::problem("ended records", problem),
        (None, Some(seconds)) => {
            let time = age::as_typed(Duration::from_secs(seconds));
            Finding::ok("ended records", format!("kept for {time}; PROCCTL_KEEP changes that"))
        }
        (None, None) => Finding::ok("ended records", "kept until they are closed, as PROCCTL_KEEP says"),
    });
    found
}

fn place(run_dir: &RunDirectory) -> Finding {
    const ABOUT: &str = "place";
    let by = run_dir.chosen_by.unwrap_or("nothing");
    let is_read_only = run_dir.file_system.as_ref().is_some_and(|file_system| file_system.room.read_only);
    match &run_dir.problem {
        Some(problem) => Finding::problem(ABOUT, problem),
        // That is said of the file system.
        None if !run_dir.may_write && !is_read_only && run_dir.exists => {
            Finding::bad(ABOUT, format!("named by {by}; nothing may be written there"))
                .hint("chmod u+rwx, or another one with --run-dir or PROCCTL_RUN_DIR")
        }
        None if !run_dir.may_write && !is_read_only => {
            Finding::bad(ABOUT, format!("named by {by}; it is not there, and may not be made there"))
                .hint("choose another one with --run-dir or PROCCTL_RUN_DIR")
        }
        None if run_dir.exists => Finding::ok(ABOUT, format!("named by {by}; private, and yours")),
        None => Finding::ok(ABOUT, format!("named by {by}; not there yet: procctl start makes it")),
    }
}

fn kind(file_system: &FileSystem) -> Finding {
    const ABOUT: &str = "file system";
    let kind = file_system.kind.as_deref().unwrap_or("unknown");
    if file_system.room.read_only {
        return Finding::bad(ABOUT, format!("{kind}, mounted read-only: nothing can be started or recorded"))
            .hint("choose another place with --run-dir or PROCCTL_RUN_DIR");
    }
    if matches!(kind, "tmpfs" | "ramfs") {
        return Finding::note(
            ABOUT,
            format!("{kind}: records and logs take memory, and are gone at a reboot"),
        );
    }
    if is_of_network(kind) {
        return Finding::note(ABOUT, format!("{kind}: it must have FIFOs and fcntl locks; little tested"));
    }
    Finding::ok(ABOUT, kind)
}

fn is_of_network(kind: &str) -> bool {
    let names = ["nfs", "nfs4", "cifs", "smb3", "9p", "afs", "ceph", "glusterfs", "lustre", "virtiofs"];
    names.contains(&kind) || kind.starts_with("fuse")
}

fn room(file_system: &FileSystem) -> Finding {
    let room = &file_system.room;
    let free = format!("{} of {} free", units::bytes(room.free_bytes), units::bytes(room.total_bytes));
    let files = if room.total_files == 0 {
        String::new()
    } else {
        format!(", room for {} more files", room.free_files)
    };
    let text = free + &files;
    if room.read_only {
        return Finding::note("room", text);
    }
    if room.free_bytes < LITTLE_ROOM || (room.total_files > 0 && room.free_files < FEW_FILES) {
        return Finding::bad("room", text).hint("procctl close --all forgets what has ended, with its logs");
    }
    Finding::ok("room", text)
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;
    use crate::os::probe::Room;

    fn on(kind: &str, free_bytes: u64, free_files: u64, total_files: u64, read_only: bool) -> [Mark; 2] {
        let room = Room { free_bytes, total_bytes: 1 << 40, free_files, total_files, read_only };
        let file_system = FileSystem { kind: Some(kind.to_owned()), room };
        [kind_mark(&file_system), super::room(&file_system).mark]
    }

    fn kind_mark(file_system: &FileSystem) -> Mark {
        kind(file_system).mark
    }

    #[test]
    fn file_systems() {
        use Mark::{Bad, Note, Ok};
        assert_eq!(on("ext4", 1 << 30, 1000, 2000, false), [Ok, Ok]);
        assert_eq!(on("btrfs", 1 << 30, 0, 0, false), [Ok, Ok]);
        assert_eq!(on("ext4", 1 << 20, 1000, 2000, false), [Ok, Bad]);
        assert_eq!(on("ext4", 1 << 30, 9, 2000, false), [Ok, Bad]);
        assert_eq!(on("squashfs", 0, 0, 2000, true), [Bad, Note]);
        for kind in ["tmpfs", "nfs4", "fuse.sshfs"] {
            assert_eq!(on(kind, 1 << 30, 1000, 2000, false), [Note, Ok], "{kind}");
        }
    }
}
