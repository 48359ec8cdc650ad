//! Tensors' element types, shapes and contents, as operators see them.

use std::fmt;

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum DType {
    /// Signed 8-bit codes: activations and weights.
    I8,
    /// Unsigned 8-bit codes: only at the model's border.
    U8,
    /// Signed 16-bit codes.
    I16,
    /// Biases, shapes and indices.
    I32,
    /// Shapes and indices in some models.
    I64,
    /// Real numbers: only at the model's border.
    F32,
    /// One byte, 0 or 1.
    Bool,
}

impl DType {
    /// Bytes per element.
    pub fn size(self) -> usize {
        match self {
            DType::I8 | DType::U8 | DType::Bool => 1,
            DType::I16 => 2,
            DType::I32 | DType::F32 => 4,
            DType::I64 => 8,
        }
    }

    /// The lowest and highest code of an integer type of at most 32 bits.
    ///
    /// # Panics
    /// For `I64` and `F32`, which hold no codes.
    pub fn range(self) -> (i32, i32) {
        match self {
            DType::I8 => (-128, 127),
            DType::U8 => (0, 255),
            DType::I16 => (-32768, 32767),
            DType::I32 => (i32::MIN, i32::MAX),
            DType::Bool => (0, 1),
            DType::I64 | DType::F32 => panic!("{self} has no code range"),
        }
    }

    /// Whether elements are quantized codes of 8 bits.
    pub fn is_byte(self) -> bool {
        matches!(self, DType::I8 | DType::U8)
    }

    /// The type's name in Rust.
    pub fn name(self) -> &'static str {
        match self {
            DType::I8 => "i8",
            DType::U8 => "u8",
            DType::I16 => "i16",
            DType::I32 => "i32",
            DType::I64 => "i64",
            DType::F32 => "f32",
            DType::Bool => "bool",
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Element type and shape (outermost dimension first; activations are NHWC).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TensorType {
    /// The elements' type.
    pub dtype: DType,
    /// The dimensions, outermost first; none for a scalar.
    pub shape: Vec<usize>,
}

impl TensorType {
    /// A type from its parts.
    pub fn new(dtype: DType, shape: impl Into<Vec<usize>>) -> Self {
        TensorType { dtype, shape: shape.into() }
    }

    /// The most elements that a tensor may have: what no microcontroller holds, and few enough
    /// that sizes and indices never overflow.
    pub const MAX_ELEMENTS: usize = 1 << 24;

    /// The most dimensions that a tensor may have: TFLite's kernels know no more.
    pub const MAX_RANK: usize = 8;

    /// A type from its parts.
    ///
    /// # Errors
    /// A dimension is 0, or there are more than [`Self::MAX_ELEMENTS`] elements or
    /// [`Self::MAX_RANK`] dimensions.
    pub fn checked(dtype: DType, shape: impl Into<Vec<usize>>) -> Result<Self, String> {
        let ty = TensorType::new(dtype, shape);
        if ty.shape.len() > Self::MAX_RANK {
            let rank = ty.shape.len();
            return Err(format!("a tensor of {rank} dimensions has more than {}", Self::MAX_RANK));
        }
        if ty.shape.contains(&0) {
            return Err(format!("a tensor {ty} has no elements"));
        }
        let elements = ty.shape.iter().try_fold(1usize, |product, &size| product.checked_mul(size));
        match elements {
            Some(elements) if elements <= Self::MAX_ELEMENTS => Ok(ty),
            _ => Err(format!("a tensor {ty} is too large")),
        }
    }

    /// The number of elements.
    pub fn elements(&self) -> usize {
        self.shape.iter().product()
    }

    /// The number of bytes.
    pub fn bytes(&self) -> usize {
        self.elements() * self.dtype.size()
    }

    /// The size of dimension `axis` counted from the innermost (0 is the last); 1 beyond the rank.
    pub fn from_innermost(&self, axis: usize) -> usize {
        self.shape.len().checked_sub(axis + 1).map_or(1, |i| self.shape[i])
    }
}

impl fmt::Display for TensorType {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{}[", self.dtype)?;
        for (i, size) in self.shape.iter().enumerate() {
            write!(f, "{}{size}", if i == 0 { "" } else { "x" })?;
        }
        f.write_str("]")
    }
}

/// A tensor's contents: its type, and its elements as little-endian bytes in row-major order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Value {
    /// Element type and shape.
    pub ty: TensorType,
    /// The elements, little-endian, row-major.
    pub bytes: Vec<u8>,
}

impl Value {
    /// A value from its bytes.
    ///
    /// # Panics
    /// When the number of bytes isn't the type's.
    pub fn new(ty: TensorType, bytes: Vec<u8>) -> Self {
        assert_eq!(ty.bytes(), bytes.len(), "{ty}");
        Value { ty, bytes }
    }

