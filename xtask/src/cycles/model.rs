//! What instructions cost, without wait states of the memory: as the processors' technical reference manuals say, and for
//! those whose timing Arm does not publish, by an assumption that is stated.

use crate::board::Core;

/// The timing of a processor.
pub struct Model {
    /// What it rests on, for people.
    pub about: &'static str,
    /// Cycles that a taken branch takes besides the branch itself: the pipeline is filled anew.
    pub taken_branch: u64,
    /// A load of one word, or less, after something else.
    load: u64,
    /// A load or store right after another of these.
    pipelined: u64,
    store: u64,
    /// Multiply and add.
    multiply_add: u64,
    /// A product of 64 bits.
    long_multiply: u64,
    divide: u64,
    /// Two instructions a cycle, where the second does not need the first's result and they need different units.
    dual: bool,
}

/// Armv7E-M as in the Cortex-M4.
const M4: Model = Model {
    about: "Cortex-M4 technical reference manual, table 3-1; taken branches 3, divisions 7, no wait states",
    taken_branch: 2,
    load: 2,
    pipelined: 1,
    store: 1,
    multiply_add: 1,
    long_multiply: 1,
    divide: 7,
    dual: false,
};

/// What an instruction does, as far as its cost depends on it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Load,
    Store,
    /// So many words.
    Several(u64),
    Multiply,
    MultiplyAdd,
    LongMultiply,
    Divide,
    Branch,
    Other,
}

impl Model {
    /// The model of a core; `None` for the Cortex-M55, whose vector instructions the emulator does not disassemble, and for
    /// processors that execute out of order or in ways that no table of instructions describes.
    pub fn of(core: Core) -> Option<Self> {
        match core {
            Core::M0 => Some(Self {
                about: "Cortex-M0 technical reference manual, table 3-1, with the multiplier of one cycle; no wait states",
                pipelined: 2,
                store: 2,
                ..M4
            }),
            Core::M3 => Some(Self {
                about: "Cortex-M3 technical reference manual, table 3-1; taken branches 3, long products 4, divisions 7, no wait states",
                multiply_add: 2,
                long_multiply: 4,
                ..M4
            }),
            Core::M4 => Some(M4),
            Core::M33 => Some(Self {
                about: "as for a Cortex-M4: Arm publishes no timing of the Cortex-M33; no wait states",
                ..M4
            }),
            Core::M7 => Some(Self {
                about: "an assumption, since Arm publishes no timing of the Cortex-M7: two instructions a cycle but for two \
                        products, two stores, or a result that is needed at once; taken branches 2, no wait states",
                taken_branch: 1,
                load: 1,
                dual: true,
                ..M4
            }),
            Core::M55 | Core::A53 | Core::A76 => None,
        }
    }

    /// The cycles of instructions one after another, as the emulator disassembles them, branches not taken.
    pub fn cycles<'a>(&self, instructions: impl Iterator<Item = &'a str>) -> u64 {
        let mut cycles = 0;
        let mut previous = "";
        let mut paired = true;
        for instruction in instructions {
            let (before, class) = (Class::of(previous), Class::of(instruction));
            paired = self.dual && !paired && pairs((before, previous), (class, instruction));
            if !paired {
                cycles += self.cost(before, class);
            }
            previous = instruction;
        }
        cycles
    }

    fn cost(&self, before: Class, class: Class) -> u64 {
        match class {
            Class::Load | Class::Store if matches!(before, Class::Load | Class::Store) => self.pipelined,
            Class::Load => self.load,
            Class::Store => self.store,
            // A Cortex-M7's memories are twice as wide.
            Class::Several(words) if self.dual => words.div_ceil(2),
            Class::Several(words) => 1 + words,
            Class::MultiplyAdd => self.multiply_add,
            Class::LongMultiply => self.long_multiply,
            Class::Divide => self.divide,
            Class::Multiply | Class::Branch | Class::Other => 1,
        }
    }
}

/// Whether a processor that can execute two instructions a cycle executes these two together.
fn pairs((before, previous): (Class, &str), (class, instruction): (Class, &str)) -> bool {
    let product = |class| matches!(class, Class::Multiply | Class::MultiplyAdd | Class::LongMultiply);
    let long = |class| matches!(class, Class::Several(_) | Class::Divide);
    let result = match before {
        Class::Store => None,
        _ => registers(previous).next(),
    };
    let conflict = product(before) && product(class)
        || before == Class::Store && class == Class::Store
        || before == Class::Branch
        || long(before)
        || long(class);
    let waits = result.is_some_and(|result| registers(instruction).any(|register| register == result));
    !(previous.is_empty() || conflict || waits)
}

