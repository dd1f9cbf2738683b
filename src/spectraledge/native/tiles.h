/* Inner products of long rows, in double precision, tile by tile: sums stay in registers. */
#include "wide.h"

/* NEW · OLD sums and NEW + 1 factors are the registers there are: 32 of AVX-512, 16 elsewhere. */
enum { NEW = WIDE == 8 ? 4 : 3, OLD = WIDE == 8 ? 6 : 4 };

static inline long least(long a, long b)
{
    return a < b ? a : b;
}

/* Inner products of NEW rows with OLD rows of `width` numbers, a multiple of WIDE. Meanwhile a row of numbers of
 * `bytes` each comes from memory at `ahead`, so that copying it later does not wait.
 */
static inline void tile(const double *const new[NEW], const double *const old[OLD], long width, const char *ahead,
                        int bytes, double sums[NEW][OLD])
{
    vector total[NEW][OLD] = {0};
    for (long k = 0; k < width; k += WIDE) {
        __builtin_prefetch(ahead + k * bytes);
        vector a[NEW];
#pragma GCC unroll 4
        for (int i = 0; i < NEW; i++)
            a[i] = *(const vector *)(new[i] + k);
#pragma GCC unroll 6
        for (int j = 0; j < OLD; j++) {
            vector b = *(const vector *)(old[j] + k);
#pragma GCC unroll 4
            for (int i = 0; i < NEW; i++)
                total[i][j] += a[i] * b;
        }
    }
    for (int i = 0; i < NEW; i++)
        for (int j = 0; j < OLD; j++) {
            sums[i][j] = 0;
            for (int lane = 0; lane < WIDE; lane++)
                sums[i][j] += total[i][j][lane];
        }
}
