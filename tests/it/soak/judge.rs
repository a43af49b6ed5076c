//! Each operation: made into a line for a shell, run, and its answer held against what the model allows.

use std::time::Instant;

use serde_json::Value;

use super::Soak;
use super::model::{Closed, Model, Start, Verdict, Wide, Worker, broken, stamp};
use super::operation::{How, Kind, Operation, Plan, Tag, Whom};

/// An operation that has been given to a shell.
pub(super) struct Begun {
    pub(super) words: Vec<String>,
    at: Instant,
    /// Those that it is about, whatever else happens.
    about: Vec<Tag>,
    /// Those that it must see, if it looks at all: they were there before.
    settled: Vec<Tag>,
    /// Of those that it signals: whose children must be gone if the whole tree is ended.
    trees: Vec<Tag>,
}

/// The answer.
pub(super) struct Answer {
    pub(super) status: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
    /// Something of it was killed.
    pub(super) attacked: bool,
}

/// Python's exitcode of the status that `join` and `run` exit with.
pub(super) fn exitcode_of(status: i32) -> i32 {
    if status > 128 { 128 - status } else { status }
}

fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

impl Begun {
    /// The line for the shell.
    pub(super) fn line(&self) -> String {
        self.words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
    }
}

/// The script of a process, and what it is given.
fn command(soak: &Soak, tag: Tag, plan: &Plan) -> Vec<String> {
    let ready = r#"echo "ready $0 $$ $PROCCTL_ID" >"$1"; read -r code <"$2"; exit "$code""#;
    let script = match plan.kind {
        Kind::Missing => return vec!["no-such-command".to_owned(), tag.to_string()],
        Kind::Shell => unreachable!("the soak starts those itself"),
        Kind::AtOnce => format!("exit {}", plan.code),
        Kind::BySignal(signal) => format!("kill -{signal} $$"),
        Kind::AtGate => ready.to_owned(),
        Kind::Stubborn => format!("trap '' TERM INT; {ready}"),
        Kind::Forks => format!(
            r#"sleep 1000 & echo "kid $0 $!" >"$1"; setsid sleep 1000 & echo "kid $0 $!" >"$1"; {ready}"#
        ),
    };
    let script = format!("echo \"out $0\"; {script}");
    let (hello, gate) = (soak.hello(), soak.gate_path(tag));
    let words = ["sh", "-c", &script, &tag.to_string(), hello.to_str().unwrap(), gate.to_str().unwrap()];
    words.map(str::to_owned).to_vec()
}

