// This project's own kernels for NVIDIA GPUs.
//
// The host puts one line before this text, `#define PIECES_OF_CORE {...}`: the table of core/src/normal.rs. Every kernel is a function of its
// thread's number alone and shares nothing with other threads, so the same text is C as well: host/src/cuda/tests.rs compiles it for the
// processor, runs the threads one after the other and compares every bit with core's and the fused operators'. Arithmetic is written as
// operations that are rounded one by one, since a fused multiply-add would give other bits.

typedef unsigned int u32;
typedef unsigned long long u64;

#ifdef __CUDACC__
#define KERNEL extern "C" __global__ void
#define FUNCTION static __device__ __forceinline__
#define TABLE static __device__ const
#define THREAD ((u64)blockIdx.x * blockDim.x + threadIdx.x)
#define LEADING_ZEROS(x) ((u32)__clz((int)(x)))
#define ADD(a, b) __dadd_rn(a, b)
#define MULTIPLY(a, b) __dmul_rn(a, b)
#define ADD_F(a, b) __fadd_rn(a, b)
#define SUBTRACT_F(a, b) __fsub_rn(a, b)
#define MULTIPLY_F(a, b) __fmul_rn(a, b)
#define DIVIDE_F(a, b) __fdiv_rn(a, b)
#define ROOT_F(a) __fsqrt_rn(a)
#define ROOT(a) __dsqrt_rn(a)
#else
#include <math.h>
#define KERNEL void
#define FUNCTION static inline
#define TABLE static const
static u64 THREAD;
#define LEADING_ZEROS(x) ((u32)__builtin_clz(x))
#define ADD(a, b) ((a) + (b))
#define MULTIPLY(a, b) ((a) * (b))
#define ADD_F(a, b) ((a) + (b))
#define SUBTRACT_F(a, b) ((a) - (b))
#define MULTIPLY_F(a, b) ((a) * (b))
#define DIVIDE_F(a, b) ((a) / (b))
#define ROOT_F(a) sqrtf(a)
#define ROOT(a) sqrt(a)
#endif

// ---- Noise, as of core/src/noise.rs.

TABLE u32 ROTATIONS[8][2] = {{10, 26}, {11, 21}, {13, 27}, {23, 5}, {6, 20}, {17, 11}, {25, 10}, {18, 20}};
TABLE int PIECES[64][6] = PIECES_OF_CORE;

FUNCTION u32 rotated(u32 x, u32 bits) {
    return x << bits | x >> (32 - bits);
}

// The 20-round block function of Threefry-4x32, as of core/src/threefry.rs; the counter becomes the block.
FUNCTION void threefry(const u32 *key, u32 *c) {
    const u32 schedule[5] = {key[0], key[1], key[2], key[3], 0x1BD11BDAu ^ key[0] ^ key[1] ^ key[2] ^ key[3]};
    for (u32 i = 0; i < 4; i++) c[i] += schedule[i];
    for (u32 group = 0; group < 5; group++) {
        for (u32 round = 0; round < 4; round++) {
            const u32 *by = ROTATIONS[group % 2 * 4 + round];
            // Even rounds mix (a, b) and (c, d), odd rounds (a, d) and (c, b).
            const u32 first = round % 2 == 0 ? 1 : 3, second = 4 - first;
            c[0] += c[first];
            c[first] = rotated(c[first], by[0]) ^ c[0];
            c[2] += c[second];
            c[second] = rotated(c[second], by[1]) ^ c[2];
        }
        for (u32 i = 0; i < 4; i++) c[i] += schedule[(group + 1 + i) % 5];
        c[3] += group + 1;
    }
}

// A standard normal number times 2^28, as of core/src/normal.rs.
FUNCTION int normal_of(u32 bits) {
    const u32 tail = bits | 1u, octave = LEADING_ZEROS(tail), mantissa = tail << octave;
    const long long position = (int)(mantissa << 2 ^ 0x80000000u);
    const int *c = PIECES[octave * 2 + (mantissa >> 30 & 1u)];
    int magnitude = c[5];
    for (int i = 4; i >= 0; i--) magnitude = c[i] + (int)((magnitude * position) >> 32);
    return bits & 1u ? -magnitude : magnitude;
}

