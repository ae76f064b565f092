// Depthwise convolutions of 3x3: a number of the output to a job.

struct Parameters {
    @align(16) stride: u32,
    jobs: u32,
    channels: u32,
    input_at: u32,
    output_at: u32,
    output_width: u32,
    height: i32,
    width: i32,
    step: i32,
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
fn depthwise(
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
    let channel = job % p.channels;
    let pixel = job / p.channels;
    let top = i32(pixel / p.output_width) * p.step - 1;
    let left = i32(pixel % p.output_width) * p.step - 1;
    var bias = tables[p.bias_at + channel];
    if (p.step_bias_at != 0u) {
        bias += tables[p.step_bias_at + channel];
    }
    if (p.class_bias_at != 0u) {
        bias += tables[p.class_bias_at + class_of(group, p.stride) * p.channels + channel];
    }
    var sum = vec4<i32>(bitcast<i32>(bias));
    for (var i = 0; i < 3; i++) {
        let y = top + i;
        for (var j = 0; j < 3; j++) {
            let x = left + j;
            if (y >= 0 && y < p.height && x >= 0 && x < p.width) {
                let weight = bitcast<i32>(tables[p.weights_at + channel * 9u + u32(3 * i + j)]);
                let place = p.input_at + u32(y * p.width + x) * p.channels + channel;
                sum += weight * unpack(arena[place * p.stride + lane]);
            }
        }
    }
    var z = requantise(sum, tables[p.multipliers_at + channel]);
    if (p.table_at != 0u) {
        z = activate(p.table_at, z);
    }
    arena[(p.output_at + job) * p.stride + lane] = pack(z);
}