/// Makes the words of an operation and notes what it may do from now on. None if there is nothing that it could be about.
pub(super) fn begin(soak: &Soak, shell: usize, key: (u16, u32), operation: &Operation) -> Option<Begun> {
    let mut model = soak.model();
    let settled =
        model.workers.iter().filter(|(_, worker)| worker.can_be_known()).map(|(tag, _)| *tag).collect();
    let mut begun =
        Begun { words: Vec::new(), at: Instant::now(), about: Vec::new(), settled, trees: Vec::new() };
    let mut words: Vec<String> = Vec::new();
    let mut say = |text: &str| words.extend(text.split(' ').map(str::to_owned));
    match operation {
        Operation::Launch(how, tag, plan) => {
            begun.about = vec![*tag];
            words = launch(soak, &mut model, shell, *how, *tag, plan);
        }
        Operation::StartRecorded(tag) => {
            say(&format!("start {}", model.id_of(*tag)?));
            begun.about = vec![*tag];
            model.worker(*tag).starts += 1;
        }
        Operation::Join { whom, timeout, any, json } => {
            begun.about = whom.tags();
            say("join");
            words.extend(reference(&model, whom)?);
            words.extend(timeout.map(|timeout| format!("--timeout={timeout}")));
            words.extend(any.then(|| "--any".to_owned()));
            words.extend(json.then(|| "--json".to_owned()));
        }
        Operation::Signal { command, signal, whom, wait, kill_after, tree } => {
            say(command);
            words.extend(reference(&model, whom)?);
            words.extend(wait.then(|| "--wait".to_owned()));
            words.extend(tree.then(|| "--tree".to_owned()));
            words.extend(kill_after.then(|| "--kill-after=0.1".to_owned()));
            let name = if let Whom::Name(name) = whom { Some(name.clone()) } else { None };
            let signal = Wide { name, signal: *signal, then_kill: *kill_after, tree: *tree };
            begin_signal(&mut model, &mut begun, key, whom, signal);
        }
        Operation::IsAlive(tag) => {
            say(&format!("is-alive {}", model.id_of(*tag)?));
            begun.about = vec![*tag];
        }
        Operation::Status { whom, alive, children, json } => {
            say("status");
            if let Whom::Id(tag) = whom {
                say(model.id_of(*tag)?);
                begun.about = vec![*tag];
            }
            words.extend(json.then(|| "--json".to_owned()));
            words.extend(alive.then(|| "--alive".to_owned()));
            if *alive {
                begun.settled.retain(|tag| model.workers[tag].is_certainly_alive());
            }
            words.extend(children.then(|| "--children".to_owned()));
        }
        Operation::Get(tag, field) => {
            say(&format!("get {}", model.id_of(*tag)?));
            words.extend((!field.is_empty()).then(|| (*field).to_owned()));
            begun.about = vec![*tag];
        }
        Operation::Rename(tag, name) => {
            say(&format!("set {} name={name}", model.id_of(*tag)?));
            begun.about = vec![*tag];
            let wide: Vec<Wide> = model.wide.values().cloned().collect();
            let worker = model.worker(*tag);
            worker.renamed = true;
            for signal in wide {
                signal.may_reach(worker);
            }
        }
        Operation::Logs(tag) => {
            say(&format!("logs {}", model.id_of(*tag)?));
            begun.about = vec![*tag];
        }
        Operation::Close(tag) => {
            say(&format!("close {}", model.id_of(*tag)?));
            begun.about = vec![*tag];
            may_be_closed(model.worker(*tag));
            model.worker(*tag).closers += 1;
        }
        Operation::CloseAll { older_than } => {
            say("close --all");
            words.extend(older_than.map(|time| format!("--older-than={time}")));
            model.workers.values_mut().for_each(may_be_closed);
            // What ends from now on may be seen ended by it.
            model.closing += 1;
            begun.settled.retain(|tag| model.workers[tag].told.is_some());
        }
        Operation::Wrong(wrong) => words.extend(wrong.iter().map(|word| (*word).to_owned())),
    }
    begun.words = words;
    model.about.insert(key, begun.about.clone());
    Some(begun)
}

/// Notes whom a signal may reach from now on.
fn begin_signal(model: &mut Model, begun: &mut Begun, key: (u16, u32), whom: &Whom, signal: Wide) {
    begun.about = whom.tags();
    if signal.tree {
        model.trees.insert(key);
    }
    for &tag in &begun.about {
        let worker = model.worker(tag);
        let is_whole = worker.is_certainly_alive() && worker.ready.is_some() && worker.attacked.is_empty();
        if signal.tree && is_whole {
            begun.trees.push(tag);
        }
    }
    if !begun.about.is_empty() {
        for &tag in &begun.about {
            signal.may_reach(model.worker(tag));
        }
        return;
    }
    for worker in model.workers.values_mut() {
        signal.may_reach(worker);
    }
    model.wide.insert(key, signal);
    if matches!(whom, Whom::All) {
        model.managed_shells_may_end();
    }
}

/// Somebody closes what has ended, now or while the command runs.
fn may_be_closed(worker: &mut Worker) {
    if worker.closed == Closed::No {
        worker.closed = Closed::Maybe;
    }
}

