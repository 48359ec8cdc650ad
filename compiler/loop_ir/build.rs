//! Builds functions: kernels read like the loops that they emit.

use super::{Access, Expr, Function, Intrinsic, Param, Place, Stmt, Ty, Update, Var};
use crate::ops::DType;

/// A [`Function`] under construction. Statements go to the innermost open loop.
#[derive(Debug)]
pub struct Builder {
    params: Vec<Param>,
    names: Vec<String>,
    open: Vec<Vec<Stmt>>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder { params: Vec::new(), names: Vec::new(), open: vec![Vec::new()] }
    }
}

impl Builder {
    /// Adds a parameter.
    pub fn param(&mut self, name: &str, dtype: DType, len: usize, access: Access) -> Place {
        let taken = |name: &str| self.params.iter().any(|param| param.name == name);
        let name = unique(name, taken);
        self.params.push(Param { name, dtype, len, access });
        Place::Param(self.params.len() - 1)
    }

    fn var(&mut self, name: &str, ty: Ty) -> Var {
        let taken = |name: &str| {
            self.names.iter().any(|n| n == name) || self.params.iter().any(|p| p.name == name)
        };
        let name = unique(name, taken);
        self.names.push(name);
        Var { id: self.names.len() - 1, ty }
    }

    fn push(&mut self, stmt: Stmt) {
        self.open.last_mut().expect("the body").push(stmt);
    }

    /// Names a value; constants and names stay as they are.
    pub fn name(&mut self, name: &str, value: impl Into<Expr>) -> Expr {
        let value = value.into();
        if matches!(value, Expr::Int(_) | Expr::Index(_) | Expr::Real(_) | Expr::Var(_)) {
            return value;
        }
        let var = self.var(name, value.ty());
        self.push(Stmt::Let(var, value));
        var.into()
    }

    /// Starts an accumulator.
    pub fn accumulator(&mut self, name: &str, start: impl Into<Expr>) -> Var {
        let var = self.var(name, Ty::Int);
        self.push(Stmt::Accumulator(var, start.into()));
        var
    }

    /// Takes a value into an accumulator.
    pub fn update(&mut self, accumulator: Var, update: Update, value: impl Into<Expr>) {
        self.push(Stmt::Update(accumulator, update, value.into()));
    }

    /// Names a run of elements to be read.
    pub fn view(&mut self, name: &str, of: Place, at: impl Into<Expr>, len: impl Into<Expr>) -> Place {
        let var = self.var(name, Ty::View);
        self.push(Stmt::View { var, of, at: at.into(), len: len.into() });
        Place::View(var)
    }

    /// Writes an element.
    pub fn store(&mut self, to: Place, at: impl Into<Expr>, value: impl Into<Expr>) {
        self.push(Stmt::Store { to, at: at.into(), value: value.into() });
    }

    /// Repeats `body` with an index from `from` up to but not including `to`. A loop that is known
    /// to run just once is its body.
    pub fn repeat(
        &mut self,
        name: &str,
        from: impl Into<Expr>,
        to: impl Into<Expr>,
        body: impl FnOnce(&mut Self, Expr),
    ) {
        let (from, to) = (from.into(), to.into());
        match (from.as_index(), to.as_index()) {
            (Some(first), Some(end)) if first >= end => return,
            (Some(first), Some(end)) if first + 1 == end => return body(self, from),
            _ => {}
        }
        let var = self.var(name, Ty::Index);
        self.open.push(Vec::new());
        body(self, var.into());
        let body = self.open.pop().expect("just opened");
        self.push(Stmt::For { var, from, to, body });
    }

    /// The finished function.
    pub fn finish(self, name: String, doc: Vec<String>) -> Function {
        let [body] = self.open.try_into().expect("all loops are closed");
        Function { name, doc, params: self.params, names: self.names, body }
    }
}

fn unique(name: &str, taken: impl Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_string();
    }
    (2..).map(|n| format!("{name}_{n}")).find(|name| !taken(name)).expect("endless")
}

/// The element of `place` at `at`.
pub fn load(place: Place, at: impl Into<Expr>) -> Expr {
    Expr::Load(place, Box::new(at.into()))
}

/// A call of a runtime function.
pub fn call<const N: usize>(intrinsic: Intrinsic, args: [Expr; N]) -> Expr {
    Expr::Call(intrinsic, args.into())
}
