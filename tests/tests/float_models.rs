//! Float `.tflite` models: the graph that is read computes what TensorFlow Lite Micro computes, up to rounding.

use sepconv_quantize::{float, tflite};
use sepconv_tests::cases;

#[test]
fn float_graphs_compute_what_was_recorded() {
    let cases =
        cases::of_archive(include_bytes!("../conformance/recorded_float.zip")).expect("recorded cases");
    assert_eq!(cases.len(), 44);
    let floats =
        |bits: &[i32]| -> Vec<f32> { bits.iter().map(|bits| f32::from_bits(*bits as u32)).collect() };
    for case in &cases {
        let graph = tflite::float_from_bytes(&case.model, &case.name)
            .unwrap_or_else(|error| panic!("{}: {error}", case.name));
        for (input, expected) in case.input.rows.iter().zip(&case.output.rows) {
            let (found, expected) = (
                float::run(&graph, &floats(input)).expect("a fitting input"),
                floats(expected),
            );
            assert_eq!(found.len(), expected.len(), "{}", case.name);
            let largest = expected
                .iter()
                .fold(1.0f32, |largest, value| largest.max(value.abs()));
            for (number, (found, expected)) in found.iter().zip(&expected).enumerate() {
                let difference = (found - expected).abs();
                assert!(
                    difference <= 1e-5 * largest,
                    "{}: value {number}: {found}, recorded {expected}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn a_quantized_model_is_not_read_as_float() {
    let cases = cases::of_archive(include_bytes!("../conformance/recorded.zip")).expect("recorded cases");
    let error = tflite::float_from_bytes(&cases[0].model, "quantized").unwrap_err();
    assert!(error.to_string().contains("must be float32"), "{error}");
}
