//! Builds functions: kernels read like the loops that they emit.

use std::collections::HashMap;

use super::assembly::Routine;
use super::{Access, Expr, Function, Intrinsic, Param, Place, Stmt, Ty, Update, Var};
use crate::ops::DType;

/// A [`Function`] under construction. Statements go to the innermost open loop.
#[derive(Debug)]
pub struct Builder {
    params: Vec<Param>,
    /// How many parameters were to have each name.
    namesakes: HashMap<String, usize>,
    names: Vec<String>,
    /// The body and the loops around the next statement, outermost first.
    open: Vec<Scope>,
}

#[derive(Debug, Default)]
struct Scope {
    body: Vec<Stmt>,
    /// Positions of the names that end with it.
    names: Vec<usize>,
}

impl Default for Builder {
    fn default() -> Self {
        Builder {
            params: Vec::new(),
            namesakes: HashMap::new(),
            names: Vec::new(),
            open: vec![Scope::default()],
        }
    }
}

impl Builder {
    /// Adds a parameter.
    pub fn param(&mut self, name: &str, dtype: DType, len: usize, access: Access) -> Place {
        let namesakes = self.namesakes.entry(name.to_string()).or_default();
        let name = loop {
            *namesakes += 1;
            let name =
                if *namesakes == 1 { name.to_string() } else { format!("{name}_{namesakes}") };
            if self.params.iter().all(|param| param.name != name) {
                break name;
            }
        };
        self.params.push(Param { name, dtype, len: Some(len), access });
        Place::Param(self.params.len() - 1)
    }

    /// Makes the function one in assembly, the same for buffers of any length.
    pub fn assembly(&mut self, routine: Routine) {
        self.params.iter_mut().for_each(|param| param.len = None);
        self.push(Stmt::Assembly(routine));
    }

    fn var(&mut self, name: &str, ty: Ty) -> Var {
        let visible = self.open.iter().flat_map(|scope| &scope.names);
        let taken = |name: &str| {
            visible.clone().any(|&id| self.names[id] == name)
                || self.params.iter().any(|param| param.name == name)
        };
        let name = unique(name, taken);
        let id = self.names.len();
        self.names.push(name);
        self.scope().names.push(id);
        Var { id, ty }
    }

    fn scope(&mut self) -> &mut Scope {
        self.open.last_mut().expect("the body")
    }

    fn push(&mut self, stmt: Stmt) {
        self.scope().body.push(stmt);
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
    pub fn view(
        &mut self,
        name: &str,
        of: Place,
        at: impl Into<Expr>,
        len: impl Into<Expr>,
    ) -> Place {
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
        self.open.push(Scope::default());
        let var = self.var(name, Ty::Index);
        body(self, var.into());
        let Scope { body, .. } = self.open.pop().expect("just opened");
        self.push(Stmt::For { var, from, to, body });
    }

    /// The finished function.
    pub fn finish(self, name: String, doc: Vec<String>) -> Function {
        let [scope] = <[Scope; 1]>::try_from(self.open).expect("all loops are closed");
        Function {
            name,
            doc,
            params: self.params,
            scalars: Vec::new(),
            names: self.names,
            body: scope.body,
        }
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