fn launch(soak: &Soak, model: &mut Model, shell: usize, how: How, tag: Tag, plan: &Plan) -> Vec<String> {
    let mut words = vec![["start", "create", "run"][how as usize].to_owned()];
    let option = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
    let other = plan.parent.and_then(|slot| model.current[usize::from(slot)]);
    let other = other.filter(|other| model.shells[*other].ended.is_none());
    if let Some(other) = other {
        words.extend(option(&["--parent", &model.shells[other].pid.to_string()]));
    }
    plan.name.iter().for_each(|name| words.extend(option(&["-n", name])));
    words.extend(plan.unique.then(|| "--unique".to_owned()));
    words.extend(plan.json.then(|| "--json".to_owned()));
    plan.daemon.iter().for_each(|daemon| words.push(if *daemon { "-d" } else { "--no-daemon" }.to_owned()));
    match plan.stdout {
        "" => {}
        "file" => {
            words.extend(option(&["--stdout", soak.env.path(format!("stdout-{tag}")).to_str().unwrap()]));
        }
        word => words.extend(option(&["--stdout", word, "--stderr", "stdout"])),
    }
    if plan.authkey {
        words.extend(option(&["--authkey-file", soak.key_file().to_str().unwrap()]));
    }
    words.push("--".to_owned());
    words.extend(command(soak, tag, plan));
    if plan.kind.waits_at_gate() {
        soak.make_gate(tag);
    }
    let mut worker = Worker::new(plan.clone(), shell, other.unwrap_or(shell));
    match plan.kind {
        Kind::AtOnce => worker.may_end_with(plan.code),
        Kind::BySignal(signal) => worker.may_end_with(-signal),
        _ => {}
    }
    worker.starts = u32::from(how != How::Create);
    worker.created = how == How::Create;
    worker.run = how == How::Run;
    model.wide.values().for_each(|signal| signal.may_reach(&mut worker));
    if model.closing > 0 {
        worker.closed = Closed::Maybe;
    }
    model.workers.insert(tag, worker);
    words
}

/// The words that name processes. None if they have no ids.
fn reference(model: &Model, whom: &Whom) -> Option<Vec<String>> {
    Some(match whom {
        Whom::Id(tag) => vec![model.id_of(*tag)?.to_owned()],
        Whom::Prefix(tag) => vec![model.id_of(*tag)?[..6].to_owned()],
        Whom::Pid(tag) => vec![model.workers.get(tag)?.pid?.to_string()],
        Whom::Both(one, other) => vec![model.id_of(*one)?.to_owned(), model.id_of(*other)?.to_owned()],
        Whom::Name(name) => vec![name.clone()],
        Whom::Own => Vec::new(),
        Whom::All => vec!["--all".to_owned()],
    })
}

/// Notes an operation in the histories of those that it is about.
pub(super) fn note(model: &mut Model, begun: &Begun, who: &str, answer: Option<&Answer>) {
    let how = answer.map_or("the shell was ended".to_owned(), |answer| {
        let attacked = if answer.attacked { ", attacked" } else { "" };
        let out: String = answer.stdout.chars().take(80).collect();
        format!("{}{attacked} {out:?} {:?}", answer.status, answer.stderr.trim_end())
    });
    // Where the process is told where to find the soak begins what need not be read.
    let words = begun.words.iter().take_while(|word| !word.contains("/hello"));
    let words = words.map(String::as_str).collect::<Vec<_>>().join(" ");
    let line = format!("{} to {} {who}: {words} -> {how}", stamp(begun.at), stamp(Instant::now()));
    for tag in &begun.about {
        if let Some(worker) = model.workers.get_mut(tag) {
            worker.history.push(line.clone());
        }
    }
    model.log.push_back(line);
    if model.log.len() > 400 {
        model.log.pop_front();
    }
}

