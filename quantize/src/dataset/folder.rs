//! Folders of image files (`.png`, `.jpg`, `.jpeg`, `.bmp`).
//!
//! A data set is either `CLASS/*.png` or `train/CLASS/*.png` and `test/CLASS/*.png` (`val` and `valid` mean the same
//! as `test`), with or without `calibration/CLASS/*.png`. Parts that have no folder are taken out of the training
//! images: a fifth for the test, a tenth of the rest (at most [`super::CALIBRATION_IMAGES`]) for calibration.
//! Classes are numbered in the order of their names.

use std::fs;
use std::path::{Path, PathBuf};

use super::decode::{load_images, to_dynamic};
use super::{Dataset, DatasetError, ImageSize, Images, Samples, split};

/// Reads a data set from the folders in `dir`.
pub fn read(dir: &Path, size: ImageSize) -> Result<Dataset, DatasetError> {
    let part = |names: &[&str]| names.iter().map(|name| dir.join(name)).find(|path| path.is_dir());
    let (train_dir, test_dir) = (part(&["train"]), part(&["test", "val", "valid"]));
    let root = train_dir.clone().unwrap_or_else(|| dir.to_path_buf());
    let classes = class_names(&root)?;
    let mut train = read_classes(&root, &classes, size)?;
    let test = match (train_dir, test_dir) {
        (Some(_), Some(test_dir)) => read_classes(&test_dir, &classes, size)?,
        _ => {
            let (kept, taken) = split::hold_out(&train, train.len() / 5);
            train = kept;
            taken
        }
    };
    let (train, calibration) = match part(&["calibration"]) {
        Some(path) => (train, read_classes(&path, &classes, size)?),
        None => split::hold_out_calibration(&train),
    };
    if train.is_empty() || test.is_empty() || calibration.is_empty() {
        let what = "too few images to be split into training, calibration and test images".to_string();
        return Err(DatasetError::TooSmall {
            path: dir.to_path_buf(),
            what,
        });
    }
    Ok(Dataset {
        classes,
        train,
        calibration,
        test,
    })
}

/// Reads up to `limit` of the image files in `dir` and the folders below it, spread evenly over their sorted names.
pub fn read_unlabelled(dir: &Path, size: ImageSize, limit: usize) -> Result<Images, DatasetError> {
    if !dir.is_dir() {
        return Err(DatasetError::NotADirectory(dir.to_path_buf()));
    }
    let mut paths = Vec::new();
    collect(dir, &mut paths)?;
    if paths.is_empty() {
        return Err(DatasetError::NoImages(dir.to_path_buf()));
    }
    paths.sort();
    let count = paths.len().min(limit);
    let chosen: Vec<&PathBuf> = (0..count)
        .map(|index| &paths[index * paths.len() / count])
        .collect();
    load_images(&chosen, size)
}

/// Writes samples as `dir/CLASS/00000.png`, one folder for each class, and `dir/labels.tsv` (file, class index,
/// class name).
///
/// # Panics
/// If a label has no class name.
pub fn write(samples: &Samples, classes: &[String], dir: &Path) -> Result<(), DatasetError> {
    let mut table = String::new();
    for class in classes {
        fs::create_dir_all(dir.join(class)).map_err(DatasetError::io(dir.join(class)))?;
    }
    for (index, &label) in samples.labels.iter().enumerate() {
        let class = &classes[label as usize];
        let file = format!("{class}/{index:05}.png");
        let path = dir.join(&file);
        to_dynamic(samples.images.get(index), samples.images.size())
            .save(&path)
            .map_err(|source| DatasetError::Image { path, source })?;
        table += &format!("{file}\t{label}\t{class}\n");
    }
    let path = dir.join("labels.tsv");
    fs::write(&path, table).map_err(DatasetError::io(path))
}

