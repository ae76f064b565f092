// Mixtures of low-rank Gaussians, in three passes: the coordinates of every row, the posterior of every sample, the estimate of every feature.
//
// A workgroup's blocks are its class's own, or all of them for none. The scratch holds, for each of them, coordinates, which become coefficients,
// then logits, which become chances, then the state's gain.

struct Parameters {
    @align(16) stride: u32,
    jobs: u32,
    features: u32,
    components: u32,
    rank: u32,
    // Of the artifact, and those of any one workgroup at most.
    blocks: u32,
    most_blocks: u32,
    input_at: u32,
    output_at: u32,
    rows_at: u32,
    offsets_at: u32,
    multipliers_at: u32,
    columns_at: u32,
    output_multipliers_at: u32,
    // Of this step: terms of all components.
    terms_at: u32,
    alpha: u32,
    sharpness: u32,
    logit_shift: u32,
    norm_shift: u32,
    square_shift: u32,
    gain_shift: u32,
    // 2^15 2^(-i / 32).
    falling_at: u32,
}

@group(0) @binding(0) var<uniform> given: array<Parameters, 2>;
var<private> p: Parameters;

fn block_rows() -> u32 {
    return p.components * (1u + p.rank);
}

// The first block and how many of them.
fn blocks_of(class_number: u32) -> vec2<u32> {
    return select(vec2<u32>(0u, p.blocks), vec2<u32>(class_number, 1u), class_number < p.blocks);
}

fn logits_at(lane: u32) -> u32 {
    return p.most_blocks * block_rows() * p.stride + lane;
}

fn state_gain_at(lane: u32) -> u32 {
    return logits_at(lane) + p.most_blocks * p.components * p.stride;
}

fn terms_of(block: u32, component: u32) -> u32 {
    return p.terms_at + (block * p.components + component) * (2u + (p.rank + 1u) / 2u);
}

fn excess_gain(terms: u32, direction: u32) -> i32 {
    return half_of(tables[terms + 2u + direction / 2u], direction & 1u);
}

// Eight rows of a block to a job.
@compute @workgroup_size(32)
fn project(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    p = given[first_of(group)];
    let job = job_of(group, groups);
    let lane = lane_of(group, local);
    let count = block_rows();
    let tiles = (count + 7u) / 8u;
    let number = job / tiles;
    let tile = job % tiles;
    let blocks = blocks_of(class_of(group, p.stride));
    if (number >= blocks.y) {
        return;
    }
    let block = blocks.x + number;
    var at = p.rows_at + (block * tiles + tile) * 2u * p.features;
    var eight = Eight();
    for (var i = 0u; i < p.features; i++) {
        eight = include_value(eight, at, unpack(arena[(p.input_at + i) * p.stride + lane]));
        at += 2u;
    }
    var sums = array_of(eight);
    for (var k = 0u; k < min(count - tile * 8u, 8u); k++) {
        let row = tile * 8u + k;
        let bias = -high_one(bitcast<i32>(tables[p.offsets_at + block * count + row]), p.alpha);
        let coordinate = requantise(sums[k] + bias, tables[p.multipliers_at + block * count + row]);
        scratch[(number * count + row) * p.stride + lane] = coordinate;
    }
}

// `2^15 2^-d` of a distance with 10 fractional bits.
fn falling(d: u32) -> u32 {
    let whole = d >> 10u;
    let i = (d & 1023u) >> 5u;
    let here = tables[p.falling_at + i];
    let between = here - (((here - tables[p.falling_at + i + 1u]) * (d & 31u) + 16u) >> 5u);
    return select(between >> (whole & 31u), 0u, whole > 15u);
}

fn falling_each(d: vec4<u32>) -> vec4<u32> {
    return vec4<u32>(falling(d.x), falling(d.y), falling(d.z), falling(d.w));
}