/// Everything that is to be said of an answer. Without one, the shell was killed, and nothing is known.
pub(super) fn judge(
    model: &mut Model,
    key: (u16, u32),
    operation: &Operation,
    begun: &Begun,
    answer: Option<&Answer>,
) -> Verdict {
    // A procctl whose shell was killed may still be at work: what it may do, it may do until the next rest.
    let Some(answer) = answer else { return Ok(()) };
    model.wide.remove(&key);
    match operation {
        Operation::CloseAll { .. } => model.closing -= 1,
        Operation::Close(tag) => model.worker(*tag).closers -= 1,
        _ => {}
    }
    if model.closing == 0 {
        let survived = |worker: &&mut Worker| {
            worker.closed == Closed::Maybe && worker.closers == 0 && worker.is_certainly_alive()
        };
        model.workers.values_mut().filter(survived).for_each(|worker| worker.closed = Closed::No);
    }
    if answer.attacked {
        return if let Operation::Launch(How::Start, ..) | Operation::StartRecorded(_) = operation {
            judge_launch(model, operation, begun, answer)
        } else {
            Ok(())
        };
    }
    check_form(begun, answer)?;
    match operation {
        Operation::Launch(..) | Operation::StartRecorded(_) => judge_launch(model, operation, begun, answer),
        Operation::Join { whom, timeout, any, .. } => {
            judge_join(model, begun, answer, whom, timeout.is_some(), *any)
        }
        Operation::Signal { command, signal, whom, wait, kill_after, .. } => {
            judge_signal(model, begun, answer, command, *signal, whom, *wait || *kill_after)
        }
        Operation::IsAlive(tag) => match answer.status {
            0 => model.seen_alive(*tag, begun.at, "is-alive"),
            1 if model.worker(*tag).may_be_initial(begun.at) => Ok(()),
            1 => model.seen_ended(*tag, "is-alive"),
            _ => excuse(model, *tag, begun, answer),
        },
        Operation::Status { whom, alive, children, json } => {
            judge_status(model, begun, answer, whom, *alive, *children, *json)
        }
        Operation::Get(tag, field) => judge_get(model, begun, answer, *tag, field),
        Operation::Rename(tag, _) => {
            if answer.status == 0 || answer.stderr.contains("is unique") {
                Ok(())
            } else {
                excuse(model, *tag, begun, answer)
            }
        }
        Operation::Logs(tag) => judge_logs(model, begun, answer, *tag),
        Operation::Close(tag) => {
            let worker = model.worker(*tag);
            match answer.status {
                0 if worker.is_certainly_alive() => Err(broken(*tag, "closed, and it lives")),
                0 => {
                    worker.closed = Closed::Yes;
                    worker.gone.get_or_insert_with(Instant::now);
                    Ok(())
                }
                _ if answer.stderr.contains("it is alive") => model.seen_alive(*tag, begun.at, "close"),
                _ if answer.stderr.contains("its end is not recorded yet") => model.seen_ended(*tag, "close"),
                _ if worker.starts > 0 && answer.stderr.contains("started") => Ok(()),
                _ => excuse(model, *tag, begun, answer),
            }
        }
        Operation::CloseAll { older_than } => {
            if answer.status == 0 && older_than.is_none() {
                for tag in &begun.settled {
                    let worker = model.worker(*tag);
                    worker.closed = Closed::Yes;
                    worker.gone.get_or_insert_with(Instant::now);
                }
            }
            // Between the look and the closing somebody else may have started what was only recorded.
            let allowed = answer.status == 0 || answer.stderr.contains("started");
            if allowed { Ok(()) } else { Err(broken(None, wrong(begun, answer))) }
        }
        Operation::Wrong(_) => {
            if answer.status == 125 {
                Ok(())
            } else {
                Err(broken(None, wrong(begun, answer)))
            }
        }
    }
}

fn wrong(begun: &Begun, answer: &Answer) -> String {
    let Answer { status, stdout, stderr, .. } = answer;
    format!(
        "procctl {} exited with {status}, which nothing explains; stdout {stdout:?}, stderr {stderr:?}",
        begun.words.join(" ")
    )
}

/// Errors have one form, and go with a status that says so.
fn check_form(begun: &Begun, answer: &Answer) -> Verdict {
    let tag = begun.about.first().copied();
    let said = |prefix: &str| answer.stderr.lines().filter(|line| line.starts_with(prefix)).count();
    let strange = said("procctl: ") + said("hint: ") != answer.stderr.lines().count();
    let control = answer.stderr.chars().any(|c| c.is_control() && c != '\n');
    let silent = answer.status == 125 && said("procctl: ") == 0;
    if strange || control || silent { Err(broken(tag, wrong(begun, answer))) } else { Ok(()) }
}

