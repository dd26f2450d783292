//! What each channel of an activation holds.

/// Channels of one activation, over a set of inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Channels {
    /// The greatest absolute value of each channel.
    pub greatest: Vec<f32>,
    /// The mean of each channel.
    pub mean: Vec<f32>,
    /// The mean square of each channel.
    pub mean_square: Vec<f32>,
    inputs: usize,
}

impl Channels {
    /// Nothing seen yet of so many channels.
    pub fn new(channels: usize) -> Self {
        Self {
            greatest: vec![0.0; channels],
            mean: vec![0.0; channels],
            mean_square: vec![0.0; channels],
            inputs: 0,
        }
    }

    /// Adds an activation (NHWC). Every input has as many pixels, so each counts alike.
    pub fn add(&mut self, values: &[f32]) {
        let channels = self.mean.len();
        let pixels = (values.len() / channels) as f32;
        let (mut sums, mut squares) = (vec![0f32; channels], vec![0f32; channels]);
        for pixel in values.chunks_exact(channels) {
            let sums = sums.iter_mut().zip(&mut squares);
            for (((sum, square), greatest), value) in sums.zip(&mut self.greatest).zip(pixel) {
                *sum += value;
                *square += value * value;
                *greatest = greatest.max(value.abs());
            }
        }
        self.inputs += 1;
        let share = 1.0 / self.inputs as f32;
        let running = |mean: &mut Vec<f32>, sums: &[f32]| {
            for (mean, sum) in mean.iter_mut().zip(sums) {
                *mean += (sum / pixels - *mean) * share;
            }
        };
        running(&mut self.mean, &sums);
        running(&mut self.mean_square, &squares);
    }

    /// The variance of a channel.
    pub fn variance(&self, channel: usize) -> f32 {
        (self.mean_square[channel] - self.mean[channel] * self.mean[channel]).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_all_values_of_a_channel() {
        let mut channels = Channels::new(2);
        channels.add(&[1.0, 10.0, 3.0, -30.0]);
        channels.add(&[5.0, 20.0, -1.0, 0.0]);
        assert_eq!(channels.greatest, [5.0, 30.0]);
        assert_eq!(channels.mean, [2.0, 0.0]);
        assert_eq!(channels.mean_square, [9.0, 350.0]);
        assert_eq!([channels.variance(0), channels.variance(1)], [5.0, 350.0]);
    }
}
