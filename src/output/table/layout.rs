//! Which columns fit, and how wide each becomes.

/// Columns of space between two columns.
pub const GAP: usize = 2;

/// What a column wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wish {
    /// Its widest cell.
    pub natural: usize,
    /// What it is given before anybody gets all that is wanted: one long name must not starve all commands.
    pub fair: usize,
    /// What it can be cut to; `natural` if it can't be cut.
    pub least: usize,
    /// Whether it is left out as soon as the others have less than their share.
    pub modest: bool,
    /// Who is left out first where not all fit: the highest; `None`: never.
    pub expendable: Option<u8>,
    /// Who gets what space is left first: the lowest.
    pub order: u8,
}

/// The width of each column, `None` of those that are left out. It takes more than `width` only if what is never left
/// out does.
pub fn fit(wishes: &[Wish], width: usize) -> Vec<Option<usize>> {
    let mut widths: Vec<Option<usize>> = wishes.iter().map(|wish| Some(wish.least)).collect();
    let taken = |widths: &[Option<usize>]| {
        let kept = widths.iter().flatten();
        kept.map(|width| width + GAP).sum::<usize>().saturating_sub(GAP)
    };
    let shares: Vec<Option<usize>> = wishes.iter().map(|wish| Some(wish.fair)).collect();
    if taken(&shares) > width {
        let modest = wishes.iter().zip(&mut widths).filter(|(wish, _)| wish.modest);
        modest.for_each(|(_, width)| *width = None);
    }
    while taken(&widths) > width {
        let kept = (0..wishes.len()).filter(|&at| widths[at].is_some());
        // Of equals the last one.
        let Some((_, at)) = kept.filter_map(|at| Some((wishes[at].expendable?, at))).max() else { break };
        widths[at] = None;
    }
    let mut left = width.saturating_sub(taken(&widths));
    let mut order: Vec<usize> = (0..wishes.len()).collect();
    order.sort_by_key(|&at| wishes[at].order);
    for wanted in [|wish: &Wish| wish.fair, |wish: &Wish| wish.natural] {
        for &at in &order {
            if let Some(width) = &mut widths[at] {
                let more = wanted(&wishes[at]).saturating_sub(*width).min(left);
                *width += more;
                left -= more;
            }
        }
    }
    widths
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn wish(natural: usize, least: usize, expendable: Option<u8>, order: u8) -> Wish {
        let least = least.min(natural);
        Wish { natural, fair: least, least, modest: false, expendable, order }
    }

    #[test]
    fn a_long_name_leaves_the_commands_their_share() {
        let mut wishes = [wish(8, 8, None, 0), wish(255, 8, Some(1), 1), wish(50, 10, Some(3), 2)];
        wishes[1].fair = 16;
        wishes[2].fair = 25;
        assert_eq!(fit(&wishes, 100), [Some(8), Some(63), Some(25)]);
        assert_eq!(fit(&wishes, 50), [Some(8), Some(16), Some(22)]);
        wishes[0].modest = true;
        assert_eq!(fit(&wishes, 53), [Some(8), Some(16), Some(25)]);
        assert_eq!(fit(&wishes, 52), [None, Some(25), Some(25)]);
    }

    #[test]
    fn the_command_is_cut_before_the_name_and_columns_go_last() {
        let wishes =
            [wish(8, 8, None, 0), wish(20, 8, Some(1), 1), wish(6, 6, Some(9), 0), wish(50, 10, Some(3), 2)];
        assert_eq!(fit(&wishes, 100), [Some(8), Some(20), Some(6), Some(50)]);
        assert_eq!(fit(&wishes, 60), [Some(8), Some(20), Some(6), Some(20)]);
        assert_eq!(fit(&wishes, 45), [Some(8), Some(15), Some(6), Some(10)]);
        assert_eq!(fit(&wishes, 36), [Some(8), Some(14), None, Some(10)]);
        assert_eq!(fit(&wishes, 20), [Some(8), Some(10), None, None]);
        assert_eq!(fit(&wishes, 4), [Some(8), None, None, None]);
    }

    proptest! {
        #[test]
        fn it_fits_and_nothing_is_cut_below_its_least(
            wishes in proptest::collection::vec((1usize..80, 1usize..20, 0u8..10, 0u8..3), 1..10),
            width in 1usize..200,
        ) {
            let wishes: Vec<Wish> = wishes.into_iter().map(|(n, l, e, o)| wish(n, l, Some(e), o)).collect();
            let widths = fit(&wishes, width);
            let kept: Vec<usize> = widths.iter().flatten().copied().collect();
            prop_assert!(kept.is_empty() || kept.iter().sum::<usize>() + GAP * (kept.len() - 1) <= width);
            for (wish, width) in wishes.iter().zip(widths) {
                prop_assert!(width.is_none_or(|width| (wish.least..=wish.natural).contains(&width)));
            }
        }
    }
}
