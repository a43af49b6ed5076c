//! `procctl logs`: what processes wrote.

mod voice;
mod window;

use super::{Outcome, Session, answer, exit, report};
use crate::cli::Logs;
use crate::output::{prefix, terminal};
use crate::process::error::{Error, Result, status};
use crate::process::follow::{End, Follower, News};
use crate::process::log::{Begin, Log};
use crate::process::observe::{Life, Observed, Unrecorded};
use crate::process::reference::Resolver;
use crate::process::rundir::RunDir;

use voice::Voice;
use window::{Share, Window};

/// The log of a process, and how it is printed.
struct Speaker {
    log: Log,
    voice: Voice,
    /// There may be something that was not read yet.
    has_more: bool,
    ended: bool,
}

pub(super) fn run(session: &Session, args: &Logs) -> Outcome {
    let run_dir = session.existing_run_dir()?;
    let all = whom(&run_dir, args)?;
    let mut follower = if args.follow { Some(follow(session, args, &run_dir, &all)?) } else { None };
    // Before reading: what was written before the end is read after that was seen.
    let ended = follower.as_mut().map(Follower::ended);
    let mut speakers = open(session, args, &all)?;
    for (at, speaker) in speakers.iter_mut().enumerate() {
        if !speaker.say_so_far()? {
            return Ok(0);
        }
        if ended.as_ref().is_none_or(|ended| ended.contains(&at)) {
            speaker.finish()?;
        }
    }
    follower.map_or(Ok(0), |follower| go_on(session, args, follower, &mut speakers))
}

/// The processes, each once.
fn whom(run_dir: &RunDir, args: &Logs) -> Result<Vec<Observed>> {
    let resolver = Resolver::new(run_dir);
    let mut all: Vec<Observed> = Vec::with_capacity(args.references.len());
    for reference in &args.references {
        let seen = resolver.one(reference)?;
        if seen.record.log.is_none() {
            return Err(elsewhere(&seen));
        }
        if all.iter().all(|known| known.record.id != seen.record.id) {
            all.push(seen.released());
        }
    }
    Ok(all)
}

fn elsewhere(seen: &Observed) -> Error {
    let record = &seen.record;
    let hint = match seen.life {
        Life::Initial => "it would not go there when it is started either".to_owned(),
        _ => format!("standard output: {}, standard error: {}", record.stdout, record.stderr),
    };
    Error::hinted(format!("{} ({}) has no log: its output goes elsewhere", record.id, record.name), hint)
}

/// Begins to follow, before anything is read: nothing gets lost in between.
fn follow<'a>(session: &Session, args: &Logs, run_dir: &'a RunDir, all: &[Observed]) -> Result<Follower<'a>> {
    for seen in all {
        let record = &seen.record;
        match seen.life {
            Life::Elsewhere => {
                let what = format!(
                    "cannot follow {} ({}): it is on the host {}",
                    record.id, record.name, record.host
                );
                return Err(Error::refused(what));
            }
            Life::Initial if !session.is_quiet() => {
                let what = format!("{} ({}) has not been started: waiting for that", record.id, record.name);
                report::lines(&what, None);
            }
            Life::Ending(Unrecorded::NotWritten) if args.exit_code => report::unrecorded(seen),
            _ => {}
        }
    }
    Follower::new(run_dir, all, args.exit_code)
}

