// Numbers of 64 bits, in two's complement: what is too large for an `i32` on the way to one that fits.

struct Wide {
    low: vec4<u32>,
    high: vec4<u32>,
}

fn wide(a: vec4<i32>) -> Wide {
    return Wide(bitcast<vec4<u32>>(a), bitcast<vec4<u32>>(a >> vec4<u32>(31u)));
}

fn wide_add(a: Wide, b: Wide) -> Wide {
    let low = a.low + b.low;
    return Wide(low, a.high + b.high + select(vec4<u32>(0u), vec4<u32>(1u), low < a.low));
}

fn wide_subtract(a: Wide, b: Wide) -> Wide {
    return Wide(a.low - b.low, a.high - b.high - select(vec4<u32>(0u), vec4<u32>(1u), a.low < b.low));
}

// Exactly, of numbers with signs.
fn wide_product(a: vec4<i32>, b: vec4<i32>) -> Wide {
    return Wide(bitcast<vec4<u32>>(a * b), bitcast<vec4<u32>>(upper_signed(a, b)));
}

// Modulo 2^64, whether `a` is meant with a sign or not.
fn wide_times(a: Wide, m: u32) -> Wide {
    return Wide(a.low * m, a.high * m + upper(a.low, vec4<u32>(m)));
}

// `sum_high 2^16 + sum_low`, of sums of upper and lower halves.
fn wide_of_halves(sum_high: vec4<u32>, sum_low: vec4<u32>) -> Wide {
    return wide_add(Wide(sum_high << vec4<u32>(16u), sum_high >> vec4<u32>(16u)), Wide(sum_low, vec4<u32>(0u)));
}

// The shift right that keeps the sign, by less than 64.
fn wide_shift(a: Wide, by: u32) -> Wide {
    let signed = bitcast<vec4<i32>>(a.high);
    if (by == 0u) {
        return a;
    }
    if (by < 32u) {
        let low = (a.low >> vec4<u32>(by)) | (a.high << vec4<u32>(32u - by));
        return Wide(low, bitcast<vec4<u32>>(signed >> vec4<u32>(by)));
    }
    let sign = bitcast<vec4<u32>>(signed >> vec4<u32>(31u));
    return Wide(bitcast<vec4<u32>>(signed >> vec4<u32>(by - 32u)), sign);
}

// The nearest number of 32 bits.
fn wide_saturate(a: Wide) -> vec4<i32> {
    let low = bitcast<vec4<i32>>(a.low);
    let high = bitcast<vec4<i32>>(a.high);
    let fits = high == (low >> vec4<u32>(31u));
    let ends = (high >> vec4<u32>(31u)) ^ vec4<i32>(0x7fffffff);
    return select(ends, low, fits);
}
