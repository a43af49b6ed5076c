//! A look at many processes that changes nothing: for offering them to somebody who is typing.
//!
//! No monitor is made for one that has lost its own, no end is recorded, nothing is waited for. So it can be wrong about a
//! process whose monitor was killed; whatever command is then given looks properly.

use std::os::fd::AsFd;

use crate::os::pidfd::{self, Stage};

use super::entry::Entry;
use super::host::Place;
use super::names::Shelf;
use super::record::{Record, State};
use super::rundir::RunDir;

/// How far a process has got.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stand {
    /// Not started.
    Initial,
    /// Alive.
    Live,
    /// Ended, recorded or not.
    Ended,
    /// On another host: not known.
    Elsewhere,
}

/// Which processes are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// Every one.
    Any,
    /// Those that live.
    Live,
    /// Those that were started.
    Begun,
    /// Those that do not live.
    Over,
    /// Those that are to be started.
    Initial,
}

impl Wanted {
    /// The parts of the index where they can be.
    fn shelves(self) -> &'static [Shelf] {
        match self {
            Self::Live => &[Shelf::Live],
            Self::Begun => &[Shelf::Live, Shelf::Ended, Shelf::Joined],
            Self::Initial => &[Shelf::Initial],
            Self::Any | Self::Over => &Shelf::ALL,
        }
    }

    fn fits(self, stand: Stand) -> bool {
        match self {
            Self::Any => true,
            Self::Live => stand == Stand::Live,
            Self::Begun => stand != Stand::Initial,
            Self::Over => matches!(stand, Stand::Initial | Stand::Ended),
            Self::Initial => stand == Stand::Initial,
        }
    }
}

/// Those processes, sorted by name and id. What cannot be read is passed over.
pub fn processes(run_dir: &RunDir, wanted: Wanted) -> Vec<(Record, Stand)> {
    let shelves = wanted.shelves().iter();
    let mut ids: Vec<_> = shelves.flat_map(|&shelf| run_dir.names().all(shelf).unwrap_or_default()).collect();
    ids.sort_by(|a, b| a.id.cmp(&b.id));
    // One that is on its way from shelf to shelf can be on both.
    ids.dedup_by(|a, b| a.id == b.id);
    let mut found: Vec<_> = ids
        .into_iter()
        .filter_map(|tag| {
            let entry = Entry { dir: run_dir.root.below(tag.id.path()), id: tag.id };
            let record = entry.load().ok()??;
            let stand = stand_of(run_dir, &record);
            wanted.fits(stand).then_some((record, stand))
        })
        .collect();
    found.sort_by(|(a, _), (b, _)| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    found
}

fn stand_of(run_dir: &RunDir, record: &Record) -> Stand {
    match record.state {
        State::Initial => return Stand::Initial,
        State::Stopped => return Stand::Ended,
        State::Started => {}
    }
    match run_dir.host.place_of(record) {
        Ok(Place::EarlierBoot) => Stand::Ended,
        Ok(Place::OtherHost) => Stand::Elsewhere,
        // What cannot be looked at lives for all we know.
        Ok(Place::OtherNamespace) | Err(_) => Stand::Live,
        Ok(Place::Here) => match record.process().map(|process| process.open()) {
            Some(Ok(Some(pidfd))) => match pidfd::stage(pidfd.as_fd()) {
                Ok(Stage::Zombie | Stage::Reaped) => Stand::Ended,
                _ => Stand::Live,
            },
            Some(Ok(None)) => Stand::Ended,
            _ => Stand::Live,
        },
    }
}
