//! The caller, the program, its completions and man pages.

use crate::process::doctor::{Caller, Completions, Installed, Who};

use super::Finding;

pub(super) fn judge_caller(caller: &Caller) -> Vec<Finding> {
    const ABOUT: &str = "parent";
    let by = if caller.variable.is_some() { ", named by PROCCTL_PARENT" } else { "" };
    let mut found = Vec::from([match (&caller.parent, &caller.problem) {
        (Some(Who::Managed { id, name, daemon: false, .. }), _) => {
            Finding::ok(ABOUT, format!("the managed process {name} ({id}){by}"))
        }
        (Some(Who::Managed { id, name, daemon: true, .. }), _) => Finding::note(
            ABOUT,
            format!("the managed process {name} ({id}){by}; daemonic, it may have no children"),
        ),
        (Some(Who::Outside { pid, program }), _) => {
            Finding::ok(ABOUT, format!("{program}, pid {pid}{by}; procctl did not start it"))
        }
        (Some(Who::OutOfSight), _) => Finding::note(
            ABOUT,
            "not to be seen from here (hidden, or in another PID namespace): what is started has none",
        ),
        (None, Some(problem)) => Finding::problem(ABOUT, problem),
        (None, None) => Finding::bad(ABOUT, "it cannot be found out"),
    }]);
    if let Some(id) = &caller.leaked_id {
        let text = format!("it names {id}, which does not live or is not around the caller: ignored");
        found.push(Finding::note("PROCCTL_ID", text));
    }
    found
}

pub(super) fn judge(installed: &Installed) -> Vec<Finding> {
    const HINT: &str = "tools/install PREFIX and the Debian package bring it";
    let program = installed.program.as_ref().map_or("unknown".to_owned(), ToString::to_string);
    let mut found = Vec::from([match &installed.in_path {
        Some(_) if installed.is_in_path => Finding::ok("program", program),
        Some(other) => Finding::note("program", format!("{program}; PATH has another one: {other}")),
        None => Finding::note("program", format!("{program}; not in PATH")),
    }]);
    let missing = |about, what: String| Finding::note(about, what).hint(HINT);
    for one in &installed.completions {
        let Completions { shell, path, is_looked_at } = one;
        match path {
            Some(path) if *is_looked_at => found.push(Finding::ok("completions", format!("{shell}: {path}"))),
            Some(path) => {
                let text = format!("{shell}: {path}, where it looks only if told to");
                found.push(Finding::note("completions", text).hint("fpath=(DIRECTORY $fpath) in ~/.zshrc"));
            }
            None => {}
        }
    }
    let without = installed.completions.iter().filter(|one| one.path.is_none()).map(|one| one.shell);
    let without: Vec<_> = without.collect();
    if !without.is_empty() {
        found.push(missing("completions", format!("not found for {}", without.join(", "))));
    }
    found.push(match &installed.man_page {
        Some(path) => Finding::ok("man pages", path.to_string()),
        None => missing("man pages", "not found".to_owned()),
    });
    found
}
