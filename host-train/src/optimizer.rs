//! AdamW, with its state in the open so that a checkpoint can hold it.

use std::collections::BTreeMap;

use tch::Tensor;
use tch::nn::VarStore;

const MEAN_DECAY: f64 = 0.9;
const SQUARE_DECAY: f64 = 0.999;
const EPSILON: f64 = 1e-8;

/// The optimizer of I. Loshchilov and F. Hutter, "Decoupled weight decay regularization", 2019.
///
/// Weight decay applies to convolution and classifier weights, not to biases and batch normalization.
#[derive(Debug)]
pub struct AdamW {
    weight_decay: f64,
    steps: u64,
    slots: BTreeMap<String, Slot>,
}

/// A parameter and the running averages of its gradient and of the gradient's square.
#[derive(Debug)]
struct Slot {
    parameter: Tensor,
    mean: Tensor,
    square: Tensor,
}

impl AdamW {
    /// An optimizer of all trainable parameters in `store`.
    pub fn new(store: &VarStore, weight_decay: f64) -> AdamW {
        let trainable = store
            .variables()
            .into_iter()
            .filter(|(_, tensor)| tensor.requires_grad());
        let slots = trainable
            .map(|(name, parameter)| {
                let (mean, square) = (parameter.zeros_like(), parameter.zeros_like());
                (
                    name,
                    Slot {
                        parameter,
                        mean: mean.detach(),
                        square: square.detach(),
                    },
                )
            })
            .collect();
        AdamW {
            weight_decay,
            steps: 0,
            slots,
        }
    }

    /// Computes gradients of `loss` and changes the parameters by them.
    pub fn step(&mut self, loss: &Tensor, learning_rate: f64) {
        for slot in self.slots.values_mut() {
            slot.parameter.zero_grad();
        }
        loss.backward();
        self.steps += 1;
        let steps = self.steps as f64;
        let step_size = learning_rate / (1.0 - MEAN_DECAY.powf(steps));
        let square_correction = 1.0 - SQUARE_DECAY.powf(steps);
        let shrink = 1.0 - learning_rate * self.weight_decay;
        tch::no_grad(|| {
            for slot in self.slots.values_mut() {
                let gradient = slot.parameter.grad();
                let _ = slot
                    .mean
                    .g_mul_scalar_(MEAN_DECAY)
                    .g_add_(&(&gradient * (1.0 - MEAN_DECAY)));
                let _ = slot.square.g_mul_scalar_(SQUARE_DECAY);
                let _ = slot.square.g_add_(&(gradient.square() * (1.0 - SQUARE_DECAY)));
                let deviation = (&slot.square / square_correction).sqrt() + EPSILON;
                if slot.parameter.dim() > 1 {
                    let _ = slot.parameter.g_mul_scalar_(shrink);
                }
                let _ = slot.parameter.g_sub_(&(&slot.mean / deviation * step_size));
            }
        });
    }

    /// Steps taken so far.
    pub fn steps(&self) -> u64 {
        self.steps
    }

    /// Says how many steps the state loaded into [`AdamW::state`] stands for.
    pub fn set_steps(&mut self, steps: u64) {
        self.steps = steps;
    }

    /// The running averages by name. They share memory with the optimizer.
    pub fn state(&self) -> BTreeMap<String, Tensor> {
        let averages = |(name, slot): (&String, &Slot)| {
            [
                (format!("optimizer.mean.{name}"), slot.mean.shallow_clone()),
                (format!("optimizer.square.{name}"), slot.square.shallow_clone()),
            ]
        };
        self.slots.iter().flat_map(averages).collect()
    }
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind, nn};

    use super::*;

    #[test]
    fn steps_are_those_of_the_formula() {
        let store = VarStore::new(Device::Cpu);
        let weight = store.root().var("weight", &[1, 1], nn::Init::Const(2.0));
        let bias = store.root().var("bias", &[1], nn::Init::Const(2.0));
        let mut optimizer = AdamW::new(&store, 0.5);
        // The gradient of 3(w + b) is 3, and the first step of Adam is the learning rate whatever the gradient.
        for _ in 0..2 {
            optimizer.step(&((&weight + &bias) * 3.0).sum(Kind::Float), 0.1);
        }
        assert!((bias.double_value(&[0]) - 1.8).abs() < 1e-5, "{bias}");
        let expected = (2.0 * 0.95 - 0.1) * 0.95 - 0.1;
        assert!((weight.double_value(&[0, 0]) - expected).abs() < 1e-5, "{weight}");
        assert_eq!(optimizer.steps(), 2);
        assert_eq!(optimizer.state().len(), 4);
    }
}
