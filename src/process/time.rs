//! Times: moments in the record (RFC 3339), and durations as a person types them.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::fmt::temporal::DateTimePrinter;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::os::{system, zone};

use super::text;

/// RFC 3339 with six digits.
const PRINTER: DateTimePrinter = DateTimePrinter::new().precision(Some(6));

/// A moment, UTC, kept and shown to the microsecond.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(jiff::Timestamp);

impl Moment {
    /// Now, by the clock of the machine.
    pub fn now() -> Self {
        let since = jiff::SignedDuration::try_from(system::since_1970()).unwrap_or(jiff::SignedDuration::MAX);
        Self(jiff::Timestamp::from_duration(since).unwrap_or(jiff::Timestamp::MAX))
    }

    /// The moment that was `ago` before now.
    pub fn before_now(ago: Duration) -> Self {
        let Self(now) = Self::now();
        Self(
            jiff::SignedDuration::try_from(ago).ok().and_then(|ago| now.checked_sub(ago).ok()).unwrap_or(now),
        )
    }

    /// The moment so many seconds and nanoseconds after 1970.
    pub fn after_1970(seconds: i64, nanoseconds: i32) -> Option<Self> {
        jiff::Timestamp::new(seconds, nanoseconds).ok().map(Self)
    }

    /// The nearest multiple of a step: two readings that differ by less than that mostly become the same.
    #[must_use]
    pub fn rounded_to(self, step: Duration) -> Self {
        let step = i64::try_from(step.as_micros()).unwrap_or(1).max(1);
        let micros = self.0.as_microsecond();
        let rounded = (micros + step / 2).div_euclid(step) * step;
        Self(jiff::Timestamp::from_microsecond(rounded).unwrap_or(self.0))
    }

    /// How long it is since then; zero if it is yet to come (a clock that was set back).
    pub fn elapsed(self) -> Duration {
        Self::now().since(self)
    }

    /// From `earlier` to this moment; zero if that is negative.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::try_from(self.0.duration_since(earlier.0)).unwrap_or(Duration::ZERO)
    }

    /// For people: date and time of day in the local time zone (TZ, else /etc/localtime, else UTC).
    pub fn local(self) -> String {
        self.zoned().strftime("%Y-%m-%d %H:%M:%S").to_string()
    }

    /// As [`Moment::local`], with the day of the week and the zone's name.
    pub fn local_in_full(self) -> String {
        self.zoned().strftime("%a %Y-%m-%d %H:%M:%S %Z").to_string()
    }

    fn zoned(self) -> jiff::Zoned {
        self.0.to_zoned(zone::local())
    }

    /// Microseconds since 1970; zero before that.
    pub fn micros(self) -> u64 {
        u64::try_from(self.0.as_microsecond()).unwrap_or(0)
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&PRINTER.timestamp_to_string(&self.0))
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&PRINTER.timestamp_to_string(&self.0))
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read_str(deserializer, |text| text.parse().map(Self))
    }
}

/// Parses a time as timeout(1) and Python take it: a number of seconds, or one with `ms`, `s`, `m`, `h` or `d`.
/// Negative means zero: not to block at all.
pub fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "'{text}' is not a time: write seconds (5, 0.5) or a number with ms, s, m, h or d (500ms, 2m)"
        )
    };
    let (negative, rest) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let unit_at = rest.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (number, unit) = rest.split_at(unit_at);
    let well_formed = number.bytes().any(|b| b.is_ascii_digit())
        && number.bytes().all(|b| b.is_ascii_digit() || b == b'.')
        && number.bytes().filter(|&b| b == b'.').count() <= 1;
    let seconds_each = match unit {
        "" | "s" => 1.0,
        "ms" => 0.001,
        "m" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return Err(wrong()),
    };
    let number: f64 = if well_formed { number.parse().map_err(|_| wrong())? } else { return Err(wrong()) };
    if negative {
        return Ok(Duration::ZERO);
    }
    // Longer than the clock can count is as good as for ever.
    Ok(Duration::try_from_secs_f64(number * seconds_each).unwrap_or(Duration::MAX))
}

