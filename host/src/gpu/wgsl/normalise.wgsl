// (x - mean) / sqrt(variance + 1e-5) of every row, and where there are weights, times scale plus shift. A workgroup takes 16 rows, 16 invocations each.

struct Parameters {
    rows: u32,
    width: u32,
    affine: u32,    // 1: scale and shift count
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> scale: array<f32>;
@group(0) @binding(3) var<storage, read> shift: array<f32>;
@group(0) @binding(4) var<storage, read_write> out: array<f32>;

const LANES: u32 = 16u;
const EPSILON: f32 = 1e-5;

var<workgroup> sums: array<f32, 256>;

// The sum of what the 16 invocations of a row have.
fn total(own: f32, local: u32) -> f32 {
    workgroupBarrier();
    sums[local] = own;
    workgroupBarrier();
    let first = local / LANES * LANES;
    var sum = 0.0;
    for (var lane = 0u; lane < LANES; lane++) {
        sum += sums[first + lane];
    }
    return sum;
}

@compute @workgroup_size(256)
fn normalise(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let row = (group.y * groups.x + group.x) * 16u + local / LANES;
    // Rows beyond the last do nothing but wait with the others.
    var width = p.width;
    if (row >= p.rows) {
        width = 0u;
    }
    let begin = row * p.width;
    let lane = local % LANES;
    var sum = 0.0;
    for (var i = lane; i < width; i += LANES) {
        sum += x[begin + i];
    }
    let mean = total(sum, local) / f32(p.width);
    var squares = 0.0;
    for (var i = lane; i < width; i += LANES) {
        let deviation = x[begin + i] - mean;
        squares += deviation * deviation;
    }
    let inverse = 1.0 / sqrt(total(squares, local) / f32(p.width) + EPSILON);
    for (var i = lane; i < width; i += LANES) {
        var value = (x[begin + i] - mean) * inverse;
        if (p.affine > 0u) {
            value = value * scale[i] + shift[i];
        }
        out[begin + i] = value;
    }
}
