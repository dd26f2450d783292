//! Whatever the bands and rings, an operator gives the same bytes as run whole.

mod support;

use sepconv::Element;
use support::net::Net;
use support::{Random, operators, run, schedule};

fn check(net: &Net, random: &mut Random, what: &dyn std::fmt::Debug) {
    let input = random.bytes(net.input_len());
    let whole = run(&net.file(), &input);
    for _ in 0..4 {
        let scattered = schedule::scatter(net, random);
        assert_eq!(
            run(&scattered.file(), &input),
            whole,
            "{what:?}\n{:?}\n{:?}\n{:?}",
            scattered.image.tensors,
            scattered.image.operators,
            scattered.image.steps
        );
    }
}

#[test]
fn every_operator_gives_the_same_bytes_in_any_bands_and_rings() {
    for element in [Element::Int8, Element::Int16] {
        for choice in operators::choices(element) {
            for seed in 0..60 {
                let mut random = Random::new(seed);
                let mut net = Net::random(&mut random, element);
                operators::add(&mut net, &mut random, choice, 0);
                check(&net, &mut random, &(element, choice, seed));
            }
        }
    }
}

#[test]
fn chains_of_operators_give_the_same_bytes_in_any_bands_and_rings() {
    for seed in 0..400 {
        let mut random = Random::new(seed);
        let mut net = Net::random(&mut random, Element::Int8);
        let mut choices_made = Vec::new();
        for _ in 0..random.within(2, 6) {
            // From any earlier tensor that has not grown large, so that there are branches.
            let tensors: Vec<u16> = (0..net.image.tensors.len() as u16)
                .filter(|tensor| net.shape(*tensor).values() < 3000)
                .collect();
            let input = if random.one_in(3) {
                random.pick(&tensors)
            } else {
                *tensors.last().unwrap()
            };
            // Int16 operators want zero point 0, which softmax's output has not.
            if net.element(input) == Element::Int16 && net.zero_point(input) != 0 {
                continue;
            }
            let choice = random.pick(&operators::choices(net.element(input)));
            choices_made.push((choice, input));
            operators::add(&mut net, &mut random, choice, input);
        }
        if !choices_made.is_empty() {
            check(&net, &mut random, &(seed, choices_made));
        }
    }
}
