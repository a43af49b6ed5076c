//! Quantities for people: memory and CPU time.

use std::time::Duration;

use super::age;

/// `512B`, `1.5M`, `12M`: powers of 1024, three digits at most.
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 7] = ["B", "K", "M", "G", "T", "P", "E"];
    let mut unit = 0;
    // What would be rounded to 1024 is the next unit's already.
    let mut tenths = u128::from(bytes) * 10;
    while tenths >= 10235 && unit + 1 < UNITS.len() {
        tenths = (tenths + 512) / 1024;
        unit += 1;
    }
    if unit == 0 || tenths >= 100 {
        format!("{}{}", (tenths + 5) / 10, UNITS[unit])
    } else {
        format!("{}.{}{}", tenths / 10, tenths % 10, UNITS[unit])
    }
}

/// CPU time: hundredths below ten seconds, as [`age::short`] from there on.
pub fn cpu(seconds: f64) -> String {
    if seconds < 9.995 {
        return format!("{seconds:.2}s");
    }
    age::short(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
}

/// A share of one CPU, in per cent: `0.3`, `12`, `250`.
pub fn percent(share: f64) -> String {
    let percent = share * 100.0;
    if percent < 9.95 { format!("{percent:.1}") } else { format!("{percent:.0}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn three_digits_and_a_unit() {
        for (number, text) in [
            (0, "0B"),
            (1023, "1023B"),
            (1024, "1.0K"),
            (1536, "1.5K"),
            (10 * 1024, "10K"),
            (1023 << 10, "1023K"),
            ((1 << 20) - 1, "1.0M"),
            (1_610_612_736, "1.5G"),
            (u64::MAX, "16E"),
        ] {
            assert_eq!(bytes(number), text, "{number}");
        }
    }

    #[test]
    fn cpu_time() {
        assert_eq!([cpu(0.0), cpu(0.018), cpu(9.99), cpu(75.0)], ["0.00s", "0.02s", "9.99s", "1m15s"]);
    }

    #[test]
    fn shares() {
        assert_eq!(
            [percent(0.0), percent(0.0312), percent(0.0999), percent(2.5)],
            ["0.0", "3.1", "10", "250"]
        );
    }

    proptest! {
        #[test]
        fn it_fits_five_columns(number in any::<u64>()) {
            prop_assert!(bytes(number).len() <= 5, "{}", bytes(number));
        }
    }
}
