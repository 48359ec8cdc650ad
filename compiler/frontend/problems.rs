//! What keeps a model from being compiled, said so that its author knows what to do.

use std::fmt;

/// One thing that keeps a model from being compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The operator's index in the model, unless the problem is not an operator's.
    pub operator: Option<usize>,
    /// TFLite's name for the operator; a custom operator's own name.
    pub kind: String,
    /// The version of the operator's meaning that the model says it uses.
    pub version: i32,
    /// The name of the tensor that it is about.
    pub tensor: Option<String>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub advice: String,
}

impl Problem {
    /// A problem of the file as a whole.
    pub fn of_file(what: impl Into<String>, advice: impl Into<String>) -> Self {
        Problem {
            operator: None,
            kind: String::new(),
            version: 0,
            tensor: None,
            what: what.into(),
            advice: advice.into(),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        if let Some(index) = self.operator {
            write!(f, "operator {index} {} (version {})", self.kind, self.version)?;
            f.write_str(if self.tensor.is_some() { ", " } else { ": " })?;
        }
        if let Some(name) = &self.tensor {
            write!(f, "tensor '{name}': ")?;
        }
        f.write_str(&self.what)?;
        if !self.advice.is_empty() {
            write!(f, ": {}", self.advice)?;
        }
        Ok(())
    }
}

/// Everything that keeps a model from being compiled; at least one problem.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        for (i, problem) in self.0.iter().enumerate() {
            write!(f, "{}{problem}", if i == 0 { "" } else { "\n" })?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

impl From<Problem> for Problems {
    fn from(problem: Problem) -> Self {
        Problems(vec![problem])
    }
}
