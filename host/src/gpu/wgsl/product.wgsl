// Linear layers and convolutions: out = activation(filter(x) W^T + bias) + residual.
//
// x is [images, height, width, inputs], the weight [outputs, size, size, inputs], out [images, out_height, out_width, outputs]; beyond an image's edges are
// zeros. A linear layer is a filter of one pixel on images of one pixel. A workgroup makes ROWS pixels of COLUMNS outputs, DEPTH inputs at a time by
// way of its memory; an invocation makes 4 x 4 of them, and sums in the order of the inputs.

struct Parameters {
    rows: u32,          // pixels of the result, of all images
    outputs: u32,
    inputs: u32,
    height: u32,
    width: u32,
    out_height: u32,
    out_width: u32,
    size: u32,          // pixels across the filter
    stride: u32,
    bias_row: u32,      // the row of `bias` that is added
    classes: u32,       // the number of classes, behind which the table has a row for none
    told: u32,          // 1: the table's row of the image's class is added
    none: u32,          // 1: no image has a class
    silu: u32,
    period: u32,        // 0: nothing is added; else pixel i adds row i mod period of `residual`
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> class_table: array<f32>;
@group(0) @binding(5) var<storage, read> classes: array<u32>;
@group(0) @binding(6) var<storage, read> residual: array<f32>;
@group(0) @binding(7) var<storage, read_write> out: array<f32>;

const DEPTH: u32 = 16u;
const ACROSS: u32 = COLUMNS / 4u;
const DOWN: u32 = ROWS / 4u;
const AT_ONCE: u32 = 256u / DEPTH;
const X_LOADS: u32 = ROWS / AT_ONCE;
const WEIGHT_LOADS: u32 = COLUMNS / AT_ONCE;

var<workgroup> x_tile: array<f32, ROWS * DEPTH>;
var<workgroup> weight_tile: array<f32, COLUMNS * DEPTH>;

// The pixel and the filter's upper left corner on its image.
struct Place {
    image: u32,
    top: u32,
    left: u32,
}

fn place_of(row: u32) -> Place {
    let pixels = p.out_height * p.out_width;
    let pixel = row % pixels;
    let reach = p.size / 2u;
    // Beyond the upper and left edges the subtraction wraps to numbers beyond the lower and right ones.
    return Place(row / pixels, pixel / p.out_width * p.stride - reach, pixel % p.out_width * p.stride - reach);
}

@compute @workgroup_size(256)
fn product(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let tiles_across = (p.outputs + COLUMNS - 1u) / COLUMNS;
    let tile = group.y * groups.x + group.x;
    let first_row = tile / tiles_across * ROWS;
    let first_column = tile % tiles_across * COLUMNS;
    let patch_length = p.size * p.size * p.inputs;

    let load_depth = local % DEPTH;
    let load_row = local / DEPTH;
    var places: array<Place, X_LOADS>;
    for (var load = 0u; load < X_LOADS; load++) {
        places[load] = place_of(first_row + load_row + load * AT_ONCE);
    }

    let across = local % ACROSS;
    let down = local / ACROSS;
    var sum_0 = vec4<f32>();
    var sum_1 = vec4<f32>();
    var sum_2 = vec4<f32>();
    var sum_3 = vec4<f32>();
    for (var first = 0u; first < patch_length; first += DEPTH) {
        let at = first + load_depth;
        let filter_pixel = at / p.inputs;
        let channel = at % p.inputs;
        let filter_row = filter_pixel / p.size;
        let filter_column = filter_pixel % p.size;
        for (var load = 0u; load < X_LOADS; load++) {
            let place = places[load];
            let y = place.top + filter_row;
            let z = place.left + filter_column;
            var value = 0.0;
            if (at < patch_length && first_row + load_row + load * AT_ONCE < p.rows && y < p.height && z < p.width) {
                value = x[((place.image * p.height + y) * p.width + z) * p.inputs + channel];
            }
            x_tile[load_depth * ROWS + load_row + load * AT_ONCE] = value;
        }
        for (var load = 0u; load < WEIGHT_LOADS; load++) {
            let column = load_row + load * AT_ONCE;
            var value = 0.0;
            if (at < patch_length && first_column + column < p.outputs) {
                value = weight[(first_column + column) * patch_length + at];
            }
            weight_tile[load_depth * COLUMNS + column] = value;
        }
        workgroupBarrier();
        for (var depth = 0u; depth < DEPTH; depth++) {
            let from_x = depth * ROWS + down;
            let from_weight = depth * COLUMNS + across;
            let w = vec4<f32>(
                weight_tile[from_weight],
                weight_tile[from_weight + ACROSS],
                weight_tile[from_weight + 2u * ACROSS],
                weight_tile[from_weight + 3u * ACROSS],
            );
            sum_0 += x_tile[from_x] * w;
            sum_1 += x_tile[from_x + DOWN] * w;
            sum_2 += x_tile[from_x + 2u * DOWN] * w;
            sum_3 += x_tile[from_x + 3u * DOWN] * w;
        }
        workgroupBarrier();
    }
    leave(first_row + down, first_column + across, sum_0);
    leave(first_row + down + DOWN, first_column + across, sum_1);
    leave(first_row + down + 2u * DOWN, first_column + across, sum_2);
    leave(first_row + down + 3u * DOWN, first_column + across, sum_3);
}

fn leave(row: u32, first_column: u32, sums: vec4<f32>) {
    if (row >= p.rows) {
        return;
    }
    var class_row = p.classes;
    if (p.told > 0u && p.none == 0u) {
        class_row = min(classes[row / (p.out_height * p.out_width)], p.classes);
    }
    for (var j = 0u; j < 4u; j++) {
        let column = first_column + j * ACROSS;
        if (column < p.outputs) {
            var z = sums[j] + bias[p.bias_row * p.outputs + column];
            if (p.told > 0u) {
                z += class_table[class_row * p.outputs + column];
            }
            if (p.silu > 0u) {
                z = z / (1.0 + exp(-z));
            }
            if (p.period > 0u) {
                z += residual[row % p.period * p.outputs + column];
            }
            out[row * p.outputs + column] = z;
        }
    }
}
