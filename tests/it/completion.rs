//! Completion in the real shells: each is run in a terminal, a line is typed and the TAB key pressed, and the shell is
//! asked what the line has become.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::harness::{TestEnv, can_trace, eventually, installed, is_gone, skipped};

/// Tells the files of shells in one environment apart.
static NUMBER: AtomicUsize = AtomicUsize::new(0);

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Runs a shell in a terminal and types. Arguments: what to do, as JSON. Prints for each line what has become of it, and
/// all that the shell has printed.
const TYPIST: &str = r#"
import json, os, pty, select, sys, time, fcntl, termios, struct

task = json.loads(sys.argv[1])
os.mkfifo(task["fifo"])
said = b""
deadline = time.monotonic() + 40

def wait(ready):
    # Reads what the shell prints, which must go on, until ready() gives something.
    global said
    while True:
        found = ready()
        if found is not None:
            return found
        left = deadline - time.monotonic()
        if left <= 0:
            sys.exit("not in time; the shell said:\n" + said.decode(errors="replace"))
        readable, _, _ = select.select([terminal, fifo], [], [], left)
        if terminal in readable:
            try:
                said += os.read(terminal, 65536)
            except OSError:
                sys.exit("the shell has ended:\n" + said.decode(errors="replace"))
        if fifo in readable and not ready():
            reported.extend(os.read(fifo, 65536))

pid, terminal = pty.fork()
if pid == 0:
    os.execvp(task["shell"][0], task["shell"])
fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 200, 0, 0))
fifo = os.open(task["fifo"], os.O_RDWR | os.O_NONBLOCK)
reported = bytearray()

def report():
    if not reported.endswith(b"\0"):
        return None
    line = bytes(reported[:-1])
    reported.clear()
    return line.decode()

wait(lambda: True if b"READY" in said else None)
answers = []
for typed in task["lines"]:
    before = len(said)
    os.write(terminal, typed.encode() + b"\x18\x12")
    line = wait(report)
    answers.append([line, said[before:].decode(errors="replace")])
    # An empty line again.
    os.write(terminal, b"\x05\x15")
os.write(terminal, b"exit\r")
os.close(terminal)
os.waitpid(pid, 0)
print(json.dumps(answers))
"#;

/// What becomes of lines that are typed, and what the shell prints meanwhile. `None` if the shell is not installed.
fn type_in(env: &TestEnv, shell: &str, lines: &[&str]) -> Option<Vec<(String, String)>> {
    type_in_after(env, shell, "", lines)
}

