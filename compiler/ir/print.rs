//! The graph as text, for `--emit graph`: one line for each operator, one for its epilogue, one
//! for what became of that.

use std::fmt;

use super::{Folding, Graph, Node, TensorId};
use crate::ops::{Chain, DType, Multiplier, Stage, Value};

/// How many elements of a constant are shown.
const SHOWN_ELEMENTS: usize = 8;

impl fmt::Display for Graph {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for &id in &self.inputs {
            writeln!(f, "input {}", self.result(id))?;
        }
        for (i, node) in self.nodes.iter().enumerate() {
            self.print_node(f, i, node)?;
        }
        for &id in &self.outputs {
            writeln!(f, "output {}", self.operand(id))?;
        }
        writeln!(f, "{} operators, {} MACs", self.nodes.len(), self.macs())
    }
}

impl Graph {
    fn print_node(&self, f: &mut fmt::Formatter, i: usize, node: &Node) -> fmt::Result {
        write!(f, "{i:3} {}", node.op.kind())?;
        let description = node.op.describe();
        if !description.is_empty() {
            write!(f, " {description}")?;
        }
        let list = |ids: &[TensorId], show: &dyn Fn(TensorId) -> String| {
            ids.iter().map(|&id| show(id)).collect::<Vec<_>>().join(", ")
        };
        let operands = list(&node.inputs, &|id| self.operand(id));
        let results = list(&node.outputs, &|id| self.result(id));
        writeln!(f, " ({operands}) -> {results}")?;
        if let Some(epilogue) = node.op.epilogue() {
            for (chain, result) in epilogue.0.iter().zip(&node.outputs) {
                writeln!(f, "      {chain}")?;
                let about = self.foldings.iter().filter(|folding| folding.tensor == *result);
                for Folding { form, .. } in about {
                    writeln!(f, "        {form}")?;
                }
            }
        } else if let Some(stages) = node.op.stages() {
            writeln!(f, "      {}", Chain(stages))?;
        }
        Ok(())
    }

    /// A tensor where it is read: a constant with its contents, another one by its number.
    fn operand(&self, id: TensorId) -> String {
        match &self.tensors[id].constant {
            Some(value) => format!("{id:?} {} {}", value.ty, contents(value)),
            None => format!("{id:?}"),
        }
    }

    /// A tensor where it comes to be: type, name and quantization.
    fn result(&self, id: TensorId) -> String {
        let tensor = &self.tensors[id];
        let mut text = format!("{id:?} {} '{}'", tensor.ty, tensor.name);
        if let Some(q) = tensor.quantization {
            text += &format!(" {:e} (q {:+})", q.scale, -i64::from(q.zero_point));
        }
        text
    }
}

/// A constant's first elements.
fn contents(value: &Value) -> String {
    let elements: Vec<String> = match value.ty.dtype {
        DType::F32 => value.floats().iter().take(SHOWN_ELEMENTS).map(f32::to_string).collect(),
        _ => value.ints().iter().take(SHOWN_ELEMENTS).map(i32::to_string).collect(),
    };
    let more = if value.ty.elements() > SHOWN_ELEMENTS { " …" } else { "" };
    format!("{{{}{more}}}", elements.join(" "))
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, stage) in self.0.iter().enumerate() {
            write!(f, "{}{stage}", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Stage::Requantize { offset, multipliers, zero_point } => {
                let real = |multiplier: &Multiplier| multiplier.real();
                let low = multipliers.iter().map(real).fold(f64::INFINITY, f64::min);
                let high = multipliers.iter().map(real).fold(f64::NEG_INFINITY, f64::max);
                match multipliers.len() {
                    1 => write!(f, "times {low:.6e}")?,
                    n => write!(f, "times {low:.6e} to {high:.6e} ({n} channels)")?,
                }
                if *offset != 0 {
                    write!(f, " of (x {:+})", -i64::from(*offset))?;
                }
                write!(f, " {zero_point:+}")
            }
            Stage::Clamp { min, max } => write!(f, "clamp {min}..={max}"),
            Stage::Table(table) => {
                write!(f, "table from {} to {}", table[0], table[255])
            }
            Stage::AddResidual { own, other } => write!(
                f,
                "{:.6} (x {:+}) + {:.6} (residual {:+})",
                own.multiplier.real(),
                -own.zero_point,
                other.multiplier.real(),
                -other.zero_point
            ),
        }
    }
}
