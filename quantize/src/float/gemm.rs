//! Matrix product, by the `matrixmultiply` crate behind `ndarray`.

use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView2, ArrayViewMut2};

/// `c += a * b^T` on the calling thread, all row-major: `a` is `m x k`, `b` is `n x k`, `c` is `m x n`.
///
/// Panics unless the slices have exactly these lengths.
pub fn multiply_add_transposed(m: usize, n: usize, k: usize, a: &[f32], b: &[f32], c: &mut [f32]) {
    let a = ArrayView2::from_shape((m, k), a).expect("a is m x k");
    let b = ArrayView2::from_shape((n, k), b).expect("b is n x k");
    let mut c = ArrayViewMut2::from_shape((m, n), c).expect("c is m x n");
    general_mat_mul(1.0, &a, &b.t(), 1.0, &mut c);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_the_definition() {
        for (m, n, k) in [(1, 1, 1), (3, 5, 7), (17, 33, 65), (1, 40, 20), (40, 1, 20)] {
            let a: Vec<f32> = (0..m * k).map(|i| ((i * 7 % 13) as f32) - 6.0).collect();
            let b: Vec<f32> = (0..n * k).map(|i| ((i * 5 % 11) as f32) - 5.0).collect();
            let mut c: Vec<f32> = (0..m * n).map(|i| i as f32).collect();
            multiply_add_transposed(m, n, k, &a, &b, &mut c);
            for row in 0..m {
                for column in 0..n {
                    let product: f32 = (0..k).map(|i| a[row * k + i] * b[column * k + i]).sum();
                    assert_eq!(c[row * n + column], (row * n + column) as f32 + product);
                }
            }
        }
    }
}
