/* Sums over groups of rows of what varies about their mean, in double precision: see modes/group_sums.py. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK = 32 }; /* Columns at a time: their sums over some hundred groups stay in the second-level cache. */

struct rows {
    const char *values;
    long bytes, width;
    const int64_t *places; /* Those of the table that count; the first ones if it is null. */
    long count;
};

static inline void widened_row(const struct rows *rows, long i, long start, long columns, double *to)
{
    const char *from = rows->values + ((rows->places ? rows->places[i] : i) * rows->width + start) * rows->bytes;
    if (rows->bytes == sizeof(double))
        for (long j = 0; j < columns; j++)
            to[j] = ((const double *)from)[j];
    else
        for (long j = 0; j < columns; j++)
            to[j] = ((const float *)from)[j];
}

static inline __attribute__((always_inline)) double of_columns(const struct rows *rows, const int64_t *groups,
                                                               long maps, long count, long start, long columns,
                                                               double *mean, double *sums, double *room)
{
    double row[BLOCK], total[BLOCK] = {0}, squares[BLOCK] = {0}, square = 0;
    for (long i = 0; i < rows->count; i++) {
        widened_row(rows, i, start, columns, row);
        for (long j = 0; j < columns; j++)
            total[j] += row[j];
    }
    for (long j = 0; j < columns; j++)
        mean[start + j] = total[j] / rows->count;
    /* Side by side: a width that is a power of two would have all of them in the same few sets of the cache. */
    memset(room, 0, count * columns * sizeof(double));
    for (long i = 0; i < rows->count; i++) {
        widened_row(rows, i, start, columns, row);
        for (long j = 0; j < columns; j++) {
            row[j] -= mean[start + j];
            squares[j] += row[j] * row[j];
        }
        for (long k = 0; k < maps; k++) {
            double *sum = room + groups[i * maps + k] * columns;
            for (long j = 0; j < columns; j++)
                sum[j] += row[j];
        }
    }
    for (long g = 0; g < count; g++)
        memcpy(sums + g * rows->width + start, room + g * columns, columns * sizeof(double));
    for (long j = 0; j < columns; j++)
        square += squares[j];
    return square;
}

/* The mean of `length` rows, whose numbers have 4 or 8 bytes, the sum of the squares of what varies about it, and its
 * sums over `count` groups: row i is in `maps` of them. Returns 0, or 1 where there is no memory.
 */
int varying_sums(const char *values, long bytes, long width, const int64_t *places, long length, const int64_t *groups,
                 long maps, long count, double *mean, double *square, double *sums)
{
    struct rows rows = {values, bytes, width, places, length};
    double *room = malloc(count * BLOCK * sizeof(double));
    long start = 0;
    if (!room)
        return 1;
    *square = 0;
    for (; start + BLOCK <= width; start += BLOCK)
        *square += of_columns(&rows, groups, maps, count, start, BLOCK, mean, sums, room);
    if (start < width)
        *square += of_columns(&rows, groups, maps, count, start, width - start, mean, sums, room);
    free(room);
    return 0;
}
