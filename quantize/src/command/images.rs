//! Images from folders and data sets, as a model's preprocessing wants them.

use super::failure::Failure;
use rayon::prelude::*;
use sepconv::Shape;
use sepconv_quantize::dataset::labels::read_labels;
use sepconv_quantize::dataset::{Dataset, DatasetError, ImageSize, cifar, idx};
use sepconv_quantize::preprocess::Preprocessor;
use std::path::{Path, PathBuf};

/// Pixels of one image in the network's height, width and order of channels.
pub type Image = Vec<u8>;

/// File names that image folders are searched for.
const EXTENSIONS: [&str; 4] = ["png", "jpg", "jpeg", "bmp"];

/// Up to `limit` images to calibrate with, evenly spread over those there are: never the test part of a data set.
pub fn calibration(
    folder: &Path,
    preprocessor: &Preprocessor,
    shape: Shape,
    limit: usize,
) -> Result<Vec<Image>, Failure> {
    if idx::is_idx(folder) || cifar::is_cifar(folder) {
        let dataset = Dataset::open(folder, Some(size(shape))).map_err(failure)?;
        let images = dataset.calibration.first(limit).images;
        return Ok((0..images.len())
            .map(|index| images.get(index).to_vec())
            .collect());
    }
    let part = ["calibration", "train"]
        .map(|part| folder.join(part))
        .into_iter()
        .find(|part| part.is_dir());
    let folder = part.as_deref().unwrap_or(folder);
    let mut files = Vec::new();
    collect(folder, &mut files)?;
    if files.is_empty() {
        return Err(Failure::input(folder, "holds no images (PNG, JPEG or BMP files)"));
    }
    files.sort();
    let count = limit.min(files.len());
    let chosen: Vec<&PathBuf> = (0..count)
        .map(|index| &files[index * files.len() / count])
        .collect();
    load(&chosen, preprocessor)
}

/// Images to evaluate on with their classes: those that a table of labels lists, or the test part of a data set.
pub fn labelled(
    folder: &Path,
    labels: Option<&Path>,
    preprocessor: &Preprocessor,
    shape: Shape,
) -> Result<Vec<(Image, u32)>, Failure> {
    if let Some(labels) = labels {
        let labels = read_labels(labels).map_err(failure)?;
        let files: Vec<PathBuf> = labels.iter().map(|label| folder.join(&label.file)).collect();
        let images = load(&files.iter().collect::<Vec<_>>(), preprocessor)?;
        return Ok(images
            .into_iter()
            .zip(labels.iter().map(|label| label.class))
            .collect());
    }
    let table = folder.join("labels.tsv");
    if table.is_file() {
        return labelled(folder, Some(&table), preprocessor, shape);
    }
    let test = Dataset::open(folder, Some(size(shape))).map_err(failure)?.test;
    let images = (0..test.len()).map(|index| test.images.get(index).to_vec());
    Ok(images.zip(test.labels.iter().copied()).collect())
}

fn load(files: &[&PathBuf], preprocessor: &Preprocessor) -> Result<Vec<Image>, Failure> {
    files
        .par_iter()
        .map(|file| preprocessor.load(file))
        .collect::<Result<_, _>>()
        .map_err(failure)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    for entry in std::fs::read_dir(folder).map_err(|error| Failure::input(folder, error))? {
        let path = entry.map_err(|error| Failure::input(folder, error))?.path();
        let extension = path
            .extension()
            .and_then(|extension| extension.to_str())
            .map(str::to_lowercase);
        if path.is_dir() {
            collect(&path, files)?;
        } else if extension.is_some_and(|extension| EXTENSIONS.contains(&extension.as_str())) {
            files.push(path);
        }
    }
    Ok(())
}

fn size(shape: Shape) -> ImageSize {
    ImageSize {
        height: shape.height,
        width: shape.width,
        channels: shape.channels,
    }
}

fn failure(error: DatasetError) -> Failure {
    Failure::Input(error.to_string())
}
