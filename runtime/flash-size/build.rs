//! Embeds the model that `SEPCONV_MODEL` names, as firmware does.

use sepconv::build::{Embed, every_layout};
use sepconv::layout::Layout;
use sepconv::{AlignedVec, Model};
use std::ffi::OsStr;

fn main() {
    println!("cargo::rerun-if-env-changed=SEPCONV_MODEL");
    let Some(model) = std::env::var_os("SEPCONV_MODEL") else {
        println!("cargo::error=SEPCONV_MODEL is to name a .sepc file; `cargo xtask runtime-size` sets it");
        return;
    };
    // A packed model wants the kernels that it is packed for; the reference kernels are what every board can run.
    let embed = Embed::new(&model);
    let embed = match is_packed(&model) {
        true => embed,
        false => embed.kernels("::sepconv::kernels::reference::KERNELS"),
    };
    if let Err(error) = embed.write() {
        println!("cargo::error={error}");
    }
}

/// Whether some operator has another layout than the plain one. What is no model is none either; embedding tells why.
fn is_packed(path: &OsStr) -> bool {
    let Ok(bytes) = std::fs::read(path) else {
        return false;
    };
    let bytes = AlignedVec::copy_of(&bytes);
    let Ok(model) = Model::with_kernels(&bytes, every_layout()) else {
        return false;
    };
    (0..model.operator_count())
        .filter_map(|number| model.record(number))
        .any(|record| record.layout != Layout::Plain as u8)
}
