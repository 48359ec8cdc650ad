//! An operator of the model file, as the function that imports it sees it: what it can ask, and
//! where it reports what is wrong.

use std::cell::RefCell;

use super::tensor::{Fault, State, Tensor};
use crate::frontend::schema::{self, activation, builtin};
use crate::frontend::Problem;
use crate::ir::Quantization;
use crate::ops::{DType, Multiplier};

use super::quantization::{self, FULL_INTEGER};

/// An operator of the model file.
///
/// What reports a problem returns `None`. A function that imports an operator first asks for
/// everything it needs and only then gives up, so that all problems are reported.
pub struct Operator<'t, 'a> {
    index: usize,
    builtin: i32,
    kind: String,
    version: i32,
    table: schema::Operator<'a>,
    inputs: Vec<Option<(usize, &'t Tensor<'a>)>>,
    outputs: Vec<(usize, &'t Tensor<'a>)>,
    /// Whether it reads what an operator with problems should have computed.
    reads_broken: bool,
    problems: RefCell<Vec<Problem>>,
}

impl<'t, 'a> Operator<'t, 'a> {
    /// Operator `index` of the model's graph. Whether its kind and its tensors are there and in
    /// order is reported.
    pub fn new(
        model: &schema::Model<'a>,
        tensors: &'t [Tensor<'a>],
        index: usize,
        table: schema::Operator<'a>,
    ) -> Self {
        let code = schema::element(model.operator_codes(), table.opcode_index());
        let builtin = code.map_or(-1, |code| code.builtin());
        let kind = match schema::builtin_name(builtin) {
            Some("CUSTOM") => code.and_then(|code| code.custom_code()).unwrap_or("CUSTOM").into(),
            Some(name) => name.into(),
            None => format!("of unknown kind {builtin}"),
        };
        let mut operator = Operator {
            index,
            builtin,
            kind,
            version: code.map_or(0, |code| code.version()),
            table,
            inputs: Vec::new(),
            outputs: Vec::new(),
            reads_broken: false,
            problems: RefCell::default(),
        };
        for at in table.outputs().into_iter().flatten() {
            if let Some((at, tensor)) = operator.tensor(tensors, at, false) {
                let twice = operator.outputs.iter().any(|&(other, _)| other == at);
                operator.check_output(tensor, twice);
                operator.outputs.push((at, tensor));
            }
        }
        for at in table.inputs().into_iter().flatten() {
            let input = operator.tensor(tensors, at, at == -1);
            if let Some((_, tensor)) = input {
                operator.check_input(tensor);
            }
            operator.inputs.push(input);
        }
        if operator.outputs.is_empty() {
            operator.damage(None, "it has no output");
        }
        operator
    }

    /// The file's tensor number `at`, which may be none where that is said.
    fn tensor(
        &self,
        tensors: &'t [Tensor<'a>],
        at: i32,
        may_be_absent: bool,
    ) -> Option<(usize, &'t Tensor<'a>)> {
        let found = usize::try_from(at).ok().and_then(|at| Some((at, tensors.get(at)?)));
        if found.is_none() && !may_be_absent {
            self.damage(None, format!("there is no tensor {at}"));
        }
        found
    }

    fn check_input(&mut self, tensor: &Tensor) {
        self.reads_broken |= tensor.state == State::Broken;
        match &tensor.fault {
            _ if tensor.state == State::Broken => {}
            Some(fault) => self.report(Some(tensor), fault.clone()),
            None if tensor.state == State::Pending && tensor.data.is_none() => {
                self.damage(Some(tensor), "it is read before anything computes it");
            }
            None => {}
        }
    }

    fn check_output(&self, tensor: &Tensor, twice: bool) {
        if let Some(fault) = &tensor.fault {
            self.report(Some(tensor), fault.clone());
        } else if tensor.data.is_some() {
            self.damage(Some(tensor), "it is computed, but holds data");
        } else if twice || tensor.state != State::Pending {
            self.damage(Some(tensor), "it is computed, but not only here");
        }
    }

    /// Whether there is enough to import: nothing is reported, all it reads is there.
    pub fn is_sound(&self) -> bool {
        self.problems.borrow().is_empty() && !self.reads_broken
    }

    /// Its code, from [`builtin`].
    pub fn builtin(&self) -> i32 {
        self.builtin
    }

    /// The number of operands, absent ones included.
    pub fn input_count(&self) -> usize {
        self.inputs.len()
    }

    /// Operand `i`; its absence is reported.
    pub fn input(&self, i: usize) -> Option<&'t Tensor<'a>> {
        match self.inputs.get(i) {
            Some(Some((_, tensor))) => Some(tensor),
            _ => self.fail(None, Fault::damage(format!("it has no operand {i}"))),
        }
    }

    /// Whether operand `i` is there.
    pub fn has_input(&self, i: usize) -> bool {
        matches!(self.inputs.get(i), Some(Some(_)))
    }

    /// The first output.
    pub fn output(&self) -> &'t Tensor<'a> {
        self.outputs[0].1
    }

    /// The operands' indices in the file.
    pub fn input_indices(&self) -> Vec<Option<usize>> {
        self.inputs.iter().map(|input| input.map(|(at, _)| at)).collect()
    }

    /// The outputs' indices in the file.
    pub fn output_indices(&self) -> Vec<usize> {
        self.outputs.iter().map(|&(at, _)| at).collect()
    }

    /// Its options, if it has some.
    pub fn options<T: schema::Options<'a>>(&self) -> Option<T> {
        self.table.options()
    }

    /// Its options; their absence is reported.
    pub fn needed_options<T: schema::Options<'a>>(&self) -> Option<T> {
        self.options().or_else(|| self.fail(None, Fault::damage("its options are missing")))
    }

    /// The integers that operand `i` holds, which must be known.
    pub fn known_ints(&self, i: usize, role: &str) -> Option<Vec<i32>> {
        let tensor = self.input(i)?;
        if !matches!(tensor.ty.dtype, DType::I32 | DType::I64) {
            let what = format!("{role} should be integers, not {}", tensor.ty);
            return self.fail(Some(tensor), Fault::damage(what));
        }
        let Some(value) = tensor.value() else {
            return self.fail(
                Some(tensor),
                Fault {
                    what: format!("{role} is only computed when the model runs"),
                    advice: "make it a constant: give the model fixed shapes",
                },
            );
        };
        Some(value.ints())
    }

    /// The quantization of a tensor that must be of int8 codes.
    pub fn codes(&self, tensor: &Tensor) -> Option<Quantization> {
        let dtype = tensor.ty.dtype;
        if dtype == DType::I8 {
            return self.quantization(tensor);
        }
        let has_weights = matches!(
            self.builtin,
            builtin::CONV_2D | builtin::DEPTHWISE_CONV_2D | builtin::FULLY_CONNECTED
        );
        let hybrid = has_weights
            && self.inputs.get(1).copied().flatten().is_some_and(|(_, w)| w.ty.dtype == DType::I8);
        self.fail(
            Some(tensor),
            match dtype {
                DType::F32 if hybrid => Fault {
                    what: "hybrid weights (float32 activations) are not supported".into(),
                    advice: FULL_INTEGER,
                },
                DType::F32 => Fault {
                    what: "float32 is only supported at the model's border".into(),
                    advice: FULL_INTEGER,
                },
                DType::I16 => Fault {
                    what: "int16 activations are not supported".into(),
                    advice: "convert to int8 (tf.lite.OpsSet.TFLITE_BUILTINS_INT8)",
                },
                DType::U8 => Fault {
                    what: "uint8 is only supported at the model's border".into(),
                    advice:
                        "convert with TensorFlow 2, whose full integer quantization yields int8",
                },
                _ => Fault {
                    what: format!("elements of type {dtype} are not supported here"),
                    advice: FULL_INTEGER,
                },
            },
        )
    }

    /// The quantization of a tensor that is quantized as a whole.
    pub fn quantization(&self, tensor: &Tensor) -> Option<Quantization> {
        quantization::of_whole(tensor).map_or_else(|fault| self.fail(Some(tensor), fault), Some)
    }

    /// The codes that a fused activation, from [`activation`], leaves in an output with this
    /// quantization (TFLite's `CalculateActivationRangeQuantized`).
    pub fn activation_range(&self, code: i8, output: Quantization) -> Option<(i32, i32)> {
        let (low, high) = match code {
            activation::NONE => (None, None),
            activation::RELU => (Some(0.0), None),
            activation::RELU6 => (Some(0.0), Some(6.0)),
            activation::RELU_N1_TO_1 => (Some(-1.0), Some(1.0)),
            _ => {
                let number = || format!("number {code}");
                let name = schema::activation_name(code).map_or_else(number, String::from);
                return self.fail(
                    Some(self.output()),
                    Fault {
                        what: format!("the fused activation {name} is not supported"),
                        advice: "put the activation behind it as an operator of its own",
                    },
                );
            }
        };
        Some(quantization::range(low, high, output))
    }

    /// That nothing but NONE is fused into an operator that can't have an activation.
    pub fn expect_no_activation(&self, code: i8) -> Option<()> {
        match code {
            activation::NONE => Some(()),
            _ => self.fail(
                Some(self.output()),
                Fault {
                    what: "a fused activation is not supported here".into(),
                    advice: "put the activation behind it as an operator of its own",
                },
            ),
        }
    }

    /// That an input and an output have the same quantization.
    pub fn expect_same_quantization(&self, input: &Tensor, output: &Tensor) -> Option<()> {
        let (from, to) = (self.quantization(input), self.quantization(output));
        (from? == to?).then_some(()).or_else(|| {
            self.fail(
                Some(input),
                Fault {
                    what: "it has another scale or zero point than the output".into(),
                    advice: "TensorFlow Lite refuses such a model too; convert it again",
                },
            )
        })
    }

    /// The multiplier nearest to a factor.
    pub fn multiplier(&self, factor: f64) -> Option<Multiplier> {
        Multiplier::from_real(factor).map_or_else(
            |what| {
                let advice = "its scales are not sane; convert it with more representative data";
                self.fail(None, Fault { what, advice })
            },
            Some,
        )
    }

    /// Reports a problem with a tensor, by default the output.
    pub fn report(&self, tensor: Option<&Tensor>, fault: Fault) {
        let mut problem = self.problem();
        problem.tensor = tensor.map_or(problem.tensor, |tensor| Some(tensor.name.clone()));
        problem.what = fault.what;
        problem.advice = fault.advice.into();
        let mut problems = self.problems.borrow_mut();
        if !problems.contains(&problem) {
            problems.push(problem);
        }
    }

    /// Reports a problem and gives up.
    pub fn fail<T>(&self, tensor: Option<&Tensor>, fault: Fault) -> Option<T> {
        self.report(tensor, fault);
        None
    }

    fn damage(&self, tensor: Option<&Tensor>, what: impl Into<String>) {
        self.report(tensor, Fault::damage(what));
    }

    /// A problem of this operator, yet to be filled in.
    pub fn problem(&self) -> Problem {
        Problem {
            operator: Some(self.index),
            kind: self.kind.clone(),
            version: self.version,
            tensor: self.outputs.first().map(|(_, tensor)| tensor.name.clone()),
            ..Problem::of_file("", "")
        }
    }

    /// What was reported.
    pub fn into_problems(self) -> Vec<Problem> {
        self.problems.into_inner()
    }
}
