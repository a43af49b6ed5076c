//! The local time zone, as tzset(3) finds it.
//!
//! Libraries that find it walk through all of /usr/share/zoneinfo first (2 ms, which is more than all else that a page takes).

use std::path::Path;
use std::sync::OnceLock;

use jiff::tz::TimeZone;

/// Where the zones are by name (tzfile(5)).
const ZONES: &str = "/usr/share/zoneinfo";

/// That of this process: as `TZ` says, else as the machine is set up, else UTC. It is looked for once.
pub fn local() -> TimeZone {
    static LOCAL: OnceLock<TimeZone> = OnceLock::new();
    let find = || of(&std::env::var("TZ").unwrap_or_default()).unwrap_or(TimeZone::UTC);
    LOCAL.get_or_init(find).clone()
}

/// That of a value of `TZ`: nothing (the machine's), a file, a name, or a rule as POSIX has it; with a colon before it or
/// without. `None`: it means none that is here.
fn of(wanted: &str) -> Option<TimeZone> {
    let wanted = wanted.strip_prefix(':').unwrap_or(wanted);
    if wanted.is_empty() {
        return of_file(Path::new("/etc/localtime"));
    }
    // A name leads to a file below that directory, or is none; an absolute one leads where it says.
    let is_path_below = !wanted.split('/').any(|part| part == "..");
    let file = is_path_below.then(|| of_file(&Path::new(ZONES).join(wanted))).flatten();
    file.or_else(|| TimeZone::posix(wanted).ok())
}

fn of_file(path: &Path) -> Option<TimeZone> {
    // All that there are have a few kilobytes.
    const LARGEST: u64 = 1 << 20;
    let is_zone = std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.len() <= LARGEST);
    let bytes = if is_zone { std::fs::read(path).ok()? } else { return None };
    TimeZone::tzif("", &bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(wanted: &str) -> Option<String> {
        let summer = jiff::Timestamp::from_second(1_750_000_000).expect("a moment");
        Some(summer.to_zoned(of(wanted)?).strftime("%H:%M %Z").to_string())
    }

    #[test]
    fn rules_and_files_and_names() {
        assert_eq!(shown("CET-1CEST,M3.5.0,M10.5.0/3").as_deref(), Some("17:06 CEST"));
        assert_eq!(shown("UTC0").as_deref(), Some("15:06 UTC"));
        assert_eq!(shown("../zoneinfo/Europe/Berlin"), None);
        assert_eq!(shown("No/Such/Zone"), None);
        assert_eq!(shown("/dev/zero"), None);
        if Path::new(ZONES).join("Europe/Berlin").exists() {
            for wanted in ["Europe/Berlin", ":Europe/Berlin", "/usr/share/zoneinfo/Europe/Berlin"] {
                assert_eq!(shown(wanted).as_deref(), Some("17:06 CEST"), "{wanted}");
            }
        }
    }
}
