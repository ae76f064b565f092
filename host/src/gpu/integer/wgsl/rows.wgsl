// Fully connected layers and convolutions: eight rows of an output pixel to a job. A linear layer is a convolution of one pixel.

struct Parameters {
    // Place, channels, columns, and whether it is doubled, 0 or 1.
    first: vec4<u32>,
    second: vec4<u32>,
    stride: u32,
    jobs: u32,
    tiles: u32,
    outputs: u32,
    output_at: u32,
    output_width: u32,
    // Rows and columns of the input, its kernel, its steps, its zeros.
    height: i32,
    width: i32,
    kernel: i32,
    step: i32,
    padding: i32,
    add: u32,
    weights_at: u32,
    bias_at: u32,
    multipliers_at: u32,
    // 0 for none, each of them.
    table_at: u32,
    step_bias_at: u32,
    class_bias_at: u32,
}

@group(0) @binding(0) var<uniform> given: array<Parameters, 2>;
var<private> p: Parameters;

@compute @workgroup_size(32)
fn rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    p = given[first_of(group)];
    let job = job_of(group, groups);
    if (job >= p.jobs) {
        return;
    }
    let lane = lane_of(group, local);
    let tile = job % p.tiles;
    let pixel = job / p.tiles;
    let top = i32(pixel / p.output_width) * p.step - p.padding;
    let left = i32(pixel % p.output_width) * p.step - p.padding;
    let channels = p.first.y + p.second.y;
    var at = p.weights_at + tile * 2u * channels * u32(p.kernel * p.kernel);
    var eight = Eight();
    for (var i = 0; i < p.kernel; i++) {
        let y = top + i;
        for (var j = 0; j < p.kernel; j++) {
            let x = left + j;
            if (y < 0 || y >= p.height || x < 0 || x >= p.width) {
                at += 2u * channels;
                continue;
            }
            for (var number = 0; number < 2; number++) {
                let image = select(p.second, p.first, number == 0);
                let place = (u32(y) >> image.w) * image.z + (u32(x) >> image.w);
                var from_here = (image.x + place * image.y) * p.stride + lane;
                for (var k = 0u; k < image.y; k++) {
                    eight = include_value(eight, at, unpack(arena[from_here]));
                    from_here += p.stride;
                    at += 2u;
                }
            }
        }
    }
    var sums = array_of(eight);
    let class_row = class_of(group, p.stride) * p.outputs;
    let end = min(p.outputs - tile * 8u, 8u);
    for (var k = 0u; k < end; k++) {
        let row = tile * 8u + k;
        var bias = tables[p.bias_at + row];
        if (p.step_bias_at != 0u) {
            bias += tables[p.step_bias_at + row];
        }
        if (p.class_bias_at != 0u) {
            bias += tables[p.class_bias_at + class_row + row];
        }
        var z = requantise(sums[k] + bitcast<i32>(bias), tables[p.multipliers_at + row]);
        if (p.table_at != 0u) {
            z = activate(p.table_at, z);
        }
        let to = (p.output_at + pixel * p.outputs + row) * p.stride + lane;
        if (p.add != 0u) {
            z = saturate_16(unpack(arena[to]) + z);
        }
        arena[to] = pack(z);
    }
}
