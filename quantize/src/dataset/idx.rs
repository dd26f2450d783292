//! MNIST IDX files: `train-images-idx3-ubyte`, `train-labels-idx1-ubyte` and the same for `t10k` (the test images),
//! each possibly compressed (`.gz`).
//!
//! A third pair, `calibration-...`, is an addition of ours; without it, calibration images are taken out of the
//! training images. The format (big-endian magic number and dimensions, then bytes) is described at
//! <http://yann.lecun.com/exdb/mnist/>. Fashion-MNIST and KMNIST come in the same format.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

use super::{Dataset, DatasetError, ImageSize, Images, Samples, split};

/// Magic number of a file of unsigned bytes in three dimensions: image, row, column.
const IMAGES_MAGIC: u32 = 0x0000_0803;
/// Magic number of a file of unsigned bytes in one dimension.
const LABELS_MAGIC: u32 = 0x0000_0801;

/// Whether `dir` holds the training images of an IDX data set.
pub fn is_idx(dir: &Path) -> bool {
    find(dir, "train", "images", 3).is_some()
}

/// Reads the IDX files in `dir`. The classes are named by their numbers.
pub fn read(dir: &Path) -> Result<Dataset, DatasetError> {
    let train = read_part(dir, "train")?;
    let test = read_part(dir, "t10k")?;
    let (train, calibration) = match find(dir, "calibration", "images", 3) {
        Some(_) => (train, read_part(dir, "calibration")?),
        None => split::hold_out_calibration(&train),
    };
    for part in [&test, &calibration] {
        if part.images.size() != train.images.size() {
            let what = format!(
                "images of {} beside images of {}",
                part.images.size(),
                train.images.size()
            );
            return Err(DatasetError::malformed(dir, what));
        }
    }
    let labels = [&train, &calibration, &test]
        .into_iter()
        .flat_map(|part| &part.labels);
    let classes = labels.copied().max().unwrap_or(0) + 1;
    Ok(Dataset {
        classes: (0..classes).map(|class| class.to_string()).collect(),
        train,
        calibration,
        test,
    })
}

fn read_part(dir: &Path, part: &str) -> Result<Samples, DatasetError> {
    let path = |kind: &str, dimensions: u32| {
        find(dir, part, kind, dimensions).ok_or_else(|| DatasetError::Missing {
            dir: dir.to_path_buf(),
            name: format!("{part}-{kind}-idx{dimensions}-ubyte[.gz]"),
            beside: "train-images-idx3-ubyte".to_string(),
        })
    };
    let (image_path, label_path) = (path("images", 3)?, path("labels", 1)?);
    let images = read_images(&image_path)?;
    let labels = read_labels(&label_path)?;
    if images.len() != labels.len() {
        let what = format!("{} labels for {} images", labels.len(), images.len());
        return Err(DatasetError::malformed(label_path, what));
    }
    if images.is_empty() {
        return Err(DatasetError::malformed(image_path, "holds no images"));
    }
    Ok(Samples { images, labels })
}

/// The file of one part, under any of the names in use: `-idx3-ubyte` or `.idx3-ubyte`, plain or `.gz`.
fn find(dir: &Path, part: &str, kind: &str, dimensions: u32) -> Option<PathBuf> {
    ["-", "."]
        .into_iter()
        .flat_map(|dot| ["", ".gz"].map(|end| format!("{part}-{kind}{dot}idx{dimensions}-ubyte{end}")))
        .map(|name| dir.join(name))
        .find(|path| path.is_file())
}

fn read_images(path: &Path) -> Result<Images, DatasetError> {
    let mut reader = open(path)?;
    let [count, height, width] = header(&mut reader, path, IMAGES_MAGIC)?;
    let size = ImageSize {
        height,
        width,
        channels: 1,
    };
    if size.check().is_err() {
        return Err(DatasetError::malformed(
            path,
            format!("the header says images of {height}x{width} pixels"),
        ));
    }
    let bytes = u64::from(count) * size.bytes() as u64;
    Ok(Images::new(size, body(reader, path, bytes)?))
}

fn read_labels(path: &Path) -> Result<Vec<u32>, DatasetError> {
    let mut reader = open(path)?;
    let [count] = header(&mut reader, path, LABELS_MAGIC)?;
    Ok(body(reader, path, u64::from(count))?
        .into_iter()
        .map(u32::from)
        .collect())
}

fn open(path: &Path) -> Result<Box<dyn Read>, DatasetError> {
    let file = BufReader::new(File::open(path).map_err(DatasetError::io(path))?);
    Ok(if path.extension().is_some_and(|end| end == "gz") {
        Box::new(GzDecoder::new(file))
    } else {
        Box::new(file)
    })
}

