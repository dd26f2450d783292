//! Quantized images for board and host.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::npy;
use crate::sepconv::{self, Model};
use crate::workspace::target;

/// Quantized images in a file.
pub struct Images {
    /// The `.npy` file: int8 [count, height, width, channels].
    pub path: PathBuf,
    /// The images, one after the other.
    pub values: Vec<i8>,
    /// Height, width and channels.
    pub shape: [usize; 3],
}

impl Images {
    /// The images one by one.
    pub fn each(&self) -> impl Iterator<Item = &[i8]> {
        self.values
            .chunks_exact(self.shape.iter().product::<usize>().max(1))
    }
}

/// The images in a file.
///
/// # Errors
///
/// [`Error::Input`] if they are not images of the model's size.
pub fn read(model: &Model, path: &Path) -> Result<Images, Error> {
    let (shape, values) = npy::read(path)?;
    let expected = model.input_shape;
    let fits = match shape[..] {
        [count, height, width, channels] => count > 0 && [height, width, channels] == expected,
        _ => shape == expected,
    };
    if !fits {
        let message = format!(
            "{}: an array of {shape:?} is not [count, ...] of {expected:?}",
            path.display()
        );
        return Err(Error::Input(message));
    }
    Ok(Images {
        path: path.into(),
        values,
        shape: expected,
    })
}

/// The first image of a file, or, without one, an image of pseudo-random values: the same ones every time.
///
/// # Errors
///
/// As [`read`].
pub fn first_or_random(model: &Model, path: Option<&Path>) -> Result<Images, Error> {
    let length = model.input_shape.iter().product();
    let (name, values) = match path {
        Some(path) => ("first.npy", read(model, path)?.values[..length].to_vec()),
        None => ("random.npy", random(length)),
    };
    write(name, values, model.input_shape)
}

/// Writes images into a file of this name in the build folder.
///
/// # Errors
///
/// [`Error::Environment`] if it cannot be written.
pub fn write(name: &str, values: Vec<i8>, shape: [usize; 3]) -> Result<Images, Error> {
    let folder = target().join("images");
    std::fs::create_dir_all(&folder)
        .map_err(|error| Error::Environment(format!("cannot make {}: {error}", folder.display())))?;
    let count = values.len() / shape.iter().product::<usize>().max(1);
    let path = folder.join(name);
    npy::write(&path, &[count, shape[0], shape[1], shape[2]], &values)?;
    Ok(Images { path, values, shape })
}

/// What this machine's runtime makes of the images: an output for each.
///
/// # Errors
///
/// As [`sepconv::run`].
pub fn host_outputs(model: &Path, images: &Images) -> Result<Vec<Vec<i8>>, Error> {
    let output = images.path.with_extension("outputs.npy");
    sepconv::run(model, &images.path, &output)?;
    let (_, values) = npy::read(&output)?;
    let length = values.len() / images.each().count().max(1);
    Ok(values.chunks_exact(length.max(1)).map(<[i8]>::to_vec).collect())
}

/// Values of a linear congruential generator (Knuth's MMIX constants), its highest byte.
fn random(count: usize) -> Vec<i8> {
    let mut state: u64 = 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as i8
    };
    (0..count).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_values_are_the_same_every_time_and_use_the_whole_range() {
        let values = random(4096);
        assert_eq!(values, random(4096));
        assert_eq!(
            (values.iter().min(), values.iter().max()),
            (Some(&-128), Some(&127))
        );
    }
}
