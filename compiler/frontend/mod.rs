//! From the bytes of a `.tflite` file to a [`Graph`](crate::ir::Graph) of integers.
//!
//! [`schema`] reads the file's tables, [`import`](fn@import) makes operators of them: scales become
//! multipliers and tables here, and nothing behind the frontend computes with real numbers.
//! Whatever the bytes are, the answer is a graph or a list of problems.

mod import;
mod problems;
pub mod schema;

pub use import::import;
pub use problems::{Problem, Problems};
