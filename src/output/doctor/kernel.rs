//! Which guarantees this kernel can give.

use crate::process::doctor::Kernel;

use super::Finding;

/// Something that kernels have from some version on.
struct Ability {
    about: &'static str,
    has: bool,
    with: &'static str,
    without: &'static str,
    needed: bool,
}

/// What can only be tried on a process.
const ON_A_PROCESS: usize = 4;

pub(super) fn judge(kernel: &Kernel) -> Vec<Finding> {
    let mut found = vec![Finding::ok("release", format!("Linux {} {}", kernel.release, kernel.machine))];
    if let Some(why) = &kernel.no_process {
        let hint = "is the limit of processes reached (ulimit -u, pids.max of the control group)?";
        found.push(Finding::bad("fork", format!("no process can be made: {why}")).hint(hint));
    }
    let skipped = if kernel.no_process.is_some() { ON_A_PROCESS } else { 0 };
    found.extend(abilities(kernel).into_iter().skip(skipped).map(|ability| {
        let Ability { about, has, with, without, needed } = ability;
        match (has, needed) {
            (true, _) => Finding::ok(about, with),
            (false, false) => Finding::note(about, without),
            (false, true) => Finding::bad(about, without)
                .hint("it takes Linux 5.4 or later, and a container that lets these system calls through"),
        }
    }));
    found
}

fn abilities(kernel: &Kernel) -> [Ability; 8] {
    [
        Ability {
            about: "pidfd (Linux 5.3)",
            has: kernel.pidfd,
            with: "a signal reaches the process that was meant, or none",
            without: "missing: processes can be neither started nor signalled",
            needed: true,
        },
        Ability {
            about: "inode of a pidfd (6.9)",
            has: kernel.pidfd_inode,
            with: "no process is ever taken for another one that had its pid",
            without: "missing: processes are told apart by pid and start time, in steps of 10 ms",
            needed: false,
        },
        Ability {
            about: "exit code from a pidfd (6.15)",
            has: kernel.exit_code_from_pidfd,
            with: "known though the monitor was killed, also after the reaping",
            without: "missing: lost if the monitor was killed, unless somebody looks before the reaping",
            needed: false,
        },
        Ability {
            about: "exit code of a zombie (5.17)",
            has: kernel.exit_code_of_zombie,
            with: "known though the monitor was killed, before the reaping",
            without: "missing: if the monitor was killed, not known before the reaping",
            needed: false,
        },
        Ability {
            about: "subreaper (3.4)",
            has: kernel.subreaper,
            with: "descendants stay below their monitor, where --tree finds them",
            without: "missing: --tree does not find those whose parent has ended",
            needed: true,
        },
        Ability {
            about: "lists of children",
            has: kernel.lists_of_children,
            with: "--tree misses nobody, however fast they fork",
            without: "missing (CONFIG_PROC_CHILDREN): processes that fork and exit fast can escape --tree",
            needed: false,
        },
        Ability {
            about: "openat2 (5.6)",
            has: kernel.openat2,
            with: "no symlink is followed below the run directory, in one call",
            without: "missing: no symlink is followed below the run directory, step by step",
            needed: false,
        },
        Ability {
            about: "close_range (5.11)",
            has: kernel.close_range,
            with: "all descriptors are closed in one call",
            without: "missing: descriptors are closed one by one",
            needed: false,
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    fn old() -> Kernel {
        Kernel {
            release: "5.4.0".to_owned(),
            machine: "x86_64".to_owned(),
            no_process: None,
            pidfd: true,
            pidfd_inode: false,
            exit_code_from_pidfd: false,
            exit_code_of_zombie: false,
            subreaper: true,
            openat2: false,
            close_range: false,
            lists_of_children: false,
        }
    }

    fn marks(kernel: &Kernel) -> Vec<Mark> {
        judge(kernel).iter().map(|finding| finding.mark).collect()
    }

    #[test]
    fn what_is_not_needed_is_a_note() {
        use Mark::{Bad, Note, Ok};
        assert_eq!(marks(&old()), [Ok, Ok, Note, Note, Note, Ok, Note, Note, Note]);
        assert_eq!(
            marks(&Kernel { pidfd: false, ..old() }),
            [Ok, Bad, Note, Note, Note, Ok, Note, Note, Note]
        );
    }

    #[test]
    fn what_could_not_be_tried_is_not_said_to_be_missing() {
        let kernel = Kernel { no_process: Some("no".to_owned()), pidfd: false, ..old() };
        let about: Vec<_> = judge(&kernel).iter().map(|finding| finding.about).collect();
        assert_eq!(about[..3], ["release", "fork", "subreaper (3.4)"]);
    }
}
