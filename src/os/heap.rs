//! The heap of a program that mostly runs for a millisecond, and of monitors that sleep for days.
//!
//! Memory is handed out from the beginning of a fixed piece, and only the block handed out last is taken back: that costs next
//! to nothing, and is all that a short command needs. When the piece is used up, the rest comes from the system's heap, as
//! usual. So what a command that runs for long never gets back is bounded.
//!
//! Most of what a command allocates is the grammar of its command line, which is of no use once the arguments have been read.
//! In [`for_a_moment`] memory comes from a piece of its own, which is given back whole: the monitors that are forked later
//! neither copy it nor keep it. There the largest block that was taken back is handed out again by bits: what a list leaves behind
//! that has grown is pages that are there already.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};

use nix::libc;

/// What is not used costs nothing: a monitor was seen to keep three pages of it.
static FIRST: Piece<{ 64 << 10 }, false> = Piece::of({
    static BYTES: Bytes<{ 64 << 10 }> = Bytes::new();
    &BYTES
});
/// Measured: reading the arguments of `start` takes 44 KiB, those of `status` 47; without handing out again 70 and 73.
static MOMENT: Piece<{ 1 << 20 }, true> = Piece::of({
    static BYTES: Bytes<{ 1 << 20 }> = Bytes::new();
    &BYTES
});
static IS_MOMENT: AtomicBool = AtomicBool::new(false);

/// The program's allocator.
#[derive(Debug)]
pub struct Heap;

// SAFETY: a block is of one of the pieces, which keep what is asked of them here, or of the system's heap.
unsafe impl GlobalAlloc for Heap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let block = if IS_MOMENT.load(Relaxed) { MOMENT.take(layout) } else { FIRST.take(layout) };
        match block {
            Some(block) => block,
            // SAFETY: the caller's promise is the same.
            None => unsafe { System.alloc(layout) },
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if !FIRST.resize(block, layout.size(), 0).is_own() && !MOMENT.resize(block, layout.size(), 0).is_own()
        {
            // SAFETY: it is of neither piece, so it is the system's; the caller's promise is the same.
            unsafe { System.dealloc(block, layout) };
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let resized = match FIRST.resize(block, layout.size(), size) {
            Resized::NotOwn => MOMENT.resize(block, layout.size(), size),
            own => own,
        };
        match resized {
            // SAFETY: as in `dealloc`.
            Resized::NotOwn => return unsafe { System.realloc(block, layout, size) },
            Resized::Done => return block,
            Resized::No => {}
        }
        // SAFETY: the caller promises that `size` is none that overflows with this alignment.
        let wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        // SAFETY: its size is not zero, as the caller promises.
        let moved = unsafe { self.alloc(wanted) };
        if !moved.is_null() {
            // SAFETY: both have so many bytes, and the new block overlaps no other.
            unsafe { ptr::copy_nonoverlapping(block, moved, layout.size().min(size)) };
            // SAFETY: it was handed out with that layout, and the caller does not use it any more.
            unsafe { self.dealloc(block, layout) };
        }
        moved
    }
}

/// Memory that is handed out from its beginning; with `AGAIN`, blocks that were taken back, too.
struct Piece<const SIZE: usize, const AGAIN: bool> {
    bytes: &'static Bytes<SIZE>,
    /// How many are handed out.
    used: AtomicUsize,
    /// A [`Hole`] among them.
    hole: AtomicU64,
}

/// What is left of a block that was taken back, from one byte of the piece to another.
#[derive(Clone, Copy)]
struct Hole {
    begin: usize,
    end: usize,
}

impl Hole {
    /// A smaller block is not worth it.
    const LEAST: usize = 1024;

    /// As one number, which changes in one step.
    fn packed(self) -> u64 {
        (self.begin as u64) << 32 | self.end as u64
    }

    fn of(packed: u64) -> Self {
        Self { begin: (packed >> 32) as usize, end: (packed & 0xffff_ffff) as usize }
    }
}

