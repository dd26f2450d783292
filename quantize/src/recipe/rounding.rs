//! Rounding weights so that what a layer makes of real inputs changes least, not so that each weight does.
//!
//! With the second moments `H` of a layer's inputs, the squared error of an output channel is `(w − q)ᵀ H (w − q)`. With
//! the Cholesky factor of `H`, weights are rounded one after the other, and each takes in what the ones before it left of
//! error: Babai's nearest plane. (The same weights as Frantar et al. 2022, "GPTQ", in another order and without an inverse;
//! a greedy form of what Nagel et al. 2020, "AdaRound", find by descent.)

use crate::float::multiply_add_transposed;
use rayon::prelude::*;

/// The greatest quantized weight.
const GREATEST: f32 = 127.0;

/// What is added to the diagonal of second moments, as a share of its mean, besides half the number of inputs for each
/// sample: moments come from samples, and directions that few samples have must not be taken for free ones.
const DAMPING: f64 = 0.01;

/// Second moments of a layer's inputs, factored.
pub struct Moments {
    size: usize,
    /// Inputs by falling second moment: the last in this order is rounded first.
    order: Vec<usize>,
    /// Row j of the transposed Cholesky factor, from the diagonal on: `size − j` values.
    factor: Vec<Vec<f32>>,
    /// The diagonal, in the inputs' order.
    diagonal: Vec<f32>,
}

/// The second moments of `size` inputs, of which each has its samples one after the other.
pub fn second_moments(size: usize, values: &[f32]) -> Vec<f32> {
    let samples = values.len() / size;
    let mut moments = vec![0f32; size * size];
    let band = size.div_ceil(rayon::current_num_threads().max(1) * 4).max(1);
    moments
        .par_chunks_mut(band * size)
        .zip(values.par_chunks(band * samples))
        .for_each(|(out, rows)| {
            multiply_add_transposed(out.len() / size, size, samples, rows, values, out);
            out.iter_mut().for_each(|moment| *moment /= samples as f32);
        });
    moments
}

impl Moments {
    /// Factors the second moments (`size` rows of `size` values) of so many samples.
    pub fn new(size: usize, moments: &[f32], samples: usize) -> Self {
        let diagonal: Vec<f32> = (0..size).map(|i| moments[i * size + i]).collect();
        let mean = diagonal.iter().map(|value| *value as f64).sum::<f64>() / size as f64;
        // Inputs that are always zero leave weights free; any positive damping does.
        let share = DAMPING + 0.5 * size as f64 / samples.max(1) as f64;
        let damping = (mean * share).max(f64::from(f32::MIN_POSITIVE));
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|a, b| diagonal[*a].total_cmp(&diagonal[*b]));
        let mut lower = vec![0f64; size * size];
        for (row, from) in order.iter().enumerate() {
            for (column, other) in order[..=row].iter().enumerate() {
                lower[row * size + column] = moments[from * size + other] as f64;
            }
            lower[row * size + row] += damping;
        }
        factorize(&mut lower, size, damping * 1e-3);
        let factor = (0..size)
            .map(|j| (j..size).map(|i| lower[i * size + j] as f32).collect())
            .collect();
        Moments {
            size,
            order,
            factor,
            diagonal,
        }
    }

    /// Rounds the weights of one output channel to steps of `scale`.
    pub fn round(&self, weights: &[f32], scale: f32) -> Vec<i8> {
        let mut error = vec![0f32; self.size];
        let mut rounded = vec![0i8; self.size];
        for j in (0..self.size).rev() {
            let weight = weights[self.order[j]];
            let (diagonal, below) = self.factor[j].split_first().expect("a diagonal");
            let target = weight + dot(below, &error[j + 1..]) / diagonal;
            let value = (target / scale).round().clamp(-GREATEST, GREATEST);
            error[j] = weight - value * scale;
            rounded[self.order[j]] = value as i8;
        }
        rounded
    }

    /// A scale for the weights of one output channel: the one, among shrunken ones, with the least error of rounding each
    /// to nearest, weighted with how much its input holds.
    pub fn scale(&self, weights: &[f32]) -> f32 {
        /// Shares of the greatest weight, in hundredths.
        const SHRUNKEN: [u8; 8] = [100, 97, 94, 90, 86, 81, 76, 70];
        let widest = weights
            .iter()
            .fold(0f32, |widest, weight| widest.max(weight.abs()));
        if widest == 0.0 {
            return 1.0 / GREATEST;
        }
        let loss = |scale: f32| -> f32 {
            let error = |(weight, moment): (&f32, &f32)| {
                let rounded = (weight / scale).round().clamp(-GREATEST, GREATEST) * scale;
                (weight - rounded) * (weight - rounded) * moment
            };
            weights.iter().zip(&self.diagonal).map(error).sum()
        };
        SHRUNKEN
            .map(|share| widest * share as f32 / 100.0 / GREATEST)
            .into_iter()
            .map(|scale| (loss(scale), scale))
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .map_or(widest / GREATEST, |best| best.1)
    }
}

