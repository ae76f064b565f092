// Runs the kernels' text on the processor, one thread after the other, for tests.rs: arguments come from standard input as they lie in memory, in
// the order in which they are taken here, and what kernels write goes to standard output.

#include "kernels.c"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take(void *to, size_t bytes) {
    if (fread(to, 1, bytes, stdin) != bytes) exit(1);
}

static void *taken(size_t bytes) {
    void *buffer = malloc(bytes + 1);
    if (!buffer) exit(1);
    take(buffer, bytes);
    return buffer;
}

static void give(const void *from, size_t bytes) {
    if (fwrite(from, 1, bytes, stdout) != bytes) exit(1);
}

#define TAKE(type, name) type name; take(&name, sizeof name)
// More threads than there is work, as in a grid of whole blocks.
#define RUN(threads, call) for (THREAD = 0; THREAD < (threads) + 100; THREAD++) call

static void noise(void) {
    TAKE(u64, rows); TAKE(u64, features); TAKE(u64, seed); TAKE(u64, stream); TAKE(u64, stream_step);
    TAKE(u32, draw); TAKE(u32, draw_step);
    float *out = calloc(rows * features + 1, sizeof *out);
    RUN(rows * ((features + 3) / 4), normal_noise(out, rows, features, seed, stream, stream_step, draw, draw_step));
    give(out, rows * features * sizeof *out);
}

static void step(void) {
    TAKE(u64, count); TAKE(double, keep); TAKE(u32, terms);
    float *own = taken(count * sizeof *own), *out = calloc(count + 1, sizeof *out), *t[6] = {0};
    double c[6] = {0};
    for (u32 i = 0; i < terms; i++) {
        take(&c[i], sizeof c[i]);
        t[i] = taken(count * sizeof **t);
    }
    RUN(count, combine(out, own, count, keep, terms, t[0], c[0], t[1], c[1], t[2], c[2], t[3], c[3], t[4], c[4], t[5], c[5]));
    give(out, count * sizeof *out);
}

static void update(void) {
    TAKE(u64, count); TAKE(u64, slots); TAKE(u64, few); TAKE(double, clip); TAKE(float, interval);
    float scaler[2], k[10], verdict[3] = {0};
    take(scaler, sizeof scaler);
    take(k, sizeof k);
    float *buffers[5];
    for (int i = 0; i < 5; i++) buffers[i] = taken(count * sizeof(float));
    double *sums = calloc(slots, sizeof *sums), *fewer = calloc(few, sizeof *fewer), total;
    float *gradient = buffers[1];
    // The gradients of two weights, one after the other.
    RUN(slots, add_squares(sums, slots, gradient, count / 3));
    RUN(slots, add_squares(sums, slots, gradient + count / 3, count - count / 3));
    RUN(few, fold(fewer, few, sums, slots));
    RUN(1, fold(&total, 1, fewer, few));
    RUN(1, judge_gradient(verdict, &total, clip, scaler, interval));
    RUN(count, adamw(buffers[0], gradient, buffers[2], buffers[3], buffers[4], count, verdict,
                     k[0], k[1], k[2], k[3], k[4], k[5], k[6], k[7], k[8], k[9]));
    give(verdict, sizeof verdict);
    give(scaler, sizeof scaler);
    for (int i = 0; i < 5; i++) give(buffers[i], count * sizeof(float));
}

int main(int count, char **arguments) {
    const char *name = count > 1 ? arguments[1] : "";
    if (!strcmp(name, "noise")) noise();
    else if (!strcmp(name, "step")) step();
    else if (!strcmp(name, "update")) update();
    else return 1;
    return 0;
}
