//! What does not belong into a run directory that nobody is at work in.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::harness::TestEnv;

fn entries(dir: &Path) -> Vec<(PathBuf, OsString)> {
    // What vanishes meanwhile is not there.
    fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| (entry.path(), entry.file_name())).collect()
}

fn process_dir(run: &Path, id: &str) -> PathBuf {
    run.join("processes").join(&id[..2]).join(id)
}

/// Directories without a record or of closed processes, files that are no part of one, index entries that lead nowhere.
pub(crate) fn leftovers(env: &TestEnv) -> Vec<PathBuf> {
    const FILES: [&str; 7] =
        ["record.json", "sentinel", "output.log", "signals", "authkey", "environment", "hold"];
    let run = env.run_dir();
    let mut found = Vec::new();
    for (folder, _) in entries(&run.join("processes")) {
        for (dir, name) in entries(&folder) {
            if name.to_string_lossy().starts_with("gone.") || !dir.join("record.json").exists() {
                found.push(dir.clone());
            }
            let odd = |name: &OsString| !FILES.iter().any(|known| name == known);
            found.extend(entries(&dir).into_iter().filter(|(_, name)| odd(name)).map(|(path, _)| path));
        }
    }
    for shelf in ["initial", "live", "ended", "joined"] {
        for (bucket, _) in entries(&run.join("names").join(shelf)) {
            for (tag, name) in entries(&bucket) {
                let name = name.to_string_lossy().into_owned();
                let id = name.rsplit('.').next().unwrap_or_default();
                if name != "lock" && !process_dir(&run, id).exists() {
                    found.push(tag);
                }
            }
        }
    }
    for (ledger, _) in entries(&run.join("parents")) {
        for (path, name) in entries(&ledger) {
            let name = name.to_string_lossy().into_owned();
            let leads_nowhere =
                || fs::read_link(&path).is_ok_and(|id| !process_dir(&run, &id.to_string_lossy()).exists());
            if leads_nowhere() || !(name == "count" || name == "authkey" || name.parse::<u64>().is_ok()) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// Whether the index has it among the live processes.
pub(crate) fn is_on_live_shelf(env: &TestEnv, id: &str) -> bool {
    let buckets = entries(&env.run_dir().join("names/live"));
    buckets
        .iter()
        .any(|(bucket, _)| entries(bucket).iter().any(|(_, tag)| tag.to_string_lossy().ends_with(id)))
}

/// Makes the leftovers so old that they are due, and has a monitor clear them.
pub(crate) fn clear_old(env: &TestEnv) {
    let left = leftovers(env);
    if left.is_empty() {
        return;
    }
    let long_ago = SystemTime::now() - Duration::from_secs(24 * 60 * 60);
    for path in left.into_iter().filter(|path| path.is_dir()) {
        fs::File::open(path).unwrap().set_modified(long_ago).unwrap();
    }
    let _ = fs::remove_file(env.run_dir().join("cleared"));
    let id =
        env.procctl(["start", "--parent", "1", "--", "true"]).env("PROCCTL_KEEP", "1h").output().success();
    env.join(&id);
    env.ok(["close", &id]);
}
