//! Instructions of one inference, as they were when they last changed on purpose. Counts in the emulator are the same on every
//! machine, but for the compiler's version; one that has risen by more than 1 % fails.

use crate::board::Core;
use crate::error::Error;

/// Model, core, instructions.
const LANDED: &[(&str, Core, u64)] = &[
    ("vww", Core::M4, 6_494_025),
    ("kws", Core::M4, 3_734_608),
    ("vww", Core::M3, 14_035_736),
    ("kws", Core::M3, 8_295_038),
    ("micro-xception", Core::M4, 2_959_827),
    ("vww", Core::M55, 1_729_174),
    ("kws", Core::M55, 891_747),
    ("kws", Core::A53, 1_996_571),
    ("kws", Core::A76, 1_114_640),
];

/// Compares a count with what was landed; `Ok(false)` if nothing was.
///
/// # Errors
///
/// [`Error::Failed`] if there are more than 1 % more instructions.
pub fn compare(model: &str, core: Core, instructions: u64) -> Result<bool, Error> {
    let landed = LANDED.iter().find(|(name, of, _)| *name == model && *of == core);
    let Some((_, _, landed)) = landed else {
        return Ok(false);
    };
    if instructions > landed + landed / 100 {
        return Err(Error::Failed(format!(
            "{instructions} instructions for {model} on {}, more than 1 % above the {landed} that were landed",
            core.name().to_uppercase()
        )));
    }
    Ok(true)
}

/// The models of the list that are not made here, with the cores to count them on.
pub fn of_model(model: &str) -> impl Iterator<Item = Core> {
    LANDED
        .iter()
        .filter(move |(name, _, _)| *name == model)
        .map(|(_, core, _)| *core)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rise_of_more_than_one_percent_is_refused() {
        let (model, core, landed) = LANDED[0];
        assert!(compare(model, core, landed).unwrap());
        assert!(compare(model, core, landed + landed / 100).unwrap());
        assert!(compare(model, core, landed + landed / 100 + 1).is_err());
        assert!(!compare("no such model", core, landed).unwrap());
    }
}
