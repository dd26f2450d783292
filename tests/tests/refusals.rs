//! `.tflite` files that are not supported or damaged get an error that says why; nothing panics.

use sepconv_quantize::tflite;
use sepconv_tests::cases;
use std::collections::BTreeMap;

/// What the error of each model in `refused.zip` must contain.
const REASONS: [(&str, &str); 21] = [
    (
        "custom",
        "operator 0, CUSTOM MyDetector version 1: this operator is not supported",
    ),
    (
        "unknown_operator",
        "operator 0, L2_NORMALIZATION version 1: this operator is not supported",
    ),
    ("float", "float model (operator 0, RELU, works on float32)"),
    ("batch", "a batch of 2"),
    (
        "dynamic",
        "is dynamic or empty: convert the model with a fixed shape",
    ),
    ("five_dimensions", "more than four dimensions"),
    ("no_scale", "it has no scale"),
    ("negative_scale", "its scale -1 is not a positive number"),
    ("zero_point", "its zero point 200 is not in -128..=127"),
    (
        "int16_relu",
        "operator 0, RELU version 1: int16 activations are not supported",
    ),
    (
        "grouped",
        "grouped convolution (3 input channels, weights for 1) is not supported",
    ),
    ("uint8", "is uint8, which only a model's input and output may be"),
    ("weight_zero_point", "weights with a zero point other than 0"),
    ("fused_tanh", "fused activation function TANH is not supported"),
    (
        "large_bias",
        "channel 0: an input exists whose sum does not fit in 32 bits",
    ),
    ("output_size", "its window gives 4x4x3 another size than 3x4x3"),
    ("pool_of_scales", "they must be the same"),
    ("concatenation_of_scales", "they must be the same"),
    (
        "mean_over_channels",
        "only the mean over height and width is supported",
    ),
    ("two_inputs", "the file has 2 inputs; exactly one is supported"),
    ("two_outputs", "the file has 2 outputs; exactly one is supported"),
];

#[test]
fn unsupported_models_are_refused_with_the_reason() {
    let files = cases::files_of_archive(include_bytes!("../conformance/refused.zip"));
    let files: BTreeMap<_, _> = files
        .expect("the archive of refused models")
        .into_iter()
        .collect();
    assert_eq!(files.len(), REASONS.len());
    for (name, reason) in REASONS {
        let model = &files[&format!("{name}.tflite")];
        let error = tflite::from_bytes(model).expect_err(name).to_string();
        assert!(error.contains(reason), "{name}: {error}");
    }
}

#[test]
fn other_files_are_refused() {
    let error = tflite::from_bytes(b"\x08\x00\x00\x00ONNX and more").unwrap_err();
    assert!(error.to_string().contains("not a .tflite file"), "{error}");
    let error = tflite::read("no/such/model.tflite".as_ref()).unwrap_err();
    assert!(
        error.to_string().contains("cannot read no/such/model.tflite"),
        "{error}"
    );
}

/// Truncated models, and models in which a few bytes are others: each is refused or gives a network, without a panic.
#[test]
fn damaged_models_do_not_panic() {
    const DAMAGED: usize = 100_000;
    let cases = cases::of_archive(include_bytes!("../conformance/recorded.zip")).expect("recorded cases");
    // A linear congruential generator (Knuth's MMIX): the same damage every time.
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let mut refused = 0;
    for _ in 0..DAMAGED {
        let mut model = cases[random(cases.len())].model.clone();
        if random(8) == 0 {
            model.truncate(random(model.len()));
        }
        for _ in 0..=random(3) {
            if !model.is_empty() {
                let at = random(model.len());
                model[at] = [0, 1, 127, 128, 255, random(256) as u8][random(6)];
            }
        }
        refused += usize::from(tflite::from_bytes(&model).is_err());
    }
    println!("{refused} of {DAMAGED} damaged models refused");
    assert!(refused > DAMAGED / 20, "the damage hardly ever matters");
    assert!(refused < DAMAGED, "every model is refused");
}
