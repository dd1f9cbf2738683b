/* Grams of surrogates with random phases, in double precision: see spectrum/noise.py, which calls this.
 *
 * Random numbers of a surrogate are drawn in PyTorch's order. Then columns go by in blocks: of a block, cosines and
 * sines are formed and multiplied with each other while they are in the cache.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tiles.h"

enum {
    BLOCK = 256,           /* Columns of a block: 20 rows take 40 KiB. */
    STRIDE = BLOCK + WIDE, /* No two rows start at the same set of the first-level cache. */
};

enum { WORDS = 624, MIDDLE = 397 }; /* Of a Mersenne Twister: words of its state, and how far a word reaches ahead. */

typedef uint64_t bits __attribute__((vector_size(sizeof(vector))));
typedef uint64_t word_pairs __attribute__((vector_size(sizeof(vector)), aligned(sizeof(uint32_t)), may_alias));
typedef uint32_t words __attribute__((vector_size(sizeof(vector) / 2), aligned(sizeof(uint32_t))));

/* PyTorch's generator on a CPU as torch.Generator.get_state gives it, up to what it keeps for normal numbers. `left` is
 * one more than the words that are left, and 1 before the first word as well.
 */
struct generator {
    uint64_t seed;
    int32_t left, seeded;
    uint64_t next, state[WORDS];
};

struct twister {
    uint32_t state[WORDS];
    long next;
};

static inline uint32_t twisted(uint32_t first, uint32_t second, uint32_t ahead)
{
    uint32_t both = (first & 0x80000000) | (second & 0x7fffffff);
    return ahead ^ both >> 1 ^ (-(second & 1) & 0x9908b0df);
}

static void twist(uint32_t *state)
{
    for (int k = 0; k < WORDS - MIDDLE; k++)
        state[k] = twisted(state[k], state[k + 1], state[k + MIDDLE]);
    for (int k = WORDS - MIDDLE; k < WORDS - 1; k++)
        state[k] = twisted(state[k], state[k + 1], state[k + MIDDLE - WORDS]);
    state[WORDS - 1] = twisted(state[WORDS - 1], state[0], state[MIDDLE - 1]);
}

static void draw(struct twister *from, long count, uint32_t *restrict to)
{
    while (count > 0) {
        if (from->next == WORDS) {
            twist(from->state);
            from->next = 0;
        }
        const uint32_t *state = from->state + from->next;
        long part = least(count, WORDS - from->next);
        for (long k = 0; k < part; k++) {
            uint32_t word = state[k];
            word ^= word >> 11;
            word ^= word << 7 & 0x9d2c5680;
            word ^= word << 15 & 0xefc60000;
            to[k] = word ^ word >> 18;
        }
        from->next += part;
        to += part;
        count -= part;
    }
}

/* Cosine and sine of 2πu, where u is the lower 53 bits over 2⁵³, as torch.rand makes them of two words. The quarter
 * turn that is nearest is in two bits of 4u, exactly, and the rest r in [−1/2, 1/2) is what the others are. Polynomials
 * interpolate sin(πr/2)/r and cos(πr/2) at Chebyshev's points in r², to 1e-16.
 */
static inline void turn(bits random, vector *cosine, vector *sine)
{
    const uint64_t quarter = (uint64_t)1 << 51, sign = (uint64_t)1 << 63, two = (uint64_t)1 << 62;
    bits turns = random + quarter / 2;
    vector rest = (vector)((turns & (quarter - 1)) | two) - 2.5, square = rest * rest;
    vector s = 5.633933781537854e-08 * square - 3.59864335298231e-06;
    s = s * square + 0.0001604411507421909;
    s = s * square - 0.004681754132340976;
    s = s * square + 0.07969262624604301;
    s = s * square - 0.6459640975062443;
    s = (s * square + 1.5707963267948966) * rest;
    vector c = 4.6552961874867623e-07 * square - 2.520013526428479e-05;
    c = c * square + 0.000919259950041661;
    c = c * square - 0.02086348073494657;
    c = c * square + 0.25366950789986475;
    c = c * square - 1.2337005501361513;
    c = c * square + 1.0;
    bits odd = -(turns >> 51 & 1), exchanged = ((bits)c ^ (bits)s) & odd;
    *cosine = (vector)((bits)c ^ exchanged ^ ((turns ^ turns << 1) << 11 & sign));
    *sine = (vector)((bits)s ^ exchanged ^ (turns << 11 & sign));
}

/* Turn `width` amplitudes by pairs of words, the first of which is the upper one. */
static void turn_row(const double *amplitude, const uint32_t *random, long width, double *cosines, double *sines)
{
    for (long k = 0; k < width; k += WIDE) {
        bits pair = *(const word_pairs *)(random + 2 * k);
        vector size = *(const vector *)(amplitude + k), cosine, sine;
        turn(pair << 32 | pair >> 32, &cosine, &sine);
        *(vector *)(cosines + k) = size * cosine;
        *(vector *)(sines + k) = size * sine;
    }
}

