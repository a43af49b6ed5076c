//! The shells: real ones, kept alive and fed with commands over their stdin, so that each is a creating process of its own.
//! The last slots hold bash processes that are managed themselves: what they start is nested.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use procctl::os::pidfd;

use super::Soak;
use super::model::{Shell, Start, Worker, broken};
use super::operation::{FIRST_INSIDE, Kind, Plan, Tag};
use crate::harness::DEADLINE;

/// `done SEQUENCE STATUS`, as a shell says after each command.
pub(super) type Done = (u32, i32);

/// How a command of a shell went.
pub(super) enum Outcome {
    Status(i32),
    /// The shell was ended meanwhile.
    ShellDied,
    Overrun,
}

/// A running shell.
pub(super) struct Terminal {
    pub(super) slot: u16,
    /// Its index in the model.
    pub(super) index: usize,
    input: File,
    child: Option<Child>,
}

impl Terminal {
    /// Starts the shell of a slot.
    pub(super) fn open(soak: &Soak, slot: u16) -> Self {
        let mut model = soak.model();
        let index = model.shells.len();
        let fifo = soak.env.gate(&format!("shell-{index}")).path().to_owned();
        // Open at both ends: a write never fails, and the shell reads on for as long as we want.
        let input = OpenOptions::new().read(true).write(true).open(&fifo).unwrap();
        let (pid, child, managed) = if slot < FIRST_INSIDE {
            let program = if slot < FIRST_INSIDE / 2 { "bash" } else { "dash" };
            // Whoever runs the tests may ignore signals (nohup, a job in the background of a script): all of it would inherit that.
            let mut command =
                soak.env.program("env").args(["--default-signal", program, "-s"]).into_command();
            command.stdin(File::open(&fifo).unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
            let child = command.spawn().unwrap();
            (i32::try_from(child.id()).unwrap(), Some(child), None)
        } else {
            let tag = Tag { slot: 100 + slot, number: u32::try_from(index).unwrap() };
            let (name, fifo) = (format!("inner-{slot}"), fifo.to_str().unwrap());
            let options =
                ["--no-daemon", "--stdin", fifo, "--stdout", "null", "--stderr", "null", "-n", &name];
            let id = soak.env.start(&options, &["env", "--default-signal", "bash", "-s", &tag.to_string()]);
            let pid = soak.env.pid(&id);
            let mut worker = Worker::new(Plan::of_shell(name.clone()), usize::MAX, usize::MAX);
            worker.process = Some(pidfd::open(pid).unwrap());
            worker.pid = Some(pid);
            worker.start = Start::Started;
            (worker.answered, worker.ready) = (Some(Instant::now()), Some(Instant::now()));
            model.workers.insert(tag, worker);
            model.knows_id(tag, &id).unwrap();
            (pid, None, Some(tag))
        };
        model.shells.push(Shell { pid, process: pidfd::open(pid).unwrap(), managed, ended: None });
        model.current[usize::from(slot)] = Some(index);
        Self { slot, index, input, child }
    }

    /// Makes the shell run a line that says `done` at its end.
    pub(super) fn run(&mut self, soak: &Soak, line: &str, sequence: u32, done: &Receiver<Done>) -> Outcome {
        writeln!(self.input, "{line}").unwrap();
        let deadline = Instant::now() + DEADLINE * 2;
        loop {
            // Looked at before: what a shell has said before its end is heard.
            let died = soak.shell_has_ended(self.index);
            match done.recv_timeout(Duration::from_millis(20)) {
                Ok((of, status)) if of == sequence => return Outcome::Status(status),
                Err(RecvTimeoutError::Timeout) if died => return Outcome::ShellDied,
                Err(RecvTimeoutError::Timeout) if Instant::now() > deadline => return Outcome::Overrun,
                // Nothing yet, or a late word of another shell.
                Ok(_) | Err(_) => {}
            }
        }
    }

    /// Makes it exit, and waits for that.
    pub(super) fn close(mut self, soak: &Soak) {
        {
            let mut model = soak.model();
            model.shell_ends(self.index);
            if let Some(tag) = model.shells[self.index].managed {
                model.worker(tag).may_end_with(0);
                model.worker(tag).must_end = Some("it was told to exit".to_owned());
            }
        }
        let _ = writeln!(self.input, "exit 0");
        let runs = || broken(None, format!("the shell of slot {} runs on", self.slot));
        soak.wait_until("a shell exits", || (!soak.shell_has_ended(self.index)).then(runs));
        self.bury(soak);
    }

    /// It is no more.
    pub(super) fn bury(mut self, soak: &Soak) {
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        let mut model = soak.model();
        model.shell_ended(self.index);
        model.current[usize::from(self.slot)] = None;
    }
}

impl Plan {
    fn of_shell(name: String) -> Self {
        Self {
            kind: Kind::Shell,
            code: 0,
            life: Duration::MAX,
            name: Some(name),
            unique: false,
            daemon: Some(false),
            parent: None,
            stdout: "null",
            authkey: false,
            json: false,
        }
    }
}
