//! Import: the model file's operators, one after the other, into the graph.
//!
//! [`import`] walks the file; [`operator`] is what an operator's own function asks and where it
//! reports; the other files hold these functions, by family. An operator that can't be imported
//! doesn't stop the walk: the model's author learns of all problems at once.

mod activation;
mod arithmetic;
mod convolution;
mod exponential;
mod movement;
mod operator;
mod pooling;
mod quantization;
mod tensor;

use super::schema::{self, builtin};
use super::{Problem, Problems};
use crate::ir::{self, Graph, Node, TensorId};
use crate::ops::{DType, Op, TensorType, Value, MAX_WORK};
use operator::Operator;
use tensor::{Fault, State, Tensor};

/// What an operator's function makes of it: the operator of the graph, and which of the operands
/// it still has. `None` when it has reported why it can't.
type Imported = Option<(Op, Vec<usize>)>;

/// The most elements of a shape or an index that is computed at import.
const MAX_FOLDED_ELEMENTS: usize = 1024;

/// The most elements of all tensors together, and the most operators: more than any
/// microcontroller's model has, and few enough to be done with soon.
const MAX_ELEMENTS: usize = 1 << 25;
const MAX_OPERATORS: usize = 1 << 12;

/// Makes a graph of the bytes of a `.tflite` file.
///
/// # Errors
/// Everything that is unsupported or wrong in it.
pub fn import(bytes: &[u8]) -> Result<Graph, Problems> {
    let model = schema::read(bytes)
        .map_err(|what| Problem::of_file(what, "it should be what TensorFlow's converter wrote"))?;
    let mut importer = Importer::new(model)?;
    let subgraph = main_graph(&model)?;
    importer.inputs(&subgraph);
    for (index, table) in subgraph.operators().iter().flatten().enumerate() {
        if index == MAX_OPERATORS || importer.elements > MAX_ELEMENTS {
            let what = format!(
                "the model is too large: up to operator {index} its tensors have {} elements",
                importer.elements
            );
            return Err(Problem::of_file(what, "make it fit a microcontroller").into());
        }
        importer.operator(index, table);
    }
    importer.outputs(&subgraph);
    if !importer.problems.is_empty() {
        return Err(Problems(importer.problems));
    }
    debug_assert_eq!(ir::validate(&importer.graph), Ok(()));
    Ok(importer.graph)
}

/// The only graph of the model.
fn main_graph<'a>(model: &schema::Model<'a>) -> Result<schema::SubGraph<'a>, Problem> {
    let graphs: Vec<_> = model.subgraphs().iter().flatten().collect();
    match graphs[..] {
        [graph] => Ok(graph),
        [] => Err(Problem::of_file("the model has no graph", "convert it again")),
        [_, ref others @ ..] => {
            let name = |graph: &schema::SubGraph| format!("'{}'", graph.name().unwrap_or_default());
            let names: Vec<String> = others.iter().map(name).collect();
            Err(Problem::of_file(
                format!("the model has more graphs than one ({})", names.join(", ")),
                "take control flow (IF, WHILE, CALL_ONCE) and further signatures out of it",
            ))
        }
    }
}

/// The walk through the model file.
struct Importer<'a> {
    model: schema::Model<'a>,
    tensors: Vec<Tensor<'a>>,
    graph: Graph,
    /// Of all the graph's tensors.
    elements: usize,
    problems: Vec<Problem>,
}

impl<'a> Importer<'a> {
    fn new(model: schema::Model<'a>) -> Result<Self, Problem> {
        if model.version() != schema::SCHEMA_VERSION {
            return Err(Problem::of_file(
                format!("the file is of schema version {}", model.version()),
                "only version 3, TensorFlow Lite's since 2017, is supported",
            ));
        }
        let tensors = main_graph(&model)?.tensors();
        let tensors = tensors.iter().flatten().map(|table| Tensor::read(&model, table)).collect();
        Ok(Importer { model, tensors, graph: Graph::default(), elements: 0, problems: Vec::new() })
    }

    /// Adds the model's inputs to the graph.
    fn inputs(&mut self, subgraph: &schema::SubGraph) {
        for (i, index) in subgraph.inputs().iter().flatten().enumerate() {
            let Some(at) = self.interface_tensor("input", i, index) else { continue };
            let tensor = &self.tensors[at];
            let fault = match (&tensor.fault, tensor.state) {
                (Some(fault), _) => fault.clone(),
                (_, State::Available(_)) => Fault::damage("it is an input twice"),
                _ if tensor.data.is_some() => Fault::damage("it is an input, but holds data"),
                _ => {
                    let id = self.add_tensor(at, tensor.ty.clone());
                    self.graph.inputs.push(id);
                    continue;
                }
            };
            self.tensors[at].state = State::Broken;
            self.report_tensor(at, fault);
        }
    }

