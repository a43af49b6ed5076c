//! Strangers: processes that no procctl started. Some watch for signals, some come and go so that pids do, too.
//! None of them may ever get a signal.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::thread;
use std::time::Duration;

use super::model::broken;
use super::rng::Rng;
use super::{BYSTANDERS, Soak};

/// Says so and ends, when it gets a signal that can be caught.
const WATCH: &str = r#"for signal in HUP INT QUIT USR1 USR2 ALRM TERM CONT; do trap "exit 99" "$signal"; done
while read -r _; do :; done; exit 0"#;

fn spawn(soak: &Soak, words: &[&str], stdin: Stdio) -> Child {
    let mut command = soak.env.program(words[0]).args(&words[1..]).into_command();
    // procctl's variables make it look like somebody who could be meant.
    command.env("PROCCTL_NAME", "name-1").stdin(stdin).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Lets strangers live beside everything else until the soak is over.
pub(super) fn live(soak: &Soak) {
    let _guard = soak.guard();
    let mut rng = Rng::new(soak.seed, BYSTANDERS);
    let mut watching: Vec<Child> =
        (0..4).map(|_| spawn(soak, &["bash", "-c", WATCH, "name-1"], Stdio::piped())).collect();
    let mut passing: Vec<Child> = Vec::new();
    while !soak.is_over() {
        thread::sleep(rng.time(Duration::from_millis(20)));
        if soak.is_storm() && passing.len() < 8 {
            let time = format!("0.{:02}", rng.below(20));
            passing.push(spawn(soak, &["sleep", &time], Stdio::null()));
        }
        for child in &mut watching {
            if let Some(status) = child.try_wait().unwrap() {
                soak.violate(broken(None, format!("a bystander, pid {}, ended: {status}", child.id())));
                return;
            }
        }
        for mut child in passing.extract_if(.., |child| child.try_wait().unwrap().is_some()) {
            let status = child.wait().unwrap();
            if status.signal().is_some() {
                soak.violate(broken(None, format!("a bystander, pid {}, ended: {status}", child.id())));
            }
        }
    }
    for mut child in watching {
        drop(child.stdin.take());
        let status = child.wait().unwrap();
        if status.code() != Some(0) {
            soak.violate(broken(None, format!("a bystander, pid {}, got a signal: {status}", child.id())));
        }
    }
    for child in &mut passing {
        let _ = child.wait();
    }
}
