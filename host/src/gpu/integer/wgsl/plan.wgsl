// The plan's steps, and core's noise: four numbers of a sample to a job, as many as a block of the generator makes.

struct Parameters {
    pulls: vec4<i32>,
    pull_count: u32,
    stride: u32,
    jobs: u32,
    features: u32,
    input_at: u32,
    output_at: u32,
    history: u32,
    step: u32,
    draw: u32,
    seed_low: u32,
    seed_high: u32,
    from_state: i32,
    from_output: i32,
    clip: u32,
    remembers: u32,
    memory_from_state: i32,
    memory_from_x0: i32,
    keep: i32,
    kick: i32,
    // The pieces of the Gaussian transform.
    pieces_at: u32,
}

@group(0) @binding(0) var<uniform> given: array<Parameters, 2>;
var<private> p: Parameters;

// A block of random bits for each of four samples.
struct Block {
    a: vec4<u32>,
    b: vec4<u32>,
    c: vec4<u32>,
    d: vec4<u32>,
}

fn turn(value: vec4<u32>, by: u32) -> vec4<u32> {
    return (value << vec4<u32>(by)) | (value >> vec4<u32>(32u - by));
}

fn even(v: Block, left: u32, right: u32) -> Block {
    let a = v.a + v.b;
    let c = v.c + v.d;
    return Block(a, turn(v.b, left) ^ a, c, turn(v.d, right) ^ c);
}

fn odd(v: Block, left: u32, right: u32) -> Block {
    let a = v.a + v.d;
    let c = v.c + v.b;
    return Block(a, turn(v.b, right) ^ c, c, turn(v.d, left) ^ a);
}

fn first_rounds(v: Block) -> Block {
    return odd(even(odd(even(v, 10u, 26u), 11u, 21u), 13u, 27u), 23u, 5u);
}

fn second_rounds(v: Block) -> Block {
    return odd(even(odd(even(v, 6u, 20u), 17u, 11u), 25u, 10u), 18u, 20u);
}

fn inject(v: Block, a: vec4<u32>, b: vec4<u32>, c: vec4<u32>, d: vec4<u32>) -> Block {
    return Block(v.a + a, v.b + b, v.c + c, v.d + d);
}

// Threefry-4x32 of 20 rounds, as core's.
fn random(lane: u32, draw: u32, index: u32) -> Block {
    let k0 = vec4<u32>(p.seed_low);
    let k1 = vec4<u32>(p.seed_high);
    let k2 = samples[lane];
    let k3 = samples[p.stride + lane];
    let k4 = vec4<u32>(0x1bd11bdau) ^ k0 ^ k1 ^ k2 ^ k3;
    var v = first_rounds(Block(k0 + index, k1, k2 + draw, k3));
    v = second_rounds(inject(v, k1, k2, k3, k4 + 1u));
    v = first_rounds(inject(v, k2, k3, k4, k0 + 2u));
    v = second_rounds(inject(v, k3, k4, k0, k1 + 3u));
    v = first_rounds(inject(v, k4, k0, k1, k2 + 4u));
    return inject(v, k0, k1, k2, k3 + 5u);
}

fn piece(at: vec4<u32>) -> vec4<i32> {
    return bitcast<vec4<i32>>(vec4<u32>(tables[at.x], tables[at.y], tables[at.z], tables[at.w]));
}

// Random bits as standard normal numbers with 12 fractional bits: core's 28, rounded to nearest.
fn normal(bits: vec4<u32>) -> vec4<i32> {
    let tail = bits | vec4<u32>(1u);
    let octave = countLeadingZeros(tail);
    let mantissa = tail << octave;
    let which_half = (mantissa >> vec4<u32>(30u)) & vec4<u32>(1u);
    let position = bitcast<vec4<i32>>((mantissa << vec4<u32>(2u)) ^ vec4<u32>(0x80000000u));
    let at = p.pieces_at + (octave * 2u + which_half) * 6u;
    var value = piece(at + 5u);
    for (var i = 5u; i > 0u; i--) {
        value = piece(at + (i - 1u)) + upper_signed(value, position);
    }
    value = select(value, -value, (bits & vec4<u32>(1u)) == vec4<u32>(1u));
    return (value + 0x8000) >> vec4<u32>(16u);
}

fn normals(lane: u32, draw: u32, index: u32) -> array<vec4<i32>, 4> {
    let bits = random(lane, draw, index);
    return array<vec4<i32>, 4>(normal(bits.a), normal(bits.b), normal(bits.c), normal(bits.d));
}

// `saturate((sum + 2^13) >> 14)` of products with coefficients.
fn rounded(sum: Wide) -> vec4<i32> {
    return saturate_16(wide_saturate(wide_shift(wide_add(sum, wide(vec4<i32>(0x2000))), 14u)));
}

fn product(coefficient: i32, x: vec4<i32>) -> Wide {
    return wide_product(vec4<i32>(coefficient), x);
}

// The state before the first step.
@compute @workgroup_size(32)
fn begin(
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
    var z = normals(lane, p.draw, job);
    for (var i = 0u; i < min(p.features - 4u * job, 4u); i++) {
        states[(4u * job + i) * p.stride + lane] = pack(z[i]);
    }
}

// The state, put into the network.
@compute @workgroup_size(32)
fn enter(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    p = given[first_of(group)];
    let job = job_of(group, groups);
    let lane = lane_of(group, local);
    for (var i = 4u * job; i < min(4u * job + 4u, p.features); i++) {
        arena[(p.input_at + i) * p.stride + lane] = states[i * p.stride + lane];
    }
}

// A step, from what the network left.
@compute @workgroup_size(32)
fn advance(
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
    var z = array<vec4<i32>, 4>();
    if (p.kick != 0) {
        z = normals(lane, p.draw, job);
    }
    for (var i = 0u; i < min(p.features - 4u * job, 4u); i++) {
        let number = 4u * job + i;
        let x = unpack(states[number * p.stride + lane]);
        let output = unpack(arena[(p.output_at + number) * p.stride + lane]);
        var estimate = rounded(wide_add(product(p.from_output, output), product(p.from_state, x)));
        if (p.clip != 0u) {
            estimate = clamp(estimate, vec4<i32>(-4096), vec4<i32>(4096));
        }
        if (p.remembers != 0u) {
            estimate = rounded(wide_add(product(p.memory_from_x0, estimate), product(p.memory_from_state, x)));
        }
        var sum = wide_add(product(p.keep, x), product(p.kick, z[i]));
        sum = wide_add(sum, product(p.pulls.x, estimate));
        // Estimates take turns in their places.
        let newest = p.step % p.history;
        states[((1u + newest) * p.features + number) * p.stride + lane] = pack(estimate);
        for (var back = 1u; back < p.pull_count; back++) {
            let place = (newest + p.history - back) % p.history;
            let earlier = unpack(states[((1u + place) * p.features + number) * p.stride + lane]);
            sum = wide_add(sum, product(p.pulls[back], earlier));
        }
        states[number * p.stride + lane] = pack(rounded(sum));
    }
}
