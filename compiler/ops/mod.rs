//! What operators mean: one file each, with attributes, type rule and evaluation.
//!
//! `eval` is obvious and exact, the semantics of everything behind it: kernels are tested against
//! it, it is tested against TensorFlow Lite's reference kernels. Attributes are integers; the
//! frontend has derived them from the model's scales. No operator knows a kernel.

mod bias;
pub mod broadcast;
mod elementwise;
mod epilogue;
mod pooling;
mod value;
mod window;

pub use bias::shift_zero_point;
pub use epilogue::{Addend, Chain, Epilogue, Multiplier, Stage, Table};
pub use hard_swish::ShortMultiplier;
pub use quantize::QuantizeSource;
pub use relu::ReluKind;
pub use strided_slice::StridedRange;
pub use value::{coordinates, strides, DType, TensorType, Value};
pub use window::{Padding, Window};

/// The most steps that one operator may take: more than any microcontroller's model.
pub const MAX_WORK: u64 = 1 << 32;

/// What every operator can be asked. Operands and results come in TFLite's order.
pub trait Operator {
    /// TFLite's name for the operator.
    fn kind(&self) -> &'static str;

    /// The results' types, given the operands'.
    ///
    /// # Errors
    /// What doesn't fit, in a sentence for the user.
    fn infer(&self, inputs: &[&TensorType]) -> Result<Vec<TensorType>, String>;

    /// The results. Operands are of types that `infer` accepts.
    fn eval(&self, inputs: &[&Value]) -> Vec<Value> {
        let ty = infer_one(self, inputs);
        let epilogue = self.epilogue().expect("those without accumulators evaluate themselves");
        let last = inputs.last().expect("operands");
        epilogue.results(&ty, &self.accumulators(inputs, &ty), last)
    }

    /// Its accumulators, if it has any, in the order of the elements of a result of type `ty`.
    fn accumulators(&self, _inputs: &[&Value], _ty: &TensorType) -> Vec<i32> {
        Vec::new()
    }

    /// Multiplications for one inference.
    fn macs(&self, _inputs: &[&TensorType], _output: &TensorType) -> u64 {
        0
    }

    /// About how many steps its evaluation takes, counted in multiplications.
    fn work(&self, inputs: &[&TensorType], output: &TensorType) -> u64 {
        const STEPS_PER_ELEMENT: u64 = 8;
        let elements: usize = inputs.iter().map(|input| input.elements()).sum();
        (elements + output.elements()) as u64 * STEPS_PER_ELEMENT + self.macs(inputs, output)
    }

    /// What its accumulator goes through, if it has one.
    fn epilogue(&self) -> Option<&Epilogue> {
        None
    }

    /// The same, to fuse into.
    fn epilogue_mut(&mut self) -> Option<&mut Epilogue> {
        None
    }

    /// The stages that it consists of, if it maps each int8 code to an int8 code on its own.
    fn stages(&self) -> Option<Vec<Stage>> {
        None
    }

    /// Whether its result is its first operand's bytes under another shape.
    fn is_reshape(&self) -> bool {
        false
    }

    /// Its attributes in a few words, for listings.
    fn describe(&self) -> String {
        String::new()
    }
}

macro_rules! operators {
    ($($(#[$doc:meta])* $name:ident in $module:ident,)*) => {
        $(mod $module; pub use $module::$name;)*

        /// Any operator.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Op {
            $($(#[$doc])* $name($name),)*
        }

        $(impl From<$name> for Op {
            fn from(op: $name) -> Op {
                Op::$name(op)
            }
        })*

        impl std::ops::Deref for Op {
            type Target = dyn Operator;
            fn deref(&self) -> &Self::Target {
                match self {
                    $(Op::$name(op) => op,)*
                }
            }
        }

        impl std::ops::DerefMut for Op {
            fn deref_mut(&mut self) -> &mut Self::Target {
                match self {
                    $(Op::$name(op) => op,)*
                }
            }
        }
    };
}

operators! {
    /// Sums of two operands, requantized (ADD and SUB).
    Add in add,
    /// Means over windows.
    AveragePool2d in average_pool_2d,
    /// Operands side by side along one dimension.
    Concatenation in concatenation,
    /// Two-dimensional convolution, grouped or not.
    Conv2d in conv_2d,
    /// Convolution of each channel on its own.
    DepthwiseConv2d in depthwise_conv_2d,
    /// Codes to real numbers.
    Dequantize in dequantize,
    /// A matrix times each row.
    FullyConnected in fully_connected,
    /// x · relu6(x + 3) / 6.
    HardSwish in hard_swish,
    /// Negative values times a slope.
    LeakyRelu in leaky_relu,
    /// 1 / (1 + e^−x).
    Logistic in logistic,
    /// Code by code, what an operator does with a constant number.
    Map in map,
    /// Highest codes of windows.
    MaxPool2d in max_pool_2d,
    /// Means over dimensions.
    Mean in mean,
    /// Products of two operands, requantized.
    Mul in mul,
    /// Operands stacked along a new dimension.
    Pack in pack,
    /// A constant around the operand (PAD and PADV2).
    Pad in pad,
    /// What becomes of sums over pixels: a part of a pooling.
    PooledSums in pooled_sums,
    /// Negative values times a slope that is a code.
    Prelu in prelu,
    /// Real numbers to codes, or codes to other codes.
    Quantize in quantize,
    /// Clamps at 0, at 0 and 6, or at −1 and 1, rescaled.
    Relu in relu,
    /// The same elements under another shape (RESHAPE, SQUEEZE, EXPAND_DIMS).
    Reshape in reshape,
    /// Rows and columns repeated or left out.
    ResizeNearestNeighbor in resize_nearest_neighbor,
    /// The operand's shape.
    Shape in shape,
    /// Exponentials over their sum.
    Softmax in softmax,
    /// Every n-th element from begin to end.
    StridedSlice in strided_slice,
    /// Sums over some pixels: a part of a pooling.
    SumPixels in sum_pixels,
    /// Hyperbolic tangent.
    Tanh in tanh,
    /// Dimensions in another order.
    Transpose in transpose,
}

/// The type of an operator's only result, for operands that its `infer` accepts.
fn infer_one(op: &(impl Operator + ?Sized), inputs: &[&Value]) -> TensorType {
    let types: Vec<&TensorType> = inputs.iter().map(|value| &value.ty).collect();
    op.infer(&types).expect("checked").swap_remove(0)
}

/// The sizes of a tensor of four dimensions.
fn four_dimensions(ty: &TensorType) -> Result<[usize; 4], String> {
    ty.shape[..].try_into().map_err(|_| format!("{ty} doesn't have four dimensions"))
}

/// That the elements are int8 codes.
fn expect_codes(ty: &TensorType) -> Result<(), String> {
    match ty.dtype {
        DType::I8 => Ok(()),
        _ => Err(format!("{ty} isn't of int8 codes")),
    }
}

/// That the first two operands, activations and weights, are int8 codes.
fn expect_weights(inputs: &[&TensorType]) -> Result<(), String> {
    expect_codes(inputs[0])?;
    expect_codes(inputs[1])
}

/// That the third operand, where there is one, is an int32 for each of `channels`.
fn expect_bias(inputs: &[&TensorType], channels: usize) -> Result<(), String> {
    match inputs.get(2) {
        Some(bias) if bias.dtype != DType::I32 || bias.elements() != channels => {
            Err(format!("a bias of {bias} for {channels} channels"))
        }
        _ => Ok(()),
    }
}
