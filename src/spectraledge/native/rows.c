/* Weighted sums of a table's rows, in double precision: see products.py, which calls this. */
#include <stdint.h>

#include "wide.h"

enum { VECTORS = 8, CHUNK = VECTORS * WIDE }; /* Sums of a chunk stay in registers. */

typedef double unaligned __attribute__((vector_size(sizeof(vector)), aligned(sizeof(double))));

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
