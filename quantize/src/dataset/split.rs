//! Setting some samples aside, the same ones every time.

use super::{CALIBRATION_IMAGES, Samples};

/// Takes `count` of `samples` out. The choice looks random, but depends only on the number of samples.
///
/// Returns what is kept and what was taken, both in their old order.
pub(super) fn hold_out(samples: &Samples, count: usize) -> (Samples, Samples) {
    let mut order: Vec<usize> = (0..samples.len()).collect();
    order.sort_by_key(|&index| scramble(index as u64));
    let (taken, kept) = order.split_at_mut(count);
    taken.sort_unstable();
    kept.sort_unstable();
    (samples.select(kept), samples.select(taken))
}

/// Takes calibration images out of the training images: a tenth, at most [`CALIBRATION_IMAGES`], at least one.
pub(super) fn hold_out_calibration(train: &Samples) -> (Samples, Samples) {
    hold_out(train, train.len().div_ceil(10).min(CALIBRATION_IMAGES))
}

/// The output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators").
fn scramble(index: u64) -> u64 {
    let mut z = index.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataset::{ImageSize, Images};

    #[test]
    fn parts_are_disjoint_complete_and_repeatable() {
        let size = ImageSize {
            height: 1,
            width: 1,
            channels: 1,
        };
        let pixels: Vec<u8> = (0..100).collect();
        let samples = Samples {
            images: Images::new(size, pixels.clone()),
            labels: (0..100).collect(),
        };
        let (kept, taken) = hold_out(&samples, 30);
        assert_eq!((kept.len(), taken.len()), (70, 30));
        let mut all = [kept.images.pixels(), taken.images.pixels()].concat();
        all.sort_unstable();
        assert_eq!(all, pixels);
        assert!(taken.labels.is_sorted() && taken.labels != (0..30).collect::<Vec<u32>>());
        assert_eq!(hold_out(&samples, 30), (kept, taken));
    }
}
