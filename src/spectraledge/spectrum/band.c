/* Inner products of updates with the updates before them, in double precision: see band.py, which calls this.
 *
 * Columns go by in blocks. Of a block every row is converted once, into a ring that stays in the second-level cache,
 * and products are formed tile by tile, NEW rows by OLD, whose sums stay in registers.
 */
#include <stdlib.h>
#include <string.h>

#if defined(__AVX512F__)
enum { WIDE = 8 };
#elif defined(__AVX2__)
enum { WIDE = 4 };
#else
enum { WIDE = 2 };
#endif

typedef double vector __attribute__((vector_size(WIDE * sizeof(double))));

enum {
    NEW = 3, /* NEW · OLD sums and NEW + 1 factors are the 16 registers of AVX2. */
    OLD = 4,
    LINE = 64,
    RING = 24576, /* Numbers in the ring, about: 192 KiB. */
};

static long least(long a, long b) { return a < b ? a : b; }
static long most(long a, long b) { return a > b ? a : b; }

/* Inner products of NEW rows with OLD rows of `width` numbers, a multiple of WIDE. */
static void tile(const double *const new[NEW], const double *const old[OLD], long width, double sums[NEW][OLD])
{
    vector total[NEW][OLD] = {0};
    const double *x0 = new[0], *x1 = new[1], *x2 = new[2];
    const double *y[OLD] = {old[0], old[1], old[2], old[3]};
    for (long k = 0; k < width; k += WIDE) {
        vector a0 = *(const vector *)(x0 + k), a1 = *(const vector *)(x1 + k), a2 = *(const vector *)(x2 + k);
#pragma GCC unroll 4
        for (int j = 0; j < OLD; j++) {
            vector b = *(const vector *)(y[j] + k);
            total[0][j] += a0 * b;
            total[1][j] += a1 * b;
            total[2][j] += a2 * b;
        }
    }
    for (int i = 0; i < NEW; i++)
        for (int j = 0; j < OLD; j++) {
            sums[i][j] = 0;
            for (int lane = 0; lane < WIDE; lane++)
                sums[i][j] += total[i][j][lane];
        }
}

/* Copy `width` numbers of 4 or 8 bytes as doubles, and fill up to `padded` with zeros. */
static void copy(const char *from, int bytes, long width, long padded, double *to)
{
    if (bytes == sizeof(double))
        memcpy(to, from, width * sizeof(double));
    else
        for (long k = 0; k < width; k++)
            to[k] = ((const float *)from)[k];
    memset(to + width, 0, (padded - width) * sizeof(double));
}

/* Add to sums[t · lags + lag] the inner product, over columns begin..end, of row before + t with the row `lag` before
 * it, for each of `count` new rows behind `before` old ones. Rows hold numbers of 4 or 8 bytes, all of them alike.
 * Returns 0, or 1 where there is no memory.
 */
int add_band(const char *const *rows, long before, long count, long lags, long begin, long end, int bytes, double *sums)
{
    long kept = lags + NEW, total = before + count;
    long block = least(most(RING / kept / LINE * LINE, 2 * LINE), 32 * LINE);
    long stride = block + WIDE; /* No two rows start at the same set of the first-level cache. */
    double *ring = aligned_alloc(LINE, (kept * stride * sizeof(double) + LINE - 1) / LINE * LINE);
    if (!ring)
        return 1;
    for (long start = begin; start < end; start += block) {
        long width = least(block, end - start), padded = (width + WIDE - 1) / WIDE * WIDE;
        long lines = (width * bytes + LINE - 1) / LINE;
        long copied = most(0, before - lags + 1);
        for (long row = before; row < total; row += NEW) {
            long last = least(row + NEW, total) - 1, first = most(0, row - lags + 1);
            for (; copied <= last; copied++)
                copy(rows[copied] + start * bytes, bytes, width, padded, ring + copied % kept * stride);
            const double *new[NEW], *old[OLD];
            for (int i = 0; i < NEW; i++)
                new[i] = ring + least(row + i, last) % kept * stride;
            /* The next rows come from memory while these are multiplied, a share of them with every tile. */
            long fetched = 0, tiles = (last - first) / OLD + 1;
            for (long at = first; at <= last; at += OLD) {
                for (long share = NEW * lines * ((at - first) / OLD + 1) / tiles; fetched < share; fetched++) {
                    long next = last + 1 + fetched / lines;
                    if (next < total)
                        __builtin_prefetch(rows[next] + start * bytes + fetched % lines * LINE);
                }
                for (int j = 0; j < OLD; j++)
                    old[j] = ring + least(at + j, last) % kept * stride;
                double found[NEW][OLD];
                tile(new, old, padded, found);
                for (int i = 0; i < NEW; i++)
                    for (int j = 0; j < OLD; j++) {
                        long lag = row + i - (at + j);
                        if (row + i <= last && lag >= 0 && lag < lags)
                            sums[(row + i - before) * lags + lag] += found[i][j];
                    }
            }
        }
    }
    free(ring);
    return 0;
}
