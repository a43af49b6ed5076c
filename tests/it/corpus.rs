//! Everything that fuzzing found worth keeping (`tests/data/corpus/TARGET`, `just fuzz`) must hold without a fuzzer, too;
//! and every byte of a record, cut off or flipped.

use std::fs;
use std::path::{Path, PathBuf};

use crate::parsers;

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

type Check = fn(&[u8]);

#[test]
fn what_fuzzing_has_found_holds() {
    let targets: [(&str, Check); 8] = [
        ("record", parsers::record),
        ("proc_stat", parsers::proc_stat),
        ("time", parsers::time),
        ("reference", parsers::reference),
        ("signal", parsers::signal),
        ("text", parsers::text),
        ("terminal", parsers::terminal),
        ("template", parsers::template),
    ];
    for (target, check) in targets {
        let files = fs::read_dir(data("corpus").join(target)).unwrap();
        let mut count = 0;
        for file in files {
            check(&fs::read(file.unwrap().path()).unwrap());
            count += 1;
        }
        assert!(count > 5, "{target}: {count}");
    }
    // No target was forgotten.
    assert_eq!(fs::read_dir(data("corpus")).unwrap().count(), targets.len());
}

#[test]
fn every_record_that_is_kept_is_read_and_written_the_same() {
    for file in fs::read_dir(data("records-0.1.0")).unwrap() {
        parsers::record(&fs::read(file.unwrap().path()).unwrap());
    }
}

#[test]
fn a_record_cut_off_or_flipped_anywhere_is_none_or_one_that_survives() {
    let whole = fs::read(data("records-0.1.0/parent-exit.json")).unwrap();
    for length in 0..whole.len() {
        parsers::record(&whole[..length]);
    }
    let mut bytes = whole.clone();
    for at in 0..whole.len() {
        // Bit 5 is the case of a letter.
        for bit in [at % 8, 5] {
            bytes[at] ^= 1 << bit;
            parsers::record(&bytes);
            bytes[at] ^= 1 << bit;
        }
    }
    assert_eq!(bytes, whole);
}