// Normal numbers, [rows, features]: row i is draw `draw + i draw_step` of the stream `stream + i stream_step` under a seed. A thread makes four.
KERNEL normal_noise(float *out, u64 rows, u64 features, u64 seed, u64 stream, u64 stream_step, u32 draw, u32 draw_step) {
    if (features == 0) return;
    const u64 blocks = (features + 3) / 4, row = THREAD / blocks, block = THREAD % blocks;
    if (row >= rows) return;
    const u64 own = stream + row * stream_step;
    const u32 key[4] = {(u32)seed, (u32)(seed >> 32), (u32)own, (u32)(own >> 32)};
    u32 bits[4] = {(u32)block, (u32)(block >> 32), draw + (u32)row * draw_step, 0};
    threefry(key, bits);
    for (u64 i = 0; i < 4 && 4 * block + i < features; i++) {
        out[row * features + 4 * block + i] = MULTIPLY_F((float)normal_of(bits[i]), 1.0f / 268435456.0f);
    }
}

// ---- A sampler's step: keep own + sum_i c_i t_i, summed in double precision and rounded once. Terms beyond `terms` are not read.

KERNEL combine(float *out, const float *own, u64 count, double keep, u32 terms,
               const float *t0, double c0, const float *t1, double c1, const float *t2, double c2,
               const float *t3, double c3, const float *t4, double c4, const float *t5, double c5) {
    if (THREAD >= count) return;
    const float *t[6] = {t0, t1, t2, t3, t4, t5};
    const double c[6] = {c0, c1, c2, c3, c4, c5};
    double sum = MULTIPLY(keep, (double)own[THREAD]);
    for (u32 i = 0; i < 6; i++) {
        if (i < terms) sum = ADD(sum, MULTIPLY(c[i], (double)t[i][THREAD]));
    }
    out[THREAD] = (float)sum;
}

// ---- The optimiser, as of host/src/optimiser.rs.

// sums[s] <- sums[s] + the squares of every slots-th value from number s on.
KERNEL add_squares(double *sums, u64 slots, const float *values, u64 count) {
    if (THREAD >= slots) return;
    double sum = sums[THREAD];
    for (u64 i = THREAD; i < count; i += slots) sum = ADD(sum, MULTIPLY((double)values[i], (double)values[i]));
    sums[THREAD] = sum;
}

// sums[s] <- the sum of every slots-th value from number s on.
KERNEL fold(double *sums, u64 slots, const double *values, u64 count) {
    if (THREAD >= slots) return;
    double sum = 0.0;
    for (u64 i = THREAD; i < count; i += slots) sum = ADD(sum, values[i]);
    sums[THREAD] = sum;
}

// What gradients are to be multiplied by, from the sum of their squares: verdict = [factor, whether the update is made, norm]. `scaler` is
// [scale of the loss, updates since it changed]; with a growth interval it halves where the norm is not finite, and doubles after that many
// updates. One thread.
KERNEL judge_gradient(float *verdict, const double *squares, double gradient_clip, float *scaler, float growth_interval) {
    if (THREAD >= 1) return;
    const double scale = (double)scaler[0], norm = ROOT(squares[0]) / scale;
    const int is_finite = norm <= 1.7976931348623157e308;
    const double clip = gradient_clip > 0.0 && norm > gradient_clip ? gradient_clip / norm : 1.0;
    verdict[0] = (float)(clip / scale);
    verdict[1] = is_finite || growth_interval == 0.0f ? 1.0f : 0.0f;
    verdict[2] = (float)norm;
    if (growth_interval == 0.0f) return;
    if (!is_finite) {
        scaler[0] = scaler[0] * 0.5f;
        scaler[1] = 0.0f;
    } else if (scaler[1] + 1.0f >= growth_interval) {
        scaler[0] = scaler[0] * 2.0f;
        scaler[1] = 0.0f;
    } else {
        scaler[1] = scaler[1] + 1.0f;
    }
}

// One update of a weight, of the two means of its gradient, and of its average.
KERNEL adamw(float *weight, const float *gradient, float *mean, float *square, float *average, u64 count, const float *verdict,
             float beta1, float fresh1, float beta2, float fresh2, float epsilon, float shrink, float step, float square_scale,
             float keep, float take) {
    if (THREAD >= count || verdict[1] == 0.0f) return;
    const float g = MULTIPLY_F(gradient[THREAD], verdict[0]);
    const float m = ADD_F(MULTIPLY_F(beta1, mean[THREAD]), MULTIPLY_F(fresh1, g));
    const float s = ADD_F(MULTIPLY_F(beta2, square[THREAD]), MULTIPLY_F(MULTIPLY_F(fresh2, g), g));
    const float deviation = ADD_F(ROOT_F(MULTIPLY_F(s, square_scale)), epsilon);
    const float w = SUBTRACT_F(MULTIPLY_F(shrink, weight[THREAD]), DIVIDE_F(MULTIPLY_F(step, m), deviation));
    mean[THREAD] = m;
    square[THREAD] = s;
    weight[THREAD] = w;
    average[THREAD] = ADD_F(MULTIPLY_F(keep, average[THREAD]), MULTIPLY_F(take, w));
}
