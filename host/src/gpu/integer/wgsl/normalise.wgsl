// Layer normalisation: a row to a job.

struct Parameters {
    @align(16) stride: u32,
    jobs: u32,
    features: u32,
    input_at: u32,
    output_at: u32,
    shift: u32,
    epsilon_low: u32,
    epsilon_high: u32,
    gain_low: u32,
    gain_high: u32,
}

@group(0) @binding(0) var<uniform> given: array<Parameters, 2>;
var<private> p: Parameters;

// `floor(sqrt(v))`. The square root in floating point is off by one at most, whatever a device's precision.
fn root_32(v: vec4<u32>) -> vec4<u32> {
    var s = min(vec4<u32>(sqrt(vec4<f32>(v))), vec4<u32>(65535u));
    s -= select(vec4<u32>(0u), vec4<u32>(1u), s * s > v);
    let next = s + 1u;
    return select(s, next, (next <= vec4<u32>(65535u)) & (next * next <= v));
}

// `floor(sqrt(v))` of at least 2^62: Zimmermann's division of the remainder (1999, "Karatsuba square root").
fn root_64(v: Wide) -> vec4<u32> {
    let first = root_32(v.high);
    let rest = v.high - first * first;
    let next = v.low >> vec4<u32>(16u);
    // A quotient by twice the first half: halving both keeps it in 32 bits.
    let halved = (rest << vec4<u32>(15u)) | (next >> vec4<u32>(1u));
    let quotient = halved / first;
    let left = ((halved - quotient * first) << vec4<u32>(1u)) | (next & vec4<u32>(1u));
    // The remainder is left 2^16 + low half - quotient^2; the quotient is at most 2^16.
    let left_low = (left << vec4<u32>(16u)) | (v.low & vec4<u32>(0xffffu));
    let left_high = left >> vec4<u32>(16u);
    let square_low = quotient * quotient;
    let square_high = quotient >> vec4<u32>(16u);
    let negative = (left_high < square_high) | ((left_high == square_high) & (left_low < square_low));
    return (first << vec4<u32>(16u)) + quotient - select(vec4<u32>(0u), vec4<u32>(1u), negative);
}

// A digit of 16 bits of a quotient by `divisor`, whose highest bit is set, and what remains; `rest` is less than the divisor (Knuth, 4.3.1, D).
fn digit(rest: vec4<u32>, next: u32, divisor: vec4<u32>) -> vec4<u32> {
    let v_high = divisor >> vec4<u32>(16u);
    let v_low = divisor & vec4<u32>(0xffffu);
    var q = rest / v_high;
    var r = rest - q * v_high;
    for (var i = 0; i < 2; i++) {
        let too_much = (r < vec4<u32>(65536u)) & ((q >= vec4<u32>(65536u)) | (q * v_low > ((r << vec4<u32>(16u)) | vec4<u32>(next))));
        q -= select(vec4<u32>(0u), vec4<u32>(1u), too_much);
        r += select(vec4<u32>(0u), v_high, too_much);
    }
    return q;
}

// `min(floor(gain / root) 2^half, 2^31 - 1)` for a root of at least 2^31.
fn inverse_of(root: vec4<u32>, half: vec4<u32>) -> vec4<u32> {
    let most = vec4<u32>(0x7fffffffu);
    let rest = vec4<u32>(p.gain_high);
    let upper_next = p.gain_low >> 16u;
    let upper_digit = digit(rest, upper_next, root);
    let remains = ((rest << vec4<u32>(16u)) | vec4<u32>(upper_next)) - upper_digit * root;
    let quotient = (upper_digit << vec4<u32>(16u)) + digit(remains, p.gain_low & 0xffffu, root);
    // A first digit beyond 32 bits is more than enough.
    let too_much = (rest >= root) | (quotient > (most >> half));
    return select(quotient << half, most, too_much);
}

@compute @workgroup_size(32)
fn normalise(
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
    let n = p.features;
    let input_at = (p.input_at + job * n) * p.stride + lane;
    let output_at = (p.output_at + job * n) * p.stride + lane;
    var sum = vec4<i32>();
    var squares_high = vec4<u32>();
    var squares_low = vec4<u32>();
    for (var i = 0u; i < n; i++) {
        let x = unpack(arena[input_at + i * p.stride]);
        let square = bitcast<vec4<u32>>(x * x);
        sum += x;
        squares_high += square >> vec4<u32>(16u);
        squares_low += square & vec4<u32>(0xffffu);
    }
    // sum d^2 = n (n sum x^2 - (sum x)^2), exactly; below 2^60 for 1024 features.
    let squares = wide_times(wide_of_halves(squares_high, squares_low), n);
    let spread = wide_times(wide_subtract(squares, wide_product(sum, sum)), n);
    var v = wide_add(spread, Wide(vec4<u32>(p.epsilon_low), vec4<u32>(p.epsilon_high)));
    let overflows = v.high < spread.high | ((v.high == spread.high) & (v.low < spread.low));
    v.low = select(v.low, vec4<u32>(0xffffffffu), overflows);
    v.high = select(v.high, vec4<u32>(0xffffffffu), overflows);
    // An even shift left until one of the highest two bits is set.
    let is_short = v.high == vec4<u32>(0u);
    let top = select(v.high, v.low, is_short);
    let even = countLeadingZeros(top) & vec4<u32>(30u);
    let bottom = select(v.low, vec4<u32>(0u), is_short);
    let carried = (bottom >> vec4<u32>(1u)) >> (vec4<u32>(31u) - even);
    let root = root_64(Wide(bottom << even, (top << even) | carried));
    let half = (even >> vec4<u32>(1u)) + select(vec4<u32>(0u), vec4<u32>(16u), is_short);
    let inverse = inverse_of(root, half);
    let factor = bitcast<i32>(n << p.shift);
    let offset = sum << vec4<u32>(p.shift);
    for (var i = 0u; i < n; i++) {
        let x = unpack(arena[input_at + i * p.stride]);
        arena[output_at + i * p.stride] = pack(saturate_16(high_each(factor * x - offset, inverse)));
    }
}
