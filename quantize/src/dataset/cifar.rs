//! CIFAR-10 in its binary version: `data_batch_1.bin` to `data_batch_5.bin` and `test_batch.bin`.
//!
//! A record is one label byte, then 32×32 red, green and blue bytes, plane after plane; described at
//! <https://www.cs.toronto.edu/~kriz/cifar.html>. Calibration images are taken out of the training images.

use std::fs;
use std::path::{Path, PathBuf};

use super::{Dataset, DatasetError, ImageSize, Images, Samples, split};

const SIZE: ImageSize = ImageSize {
    height: 32,
    width: 32,
    channels: 3,
};
const PLANE: usize = 32 * 32;
const RECORD: usize = 1 + 3 * PLANE;
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// Whether `dir` holds CIFAR-10 binary files.
pub fn is_cifar(dir: &Path) -> bool {
    dir.join("data_batch_1.bin").is_file()
}

/// Reads the CIFAR-10 files in `dir`. Fewer than five training files are accepted, from the first on.
pub fn read(dir: &Path) -> Result<Dataset, DatasetError> {
    let batches: Vec<PathBuf> = (1..=5)
        .map(|number| dir.join(format!("data_batch_{number}.bin")))
        .take_while(|path| path.is_file())
        .collect();
    let test = dir.join("test_batch.bin");
    if !test.is_file() {
        return Err(DatasetError::Missing {
            dir: dir.to_path_buf(),
            name: "test_batch.bin".to_string(),
            beside: "data_batch_1.bin".to_string(),
        });
    }
    let (train, calibration) = split::hold_out_calibration(&read_batches(&batches)?);
    Ok(Dataset {
        classes: CLASSES.map(str::to_string).to_vec(),
        train,
        calibration,
        test: read_batches(&[test])?,
    })
}

fn read_batches(paths: &[PathBuf]) -> Result<Samples, DatasetError> {
    let mut pixels = Vec::new();
    let mut labels = Vec::new();
    for path in paths {
        let bytes = fs::read(path).map_err(DatasetError::io(path))?;
        if bytes.is_empty() || bytes.len() % RECORD != 0 {
            let what = format!(
                "{} bytes are not a whole number of records of {RECORD} bytes",
                bytes.len()
            );
            return Err(DatasetError::malformed(path, what));
        }
        for (index, record) in bytes.chunks_exact(RECORD).enumerate() {
            let (label, planes) = (u32::from(record[0]), &record[1..]);
            if label as usize >= CLASSES.len() {
                return Err(DatasetError::malformed(
                    path,
                    format!("record {index} has label {label}, not 0 to 9"),
                ));
            }
            labels.push(label);
            pixels.extend((0..PLANE).flat_map(|at| [planes[at], planes[PLANE + at], planes[2 * PLANE + at]]));
        }
    }
    Ok(Samples {
        images: Images::new(SIZE, pixels),
        labels,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record whose planes are flat: red, green, blue.
    fn record(label: u8, colour: [u8; 3]) -> Vec<u8> {
        let mut bytes = vec![label];
        bytes.extend(colour.iter().flat_map(|&value| [value; PLANE]));
        bytes
    }

    #[test]
    fn reads_planes_as_interleaved_pixels() {
        let dir = tempfile::tempdir().unwrap();
        let train: Vec<u8> = (0..10).flat_map(|label| record(label, [label, 0, 0])).collect();
        std::fs::write(dir.path().join("data_batch_1.bin"), train).unwrap();
        std::fs::write(dir.path().join("test_batch.bin"), record(7, [1, 2, 3])).unwrap();
        let dataset = Dataset::open(dir.path(), None).unwrap();
        assert_eq!(
            (dataset.train.len(), dataset.calibration.len(), dataset.test.len()),
            (9, 1, 1)
        );
        assert_eq!(dataset.test.labels, [7]);
        assert_eq!(dataset.classes[7], "horse");
        assert_eq!(dataset.test.images.get(0), [1, 2, 3].repeat(PLANE));
    }

    #[test]
    fn says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let (train, test) = (
            dir.path().join("data_batch_1.bin"),
            dir.path().join("test_batch.bin"),
        );
        let error = || Dataset::open(dir.path(), None).unwrap_err().to_string();
        std::fs::write(&train, record(0, [0; 3])).unwrap();
        assert!(error().contains("test_batch.bin is missing"));
        std::fs::write(&test, [0; 100]).unwrap();
        assert!(error().contains("100 bytes are not a whole number of records"));
        std::fs::write(&test, record(10, [0; 3])).unwrap();
        assert!(error().contains("record 0 has label 10"));
    }
}
