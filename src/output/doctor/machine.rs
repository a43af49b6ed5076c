//! Limits and /proc.

use crate::os::probe::Limit;
use crate::process::doctor::{Machine, Proc};

use super::Finding;

/// The pid namespace of the machine itself (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;
/// With fewer pids than that, something will soon not be started.
const FEW_PROCESSES: u64 = 200;
/// What a command needs at the least, with some to spare.
const FEW_DESCRIPTORS: u64 = 32;

pub(super) fn judge(machine: &Machine) -> Vec<Finding> {
    vec![
        proc(&machine.proc),
        match machine.pid_namespace {
            Some(FIRST_PID_NAMESPACE) => Finding::ok("PID namespace", "that of the machine"),
            Some(_) => Finding::note(
                "PID namespace",
                "one of its own (a container?): when its first process ends, all end unseen",
            ),
            None => Finding::bad("PID namespace", "it cannot be found out"),
        },
        match machine.pid_max {
            Some(max) => {
                let text = format!("below {max}; each process takes two, one for its monitor");
                if max < FEW_PROCESSES { Finding::note("pids", text) } else { Finding::ok("pids", text) }
            }
            None => Finding::note("pids", "how many there can be is not told"),
        },
        limit("limit of processes", machine.processes, FEW_PROCESSES, "for this user (ulimit -u)"),
        limit("limit of open files", machine.open_files, FEW_DESCRIPTORS, "for each process (ulimit -n)"),
    ]
}

fn proc(proc: &Proc) -> Finding {
    const ABOUT: &str = "/proc";
    match (&proc.problem, &proc.hidepid) {
        (Some(problem), _) => Finding::problem(ABOUT, problem),
        (None, Some(how)) if !matches!(how.as_str(), "0" | "off") => Finding::note(
            ABOUT,
            format!("hidepid={how}: a parent that is another user's process is not seen"),
        ),
        (None, _) => Finding::ok(ABOUT, "that of this PID namespace; nobody's processes are hidden"),
    }
}

fn limit(about: &'static str, limit: Limit, few: u64, whose: &str) -> Finding {
    let text = match (limit.soft, limit.hard) {
        (None, _) => "none".to_owned(),
        (Some(soft), hard) if hard == Some(soft) => format!("{soft} {whose}"),
        (Some(soft), None) => format!("{soft} {whose}, and it may be raised without limit"),
        (Some(soft), Some(hard)) => format!("{soft} {whose}, and it may be raised to {hard}"),
    };
    if limit.soft.is_some_and(|soft| soft < few) {
        return Finding::bad(about, format!("only {text}"));
    }
    Finding::ok(about, text)
}

#[cfg(test)]
mod tests {
    use super::super::Mark;
    use super::*;

    #[test]
    fn limits_in_words() {
        let said = |soft, hard| {
            let found = limit("x", Limit { soft, hard }, 32, "here");
            (found.mark, found.what)
        };
        assert_eq!(said(None, None), (Mark::Ok, "none".to_owned()));
        assert_eq!(said(Some(64), Some(64)), (Mark::Ok, "64 here".to_owned()));
        assert_eq!(said(Some(64), Some(99)).1, "64 here, and it may be raised to 99");
        assert_eq!(said(Some(64), None).1, "64 here, and it may be raised without limit");
        assert_eq!(said(Some(8), Some(8)), (Mark::Bad, "only 8 here".to_owned()));
    }

    #[test]
    fn what_is_hidden_is_said() {
        let mark = |how: Option<&str>| proc(&Proc { problem: None, hidepid: how.map(str::to_owned) }).mark;
        assert_eq!([mark(None), mark(Some("off")), mark(Some("0"))], [Mark::Ok; 3]);
        assert_eq!([mark(Some("2")), mark(Some("invisible")), mark(Some("ptraceable"))], [Mark::Note; 3]);
    }
}