/// Whole pages, of which only those take memory that are used.
#[repr(C, align(4096))]
struct Bytes<const SIZE: usize>(UnsafeCell<[u8; SIZE]>);

// SAFETY: they are reached only through pointers to blocks that do not overlap: `used` and `hole` only move on from a value that they
// had, and a hole is of nobody.
unsafe impl<const SIZE: usize> Sync for Bytes<SIZE> {}

impl<const SIZE: usize> Bytes<SIZE> {
    const fn new() -> Self {
        Self(UnsafeCell::new([0; SIZE]))
    }
}

/// What came of changing the size of a block in its place.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Resized {
    Done,
    /// Another one was handed out after it, or the piece is at its end.
    No,
    /// It is not of this piece.
    NotOwn,
}

impl Resized {
    fn is_own(self) -> bool {
        self != Self::NotOwn
    }
}

impl<const SIZE: usize, const AGAIN: bool> Piece<SIZE, AGAIN> {
    const fn of(bytes: &'static Bytes<SIZE>) -> Self {
        assert!(SIZE < u32::MAX as usize);
        Self { bytes, used: AtomicUsize::new(0), hole: AtomicU64::new(0) }
    }

    fn base(&self) -> *mut u8 {
        self.bytes.0.get().cast()
    }

    /// The next block; `None` if there is no room for it.
    fn take(&self, layout: Layout) -> Option<*mut u8> {
        // The piece itself is aligned to that.
        if layout.align() > 4096 {
            return None;
        }
        let begin = |used: usize| used.next_multiple_of(layout.align());
        let end = |used, limit| begin(used).checked_add(layout.size()).filter(|&end| end <= limit);
        let shrink = |packed| {
            let hole = Hole::of(packed);
            end(hole.begin, hole.end).map(|end| Hole { begin: end, ..hole }.packed())
        };
        let again = if AGAIN { self.hole.fetch_update(Acquire, Relaxed, shrink).ok() } else { None };
        let used = match again {
            Some(packed) => Hole::of(packed).begin,
            None => self.used.fetch_update(Acquire, Relaxed, |used| end(used, SIZE)).ok()?,
        };
        Some(self.base().wrapping_add(begin(used)))
    }

    /// Keeps a block in mind that was taken back, if it is larger than what is left of the one before.
    fn keep(&self, at: usize, size: usize) {
        let larger = |packed| {
            let hole = Hole::of(packed);
            (size > hole.end - hole.begin).then(|| Hole { begin: at, end: at + size }.packed())
        };
        if AGAIN && size >= Hole::LEAST {
            // Whoever is handed it out again comes after all that was done with it.
            let _ = self.hole.fetch_update(AcqRel, Relaxed, larger);
        }
    }

    /// Makes a block smaller or larger, if it is the one handed out last. To size 0: takes it back.
    fn resize(&self, block: *mut u8, old: usize, new: usize) -> Resized {
        let Some(at) = block.addr().checked_sub(self.base().addr()).filter(|&at| at < SIZE) else {
            return Resized::NotOwn;
        };
        match at.checked_add(new) {
            Some(end) if end <= SIZE => {
                // An exchange that fails is a write, too: after a fork it would copy the page.
                let is_last = self.used.load(Relaxed) == at + old;
                // Whoever is handed it out again comes after all that was done with it.
                if is_last && self.used.compare_exchange(at + old, end, AcqRel, Relaxed).is_ok() {
                    return Resized::Done;
                }
                if new == 0 {
                    self.keep(at, old);
                }
                Resized::No
            }
            _ => Resized::No,
        }
    }
}

