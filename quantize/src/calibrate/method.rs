//! From what a tensor held to the range that its quantization covers.

use super::{Histogram, Range, Seen};

/// How a range is chosen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Method {
    /// Everything seen.
    MinMax,
    /// The exponential moving average of each input's least and greatest value (Jacob et al. 2018).
    MovingAverage,
    /// What the given share of inputs keep within, at each end: a few inputs with values far outside all others' must not
    /// cost the others their steps.
    MostInputs(f64),
    /// All but the given share of values (such as 0.0001) at each end.
    Percentile(f64),
    /// The range with the least mean squared error of quantizing to 8 bits.
    Mse,
    /// The range whose 8-bit histogram has the least Kullback–Leibler divergence from the data's (as in NVIDIA's
    /// TensorRT calibration, Migacz 2017, on each side of zero).
    Entropy,
}

impl std::fmt::Display for Method {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Method::MinMax => f.write_str("ranges of everything seen"),
            Method::MovingAverage => f.write_str("moving averages of ranges"),
            Method::MostInputs(share) => {
                write!(f, "ranges that {:.0} % of inputs keep within", 100.0 * share)
            }
            Method::Percentile(share) => write!(f, "ranges without {share:e} at each end"),
            Method::Mse => f.write_str("ranges of least squared error"),
            Method::Entropy => f.write_str("ranges of least divergence"),
        }
    }
}

/// Shrunken ranges that [`Method::Mse`] and [`Method::Entropy`] try, of the full range.
const TRIALS: usize = 96;

impl Method {
    /// The range for a tensor.
    pub fn range(self, seen: &Seen) -> Range {
        let histogram = &seen.histogram;
        let full = Range {
            min: histogram.min(),
            max: histogram.max(),
        };
        if full.min == full.max {
            return full;
        }
        match self {
            Method::MinMax => full,
            Method::MovingAverage => moving_average(&seen.ranges),
            Method::MostInputs(share) => most_inputs(&seen.ranges, share),
            Method::Percentile(share) => percentile(histogram, full, share),
            Method::Mse => best(full, |range| squared_error(histogram, range)),
            Method::Entropy => best(full, |range| divergence(histogram, range)),
        }
    }
}

/// The share of the moving average that each new input replaces.
const MOMENTUM: f32 = 0.1;

fn moving_average(ranges: &[Range]) -> Range {
    let follow = |average: Range, range: &Range| Range {
        min: average.min + (range.min - average.min) * MOMENTUM,
        max: average.max + (range.max - average.max) * MOMENTUM,
    };
    ranges
        .iter()
        .copied()
        .reduce(|average, range| follow(average, &range))
        .unwrap_or(Range { min: 0.0, max: 0.0 })
}

/// The quantile of the inputs' ends, between two inputs in proportion.
fn most_inputs(ranges: &[Range], share: f64) -> Range {
    let quantile = |end: fn(&Range) -> f32| {
        let mut ends: Vec<f32> = ranges.iter().map(end).collect();
        ends.sort_by(f32::total_cmp);
        let at = (ends.len() - 1) as f64 * share.clamp(0.0, 1.0);
        let (below, between) = (at as usize, at.fract() as f32);
        let above = (below + 1).min(ends.len() - 1);
        ends[below] + (ends[above] - ends[below]) * between
    };
    Range {
        min: -quantile(|range| -range.min),
        max: quantile(|range| range.max),
    }
}

fn percentile(histogram: &Histogram, full: Range, share: f64) -> Range {
    let allowed = histogram.count() as f64 * share;
    let bins: Vec<(f32, u64)> = histogram.bins().collect();
    let end = |bins: &mut dyn Iterator<Item = &(f32, u64)>| {
        let mut outside = 0.0;
        for (centre, count) in bins {
            outside += *count as f64;
            if outside > allowed {
                return *centre;
            }
        }
        0.0
    };
    let max = end(&mut bins.iter().rev()).clamp(0.0, full.max);
    let min = end(&mut bins.iter()).clamp(full.min, 0.0);
    Range { min, max }
}

/// The range with the least loss among the full one shrunken at either end; each end is searched with the other fixed.
fn best(full: Range, loss: impl Fn(Range) -> f64) -> Range {
    let mut chosen = full;
    for _ in 0..2 {
        for upper in [true, false] {
            let candidates = (TRIALS / 8..=TRIALS).map(|trial| {
                let share = trial as f32 / TRIALS as f32;
                if upper {
                    Range {
                        max: full.max * share,
                        ..chosen
                    }
                } else {
                    Range {
                        min: full.min * share,
                        ..chosen
                    }
                }
            });
            chosen = candidates
                .map(|range| (loss(range), range))
                .min_by(|a, b| a.0.total_cmp(&b.0))
                .map_or(full, |b| b.1);
        }
    }
    chosen
}

