//! A function of the loop IR as a C function.

use std::collections::{BTreeSet, HashMap};

use super::lines::{self, INDENT};
use super::names::Scope;
use super::{c_type, comment, real_text};
use crate::backend::tidy::{tidy, Used};
use crate::loop_ir::{Access, Binary, Expr, Function, Place, Stmt, Ty, Update, Var};
use crate::ops::DType;

/// A function called `name`, and the functions of `tflc_rt.h` that it calls, which are added to
/// `runtime`.
pub fn print(
    function: &Function,
    name: &str,
    doc: &[String],
    scope: &Scope,
    runtime: &mut BTreeSet<&'static str>,
) -> String {
    let mut function = function.clone();
    cut(&mut function.body);
    let (function, used) = tidy(&function);
    let params = function.params.iter().map(|param| &*param.name);
    let names = scope.locals(params.chain(function.names.iter().map(String::as_str)));
    let mut printer =
        Printer { function: &function, names, runtime, roots: HashMap::new(), out: String::new() };
    comment(&mut printer.out, 0, doc);
    printer.signature(name);
    printer.out.push_str("{\n");
    printer.unused_params(&used);
    printer.block(&function.body, INDENT);
    printer.out.push_str("}\n");
    printer.out
}

/// Drops what isn't printed, and with it what only that uses: the lengths of views, which C has no
/// place for, and loops that never run, about which compilers warn.
fn cut(body: &mut Vec<Stmt>) {
    body.retain(|stmt| !matches!(stmt, Stmt::For { to: Expr::Index(0), .. }));
    for stmt in body {
        match stmt {
            Stmt::View { len, .. } => *len = Expr::Index(0),
            Stmt::For { body, .. } => cut(body),
            _ => {}
        }
    }
}

/// How tightly an expression binds, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Sum,
    Product,
    Unary,
    Atom,
}

/// An expression's text, and how tightly it binds.
struct Spelled(Binding, String);

impl Spelled {
    /// The text, in parentheses if it binds less than `binding`.
    fn at_least(self, binding: Binding) -> String {
        let Spelled(own, text) = self;
        if own < binding {
            format!("({text})")
        } else {
            text
        }
    }
}

/// A loop's rounds with more sums than these take long enough.
const UNROLLED: usize = 4;

struct Printer<'a> {
    function: &'a Function,
    names: HashMap<&'a str, String>,
    runtime: &'a mut BTreeSet<&'static str>,
    /// The parameters that views are parts of, by [`Var::id`].
    roots: HashMap<usize, usize>,
    out: String,
}

