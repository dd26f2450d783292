//! `sepconv isa`: which instruction sets are compiled in, which this machine has, which is chosen.

use super::failure::Failure;
use super::output;
use sepconv::kernels::{self, Kernels};
use serde_json::json;

pub fn main(as_json: bool) -> Result<(), Failure> {
    let chosen = kernels::best().name;
    let names = |wanted: &dyn Fn(&Kernels) -> bool| -> Vec<&str> {
        kernels::ALL
            .iter()
            .filter(|kernels| wanted(kernels))
            .map(|kernels| kernels.name)
            .collect()
    };
    if as_json {
        return output::json(&json!({
            "compiled": names(&|_| true),
            "available": names(&|kernels| (kernels.available)()),
            "chosen": chosen,
        }));
    }
    let mut table = output::table(&["instruction set", "this machine", "chosen"], 2);
    for kernels in kernels::ALL {
        let has = if (kernels.available)() {
            "has it"
        } else {
            "lacks it"
        };
        table.add_row([kernels.name, has, if kernels.name == chosen { "yes" } else { "" }]);
    }
    output::text(&table.to_string())
}
