// What computes nothing: zeros, constants, and samples as images of patches. Eight numbers to a job.

struct Parameters {
    @align(16) stride: u32,
    jobs: u32,
    count: u32,
    input_at: u32,
    output_at: u32,
    // Of a rearrangement: patches in each direction, pixels along a patch, channels, and whether it is the way back.
    patch_rows: u32,
    patch_columns: u32,
    side: u32,
    channels: u32,
    back: u32,
    // Of constants: where they stand in the tables.
    numbers_at: u32,
}

@group(0) @binding(0) var<uniform> given: array<Parameters, 2>;
var<private> p: Parameters;

const EACH: u32 = 8u;

@compute @workgroup_size(32)
fn zero(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    p = given[first_of(group)];
    let lane = lane_of(group, local);
    let begin = job_of(group, groups) * EACH;
    for (var i = begin; i < min(begin + EACH, p.count); i++) {
        arena[(p.output_at + i) * p.stride + lane] = vec2<u32>();
    }
}

@compute @workgroup_size(32)
fn constants(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    p = given[first_of(group)];
    let lane = lane_of(group, local);
    let begin = job_of(group, groups) * EACH;
    for (var i = begin; i < min(begin + EACH, p.count); i++) {
        let number = half_of(tables[p.numbers_at + i / 2u], i & 1u);
        arena[(p.output_at + i) * p.stride + lane] = pack(vec4<i32>(number));
    }
}

// Where number `place` of the image is in the sample.
fn in_sample(place: u32) -> u32 {
    let channel = place % p.channels;
    let in_patch = place / p.channels % (p.side * p.side);
    let patch_number = place / (p.channels * p.side * p.side);
    let y = patch_number / p.patch_columns * p.side + in_patch / p.side;
    let x = patch_number % p.patch_columns * p.side + in_patch % p.side;
    let width = p.patch_columns * p.side;
    return (channel * p.patch_rows * p.side + y) * width + x;
}

@compute @workgroup_size(32)
fn rearrange(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    p = given[first_of(group)];
    let lane = lane_of(group, local);
    let begin = job_of(group, groups) * EACH;
    for (var i = begin; i < min(begin + EACH, p.count); i++) {
        let other = in_sample(i);
        let to = select(i, other, p.back != 0u);
        let source = select(other, i, p.back != 0u);
        arena[(p.output_at + to) * p.stride + lane] = arena[(p.input_at + source) * p.stride + lane];
    }
}