/// Why a command that names a process may fail.
fn excuse(model: &mut Model, tag: Tag, begun: &Begun, answer: &Answer) -> Verdict {
    let worker = model.worker(tag);
    let said = |words: &str| answer.stderr.contains(words);
    let may_be_absent =
        worker.closed != Closed::No || matches!(worker.start, Start::Unknown | Start::Refused);
    let excused = answer.status == 125
        && (may_be_absent && (said("no process '") || said("was closed") || said("no live process"))
            || said("no live process with pid") && worker.doomed.is_some()
            || said("not been started") && worker.may_be_initial(begun.at)
            // A look at what is being removed.
            || may_be_absent && said("No such file or directory"));
    if excused { Ok(()) } else { Err(broken(tag, wrong(begun, answer))) }
}

fn judge_launch(model: &mut Model, operation: &Operation, begun: &Begun, answer: &Answer) -> Verdict {
    let (how, tag) = match operation {
        Operation::Launch(how, tag, _) => (*how, *tag),
        Operation::StartRecorded(tag) => (How::Start, *tag),
        _ => unreachable!("no launch"),
    };
    let is_new = matches!(operation, Operation::Launch(..));
    if how == How::Run {
        return judge_run(model, begun, answer, tag);
    }
    let parent = model.worker(tag).parent;
    let parent_ended = model.shells.get(parent).is_some_and(|shell| shell.ended.is_some());
    let worker = model.worker(tag);
    match answer.status {
        0 => {
            if worker.plan.kind == Kind::Missing && how == How::Start {
                return Err(broken(tag, "started, and there is no such command"));
            }
            if worker.start != Start::Started {
                worker.start = if how == How::Create { Start::Recorded } else { Start::Started };
            }
            worker.answered = Some(Instant::now());
            let id = if worker.plan.json && is_new {
                let record: Value = serde_json::from_str(&answer.stdout)
                    .map_err(|e| broken(tag, format!("{e}: {}", answer.stdout)))?;
                record["id"].as_str().unwrap().to_owned()
            } else {
                answer.stdout.trim_end().to_owned()
            };
            let unique = worker
                .plan
                .name
                .clone()
                .filter(|_| worker.plan.unique && how == How::Start && !worker.renamed);
            model.knows_id(tag, &id)?;
            if let Some(name) = unique
                && let Some(other) = model.certain_bearer(&name, tag, begun.at)
            {
                return Err(broken(tag, format!("unique, and {other} has the name {name} and is alive")));
            }
            if parent_ended && model.worker(tag).plan.daemon == Some(true) {
                model.worker(tag).may_get(15);
            }
            Ok(())
        }
        _ if answer.attacked && (!is_new || answer.status != 125) => Ok(()),
        _ => {
            let said = |words: &str| answer.stderr.contains(words);
            let why = if answer.status == 127 {
                worker.plan.kind == Kind::Missing
            } else if answer.status != 125 {
                false
            } else if answer.attacked {
                true
            } else if said("a live process named") {
                let (name, unique, renamed) = (worker.plan.name.clone(), worker.plan.unique, worker.renamed);
                unique && (renamed || model.possible_bearer(&name.unwrap(), tag, begun.at))
            } else if said("--parent ") {
                (said("no such process") || said("it has ended")) && parent_ended
            } else if said("its parent has ended") {
                parent_ended
            } else if said("started only once") {
                !is_new
                    && (worker.starts > 1 || worker.start != Start::Recorded || worker.closed != Closed::No)
            } else if !is_new {
                return excuse(model, tag, begun, answer);
            } else {
                false
            };
            if !why {
                return Err(broken(tag, wrong(begun, answer)));
            }
            if is_new {
                model.worker(tag).start = Start::Refused;
            }
            Ok(())
        }
    }
}

fn judge_run(model: &mut Model, begun: &Begun, answer: &Answer, tag: Tag) -> Verdict {
    let parent = model.worker(tag).parent;
    let parent_ended = model.shells.get(parent).is_some_and(|shell| shell.ended.is_some());
    let worker = model.worker(tag);
    let refused = match answer.status {
        127 => worker.plan.kind == Kind::Missing,
        125 if answer.stderr.contains("a live process named") => {
            let name = worker.plan.name.clone().unwrap();
            model.possible_bearer(&name, tag, begun.at)
        }
        125 => answer.stderr.contains("--parent ") && parent_ended,
        _ => false,
    };
    let worker = model.worker(tag);
    if refused {
        worker.start = Start::Refused;
        return Ok(());
    }
    if answer.status == 125 {
        return Err(broken(tag, wrong(begun, answer)));
    }
    worker.start = Start::Started;
    worker.answered = Some(Instant::now());
    model.tells(tag, exitcode_of(answer.status), "run")
}

