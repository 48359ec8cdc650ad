//! Requires explicit padding as PAD nodes; ensures that none stands alone before a convolution
//! that could pad for itself.

use crate::ir::{Graph, TensorId};
use crate::ops::{Op, Pad, Padding, Window};
use crate::target::Target;

/// Moves a PAD of rows and columns by the convolution's padding value into its windows.
pub fn run(graph: &mut Graph, _: &Target) {
    for i in 0..graph.nodes.len() {
        let Some(producer) = graph.producer(graph.nodes[i].inputs[0]) else {
            continue;
        };
        let Op::Pad(pad) = graph.nodes[producer].op.clone() else {
            continue;
        };
        let (window, value) = match &graph.nodes[i].op {
            Op::Conv2d(op) => (&op.window, op.padding_value),
            Op::DepthwiseConv2d(op) => (&op.window, op.padding_value),
            _ => continue,
        };
        let image = |id: TensorId| [1, 2].map(|axis| graph.tensors[id].ty.shape[axis]);
        let unpadded = graph.nodes[producer].inputs[0];
        let sane =
            |padded: &Window| padded.is_sane(image(unpadded), image(graph.nodes[i].outputs[0]));
        if let Some(padded) = merge(window, &pad).filter(|_| pad.value == value).filter(sane) {
            match &mut graph.nodes[i].op {
                Op::Conv2d(op) => op.window = padded,
                Op::DepthwiseConv2d(op) => op.window = padded,
                _ => unreachable!("chosen above"),
            }
            graph.nodes[i].inputs[0] = unpadded;
            let mut origin = graph.nodes[producer].origin.clone();
            origin.append(&mut graph.nodes[i].origin);
            graph.nodes[i].origin = origin;
        }
    }
    super::prune::sweep(graph);
}

/// The window with the padding added; `None` where other dimensions are padded, or where a whole
/// window would lie in padding.
fn merge(window: &Window, pad: &Pad) -> Option<Window> {
    let [batch, rows, columns, channels] = pad.padding[..].try_into().ok()?;
    if batch != [0, 0] || channels != [0, 0] {
        return None;
    }
    let old = window.padding;
    let padding = Padding {
        top: old.top + rows[0],
        bottom: old.bottom + rows[1],
        left: old.left + columns[0],
        right: old.right + columns[1],
    };
    let reach = [0, 1].map(|i| (window.size[i] - 1) * window.dilation[i] + 1);
    let fits =
        padding.top.max(padding.bottom) < reach[0] && padding.left.max(padding.right) < reach[1];
    fits.then_some(Window { padding, ..*window })
}
