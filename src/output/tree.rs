//! The lines of a tree.

/// What is deeper is drawn as deep as this: nobody can see the difference, and a chain of thousands would fill memory.
const DEEPEST: usize = 32;

/// What stands before each item: the items in order, parents before their children, given by their depths. Those of
/// depth 0 have nothing before them.
pub fn stems(depths: &[usize]) -> Vec<String> {
    let mut stems = vec![String::new(); depths.len()];
    // For each depth: whether another item of the same parent is still to come. Seen from the end.
    let mut more: Vec<bool> = Vec::new();
    for (stem, &depth) in stems.iter_mut().zip(depths).rev() {
        let depth = depth.min(DEEPEST);
        more.resize(depth + 1, false);
        if depth > 0 {
            stem.extend(more[1..depth].iter().map(|&more| if more { "│  " } else { "   " }));
            stem.push_str(if more[depth] { "├─ " } else { "└─ " });
        }
        more[depth] = true;
    }
    stems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_joined_and_the_last_one_closes() {
        let drawn = stems(&[0, 1, 2, 2, 1, 0, 1, 2]);
        assert_eq!(drawn, ["", "├─ ", "│  ├─ ", "│  └─ ", "└─ ", "", "└─ ", "   └─ "]);
    }

    #[test]
    fn a_chain_of_thousands_is_drawn() {
        let depths: Vec<usize> = (0..5000).collect();
        let drawn = stems(&depths);
        assert!(drawn.iter().all(|stem| stem.chars().count() <= 3 * DEEPEST));
    }
}