/// Does `work` with memory of a piece of its own, and `keep` without. If that kept something, the piece is taken away:
/// whoever touches it afterwards is killed by SIGSEGV rather than misled. Otherwise the work is returned.
///
/// # Safety
/// Nothing that `work` allocated is used afterwards: it leaves nothing of it in a static, and `keep` copies.
/// One thread; to be called once.
pub unsafe fn for_a_moment<T, K>(
    work: impl FnOnce() -> T,
    keep: impl FnOnce(&T) -> Option<K>,
) -> Result<K, T> {
    IS_MOMENT.store(true, Relaxed);
    let done = work();
    IS_MOMENT.store(false, Relaxed);
    let Some(kept) = keep(&done) else { return Err(done) };
    // Its destructor has nothing to do but give memory back.
    std::mem::forget(done);
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE;
    let size = size_of_val(MOMENT.bytes);
    // SAFETY: it begins and ends with a page, and nothing in it is used any more. Should it fail, the memory stays.
    unsafe { libc::mmap(MOMENT.base().cast(), size, libc::PROT_NONE, flags, -1, 0) };
    Ok(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Take(usize, u32),
        Resize(usize, usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (1..3 * Hole::LEAST, 0..7u32).prop_map(|(size, align)| Step::Take(size, align)),
            (1..64usize, 0..7u32).prop_map(|(size, align)| Step::Take(size, align)),
            (0..40usize, 0..3 * Hole::LEAST).prop_map(|(which, size)| Step::Resize(which, size)),
            (0..40usize).prop_map(|which| Step::Resize(which, 0)),
        ]
    }

    const SIZE: usize = 64 << 10;

    proptest! {
        #[test]
        fn blocks_are_aligned_and_never_overlap(steps in proptest::collection::vec(step(), 0..200)) {
            let piece = Piece::<SIZE, true>::of(Box::leak(Box::new(Bytes::new())));
            let mut blocks: Vec<(usize, usize)> = Vec::new();
            for step in steps {
                match step {
                    Step::Take(size, align) => {
                        let layout = Layout::from_size_align(size, 1 << align).expect("a layout");
                        if let Some(block) = piece.take(layout) {
                            prop_assert_eq!(block.addr() % layout.align(), 0);
                            blocks.push((block.addr(), size));
                        }
                    }
                    Step::Resize(which, size) if which < blocks.len() => {
                        let (block, old) = blocks[which];
                        let resized = piece.resize(ptr::without_provenance_mut(block), old, size);
                        prop_assert!(resized.is_own());
                        if resized == Resized::Done {
                            blocks[which].1 = size;
                        }
                        if size == 0 {
                            blocks.remove(which);
                        }
                    }
                    Step::Resize(..) => {}
                }
                let mut sorted = blocks.clone();
                sorted.sort_unstable();
                for pair in sorted.windows(2) {
                    prop_assert!(pair[0].0 + pair[0].1 <= pair[1].0);
                }
                let end = piece.base().addr() + SIZE;
                prop_assert!(blocks.iter().all(|(at, size)| (piece.base().addr()..=end).contains(at) && at + size <= end));
            }
        }
    }

    #[test]
    fn what_a_large_block_leaves_is_handed_out_again() {
        let piece = Piece::<SIZE, true>::of(Box::leak(Box::new(Bytes::new())));
        let take = |size| piece.take(Layout::from_size_align(size, 8).expect("a layout")).expect("room");
        let (large, last) = (take(2000), take(100));
        assert!(piece.resize(large, 2000, 0).is_own());
        assert_eq!(take(1500), large);
        assert_eq!(take(496), large.wrapping_add(1504));
        assert_eq!(take(8), last.wrapping_add(104));
    }

    #[test]
    fn what_is_not_of_a_piece_is_left_to_others() {
        let piece = Piece::<4096, false>::of(Box::leak(Box::new(Bytes::new())));
        let other = 0u8;
        assert!(!piece.resize(ptr::from_ref(&other).cast_mut(), 1, 0).is_own());
        assert_eq!(piece.take(Layout::from_size_align(4097, 1).expect("a layout")), None);
        assert_eq!(piece.take(Layout::from_size_align(1, 8192).expect("a layout")), None);
    }
}
