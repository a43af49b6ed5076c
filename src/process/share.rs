//! How much of one CPU processes use, from look to look.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::{Duration, Instant};

/// CPU time is counted in steps of 10 ms: over less than this, the share would be mostly chance.
const LEAST: Duration = Duration::from_millis(500);

/// What was seen of each process before.
#[derive(Debug, Default)]
pub struct Shares {
    look: RefCell<u64>,
    seen: RefCell<HashMap<(i32, u64), Sample>>,
}

#[derive(Clone, Copy, Debug)]
struct Sample {
    /// When, and how much CPU time it had used by then.
    at: Instant,
    seconds: f64,
    /// Its share up to then.
    share: Option<f64>,
    /// In which look it was last seen.
    look: u64,
}

impl Shares {
    /// A new look at all: what was not seen in the last one is forgotten.
    pub fn begin_look(&self) {
        let mut look = self.look.borrow_mut();
        self.seen.borrow_mut().retain(|_, sample| sample.look == *look);
        *look += 1;
    }

    /// The share of one CPU that a process has used since the last look: 1 is all of one. `None` at the first look.
    pub fn of(&self, pid: i32, start_ticks: u64, seconds: f64) -> Option<f64> {
        self.at(Instant::now(), (pid, start_ticks), seconds)
    }

    fn at(&self, now: Instant, process: (i32, u64), seconds: f64) -> Option<f64> {
        let look = *self.look.borrow();
        let mut seen = self.seen.borrow_mut();
        let new = Sample { at: now, seconds, share: None, look };
        let sample = seen.entry(process).or_insert(new);
        sample.look = look;
        let passed = now.saturating_duration_since(sample.at);
        if passed >= LEAST {
            let share = (seconds - sample.seconds).max(0.0) / passed.as_secs_f64();
            *sample = Sample { share: Some(share), ..new };
        }
        sample.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_what_was_used_since_the_last_look() {
        let shares = Shares::default();
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let one = (7, 100);
        shares.begin_look();
        assert_eq!(shares.at(at(0), one, 5.0), None);
        shares.begin_look();
        assert_eq!(shares.at(at(2000), one, 6.0), Some(0.5));
        // Too short to tell: the last one stays.
        shares.begin_look();
        assert_eq!(shares.at(at(2100), one, 6.1), Some(0.5));
        shares.begin_look();
        assert_eq!(shares.at(at(3000), one, 7.5), Some(1.5));
        // Another process with its pid.
        assert_eq!(shares.at(at(3000), (7, 101), 0.0), None);
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let shares = Shares::default();
        shares.begin_look();
        shares.of(7, 100, 1.0);
        shares.begin_look();
        assert_eq!(shares.seen.borrow().len(), 1);
        shares.begin_look();
        assert_eq!(shares.seen.borrow().len(), 0);
    }
}