/// Writes a data set's calibration and test images as [`write()`] does, into `dir/calibration` and `dir/test`.
///
/// `dir` must not exist, or be empty; it appears only when it is complete.
pub fn write_parts(dataset: &Dataset, dir: &Path) -> Result<(), DatasetError> {
    let mut name = dir.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = dir.with_file_name(name);
    let written = write(
        &dataset.calibration,
        &dataset.classes,
        &temporary.join("calibration"),
    )
    .and_then(|()| write(&dataset.test, &dataset.classes, &temporary.join("test")))
    .and_then(|()| fs::rename(&temporary, dir).map_err(DatasetError::io(dir)));
    if written.is_err() {
        // If it was never made, there is nothing to remove.
        let _ = fs::remove_dir_all(&temporary);
    }
    written
}

/// The names of the folders in `dir`, sorted.
fn class_names(dir: &Path) -> Result<Vec<String>, DatasetError> {
    let mut names = Vec::new();
    for path in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        names.push(name_of(&path)?);
    }
    if names.is_empty() {
        return Err(DatasetError::NoImages(dir.to_path_buf()));
    }
    if names.len() < 2 {
        let what = format!(
            "only one class folder, {:?}; a classifier needs two or more",
            names[0]
        );
        return Err(DatasetError::TooSmall {
            path: dir.to_path_buf(),
            what,
        });
    }
    Ok(names)
}

fn read_classes(dir: &Path, classes: &[String], size: ImageSize) -> Result<Samples, DatasetError> {
    let mut paths = Vec::new();
    let mut labels = Vec::new();
    for folder in entries(dir)?.into_iter().filter(|path| path.is_dir()) {
        let class = name_of(&folder)?;
        let Ok(label) = classes.binary_search(&class) else {
            return Err(DatasetError::UnknownClass { path: folder, class });
        };
        let first = paths.len();
        collect(&folder, &mut paths)?;
        if paths.len() == first {
            return Err(DatasetError::NoImages(folder));
        }
        labels.resize(paths.len(), label as u32);
    }
    if paths.is_empty() {
        return Err(DatasetError::NoImages(dir.to_path_buf()));
    }
    Ok(Samples {
        images: load_images(&paths, size)?,
        labels,
    })
}

fn name_of(path: &Path) -> Result<String, DatasetError> {
    let name = path.file_name().and_then(|name| name.to_str());
    name.map(str::to_string)
        .ok_or_else(|| DatasetError::malformed(path, "the folder's name is not UTF-8"))
}

/// Adds the image files in `dir` and below it to `paths`, in the order of their names.
fn collect(dir: &Path, paths: &mut Vec<PathBuf>) -> Result<(), DatasetError> {
    for path in entries(dir)? {
        if path.is_dir() {
            collect(&path, paths)?;
        } else if is_image(&path) {
            paths.push(path);
        }
    }
    Ok(())
}

fn is_image(path: &Path) -> bool {
    let extension = path
        .extension()
        .and_then(|extension| extension.to_str())
        .unwrap_or_default();
    ["png", "jpg", "jpeg", "bmp"]
        .iter()
        .any(|known| extension.eq_ignore_ascii_case(known))
}

