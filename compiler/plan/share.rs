//! One function for layers whose code differs in numbers only: sizes, strides, zero points.
//!
//! Code for every layer's own shape is fastest, and costs flash for each. So only layers that do
//! much of the work have their own; the others share a function that takes the numbers as
//! parameters.

use crate::loop_ir::{Expr, Function, Program, Stmt, Ty, Var};

/// A layer with at least this share of a model's multiplications, in percent, keeps its own
/// function.
const OWN_FROM: u64 = 10;

/// Merges functions of like code.
pub fn run(program: &mut Program) {
    let total: u64 = program.calls.iter().map(|call| call.layer.macs).sum();
    let mut work = vec![0; program.functions.len()];
    for call in &program.calls {
        work[call.function] += call.layer.macs;
    }
    let skeletons: Vec<Option<Function>> = (program.functions.iter().zip(work))
        .map(|(function, work)| (work * 100 < total * OWN_FROM).then(|| skeleton(function)))
        .collect();
    // The functions that each is merged with, itself among them; only the first has the list.
    let mut groups: Vec<Vec<usize>> = vec![Vec::new(); skeletons.len()];
    for (i, skeleton) in skeletons.iter().enumerate() {
        let same = |j: &usize| skeleton.is_some() && skeletons[*j] == *skeleton;
        let first = (0..i).find(same).unwrap_or(i);
        groups[first].push(i);
    }
    let old = std::mem::take(&mut program.functions);
    for group in groups.into_iter().filter(|group| !group.is_empty()) {
        let members: Vec<&Function> = group.iter().map(|&i| &old[i]).collect();
        let (function, arguments) = merge(&members);
        for call in &mut program.calls {
            if let Some(member) = group.iter().position(|&i| i == call.function) {
                // Marked so that it isn't taken for one that is still to be moved.
                call.function = old.len() + program.functions.len();
                call.scalars = arguments.iter().map(|values| values[member].clone()).collect();
            }
        }
        program.functions.push(function);
    }
    for call in &mut program.calls {
        call.function -= old.len();
    }
}

/// The function without its numbers.
fn skeleton(function: &Function) -> Function {
    let mut skeleton = Function { name: String::new(), doc: Vec::new(), ..function.clone() };
    for param in &mut skeleton.params {
        param.len = None;
    }
    numbers(&mut skeleton.body, &mut |number, fixed, _| match number {
        Expr::Index(value) if !fixed => *value = 0,
        Expr::Int(value) => *value = 0,
        _ => {}
    });
    skeleton
}

/// What is done with a number: it, whether it must stay a constant, and a name for it, made of the
/// names of the function's values.
type Visit<'a> = dyn FnMut(&mut Expr, bool, &dyn Fn(&[String]) -> String) + 'a;

/// Calls `visit` on every constant in a body.
fn numbers(body: &mut [Stmt], visit: &mut Visit) {
    fn within(expr: &mut Expr, fixed: bool, visit: &mut Visit, name: &dyn Fn(&[String]) -> String) {
        match expr {
            Expr::Int(_) | Expr::Index(_) => visit(expr, fixed, name),
            Expr::Real(_) | Expr::Var(_) => {}
            Expr::Load(_, at) => within(at, fixed, visit, &|_| "offset".into()),
            Expr::Binary(op, a, b) => {
                within(a, fixed, visit, &|_| "size".into());
                // Only a constant divisor is certain not to be zero.
                let fixed = fixed || *op == crate::loop_ir::Binary::Div;
                within(b, fixed, visit, &|_| "size".into());
            }
            Expr::Call(_, args) => {
                for arg in args {
                    within(arg, fixed, visit, &|_| "factor".into());
                }
            }
            Expr::ToInt(inner) | Expr::ToIndex(inner) => within(inner, fixed, visit, name),
        }
    }
    for stmt in body {
        match stmt {
            Stmt::Let(_, value) | Stmt::Accumulator(_, value) | Stmt::Update(_, _, value) => {
                within(value, false, visit, &|_| "size".into());
            }
            Stmt::View { var, at, len, .. } => {
                let id = var.id;
                within(at, false, visit, &|_| "offset".into());
                within(len, false, visit, &|names| format!("{}_len", names[id]));
            }
            Stmt::Store { at, value, .. } => {
                within(at, false, visit, &|_| "offset".into());
                within(value, false, visit, &|_| "code".into());
            }
            Stmt::Assembly(_) => {}
            Stmt::For { var, from, to, body } => {
                let id = var.id;
                within(from, false, visit, &|names| format!("{}_first", names[id]));
                within(to, false, visit, &|names| format!("{}_count", names[id]));
                numbers(body, visit);
            }
        }
    }
}

/// The values of one number in each member of a group.
type Values = Vec<Expr>;

/// One function for all members, and for each of its scalar parameters the members' values.
fn merge(members: &[&Function]) -> (Function, Vec<Values>) {
    let mut merged = members[0].clone();
    if members.len() == 1 {
        return (merged, Vec::new());
    }
    for (i, param) in merged.params.iter_mut().enumerate() {
        if members.iter().any(|member| member.params[i].len != param.len) {
            param.len = None;
        }
    }
    // By place: each member's number.
    let mut places: Vec<Values> = Vec::new();
    for member in members {
        let mut at = 0;
        numbers(&mut member.body.clone(), &mut |number, _, _| {
            if places.len() == at {
                places.push(Vec::new());
            }
            places[at].push(number.clone());
            at += 1;
        });
    }
    let mut names = merged.names.clone();
    let mut scalars: Vec<(Var, Values)> = Vec::new();
    let mut place = 0;
    numbers(&mut merged.body, &mut |number, _, name| {
        let values = &places[place];
        place += 1;
        if values.iter().all(|value| *value == values[0]) {
            return;
        }
        if let Some(known) = scalars.iter().find_map(|(var, known)| affine(*var, known, values)) {
            *number = known;
            return;
        }
        let base = name(&names);
        let taken = |name: &String| {
            names.contains(name) || members[0].params.iter().any(|param| param.name == *name)
        };
        let mut candidates =
            std::iter::once(base.clone()).chain((2..).map(|n| format!("{base}_{n}")));
        let name = candidates.find(|name| !taken(name)).expect("endless");
        names.push(name);
        let var = Var { id: names.len() - 1, ty: number.ty() };
        scalars.push((var, values.clone()));
        *number = var.into();
    });
    merged.names = names;
    merged.scalars = scalars.iter().map(|(var, _)| *var).collect();
    (merged, scalars.into_iter().map(|(_, values)| values).collect())
}

/// `values` as a small multiple of a parameter with the values `known`, plus a constant.
fn affine(var: Var, known: &Values, values: &Values) -> Option<Expr> {
    if known == values {
        return Some(var.into());
    }
    let numbers = |values: &Values| -> Option<Vec<i64>> {
        values.iter().map(|value| value.as_index().map(|index| index as i64)).collect()
    };
    if var.ty != Ty::Index {
        return None;
    }
    let (known, values) = (numbers(known)?, numbers(values)?);
    (1..=8).find_map(|factor| {
        let rest: Vec<i64> = known.iter().zip(&values).map(|(k, v)| v - k * factor).collect();
        let same = rest.iter().all(|r| *r == rest[0]);
        let product = || var * factor as usize;
        match rest[0] {
            r if !same || r.unsigned_abs() > 4096 => None,
            r if r >= 0 => Some(product() + r as usize),
            r => Some(product() - r.unsigned_abs() as usize),
        }
    })
}