/* Change the sign where a word is even. */
static void sign_row(const double *from, const uint32_t *random, long width, double *to)
{
    for (long k = 0; k < width; k += WIDE) {
        bits even = __builtin_convertvector(~*(const words *)(random + k) & 1, bits);
        vector number = *(const vector *)(from + k);
        *(vector *)(to + k) = (vector)((bits)number ^ even << 63);
    }
}

/* Add the lower triangle of the products of `count` rows with each other. */
static void add_products(const double *const *rows, long count, long width, double *gram)
{
    for (long row = 0; row < count; row += NEW) {
        long last = least(row + NEW, count) - 1;
        const double *new[NEW], *old[OLD];
        for (int i = 0; i < NEW; i++)
            new[i] = rows[least(row + i, last)];
        for (long at = 0; at <= last; at += OLD) {
            for (int j = 0; j < OLD; j++)
                old[j] = rows[least(at + j, last)];
            double found[NEW][OLD];
            tile(new, old, width, (const char *)new[0], 0, found);
            for (int i = 0; i < NEW && row + i <= last; i++)
                for (int j = 0; j < OLD && at + j <= row + i; j++)
                    gram[(row + i) * count + at + j] += found[i][j];
        }
    }
}

/* Rows that surrogates have in common, `stride` apart, zeros at the end: amplitudes of pairs, and what has no phase. */
static void keep_rows(const double *waves, long pairs, long alternating, long columns, long stride, double *rows)
{
    const double *cosines = waves + columns, *sines = cosines + pairs * columns, *last = sines + pairs * columns;
    memset(rows, 0, (pairs + 1 + alternating) * stride * sizeof(double));
    for (long p = 0; p < pairs; p++, cosines += columns, sines += columns, rows += stride)
        for (long k = 0; k < columns; k++)
            rows[k] = sqrt(cosines[k] * cosines[k] + sines[k] * sines[k]);
    memcpy(rows, waves, columns * sizeof(double));
    if (alternating)
        memcpy(rows + stride, last, columns * sizeof(double));
}

/* Add to each of `surrogates` Grams, width × width, that of waves whose phases are drawn. Waves are a constant row,
 * which stays, the rows of cosines, those of sines, and with an even width an alternating row, whose signs are drawn.
 * Returns 0, or 1 where there is no memory.
 */
int add_surrogates(const double *waves, long width, long columns, long surrogates, struct generator *generator,
                   double *grams)
{
    if (columns == 0)
        return 0;
    long pairs = (width - 1) / 2, alternating = width - 1 - 2 * pairs, drawn = columns * (2 * pairs + alternating);
    long stride = (columns + WIDE - 1) / WIDE * WIDE, kept = (pairs + 1 + alternating) * stride;
    /* Two registers of words more: what is read beyond the last column multiplies zeros. */
    long numbers = kept + (width - 1) * STRIDE, registers = numbers / WIDE + drawn / (2 * WIDE) + 2;
    double *amplitudes = aligned_alloc(sizeof(vector), registers * sizeof(vector));
    const double **rows = malloc(width * sizeof(double *));
    if (!amplitudes || !rows) {
        free(amplitudes);
        free(rows);
        return 1;
    }
    double *constant = amplitudes + pairs * stride, *last = constant + stride, *block = amplitudes + kept;
    uint32_t *random = (uint32_t *)(amplitudes + numbers);
    keep_rows(waves, pairs, alternating, columns, stride, amplitudes);
    struct twister twister = {.next = generator->left == 1 ? WORDS : (long)generator->next};
    for (int k = 0; k < WORDS; k++)
        twister.state[k] = generator->state[k];
    for (long i = 1; i < width; i++)
        rows[i] = block + (i - 1) * STRIDE;
    for (long s = 0; s < surrogates; s++, grams += width * width) {
        draw(&twister, drawn, random);
        for (long start = 0; start < stride; start += BLOCK) {
            long part = least(BLOCK, stride - start);
            rows[0] = constant + start;
            for (long p = 0; p < pairs; p++) {
                const uint32_t *turns = random + 2 * (p * columns + start);
                double *cosines = block + p * STRIDE, *sines = block + (pairs + p) * STRIDE;
                turn_row(amplitudes + p * stride + start, turns, part, cosines, sines);
            }
            if (alternating)
                sign_row(last + start, random + 2 * pairs * columns + start, part, block + 2 * pairs * STRIDE);
            add_products(rows, width, part, grams);
        }
        for (long i = 0; i < width; i++)
            for (long j = 0; j < i; j++)
                grams[j * width + i] = grams[i * width + j];
    }
    for (int k = 0; k < WORDS; k++)
        generator->state[k] = twister.state[k];
    generator->next = twister.next;
    generator->left = WORDS + 1 - twister.next;
    free(amplitudes);
    free(rows);
    return 0;
}