// One job for all that a sample has.
@compute @workgroup_size(32)
fn posterior(@builtin(workgroup_id) group: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    p = given[first_of(group)];
    let lane = lane_of(group, local);
    let blocks = blocks_of(class_of(group, p.stride));
    let all = blocks.y * p.components;
    let logits = logits_at(lane);

    var squares_high = vec4<u32>();
    var squares_low = vec4<u32>();
    for (var i = 0u; i < p.features; i++) {
        let x = unpack(arena[(p.input_at + i) * p.stride + lane]);
        let square = bitcast<vec4<u32>>(x * x);
        squares_high += square >> vec4<u32>(16u);
        squares_low += square & vec4<u32>(0xffffu);
    }
    let squares = wide_of_halves(squares_high, squares_low);

    var most = vec4<i32>(-0x7fffffff - 1);
    for (var k = 0u; k < all; k++) {
        let terms = terms_of(blocks.x + k / p.components, k % p.components);
        let coordinates = k * (1u + p.rank) * p.stride + lane;
        let mean_gain = half_of(tables[terms + 1u], 0u);
        let floor_gain = half_of(tables[terms + 1u], 1u);
        var sum = Wide();
        for (var j = 0u; j < p.rank; j++) {
            let c = scratch[coordinates + (1u + j) * p.stride];
            sum = wide_add(sum, wide_product(excess_gain(terms, j) * c, c));
        }
        var floor_part = wide_times(squares, u32(abs(floor_gain)));
        if (floor_gain < 0) {
            floor_part = wide_subtract(Wide(), floor_part);
        }
        var energy = wide_add(wide(mean_gain * scratch[coordinates]), wide_shift(floor_part, p.norm_shift));
        energy = wide_add(energy, wide_shift(sum, p.square_shift));
        let scaled = wide_shift(wide_times(energy, p.sharpness), p.logit_shift);
        let logit = wide_saturate(wide_add(scaled, wide(vec4<i32>(bitcast<i32>(tables[terms])))));
        scratch[logits + k * p.stride] = logit;
        most = max(most, logit);
    }

    var total = vec4<u32>();
    var largest = vec4<u32>();
    for (var i = all; i > 0u; i--) {
        let k = i - 1u;
        let logit = scratch[logits + k * p.stride];
        // From the last to the first, so the first of the largest stays.
        largest = select(largest, vec4<u32>(k), logit == most);
        let fallen = falling_each(bitcast<vec4<u32>>(most) - bitcast<vec4<u32>>(logit));
        total += fallen;
        scratch[logits + k * p.stride] = bitcast<vec4<i32>>(fallen);
    }
    var lack = vec4<u32>(0x8000u);
    for (var k = 0u; k < all; k++) {
        let chance = (bitcast<vec4<u32>>(scratch[logits + k * p.stride]) << vec4<u32>(15u)) / max(total, vec4<u32>(1u));
        lack -= chance;
        scratch[logits + k * p.stride] = bitcast<vec4<i32>>(chance);
    }

    var state_gain = vec4<i32>();
    for (var k = 0u; k < all; k++) {
        let terms = terms_of(blocks.x + k / p.components, k % p.components);
        let coordinates = k * (1u + p.rank) * p.stride + lane;
        let more = select(vec4<u32>(0u), lack, largest == vec4<u32>(k));
        let chance = bitcast<vec4<u32>>(scratch[logits + k * p.stride]) + more;
        let signed = bitcast<vec4<i32>>(chance);
        state_gain += signed * half_of(tables[terms + 1u], 1u);
        scratch[coordinates] = (signed * half_of(tables[terms + 1u], 0u) + 0x4000) >> vec4<u32>(15u);
        let multiplier = chance << vec4<u32>(p.gain_shift);
        for (var j = 0u; j < p.rank; j++) {
            let at = coordinates + (1u + j) * p.stride;
            scratch[at] = saturate_16(high_each(scratch[at] * excess_gain(terms, j), multiplier));
        }
    }
    scratch[state_gain_at(lane)] = (state_gain + 0x4000) >> vec4<u32>(15u);
}

// Eight features to a job.
@compute @workgroup_size(32)
fn expand(
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
    let count = block_rows();
    let tiles = (p.features + 7u) / 8u;
    let blocks = blocks_of(class_of(group, p.stride));
    let end = min(p.features - job * 8u, 8u);
    var outputs = array<vec4<i32>, 8>();
    for (var number = 0u; number < blocks.y; number++) {
        let block = blocks.x + number;
        var at = p.columns_at + (block * tiles + job) * 2u * count;
        var eight = Eight();
        for (var i = 0u; i < count; i++) {
            eight = include_value(eight, at, scratch[(number * count + i) * p.stride + lane]);
            at += 2u;
        }
        var sums = array_of(eight);
        for (var k = 0u; k < end; k++) {
            let multiplier = tables[p.output_multipliers_at + block * p.features + job * 8u + k];
            outputs[k] = saturate_16(outputs[k] + requantise(sums[k], multiplier));
        }
    }
    let state_gain = scratch[state_gain_at(lane)];
    for (var k = 0u; k < end; k++) {
        let feature = job * 8u + k;
        let x = unpack(arena[(p.input_at + feature) * p.stride + lane]);
        let sum = (outputs[k] << vec4<u32>(14u)) + state_gain * x + 0x2000;
        arena[(p.output_at + feature) * p.stride + lane] = pack(saturate_16(sum >> vec4<u32>(14u)));
    }
}
