#!/bin/sh
# Gives the fuzzer sound models to start from: corpus/view and corpus/execute.
set -eu
cd "$(dirname "$0")"
for target in view execute; do
    mkdir -p "corpus/$target"
    cargo run --quiet --manifest-path ../Cargo.toml --features alloc --example write_model -- "corpus/$target/tiny.sepc"
done
