//! The public part of a generated file: `Model`, and the constants that describe its inputs and
//! outputs.

use std::collections::{BTreeMap, BTreeSet};

use proc_macro2::{Ident, Literal, TokenStream};
use quote::{format_ident, quote, ToTokens};

use super::function::{ident, real_text, rust_type};
use super::{constants, Comments};
use crate::backend::describe::{self, border_name, border_words};
use crate::backend::{placement, Arena, Section};
use crate::loop_ir::{Access, Arg, Border, Call, Expr, Function, Memory, Program, Region};
use crate::ops::DType;
use crate::text;

/// The constants of an input or output, as text.
pub fn border_constants(program: &Program) -> String {
    let mut out = String::new();
    for (what, borders) in [("input", &program.inputs), ("output", &program.outputs)] {
        for (index, border) in borders.iter().enumerate() {
            let name = border_name(what, index, borders.len());
            out.push_str(&border_constant(
                &name,
                &border_words(what, index, borders.len()),
                border,
            ));
            out.push('\n');
        }
    }
    out
}

fn border_constant(name: &str, words: &str, border: &Border) -> String {
    let upper = name.to_uppercase();
    let (len, shape) = (border.region.len, &border.shape);
    let mut out = format!(
        "/// Elements of {words}, {}.\n#[allow(dead_code)]\npub const {upper}_LEN: usize = {len};\n\
         /// Dimensions of {words}, outermost first.\n#[allow(dead_code)]\n\
         pub const {upper}_SHAPE: [usize; {}] = {shape:?};\n",
        text::code(&border.name),
        shape.len()
    );
    if let Some((scale, zero_point)) = border.quantization {
        out += &format!(
            "/// The code `q` of {words} stands for `{upper}_SCALE * (q - {upper}_ZERO_POINT)`.\n\
             #[allow(dead_code)]\npub const {upper}_SCALE: f32 = {};\n\
             /// The code of {words} that stands for zero.\n\
             #[allow(dead_code)]\npub const {upper}_ZERO_POINT: i32 = {zero_point};\n",
            real_text(scale)
        );
    }
    out
}

/// The length of the arena that is handed in.
pub fn arena_constant(program: &Program) -> String {
    let (align, word) = (placement::arena_align(program), arena_word(program));
    format!(
        "/// Elements of the arena that the model needs, each a `{word}`.\n#[allow(dead_code)]\n\
         pub const ARENA_LEN: usize = core::mem::size_of::<Memory>() / {align};\n"
    )
}

/// The type of an arena's elements, which are aligned like the widest of the model's.
fn arena_word(program: &Program) -> Ident {
    format_ident!("u{}", 8 * placement::arena_align(program))
}

/// The macro that puts what the user declares into a section.
pub fn section_macro(section: &Section, arena: Arena) -> String {
    let what = match arena {
        Arena::Own => "model",
        Arena::Shared => "arena",
    };
    format!(
        "/// Puts the static that holds the {what} into the section `{section}`:\n\
         /// `arena_section! {{ static NAME: … = …; }}`.\n\
         #[allow(unused_macros)]\n\
         macro_rules! arena_section {{\n    \
             ($static:item) => {{\n        \
                 #[unsafe(link_section = \"{section}\")]\n        \
                 $static\n    \
             }};\n\
         }}\n\
         #[allow(unused_imports)]\n\
         pub(crate) use arena_section;\n"
    )
}