fn judge_join(
    model: &mut Model,
    begun: &Begun,
    answer: &Answer,
    whom: &Whom,
    timeout: bool,
    any: bool,
) -> Verdict {
    let tag = begun.about.first().copied();
    match answer.status {
        124 if timeout => {
            if !any && let [tag] = begun.about[..] {
                return model.seen_alive(tag, begun.at, "join").or_else(|violation| {
                    // It waits for the record, too, and nobody may have been able to write that yet.
                    let said = answer.stderr.contains("its end is not recorded yet")
                        || stopped_for_a_while(model, tag);
                    if said { Ok(()) } else { Err(violation) }
                });
            }
            Ok(())
        }
        125 if answer.stderr.contains("is lost") => match begun.about[..] {
            [tag] => model.loses(tag, "join", false),
            _ => Ok(()),
        },
        125 if answer.stderr.contains("runs inside of it") => match begun.about[..] {
            [tag] => Err(broken(tag, wrong(begun, answer))),
            // The soak's own shells are among all.
            _ => Ok(()),
        },
        125 => match whom {
            Whom::Id(tag) | Whom::Prefix(tag) | Whom::Pid(tag) => excuse(model, *tag, begun, answer),
            Whom::Both(one, other) => {
                let first = excuse(model, *one, begun, answer);
                first.or_else(|_| excuse(model, *other, begun, answer))
            }
            // Who has which name, and which children, changes all the time.
            Whom::Name(_) | Whom::Own | Whom::All => Ok(()),
        },
        status => match begun.about[..] {
            [tag] => model.tells(tag, exitcode_of(status), "join"),
            [_, _] if status == 0 && !any => {
                let mut verdict = Ok(());
                for tag in begun.about.clone() {
                    verdict = verdict.and_then(|()| model.tells(tag, 0, "join"));
                }
                verdict
            }
            [one, other] if !any => {
                let code = exitcode_of(status);
                let may = model.worker(one).may.contains(&code) || model.worker(other).may.contains(&code);
                if may { Ok(()) } else { Err(broken(tag, wrong(begun, answer))) }
            }
            _ => Ok(()),
        },
    }
}

/// Its monitor was made to stop at some time.
fn stopped_for_a_while(model: &Model, tag: Tag) -> bool {
    model.workers[&tag].was_stopped || !model.workers[&tag].attacked.is_empty()
}

fn judge_signal(
    model: &mut Model,
    begun: &Begun,
    answer: &Answer,
    command: &str,
    signal: i32,
    whom: &Whom,
    wait: bool,
) -> Verdict {
    if answer.status != 0 {
        return match whom {
            Whom::Id(tag) | Whom::Prefix(tag) | Whom::Pid(tag) => excuse(model, *tag, begun, answer),
            Whom::Both(one, other) => {
                let first = excuse(model, *one, begun, answer);
                first.or_else(|_| excuse(model, *other, begun, answer))
            }
            Whom::Name(_) | Whom::All if answer.status == 125 => Ok(()),
            _ => Err(broken(None, wrong(begun, answer))),
        };
    }
    for tag in begun.about.clone() {
        let worker = model.worker(tag);
        worker.got(signal, &format!("procctl {command} was told to"));
        worker.look();
        if wait && worker.start == Start::Started {
            if worker.process.is_some() && worker.ended.is_none() {
                return Err(broken(tag, format!("procctl {command} waited for its end, and it runs")));
            }
            worker.ended.get_or_insert_with(Instant::now);
        }
        let ends = matches!(signal, 1 | 2 | 9 | 15);
        if ends && begun.trees.contains(&tag) && model.worker(tag).attacked.is_empty() {
            for kid in &model.worker(tag).kids {
                if super::is_alive(&kid.process) {
                    return Err(broken(tag, format!("procctl {command} --tree left its child {}", kid.pid)));
                }
            }
        }
    }
    Ok(())
}

