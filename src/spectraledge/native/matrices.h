/* Products of small matrices that are in the cache, in the precision REAL, and memory for them: a matrix of weights is
 * laid out as panels once, and tiles of a product are summed in registers, whatever the strides of the one on the left.
 */
#include <string.h>

#if defined(__AVX512F__)
enum { REGISTER = 64, TALL = 12 };
#elif defined(__AVX2__)
enum { REGISTER = 32, TALL = 6 };
#else
enum { REGISTER = 16, TALL = 6 };
#endif
enum { LANES = REGISTER / sizeof(REAL), ACROSS = 2 * LANES, SHORT = 4, LINE = 64 /* Bytes of a cache's line. */ };

/* What many places call is there once: a copy in each of them takes the compiler twice as long, and runs no faster. */
#define ONCE static __attribute__((noinline, noclone, unused))

typedef REAL lanes __attribute__((vector_size(REGISTER)));
typedef REAL loose __attribute__((vector_size(REGISTER), aligned(sizeof(REAL))));

/* How many numbers the panels of a depth × width matrix are. */
static inline long panel_size(long depth, long width)
{
    return depth * ((width + LANES - 1) / LANES * LANES);
}

/* Lay out a depth × width matrix, whose rows are `down` and columns `along` apart, as panels of two registers' width,
 * the last one of one where that is enough; zeros where it ends.
 */
ONCE void lay_out(const REAL *restrict matrix, long depth, long width, long down, long along, REAL *restrict panels)
{
    for (long left = 0; left < width; left += ACROSS, matrix += ACROSS * along) {
        long rest = width - left, wide = rest > LANES ? ACROSS : LANES, filled = rest < wide ? rest : wide;
        if (along == 1 && filled == ACROSS)
            for (long k = 0; k < depth; k++)
                /* A constant size: these are two registers. */
                memcpy(panels + k * ACROSS, matrix + k * down, ACROSS * sizeof(REAL));
        else if (along == 1)
            for (long k = 0; k < depth; k++)
                memcpy(panels + k * wide, matrix + k * down, filled * sizeof(REAL));
        else
            for (long k = 0; k < depth; k++)
                for (long j = 0; j < filled; j++)
                    panels[k * wide + j] = matrix[k * down + j * along];
        for (long k = 0; k < depth && filled < wide; k++)
            memset(panels + k * wide + filled, 0, (wide - filled) * sizeof(REAL));
        panels += depth * wide;
    }
}

/* A tile of a product; `rows` and `registers` are constants where this is called. */
static inline __attribute__((always_inline)) void tile(int rows, int registers, long depth, const REAL *left, long down,
                                                       long along, const REAL *panel, REAL *out, long stride, int add)
{
    lanes sums[TALL][2];
    /* What is added to may be far away: it comes while the sums are taken. */
#pragma GCC unroll 12
    for (int i = 0; i < rows && add; i++)
        for (int j = 0; j < registers * REGISTER; j += LINE)
            __builtin_prefetch((const char *)(out + i * stride) + j, 1);
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < registers; j++)
            sums[i][j] = (lanes){0};
    for (long k = 0; k < depth; k++, left += along, panel += registers * LANES) {
        lanes first = *(const loose *)panel, second = registers > 1 ? *(const loose *)(panel + LANES) : first;
#pragma GCC unroll 12
        for (int i = 0; i < rows; i++) {
            sums[i][0] += left[i * down] * first;
            if (registers > 1)
                sums[i][1] += left[i * down] * second;
        }
    }
#pragma GCC unroll 12
    for (int i = 0; i < rows; i++)
        for (int j = 0; j < registers; j++) {
            loose *place = (loose *)(out + i * stride + j * LANES);
            *place = add ? *place + sums[i][j] : sums[i][j];
        }
}

