//! Durations for people.

use std::time::Duration;

/// Two units at most: `0.4s`, `12s`, `3m5s`, `2h10m`, `4d7h`.
pub fn short(time: Duration) -> String {
    let seconds = time.as_secs();
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86400);
    match seconds {
        0..10 => format!("{:.1}s", time.as_secs_f64()),
        10..60 => format!("{seconds}s"),
        60..3600 => format!("{minutes}m{}s", seconds % 60),
        3600..86400 => format!("{hours}h{}m", minutes % 60),
        _ => format!("{days}d{}h", hours % 24),
    }
}

/// A time that somebody has chosen, as it would be typed: `2s`, `0.5s`, `90s`, `1h`, `7d`.
pub fn as_typed(time: Duration) -> String {
    let seconds = time.as_secs();
    if time.subsec_nanos() == 0 && seconds > 0 {
        for (unit, name) in [(86400, 'd'), (3600, 'h'), (60, 'm')] {
            if seconds.is_multiple_of(unit) {
                return format!("{}{name}", seconds / unit);
            }
        }
    }
    format!("{}s", time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_it_would_be_typed() {
        let ms = |ms| as_typed(Duration::from_millis(ms));
        assert_eq!([ms(0), ms(2000), ms(500), ms(90_000)], ["0s", "2s", "0.5s", "90s"]);
        assert_eq!([ms(120_000), ms(3_600_000), ms(604_800_000)], ["2m", "1h", "7d"]);
    }

    #[test]
    fn two_units_at_most() {
        let ms = |ms| short(Duration::from_millis(ms));
        assert_eq!([ms(0), ms(440), ms(12_000), ms(185_000)], ["0.0s", "0.4s", "12s", "3m5s"]);
        assert_eq!([ms(7_800_000), ms(370_800_000)], ["2h10m", "4d7h"]);
    }
}
