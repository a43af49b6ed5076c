//! Ids: eight characters, a letter first, none that is easily taken for another.

use std::fmt;
use std::io;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::os::system;

use super::text;

/// Lower-case letters and digits without `i`, `l`, `o`, `u`, `0`, `1`: 30 of them.
const ALPHABET: &[u8; 30] = b"abcdefghjkmnpqrstvwxyz23456789";
/// How many of them are letters; they come first.
const LETTERS: u64 = 22;
const LENGTH: usize = 8;

/// The shortest prefix of an id that may stand for it.
pub const SHORTEST_PREFIX: usize = 4;

/// The id of a process, unique for its run directory.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id([u8; LENGTH]);

impl Id {
    /// A new one by chance: one of 22 × 30⁷ ≈ 4.8 × 10¹¹.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 8];
        system::random(&mut bytes)?;
        let mut chance = u64::from_ne_bytes(bytes);
        let mut text = [0; LENGTH];
        let mut letters = LETTERS;
        for byte in &mut text {
            let index = usize::try_from(chance % letters).unwrap_or(0);
            *byte = ALPHABET[index];
            chance /= letters;
            letters = 30;
        }
        Ok(Self(text))
    }

    /// Parses one; `None` if no id looks like that.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes().try_into().ok()?;
        could_begin_one(text).then_some(Self(bytes))
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        // Letters and digits of ASCII.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    /// The name of the folder that its directory is in.
    pub fn folder_name(&self) -> &str {
        &self.as_str()[..2]
    }

    /// Its directory below the run directory: two characters choose one of some 660 folders, so that finding a prefix
    /// never needs a look at all ids.
    pub fn path(&self) -> String {
        [PROCESSES, "/", self.folder_name(), "/", self.as_str()].concat()
    }
}

/// The folder, below the run directory, of the ids that begin like this.
pub fn folder(prefix: &str) -> String {
    [PROCESSES, "/", &prefix[..2]].concat()
}

/// Where all of them are, below the run directory.
pub const PROCESSES: &str = "processes";

/// How the name of a directory begins whose process was closed, before the id.
pub const VANISHED: &str = "gone.";

/// Whether an id could begin with this text.
pub fn could_begin_one(text: &str) -> bool {
    let rank = |b: u8| RANKS[usize::from(b)];
    text.len() <= LENGTH
        && text.bytes().next().is_some_and(|first| u64::from(rank(first)) < LETTERS)
        && text.bytes().all(|b| rank(b) != NO_RANK)
}

const NO_RANK: u8 = u8::MAX;

/// Where in the alphabet each byte is: asked twice for each of many processes.
const RANKS: [u8; 256] = {
    let mut ranks = [NO_RANK; 256];
    let mut rank = 0;
    while (rank as usize) < ALPHABET.len() {
        ranks[ALPHABET[rank as usize] as usize] = rank;
        rank += 1;
    }
    ranks
};

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Id").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::read_str(deserializer, |text| Self::parse(text).ok_or("not an id of a process"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_begin_with_a_letter_and_parse_back() {
        for _ in 0..1000 {
            let id = Id::random().expect("chance");
            assert!(id.as_str().as_bytes()[0].is_ascii_lowercase(), "{id}");
            assert_eq!(Id::parse(id.as_str()), Some(id));
        }
    }

    #[test]
    fn what_is_no_id() {
        for text in ["", "abc", "2bcdefgh", "abcdefg/", "../../..", "abcdefghj", "ABCDEFGH", "äbcdefg"] {
            assert_eq!(Id::parse(text), None, "{text}");
        }
    }
}
