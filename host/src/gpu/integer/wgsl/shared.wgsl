// What the kernels of an artifact share: four samples are a lane, so that a value is a `vec4<i32>`; 16-bit numbers of four samples are two words.
// Neighbouring lanes lie side by side: element `e` of lane `l` is at `e * stride + l`. A workgroup is 32 lanes of one class.

const LANES: u32 = 32u;

@group(0) @binding(1) var<storage, read> tables: array<u32>;
// [elements, stride]
@group(0) @binding(2) var<storage, read_write> arena: array<vec2<u32>>;
// [stride] low words of streams, [stride] high words, then the class of each workgroup.
@group(0) @binding(3) var<storage, read> samples: array<vec4<u32>>;
// [1 + history, features, stride]: the state, then the estimates.
@group(0) @binding(4) var<storage, read_write> states: array<vec2<u32>>;
// 32-bit numbers of whichever kernel is running.
@group(0) @binding(5) var<storage, read_write> scratch: array<vec4<i32>>;

// Where a call's parameters are among those that the binding shows: first, always. That this is computed keeps Mesa's driver in software from compiling
// a kernel anew for every loop bound that it finds at a place that it knows.
fn first_of(group: vec3<u32>) -> u32 {
    return group.z >> 16u;
}

// What a workgroup is to do: `x` and `z` count jobs, `y` groups of lanes.
fn job_of(group: vec3<u32>, groups: vec3<u32>) -> u32 {
    return group.z * groups.x + group.x;
}

fn lane_of(group: vec3<u32>, local: u32) -> u32 {
    return group.y * LANES + local;
}

fn class_of(group: vec3<u32>, stride: u32) -> u32 {
    return samples[2u * stride + group.y].x;
}

fn unpack(words: vec2<u32>) -> vec4<i32> {
    let low = bitcast<vec2<i32>>(words << vec2<u32>(16u)) >> vec2<u32>(16u);
    let high = bitcast<vec2<i32>>(words) >> vec2<u32>(16u);
    return vec4<i32>(low.x, high.x, low.y, high.y);
}

fn pack(values: vec4<i32>) -> vec2<u32> {
    let words = bitcast<vec4<u32>>(values);
    return vec2<u32>((words.x & 0xffffu) | (words.y << 16u), (words.z & 0xffffu) | (words.w << 16u));
}

fn saturate_16(values: vec4<i32>) -> vec4<i32> {
    return clamp(values, vec4<i32>(-32768), vec4<i32>(32767));
}

// The low or the high half of a word, with its sign.
fn half_of(word: u32, which: u32) -> i32 {
    return bitcast<i32>(word << (16u - 16u * which)) >> 16u;
}

// `(a m + 2^31) >> 32` for `m` below 2^31, by products of 16 bits: with `a = 2^16 ah + al` and `m = 2^16 mh + ml`, neither `ah ml` nor `al mh` and what
// is carried to it leaves 32 bits.
fn high_each(a: vec4<i32>, m: vec4<u32>) -> vec4<i32> {
    let a_high = a >> vec4<u32>(16u);
    let a_low = bitcast<vec4<u32>>(a) & vec4<u32>(0xffffu);
    let m_high = m >> vec4<u32>(16u);
    let m_low = m & vec4<u32>(0xffffu);
    let cross = a_high * bitcast<vec4<i32>>(m_low);
    let carried = a_low * m_high + ((a_low * m_low) >> vec4<u32>(16u)) + (bitcast<vec4<u32>>(cross) & vec4<u32>(0xffffu)) + 0x8000u;
    return a_high * bitcast<vec4<i32>>(m_high) + (cross >> vec4<u32>(16u)) + bitcast<vec4<i32>>(carried >> vec4<u32>(16u));
}

fn high(a: vec4<i32>, m: u32) -> vec4<i32> {
    return high_each(a, vec4<u32>(m));
}

// The same of single numbers.
fn high_one(a: i32, m: u32) -> i32 {
    return high_each(vec4<i32>(a), vec4<u32>(m)).x;
}

fn requantise(a: vec4<i32>, m: u32) -> vec4<i32> {
    return saturate_16(high(a, m));
}

// A number through an activation table, whose word `k` holds entries `k` and `k + 1`.
fn activate_one(table_at: u32, z: i32) -> i32 {
    let place = bitcast<u32>(z + 32768);
    let entries = tables[table_at + (place >> 8u)];
    let here = half_of(entries, 0u);
    let next = half_of(entries, 1u);
    return here + (((next - here) * bitcast<i32>(place & 255u) + 128) >> 8u);
}

fn activate(table_at: u32, z: vec4<i32>) -> vec4<i32> {
    return vec4<i32>(
        activate_one(table_at, z.x),
        activate_one(table_at, z.y),
        activate_one(table_at, z.z),
        activate_one(table_at, z.w),
    );
}

// Four rows' weights, a byte each, in a word.
fn weights_of(word: u32) -> vec4<i32> {
    return bitcast<vec4<i32>>(vec4<u32>(word) << vec4<u32>(24u, 16u, 8u, 0u)) >> vec4<u32>(24u);
}

// Sums of eight rows: variables of their own rather than an array, which compilers would keep in memory.
struct Eight {
    a: vec4<i32>,
    b: vec4<i32>,
    c: vec4<i32>,
    d: vec4<i32>,
    e: vec4<i32>,
    f: vec4<i32>,
    g: vec4<i32>,
    h: vec4<i32>,
}

// Adds a value times the eight rows' weights, in two words.
fn include_value(sums: Eight, at: u32, value: vec4<i32>) -> Eight {
    let one = weights_of(tables[at]);
    let two = weights_of(tables[at + 1u]);
    return Eight(
        sums.a + one.x * value,
        sums.b + one.y * value,
        sums.c + one.z * value,
        sums.d + one.w * value,
        sums.e + two.x * value,
        sums.f + two.y * value,
        sums.g + two.z * value,
        sums.h + two.w * value,
    );
}

fn array_of(sums: Eight) -> array<vec4<i32>, 8> {
    return array<vec4<i32>, 8>(sums.a, sums.b, sums.c, sums.d, sums.e, sums.f, sums.g, sums.h);
}

// The upper half of products without signs.
fn upper(a: vec4<u32>, b: vec4<u32>) -> vec4<u32> {
    let a_low = a & vec4<u32>(0xffffu);
    let a_high = a >> vec4<u32>(16u);
    let b_low = b & vec4<u32>(0xffffu);
    let b_high = b >> vec4<u32>(16u);
    let middle = a_high * b_low + ((a_low * b_low) >> vec4<u32>(16u));
    let other = a_low * b_high + (middle & vec4<u32>(0xffffu));
    return a_high * b_high + (middle >> vec4<u32>(16u)) + (other >> vec4<u32>(16u));
}

// The upper half of products with signs.
fn upper_signed(a: vec4<i32>, b: vec4<i32>) -> vec4<i32> {
    let without = upper(bitcast<vec4<u32>>(a), bitcast<vec4<u32>>(b));
    return bitcast<vec4<i32>>(without) - ((a >> vec4<u32>(31u)) & b) - ((b >> vec4<u32>(31u)) & a);
}
