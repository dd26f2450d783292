//! Embeds a model and test images: puts them where the program includes them, the model packed for the processor, with
//! their sizes as constants and a table of just the kernels that the model needs.
//!
//! `cargo xtask flash` and `cargo xtask icount` set the two variables that this reads:
//! `SEPCONV_MODEL`, a `.sepc` file, and `SEPCONV_IMAGES`, an `.npy` array of int8 [count, height, width, channels],
//! quantized as the model's input is.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::{env, fs};

use sepconv::kernels::{Kernels, reference};
use sepconv::layout::{Layout, Target};
use sepconv::operator::Kind;
use sepconv::{AlignedVec, Element, Model};

/// Accepts models that are packed for any processor. Nothing runs with it.
static ANY_LAYOUT: LazyLock<Kernels> = LazyLock::new(|| {
    let layouts: Vec<Layout> = (0..=u8::MAX).filter_map(Layout::from_code).collect();
    Kernels {
        layouts: layouts.leak(),
        ..reference::KERNELS
    }
});

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

    let file = fs::read(&model_path).map_err(|error| about(&model_path, &error))?;
    let given = AlignedVec::copy_of(&file);
    let model = Model::with_kernels(&given, &ANY_LAYOUT).map_err(|error| about(&model_path, &error))?;
    let input_len = model.input().bytes();
    let plain = (0..model.operator_count())
        .filter_map(|number| model.record(number))
        .all(|record| record.layout == Layout::Plain as u8);
    // What is packed already was packed for this processor, or the board refuses it.
    let image = if plain {
        sepconv::layout::pack(&model, processor())
    } else {
        AlignedVec::copy_of(&file)
    };
    let model = Model::with_kernels(&image, &ANY_LAYOUT).map_err(|error| about(&model_path, &error))?;

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
        image.len(),
        model.arena_len(),
        model.output().bytes(),
        model.operator_count(),
        images.len(),
    );
    let kernels = kernels_of(&model);
    let files: [(&str, &[u8]); 4] = [
        ("model.sepc", &image),
        ("images.bin", images),
        ("sizes.rs", constants.as_bytes()),
        ("kernels.rs", kernels.as_bytes()),
    ];
    for (name, contents) in files {
        fs::write(folder.join(name), contents).map_err(|error| about(&folder.join(name), &error))?;
    }
    Ok(())
}

/// What the processor's kernels read, by the compiler's names of its target and of itself.
fn processor() -> Target {
    let variable = |name| env::var(name).unwrap_or_default();
    let flags = variable("CARGO_ENCODED_RUSTFLAGS");
    let cpu = flags
        .split('\x1f')
        .filter_map(|flag| flag.split("target-cpu=").nth(1))
        .next_back();
    Target::of_processor(&variable("TARGET"), cpu.unwrap_or(""))
}

/// A table of the kernels that a model needs, so that no others are linked: a static named `KERNELS`.
fn kernels_of(model: &Model) -> String {
    // Fields of the table, each with those of its members that are needed; none for fields without members.
    let mut fields: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for number in 0..model.operator_count() {
        let (Some((kind, _)), Some(record)) = (model.operator(number), model.record(number)) else {
            continue;
        };
        let wide = model.tensor(record.inputs[0]).element == Element::Int16;
        let element = if wide { "int16" } else { "int8" };
        let weights = if record.weight_bits == 4 { "int4" } else { element };
        let (field, member) = match kind {
            Kind::Convolution => ("convolution", weights),
            Kind::Depthwise => ("depthwise", weights),
            Kind::Pointwise => ("pointwise", weights),
            Kind::FullyConnected => ("fully_connected", weights),
            Kind::Add => ("add", element),
            Kind::Mul => ("mul", element),
            Kind::AveragePool => ("average_pool", element),
            Kind::MaxPool => ("max_pool", element),
            Kind::Mean => ("mean", element),
            Kind::Pad => ("pad", ""),
            Kind::Concatenation => ("concatenation", ""),
            Kind::Reshape => ("reshape", ""),
            Kind::Softmax => ("softmax", ""),
            Kind::Lookup => ("lookup", ""),
            Kind::Requantize => ("requantize", ""),
            Kind::ResizeNearest => ("resize_nearest", ""),
            Kind::Transpose => ("transpose", ""),
            Kind::ArgMax => ("arg_max", ""),
        };
        fields.entry(field).or_default().insert(member);
    }
    let field = |(name, members): (&&str, &BTreeSet<&str>)| {
        if members.contains("") {
            return format!("    {name}: BEST.{name},\n");
        }
        let linear = ["convolution", "depthwise", "pointwise", "fully_connected"].contains(name);
        let table = if linear { "LinearKernels" } else { "ElementKernels" };
        let members: String = members
            .iter()
            .map(|member| format!("{member}: BEST.{name}.{member}, "))
            .collect();
        format!("    {name}: sepconv::kernels::{table} {{ {members}..sepconv::kernels::{table}::NONE }},\n")
    };
    let fields: String = fields.iter().map(field).collect();
    format!(
        "/// The kernels that the model needs.\npub static KERNELS: sepconv::kernels::Kernels = \
         sepconv::kernels::Kernels {{\n    name: BEST.name,\n    available: BEST.available,\n    \
         layouts: BEST.layouts,\n    target: BEST.target,\n{fields}    ..sepconv::kernels::Kernels::NONE\n}};\n"
    )
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
