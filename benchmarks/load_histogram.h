/* A histogram of nanoseconds: 32 steps an octave, so a percentile is right within 3 %. */
#ifndef LOAD_HISTOGRAM_H
#define LOAD_HISTOGRAM_H

#include <stdint.h>
#include <stdio.h>

#define STEPS 32
#define CELLS (64 * STEPS)

struct histogram {
    uint64_t cells[CELLS];
    uint64_t count, max;
};

static inline unsigned histogram_cell(uint64_t ns) {
    if (ns < STEPS) return (unsigned)ns;
    unsigned octave = 63u - (unsigned)__builtin_clzll(ns);
    return (octave - 4) * STEPS + (unsigned)((ns >> (octave - 5)) & (STEPS - 1));
}

static inline uint64_t histogram_top(unsigned cell) { /* the largest value that falls into the cell */
    if (cell < STEPS) return cell;
    unsigned octave = cell / STEPS + 4;
    return ((uint64_t)(STEPS + cell % STEPS + 1) << (octave - 5)) - 1;
}

static inline void histogram_add(struct histogram *h, uint64_t ns, uint64_t times) {
    h->cells[histogram_cell(ns)] += times;
    h->count += times;
    if (ns > h->max) h->max = ns;
}

static inline double histogram_percentile(const struct histogram *h, double share) { /* in microseconds */
    uint64_t need = (uint64_t)(share * (double)h->count), seen = 0;
    for (unsigned cell = 0; cell < CELLS; cell++) {
        seen += h->cells[cell];
        if (seen > need) {
            uint64_t top = histogram_top(cell);
            return (double)(top < h->max ? top : h->max) / 1000.0;
        }
    }
    return (double)h->max / 1000.0;
}

static inline void histogram_print(const struct histogram *h) {
    printf("{\"count\": %llu, \"p50\": %.1f, \"p90\": %.1f, \"p99\": %.1f, \"p999\": %.1f, \"max\": %.1f}",
           (unsigned long long)h->count, histogram_percentile(h, 0.50), histogram_percentile(h, 0.90),
           histogram_percentile(h, 0.99), histogram_percentile(h, 0.999), (double)h->max / 1000.0);
}

#endif