/// The registers of an instruction's operands, the one that it writes first.
fn registers(instruction: &str) -> impl Iterator<Item = &str> {
    let operands = instruction.split_once(' ').map_or("", |(_, operands)| operands);
    operands
        .split(|other: char| !other.is_ascii_alphanumeric())
        .filter(|word| {
            word.strip_prefix('r')
                .is_some_and(|number| number.parse::<u8>().is_ok())
                || ["sb", "sl", "fp", "ip", "sp", "lr", "pc"].contains(word)
        })
}

impl Class {
    fn of(instruction: &str) -> Self {
        let mnemonic = instruction.split([' ', '.']).next().unwrap_or_default();
        let begins = |prefixes: &[&str]| prefixes.iter().any(|prefix| mnemonic.starts_with(prefix));
        if begins(&["ldm", "stm", "push", "pop"]) {
            let list = instruction.split_once('{').map_or("", |(_, list)| list);
            Self::Several(registers(&format!("list {list}")).count() as u64)
        } else if begins(&["ldrd", "strd"]) {
            Self::Several(2)
        } else if begins(&["ldr", "tb"]) {
            Self::Load
        } else if begins(&["str"]) {
            Self::Store
        } else if begins(&["smull", "umull", "smlal", "umlal", "umaal"]) {
            Self::LongMultiply
        } else if begins(&["mla", "mls", "smla", "smml", "smls"]) {
            Self::MultiplyAdd
        } else if begins(&["mul", "smul", "smmul", "smuad", "smusd"]) {
            Self::Multiply
        } else if begins(&["sdiv", "udiv"]) {
            Self::Divide
        } else if begins(&["cbz", "cbnz"]) || is_branch(mnemonic) {
            Self::Branch
        } else {
            Self::Other
        }
    }
}

/// `b`, `bl`, `bx` or `blx`, on a condition or not.
fn is_branch(mnemonic: &str) -> bool {
    const CONDITIONS: [&str; 16] = [
        "", "eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le", "al",
    ];
    let branches = ["blx", "bx", "bl", "b"];
    branches.iter().any(|branch| {
        mnemonic
            .strip_prefix(branch)
            .is_some_and(|rest| CONDITIONS.contains(&rest))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cycles(core: Core, instructions: &[&str]) -> u64 {
        Model::of(core).unwrap().cycles(instructions.iter().copied())
    }

    #[test]
    fn loads_are_pipelined_and_several_words_take_one_more() {
        assert_eq!(cycles(Core::M4, &["ldr r0, [r1]"]), 2);
        assert_eq!(cycles(Core::M4, &["ldr r0, [r1]", "ldrb.w r2, [r3, #1]"]), 3);
        assert_eq!(cycles(Core::M0, &["ldr r0, [r1]", "ldrb r2, [r3, #1]"]), 4);
        assert_eq!(cycles(Core::M4, &["ldm.w r0!, {r1, r2, r3, sb}"]), 5);
        assert_eq!(cycles(Core::M4, &["ldrd r0, r1, [r2], #8", "push {r7, lr}"]), 6);
    }

    #[test]
    fn products_and_branches_are_told_from_others() {
        assert_eq!(
            cycles(
                Core::M3,
                &["mla r0, r1, r2, r0", "smlal r0, r1, r2, r3", "mul r0, r1, r2"]
            ),
            7
        );
        assert_eq!(
            cycles(
                Core::M4,
                &["smlad r0, r1, r2, r0", "smmulr r0, r1, r2", "udiv r0, r1, r2"]
            ),
            9
        );
        assert!(
            ["b", "beq", "bls", "bl", "blx", "bxeq", "blt"]
                .into_iter()
                .all(is_branch)
        );
        assert!(!["bic", "bfi", "bkpt", "bics"].into_iter().any(is_branch));
    }

    #[test]
    fn two_a_cycle_where_nothing_stands_between() {
        assert_eq!(
            cycles(
                Core::M7,
                &["adds r0, #1", "adds r1, #1", "adds r2, #1", "adds r3, #1"]
            ),
            2
        );
        assert_eq!(cycles(Core::M7, &["adds r0, #1", "adds r1, r0, #1"]), 2);
        assert_eq!(
            cycles(Core::M7, &["smlad r0, r1, r2, r0", "smlad r3, r1, r2, r3"]),
            2
        );
        assert_eq!(cycles(Core::M7, &["ldr r0, [r1]", "smlad r3, r4, r2, r3"]), 1);
    }
}
