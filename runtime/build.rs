//! Sets `cfg(sepconv_arm = "armv6m")`, `"armv7m"`, `"dsp"` or `"helium"` on bare-metal Arm processors, by the instructions
//! that they have. The compiler knows them, but tells stable code nothing: so this reads the target's name and
//! `-Ctarget-cpu` in `RUSTFLAGS`. On 32-bit Armv7-A under Linux it sets `"neon"`, which is looked for at run time. With
//! `SEPCONV_KERNELS=reference` in the environment it sets nothing, for the least flash.
//!
//! `--cfg sepconv_tdpbusd="software"` in `RUSTFLAGS` is for emulators that get this one instruction of AMX wrong.

use std::env;

fn main() {
    println!(
        "cargo::rustc-check-cfg=cfg(sepconv_arm, values(\"armv6m\", \"armv7m\", \"dsp\", \"helium\", \"neon\"))"
    );
    println!("cargo::rustc-check-cfg=cfg(sepconv_tdpbusd, values(\"software\"))");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    println!("cargo::rerun-if-env-changed=SEPCONV_KERNELS");
    let variable = |name| env::var(name).unwrap_or_default();
    let (target, flags) = (variable("TARGET"), variable("CARGO_ENCODED_RUSTFLAGS"));
    let cpu = flags
        .split('\x1f')
        .filter_map(|flag| flag.split("target-cpu=").nth(1))
        .next_back();
    if variable("SEPCONV_KERNELS") == "reference" {
        return;
    }
    if let Some(set) = instruction_set(&target, cpu.unwrap_or("")) {
        println!("cargo::rustc-cfg=sepconv_arm=\"{set}\"");
    }
}

fn instruction_set(target: &str, cpu: &str) -> Option<&'static str> {
    match (target.split('-').next()?, cpu) {
        ("thumbv8m.main", "cortex-m52" | "cortex-m55" | "cortex-m85") => Some("helium"),
        ("thumbv8m.main", "cortex-m33" | "cortex-m35p") | ("thumbv7em", _) => Some("dsp"),
        ("thumbv7m", _) => Some("armv7m"),
        ("thumbv6m", _) => Some("armv6m"),
        ("armv7" | "thumbv7neon", _) if target.contains("-linux-") => Some("neon"),
        _ => None,
    }
}
