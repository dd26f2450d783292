//! Embeds a model, packed for the processor and with just the kernels that it needs, and test images.
//!
//! `cargo xtask flash` and `cargo xtask icount` set the two variables that this reads:
//! `SEPCONV_MODEL`, a `.sepc` file, and `SEPCONV_IMAGES`, an `.npy` array of int8 [count, height, width, channels],
//! quantized as the model's input is.

use std::path::{Path, PathBuf};
use std::{env, fs};

use sepconv::build::{Embed, every_layout};
use sepconv::layout::{Layout, Target, pack};
use sepconv::{AlignedVec, Model};

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

    let given = fs::read(&model_path).map_err(|error| about(&model_path, &error))?;
    let given = AlignedVec::copy_of(&given);
    let model = Model::with_kernels(&given, every_layout()).map_err(|error| about(&model_path, &error))?;
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
    let write = |name: &str, contents: &[u8]| {
        let path = folder.join(name);
        fs::write(&path, contents).map_err(|error| about(&path, &error))
    };
    // What is packed already was packed for this processor, or the board refuses it.
    let plain = (0..model.operator_count())
        .filter_map(|number| model.record(number))
        .all(|record| record.layout == Layout::Plain as u8);
    let packed = if plain {
        pack(&model, processor())
    } else {
        AlignedVec::copy_of(&given)
    };
    write("packed.sepc", &packed)?;
    Embed::new(folder.join("packed.sepc"))
        .write()
        .map_err(|error| error.to_string())?;

    write("images.bin", images)?;
    let constants = format!(
        "/// Operators.\npub const OPERATOR_COUNT: usize = {};\n\
         /// Bytes of all images.\npub const IMAGES_LEN: usize = {};\n",
        model.operator_count(),
        images.len(),
    );
    write("sizes.rs", constants.as_bytes())
}

/// What the processor's kernels read, by the compiler's names of its target and of itself.
fn processor() -> Target {
    println!("cargo::rerun-if-env-changed=SEPCONV_KERNELS");
    let variable = |name| env::var(name).unwrap_or_default();
    if variable("SEPCONV_KERNELS") == "reference" {
        return Target::Plain;
    }
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let cpu = flags
        .split('\x1f')
        .filter_map(|flag| flag.split("target-cpu=").nth(1))
        .next_back();
    Target::of_processor(&variable("TARGET"), cpu.unwrap_or(""))
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