/// As `type_in`, in a shell that has read these lines before ours.
fn type_in_after(env: &TestEnv, shell: &str, more: &str, lines: &[&str]) -> Option<Vec<(String, String)>> {
    if !installed(shell) {
        assert!(std::env::var_os("PROCCTL_TEST_ALL").is_none(), "{shell} is not installed");
        skipped(&format!("{shell} is not installed"));
        return None;
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let fifo = env.path(format!("line-{number}"));
    let command = interactive(env, shell, more, number, &fifo);
    let task = json!({ "shell": command, "fifo": fifo, "lines": lines });
    let call = env.python(TYPIST).arg(task.to_string()).deadline(std::time::Duration::from_secs(60));
    let call = call.env("LC_ALL", "C.UTF-8").env("TERM", "xterm").env("PYTHONUTF8", "1");
    let answers: Value = serde_json::from_str(&call.output().success()).unwrap();
    let answers = answers.as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    Some(answers.map(|answer| (text(&answer[0]), text(&answer[1]))).collect())
}

/// The command for an interactive shell with our completion, in which ^X^R writes the line into the FIFO.
fn interactive(env: &TestEnv, shell: &str, more: &str, number: usize, fifo: &Path) -> Vec<String> {
    let completions = Path::new(env!("CARGO_MANIFEST_DIR")).join("completions");
    let (completions, fifo) = (completions.display(), fifo.display());
    match shell {
        "bash" => {
            let rc = format!(
                r#"{more}
                . {completions}/procctl.bash
                bind 'set show-all-if-ambiguous on' 'set enable-bracketed-paste off' 'set page-completions off'
                bind -x '"\C-x\C-r": printf "%s\0" "$READLINE_LINE" >{fifo}'
                PS1='READY> '"#
            );
            let rc = env.file(&format!("rc-{number}"), rc);
            vec![
                "bash".into(),
                "--noprofile".into(),
                "--rcfile".into(),
                rc.display().to_string(),
                "-i".into(),
            ]
        }
        "zsh" => {
            let home = env.path(format!("zsh-{number}"));
            fs::create_dir(&home).unwrap();
            let rc = format!(
                r#"{more}
                fpath=({completions} $fpath)
                autoload -Uz compinit; compinit -u -D
                unsetopt zle_bracketed_paste prompt_sp; unset zle_bracketed_paste; LISTMAX=0
                report() {{ printf '%s\0' "$BUFFER" >{fifo} }}; zle -N report; bindkey -e; bindkey '^X^R' report
                zstyle ':completion:*' verbose yes
                PS1='READY> '"#
            );
            fs::write(home.join(".zshrc"), rc).unwrap();
            vec!["env".into(), format!("ZDOTDIR={}", home.display()), "zsh".into(), "-d".into(), "-i".into()]
        }
        _ => {
            let rc = format!(
                r#"{more}
                source {completions}/procctl.fish
                bind \cx\cr 'commandline | string collect | read -z line; printf "%s\0" (string trim -r -c \n -- $line) >{fifo}'
                function fish_prompt; echo 'READY> '; end
                function fish_greeting; end
                set -g fish_autosuggestion_enabled 0"#
            );
            let rc = env.file(&format!("rc-{number}"), rc);
            vec![
                "fish".into(),
                "--private".into(),
                "-i".into(),
                "-C".into(),
                format!("source {}", rc.display()),
            ]
        }
    }
}

/// Types each line with a TAB after it, in each shell: it must become the other one. Where that differs between the shells:
/// bash, zsh, fish; an empty one is not typed in that shell.
fn become_lines(env: &TestEnv, cases: &[(&str, [&str; 3])]) {
    for (at, shell) in SHELLS.into_iter().enumerate() {
        let cases: Vec<_> = cases.iter().filter(|(_, wanted)| !wanted[at].is_empty()).collect();
        let typed: Vec<String> = cases.iter().map(|(typed, _)| format!("{typed}\t")).collect();
        let typed: Vec<&str> = typed.iter().map(String::as_str).collect();
        let Some(answers) = type_in(env, shell, &typed) else { continue };
        let wrong: Vec<String> = cases
            .iter()
            .zip(&answers)
            .filter(|((_, wanted), (got, _))| wanted[at] != got)
            .map(|((typed, wanted), (got, said))| {
                format!("{typed:?} became {got:?}, not {:?}; the shell said {said:?}", wanted[at])
            })
            .collect();
        assert!(wrong.is_empty(), "in {shell}: {wrong:#?}");
    }
}

fn same<'a>(typed: &'a str, wanted: &'a str) -> (&'a str, [&'a str; 3]) {
    (typed, [wanted; 3])
}

/// One of each state.
fn one_of_each() -> TestEnv {
    let env = TestEnv::new();
    env.sleeper(&["--name", "alive"]);
    env.join(&env.start(&["--name", "over"], &["true"]));
    env.ok(["create", "--name", "later", "--", "true"]);
    env
}

#[test]
fn commands_and_options() {
    let env = TestEnv::new();
    become_lines(
        &env,
        &[
            same("procctl termi", "procctl terminate "),
            same("procctl is", "procctl is-alive "),
            same("procctl help ter", "procctl help terminate "),
            same("procctl --run", "procctl --run-dir "),
            same("procctl terminate --kill", "procctl terminate --kill-after "),
            same("procctl start --stdo", "procctl start --stdout "),
            same("procctl start --stdout lo", "procctl start --stdout log "),
            same("procctl start --stdout=lo", "procctl start --stdout=log "),
            same("procctl --color ne", "procctl --color never "),
            same("procctl --color=al", "procctl --color=always "),
            same("procctl kill -s HU", "procctl kill -s HUP "),
            same("procctl kill -sHU", "procctl kill -sHUP "),
            same("procctl get x exitc", "procctl get x exitcode "),
            same("procctl get x usage.user", "procctl get x usage.user_seconds "),
            same("procctl set x daemon=t", "procctl set x daemon=true "),
            // Once is enough.
            same("procctl join --timeout 5 --timeo", "procctl join --timeout 5 --timeo"),
        ],
    );
}

#[test]
fn processes_that_fit_the_command() {
    let env = one_of_each();
    let id = env.get("alive", "id");
    let by_id = (format!("procctl get {}", &id[..7]), format!("procctl get {id} "));
    let pid = env.get("alive", "pid");
    let by_pid = (format!("procctl get {}", &pid[..pid.len() - 1]), format!("procctl get {pid} "));
    let mut cases = vec![same(&by_id.0, &by_id.1)];
    // A pid may be the beginning of another number, never of a name or an id.
    cases.push(same(&by_pid.0, &by_pid.1));
    for (command, offered) in [
        ("terminate", [true, false, false]),
        ("kill -s TERM", [true, false, false]),
        ("interrupt --wait", [true, false, false]),
        ("join --timeout 5", [true, true, false]),
        ("close", [false, true, true]),
        ("start", [false, false, true]),
        ("get", [true; 3]),
        ("set", [true; 3]),
        ("logs -n 5", [true; 3]),
        ("is-alive", [true; 3]),
        ("status --json", [true; 3]),
    ] {
        for (name, offered) in ["alive", "over", "later"].iter().zip(offered) {
            let typed = format!("procctl {command} {}", &name[..3]).leak();
            if offered {
                cases.push(same(typed, format!("procctl {command} {name} ").leak()));
            } else {
                // fish looks for the letters in what else is there, and in the descriptions, too.
                cases.push((typed, [typed, typed, ""]));
                let mut words = vec!["__complete", "fish"];
                words.extend(command.split(' '));
                words.push("");
                let answer = env.ok(words);
                assert!(!answer.contains(&format!("\n{name}\t")), "{command}: {answer}");
            }
        }
    }
    become_lines(&env, &cases);
}

#[test]
fn names_that_need_quotes() {
    let env = TestEnv::new();
    for name in [
        "our web's",
        "étude:1",
        "Q$x\"y",
        "*star",
        "Process-1:2",
        "back\\slash",
        "a;b&c|d",
        "~tilde",
        "#hash",
    ] {
        env.sleeper(&["--name", name]);
    }
    become_lines(
        &env,
        &[
            (
                "procctl get our",
                [r"procctl get our\ web\'s ", r"procctl get our\ web\'s ", r"procctl get our\ web\'s "],
            ),
            (
                "procctl get our\\ w",
                [r"procctl get our\ web\'s ", r"procctl get our\ web\'s ", r"procctl get our\ web\'s "],
            ),
            (
                "procctl get 'our w",
                [
                    r"procctl get 'our web'\''s' ",
                    r"procctl get 'our web'\''s' ",
                    r"procctl get 'our web\'s' ",
                ],
            ),
            (
                "procctl get \"our w",
                ["procctl get \"our web's\" ", "procctl get \"our web's\" ", "procctl get \"our web's\" "],
            ),
            same("procctl get étu", "procctl get étude:1 "),
            same("procctl get étude:", "procctl get étude:1 "),
            same("procctl get Process-1:", "procctl get Process-1:2 "),
            (
                "procctl get Q",
                [r#"procctl get Q\$x\"y "#, r#"procctl get Q\$x\"y "#, r#"procctl get Q\$x\"y "#],
            ),
            (
                "procctl get \"Q",
                [r#"procctl get "Q\$x\"y" "#, r#"procctl get "Q\$x\"y" "#, r#"procctl get "Q\$x\"y" "#],
            ),
            (
                "procctl get back",
                [r"procctl get back\\slash ", r"procctl get back\\slash ", r"procctl get back\\slash "],
            ),
            (
                "procctl get a\\;",
                [r"procctl get a\;b\&c\|d ", r"procctl get a\;b\&c\|d ", r"procctl get a\;b\&c\|d "],
            ),
            // For fish a star is a wildcard there, also in quotes.
            ("procctl get '*s", ["procctl get '*star' ", "procctl get '*star' ", ""]),
            ("procctl get \\~", [r"procctl get \~tilde ", r"procctl get \~tilde ", r"procctl get \~tilde "]),
            ("procctl get \\#", [r"procctl get \#hash ", r"procctl get \#hash ", r"procctl get \#hash "]),
        ],
    );
}

#[test]
fn files_directories_and_commands() {
    let env = TestEnv::new();
    fs::create_dir(env.path("direc tory")).unwrap();
    env.file("file-1.txt", "");
    std::os::unix::fs::symlink("/bin/true", env.path("bin/only-here-x")).unwrap();
    become_lines(
        &env,
        &[
            ("procctl start --cwd dir", [r"procctl start --cwd direc\ tory/"; 3]),
            ("procctl start --cwd=dir", [r"procctl start --cwd=direc\ tory/"; 3]),
            // zsh makes do with a file where there is no directory.
            (
                "procctl start --cwd fil",
                ["procctl start --cwd fil", "procctl start --cwd file-1.txt ", "procctl start --cwd fil"],
            ),
            same("procctl start --stdin fil", "procctl start --stdin file-1.txt "),
            same("procctl start --stdin=fil", "procctl start --stdin=file-1.txt "),
            same("procctl run -- only-h", "procctl run -- only-here-x "),
            same("procctl run -n x -- only-here-x fil", "procctl run -n x -- only-here-x file-1.txt "),
            same("procctl set x authkey-file=fil", "procctl set x authkey-file=file-1.txt "),
        ],
    );
}

/// bash-completion knows how to complete a command within a command; without it there are names of commands, and files.
#[test]
fn the_arguments_of_the_command_with_bash_completion() {
    const BASH_COMPLETION: &str = "/usr/share/bash-completion/bash_completion";
    if !Path::new(BASH_COMPLETION).exists() {
        skipped("bash-completion is not installed");
        return;
    }
    let env = one_of_each();
    let more = format!(". {BASH_COMPLETION}; complete -W 'of-its-own' only-here-x");
    std::os::unix::fs::symlink("/bin/true", env.path("bin/only-here-x")).unwrap();
    let lines = ["procctl run -n x -- only-here-x of\t", "procctl run -- only-h\t", "procctl get ali\t"];
    let Some(answers) = type_in_after(&env, "bash", &more, &lines) else { return };
    let lines: Vec<&str> = answers.iter().map(|(line, _)| line.as_str()).collect();
    let wanted =
        ["procctl run -n x -- only-here-x of-its-own ", "procctl run -- only-here-x ", "procctl get alive "];
    assert_eq!(lines, wanted);
}

#[test]
fn the_run_directory_of_the_line_is_asked() {
    let env = TestEnv::new();
    let other = env.path("other");
    let other = other.to_str().unwrap();
    env.ok(["--run-dir", other, "create", "--name", "elsewhere", "--", "true"]);
    become_lines(
        &env,
        &[
            same("procctl get else", "procctl get else"),
            same("procctl --run-dir other get else", "procctl --run-dir other get elsewhere "),
            same("procctl get --run-dir=other else", "procctl get --run-dir=other elsewhere "),
            same("procctl --run-dir none get else", "procctl --run-dir none get else"),
        ],
    );
    assert!(!env.path("none").exists(), "it was made");
    assert!(!env.run_dir().exists(), "it was made");
}

#[test]
fn descriptions_are_shown() {
    let env = one_of_each();
    let id = env.get("alive", "id");
    for shell in ["zsh", "fish"] {
        let Some(answers) = type_in(&env, shell, &["procctl terminate \t\t"]) else { continue };
        let said = &answers[0].1;
        for words in [format!("{id}, started: sleep"), "alive, started: sleep".to_owned()] {
            assert!(said.contains(&words), "{shell} does not show {words:?}: {said:?}");
        }
    }
}

#[test]
fn names_come_before_ids() {
    let env = TestEnv::new();
    // Every id is sorted before these.
    for name in ["zzzzzzzz1", "zzzzzzzz2"] {
        env.sleeper(&["--name", name]);
    }
    // The second key takes the first one that is offered; bash only shows them.
    for (shell, line) in [("zsh", "procctl terminate zzzzzzzz1"), ("fish", "procctl terminate zzzzzzzz1 ")] {
        let Some(answers) = type_in(&env, shell, &["procctl terminate \t\t"]) else { continue };
        assert_eq!(answers[0].0, line, "{shell}: {answers:?}");
    }
    if let Some(answers) = type_in(&env, "bash", &["procctl terminate \t\t"]) {
        let said = &answers[0].1;
        assert!(said.find("zzzzzzzz2") < said.find(&env.get("zzzzzzzz1", "id")), "bash: {said:?}");
    }
}

#[test]
fn nothing_is_changed_by_looking() {
    let env = TestEnv::new();
    let id = env.sleeper(&["--name", "orphan"]);
    let before = fs::read(env.run_dir().join(format!("processes/{}/{id}/record.json", &id[..2]))).unwrap();
    let monitor = env.monitor_pid(&id);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(monitor), nix::sys::signal::Signal::SIGKILL).unwrap();
    eventually("the monitor is dead", || is_gone(monitor).then_some(()));
    let offered = env.ok(["__complete", "fish", "terminate", ""]);
    assert!(offered.contains("orphan\t"), "{offered}");
    let after = fs::read(env.run_dir().join(format!("processes/{}/{id}/record.json", &id[..2]))).unwrap();
    assert_eq!(before, after);
}

#[test]
fn a_process_that_ended_without_its_monitor_is_not_offered_as_live() {
    let env = TestEnv::new();
    let id = env.sleeper(&["--name", "orphan"]);
    let (monitor, pid) = (env.monitor_pid(&id), env.pid(&id));
    for pid in [monitor, pid] {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
        eventually("it is dead", || is_gone(pid).then_some(()));
    }
    assert_eq!(env.ok(["__complete", "fish", "terminate", ""]), "nothing 0 - 0");
    assert!(env.ok(["__complete", "fish", "close", ""]).contains("orphan\t"));
}

#[test]
fn of_many_only_those_that_fit_are_read() {
    let env = one_of_each();
    for _ in 0..5 {
        env.join(&env.start(&[], &["true"]));
    }
    let trace = env.path("trace");
    let traced = env.program("strace").args(["-qq", "-e", "trace=open,openat,openat2", "-o"]).arg(&trace);
    if !can_trace(&env) {
        return;
    }
    let offered = traced.args(["procctl", "__complete", "fish", "terminate", ""]).output().success();
    assert!(offered.contains("\nalive\t"), "{offered}");
    let read = fs::read_to_string(trace).unwrap().matches("record.json").count();
    assert_eq!(read, 1, "records of ended processes were read");
}

#[test]
fn relatives_in_a_managed_process() {
    let env = TestEnv::new();
    let said = env.ok(["run", "--", "procctl", "__complete", "fish", "get", "@"]);
    assert!(said.contains("\n@self\t") && said.contains("\n@parent\tpid "), "{said}");
    let said = env.ok(["__complete", "fish", "get", "@"]);
    assert!(!said.contains("\n@"), "{said}");
    let said = env.ok(["run", "--", "procctl", "__complete", "fish", "join", "@"]);
    assert!(!said.contains("\n@"), "{said}");
}

#[test]
fn relatives_are_completed() {
    let env = TestEnv::new();
    let id = env.sleeper(&[]);
    for shell in SHELLS {
        let lines = ["procctl get @s\t", "procctl get @par\t"];
        let Some(answers) = type_in_after(&env, shell, &format!("export PROCCTL_ID={id}"), &lines) else {
            continue;
        };
        let lines: Vec<&str> = answers.iter().map(|(line, _)| line.as_str()).collect();
        assert_eq!(lines, ["procctl get @self ", "procctl get @parent "], "{shell}");
    }
}

#[test]
fn nothing_asked_in_vain_is_an_error() {
    let env = TestEnv::new();
    env.file("file", "");
    for words in [
        &["__complete"][..],
        &["__complete", "tcsh", "x"],
        &["__complete", "bash"],
        &["__complete", "bash", "", ""],
        &["__complete", "bash", "procctl --color=", "x=y"],
        &["__complete", "fish"],
        &["__complete", "fish", "--run-dir", "file", "get", ""],
        &["__complete", "zsh", "--run-dir=", "get", ""],
    ] {
        env.procctl(words).output().exits(0).quiet();
    }
    assert!(!env.run_dir().exists());
}

#[test]
fn control_characters_of_a_command_are_not_shown_raw() {
    let env = TestEnv::new();
    env.start(&["--name", "nasty"], &["sleep", "1000\u{1b}[31m\n\t"]);
    let said = env.procctl(["__complete", "fish", "get", ""]).output();
    assert!(!said.stdout.contains(&0x1b));
    assert!(said.success().lines().skip(1).all(|line| line.split('\t').count() == 2), "{said:?}");
}

/// An environment can hold any name, and what is offered is inserted as it is.
#[test]
fn what_has_control_characters_is_not_offered() {
    let env = TestEnv::new();
    for (shell, words) in [
        ("bash", &["procctl start -e ", ""][..]),
        ("zsh", &["start", "-e", ""]),
        ("fish", &["start", "-e", ""]),
    ] {
        let call = env.procctl(["__complete", shell]).args(words).env("PLAIN", "1");
        let said = call.env("TWO\nLINES", "1").env("E\u{1b}[2J", "1").output().success();
        assert!(said.lines().any(|line| line.starts_with("PLAIN")), "{shell}: {said}");
        assert!(
            !said.contains("LINES") && !said.contains('\u{1b}') && !said.contains("2J"),
            "{shell}: {said:?}"
        );
    }
}
