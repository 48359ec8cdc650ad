//! A function of the loop IR as a Rust function.

use std::collections::{BTreeSet, HashMap};

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{format_ident, quote};

use crate::backend::runtime;
use crate::backend::tidy::{tidy, Used};
use crate::loop_ir::{
    Access, Binary, Expr, Function, Intrinsic, Param, Place, Stmt, Ty, Update, Var,
};
use crate::ops::DType;

/// A function, and the functions of `tflc-rt` that it calls, which are added to `runtime`.
pub fn print(
    function: &Function,
    doc: &[String],
    runtime: &mut BTreeSet<&'static str>,
) -> TokenStream {
    let (function, used) = &tidy(function);
    let mut printer = Printer {
        function,
        names: function.names.iter().map(|name| ident(name)).collect(),
        used,
        counters: HashMap::new(),
        views: HashMap::new(),
        runtime,
        range_loop: false,
        copy_loop: false,
    };
    let body = printer.block(&function.body);
    let params = function.params.iter().enumerate().map(|(index, param)| {
        let name = if printer.used.params.contains(&index) {
            ident(&param.name)
        } else {
            format_ident!("_{}", param.name)
        };
        let ty = printer.element_type(index);
        let ty = match param.len.map(Literal::usize_unsuffixed) {
            Some(len) => quote!([#ty; #len]),
            None => quote!([#ty]),
        };
        match param.access {
            Access::Write => quote!(#name: &mut #ty),
            Access::Read | Access::Constant => quote!(#name: &#ty),
        }
    });
    let scalars = function.scalars.iter().map(|var| {
        let (name, ty) = (&printer.names[var.id], scalar_type(var.ty));
        quote!(#name: #ty)
    });
    let params = quote!(#(#params),* #(, #scalars)*);
    let mut allowed = Vec::new();
    if printer.copy_loop {
        allowed.push(quote!(clippy::manual_memcpy));
    }
    if printer.range_loop {
        allowed.push(quote!(clippy::needless_range_loop));
    }
    if function.params.len() + function.scalars.len() > 7 {
        allowed.push(quote!(clippy::too_many_arguments));
    }
    let allow = (!allowed.is_empty()).then(|| quote!(#[allow(#(#allowed),*)]));
    let name = ident(&function.name);
    let doc =
        doc.iter().map(|line| if line.is_empty() { String::new() } else { format!(" {line}") });
    quote! {
        #(#[doc = #doc])*
        #[inline(never)]
        #allow
        fn #name(#params) {
            #body
        }
    }
}

/// The type of a named value.
fn scalar_type(ty: Ty) -> TokenStream {
    match ty {
        Ty::Int => quote!(i32),
        Ty::Index => quote!(usize),
        Ty::Real => quote!(f32),
        Ty::View => unreachable!("views are no scalars"),
    }
}

/// A name that is no keyword and hides no function.
pub fn ident(name: &str) -> Ident {
    if runtime::is_function(name) || syn::parse_str::<Ident>(name).is_err() {
        format_ident!("{}_", name)
    } else {
        Ident::new(name, Span::call_site())
    }
}

/// An element type in Rust.
pub fn rust_type(dtype: DType) -> TokenStream {
    let name = Ident::new(dtype.name(), Span::call_site());
    quote!(#name)
}

/// How tightly an expression binds, loosest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Binding {
    Shift,
    Sum,
    Product,
    Cast,
    Sign,
    Atom,
}

/// Tokens of an expression, and how tightly they bind.
struct Spelled(Binding, TokenStream);

impl Spelled {
    /// The tokens, in parentheses if they bind less than `binding`.
    fn at_least(self, binding: Binding) -> TokenStream {
        let Spelled(own, tokens) = self;
        if own < binding {
            quote!((#tokens))
        } else {
            tokens
        }
    }

    fn any(self) -> TokenStream {
        self.1
    }
}

/// What is known of a view.
#[derive(Clone)]
struct View {
    /// The parameter that it is a part of.
    param: usize,
    /// The name of the slice that it is accessed through.
    slice: Ident,
    /// Its length.
    len: Expr,
    /// The tokens of its first element's position in the parameter, if it isn't a slice of its own:
    /// a view of a parameter that is written to while it is in use.
    first: Option<TokenStream>,
}

struct Printer<'a> {
    function: &'a Function,
    names: Vec<Ident>,
    used: &'a Used,
    /// The ends of the open loops, by counter.
    counters: HashMap<usize, Expr>,
    views: HashMap<usize, View>,
    runtime: &'a mut BTreeSet<&'static str>,
    /// Whether a loop's counter is an index of a slice.
    range_loop: bool,
    /// Whether a loop does nothing but copy.
    copy_loop: bool,
}

impl Printer<'_> {
    fn block(&mut self, body: &[Stmt]) -> TokenStream {
        let stmts: Vec<TokenStream> =
            (0..body.len()).map(|i| self.stmt(&body[i], &body[i + 1..])).collect();
        quote!(#(#stmts)*)
    }

    /// A statement; `rest` follows it in its block.
    fn stmt(&mut self, stmt: &Stmt, rest: &[Stmt]) -> TokenStream {
        match stmt {
            Stmt::Let(var, value) => {
                let (name, value) = (self.name(*var), self.expr(value).any());
                quote!(let #name = #value;)
            }
            Stmt::Accumulator(var, start) => {
                let name = self.name(*var);
                let bare =
                    matches!(start, Expr::Int(value) if !matches!(*value, i32::MIN | i32::MAX));
                let ty = bare.then(|| quote!(: i32));
                let mutable = updates(rest, *var).then(|| quote!(mut));
                let start = self.expr(start).any();
                quote!(let #mutable #name #ty = #start;)
            }
            Stmt::Update(var, update, value) => {
                let (name, value) = (self.name(*var), self.expr(value));
                let value = value.any();
                match update {
                    Update::Add => quote!(#name += #value;),
                    Update::WrappingAdd => quote!(#name = #name.wrapping_add(#value);),
                    Update::Max => quote!(#name = #name.max(#value);),
                }
            }
            Stmt::View { var, of, at, len } => self.view(*var, *of, at, len, rest),
            Stmt::Store { to, at, value } => self.store(*to, at, value),
            Stmt::Assembly(_) => unreachable!("printed as text"),
            Stmt::For { var, from, to, body } => match self.movement(*var, from, to, body) {
                Some(call) => call,
                None => self.repeat(*var, from, to, body),
            },
        }
    }

    fn view(&mut self, var: Var, of: Place, at: &Expr, len: &Expr, rest: &[Stmt]) -> TokenStream {
        let outer = self.place(of);
        let param = outer.param;
        if outer.first.is_none() && *at == Expr::Index(0) && *len == outer.len {
            // All of it: another name for the same.
            self.views.insert(var.id, outer);
            return TokenStream::new();
        }
        let (name, position) = (self.name(var), self.position(&outer, at));
        if stores_to(rest, param, &self.views) || outer.first.is_some() {
            let (slice, first) = (outer.slice, Some(quote!(#name)));
            self.views.insert(var.id, View { param, slice, len: len.clone(), first });
            let position = position.any();
            return quote!(let #name = #position;);
        }
        let (of, position) = (outer.slice, position.any());
        let view = View { param, slice: name.clone(), len: len.clone(), first: None };
        self.views.insert(var.id, view);
        match len {
            Expr::Index(len) => {
                self.runtime.insert("window");
                let window = super::window_of(*len);
                quote!(let Some(#name) = #window(#of, #position) else { return };)
            }
            len => {
                self.runtime.insert("slice");
                let len = self.expr(len).any();
                quote!(let Some(#name) = slice(#of, #position, #len) else { return };)
            }
        }
    }

    fn store(&mut self, to: Place, at: &Expr, value: &Expr) -> TokenStream {
        let place = self.place(to);
        let stored = self.stored(value, self.dtype(to));
        let of = place.slice.clone();
        if self.in_bounds(&place, at) {
            self.range_loop |= matches!(at, Expr::Var(_));
            let at = self.expr(at).any();
            quote!(#of[#at] = #stored;)
        } else {
            self.runtime.insert("set");
            let reads = [at, value].map(|expr| self.reads(expr, place.param));
            let at = self.position(&place, at).any();
            match reads {
                [false, false] => quote!(set(#of, #at, #stored);),
                // The buffer can't be read once it is lent to `set`.
                [false, true] => {
                    let value = self.unused_name("value");
                    quote!(let #value = #stored; set(#of, #at, #value);)
                }
                [true, _] => {
                    let [at_name, value] = ["at", "value"].map(|name| self.unused_name(name));
                    quote!(let (#at_name, #value) = (#at, #stored); set(#of, #at_name, #value);)
                }
            }
        }
    }

    /// Whether an expression loads from a parameter.
    fn reads(&self, expr: &Expr, param: usize) -> bool {
        match expr {
            Expr::Int(_) | Expr::Index(_) | Expr::Real(_) | Expr::Var(_) => false,
            Expr::Load(of, at) => self.place(*of).param == param || self.reads(at, param),
            Expr::Binary(_, a, b) => self.reads(a, param) || self.reads(b, param),
            Expr::Call(_, args) => args.iter().any(|arg| self.reads(arg, param)),
            Expr::ToInt(value) | Expr::ToIndex(value) => self.reads(value, param),
        }
    }

    /// A name that the function has nothing of.
    fn unused_name(&self, name: &str) -> Ident {
        let params = self.function.params.iter().map(|param| &param.name);
        let taken: Vec<&String> = self.function.names.iter().chain(params).collect();
        let mut names =
            std::iter::once(name.to_string()).chain((2..).map(|n| format!("{name}_{n}")));
        ident(&names.find(|name| !taken.contains(&name)).expect("endless"))
    }

    /// A loop that moves a run of a parameter's elements to its front, as a call of the runtime: the
    /// bounds of the run are checked instead of each element's.
    fn movement(&mut self, var: Var, from: &Expr, to: &Expr, body: &[Stmt]) -> Option<TokenStream> {
        let [Stmt::Store { to: place @ Place::Param(_), at, value: Expr::Load(source, source_at) }] =
            body
        else {
            return None;
        };
        let counter = Expr::Var(var);
        let first = match &**source_at {
            Expr::Binary(Binary::Add, a, b) if **a == counter && **b != counter => b,
            _ => return None,
        };
        let is_number = matches!(**first, Expr::Index(_) | Expr::Var(_));
        if *from != Expr::Index(0) || *at != counter || source != place || !is_number {
            return None;
        }
        self.runtime.insert("move_to_front");
        let of = self.place(*place).slice;
        let (first, len) = (self.expr(first).any(), self.expr(to).any());
        Some(quote!(move_to_front(#of, #first, #len);))
    }

    fn repeat(&mut self, var: Var, from: &Expr, to: &Expr, body: &[Stmt]) -> TokenStream {
        if let [Stmt::Store { value: Expr::Load(..), .. }] = body {
            self.copy_loop = true;
        }
        let counter =
            if self.used.vars.contains(&var.id) { self.name(var) } else { format_ident!("_") };
        let suffix = is_literal(from) && is_literal(to) && has_index_method(body);
        let (from, to_tokens) = (
            self.expr(from).at_least(Binding::Sum),
            match to {
                Expr::Index(end) if suffix => {
                    let end = Literal::usize_suffixed(*end);
                    quote!(#end)
                }
                to => self.expr(to).at_least(Binding::Sum),
            },
        );
        self.counters.insert(var.id, to.clone());
        let body = self.block(body);
        self.counters.remove(&var.id);
        quote!(for #counter in #from..#to_tokens { #body })
    }

    fn name(&self, var: Var) -> Ident {
        self.names[var.id].clone()
    }

    fn place(&self, place: Place) -> View {
        match place {
            Place::Param(param) => {
                let Param { name, len, .. } = &self.function.params[param];
                // Of a slice nothing is known to the Rust compiler.
                let len = len.unwrap_or(0).into();
                View { param, slice: ident(name), len, first: None }
            }
            Place::View(var) => self.views[&var.id].clone(),
        }
    }

    /// Where element `at` of `place` is in what it is accessed through.
    fn position(&mut self, place: &View, at: &Expr) -> Spelled {
        match (&place.first, at) {
            (None, at) => self.expr(at),
            (Some(first), Expr::Index(0)) => Spelled(Binding::Atom, first.clone()),
            (Some(first), at) => {
                let at = self.expr(at).at_least(Binding::Product);
                Spelled(Binding::Sum, quote!(#first + #at))
            }
        }
    }

    /// Whether the Rust compiler sees by itself that element `at` exists: its index then needs no
    /// check, and none is left in the machine code.
    fn in_bounds(&self, place: &View, at: &Expr) -> bool {
        if place.first.is_some() {
            return false;
        }
        match (at, &place.len) {
            (Expr::Index(at), Expr::Index(len)) => at < len,
            (Expr::Var(var), len) => match (self.counters.get(&var.id), len) {
                (Some(Expr::Index(end)), Expr::Index(len)) => end <= len,
                (Some(end), len) => end == len,
                (None, _) => false,
            },
            _ => false,
        }
    }

    /// An element as it stands in memory.
    fn element(&mut self, of: Place, at: &Expr) -> TokenStream {
        let place = self.place(of);
        let name = place.slice.clone();
        if self.in_bounds(&place, at) {
            self.range_loop |= matches!(at, Expr::Var(_));
            let at = self.expr(at).any();
            quote!(#name[#at])
        } else {
            self.runtime.insert("get");
            let at = self.position(&place, at).any();
            quote!(get(#name, #at))
        }
    }

    fn dtype(&self, place: Place) -> DType {
        self.function.params[self.place(place).param].dtype
    }

    fn element_type(&self, param: usize) -> TokenStream {
        if self.is_byte_string(param) {
            quote!(u8)
        } else {
            rust_type(self.function.params[param].dtype)
        }
    }

    /// Whether a parameter's int8 elements come as the bytes of a string.
    fn is_byte_string(&self, param: usize) -> bool {
        let param = &self.function.params[param];
        param.access == Access::Constant && param.dtype == DType::I8
    }

    /// A value cut to the type of what it is stored in.
    fn stored(&mut self, value: &Expr, dtype: DType) -> TokenStream {
        match value {
            Expr::Load(of, at) if self.dtype(*of) == dtype => {
                let cast = self.is_byte_string(self.place(*of).param).then(|| quote!(as i8));
                let element = self.element(*of, at);
                quote!(#element #cast)
            }
            Expr::Int(value) if !matches!(dtype, DType::Bool) => int(*value).any(),
            value if matches!(dtype, DType::Bool) => {
                let value = self.expr(value).at_least(Binding::Sum);
                quote!(#value != 0)
            }
            value if matches!(dtype, DType::I32 | DType::F32) => self.expr(value).any(),
            value => {
                let (value, ty) = (self.expr(value).at_least(Binding::Cast), rust_type(dtype));
                quote!(#value as #ty)
            }
        }
    }

    fn expr(&mut self, expr: &Expr) -> Spelled {
        match expr {
            Expr::Int(value) => int(*value),
            Expr::Index(value) => {
                let value = Literal::usize_unsuffixed(*value);
                Spelled(Binding::Atom, quote!(#value))
            }
            Expr::Real(value) => real(*value),
            Expr::Var(var) => {
                let name = self.name(*var);
                Spelled(Binding::Atom, quote!(#name))
            }
            Expr::Load(of, at) => {
                let param = self.place(*of).param;
                let element = self.element(*of, at);
                match self.function.params[param].dtype {
                    DType::I32 | DType::F32 => Spelled(Binding::Atom, element),
                    _ if self.is_byte_string(param) => {
                        Spelled(Binding::Cast, quote!(#element as i8 as i32))
                    }
                    _ => Spelled(Binding::Cast, quote!(#element as i32)),
                }
            }
            Expr::Binary(op, a, b) => self.binary(*op, a, b),
            Expr::Call(intrinsic, args) => self.call(*intrinsic, args),
            Expr::ToInt(value) => {
                let value = self.expr(value).at_least(Binding::Cast);
                Spelled(Binding::Cast, quote!(#value as i32))
            }
            Expr::ToIndex(value) => {
                let value = self.expr(value).at_least(Binding::Cast);
                Spelled(Binding::Cast, quote!(#value as usize))
            }
        }
    }

    fn binary(&mut self, op: Binary, a: &Expr, b: &Expr) -> Spelled {
        use Binding::{Cast, Product, Shift, Sign, Sum};
        match (op, a, b) {
            (Binary::Add, a, Expr::Int(b @ i32::MIN..=-1)) if *b != i32::MIN => {
                self.operator(Sum, quote!(-), a, &Expr::Int(-b))
            }
            (Binary::Sub, a, Expr::Int(b @ i32::MIN..=-1)) if *b != i32::MIN => {
                self.operator(Sum, quote!(+), a, &Expr::Int(-b))
            }
            // A part of a sum of indices is no more than the sum: the order doesn't matter.
            (Binary::Add, a, Expr::Binary(Binary::Add, b, c)) if a.ty() == Ty::Index => {
                let first = Expr::Binary(Binary::Add, Box::new(a.clone()), b.clone());
                self.binary(Binary::Add, &first, c)
            }
            (Binary::Add, a, Expr::Binary(Binary::Sub, b, c)) if a.ty() == Ty::Index => {
                let first = Expr::Binary(Binary::Add, Box::new(a.clone()), b.clone());
                self.binary(Binary::Sub, &first, c)
            }
            (Binary::Add, ..) => self.operator(Sum, quote!(+), a, b),
            (Binary::Sub, ..) => self.operator(Sum, quote!(-), a, b),
            (Binary::Mul, ..) => self.operator(Product, quote!(*), a, b),
            (Binary::Div, ..) => self.operator(Product, quote!(/), a, b),
            (Binary::ShiftLeft, ..) => {
                // A shift is always in parentheses within another operator, and a cast within it.
                let a = match self.expr(a) {
                    Spelled(Cast, tokens) => quote!((#tokens)),
                    spelled => spelled.at_least(Sign),
                };
                let b = self.expr(b).at_least(Sign);
                Spelled(Shift, quote!(#a << #b))
            }
            (Binary::WrappingAdd, ..) => self.method("wrapping_add", a, b, true),
            (Binary::SaturatingSub, ..) => self.method("saturating_sub", a, b, false),
            (Binary::Min, Expr::Binary(Binary::Max, x, low), high) if is_clamp(x, low, high) => {
                self.clamp(x, low, high)
            }
            (Binary::Max, Expr::Binary(Binary::Min, x, high), low) if is_clamp(x, low, high) => {
                self.clamp(x, low, high)
            }
            (Binary::Min, ..) => self.method("min", a, b, true),
            (Binary::Max, ..) => self.method("max", a, b, true),
        }
    }

    fn clamp(&mut self, x: &Expr, low: &Expr, high: &Expr) -> Spelled {
        let x = self.expr(x).at_least(Binding::Atom);
        let (low, high) = (self.expr(low).any(), self.expr(high).any());
        Spelled(Binding::Atom, quote!(#x.clamp(#low, #high)))
    }

    /// An operator that groups to the left.
    fn operator(&mut self, binding: Binding, operator: TokenStream, a: &Expr, b: &Expr) -> Spelled {
        let tighter = if binding == Binding::Sum { Binding::Product } else { Binding::Cast };
        let (a, b) = (self.expr(a).at_least(binding), self.expr(b).at_least(tighter));
        Spelled(binding, quote!(#a #operator #b))
    }

    /// A method call; a literal isn't asked for its method, since it may be of any type.
    fn method(&mut self, name: &str, a: &Expr, b: &Expr, commutes: bool) -> Spelled {
        let (a, b) = if commutes && is_literal(a) && !is_literal(b) { (b, a) } else { (a, b) };
        let name = Ident::new(name, Span::call_site());
        let receiver = match a {
            Expr::Int(value) if *value >= 0 => {
                let value = Literal::i32_suffixed(*value);
                quote!(#value)
            }
            Expr::Int(value) if *value != i32::MIN => {
                let value = Literal::i32_suffixed(-value);
                quote!((-#value))
            }
            Expr::Index(value) => {
                let value = Literal::usize_suffixed(*value);
                quote!(#value)
            }
            a => self.expr(a).at_least(Binding::Atom),
        };
        let b = self.expr(b).any();
        Spelled(Binding::Atom, quote!(#receiver.#name(#b)))
    }

    fn call(&mut self, intrinsic: Intrinsic, args: &[Expr]) -> Spelled {
        self.runtime.insert(intrinsic.name());
        let name = Ident::new(intrinsic.name(), Span::call_site());
        let unsigned = match intrinsic {
            Intrinsic::RoundingShiftRight => Some(1),
            Intrinsic::RequantizeDown | Intrinsic::RequantizeDownByHalves => Some(2),
            _ => None,
        };
        let args: Vec<TokenStream> = (args.iter().enumerate())
            .map(|(i, arg)| match arg {
                arg if unsigned != Some(i) || is_literal(arg) => self.expr(arg).any(),
                Expr::Load(of, at) if self.dtype(*of) == DType::U8 => {
                    let element = self.element(*of, at);
                    quote!(#element as u32)
                }
                arg => {
                    let arg = self.expr(arg).at_least(Binding::Cast);
                    quote!(#arg as u32)
                }
            })
            .collect();
        let call = quote!(#name(#(#args),*));
        match intrinsic {
            Intrinsic::LeadingZeros => Spelled(Binding::Cast, quote!(#call as i32)),
            _ => Spelled(Binding::Atom, call),
        }
    }
}

/// An integer's literal.
fn int(value: i32) -> Spelled {
    match value {
        i32::MIN => Spelled(Binding::Atom, quote!(i32::MIN)),
        i32::MAX => Spelled(Binding::Atom, quote!(i32::MAX)),
        value => {
            let magnitude = Literal::u32_unsuffixed(value.unsigned_abs());
            match value < 0 {
                true => Spelled(Binding::Sign, quote!(-#magnitude)),
                false => Spelled(Binding::Atom, quote!(#magnitude)),
            }
        }
    }
}

/// The shortest literal that is read back as the same number.
fn real(value: f32) -> Spelled {
    let tokens = real_text(value).parse().expect("a number or a path");
    Spelled(if value.is_sign_negative() { Binding::Sign } else { Binding::Atom }, tokens)
}

/// The shortest text that Rust reads as the same number.
pub fn real_text(value: f32) -> String {
    if value.is_nan() {
        "f32::NAN".into()
    } else if value.is_infinite() {
        if value < 0.0 {
            "f32::NEG_INFINITY".into()
        } else {
            "f32::INFINITY".into()
        }
    } else {
        format!("{value:?}")
    }
}

fn is_literal(expr: &Expr) -> bool {
    matches!(expr, Expr::Int(_) | Expr::Index(_) | Expr::Real(_))
}

/// Whether `x` is held between two constants, the lower one first: `clamp` then can't panic.
fn is_clamp(x: &Expr, low: &Expr, high: &Expr) -> bool {
    match (low, high) {
        (Expr::Int(low), Expr::Int(high)) => low <= high && !is_literal(x),
        (Expr::Index(low), Expr::Index(high)) => low <= high && !is_literal(x),
        _ => false,
    }
}

/// Whether any of the statements, or of those within them, is such.
fn any(body: &[Stmt], is: &mut dyn FnMut(&Stmt) -> bool) -> bool {
    body.iter().any(|stmt| is(stmt) || matches!(stmt, Stmt::For { body, .. } if any(body, is)))
}

/// Whether the statements update an accumulator.
fn updates(body: &[Stmt], accumulator: Var) -> bool {
    any(body, &mut |stmt| matches!(stmt, Stmt::Update(var, ..) if *var == accumulator))
}

/// Whether the statements store to a parameter.
fn stores_to(body: &[Stmt], param: usize, views: &HashMap<usize, View>) -> bool {
    any(body, &mut |stmt| match stmt {
        Stmt::Store { to: Place::Param(index), .. } => *index == param,
        Stmt::Store { to: Place::View(var), .. } => {
            views.get(&var.id).is_none_or(|view| view.param == param)
        }
        _ => false,
    })
}

/// Whether the statements call a method of an index, whose type must then be known.
fn has_index_method(body: &[Stmt]) -> bool {
    fn within(expr: &Expr) -> bool {
        match expr {
            Expr::Int(_) | Expr::Index(_) | Expr::Real(_) | Expr::Var(_) => false,
            Expr::Binary(op, a, b) => {
                let method = matches!(op, Binary::Min | Binary::Max | Binary::SaturatingSub);
                (method && a.ty() == Ty::Index) || within(a) || within(b)
            }
            Expr::Call(_, args) => args.iter().any(within),
            Expr::Load(_, value) | Expr::ToInt(value) | Expr::ToIndex(value) => within(value),
        }
    }
    any(body, &mut |stmt| match stmt {
        Stmt::Let(_, value) | Stmt::Accumulator(_, value) | Stmt::Update(_, _, value) => {
            within(value)
        }
        Stmt::View { at, len, .. } => within(at) || within(len),
        Stmt::Store { at, value, .. } => within(at) || within(value),
        Stmt::Assembly(_) => false,
        Stmt::For { from, to, .. } => within(from) || within(to),
    })
}
