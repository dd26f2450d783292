//! Whole networks, for measuring.

use crate::shared_folder;
use sepconv::AlignedVec;
use sepconv::layout::Target;
use sepconv_quantize::plan::{Options, plan};
use sepconv_quantize::{tflite, write};

/// Networks that are in integers already, so that nothing has to be calibrated: a name, and where they are.
const NETWORKS: &[(&str, &str)] = &[
    ("MobileNetV2 224", "models/mobilenet-v2-ptq.tflite"),
    ("VWW, MobileNetV1 0.25 96", "models/mlperf-tiny/vww_int8.tflite"),
    ("KWS, DS-CNN", "models/mlperf-tiny/kws_int8.tflite"),
];

/// Those of them that can be had here, planned for a host, in the plain layout. Says which are left out.
pub fn integer_networks() -> Vec<(&'static str, AlignedVec<u8>)> {
    let mut found = Vec::new();
    for (name, path) in NETWORKS {
        let file = shared_folder().map(|folder| folder.join(path));
        let Some(bytes) = file.and_then(|file| std::fs::read(file).ok()) else {
            // Not to standard output, where lists of tests go.
            eprintln!("left out: {name} (there is no {path} in the folder of models)");
            continue;
        };
        let network = tflite::from_bytes(&bytes).expect("a sound network");
        let options = Options {
            alignment: 64,
            ..Options::WHOLE
        };
        let file = write::to_bytes(&network, &plan(&network, &options), Target::Plain);
        found.push((*name, file.expect("a network that can be written")));
    }
    found
}
