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

enum { OUTPUTS = 3, ACROSS = WIDE == 8 ? 8 : 4, PIECE = ACROSS * WIDE }; /* Sums of a piece stay in registers. */

static double number(const char *from, int bytes)
{
    return bytes == sizeof(double) ? *(const double *)from : *(const float *)from;
}

/* Sums of all `terms` rows of a table, `outputs` of them by as many rows of weights. Numbers of the table, and of what
 * comes out, have 4 or 8 bytes and are rounded to that once. Of every row the next piece is asked for with this one.
 */
void combined_rows(const char *table, const double *weights, long terms, long outputs, long width, int bytes, char *out)
{
    long whole = width / PIECE * PIECE;
    for (long start = 0; start < whole; start += PIECE)
        for (long first = 0; first < outputs; first += OUTPUTS) {
            long count = outputs - first < OUTPUTS ? outputs - first : OUTPUTS;
            /* Where fewer are left, some are summed twice. */
            const double *by[OUTPUTS];
            for (long i = 0; i < OUTPUTS; i++)
                by[i] = weights + (first + (i < count ? i : 0)) * terms;
            vector sums[OUTPUTS][ACROSS] = {{{0}}};
            for (long k = 0; k < terms; k++) {
                const char *row = table + (k * width + start) * bytes;
#pragma GCC unroll 8
                for (int j = 0; j < ACROSS; j++) {
                    vector part = widened(row + j * WIDE * bytes, bytes);
                    __builtin_prefetch(row + (PIECE + j * WIDE) * bytes);
#pragma GCC unroll 3
                    for (int i = 0; i < OUTPUTS; i++)
                        sums[i][j] += by[i][k] * part;
                }
            }
            for (long i = 0; i < count; i++) {
                char *place = out + ((first + i) * width + start) * bytes;
                for (int j = 0; j < ACROSS; j++) {
                    if (bytes == sizeof(double))
                        *(unaligned *)(place + j * WIDE * bytes) = sums[i][j];
                    else
                        *(narrow *)(place + j * WIDE * bytes) = __builtin_convertvector(sums[i][j], narrow);
                }
            }
        }
    for (long i = 0; i < outputs; i++)
        for (long column = whole; column < width; column++) {
            double sum = 0;
            for (long k = 0; k < terms; k++)
                sum += weights[i * terms + k] * number(table + (k * width + column) * bytes, bytes);
            char *place = out + (i * width + column) * bytes;
            if (bytes == sizeof(double))
                *(double *)place = sum;
            else
                *(float *)place = sum;
        }
}
