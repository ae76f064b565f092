// Standard normal numbers with the bits of core's generator: Threefry-4x32 and the piecewise polynomial, in 32-bit integers alone. An invocation makes
// four numbers of one row; row i reads stream `first + i`.

struct Parameters {
    rows: u32,
    features: u32,
    draw: u32,
    seed_low: u32,
    seed_high: u32,
    first_low: u32,
    first_high: u32,
}

@group(0) @binding(0) var<uniform> p: Parameters;
@group(0) @binding(1) var<storage, read> pieces: array<i32>;        // [64, 6]
@group(0) @binding(2) var<storage, read_write> out: array<f32>;     // [rows, features]

fn turn(value: u32, by: u32) -> u32 {
    return (value << by) | (value >> (32u - by));
}

// Even rounds mix (x, y) and (z, w), odd rounds (x, w) and (z, y).
fn even(v: vec4<u32>, left: u32, right: u32) -> vec4<u32> {
    let x = v.x + v.y;
    let z = v.z + v.w;
    return vec4<u32>(x, turn(v.y, left) ^ x, z, turn(v.w, right) ^ z);
}

fn odd(v: vec4<u32>, left: u32, right: u32) -> vec4<u32> {
    let x = v.x + v.w;
    let z = v.z + v.y;
    return vec4<u32>(x, turn(v.y, right) ^ z, z, turn(v.w, left) ^ x);
}

fn first_rounds(v: vec4<u32>) -> vec4<u32> {
    return odd(even(odd(even(v, 10u, 26u), 11u, 21u), 13u, 27u), 23u, 5u);
}

fn second_rounds(v: vec4<u32>) -> vec4<u32> {
    return odd(even(odd(even(v, 6u, 20u), 17u, 11u), 25u, 10u), 18u, 20u);
}

fn block(key: vec4<u32>, counter: vec4<u32>) -> vec4<u32> {
    let parity = 0x1bd11bdau ^ key.x ^ key.y ^ key.z ^ key.w;
    var v = first_rounds(counter + key);
    v = second_rounds(v + vec4<u32>(key.y, key.z, key.w, parity + 1u));
    v = first_rounds(v + vec4<u32>(key.z, key.w, parity, key.x + 2u));
    v = second_rounds(v + vec4<u32>(key.w, parity, key.x, key.y + 3u));
    v = first_rounds(v + vec4<u32>(parity, key.x, key.y, key.z + 4u));
    return v + vec4<u32>(key.x, key.y, key.z, key.w + 5u);
}

// The upper half of a signed product of 64 bits.
fn upper(a: i32, b: i32) -> i32 {
    let x = bitcast<u32>(a);
    let y = bitcast<u32>(b);
    let x_low = x & 0xffffu;
    let x_high = x >> 16u;
    let y_low = y & 0xffffu;
    let y_high = y >> 16u;
    let middle = x_high * y_low + ((x_low * y_low) >> 16u);
    let other = x_low * y_high + (middle & 0xffffu);
    var high = x_high * y_high + (middle >> 16u) + (other >> 16u);
    if (a < 0) {
        high -= y;
    }
    if (b < 0) {
        high -= x;
    }
    return bitcast<i32>(high);
}

// `value / 2^28`, rounded to nearest, ties to even, whatever the device's own conversion does.
fn to_float(value: i32) -> f32 {
    if (value == 0) {
        return 0.0;
    }
    let sign = bitcast<u32>(value) & 0x80000000u;
    let magnitude = bitcast<u32>(abs(value));
    let zeros = countLeadingZeros(magnitude);
    let left = magnitude << zeros;
    // 24 bits stay, of which the first is understood.
    let rest = left & 0xffu;
    var kept = left >> 8u;
    if (rest > 0x80u || (rest == 0x80u && (kept & 1u) == 1u)) {
        kept++;
    }
    // A carry into the 25th bit moves on into the exponent, as it should.
    let exponent = 127u + 31u - zeros - 28u;
    return bitcast<f32>(sign | (((exponent - 1u) << 23u) + kept));
}

fn normal(bits: u32) -> f32 {
    let tail = bits | 1u;
    let octave = countLeadingZeros(tail);
    let mantissa = tail << octave;
    let half = (mantissa >> 30u) & 1u;
    let position = bitcast<i32>((mantissa << 2u) ^ 0x80000000u);
    let piece = (octave * 2u + half) * 6u;
    var value = pieces[piece + 5u];
    for (var i = 5u; i > 0u; i--) {
        value = pieces[piece + i - 1u] + upper(value, position);
    }
    if ((bits & 1u) == 1u) {
        value = -value;
    }
    return to_float(value);
}

@compute @workgroup_size(256)
fn noise(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) local: u32,
) {
    let blocks = (p.features + 3u) / 4u;
    let i = (group.y * groups.x + group.x) * 256u + local;
    if (i >= p.rows * blocks) {
        return;
    }
    let row = i / blocks;
    let index = i % blocks;
    let stream = p.first_low + row;
    var stream_high = p.first_high;
    if (stream < row) {
        stream_high++;
    }
    let bits = block(vec4<u32>(p.seed_low, p.seed_high, stream, stream_high), vec4<u32>(index, 0u, p.draw, 0u));
    for (var j = 0u; j < 4u; j++) {
        let feature = index * 4u + j;
        if (feature < p.features) {
            out[row * p.features + feature] = normal(bits[j]);
        }
    }
}