impl Printer<'_> {
    fn signature(&mut self, name: &str) {
        let params = self.function.params.iter().map(|param| {
            let (ty, name) = (c_type(param.dtype), &self.names[&*param.name]);
            let len = param.len.map_or(String::new(), |len| len.to_string());
            match param.access {
                Access::Write => format!("{ty} {name}[{len}]"),
                Access::Read | Access::Constant => format!("const {ty} {name}[{len}]"),
            }
        });
        let scalars = self.function.scalars.iter().map(|var| {
            let ty = if var.ty == Ty::Index { "size_t" } else { "int32_t" };
            format!("{ty} {}", self.name(*var))
        });
        let params: Vec<String> = params.chain(scalars).collect();
        lines::push(
            &mut self.out,
            0,
            &format!("TFLC_NOINLINE static void {name}({})", params.join(", ")),
        );
    }

    fn unused_params(&mut self, used: &Used) {
        for (index, param) in self.function.params.iter().enumerate() {
            if !used.params.contains(&index) {
                let line = format!("(void)({});", self.names[&*param.name]);
                lines::push(&mut self.out, INDENT, &line);
            }
        }
    }

    fn block(&mut self, body: &[Stmt], indent: usize) {
        for stmt in body {
            self.stmt(stmt, indent);
        }
    }

    fn stmt(&mut self, stmt: &Stmt, indent: usize) {
        let line = match stmt {
            Stmt::Let(var, value) => {
                let (ty, name, value) = (value_type(var.ty), self.name(*var), self.expr(value).1);
                format!("const {ty} {name} = {value};")
            }
            Stmt::Accumulator(var, start) => {
                let (ty, name, start) = (value_type(var.ty), self.name(*var), self.expr(start).1);
                format!("{ty} {name} = {start};")
            }
            Stmt::Update(var, update, value) => {
                let (name, value) = (self.name(*var), self.expr(value).1);
                match update {
                    Update::Add => format!("{name} += {value};"),
                    Update::WrappingAdd => {
                        let sum = self.runtime("wrapping_add", [name.clone(), value]);
                        format!("{name} = {sum};")
                    }
                    Update::Max => {
                        let highest = self.runtime("max", [name.clone(), value]);
                        format!("{name} = {highest};")
                    }
                }
            }
            Stmt::View { var, of, at, .. } => {
                let root = self.root(*of);
                self.roots.insert(var.id, root);
                let (ty, first) = (c_type(self.function.params[root].dtype), self.pointer(*of, at));
                format!("const {ty} *{} = {first};", self.name(*var))
            }
            Stmt::Store { to, at, value } => {
                let dtype = self.dtype(*to);
                let (to, value) = (self.element(*to, at), self.stored(value, dtype));
                format!("{to} = {value};")
            }
            Stmt::Assembly(_) => unreachable!("printed by itself"),
            Stmt::For { var, from, to, body } => match self.bulk(*var, from, to, body) {
                Some(line) => line,
                None => return self.repeat(*var, from, to, body, indent),
            },
        };
        lines::push(&mut self.out, indent, &line);
    }

    fn repeat(&mut self, var: Var, from: &Expr, to: &Expr, body: &[Stmt], indent: usize) {
        let name = self.name(var);
        let (from, to) = (self.expr(from).1, self.expr(to).at_least(Binding::Sum));
        let products =
            |stmt: &&Stmt| matches!(stmt, Stmt::Update(_, Update::Add | Update::WrappingAdd, _));
        let sums = body.iter().filter(products).count();
        let innermost = !body.iter().any(|stmt| matches!(stmt, Stmt::For { .. }));
        if innermost && (1..=UNROLLED).contains(&sums) {
            lines::push(&mut self.out, indent, "TFLC_UNROLL");
        }
        let head = format!("for (size_t {name} = {from}; {name} < {to}; ++{name}) {{");
        lines::push(&mut self.out, indent, &head);
        self.block(body, indent + INDENT);
        lines::push(&mut self.out, indent, "}");
    }

    /// A loop that copies or fills a run of elements as a call of the library. Places don't
    /// overlap, as the verifier makes sure.
    fn bulk(&mut self, var: Var, from: &Expr, to: &Expr, body: &[Stmt]) -> Option<String> {
        let [Stmt::Store { to: place, at, value }] = body else { return None };
        let dtype = self.dtype(*place);
        let count = match (from.as_index(), to.as_index()) {
            (Some(0), _) => to.clone(),
            (Some(from), Some(to)) => Expr::Index(to.checked_sub(from)?),
            _ => return None,
        };
        let first = without(at, var)? + from.clone();
        let (function, source) = match value {
            Expr::Load(source, source_at) => {
                let source_first = without(source_at, var)? + from.clone();
                if self.root(*source) == self.root(*place) || self.dtype(*source) != dtype {
                    return None;
                }
                ("memcpy", self.pointer(*source, &source_first))
            }
            Expr::Int(value) if *value == 0 || dtype.size() == 1 => ("memset", value.to_string()),
            _ => return None,
        };
        let size = match (dtype.size(), self.expr(&count)) {
            (1, count) => count.1,
            (_, count) => {
                format!("{} * sizeof({})", count.at_least(Binding::Product), c_type(dtype))
            }
        };
        Some(format!("{function}({}, {source}, {size});", self.pointer(*place, &first)))
    }

    fn name(&self, var: Var) -> String {
        self.names[&*self.function.names[var.id]].clone()
    }

    /// The parameter behind a place.
    fn root(&self, place: Place) -> usize {
        match place {
            Place::Param(index) => index,
            Place::View(var) => self.roots[&var.id],
        }
    }

    fn dtype(&self, place: Place) -> DType {
        self.function.params[self.root(place)].dtype
    }

    fn place(&self, place: Place) -> String {
        match place {
            Place::Param(index) => self.names[&*self.function.params[index].name].clone(),
            Place::View(var) => self.name(var),
        }
    }

    fn element(&mut self, of: Place, at: &Expr) -> String {
        format!("{}[{}]", self.place(of), self.expr(at).1)
    }

    /// The address of an element.
    fn pointer(&mut self, of: Place, at: &Expr) -> String {
        match at {
            Expr::Index(0) => self.place(of),
            at => format!("&{}", self.element(of, at)),
        }
    }

    /// A value cut to the type of what it is stored in.
    fn stored(&mut self, value: &Expr, dtype: DType) -> String {
        match value {
            Expr::Load(of, _) if self.dtype(*of) == dtype => self.expr(value).1,
            Expr::Int(value) if dtype == DType::Bool => i32::from(*value != 0).to_string(),
            Expr::Int(_) => self.expr(value).1,
            value => {
                let ty = c_type(dtype);
                match (dtype, self.expr(value)) {
                    (DType::I32 | DType::F32, value) => value.1,
                    (DType::Bool, value) => {
                        format!("({ty})({} != 0)", value.at_least(Binding::Sum))
                    }
                    (_, value) => format!("({ty}){}", value.at_least(Binding::Unary)),
                }
            }
        }
    }

    fn expr(&mut self, expr: &Expr) -> Spelled {
        match expr {
            Expr::Int(i32::MIN) => Spelled(Binding::Atom, "INT32_MIN".into()),
            Expr::Int(value) => {
                Spelled(if *value < 0 { Binding::Unary } else { Binding::Atom }, value.to_string())
            }
            Expr::Index(value) => Spelled(Binding::Atom, value.to_string()),
            Expr::Real(value) => {
                let binding = if value.is_sign_negative() { Binding::Unary } else { Binding::Atom };
                Spelled(binding, real_text(*value))
            }
            Expr::Var(var) => Spelled(Binding::Atom, self.name(*var)),
            Expr::Load(of, at) => Spelled(Binding::Atom, self.element(*of, at)),
            Expr::Binary(op, a, b) => self.binary(*op, a, b),
            Expr::Call(intrinsic, args) => {
                let args: Vec<String> = args.iter().map(|arg| self.expr(arg).1).collect();
                Spelled(Binding::Atom, self.runtime(intrinsic.name(), args))
            }
            Expr::ToInt(value) => Spelled(
                Binding::Unary,
                format!("(int32_t){}", self.expr(value).at_least(Binding::Unary)),
            ),
            Expr::ToIndex(value) => Spelled(
                Binding::Unary,
                format!("(size_t){}", self.expr(value).at_least(Binding::Unary)),
            ),
        }
    }

    fn binary(&mut self, op: Binary, a: &Expr, b: &Expr) -> Spelled {
        use Binding::{Product, Sum, Unary};
        let index = a.ty() == Ty::Index;
        let function = match (op, a, b) {
            (Binary::Add, a, Expr::Int(b @ i32::MIN..=-1)) if *b != i32::MIN => {
                return self.operator(Sum, "-", a, &Expr::Int(-b), Product);
            }
            (Binary::Sub, a, Expr::Int(b @ i32::MIN..=-1)) if *b != i32::MIN => {
                return self.operator(Sum, "+", a, &Expr::Int(-b), Product);
            }
            // Sums of indices are the same in whatever order.
            (Binary::Add, a, b) if index => return self.operator(Sum, "+", a, b, Sum),
            (Binary::Add, ..) => return self.operator(Sum, "+", a, b, Product),
            (Binary::Sub, ..) => return self.operator(Sum, "-", a, b, Product),
            (Binary::Mul, ..) => return self.operator(Product, "*", a, b, Unary),
            (Binary::Div, ..) => return self.operator(Product, "/", a, b, Unary),
            (Binary::Min, Expr::Binary(Binary::Max, x, low), high) if is_clamp(low, high) => {
                let args = [x, low, high].map(|arg| self.expr(arg).1);
                return Spelled(Binding::Atom, self.runtime("clamp", args));
            }
            (Binary::Max, Expr::Binary(Binary::Min, x, high), low) if is_clamp(low, high) => {
                let args = [x, low, high].map(|arg| self.expr(arg).1);
                return Spelled(Binding::Atom, self.runtime("clamp", args));
            }
            (Binary::Min, ..) if index => "index_min",
            (Binary::Max, ..) if index => "index_max",
            (Binary::Min, ..) => "min",
            (Binary::Max, ..) => "max",
            (Binary::WrappingAdd, ..) => "wrapping_add",
            (Binary::SaturatingSub, ..) => "saturating_sub",
            (Binary::ShiftLeft, ..) => "shift_left",
        };
        let args = [self.expr(a).1, self.expr(b).1];
        Spelled(Binding::Atom, self.runtime(function, args))
    }

    /// An operator that groups to the left, and how tightly its right side must bind.
    fn operator(
        &mut self,
        binding: Binding,
        sign: &str,
        a: &Expr,
        b: &Expr,
        right: Binding,
    ) -> Spelled {
        let (a, b) = (self.expr(a).at_least(binding), self.expr(b).at_least(right));
        Spelled(binding, format!("{a} {sign} {b}"))
    }

    /// A call of a function of `tflc_rt.h`.
    fn runtime(&mut self, name: &'static str, args: impl Into<Vec<String>>) -> String {
        self.runtime.insert(name);
        format!("tflc_{name}({})", args.into().join(", "))
    }
}