/* A panel's columns of a product. */
static inline __attribute__((always_inline)) void columns(int registers, long rows, long depth, const REAL *left,
                                                          long down, long along, const REAL *panel, REAL *out,
                                                          long stride, int add)
{
    long i = 0;
    /* Two short tiles take less time than a tall one and single rows. */
    for (; i + TALL <= rows && rows - i != 2 * SHORT; i += TALL)
        tile(TALL, registers, depth, left + i * down, down, along, panel, out + i * stride, stride, add);
    for (; i + SHORT <= rows; i += SHORT)
        tile(SHORT, registers, depth, left + i * down, down, along, panel, out + i * stride, stride, add);
    for (; i < rows; i++)
        tile(1, registers, depth, left + i * down, down, along, panel, out + i * stride, stride, add);
}

static inline void panel_columns(long registers, long rows, long depth, const REAL *left, long down, long along,
                                 const REAL *panel, REAL *out, long stride, int add)
{
    /* Each with the stride that is 1 as a constant. */
    if (registers > 1 && along == 1)
        columns(2, rows, depth, left, down, 1, panel, out, stride, add);
    else if (registers > 1)
        columns(2, rows, depth, left, 1, along, panel, out, stride, add);
    else if (along == 1)
        columns(1, rows, depth, left, down, 1, panel, out, stride, add);
    else
        columns(1, rows, depth, left, 1, along, panel, out, stride, add);
}

/* Set rows of `out`, which are `stride` apart, to left · matrix, or add that to them. Rows of `left`, rows × depth, are
 * `down` and columns `along` apart, one of which is 1; the matrix, depth × width, is laid out as panels, which pass
 * by a few rows at a time: these stay in the first-level cache.
 */
ONCE void multiply(long rows, long depth, long width, const REAL *left, long down, long along, const REAL *panels,
                   REAL *out, long stride, int add)
{
    enum { STRETCH = 4 * TALL };
    REAL edge[STRETCH * ACROSS];
    for (long top = 0; top < rows; top += STRETCH, left += STRETCH * down, out += STRETCH * stride) {
        long high = rows - top < STRETCH ? rows - top : STRETCH;
        const REAL *panel = panels;
        for (long from = 0; from < width; from += ACROSS) {
            long rest = width - from, registers = rest > LANES ? 2 : 1, wide = registers * LANES;
            if (rest >= wide)
                panel_columns(registers, high, depth, left, down, along, panel, out + from, stride, add);
            else {
                panel_columns(registers, high, depth, left, down, along, panel, edge, wide, 0);
                for (long i = 0; i < high; i++)
                    for (long j = 0; j < rest; j++) {
                        REAL *place = out + i * stride + from + j;
                        *place = add ? *place + edge[i * wide + j] : edge[i * wide + j];
                    }
            }
            panel += depth * wide;
        }
    }
}

/* Memory that is handed out in order; without a base it is only counted. */
struct arena {
    REAL *base;
    long used;
    int back; /* Whether there is to be room for the way back. */
};

ONCE REAL *room(struct arena *arena, long count)
{
    REAL *place = arena->base ? arena->base + arena->used : NULL;
    arena->used += (count + LANES - 1) / LANES * LANES;
    return place;
}

/* Send changes through the normalisation of rows, there or back, as the derivative is symmetric: from rows normalised,
 * and the inverse of what they were divided by. Sets rows of `out`, or adds to them.
 */
static inline __attribute__((always_inline)) void
through_normalisation(long rows, long width, const REAL *restrict change, const REAL *restrict normed,
                      const REAL *restrict inverse, REAL *restrict out, int add)
{
    for (long i = 0; i < rows; i++, change += width, normed += width, out += width) {
        REAL sum = 0, along = 0;
#pragma omp simd reduction(+ : sum, along)
        for (long k = 0; k < width; k++) {
            sum += change[k];
            along += change[k] * normed[k];
        }
        sum /= width;
        along /= width;
        for (long k = 0; k < width; k++)
            out[k] = (add ? out[k] : 0) + inverse[i] * (change[k] - sum - normed[k] * along);
    }
}
