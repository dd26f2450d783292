//! Embeds a model and test images: copies them to where the program includes them, with their sizes as constants.
//!
//! `cargo xtask flash` and `cargo xtask icount` set the two variables that this reads:
//! `SEPCONV_MODEL`, a `.sepc` file, and `SEPCONV_IMAGES`, an `.npy` array of int8 [count, height, width, channels],
//! quantized as the model's input is.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    if let Err(message) = embed() {
        // Cargo shows this line; a panic would bury it in a backtrace.
        println!("cargo::error={message}");
    }
}

fn embed() -> Result<(), String> {
    let model_path = path_in("SEPCONV_MODEL", "a .sepc file")?;
    let images_path = path_in("SEPCONV_IMAGES", "an .npy array of int8 images")?;
    let about = |path: &Path, what: &dyn std::fmt::Display| format!("{}: {what}", path.display());

    let bytes = fs::read(&model_path).map_err(|error| about(&model_path, &error))?;
    let aligned = sepconv::AlignedVec::copy_of(&bytes);
    let model = sepconv::Model::new(&aligned).map_err(|error| about(&model_path, &error))?;
    let input_len = model.input().bytes();

    let array = fs::read(&images_path).map_err(|error| about(&images_path, &error))?;
    let images = int8_values(&array).map_err(|error| about(&images_path, &error))?;
    if images.is_empty() || images.len() % input_len != 0 {
        let what = format!(
            "{} values are no whole number of inputs of {input_len}",
            images.len()
        );
        return Err(about(&images_path, &what));
    }

    let folder = PathBuf::from(env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let constants = format!(
        "/// Bytes of the model.\npub const MODEL_LEN: usize = {};\n\
         /// Bytes of the arena.\npub const ARENA_LEN: usize = {};\n\
         /// Bytes of an input.\npub const INPUT_LEN: usize = {input_len};\n\
         /// Bytes of an output.\npub const OUTPUT_LEN: usize = {};\n\
         /// Operators.\npub const OPERATOR_COUNT: usize = {};\n\
         /// Bytes of all images.\npub const IMAGES_LEN: usize = {};\n",
        bytes.len(),
        model.arena_len(),
        model.output().bytes(),
        model.operator_count(),
        images.len(),
    );
    for (name, contents) in [
        ("model.sepc", bytes.as_slice()),
        ("images.bin", images),
        ("sizes.rs", constants.as_bytes()),
    ] {
        fs::write(folder.join(name), contents).map_err(|error| about(&folder.join(name), &error))?;
    }
    Ok(())
}

fn path_in(variable: &str, what: &str) -> Result<PathBuf, String> {
    println!("cargo::rerun-if-env-changed={variable}");
    let path = env::var_os(variable).map(PathBuf::from);
    let path = path.ok_or_else(|| format!("{variable} is to name {what}; `cargo xtask flash` sets it"))?;
    println!("cargo::rerun-if-changed={}", path.display());
    Ok(path)
}

/// The values of an `.npy` file (NumPy's NEP 1) of int8 in C order, as bytes.
fn int8_values(array: &[u8]) -> Result<&[u8], &'static str> {
    let rest = array.strip_prefix(b"\x93NUMPY").ok_or("no .npy file")?;
    let (header_len, rest) = match rest {
        [1, _, low, high, rest @ ..] => (usize::from(u16::from_le_bytes([*low, *high])), rest),
        [2 | 3, _, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
        _ => return Err("an unknown version of .npy"),
    };
    let (header, data) = rest.split_at_checked(header_len).ok_or("the header is cut off")?;
    let header = String::from_utf8_lossy(header);
    if !header.contains("i1'") || !header.contains("'fortran_order': False") {
        return Err("not an int8 array in C order");
    }
    Ok(data)
}