/// A value's type in C.
fn value_type(ty: Ty) -> &'static str {
    match ty {
        Ty::Int => "int32_t",
        Ty::Index => "size_t",
        Ty::Real => "float",
        Ty::View => unreachable!("a view has the type of its elements"),
    }
}

/// Whether integers are held between two constants, the lower one first.
fn is_clamp(low: &Expr, high: &Expr) -> bool {
    matches!((low, high), (Expr::Int(low), Expr::Int(high)) if low <= high)
}

/// What is left of a sum that `counter` is a term of.
fn without(sum: &Expr, counter: Var) -> Option<Expr> {
    match sum {
        Expr::Var(var) if *var == counter => Some(Expr::Index(0)),
        Expr::Binary(Binary::Add, a, b) if !mentions(b, counter) => {
            Some(without(a, counter)? + &**b)
        }
        Expr::Binary(Binary::Add, a, b) if !mentions(a, counter) => {
            Some(&**a + without(b, counter)?)
        }
        _ => None,
    }
}

fn mentions(expr: &Expr, var: Var) -> bool {
    match expr {
        Expr::Int(_) | Expr::Index(_) | Expr::Real(_) => false,
        Expr::Var(other) => *other == var,
        Expr::Load(_, at) => mentions(at, var),
        Expr::Binary(_, a, b) => mentions(a, var) || mentions(b, var),
        Expr::Call(_, args) => args.iter().any(|arg| mentions(arg, var)),
        Expr::ToInt(value) | Expr::ToIndex(value) => mentions(value, var),
    }
}