/// Parses a moment as a person types it: how long ago it was, as [`parse`] takes it, or RFC 3339.
pub fn parse_moment(text: &str) -> Result<Moment, String> {
    if let Ok(ago) = parse(text) {
        let ago = jiff::SignedDuration::try_from(ago).unwrap_or(jiff::SignedDuration::MAX);
        // Before all that the clock can count.
        return Ok(Moment(Moment::now().0.checked_sub(ago).unwrap_or(jiff::Timestamp::MIN)));
    }
    text.parse().map(Moment).map_err(|_| {
        format!(
            "'{}' is no moment: write how long ago it was (30, 10m, 2h), or one with a zone (2026-01-31T12:00:00Z)",
            text.escape_debug()
        )
    })
}

/// The end of a time that began now; `None` for one that never ends.
#[derive(Clone, Copy, Debug)]
pub struct Deadline(Option<Instant>);

impl Deadline {
    /// Never.
    pub const NEVER: Self = Self(None);

    /// After that time.
    pub fn after(time: Duration) -> Self {
        Self(Instant::now().checked_add(time))
    }

    /// After that time, or never.
    pub fn after_some(time: Option<Duration>) -> Self {
        time.map_or(Self::NEVER, Self::after)
    }

    /// What is left until then; `None` for ever.
    pub fn left(self) -> Option<Duration> {
        self.0.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// Whether it is past.
    pub fn is_past(self) -> bool {
        self.left().is_some_and(|left| left.is_zero())
    }

    /// The earlier one.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        match (self.0, other.0) {
            (Some(a), Some(b)) => Self(Some(a.min(b))),
            (a, b) => Self(a.or(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn times_as_people_type_them() {
        let ms = Duration::from_millis;
        for (text, time) in [
            ("5", ms(5000)),
            ("0.5", ms(500)),
            (".2", ms(200)),
            ("5.", ms(5000)),
            ("500ms", ms(500)),
            ("2m", ms(120_000)),
            ("1h", ms(3_600_000)),
            ("1d", ms(86_400_000)),
            ("0", ms(0)),
            ("-3", ms(0)),
            ("-0.5s", ms(0)),
        ] {
            assert_eq!(parse(text), Ok(time), "{text}");
        }
        for text in ["", "-", ".", "s", "5 s", "5x", "1e3", "inf", "nan", "1.2.3", "--5", "+5", "5ss", "½"] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert_eq!(parse("99999999999999999999999d"), Ok(Duration::MAX));
    }

    #[test]
    fn moments_as_people_type_them() {
        let now = Moment::now();
        let ago = |text| now.since(parse_moment(text).expect(text)).as_secs_f64();
        for (text, seconds) in [("0", 0.0), ("90", 90.0), ("10m", 600.0), ("1d", 86400.0)] {
            assert!((ago(text) - seconds).abs() < 5.0, "{text}");
        }
        let shown = |text| parse_moment(text).map(|moment| moment.to_string());
        for text in ["2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31 12:00:00.0Z"] {
            assert_eq!(shown(text).as_deref(), Ok("2026-01-31T12:00:00.000000Z"), "{text}");
        }
        assert!(
            parse_moment("99999999999999d").expect("long ago")
                < Moment::before_now(Duration::from_secs(1 << 37))
        );
        for text in ["", "yesterday", "2026-01-31", "2026-01-31T12:00:00", "\u{1b}[2J"] {
            let said = shown(text).expect_err(text);
            assert!(said.contains("is no moment") && !said.chars().any(char::is_control), "{said}");
        }
    }

    #[test]
    fn a_moment_is_rfc_3339_with_six_digits() {
        let moment: Moment = serde_json::from_str(r#""2026-01-02T03:04:05.6Z""#).expect("parsed");
        assert_eq!(moment.to_string(), "2026-01-02T03:04:05.600000Z");
    }

    proptest! {
        #[test]
        fn parsing_never_panics(text in ".{0,20}") {
            let _ = (parse(&text), parse_moment(&text));
        }
    }
}
