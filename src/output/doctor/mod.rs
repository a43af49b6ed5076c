//! The page of `procctl doctor`: what the facts mean, and how that is shown.

mod installed;
mod kernel;
mod machine;
mod records;
mod run_dir;

use serde::Serialize;

use crate::process::doctor::{Facts, Problem};

use super::escape;
use super::fold::fold;
use super::tone::Tone;

/// How good or bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// Worth knowing; nothing need be done.
    Note,
    /// It needs attention.
    Bad,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How good or bad it is.
    #[serde(skip)]
    pub mark: Mark,
    /// What was looked at.
    pub about: &'static str,
    /// What there is.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Finding {
    fn new(mark: Mark, about: &'static str, what: impl Into<String>) -> Self {
        Self { mark, about, what: what.into(), hint: None }
    }

    fn ok(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(Mark::Ok, about, what)
    }

    fn note(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(Mark::Note, about, what)
    }

    fn bad(about: &'static str, what: impl Into<String>) -> Self {
        Self::new(Mark::Bad, about, what)
    }

    fn problem(about: &'static str, problem: &Problem) -> Self {
        Self { hint: problem.hint.clone(), ..Self::bad(about, &problem.what) }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

/// Some of them under one heading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// The heading.
    pub title: String,
    /// What was found.
    pub findings: Vec<Finding>,
}

/// What the facts mean.
pub fn judge(facts: &Facts) -> Vec<Section> {
    let run_dir = facts.run_dir.path.as_ref().map(|path| format!(" {path}")).unwrap_or_default();
    let section = |title: &str, findings: Vec<Finding>| Section { title: title.to_owned(), findings };
    let mut sections = vec![
        section("kernel", kernel::judge(&facts.kernel)),
        section("machine", machine::judge(&facts.machine)),
        section(&format!("run directory{run_dir}"), run_dir::judge(&facts.run_dir)),
    ];
    if let Some(records) = &facts.run_dir.records {
        sections.push(section("records", records::judge(records)));
    }
    sections.push(section("caller", installed::judge_caller(&facts.caller)));
    sections.push(section("installed", installed::judge(&facts.installed)));
    sections
}

/// Everything that was found.
pub fn all(sections: &[Section]) -> impl Iterator<Item = &Finding> {
    sections.iter().flat_map(|section| &section.findings)
}

/// The page. On a terminal of so many columns, long lines are broken.
pub fn page(facts: &Facts, sections: &[Section], colour: bool, columns: Option<u16>) -> String {
    let mut lines = vec![format!("procctl {} on {}", facts.version, escape::text(&facts.machine.host))];
    let width = all(sections).map(|finding| finding.about.len()).max().unwrap_or(0);
    for section in sections {
        lines.push(String::new());
        lines.push(Tone::Strong.paint(&escape::text(&section.title), colour));
        for finding in &section.findings {
            let (mark, tone) = match finding.mark {
                Mark::Ok => ("ok  ", Tone::Good),
                Mark::Note => ("note", Tone::Odd),
                Mark::Bad => ("bad ", Tone::Bad),
            };
            let (mark, about) = (tone.paint(mark, colour), finding.about);
            let before = width + "  mark    ".len();
            let hint = finding.hint.as_ref().map(|hint| format!("hint: {hint}"));
            let texts = [Some(&finding.what), hint.as_ref()];
            let room = columns.map_or(usize::MAX, |columns| usize::from(columns).saturating_sub(before));
            let mut texts =
                texts.into_iter().flatten().flat_map(|text| fold(&escape::text(text), room, room));
            let first = texts.next().unwrap_or_default();
            lines.push(format!("  {mark}  {about:width$}  {first}"));
            lines.extend(texts.map(|text| format!("{:before$}{text}", "")));
        }
    }
    let bad = all(sections).filter(|finding| finding.mark == Mark::Bad).count();
    lines.push(String::new());
    lines.push(match bad {
        0 => Tone::Good.paint("all is well", colour),
        1 => Tone::Bad.paint("one thing needs attention", colour),
        many => Tone::Bad.paint(&format!("{many} things need attention"), colour),
    });
    lines.join("\n") + "\n"
}

/// Some ids or the like, not all if there are many.
fn some<T: ToString>(all: impl IntoIterator<Item = T>) -> String {
    const MANY: usize = 6;
    let all: Vec<String> = all.into_iter().map(|one| one.to_string()).collect();
    match all.len().checked_sub(MANY) {
        Some(more) if more > 0 => format!("{} and {more} more", all[..MANY].join(", ")),
        _ => all.join(", "),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_only_some_are_named() {
        assert_eq!(some(["a", "b"]), "a, b");
        assert_eq!(some(1..=6), "1, 2, 3, 4, 5, 6");
        assert_eq!(some(1..=8), "1, 2, 3, 4, 5, 6 and 2 more");
    }
}
