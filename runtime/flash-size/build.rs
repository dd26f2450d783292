//! Embeds the model that `SEPCONV_MODEL` names, as firmware does.

use sepconv::build::Embed;

fn main() {
    println!("cargo::rerun-if-env-changed=SEPCONV_MODEL");
    let Some(model) = std::env::var_os("SEPCONV_MODEL") else {
        println!("cargo::error=SEPCONV_MODEL is to name a .sepc file; `cargo xtask runtime-size` sets it");
        return;
    };
    // The reference kernels are what every board can run.
    let embed = Embed::new(model).kernels("::sepconv::kernels::reference::KERNELS");
    if let Err(error) = embed.write() {
        println!("cargo::error={error}");
    }
}