/// What is in `dir`, hidden files left out, sorted.
fn entries(dir: &Path) -> Result<Vec<PathBuf>, DatasetError> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(dir).map_err(DatasetError::io(dir))? {
        let entry = entry.map_err(DatasetError::io(dir))?;
        if !entry.file_name().as_encoded_bytes().starts_with(b".") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: ImageSize = ImageSize {
        height: 2,
        width: 2,
        channels: 1,
    };

    /// `count` flat images, of classes 0 and 1 in turn, whose grey is their index.
    fn samples(count: u8) -> Samples {
        let pixels = (0..count).flat_map(|grey| [grey; 4]).collect();
        Samples {
            images: Images::new(SIZE, pixels),
            labels: (0..count).map(|index| u32::from(index % 2)).collect(),
        }
    }

    fn names() -> Vec<String> {
        vec!["even".to_string(), "odd".to_string()]
    }

    #[test]
    fn what_is_written_is_read_back() {
        let dir = tempfile::tempdir().unwrap();
        for part in ["train", "test", "calibration"] {
            write(&samples(6), &names(), &dir.path().join(part)).unwrap();
        }
        let dataset = Dataset::open(dir.path(), Some(SIZE)).unwrap();
        assert_eq!(dataset.classes, names());
        assert_eq!(dataset.test, samples(6).select(&[0, 2, 4, 1, 3, 5]));
        assert_eq!(dataset.test, dataset.calibration);

        let table = super::super::labels::read_labels(&dir.path().join("test/labels.tsv")).unwrap();
        assert_eq!(table[1].file, "odd/00001.png");
        assert_eq!((table[1].class, table[1].name.as_deref()), (1, Some("odd")));
    }

    #[test]
    fn parts_are_written_whole_or_not_at_all() {
        let dir = tempfile::tempdir().unwrap();
        let dataset = Dataset {
            classes: names(),
            train: samples(2),
            calibration: samples(4),
            test: samples(6),
        };
        let parts = dir.path().join("parts");
        write_parts(&dataset, &parts).unwrap();
        assert_eq!(
            read_unlabelled(&parts.join("calibration"), SIZE, 100)
                .unwrap()
                .len(),
            4
        );
        assert_eq!(read_unlabelled(&parts.join("test"), SIZE, 100).unwrap().len(), 6);
        let error = write_parts(&dataset, &parts).unwrap_err();
        assert!(error.to_string().contains("parts"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_without_parts_is_split() {
        let dir = tempfile::tempdir().unwrap();
        write(&samples(50), &names(), dir.path()).unwrap();
        let dataset = Dataset::open(dir.path(), Some(SIZE)).unwrap();
        assert_eq!(
            (dataset.train.len(), dataset.calibration.len(), dataset.test.len()),
            (36, 4, 10)
        );
        let parts = [&dataset.train, &dataset.calibration, &dataset.test];
        let mut greys: Vec<u8> = parts
            .iter()
            .flat_map(|part| part.images.pixels().iter().step_by(4))
            .copied()
            .collect();
        greys.sort_unstable();
        assert_eq!(greys, (0..50).collect::<Vec<u8>>());
    }

    #[test]
    fn unlabelled_images_are_spread_evenly() {
        let dir = tempfile::tempdir().unwrap();
        write(&samples(8), &names(), dir.path()).unwrap();
        let images = read_unlabelled(dir.path(), SIZE, 4).unwrap();
        assert_eq!(
            images.pixels().iter().step_by(4).copied().collect::<Vec<u8>>(),
            [0, 4, 1, 5]
        );
        assert_eq!(read_unlabelled(dir.path(), SIZE, 100).unwrap().len(), 8);
    }

    #[test]
    fn says_what_is_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let error = || Dataset::open(dir.path(), Some(SIZE)).unwrap_err();
        assert!(matches!(error(), DatasetError::NoImages(_)));
        assert!(matches!(
            read_unlabelled(dir.path(), SIZE, 4),
            Err(DatasetError::NoImages(_))
        ));
        fs::create_dir(dir.path().join("cat")).unwrap();
        assert!(matches!(error(), DatasetError::TooSmall { .. }));
        fs::create_dir(dir.path().join("dog")).unwrap();
        assert!(error().to_string().contains("cat: no images found"));
        assert!(matches!(
            Dataset::open(dir.path(), None),
            Err(DatasetError::NoSize(_))
        ));
        assert!(matches!(
            Dataset::open(&dir.path().join("none"), Some(SIZE)),
            Err(DatasetError::NotADirectory(_))
        ));

        let dir = tempfile::tempdir().unwrap();
        write(&samples(6), &names(), &dir.path().join("train")).unwrap();
        write(
            &samples(6),
            &["even".to_string(), "strange".to_string()],
            &dir.path().join("test"),
        )
        .unwrap();
        let error = Dataset::open(dir.path(), Some(SIZE)).unwrap_err().to_string();
        assert!(error.contains("\"strange\" has no training images"), "{error}");
        fs::write(dir.path().join("train/odd/00007.png"), b"no image").unwrap();
        let error = Dataset::open(dir.path(), Some(SIZE)).unwrap_err().to_string();
        assert!(error.contains("00007.png: not a readable image"), "{error}");
    }
}
