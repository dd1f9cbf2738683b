/* Inner products of updates with the updates before them, in double precision: see spectrum/band.py, which calls this.
 *
 * Columns go by in blocks. Of a block every row is converted once, into a ring that stays in the second-level cache,
 * and products are formed tile by tile, NEW rows by OLD, whose sums stay in registers.
 */
#include <stdlib.h>
#include <string.h>

#include "tiles.h"

enum {
    BLOCK = 384,           /* Columns of a block: 24 rows take 74 KiB. */
    STRIDE = BLOCK + WIDE, /* No two rows start at the same set of the first-level cache. */
};

static long most(long a, long b)
{
    return a > b ? a : b;
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

/* The same as `tile` for one new row, in the same order, with OLD rows that are converted on the way: nothing is gained
 * by keeping what is read once. Their next blocks are asked for ahead.
 */
static void row(const double *new, const char *const old[OLD], long width, int bytes, double sums[OLD])
{
    vector total[OLD] = {0};
    long whole = width / WIDE * WIDE, k = 0;
    for (; k < whole; k += WIDE) {
        vector a = *(const vector *)(new + k);
#pragma GCC unroll 6
        for (int j = 0; j < OLD; j++) {
            const char *place = old[j] + k * bytes;
            __builtin_prefetch(place + BLOCK * bytes);
            total[j] += a * widened(place, bytes);
        }
    }
    if (k < width) {
        double rest[WIDE] __attribute__((aligned(sizeof(vector))));
        for (int j = 0; j < OLD; j++) {
            copy(old[j] + k * bytes, bytes, width - k, WIDE, rest);
            total[j] += *(const vector *)(new + k) * *(const vector *)rest;
        }
    }
    for (int j = 0; j < OLD; j++) {
        sums[j] = 0;
        for (int lane = 0; lane < WIDE; lane++)
            sums[j] += total[j][lane];
    }
}

/* `add_band` for one new row. */
static void add_row(const char *const *rows, long before, long lags, long begin, long end, int bytes, double *sums)
{
    double new[BLOCK] __attribute__((aligned(sizeof(vector))));
    for (long start = begin; start < end; start += BLOCK) {
        long width = least(BLOCK, end - start), padded = (width + WIDE - 1) / WIDE * WIDE;
        copy(rows[before] + start * bytes, bytes, width, padded, new);
        for (long at = most(0, before - lags + 1); at <= before; at += OLD) {
            const char *old[OLD];
            for (int j = 0; j < OLD; j++)
                old[j] = rows[least(at + j, before)] + start * bytes;
            double found[OLD];
            row(new, old, width, bytes, found);
            for (int j = 0; j < OLD && at + j <= before; j++)
                sums[before - (at + j)] += found[j];
        }
    }
}

/* Add to sums[t · lags + lag] the inner product, over columns begin..end, of row before + t with the row `lag` before
 * it, for each of `count` new rows behind `before` old ones. Rows hold numbers of 4 or 8 bytes, all of them alike.
 * Returns 0, or 1 where there is no memory.
 */
int add_band(const char *const *rows, long before, long count, long lags, long begin, long end, int bytes, double *sums)
{
    if (count == 1) {
        add_row(rows, before, lags, begin, end, bytes, sums);
        return 0;
    }
    long kept = lags + NEW, total = before + count;
    double *ring = aligned_alloc(sizeof(vector), kept * STRIDE * sizeof(double));
    if (!ring)
        return 1;
    for (long start = begin; start < end; start += BLOCK) {
        long width = least(BLOCK, end - start), padded = (width + WIDE - 1) / WIDE * WIDE;
        long copied = most(0, before - lags + 1);
        for (long row = before; row < total; row += NEW) {
            long last = least(row + NEW, total) - 1, first = most(0, row - lags + 1);
            for (; copied <= last; copied++)
                copy(rows[copied] + start * bytes, bytes, width, padded, ring + copied % kept * STRIDE);
            const double *new[NEW], *old[OLD];
            for (int i = 0; i < NEW; i++)
                new[i] = ring + least(row + i, last) % kept * STRIDE;
            /* With every tile comes one of the next NEW rows. */
            long soon = least(last + 1 + NEW, total);
            for (long at = first, next = last + 1; at <= last; at += OLD, next++) {
                const char *ahead = next < soon ? rows[next] + start * bytes : (const char *)new[0];
                for (int j = 0; j < OLD; j++)
                    old[j] = ring + least(at + j, last) % kept * STRIDE;
                double found[NEW][OLD];
                tile(new, old, padded, ahead, bytes, found);
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
