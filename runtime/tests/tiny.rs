//! The tiny model of the documentation is the one that the examples write.

#[path = "../examples/tiny/mod.rs"]
mod tiny;

#[test]
fn files_are_those_that_the_example_writes() {
    let hint = "write it again: cargo run -p sepconv --features std --example write_model -- ";
    assert!(
        tiny::network().to_bytes()[..] == sepconv::tiny::WHOLE.0[..],
        "{hint}runtime/src/tiny/whole.sepc"
    );
    assert!(
        tiny::streamed().to_bytes()[..] == sepconv::tiny::STREAMED.0[..],
        "{hint}runtime/src/tiny/streamed.sepc streamed"
    );
}