fn judge_status(
    model: &mut Model,
    begun: &Begun,
    answer: &Answer,
    whom: &Whom,
    alive: bool,
    children: bool,
    json: bool,
) -> Verdict {
    if answer.status != 0 {
        return match whom {
            Whom::Id(tag) => excuse(model, *tag, begun, answer),
            _ if children && answer.status == 125 => Ok(()),
            _ => Err(broken(None, wrong(begun, answer))),
        };
    }
    if !json {
        let control = answer.stdout.chars().any(|c| c.is_control() && c != '\n');
        return if control { Err(broken(None, wrong(begun, answer))) } else { Ok(()) };
    }
    let rows: Vec<Value> =
        serde_json::from_str(&answer.stdout).map_err(|e| broken(None, format!("{e}: {}", answer.stdout)))?;
    let mut shown = Vec::new();
    for row in &rows {
        model.record(row, begun.at, "status", false)?;
        let tag = model.tag_of(row).unwrap();
        if alive && row["state"] != "started" {
            return Err(broken(tag, format!("status --alive shows {row}")));
        }
        if shown.contains(&tag) {
            return Err(broken(tag, "status shows it twice"));
        }
        shown.push(tag);
    }
    if children || !matches!(whom, Whom::All) {
        return Ok(());
    }
    let missing = begun.settled.iter().find(|tag| {
        let worker = &model.workers[*tag];
        let is_there = worker.closed == Closed::No && (!alive || worker.is_certainly_alive());
        is_there && !shown.contains(*tag)
    });
    missing.map_or(Ok(()), |tag| Err(broken(*tag, "status does not show it")))
}

fn judge_get(model: &mut Model, begun: &Begun, answer: &Answer, tag: Tag, field: &str) -> Verdict {
    if answer.status != 0 {
        return excuse(model, tag, begun, answer);
    }
    let said = answer.stdout.trim_end();
    match field {
        "" => {
            let record = serde_json::from_str(said).map_err(|e| broken(tag, format!("{e}: {said}")))?;
            model.record(&record, begun.at, "get", false)
        }
        "state" => match said {
            "started" => model.seen_alive(tag, begun.at, "get state"),
            "stopped" => model.seen_ended(tag, "get state"),
            "initial" if model.worker(tag).may_be_initial(begun.at) => Ok(()),
            other => Err(broken(tag, format!("state {other}"))),
        },
        "exitcode" => match said.parse() {
            Ok(code) => model.tells(tag, code, "get exitcode"),
            Err(_) if said.is_empty() => Ok(()),
            Err(_) => Err(broken(tag, format!("exitcode {said}"))),
        },
        "pid" => match (said.parse::<i32>().ok(), model.worker(tag).pid) {
            (Some(told), Some(known)) if told != known => {
                Err(broken(tag, format!("get pid says {told}, and it is {known}")))
            }
            _ => Ok(()),
        },
        _ => {
            let good =
                if model.worker(tag).plan.authkey { said == super::KEY_IN_HEX } else { said.len() == 64 };
            if good { Ok(()) } else { Err(broken(tag, format!("authkey {said}"))) }
        }
    }
}

fn judge_logs(model: &mut Model, begun: &Begun, answer: &Answer, tag: Tag) -> Verdict {
    let worker = model.worker(tag);
    if answer.status != 0 {
        let elsewhere = answer.stderr.contains("has no log");
        return if elsewhere { Ok(()) } else { excuse(model, tag, begun, answer) };
    }
    let whole = if worker.plan.stdout.is_empty() { format!("out {tag}\n") } else { String::new() };
    // One that was ready has written it before.
    let complete = worker.ready.is_some_and(|ready| ready < begun.at) && worker.plan.kind != Kind::Shell;
    let good = if complete { answer.stdout == whole } else { whole.starts_with(&answer.stdout) };
    if good { Ok(()) } else { Err(broken(tag, format!("its log is {:?}", answer.stdout))) }
}