    /// Adds the model's outputs, which the operators have computed.
    fn outputs(&mut self, subgraph: &schema::SubGraph) {
        let outputs = subgraph.outputs();
        if outputs.is_none_or(|outputs| outputs.is_empty()) {
            self.problems.push(Problem::of_file("the model has no output", "convert it again"));
        }
        for (i, index) in outputs.iter().flatten().enumerate() {
            let Some(at) = self.interface_tensor("output", i, index) else { continue };
            match self.use_tensor(at) {
                Ok(id) => self.graph.outputs.push(id),
                // The operator that should compute it has reported.
                Err(_) if self.tensors[at].state == State::Broken => {}
                Err(fault) => self.report_tensor(at, fault),
            }
        }
    }

    /// The index of the tensor that is the model's input or output `i`.
    fn interface_tensor(&mut self, role: &str, i: usize, index: i32) -> Option<usize> {
        let at = usize::try_from(index).ok().filter(|&at| at < self.tensors.len());
        if at.is_none() {
            let what = format!("{role} {i} is tensor {index}, which doesn't exist");
            self.problems.push(Problem::of_file(what, "the file is damaged: convert it again"));
        }
        at
    }

    fn report_tensor(&mut self, at: usize, fault: Fault) {
        let mut problem = Problem::of_file(fault.what, fault.advice);
        problem.tensor = Some(self.tensors[at].name.clone());
        self.problems.push(problem);
    }

    /// Imports operator `index` of the file, or reports why it can't.
    fn operator(&mut self, index: usize, table: schema::Operator<'a>) {
        let operator = Operator::new(&self.model, &self.tensors, index, table);
        let imported = if operator.is_sound() { by_kind(&operator) } else { None };
        let (template, outputs) = (operator.problem(), operator.output_indices());
        let operands = operator.input_indices();
        let mut problems = operator.into_problems();
        if let Some((op, used)) = imported.filter(|_| problems.is_empty()) {
            let inputs: Vec<usize> = used.iter().filter_map(|&i| operands[i]).collect();
            if let Err((tensor, fault)) = self.add_node(index, op, &inputs, &outputs) {
                let name = tensor.map(|at| self.tensors[at].name.clone());
                let tensor = name.or(template.tensor.clone());
                let (what, advice) = (fault.what, fault.advice.into());
                problems.push(Problem { tensor, what, advice, ..template });
            }
        }
        // Later operators are checked against what the file says that a failed one yields.
        for &at in &outputs {
            if self.tensors[at].state == State::Pending {
                let is_known = !problems.is_empty() && self.tensors[at].fault.is_none();
                self.add_tensor(at, self.tensors[at].ty.clone());
                if !is_known {
                    self.tensors[at].state = State::Broken;
                }
            }
        }
        self.problems.extend(problems);
    }

    /// Adds an operator to the graph. What is wrong comes with the tensor that it is about.
    fn add_node(
        &mut self,
        index: usize,
        op: Op,
        inputs: &[usize],
        outputs: &[usize],
    ) -> Result<(), (Option<usize>, Fault)> {
        let mut ids = Vec::new();
        for &at in inputs {
            ids.push(self.use_tensor(at).map_err(|fault| (Some(at), fault))?);
        }
        let types: Vec<&TensorType> = ids.iter().map(|&id| &self.graph.tensors[id].ty).collect();
        let results = op.infer(&types).map_err(|what| (None, Fault::damage(what)))?;
        if results.len() != outputs.len() {
            let what = format!("it has {} outputs instead of {}", outputs.len(), results.len());
            return Err((None, Fault::damage(what)));
        }
        if op.work(&types, &results[0]) > MAX_WORK {
            return Err((None, Fault::damage("it takes more steps than is sane")));
        }
        for (&at, ty) in outputs.iter().zip(&results) {
            let stated = &self.tensors[at];
            let same_size = stated.ty.elements() == ty.elements() || stated.is_unranked;
            if stated.ty.dtype != ty.dtype || !same_size {
                let what = format!("it is {}, but the operator yields {ty}", stated.ty);
                return Err((Some(at), Fault::damage(what)));
            }
        }
        let values = self.fold(&op, inputs, &results);
        let mut result_ids = Vec::new();
        for (i, (&at, ty)) in outputs.iter().zip(results).enumerate() {
            result_ids.push(self.add_tensor(at, ty));
            self.tensors[at].folded = values.get(i).cloned();
        }
        self.graph.nodes.push(Node { op, inputs: ids, outputs: result_ids, origin: vec![index] });
        Ok(())
    }

