#!/bin/sh
# Shows that the runtime cannot panic: it links without a panic handler, and would not with a panic in it.
# Needs the target: rustup target add thumbv7em-none-eabihf
set -eu
cd "$(dirname "$0")"
build() {
    cargo build --release --target thumbv7em-none-eabihf "$@"
}

if ! build; then
    echo "panic-free: FAILED: a panicking path is left in the runtime" >&2
    exit 1
fi
if output=$(build --features deliberate-panic 2>&1); then
    echo "panic-free: FAILED: a deliberate panic was linked, so that the check proves nothing" >&2
    exit 1
fi
case $output in
*sepconv_can_panic*) ;;
*)
    echo "$output" >&2
    echo "panic-free: FAILED: the build with a deliberate panic broke for another reason" >&2
    exit 1
    ;;
esac
echo "panic-free: the runtime with all reference and DSP kernels has no panicking path (thumbv7em, opt-level 3, LTO)"