fn open(session: &Session, args: &Logs, all: &[Observed]) -> Result<Vec<Speaker>> {
    let window = Window { since: args.since, until: args.until };
    let for_terminal = terminal::is_terminal() && !args.raw;
    let mut prefixes = Vec::new();
    if all.len() > 1 {
        let names: Vec<_> =
            all.iter().map(|seen| (seen.record.name.as_str(), seen.record.id.as_str())).collect();
        prefixes = prefix::all(&names, session.colour());
    }
    let mut prefixes = prefixes.into_iter();
    let mut speakers = Vec::with_capacity(all.len());
    for seen in all {
        let mut log = Log::new(seen);
        if let Some(written_at) = log.open()? {
            if args.follow && log.is_standard_output() {
                let what = format!("cannot follow {} into its own log", log.who());
                return Err(Error::hinted(what, "standard output is that log: send it elsewhere"));
            }
            let share = window.share(seen.record.started_at, written_at);
            if let (Share::Part(edge), false) = (share, session.is_quiet()) {
                let what = format!("the log of {} begins before {edge} and goes on after it", log.who());
                report::lines(&format!("{what}; its lines bear no times, so all of it is printed"), None);
            }
            log.begin(match (share, args.lines) {
                (Share::Nothing, _) => Begin::AtEnd,
                (_, Some(lines)) => Begin::LastLines(lines),
                (_, None) => Begin::AtStart,
            })?;
        }
        let voice = Voice::new(prefixes.next(), for_terminal.then_some(session.colour()));
        speakers.push(Speaker { log, voice, has_more: false, ended: false });
    }
    Ok(speakers)
}

impl Speaker {
    /// Prints what there is at this moment. Says whether somebody still reads.
    fn say_so_far(&mut self) -> anyhow::Result<bool> {
        self.say(u64::MAX)
    }

    /// Nothing more will be said.
    fn finish(&mut self) -> anyhow::Result<()> {
        (self.ended, self.has_more) = (true, false);
        answer::raw(&self.voice.finish())
    }

    /// Prints at most so many bytes of what there is at this moment: somebody may go on writing faster than we read.
    fn say(&mut self, most: u64) -> anyhow::Result<bool> {
        let length = self.log.length()?;
        let end = length.min(self.log.position().saturating_add(most));
        while let Some(piece) = self.log.read(end)? {
            if !answer::stream(&self.voice.say(piece))? {
                return Ok(false);
            }
        }
        self.has_more = end < length;
        Ok(true)
    }
}

/// Prints what comes until all have ended.
fn go_on(session: &Session, args: &Logs, mut follower: Follower<'_>, speakers: &mut [Speaker]) -> Outcome {
    /// The others want to be heard, too.
    const AT_ONCE: u64 = 1 << 20;
    while speakers.iter().any(|speaker| !speaker.ended) {
        let has_more = speakers.iter().any(|speaker| speaker.has_more);
        let Some(news) = follower.next(has_more)? else { return Ok(0) };
        let mut ended = Vec::new();
        for piece in news {
            match piece {
                News::Wrote(at) => speakers[at].has_more = true,
                News::Ended(at) => ended.push(at),
            }
        }
        for (at, speaker) in speakers.iter_mut().enumerate() {
            let ends = ended.contains(&at);
            if speaker.ended || !(ends || speaker.has_more) {
                continue;
            }
            speaker.log.open()?;
            if speaker.log.was_truncated()? {
                answer::raw(&speaker.voice.finish())?;
                if !session.is_quiet() {
                    report::lines(&format!("the log of {} was truncated", speaker.log.who()), None);
                }
            }
            // What was written before the end is read after that was seen; a descendant may go on writing for ever.
            let reads_on = if ends { speaker.say_so_far()? } else { speaker.say(AT_ONCE)? };
            if !reads_on {
                return Ok(0);
            }
            if ends {
                speaker.finish()?;
            }
        }
    }
    Ok(exit_status(args, follower, speakers))
}

fn exit_status(args: &Logs, follower: Follower<'_>, speakers: &[Speaker]) -> u8 {
    let mut failed = 0;
    let mut records = Vec::new();
    for (end, speaker) in follower.ends().zip(speakers) {
        match end {
            End::Recorded(record) => records.push(*record),
            End::Closed if args.exit_code => {
                report::lines(&format!("{} was closed: its exit code is not known", speaker.log.who()), None);
                failed = status::FAILED;
            }
            End::Closed | End::Unrecorded => {}
            End::Unknown(e) => failed = report::error(&e.into()),
        }
    }
    if !args.exit_code {
        return failed;
    }
    exit::first_failure(records.iter()).unwrap_or(failed)
}
