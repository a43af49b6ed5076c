//! What colour means: a few tones, the same in tables, pages and trees.

/// How a text is to look.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tone {
    /// As it is.
    #[default]
    Plain,
    /// Alive.
    Good,
    /// Not started.
    New,
    /// It failed.
    Bad,
    /// Not known, or unusable.
    Lost,
    /// Anything else that is not usual.
    Odd,
    /// There for the others' sake.
    Faded,
    /// What to look at first.
    Strong,
}

impl Tone {
    /// The parameter of the escape sequence SGR (console_codes(4)).
    fn code(self) -> Option<u8> {
        Some(match self {
            Self::Plain => return None,
            Self::Good => 32,
            Self::New => 36,
            Self::Bad => 31,
            Self::Lost => 35,
            Self::Odd => 33,
            Self::Faded => 2,
            Self::Strong => 1,
        })
    }

    /// A text in this tone, if colour is wanted.
    pub fn paint(self, text: &str, colour: bool) -> String {
        match self.code() {
            Some(code) if colour && !text.is_empty() => format!("\x1b[{code}m{text}\x1b[0m"),
            _ => text.to_owned(),
        }
    }
}
