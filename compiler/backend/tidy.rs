//! Makes a function read well in any language: no names that nothing uses, and the same names in
//! scopes that don't overlap.

use std::collections::BTreeSet;

use crate::loop_ir::{Expr, Function, Place, Stmt};

/// The function with names that are unique in their scopes only, without values that nothing
/// uses, and what it still uses.
pub fn tidy(function: &Function) -> (Function, Used) {
    let mut function = function.clone();
    let mut used = Used::default();
    used.block(&mut function.body);
    let mut names = function.names.clone();
    let mut scope: Vec<String> = function.params.iter().map(|param| param.name.clone()).collect();
    scope.extend(function.scalars.iter().map(|var| names[var.id].clone()));
    rename(&function.body, &function.names, &mut names, &mut scope);
    function.names = names;
    (function, used)
}

/// Names the values of a block; `scope` holds the names around it.
fn rename(body: &[Stmt], old: &[String], names: &mut [String], scope: &mut Vec<String>) {
    let outside = scope.len();
    for stmt in body {
        match stmt {
            Stmt::Let(var, _) | Stmt::Accumulator(var, _) | Stmt::View { var, .. } => {
                names[var.id] = declare(&old[var.id], old, scope);
            }
            Stmt::Update(..) | Stmt::Store { .. } | Stmt::Assembly(_) => {}
            Stmt::For { var, body, .. } => {
                names[var.id] = declare(&old[var.id], old, scope);
                rename(body, old, names, scope);
                scope.pop();
            }
        }
    }
    scope.truncate(outside);
}

/// The name for what was called `name`, without the number that made it unique if it is so
/// without.
fn declare(name: &str, old: &[String], scope: &mut Vec<String>) -> String {
    let base = match name.rsplit_once('_') {
        Some((base, number)) if number.parse::<u32>().is_ok() && old.iter().any(|o| o == base) => {
            base
        }
        _ => name,
    };
    let numbered = (2..).map(|number| format!("{base}_{number}"));
    let mut candidates = std::iter::once(base.to_string()).chain(numbered);
    let free = candidates.find(|name| !scope.contains(name)).expect("endless");
    scope.push(free.clone());
    free
}

/// What a function's body reads or writes.
#[derive(Default)]
pub struct Used {
    /// Values, by [`Var::id`](crate::loop_ir::Var::id).
    pub vars: BTreeSet<usize>,
    /// Parameters, by position.
    pub params: BTreeSet<usize>,
}

impl Used {
    fn place(&mut self, place: Place) {
        match place {
            Place::Param(index) => self.params.insert(index),
            Place::View(var) => self.vars.insert(var.id),
        };
    }

    fn expr(&mut self, expr: &Expr) {
        match expr {
            Expr::Int(_) | Expr::Index(_) | Expr::Real(_) => {}
            Expr::Var(var) => {
                self.vars.insert(var.id);
            }
            Expr::Load(place, at) => {
                self.place(*place);
                self.expr(at);
            }
            Expr::Binary(_, a, b) => {
                self.expr(a);
                self.expr(b);
            }
            Expr::Call(_, args) => args.iter().for_each(|arg| self.expr(arg)),
            Expr::ToInt(value) | Expr::ToIndex(value) => self.expr(value),
        }
    }

    /// Notes what a block uses, last statement first, and drops names that nothing uses.
    fn block(&mut self, body: &mut Vec<Stmt>) {
        for i in (0..body.len()).rev() {
            let kept = match &mut body[i] {
                Stmt::Let(var, value)
                | Stmt::Accumulator(var, value)
                | Stmt::Update(var, _, value) => {
                    let kept = self.vars.contains(&var.id);
                    if kept {
                        self.expr(value);
                    }
                    kept
                }
                Stmt::View { var, of, at, len } => {
                    let kept = self.vars.contains(&var.id);
                    if kept {
                        self.place(*of);
                        self.expr(at);
                        self.expr(len);
                    }
                    kept
                }
                Stmt::Store { to, at, value } => {
                    self.place(*to);
                    self.expr(at);
                    self.expr(value);
                    true
                }
                Stmt::Assembly(_) => true,
                Stmt::For { from, to, body, .. } => {
                    self.block(body);
                    let kept = !body.is_empty();
                    if kept {
                        self.expr(from);
                        self.expr(to);
                    }
                    kept
                }
            };
            if !kept {
                body.remove(i);
            }
        }
    }
}