/// The lower Cholesky factor, in place. Pivots are kept above `least`.
fn factorize(matrix: &mut [f64], size: usize, least: f64) {
    for row in 0..size {
        let (above, rest) = matrix.split_at_mut(row * size);
        let current = &mut rest[..size];
        for column in 0..row {
            let other = &above[column * size..][..size];
            let sum = dot_f64(&current[..column], &other[..column]);
            current[column] = (current[column] - sum) / other[column];
        }
        let sum = dot_f64(&current[..row], &current[..row]);
        current[row] = (current[row] - sum).max(least).sqrt();
    }
}

/// Sums in eight lanes, which the compiler turns into vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..8 {
            lanes[i] += a[i] * b[i];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f32>() + rest
}

fn dot_f64(a: &[f64], b: &[f64]) -> f64 {
    let mut lanes = [0f64; 8];
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    for (a, b) in a_blocks.iter().zip(b_blocks) {
        for i in 0..8 {
            lanes[i] += a[i] * b[i];
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rewrite::testing::random;

    const SIZE: usize = 24;
    const SAMPLES: usize = 400;

    /// Samples of inputs that hang together: each is a random walk's step on the one before.
    fn samples(seed: u64) -> Vec<f32> {
        let mut values = random(SIZE * SAMPLES, seed);
        for i in SAMPLES..values.len() {
            values[i] = 0.8 * values[i - SAMPLES] + 0.4 * values[i];
        }
        values
    }

    fn squared_error(samples: &[f32], difference: &[f32]) -> f64 {
        (0..SAMPLES)
            .map(|s| {
                let sum: f32 = (0..SIZE).map(|i| difference[i] * samples[i * SAMPLES + s]).sum();
                (sum as f64).powi(2)
            })
            .sum()
    }

    #[test]
    fn outputs_change_less_than_with_weights_rounded_to_nearest() {
        let samples = samples(1);
        let moments = Moments::new(SIZE, &second_moments(SIZE, &samples), SAMPLES);
        let mut nearest_total = 0.0;
        let mut found_total = 0.0;
        for seed in 10..20 {
            let weights = random(SIZE, seed);
            let scale = 1.0 / 7.0;
            let difference = |rounded: &[i8]| -> Vec<f32> {
                weights
                    .iter()
                    .zip(rounded)
                    .map(|(w, q)| w - *q as f32 * scale)
                    .collect()
            };
            let nearest: Vec<i8> = weights.iter().map(|w| (w / scale).round() as i8).collect();
            nearest_total += squared_error(&samples, &difference(&nearest));
            found_total += squared_error(&samples, &difference(&moments.round(&weights, scale)));
        }
        assert!(
            found_total < 0.4 * nearest_total,
            "{found_total} against {nearest_total}"
        );
    }

    #[test]
    fn independent_inputs_round_to_nearest() {
        let mut moments = vec![0f32; 9];
        (moments[0], moments[4], moments[8]) = (2.0, 1.0, 3.0);
        let moments = Moments::new(3, &moments, 1000);
        assert_eq!(moments.round(&[0.26, -0.74, 100.0], 0.5), [1, -1, 127]);
    }

    #[test]
    fn a_far_weight_is_clipped_where_its_input_holds_little() {
        let mut diagonal = vec![0f32; SIZE * SIZE];
        (0..SIZE).for_each(|i| diagonal[i * SIZE + i] = if i == 5 { 1e-6 } else { 1.0 });
        let moments = Moments::new(SIZE, &diagonal, SAMPLES);
        let mut weights = random(SIZE, 4);
        weights[5] = 1.4;
        assert!(moments.scale(&weights) < 0.95 * 1.4 / GREATEST);
        weights[5] = 0.1;
        let widest = weights.iter().fold(0f32, |widest, w| widest.max(w.abs()));
        assert!(moments.scale(&weights) <= widest / GREATEST * 1.0001);
    }
}
