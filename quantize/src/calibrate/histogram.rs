//! A histogram whose range grows with the data.

use super::Range;

/// Bins over the whole range.
const BINS: usize = 4096;

/// About how many values of one activation are counted.
const SAMPLE: usize = 1 << 15;

/// Counts of values in bins of equal width around zero. When a value falls outside, the bins double in width and
/// neighbours are merged, so that no data need be kept.
#[derive(Clone, Debug, PartialEq)]
pub struct Histogram {
    /// Half the range: bins cover `-reach..reach`; a power of two, or 0 before the first nonzero value.
    reach: f32,
    counts: Vec<u64>,
    min: f32,
    max: f32,
    zeros: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            reach: 0.0,
            counts: vec![0; BINS],
            min: 0.0,
            max: 0.0,
            zeros: 0,
        }
    }
}

impl Histogram {
    /// Adds an activation; values that are not finite are left out. The least and greatest are found among all values, but
    /// of a large activation only some tens of thousands, evenly spread, are counted. Returns the least and greatest of
    /// these values, zero included.
    pub fn add(&mut self, values: &[f32]) -> Range {
        let finite = |value: &&f32| value.is_finite();
        let zero = Range { min: 0.0, max: 0.0 };
        let seen = values.iter().filter(finite).fold(zero, |range, value| Range {
            min: range.min.min(*value),
            max: range.max.max(*value),
        });
        (self.min, self.max) = (self.min.min(seen.min), self.max.max(seen.max));
        self.grow_to(self.max.max(-self.min));
        let scale = BINS as f32 / (2.0 * self.reach);
        for value in values.iter().step_by(stride(values.len())).filter(finite) {
            // Most activations after a ReLU are exactly zero: they need no range.
            if *value == 0.0 {
                self.zeros += 1;
            } else {
                let bin = ((value + self.reach) * scale) as usize;
                self.counts[bin.min(BINS - 1)] += 1;
            }
        }
        seen
    }

    /// Makes the bins cover everything below `needed` in magnitude.
    fn grow_to(&mut self, needed: f32) {
        if needed > 0.0 && self.reach == 0.0 {
            // The next power of two; what is smaller than that is kept apart below.
            self.reach = 2f32.powi(needed.log2().floor() as i32 + 1).max(f32::MIN_POSITIVE);
        }
        while self.reach > 0.0 && needed >= self.reach {
            self.double();
        }
    }

    fn double(&mut self) {
        let mut merged = vec![0; BINS];
        for (bin, count) in self.counts.iter().enumerate() {
            merged[BINS / 4 + bin / 2] += count;
        }
        self.counts = merged;
        self.reach *= 2.0;
    }

    /// The least value seen; not above zero.
    pub fn min(&self) -> f32 {
        self.min
    }

    /// The greatest value seen; not below zero.
    pub fn max(&self) -> f32 {
        self.max
    }

    /// How many values were counted.
    pub fn count(&self) -> u64 {
        self.zeros + self.counts.iter().sum::<u64>()
    }

    /// Bins that hold values other than zero, as (centre, count).
    pub fn bins(&self) -> impl Iterator<Item = (f32, u64)> {
        let width = 2.0 * self.reach / BINS as f32;
        let centre = move |bin: usize| (bin as f32 + 0.5) * width - self.reach;
        self.counts
            .iter()
            .enumerate()
            .filter(|(_, count)| **count > 0)
            .map(move |(bin, count)| (centre(bin), *count))
    }

    /// How many values were exactly zero.
    pub fn zeros(&self) -> u64 {
        self.zeros
    }
}

/// The distance between counted values: without a common factor with their number, so that every channel is met.
fn stride(values: usize) -> usize {
    let wanted = values / SAMPLE;
    if wanted < 2 {
        return 1;
    }
    let common = |mut a: usize, mut b: usize| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    (wanted..)
        .find(|stride| common(values, *stride) == 1)
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growing_keeps_every_value() {
        let mut histogram = Histogram::default();
        for exponent in -3..12 {
            histogram.add(&[2f32.powi(exponent), -1.5 * 2f32.powi(exponent), 0.0, f32::NAN]);
        }
        assert_eq!((histogram.min(), histogram.max()), (-3072.0, 2048.0));
        assert_eq!(histogram.count(), 45);
        assert_eq!(histogram.zeros(), 15);
        let width = 2.0 * 4096.0 / BINS as f32;
        let least = histogram
            .bins()
            .map(|(centre, _)| centre)
            .fold(f32::INFINITY, f32::min);
        assert!((least - -3072.0).abs() <= width);
    }

    #[test]
    fn a_sample_meets_every_channel_and_the_extremes_of_all() {
        let channels = 728;
        let mut values: Vec<f32> = (0..361 * channels).map(|i| (i % channels) as f32).collect();
        values[12345] = -5000.0;
        let mut histogram = Histogram::default();
        assert_eq!(
            histogram.add(&values),
            Range {
                min: -5000.0,
                max: 727.0
            }
        );
        assert!((SAMPLE as u64 / 2..SAMPLE as u64 * 2).contains(&histogram.count()));
        let seen: Vec<f32> = histogram.bins().map(|(centre, _)| centre).collect();
        // A bin is four channels wide.
        let expected = (0..channels / 4).map(|i| i as f32 * 4.0 + 2.0);
        for centre in expected {
            assert!(seen.contains(&centre), "nothing near {centre}");
        }
    }
}