    /// The results of an operator on shapes and indices, if all its operands are known. The
    /// operators that are left without a reader go when the graph is pruned.
    fn fold(&self, op: &Op, inputs: &[usize], results: &[TensorType]) -> Vec<Value> {
        let is_small = |ty: &TensorType| {
            matches!(ty.dtype, DType::I32 | DType::I64) && ty.elements() <= MAX_FOLDED_ELEMENTS
        };
        if !results.iter().all(is_small) {
            return Vec::new();
        }
        if let Op::Shape(shape) = op {
            return vec![shape.of(&self.tensors[inputs[0]].ty)];
        }
        let operands = inputs.iter().map(|&at| self.tensors[at].value());
        match operands.collect::<Option<Vec<Value>>>() {
            Some(operands) => op.eval(&operands.iter().collect::<Vec<_>>()),
            None => Vec::new(),
        }
    }

    /// The graph's tensor for a tensor of the file that is read. A constant comes in now.
    fn use_tensor(&mut self, at: usize) -> Result<TensorId, Fault> {
        let tensor = &self.tensors[at];
        match (tensor.state, &tensor.fault, tensor.value()) {
            (State::Available(id), ..) => Ok(id),
            (_, Some(fault), _) => Err(fault.clone()),
            (State::Pending, None, Some(value)) => {
                let id = self.add_tensor(at, value.ty.clone());
                self.graph.tensors[id].constant = Some(value);
                Ok(id)
            }
            _ => Err(Fault::damage("it is read before anything computes it")),
        }
    }

    /// Adds a tensor of the file to the graph, as one that is there from now on.
    fn add_tensor(&mut self, at: usize, ty: TensorType) -> TensorId {
        self.elements += ty.elements();
        let tensor = &mut self.tensors[at];
        let id = self.graph.tensors.push(ir::Tensor {
            name: tensor.name.clone(),
            ty: ty.clone(),
            quantization: tensor.whole_quantization(),
            constant: None,
            origin: Some(at),
        });
        tensor.ty = ty;
        tensor.state = State::Available(id);
        id
    }
}

/// The operator's own function.
fn by_kind(op: &Operator) -> Imported {
    match op.builtin() {
        builtin::ADD | builtin::SUB => arithmetic::add(op),
        builtin::AVERAGE_POOL_2D => pooling::average_pool_2d(op),
        builtin::CONCATENATION => movement::concatenation(op),
        builtin::CONV_2D => convolution::conv_2d(op),
        builtin::DEPTHWISE_CONV_2D => convolution::depthwise_conv_2d(op),
        builtin::DEQUANTIZE => quantization::dequantize(op),
        builtin::EXPAND_DIMS => movement::expand_dims(op),
        builtin::FULLY_CONNECTED => convolution::fully_connected(op),
        builtin::HARD_SWISH => activation::hard_swish(op),
        builtin::LEAKY_RELU => activation::leaky_relu(op),
        builtin::LOGISTIC => activation::logistic(op),
        builtin::MAX_POOL_2D => pooling::max_pool_2d(op),
        builtin::MEAN => arithmetic::mean(op),
        builtin::MUL => arithmetic::mul(op),
        builtin::PACK => movement::pack(op),
        builtin::PAD | builtin::PADV2 => movement::pad(op),
        builtin::PRELU => activation::prelu(op),
        builtin::QUANTIZE => quantization::quantize(op),
        builtin::RELU | builtin::RELU6 | builtin::RELU_N1_TO_1 => activation::relu(op),
        builtin::RESHAPE => movement::reshape(op),
        builtin::RESIZE_NEAREST_NEIGHBOR => movement::resize_nearest_neighbor(op),
        builtin::SHAPE => movement::shape(op),
        builtin::SOFTMAX => activation::softmax(op),
        builtin::SQUEEZE => movement::squeeze(op),
        builtin::STRIDED_SLICE => movement::strided_slice(op),
        builtin::TANH => activation::tanh(op),
        builtin::TRANSPOSE => movement::transpose(op),
        _ => op.fail(
            None,
            Fault {
                what: "this operator is not supported".into(),
                advice: "replace it in the model by operators that are",
            },
        ),
    }
}
