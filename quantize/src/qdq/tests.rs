use super::*;
use crate::convert;
use crate::inference::run_many;
use crate::{onnx, rewrite, testing};
use sepconv::Model as View;

/// What is written is read again as the same integers: nothing has to be calibrated, and every output is the same.
#[test]
fn written_networks_are_read_again() {
    for seed in 1..5 {
        let network = testing::classifier(seed);
        let bytes = to_bytes(&network).unwrap();
        let mut graph = onnx::read_bytes(&bytes).unwrap();
        rewrite::simplify(&mut graph);
        assert_eq!(convert::uncalibrated(&graph), None);
        let known = graph.preprocess.clone().expect("preprocessing is written");
        assert_eq!((known.channels, known.mean.len()), (3, 3));
        assert_eq!(known.classes, testing::CLASSES);
        let again = convert::convert_quantized(&graph, network.metadata.clone()).unwrap();
        let (first, second) = (testing::file(&network), testing::file(&again));
        let inputs: Vec<i8> = (0..8 * 192usize)
            .map(|index| (index * index * 31 + seed as usize) as i8)
            .collect();
        let run = |file: &[u8]| run_many(&View::new(file).unwrap(), &inputs).unwrap();
        assert_eq!(run(&first), run(&second), "seed {seed}");
    }
}
