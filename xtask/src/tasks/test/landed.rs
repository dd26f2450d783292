//! Instructions of one inference, as they were when they last changed on purpose. Counts in the emulator are the same on every
//! machine, but for the compiler's version; one that has risen by more than 1 % fails.

use crate::board::Core;
use crate::error::Error;

/// Models with thousands of instructions, rounded up, on each core in the order of [`Core`].
#[rustfmt::skip]
const LANDED: [(&str, [u64; 8]); 5] = [
    ("vww", [19_691, 11_113, 6_487, 6_509, 6_486, 1_721, 4_124, 2_605]),
    ("kws", [11_838, 6_623, 3_724, 3_717, 3_724, 886, 2_001, 1_116]),
    ("ic", [49_064, 21_648, 16_619, 16_649, 16_619, 5_312, 6_299, 3_138]),
    ("ad", [1_871, 827, 292, 292, 292, 58, 374, 121]),
    ("micro-xception", [8_260, 4_416, 2_960, 2_960, 2_960, 1_255, 2_136, 1_570]),
];

/// Compares a count with what was landed.
///
/// # Errors
///
/// [`Error::Failed`] if there are more than 1 % more instructions, or the model is not in the list.
pub fn compare(model: &str, core: Core, instructions: u64) -> Result<(), Error> {
    let Some((_, counts)) = LANDED.iter().find(|(name, _)| *name == model) else {
        return Err(Error::Failed(format!("no instructions of {model} are listed")));
    };
    let landed = counts[core as usize];
    if instructions <= landed * 1010 {
        return Ok(());
    }
    Err(Error::Failed(format!(
        "{instructions} instructions for {model} on {}, more than 1 % above the {landed},000 that were landed",
        core.name().to_uppercase()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_of_more_than_one_percent_is_refused() {
        let (model, counts) = LANDED[0];
        let (core, landed) = (Core::M4, counts[Core::M4 as usize] * 1000);
        assert!(compare(model, core, landed).is_ok());
        assert!(compare(model, core, landed + landed / 100).is_ok());
        assert!(compare(model, core, landed + landed / 100 + 1).is_err());
    }

    #[test]
    fn what_is_not_listed_is_refused() {
        assert!(compare("no such model", Core::M4, 0).is_err());
    }
}