/// Reads the magic number, which must be `magic`, and `N` dimensions.
fn header<const N: usize>(reader: &mut dyn Read, path: &Path, magic: u32) -> Result<[u32; N], DatasetError> {
    let mut next = || {
        let mut bytes = [0; 4];
        reader
            .read_exact(&mut bytes)
            .map_err(|error| truncated(path, error))?;
        Ok(u32::from_be_bytes(bytes))
    };
    let found = next()?;
    if found != magic {
        let what =
            format!("starts with {found:#010x}, but an IDX file of this kind starts with {magic:#010x}");
        return Err(DatasetError::malformed(path, what));
    }
    let mut dimensions = [0; N];
    for dimension in &mut dimensions {
        *dimension = next()?;
    }
    Ok(dimensions)
}

/// Reads the rest of the file, which must be `expected` bytes.
fn body(reader: impl Read, path: &Path, expected: u64) -> Result<Vec<u8>, DatasetError> {
    let mut bytes = Vec::new();
    // One byte more than expected shows that there is too much, whatever the compressed file unpacks to.
    reader
        .take(expected + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| truncated(path, error))?;
    if bytes.len() as u64 != expected {
        let found = if bytes.len() as u64 > expected {
            "more".to_string()
        } else {
            bytes.len().to_string()
        };
        let what = format!("the header promises {expected} bytes of data, the file holds {found}");
        return Err(DatasetError::malformed(path, what));
    }
    Ok(bytes)
}

fn truncated(path: &Path, error: std::io::Error) -> DatasetError {
    DatasetError::malformed(path, format!("cut short or corrupt: {error}"))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;

    fn images(count: u32) -> Vec<u8> {
        let mut bytes: Vec<u8> = [IMAGES_MAGIC, count, 2, 2]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        bytes.extend((0..count * 4).map(|pixel| pixel as u8));
        bytes
    }

    fn labels(count: u32) -> Vec<u8> {
        let mut bytes: Vec<u8> = [LABELS_MAGIC, count]
            .iter()
            .flat_map(|word| word.to_be_bytes())
            .collect();
        bytes.extend((0..count).map(|label| (label % 3) as u8));
        bytes
    }

    fn write_set() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (part, count) in [("train", 20), ("t10k", 6)] {
            fs::write(
                dir.path().join(format!("{part}-images-idx3-ubyte")),
                images(count),
            )
            .unwrap();
            fs::write(
                dir.path().join(format!("{part}-labels.idx1-ubyte")),
                labels(count),
            )
            .unwrap();
        }
        dir
    }

    #[test]
    fn reads_plain_and_compressed_files() {
        let dir = write_set();
        let plain = Dataset::open(dir.path(), None).unwrap();
        assert_eq!(plain.classes, ["0", "1", "2"]);
        assert_eq!(
            (plain.train.len(), plain.calibration.len(), plain.test.len()),
            (18, 2, 6)
        );
        assert_eq!(plain.test.images.get(1), [4, 5, 6, 7]);

        let name = dir.path().join("t10k-images-idx3-ubyte");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        gz.write_all(&fs::read(&name).unwrap()).unwrap();
        fs::write(name.with_extension("gz"), gz.finish().unwrap()).unwrap();
        fs::remove_file(&name).unwrap();
        fs::rename(
            name.with_extension("gz"),
            dir.path().join("t10k-images-idx3-ubyte.gz"),
        )
        .unwrap();
        assert_eq!(Dataset::open(dir.path(), None).unwrap(), plain);
    }

    #[test]
    fn says_what_is_wrong() {
        let error = |name: &str, content: &[u8]| {
            let dir = write_set();
            fs::write(dir.path().join(name), content).unwrap();
            Dataset::open(dir.path(), None).unwrap_err().to_string()
        };
        let images = images(6);
        let name = "t10k-images-idx3-ubyte";
        assert!(
            error(name, &images[..images.len() - 1]).contains("promises 24 bytes of data, the file holds 23")
        );
        assert!(error(name, &[&images[..], &[0]].concat()).contains("the file holds more"));
        assert!(error(name, &images[..10]).contains("cut short"));
        assert!(error(name, &labels(6)).contains("starts with 0x00000801"));
        assert!(error("t10k-labels.idx1-ubyte", &labels(5)).contains("5 labels for 6 images"));
        let mut huge = images.clone();
        huge[8..16].fill(0xff);
        assert!(error(name, &huge).contains("4294967295x4294967295"));

        let dir = write_set();
        fs::remove_file(dir.path().join("t10k-labels.idx1-ubyte")).unwrap();
        let error = Dataset::open(dir.path(), None).unwrap_err().to_string();
        assert!(
            error.contains("t10k-labels-idx1-ubyte[.gz] is missing"),
            "{error}"
        );
    }
}
