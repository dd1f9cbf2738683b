/* Weighted sums of a table's rows, in double precision: see products.py, which calls these. */
#include <stdint.h>
#include <string.h>

#include "wide.h"

enum { VECTORS = 8, CHUNK = VECTORS * WIDE }; /* Sums of a chunk stay in registers. */

/* Sum, for each of `count` outputs of `width` numbers, `terms` rows of the table by their weights. */
void weighted_rows(const double *table, const int64_t *rows, const double *weights, long count, long terms, long width,
                   double *out)
{
    for (long i = 0; i < count; i++, rows += terms, weights += terms, out += width) {
        long column = 0;
        for (; column + CHUNK <= width; column += CHUNK) {
            vector sums[VECTORS] = {0};
            for (long k = 0; k < terms; k++) {
                const double *row = table + rows[k] * width + column;
#pragma GCC unroll 8
                for (int j = 0; j < VECTORS; j++)
                    sums[j] += weights[k] * *(const unaligned *)(row + j * WIDE);
            }
            for (int j = 0; j < VECTORS; j++)
                *(unaligned *)(out + column + j * WIDE) = sums[j];
        }
        for (; column < width; column++) {
            out[column] = 0;
            for (long k = 0; k < terms; k++)
                out[column] += weights[k] * table[rows[k] * width + column];
        }
    }
}

enum { OUTPUTS = 3, BLOCK = 256 }; /* OUTPUTS blocks of sums stay in the first-level cache. */

/* Sums of all `terms` rows of a table, `outputs` of them by as many rows of weights. Numbers of the table, and of what comes
 * out, have 4 or 8 bytes and are rounded to that once. Of a block every row is read in one piece, as rows whose distance is
 * a power of two share their places in the cache.
 */
void combined_rows(const char *table, const double *weights, long terms, long outputs, long width, int bytes, char *out)
{
    vector sums[OUTPUTS][BLOCK / WIDE];
    for (long start = 0; start < width; start += BLOCK) {
        long size = width - start < BLOCK ? width - start : BLOCK, whole = size / WIDE;
        for (long first = 0; first < outputs; first += OUTPUTS) {
            long count = outputs - first < OUTPUTS ? outputs - first : OUTPUTS;
            double rest[OUTPUTS][WIDE] = {{0}};
            memset(sums, 0, sizeof sums);
            for (long k = 0; k < terms; k++) {
                const char *row = table + (k * width + start) * bytes;
                double weight[OUTPUTS] = {0};
                for (long i = 0; i < count; i++)
                    weight[i] = weights[(first + i) * terms + k];
                for (long j = 0; j < whole; j++) {
                    vector part = widened(row + j * WIDE * bytes, bytes);
                    __builtin_prefetch(row + (width + j * WIDE) * bytes);
#pragma GCC unroll 3
                    for (int i = 0; i < OUTPUTS; i++)
                        sums[i][j] += weight[i] * part;
                }
                for (long j = whole * WIDE; j < size; j++)
                    for (int i = 0; i < OUTPUTS; i++)
                        rest[i][j - whole * WIDE] +=
                            weight[i] * (bytes == sizeof(double) ? ((const double *)row)[j] : ((const float *)row)[j]);
            }
            for (long i = 0; i < count; i++) {
                char *place = out + ((first + i) * width + start) * bytes;
                for (long j = 0; j < whole; j++) {
                    if (bytes == sizeof(double))
                        *(unaligned *)(place + j * WIDE * bytes) = sums[i][j];
                    else
                        *(narrow *)(place + j * WIDE * bytes) = __builtin_convertvector(sums[i][j], narrow);
                }
                for (long j = whole * WIDE; j < size; j++) {
                    if (bytes == sizeof(double))
                        ((double *)place)[j] = rest[i][j - whole * WIDE];
                    else
                        ((float *)place)[j] = rest[i][j - whole * WIDE];
                }
            }
        }
    }
}
