//! The columns that there are: their names, how they are drawn, and what gives way where not all fit.

use super::layout::Wish;

/// A column of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is named as in the record, or by its heading")]
pub enum Column {
    Id,
    Name,
    Pid,
    State,
    Daemon,
    Parent,
    Age,
    Command,
    Exitcode,
    Index,
    Created,
    Started,
    Ended,
    EndedBy,
    Cpu,
    CpuShare,
    Rss,
    Peak,
    Threads,
    Fds,
    Cwd,
    Log,
    Monitor,
    Host,
    Lost,
}

impl Column {
    /// All of them.
    pub const ALL: [Self; 25] = [
        Self::Id,
        Self::Name,
        Self::Pid,
        Self::State,
        Self::Daemon,
        Self::Parent,
        Self::Age,
        Self::Command,
        Self::Exitcode,
        Self::Index,
        Self::Created,
        Self::Started,
        Self::Ended,
        Self::EndedBy,
        Self::Cpu,
        Self::CpuShare,
        Self::Rss,
        Self::Peak,
        Self::Threads,
        Self::Fds,
        Self::Cwd,
        Self::Log,
        Self::Monitor,
        Self::Host,
        Self::Lost,
    ];

    /// Those of a table, unless others are asked for.
    pub const TABLE: [Self; 8] =
        [Self::Id, Self::Name, Self::Pid, Self::State, Self::Daemon, Self::Parent, Self::Age, Self::Command];

    /// Those of a tree. The first one bears the tree.
    pub const TREE: [Self; 7] =
        [Self::Name, Self::Id, Self::Pid, Self::State, Self::Cpu, Self::Rss, Self::Command];

    /// Those of a table that is watched.
    pub const WATCH: [Self; 8] =
        [Self::Id, Self::Name, Self::Pid, Self::State, Self::Age, Self::CpuShare, Self::Rss, Self::Command];

    /// Those of a tree that is watched.
    pub const WATCH_TREE: [Self; 8] =
        [Self::Name, Self::Id, Self::Pid, Self::State, Self::Age, Self::CpuShare, Self::Rss, Self::Command];

    /// As it is typed.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Id => "id",
            Self::Name => "name",
            Self::Pid => "pid",
            Self::State => "state",
            Self::Daemon => "daemon",
            Self::Parent => "parent",
            Self::Age => "age",
            Self::Command => "command",
            Self::Exitcode => "exitcode",
            Self::Index => "index",
            Self::Created => "created",
            Self::Started => "started",
            Self::Ended => "ended",
            Self::EndedBy => "ended-by",
            Self::Cpu => "cpu",
            Self::CpuShare => "cpu%",
            Self::Rss => "rss",
            Self::Peak => "peak",
            Self::Threads => "threads",
            Self::Fds => "fds",
            Self::Cwd => "cwd",
            Self::Log => "log",
            Self::Monitor => "monitor",
            Self::Host => "host",
            Self::Lost => "lost",
        }
    }

    /// The one of that name; `_` is as good as `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.replace('_', "-");
        Self::ALL.into_iter().find(|column| column.name().eq_ignore_ascii_case(&text))
    }

    /// Their names, for a message.
    pub fn names() -> String {
        Self::ALL.map(Self::name).join(", ")
    }

    /// What stands above it.
    pub fn heading(self) -> String {
        self.name().replace('-', " ").to_uppercase()
    }

    /// Whether it holds numbers, which are aligned at the right.
    pub fn is_number(self) -> bool {
        matches!(
            self,
            Self::Pid
                | Self::Exitcode
                | Self::Index
                | Self::Cpu
                | Self::CpuShare
                | Self::Rss
                | Self::Peak
                | Self::Threads
                | Self::Fds
                | Self::Monitor
        )
    }

    /// Whether /proc must be looked at for it.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Cpu | Self::CpuShare | Self::Rss | Self::Threads) || self.is_live_in_detail()
    }

    /// Whether that takes more than one look.
    pub fn is_live_in_detail(self) -> bool {
        matches!(self, Self::Peak | Self::Fds)
    }

    /// Whether its cells can be cut. Ids, pids and states never are.
    pub fn can_be_cut(self) -> bool {
        self.least().is_some()
    }

    /// What it can be cut to.
    fn least(self) -> Option<usize> {
        match self {
            Self::Command | Self::Cwd | Self::Log | Self::EndedBy | Self::Lost => Some(10),
            Self::Name | Self::Host => Some(8),
            _ => None,
        }
    }

    /// What it wants of the width of the terminal. Names are cut once the command has no more than its share.
    pub fn wish(self, natural: usize, width: usize) -> Wish {
        let least = self.least().map_or(natural, |least| least.min(natural));
        let fair = match self {
            Self::Command => width / 4,
            Self::Name => width / 5,
            _ => least,
        };
        let expendable = match self {
            Self::Id | Self::State => None,
            Self::Name => Some(1),
            Self::Pid => Some(2),
            Self::Command => Some(3),
            Self::Age => Some(4),
            Self::Exitcode | Self::Index | Self::Ended | Self::EndedBy | Self::Lost => Some(5),
            Self::Cpu | Self::CpuShare | Self::Rss => Some(6),
            Self::Started | Self::Created | Self::Host => Some(7),
            Self::Parent => Some(8),
            _ => Some(9),
        };
        let order = match self {
            Self::Name => 1,
            Self::Command => 3,
            _ => 2,
        };
        Wish { natural, fair: fair.clamp(least, natural), least, modest: false, expendable, order }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_found_by_its_name() {
        for column in Column::ALL {
            assert_eq!(Column::parse(column.name()), Some(column));
            assert_eq!(Column::parse(&column.heading().replace(' ', "_")), Some(column));
        }
        assert_eq!(Column::parse("nonsense"), None);
    }
}