/// The struct that holds all memory; or the one that borrows it, and the one that is borrowed.
pub fn structures(program: &Program, arena: Arena) -> Vec<TokenStream> {
    let fields = program.memories.iter().enumerate().map(|(index, memory)| {
        let (name, ty) = (field(&program.memories, index), memory_type(*memory));
        let doc = format!(" Tensors of `{}`.", memory.dtype);
        quote!(#[doc = #doc] #name: #ty)
    });
    let input = border_name("input", 0, program.inputs.len());
    let output = border_name("output", 0, program.outputs.len());
    let uses = match program.inputs.len() {
        0 => format!("call [`run`](Model::run), read [`{output}`](Model::{output})"),
        _ => format!(
            "write [`{input}_mut`](Model::{input}_mut), call [`run`](Model::run), read \
             [`{output}`](Model::{output})"
        ),
    };
    let memory = match arena {
        Arena::Own => {
            "The model with all the memory that it needs besides the stack, to be put in a `static` \
             or wherever there is room"
        }
        Arena::Shared => {
            "The model, in an arena that it borrows: all the memory that it needs besides the stack"
        }
    };
    let words = format!("{memory}. To use it, {uses}.");
    let doc = text::wrap(&words, 96).into_iter().map(|line| format!(" {line}"));
    let doc = quote!(#(#[doc = #doc])*);
    if arena == Arena::Own {
        return vec![quote! {
            #doc
            pub struct Model {
                #(#fields,)*
            }
        }];
    }
    let align = Literal::usize_unsuffixed(placement::arena_align(program));
    let model = quote! {
        #doc
        pub struct Model<'a> {
            memory: &'a mut Memory,
        }
    };
    let memory = quote! {
        /// What lies in the arena.
        #[repr(C, align(#align))]
        struct Memory {
            #(#fields,)*
        }
    };
    vec![model, memory]
}

/// The methods of the struct.
pub fn methods(
    program: &Program,
    arena: Arena,
    comments: &mut Comments,
    runtime: &mut BTreeSet<&'static str>,
) -> TokenStream {
    let blank = comments.blank();
    let new = match arena {
        Arena::Own => new(program),
        Arena::Shared => borrow(program, comments),
    };
    let of = match arena {
        Arena::Own => quote!(Model),
        Arena::Shared => quote!(<'a> Model<'a>),
    };
    let mut borders = Borders { program, arena, runtime };
    let inputs: Vec<TokenStream> = (program.inputs.iter().enumerate())
        .map(|(index, border)| borders.input(index, border))
        .collect();
    let outputs: Vec<TokenStream> = (program.outputs.iter().enumerate())
        .map(|(index, border)| borders.output(index, border))
        .collect();
    let mut calls: Vec<TokenStream> = Vec::new();
    for rounds in program.all_rounds() {
        let comment = (rounds.count > 1).then(|| comments.line(&describe::rounds(rounds.count)));
        let mut round: Vec<TokenStream> = Vec::new();
        let mut moves = false;
        for index in rounds.first..rounds.first + rounds.calls {
            let call = &program.calls[index];
            let last = &program.calls[rounds.last(index)];
            let what = describe::repeated(&call.layer, &last.layer);
            let mut comment = comments.line(&text::plain(&what));
            if program.functions[call.function].assembly().is_some() {
                let why = "SAFETY: tflc has run the routine: it stays within these buffers, \
                    whatever they hold.";
                comment.extend(comments.line(why));
            }
            let between = (!round.is_empty()).then_some(&blank);
            let steps = program.steps(&rounds, index);
            moves |= steps.iter().any(|&step| step != 0);
            let call = layer(program, arena, call, &steps, runtime);
            round.push(quote!(#between #comment #call));
        }
        let between = (!calls.is_empty()).then_some(&blank);
        calls.push(match rounds.count {
            1 => quote!(#between #(#round)*),
            count => {
                let count = Literal::usize_unsuffixed(count);
                let counter = if moves { format_ident!("{ROUND}") } else { format_ident!("_") };
                quote!(#between #comment for #counter in 0..#count { #(#round)* })
            }
        });
    }
    let run_doc =
        " Computes the outputs from the inputs, whose memory it may use for other tensors.";
    quote! {
        #[allow(dead_code)]
        impl #of {
            #new
            #(#blank #inputs)*
            #blank
            #[doc = #run_doc]
            pub fn run(&mut self) {
                #(#calls)*
            }
            #(#blank #outputs)*
        }
    }
}

/// The function that makes a model with memory of its own.
fn new(program: &Program) -> TokenStream {
    let fields = program.memories.iter().enumerate().map(|(index, memory)| {
        let name = field(&program.memories, index);
        let len = Literal::usize_unsuffixed(memory.len);
        let zero = match memory.dtype {
            DType::Bool => quote!(false),
            DType::F32 => quote!(0.0),
            _ => quote!(0),
        };
        match is_aligned(*memory) {
            true => quote!(#name: Aligned([#zero; #len])),
            false => quote!(#name: [#zero; #len]),
        }
    });
    quote! {
        /// A model that is ready to run.
        pub const fn new() -> Self {
            Model { #(#fields),* }
        }
    }
}

/// The function that makes a model with memory that is handed in.
fn borrow(program: &Program, comments: &mut Comments) -> TokenStream {
    let word = arena_word(program);
    // What others leave in the arena are no truth values.
    let has_bools = program.memories.iter().any(|memory| memory.dtype == DType::Bool);
    let clear = has_bools.then(|| quote!(arena.fill(0);));
    let why = comments.line(
        "SAFETY: the arena is large enough, aligned like its widest element, and borrowed for as \
         long as the model lives; any bytes are elements.",
    );
    quote! {
        /// A model that is ready to run. What is in the arena doesn't matter, and when the model is
        /// gone, others may use it. With an arena shorter than `ARENA_LEN`, this doesn't compile.
        pub fn new<const N: usize>(arena: &'a mut [#word; N]) -> Self {
            const { assert!(N >= ARENA_LEN, "the arena is shorter than ARENA_LEN") };
            #clear
            #why
            let memory = unsafe { &mut *arena.as_mut_ptr().cast::<Memory>() };
            Model { memory }
        }
    }
}

struct Borders<'a> {
    program: &'a Program,
    arena: Arena,
    runtime: &'a mut BTreeSet<&'static str>,
}

impl Borders<'_> {
    fn input(&mut self, index: usize, border: &Border) -> TokenStream {
        let name = border_name("input", index, self.program.inputs.len());
        let (len, method) =
            (format_ident!("{}_LEN", name.to_uppercase()), format_ident!("{name}_mut"));
        let words = border_words("input", index, self.program.inputs.len());
        let doc = format!(" Memory of {words}, to be written before each run.");
        let Region { memory, offset, .. } = border.region;
        let ty = rust_type(self.program.memories[memory].dtype);
        let whole = whole_memory(self.program, self.arena, memory);
        let body = if is_whole(self.program, border.region) {
            quote!(&mut #whole)
        } else {
            self.runtime.insert("carve");
            let offset = Literal::usize_unsuffixed(offset);
            quote! {
                let Some((_, input, _)) = carve(&mut #whole, #offset) else { unreachable!() };
                input
            }
        };
        quote! {
            #[doc = #doc]
            pub fn #method(&mut self) -> &mut [#ty; #len] {
                #body
            }
        }
    }

    fn output(&mut self, index: usize, border: &Border) -> TokenStream {
        let name = border_name("output", index, self.program.outputs.len());
        let (len, method) = (format_ident!("{}_LEN", name.to_uppercase()), format_ident!("{name}"));
        let words = border_words("output", index, self.program.outputs.len());
        let doc = format!(" Memory of {words}, to be read after a run.");
        let Region { memory, offset, .. } = border.region;
        let ty = rust_type(self.program.memories[memory].dtype);
        let whole = whole_memory(self.program, self.arena, memory);
        let body = if is_whole(self.program, border.region) {
            quote!(&#whole)
        } else {
            self.runtime.insert("window");
            let offset = Literal::usize_unsuffixed(offset);
            quote! {
                let Some(output) = window(&#whole, #offset) else { unreachable!() };
                output
            }
        };
        quote! {
            #[doc = #doc]
            pub fn #method(&self) -> &[#ty; #len] {
                #body
            }
        }
    }
}

/// The counter of rounds.
const ROUND: &str = "round";

/// The element at `at`, and `step` elements further on in each round.
fn position(at: usize, step: isize) -> TokenStream {
    let round = format_ident!("{ROUND}");
    let distance = Literal::usize_unsuffixed(step.unsigned_abs());
    let start = Literal::usize_unsuffixed(at);
    match (at, step) {
        (_, 0) => quote!(#start),
        (0, 1..) => quote!(#round * #distance),
        (_, 1..) => quote!(#start + #round * #distance),
        (_, _) => quote!(#start - #round * #distance),
    }
}

/// A call of a layer's function, after its regions are cut out of memory: each lies `steps` elements
/// further on in each round.
fn layer(
    program: &Program,
    arena: Arena,
    call: &Call,
    steps: &[isize],
    runtime: &mut BTreeSet<&'static str>,
) -> TokenStream {
    let function = &program.functions[call.function];
    if function.assembly().is_some() {
        return routine(program, arena, call, steps);
    }
    let local = |name: &str| {
        let clashes = program.functions.iter().any(|function| function.name == name);
        if clashes || name == ROUND {
            format_ident!("{name}_")
        } else {
            ident(name)
        }
    };
    // By memory: what is written, in the order of memory, and what is read.
    let mut writes: BTreeMap<usize, Vec<(Region, usize)>> = BTreeMap::new();
    let mut reads: BTreeMap<usize, Vec<(Region, usize)>> = BTreeMap::new();
    for (index, (param, arg)) in function.params.iter().zip(&call.args).enumerate() {
        if let Arg::Region(region) = arg {
            let list = if param.access == Access::Write { &mut writes } else { &mut reads };
            list.entry(region.memory).or_default().push((*region, index));
        }
    }
    let mut args: Vec<TokenStream> = (function.params.iter().zip(&call.args))
        .map(|(param, arg)| match *arg {
            Arg::Region(_) => {
                let name = local(&param.name);
                quote!(#name)
            }
            Arg::Constant(constant) => {
                let constant = &program.constants[constant];
                let name = ident(&constant.name);
                let aligned = constants::is_aligned(constant).then(|| quote!(.0));
                quote!(&#name #aligned)
            }
        })
        .collect();
    let mut cuts = Vec::new();
    for (&memory, writes) in &mut writes {
        writes.sort_by_key(|(region, _)| region.offset);
        let whole = whole_memory(program, arena, memory);
        let reads = reads.remove(&memory).unwrap_or_default();
        if let ([(region, index)], []) = (&writes[..], &reads[..]) {
            if is_whole(program, *region) {
                args[*index] = quote!(&mut #whole);
                continue;
            }
        }
        // What the written regions leave. These stay in the same order in all rounds.
        let mut pieces: Vec<Piece> = Vec::new();
        let (mut first, mut step) = (0, 0);
        for (i, (region, index)) in writes.iter().enumerate() {
            let name = if i == 0 { format_ident!("before") } else { format_ident!("between{i}") };
            pieces.push(Piece { name, first, step, end: region.offset });
            (first, step) = (region.offset + region.len, steps[*index]);
        }
        let (name, end) = (format_ident!("after"), program.memories[memory].len);
        pieces.push(Piece { name, first, step, end });
        let holds = |piece: &Piece, region: &Region| {
            piece.first <= region.offset && region.offset + region.len <= piece.end
        };
        let read = |piece: &Piece| reads.iter().any(|(region, _)| holds(piece, region));
        for (i, (region, index)) in writes.iter().enumerate() {
            let last = i + 1 == writes.len();
            let from = if i == 0 { quote!(&mut #whole) } else { quote!(after) };
            let name = local(&function.params[*index].name);
            let before = if read(&pieces[i]) { &pieces[i].name } else { &format_ident!("_") };
            let after = if !last || read(&pieces[i + 1]) { "after" } else { "_" };
            let after = format_ident!("{after}");
            let at = pieces[i].position(*region, steps[*index]);
            runtime.insert("carve");
            let len = length(function, *index, *region);
            let len = len.map(|len| quote!(::<_, #len>));
            cuts.push(quote! {
                let Some((#before, #name, #after)) = carve #len (#from, #at) else { return };
            });
        }
        for (region, index) in reads {
            let piece = (pieces.iter().find(|piece| holds(piece, &region)))
                .unwrap_or_else(|| panic!("bug in tflc: {} reads what it writes", function.name));
            let (name, from) = (local(&function.params[index].name), &piece.name);
            let at = piece.position(region, steps[index]);
            runtime.insert("window");
            let len = length(function, index, region).map(|len| quote!(::<_, #len>));
            cuts.push(quote!(let Some(#name) = window #len (#from, #at) else { return };));
        }
    }
    for (memory, reads) in reads {
        let whole = whole_memory(program, arena, memory);
        for (region, index) in reads {
            if is_whole(program, region) {
                args[index] = quote!(&#whole);
                continue;
            }
            let name = local(&function.params[index].name);
            let at = position(region.offset, steps[index]);
            runtime.insert("window");
            let len = length(function, index, region).map(|len| quote!(::<_, #len>));
            cuts.push(quote!(let Some(#name) = window #len (&#whole, #at) else { return };));
        }
    }
    args.extend(call.scalars.iter().map(|scalar| match scalar {
        Expr::Index(value) => Literal::usize_unsuffixed(*value).to_token_stream(),
        Expr::Int(value) => {
            let magnitude = Literal::u32_unsuffixed(value.unsigned_abs());
            let sign = value.is_negative().then(|| quote!(-));
            quote!(#sign #magnitude)
        }
        other => unreachable!("{other:?} is no constant scalar"),
    }));
    let name = ident(&function.name);
    quote!(#(#cuts)* #name(#(#args),*);)
}

/// A run of memory that a call doesn't write.
struct Piece {
    name: Ident,
    /// Its first element, and how much further on it lies in each round.
    first: usize,
    step: isize,
    /// The first element behind it.
    end: usize,
}

impl Piece {
    /// Where in it a region lies that has a step of its own.
    fn position(&self, region: Region, step: isize) -> TokenStream {
        position(region.offset - self.first, step - self.step)
    }
}

/// A call of a layer's routine, with pointers into memory.
fn routine(program: &Program, arena: Arena, call: &Call, steps: &[isize]) -> TokenStream {
    let function = &program.functions[call.function];
    let mut memories: Vec<usize> = Vec::new();
    let args: Vec<TokenStream> = (function.params.iter().zip(&call.args).zip(steps))
        .map(|((param, arg), &step)| match *arg {
            Arg::Region(region) => {
                memories.push(region.memory);
                let name = field(&program.memories, region.memory);
                let at = position(region.offset, step);
                let at = (region.offset > 0 || step != 0).then(|| quote!(.add(#at)));
                quote!(#name #at)
            }
            Arg::Constant(constant) => {
                let (name, ty) = (ident(&program.constants[constant].name), rust_type(param.dtype));
                quote!(#name.0.as_ptr().cast::<#ty>())
            }
        })
        .collect();
    memories.sort_unstable();
    memories.dedup();
    let pointers = memories.into_iter().map(|memory| {
        let name = field(&program.memories, memory);
        let whole = whole_memory(program, arena, memory);
        quote!(let #name = #whole.as_mut_ptr();)
    });
    let name = ident(&function.name);
    quote! {
        #(#pointers)*
        unsafe { #name(#(#args),*) }
    }
}

/// The length of a region, where the function's parameter doesn't tell it.
fn length(function: &Function, param: usize, region: Region) -> Option<Literal> {
    function.params[param].len.is_none().then(|| Literal::usize_unsuffixed(region.len))
}

/// Whether a memory is kept in an `Aligned`: bytes, so that they can be read in words.
pub fn is_aligned(memory: Memory) -> bool {
    matches!(memory.dtype, DType::I8 | DType::U8)
}

fn is_whole(program: &Program, region: Region) -> bool {
    region.offset == 0 && region.len == program.memories[region.memory].len
}

fn memory_type(memory: Memory) -> TokenStream {
    let (ty, len) = (rust_type(memory.dtype), Literal::usize_unsuffixed(memory.len));
    match is_aligned(memory) {
        true => quote!(Aligned<[#ty; #len]>),
        false => quote!([#ty; #len]),
    }
}

/// The place of a memory's array.
fn whole_memory(program: &Program, arena: Arena, memory: usize) -> TokenStream {
    let name = field(&program.memories, memory);
    let within = match arena {
        Arena::Own => quote!(self),
        Arena::Shared => quote!(self.memory),
    };
    match is_aligned(program.memories[memory]) {
        true => quote!(#within.#name.0),
        false => quote!(#within.#name),
    }
}

/// The name of a memory's field.
fn field(memories: &[Memory], index: usize) -> Ident {
    format_ident!("{}", describe::memory(memories, index))
}