/// The sum of squared errors of quantizing a histogram's values to 256 steps over a range.
pub fn squared_error(histogram: &Histogram, range: Range) -> f64 {
    let step = ((range.max - range.min) / 255.0) as f64;
    if step <= 0.0 {
        return f64::INFINITY;
    }
    // Within the range, the error is uniform over a step; outside, it is the distance.
    let within = step * step / 12.0;
    let error = |(centre, count): (f32, u64)| {
        let outside = (centre - centre.clamp(range.min, range.max)) as f64;
        count as f64 * if outside == 0.0 { within } else { outside * outside }
    };
    histogram.bins().map(error).sum()
}

/// The Kullback–Leibler divergence of the data from what 256 steps over a range can tell apart.
fn divergence(histogram: &Histogram, range: Range) -> f64 {
    let step = (range.max - range.min) / 255.0;
    if step <= 0.0 {
        return f64::INFINITY;
    }
    let index =
        |value: f32| (((value.clamp(range.min, range.max) - range.min) / step).round() as usize).min(255);
    // Counts and filled bins by step; what is clipped lands in the outermost steps of the data but not of the model.
    let mut clipped = [0.0; 256];
    let mut kept = [0.0; 256];
    let mut filled = [0u32; 256];
    for (centre, count) in histogram.bins() {
        let at = index(centre);
        clipped[at] += count as f64;
        if (range.min..=range.max).contains(&centre) {
            kept[at] += count as f64;
            filled[at] += 1;
        }
    }
    let total: f64 = clipped.iter().sum();
    let kept_total: f64 = kept.iter().sum::<f64>().max(1.0);
    let term = |(centre, count): (f32, u64)| {
        let at = index(centre);
        let inside = (range.min..=range.max).contains(&centre);
        let p = count as f64 / total;
        let q = if inside {
            kept[at] / kept_total / filled[at].max(1) as f64
        } else {
            1e-12
        };
        p * (p / q.max(1e-12)).ln()
    };
    histogram.bins().map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A bell of half width 1 and one far outlier.
    fn bell_with_outlier() -> Seen {
        let mut seen = Seen::new(1);
        let bell: Vec<f32> = (0..100_000)
            .map(|i| ((i as f32 / 50_000.0 - 1.0) * 1.5).powi(3))
            .collect();
        seen.add(&bell);
        seen.add(&[40.0]);
        seen
    }

    #[test]
    fn min_max_keeps_outliers_that_percentile_and_entropy_cut() {
        let seen = bell_with_outlier();
        assert_eq!(Method::MinMax.range(&seen).max, 40.0);
        for method in [Method::Percentile(1e-4), Method::Entropy] {
            let range = method.range(&seen);
            assert!(range.max < 20.0 && range.max > 1.0, "{method:?}: {range:?}");
            assert!(range.min <= -1.0, "{method:?}: {range:?}");
        }
    }

    #[test]
    fn the_moving_average_follows_the_ranges_of_inputs() {
        let mut seen = Seen::new(1);
        seen.add(&[1.0, -2.0]);
        seen.add(&[11.0, -1.0]);
        assert_eq!(Method::MovingAverage.range(&seen), Range { min: -1.9, max: 2.0 });
    }

    #[test]
    fn a_few_inputs_far_outside_do_not_widen_the_range_of_most() {
        let mut seen = Seen::new(1);
        for input in 0..9 {
            seen.add(&[2.0 + 0.1 * input as f32, -1.0]);
        }
        seen.add(&[300.0, -200.0]);
        assert_eq!(
            Method::MinMax.range(&seen),
            Range {
                min: -200.0,
                max: 300.0
            }
        );
        // Two thirds of the way from the first of ten to the last is the seventh.
        let most = Method::MostInputs(2.0 / 3.0).range(&seen);
        assert!((most.max - 2.6).abs() < 1e-5 && most.min == -1.0, "{most:?}");
        let all = Method::MostInputs(1.0).range(&seen);
        assert_eq!(all, Method::MinMax.range(&seen));
    }

    #[test]
    fn no_range_has_less_squared_error_than_the_one_of_mse() {
        let seen = bell_with_outlier();
        let least = squared_error(&seen.histogram, Method::Mse.range(&seen));
        for method in [Method::MinMax, Method::Percentile(1e-4), Method::Entropy] {
            assert!(
                least <= squared_error(&seen.histogram, method.range(&seen)),
                "{method:?}"
            );
        }
    }

    #[test]
    fn ranges_of_nothing_and_of_zeros_are_empty() {
        let mut seen = Seen::new(1);
        seen.add(&[0.0; 8]);
        for method in [
            Method::MinMax,
            Method::MovingAverage,
            Method::MostInputs(0.8),
            Method::Percentile(0.1),
            Method::Mse,
            Method::Entropy,
        ] {
            assert_eq!(method.range(&seen), Range { min: 0.0, max: 0.0 });
        }
    }
}
