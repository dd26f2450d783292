//! A graph as text, one node a line: for debugging and test failures.

use super::Graph;
use std::fmt;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let input = self.tensor(self.input);
        writeln!(f, "{}: input {} {}", self.name, input.name, input.shape)?;
        for node in &self.nodes {
            let inputs: Vec<&str> = node
                .inputs
                .iter()
                .map(|&id| self.tensor(id).name.as_str())
                .collect();
            let output = self.tensor(node.output);
            write!(
                f,
                "  {} = {}({})",
                output.name,
                node.operator.name(),
                inputs.join(", ")
            )?;
            if !node.clamp.is_none() {
                write!(f, " in [{}, {}]", node.clamp.min, node.clamp.max)?;
            }
            writeln!(f, " {}", output.shape)?;
        }
        writeln!(f, "output {}", self.tensor(self.output).name)
    }
}
