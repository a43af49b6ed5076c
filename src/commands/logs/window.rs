//! `--since` and `--until`, as far as a log can tell.
//!
//! It has no time for each line. What is known: nothing was written before the process was started, and nothing after the
//! file's last change.

use crate::process::time::Moment;

#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    pub(super) since: Option<Moment>,
    pub(super) until: Option<Moment>,
}

/// How much of a log is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    All,
    Nothing,
    /// Some of it: which, it does not tell. That moment is in the midst of it.
    Part(Moment),
}

impl Window {
    /// Of a log whose process was started then and that was written to last then.
    pub(super) fn share(&self, started_at: Option<Moment>, written_at: Moment) -> Share {
        let begins = started_at.unwrap_or(written_at).min(written_at);
        match (self.since, self.until) {
            (Some(since), _) if written_at < since => Share::Nothing,
            (_, Some(until)) if begins > until => Share::Nothing,
            (Some(since), _) if begins < since => Share::Part(since),
            (_, Some(until)) if written_at > until => Share::Part(until),
            _ => Share::All,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_before_after_and_astride() {
        let at = |seconds| Moment::after_1970(seconds, 0).expect("a moment");
        let share = |since: Option<i64>, until: Option<i64>| {
            Window { since: since.map(at), until: until.map(at) }.share(Some(at(10)), at(20))
        };
        for (since, until, wanted) in [
            (None, None, Share::All),
            (Some(5), None, Share::All),
            (Some(10), None, Share::All),
            (Some(15), None, Share::Part(at(15))),
            (Some(20), None, Share::Part(at(20))),
            (Some(21), None, Share::Nothing),
            (None, Some(9), Share::Nothing),
            (None, Some(10), Share::Part(at(10))),
            (None, Some(19), Share::Part(at(19))),
            (None, Some(20), Share::All),
            (Some(5), Some(25), Share::All),
            (Some(5), Some(15), Share::Part(at(15))),
            (Some(30), Some(40), Share::Nothing),
        ] {
            assert_eq!(share(since, until), wanted, "{since:?} {until:?}");
        }
    }
}
