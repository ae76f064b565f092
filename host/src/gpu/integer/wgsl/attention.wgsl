// Attention: a query of one head to a job. The scratch holds a number for every key of every job.

struct Parameters {
    @align(16) stride: u32,
    jobs: u32,
    // The first query of this call, counted over tokens and heads.
    begin: u32,
    tokens: u32,
    heads: u32,
    depth: u32,
    input_at: u32,
    output_at: u32,
    shift: u32,
    multiplier: u32,
    table_at: u32,
}

@group(0) @binding(0) var<uniform> given: array<Parameters, 2>;
var<private> p: Parameters;

// What shares are made of: a little less than 2^31, so that none of them reaches 2^15.
const WHOLE: u32 = 0x7fff0000u;

// A number of a token's query, key or value.
fn part_of(token: u32, part: u32, head: u32) -> u32 {
    return p.input_at + ((token * 3u + part) * p.heads + head) * p.depth;
}

// Products of 16-bit numbers, whose sum has more than 32 bits.
struct Sum {
    high: vec4<i32>,
    low: vec4<u32>,
}

fn include(sum: Sum, a: vec4<i32>, b: vec4<i32>) -> Sum {
    let product = a * b;
    return Sum(sum.high + (product >> vec4<u32>(16u)), sum.low + (bitcast<vec4<u32>>(product) & vec4<u32>(0xffffu)));
}

// `saturate((2^16 high + low) >> shift)`.
fn score_of(sum: Sum) -> vec4<i32> {
    let high = sum.high + bitcast<vec4<i32>>(sum.low >> vec4<u32>(16u));
    let low = bitcast<vec4<i32>>(sum.low & vec4<u32>(0xffffu));
    if (p.shift > 16u) {
        return high >> vec4<u32>(p.shift - 16u);
    }
    let left = vec4<u32>(16u - p.shift);
    let whole = (high << left) + (low >> vec4<u32>(p.shift));
    let most = vec4<i32>(0x7fffffff) >> left;
    let ends = (high >> vec4<u32>(31u)) ^ vec4<i32>(0x7fffffff);
    return select(whole, ends, (high > most) | (high < -most - 1));
}

@compute @workgroup_size(32)
fn attention(
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
    let token = (p.begin + job) / p.heads;
    let head = (p.begin + job) % p.heads;
    let room = job * p.tokens * p.stride + lane;
    let query_at = part_of(token, 0u, head);

    var most = vec4<i32>(-0x7fffffff - 1);
    for (var other = 0u; other < p.tokens; other += 2u) {
        // Two keys at a time for each number of the query; beyond an odd number of them the last one again.
        let next = min(other + 1u, p.tokens - 1u);
        let key_at = part_of(other, 1u, head);
        let next_at = part_of(next, 1u, head);
        var one = Sum();
        var two = Sum();
        for (var i = 0u; i < p.depth; i++) {
            let q = unpack(arena[(query_at + i) * p.stride + lane]);
            one = include(one, q, unpack(arena[(key_at + i) * p.stride + lane]));
            two = include(two, q, unpack(arena[(next_at + i) * p.stride + lane]));
        }
        let scores = array<vec4<i32>, 2>(score_of(one), score_of(two));
        most = max(most, max(scores[0], scores[1]));
        scratch[room + other * p.stride] = scores[0];
        scratch[room + next * p.stride] = scores[1];
    }

    var sum = vec4<u32>();
    for (var other = 0u; other < p.tokens; other++) {
        let below = bitcast<vec4<u32>>(most) - bitcast<vec4<u32>>(scratch[room + other * p.stride]);
        let steps = min(upper(below, vec4<u32>(p.multiplier)), vec4<u32>(65535u));
        let exponential = activate(p.table_at, vec4<i32>(32767) - bitcast<vec4<i32>>(steps));
        scratch[room + other * p.stride] = exponential;
        sum += bitcast<vec4<u32>>(exponential);
    }
    let reciprocal = vec4<u32>(WHOLE) / max(sum, vec4<u32>(1u));
    for (var other = 0u; other < p.tokens; other++) {
        let exponential = bitcast<vec4<u32>>(scratch[room + other * p.stride]);
        let share = (exponential * reciprocal + 0x8000u) >> vec4<u32>(16u);
        scratch[room + other * p.stride] = bitcast<vec4<i32>>(share);
    }

    // Heads have an even number of numbers.
    let output_at = p.output_at + (token * p.heads + head) * p.depth;
    for (var i = 0u; i < p.depth; i += 2u) {
        var one = vec4<i32>(0x4000);
        var two = vec4<i32>(0x4000);
        for (var other = 0u; other < p.tokens; other++) {
            let share = scratch[room + other * p.stride];
            let value_at = (part_of(other, 2u, head) + i) * p.stride + lane;
            one += share * unpack(arena[value_at]);
            two += share * unpack(arena[value_at + p.stride]);
        }
        let to = (output_at + i) * p.stride + lane;
        arena[to] = pack(saturate_16(one >> vec4<u32>(15u)));
        arena[to + p.stride] = pack(saturate_16(two >> vec4<u32>(15u)));
    }
}
