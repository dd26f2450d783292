//! Conformance cases: a `.tflite` model, and inputs and outputs recorded from another implementation.

use std::io::{Cursor, Error, Read, Result};
use std::path::Path;

/// A model and what another implementation computed with it.
#[derive(Debug)]
pub struct Case {
    /// The name of its files.
    pub name: String,
    /// The `.tflite` file.
    pub model: Vec<u8>,
    /// Inputs, one inference a row.
    pub input: Array,
    /// Outputs, one inference a row.
    pub output: Array,
}

/// An integer array of which the first dimension counts inferences.
#[derive(Debug)]
pub struct Array {
    /// The type as NumPy writes it: `|i1`, `|u1`, `<i2` or `<i4`.
    pub element: String,
    /// The values of each inference, in NHWC order.
    pub rows: Vec<Vec<i32>>,
}

impl Array {
    /// Reads an array in NumPy's format.
    ///
    /// # Errors
    ///
    /// If the bytes are not an array of integers of at most 32 bits in C order.
    pub fn from_npy(bytes: &[u8]) -> Result<Self> {
        let npy = npyz::NpyFile::new(bytes)?;
        let npyz::DType::Plain(plain) = npy.dtype() else {
            return Err(Error::other("an array of structures"));
        };
        let element = plain.to_string();
        let rows = npy.shape().first().copied().unwrap_or(1) as usize;
        if npy.order() != npyz::Order::C || rows == 0 {
            return Err(Error::other("an array that is empty or in column order"));
        }
        let values: Vec<i32> = match &*element {
            "|i1" => npy.into_vec::<i8>()?.into_iter().map(i32::from).collect(),
            "|u1" => npy.into_vec::<u8>()?.into_iter().map(i32::from).collect(),
            "<i2" => npy.into_vec::<i16>()?.into_iter().map(i32::from).collect(),
            "<i4" => npy.into_vec::<i32>()?,
            _ => return Err(Error::other(format!("an array of {element}"))),
        };
        let rows = values.chunks(values.len() / rows).map(<[i32]>::to_vec).collect();
        Ok(Self { element, rows })
    }
}

impl Case {
    /// A case from the contents of NAME.tflite and NAME.npz.
    ///
    /// # Errors
    ///
    /// If `npz` is not an archive with integer arrays `input` and `output` of equally many rows.
    pub fn new(name: &str, model: Vec<u8>, npz: &[u8]) -> Result<Self> {
        let mut archive = zip::ZipArchive::new(Cursor::new(npz))?;
        let mut array = |name: &str| -> Result<Array> {
            let mut bytes = Vec::new();
            archive.by_name(&format!("{name}.npy"))?.read_to_end(&mut bytes)?;
            Array::from_npy(&bytes)
        };
        let (input, output) = (array("input")?, array("output")?);
        if input.rows.len() != output.rows.len() {
            return Err(Error::other("input and output differ in the number of rows"));
        }
        Ok(Self {
            name: name.to_string(),
            model,
            input,
            output,
        })
    }

    /// The case of `NAME.tflite` in one folder and `NAME.npz` in another.
    ///
    /// # Errors
    ///
    /// If a file is missing, and as [`Case::new`].
    pub fn read(models: &Path, records: &Path, name: &str) -> Result<Self> {
        let model = std::fs::read(models.join(name).with_extension("tflite"))?;
        Self::new(
            name,
            model,
            &std::fs::read(records.join(name).with_extension("npz"))?,
        )
    }
}

/// All cases of a folder, in the order of their names.
///
/// # Errors
///
/// If the folder cannot be read, and as [`Case::new`].
pub fn of_folder(folder: &Path) -> Result<Vec<Case>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "npz") {
            names.extend(path.file_stem().map(|stem| stem.to_string_lossy().into_owned()));
        }
    }
    names.sort();
    names
        .iter()
        .map(|name| Case::read(folder, folder, name))
        .collect()
}

/// All cases of a zip archive, in the archive's order.
///
/// # Errors
///
/// If the archive is damaged, and as [`Case::new`].
pub fn of_archive(bytes: &[u8]) -> Result<Vec<Case>> {
    let files = files_of_archive(bytes)?;
    let pairs = files.as_chunks::<2>().0.iter();
    pairs
        .map(|[(model_name, model), (record_name, record)]| {
            let name = model_name.trim_end_matches(".tflite");
            if *record_name != format!("{name}.npz") {
                return Err(Error::other(format!("{record_name} follows {model_name}")));
            }
            Case::new(name, model.clone(), record)
        })
        .collect()
}

/// All files of a zip archive with their names, in the archive's order.
///
/// # Errors
///
/// If the archive is damaged.
pub fn files_of_archive(bytes: &[u8]) -> Result<Vec<(String, Vec<u8>)>> {
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes))?;
    (0..archive.len())
        .map(|number| {
            let mut file = archive.by_index(number)?;
            let mut contents = Vec::new();
            file.read_to_end(&mut contents)?;
            Ok((file.name().map_err(Error::other)?.into_owned(), contents))
        })
        .collect()
}
