//! Ids: eight characters, a letter first, none that is easily taken for another.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

use crate::os::system;

/// Lower-case letters and digits without `i`, `l`, `o`, `u`, `0`, `1`: 30 of them.
const ALPHABET: &[u8; 30] = b"abcdefghjkmnpqrstvwxyz23456789";
const LETTERS: u64 = 22;
const LENGTH: usize = 8;

/// The shortest prefix of an id that may stand for it.
pub const SHORTEST_PREFIX: usize = 4;

/// The id of a process, unique for its run directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Id(String);

impl Id {
    /// A new one by chance: one of 22 × 30⁷ ≈ 4.8 × 10¹¹.
    pub fn random() -> io::Result<Self> {
        let mut bytes = [0; 8];
        system::random(&mut bytes)?;
        let mut chance = u64::from_ne_bytes(bytes);
        let mut text = String::with_capacity(LENGTH);
        let mut letters = LETTERS;
        for _ in 0..LENGTH {
            let index = usize::try_from(chance % letters).unwrap_or(0);
            text.push(char::from(ALPHABET[index]));
            chance /= letters;
            letters = 30;
        }
        Ok(Self(text))
    }

    /// Parses one; `None` if no id looks like that.
    pub fn parse(text: &str) -> Option<Self> {
        (text.len() == LENGTH && could_begin_one(text)).then(|| Self(text.to_owned()))
    }

    /// It as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its directory below the run directory: two characters choose one of some 660 folders, so that finding a prefix
    /// never needs a look at all ids.
    pub fn path(&self) -> String {
        format!("{}/{}", folder(&self.0), self.0)
    }
}

/// The folder, below the run directory, of the ids that begin like this.
pub fn folder(prefix: &str) -> String {
    format!("processes/{}", &prefix[..2])
}

/// How the name of a directory begins whose process was closed, before the id.
pub const VANISHED: &str = "gone.";

/// Whether an id could begin with this text.
pub fn could_begin_one(text: &str) -> bool {
    let letter = |b: &u8| ALPHABET[..22].contains(b);
    text.len() <= LENGTH
        && text.as_bytes().first().is_some_and(letter)
        && text.bytes().all(|b| ALPHABET.contains(&b))
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for Id {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text).ok_or_else(|| "not an id of a process".to_owned())
    }
}

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0
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