    /// A value of integers, each cut to the element type's width.
    ///
    /// # Panics
    /// When the number of elements isn't the type's, or the elements are `F32`.
    pub fn from_ints(ty: TensorType, ints: impl IntoIterator<Item = i32>) -> Self {
        let mut bytes = Vec::with_capacity(ty.bytes());
        for int in ints {
            match ty.dtype {
                DType::F32 => panic!("integers for {ty}"),
                DType::I64 => bytes.extend((int as i64).to_le_bytes()),
                dtype => bytes.extend(&int.to_le_bytes()[..dtype.size()]),
            }
        }
        Value::new(ty, bytes)
    }

    /// A value of real numbers.
    ///
    /// # Panics
    /// When the number of elements isn't the shape's.
    pub fn from_floats(shape: &[usize], floats: impl IntoIterator<Item = f32>) -> Self {
        let bytes = floats.into_iter().flat_map(f32::to_le_bytes).collect();
        Value::new(TensorType::new(DType::F32, shape), bytes)
    }

    /// The elements as 32-bit integers (64-bit ones saturate).
    ///
    /// # Panics
    /// When the elements are `F32`.
    pub fn ints(&self) -> Vec<i32> {
        match self.ty.dtype {
            DType::I8 => self.bytes.iter().map(|&b| b as i8 as i32).collect(),
            DType::U8 | DType::Bool => self.bytes.iter().map(|&b| b as i32).collect(),
            DType::I16 => (self.bytes.chunks_exact(2))
                .map(|b| i16::from_le_bytes([b[0], b[1]]) as i32)
                .collect(),
            DType::I32 => (self.bytes.chunks_exact(4))
                .map(|b| i32::from_le_bytes([b[0], b[1], b[2], b[3]]))
                .collect(),
            DType::I64 => (self.bytes.chunks_exact(8))
                .map(|b| i64::from_le_bytes(b.try_into().expect("eight bytes")))
                .map(|x| x.clamp(i32::MIN as i64, i32::MAX as i64) as i32)
                .collect(),
            DType::F32 => panic!("integers of {}", self.ty),
        }
    }

    /// The elements as real numbers.
    ///
    /// # Panics
    /// When the elements aren't `F32`.
    pub fn floats(&self) -> Vec<f32> {
        assert_eq!(self.ty.dtype, DType::F32);
        (self.bytes.chunks_exact(4)).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
    }

    /// The same elements under another shape of the same size.
    pub fn reshaped(&self, shape: &[usize]) -> Value {
        Value::new(TensorType::new(self.ty.dtype, shape), self.bytes.clone())
    }

    /// A value of type `ty` whose element `i` is this one's element `source(i)`: what every
    /// operator that only moves data does.
    pub fn gather(&self, ty: &TensorType, source: impl Fn(usize) -> usize) -> Value {
        let size = ty.dtype.size();
        let mut bytes = Vec::with_capacity(ty.bytes());
        for i in 0..ty.elements() {
            let at = source(i) * size;
            bytes.extend(&self.bytes[at..at + size]);
        }
        Value::new(ty.clone(), bytes)
    }
}

/// Row-major strides of a shape, in elements.
pub fn strides(shape: &[usize]) -> Vec<usize> {
    let mut strides = vec![1; shape.len()];
    for i in (1..shape.len()).rev() {
        strides[i - 1] = strides[i] * shape[i];
    }
    strides
}

/// The coordinates of element `index` of a shape.
pub fn coordinates(shape: &[usize], mut index: usize) -> Vec<usize> {
    let mut coordinates = vec![0; shape.len()];
    for (c, &size) in coordinates.iter_mut().zip(shape).rev() {
        *c = index % size;
        index /= size;
    }
    coordinates
}
