//! The reference kernels compute what their operators are defined as.

mod support;

use sepconv::kernels::reference;
use sepconv::operator::Kind;
use sepconv::{Element, Model};
use support::expected::{self, Values};
use support::net::Net;
use support::{Random, operators, run};

/// A network of one random operator. An operator that needs another tensor of its own gets it as a second operator before
/// it, so that only networks of one operator are kept.
fn single(choice: operators::Choice, element: Element, random: &mut Random) -> Net {
    loop {
        let mut net = Net::random(random, element);
        operators::add(&mut net, random, choice, 0);
        if net.image.operators.len() == 1 {
            return net;
        }
    }
}

#[test]
fn every_operator_computes_its_definition() {
    for element in [Element::Int8, Element::Int16] {
        for choice in operators::choices(element) {
            for seed in 0..80 {
                let mut random = Random::new(seed);
                let net = single(choice, element, &mut random);
                let input = random.bytes(net.input_len());
                let file = net.file();
                let model = Model::with_kernels(&file, &reference::KERNELS).unwrap();
                let given = Values::new(model.input().shape, element, &input);
                let inputs = vec![given; 4];
                let wanted = expected::output(&model, &inputs);
                let got =
                    Values::new(model.output().shape, model.output().element, &run(&file, &input)).values;
                let tolerance = match (choice.0, model.output().element) {
                    (Kind::Softmax, Element::Int8) => 1,
                    (Kind::Softmax, Element::Int16) => 8,
                    _ => 0,
                };
                let close = |(got, wanted): (&i64, &i64)| (got - wanted).abs() <= tolerance;
                assert!(
                    got.len() == wanted.len() && got.iter().zip(&wanted).all(close),
                    "{element:?} {choice:?} seed {seed}\n got {got:?}\nwant {wanted:?}\n{:?}",
                    model.operator(0)
                );
            }
        }
    }
}
