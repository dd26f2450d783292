//! What can be wrong with a data set.

use std::path::PathBuf;

use super::ImageSize;

/// Why images or labels could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum DatasetError {
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// The data directory is missing, or is a file.
    #[error("{0} is not a directory; give the folder that holds the data set")]
    NotADirectory(PathBuf),
    /// A directory holds nothing that can be read as images.
    #[error(
        "{0}: no images found; expected MNIST IDX files (train-images-idx3-ubyte[.gz] ...), CIFAR-10 binary files \
         (data_batch_1.bin ...), or one folder of .png, .jpg or .bmp files for each class"
    )]
    NoImages(PathBuf),
    /// A file that the format needs is absent.
    #[error("{dir}: {name} is missing (needed beside {beside})")]
    Missing {
        /// The data directory.
        dir: PathBuf,
        /// The missing file or folder.
        name: String,
        /// The file that made this format be recognized.
        beside: String,
    },
    /// A file does not have the format that its name says.
    #[error("{path}: {what}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what was expected.
        what: String,
    },
    /// An image file that cannot be decoded.
    #[error("{path}: not a readable image: {source}")]
    Image {
        /// The file.
        path: PathBuf,
        /// The decoder's answer.
        source: image::ImageError,
    },
    /// A folder of image files, and no size to resize them to.
    #[error("{0}: image files have no common size; say which size to resize to (--size HEIGHTxWIDTH)")]
    NoSize(PathBuf),
    /// A size that images cannot be resized to.
    #[error("image size {0} is not usable: height and width must be 1 to 4096, channels 1 (grey) or 3 (RGB)")]
    Size(ImageSize),
    /// A test or calibration image of a class that the training images do not have.
    #[error("{path}: class {class:?} has no training images; every part must have the same class folders")]
    UnknownClass {
        /// The folder of the class.
        path: PathBuf,
        /// Its name.
        class: String,
    },
    /// Fewer than two classes, or too few images to be split.
    #[error("{path}: {what}")]
    TooSmall {
        /// The data directory.
        path: PathBuf,
        /// What there is too little of.
        what: String,
    },
    /// A preprocessing description that contradicts itself.
    #[error("preprocessing: {0}")]
    Preprocess(String),
}

impl DatasetError {
    pub(super) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> DatasetError {
        let path = path.into();
        move |source| DatasetError::Io { path, source }
    }

    pub(super) fn malformed(path: impl Into<PathBuf>, what: impl Into<String>) -> DatasetError {
        DatasetError::Malformed {
            path: path.into(),
            what: what.into(),
        }
    }
}
