/* What a training step does beside products of matrices, in single precision and in few passes: see models/fused.py,
 * training/step_rules.py and products.py, which call these. Each runs on the thread that calls it, so that what comes
 * out does not depend on how many there are.
 */
#include <math.h>
#include <stdint.h>
#include <string.h>

static const float EPSILON = 1e-5f; /* Of every LayerNorm: PyTorch's default. */

static inline float dot(const float *a, const float *b, long width)
{
    float found = 0;
#pragma omp simd reduction(+ : found)
    for (long k = 0; k < width; k++)
        found += a[k] * b[k];
    return found;
}

/* exp(−x) of x ≥ 0, by the polynomial of Cephes (Moshier 1989); 1.6e-38 from 87 on. What is no number stays none. */
static inline float decay(float x)
{
    const float shift = 0x1.8p23f; /* Adding it rounds to a whole number, which its last bits then hold. */
    float y = -(x > 87 ? 87 : x), shifted = y * 0x1.715476p0f + shift, whole = shifted - shift;
    float r = y - whole * 0.693359375f - whole * -2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1;
    uint32_t bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3f800000u;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

/* GELU and its derivative at product + bias, for each of `stacks` networks. The normal distribution's upper tail is its
 * density times a polynomial of degree 9 in 1 / (1 + 0.27 |x|): to 2.4e-8 of itself, by least squares with weights that
 * even out its largest errors. With what is rounded on the way, GELU is off by 2.5e-7 |x| at most, its derivative by
 * 2.5e-7.
 */
void gelu_and_slope(const float *restrict product, const float *restrict bias, long stacks, long rows, long width,
                    float *restrict active, float *restrict slope)
{
    for (long s = 0; s < stacks; s++, bias += width)
        for (long i = 0; i < rows; i++, product += width, active += width, slope += width)
#pragma omp simd
            for (long k = 0; k < width; k++) {
                float x = product[k] + bias[k], size = fabsf(x), u = 1 / (1 + 0.27f * size);
                float q = 0.028826870024204254f;
                q = q * u + -0.12580916285514832f;
                q = q * u + 0.1683311015367508f;
                q = q * u + -0.06747180223464966f;
                q = q * u + 0.10656522959470749f;
                q = q * u + 0.07261551916599274f;
                q = q * u + 0.10165728628635406f;
                q = q * u + 0.107565738260746f;
                q = q * u + 0.10771922022104263f;
                float density = decay(0.5f * x * x), tail = density * (q * u);
                float share = x < 0 ? tail : 1 - tail;
                active[k] = x * share;
                slope[k] = share + x * (density * 0.3989422804014327f);
            }
}

/* Add biases and rows to rows of a product, in place, and normalise what comes out. */
void add_and_normalise(float *restrict x, const float *restrict bias, const float *restrict before, long stacks,
                       long rows, long width, float *restrict out, float *restrict mean, float *restrict inverse)
{
    for (long s = 0; s < stacks; s++, bias += width)
        for (long i = 0; i < rows; i++, x += width, before += width, out += width) {
            float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
            for (long k = 0; k < width; k++) {
                x[k] = x[k] + bias[k] + before[k];
                sum += x[k];
            }
            float middle = sum / width;
#pragma omp simd reduction(+ : squares)
            for (long k = 0; k < width; k++) {
                out[k] = x[k] - middle;
                squares += out[k] * out[k];
            }
            float scale = 1 / sqrtf(squares / width + EPSILON);
            for (long k = 0; k < width; k++)
                out[k] *= scale;
            *mean++ = middle;
            *inverse++ = scale;
        }
}

/* Send changes of normalised rows back to the rows, and add them to changes that are there. */
void add_normalised_back(const float *restrict change, const float *restrict out, const float *restrict inverse,
                         long rows, long width, float *restrict into)
{
    for (long i = 0; i < rows; i++, change += width, out += width, into += width) {
        float sum = 0, along = 0;
#pragma omp simd reduction(+ : sum, along)
        for (long k = 0; k < width; k++) {
            sum += change[k];
            along += change[k] * out[k];
        }
        sum /= width;
        along /= width;
        for (long k = 0; k < width; k++)
            into[k] += inverse[i] * (change[k] - sum - out[k] * along);
    }
}

/* Attention of one query over two keys, head by head: how much the second gets, and the weighted values. */
static void attend_one(const float *query, const float *key_gap, const float *value, const float *value_gap, long heads,
                       long size, float *restrict gate, float *restrict mixed)
{
    float root = sqrtf(size);
    for (long head = 0; head < heads; head++) {
        long from = head * size;
        float score = dot(query + from, key_gap + from, size) / root, other = decay(fabsf(score));
        float share = (score < 0 ? other : 1) / (1 + other);
        gate[head] = share;
        for (long k = from; k < from + size; k++)
            mixed[k] = value[k] + share * value_gap[k];
    }
}

/* Attention of `read` positions over two, for inputs that read rows of a table, Q, K and V beside each other: position
 * q of input i reads row at[q · count + i], and so on for each of `stacks` networks. Leaves queries, what the second
 * key and value are beyond the first, gates and weighted values.
 */
void attend_rows(const float *table, const int64_t *at, long stacks, long read, long count, long heads, long size,
                 float *restrict query, float *restrict key_gap, float *restrict value_gap, float *restrict gate,
                 float *restrict mixed)
{
    long width = heads * size;
    for (long s = 0; s < stacks; s++, at += 2 * count)
        for (long i = 0; i < count; i++) {
            const float *row[2] = {table + at[i] * 3 * width, table + at[count + i] * 3 * width};
            float *keys = key_gap + (s * count + i) * width, *values = value_gap + (s * count + i) * width;
            for (long k = 0; k < width; k++)
                keys[k] = row[1][width + k] - row[0][width + k];
            for (long k = 0; k < width; k++)
                values[k] = row[1][2 * width + k] - row[0][2 * width + k];
            for (long q = 0; q < read; q++) {
                long place = (s * read + q) * count + i;
                memcpy(query + place * width, row[q], width * sizeof(float));
                attend_one(row[q], keys, row[0] + 2 * width, values, heads, size, gate + place * heads,
                           mixed + place * width);
            }
        }
}

/* The same of queries, gaps and values that are there: values of both positions, one after the other. */
void attend(const float *query, const float *key_gap, const float *value, long stacks, long read, long count,
            long heads, long size, float *restrict value_gap, float *restrict gate, float *restrict mixed)
{
    long width = heads * size;
    for (long s = 0; s < stacks; s++)
        for (long i = 0; i < count; i++) {
            const float *first = value + (2 * s * count + i) * width, *second = first + count * width;
            float *values = value_gap + (s * count + i) * width;
            for (long k = 0; k < width; k++)
                values[k] = second[k] - first[k];
            for (long q = 0; q < read; q++) {
                long place = (s * read + q) * count + i;
                attend_one(query + place * width, key_gap + (s * count + i) * width, first, values, heads, size,
                           gate + place * heads, mixed + place * width);
            }
        }
}

/* Add to changes of one query, of the gap of two keys and of both values what a change of the weighted values gives. */
static void attend_one_back(const float *change, const float *query, const float *key_gap, const float *value_gap,
                            const float *gate, long heads, long size, float *restrict of_query, float *restrict of_gap,
                            float *restrict of_first, float *restrict of_second)
{
    float root = sqrtf(size);
    for (long head = 0; head < heads; head++) {
        long from = head * size;
        float share = gate[head], score = dot(change + from, value_gap + from, size) * share * (1 - share) / root;
        for (long k = from; k < from + size; k++) {
            float second = share * change[k];
            of_query[k] += score * key_gap[k];
            of_gap[k] += score * query[k];
            of_first[k] += change[k] - second;
            of_second[k] += second;
        }
    }
}

/* Add changes of weighted values, sent back, to those of queries, gaps of keys, and values of both positions. */
void attend_back(const float *change, const float *query, const float *key_gap, const float *value_gap,
                 const float *gate, long stacks, long read, long count, long heads, long size, float *restrict of_query,
                 float *restrict of_gap, float *restrict of_value)
{
    long width = heads * size;
    for (long s = 0; s < stacks; s++)
        for (long i = 0; i < count; i++) {
            long gap = (s * count + i) * width;
            float *first = of_value + (2 * s * count + i) * width;
            for (long q = 0; q < read; q++) {
                long place = (s * read + q) * count + i;
                attend_one_back(change + place * width, query + place * width, key_gap + gap, value_gap + gap,
                                gate + place * heads, heads, size, of_query + place * width, of_gap + gap, first,
                                first + count * width);
            }
        }
}

/* The same, added to the rows of a table that inputs read: see `attend_rows`. `gap` is room for a row of keys. */
void attend_rows_back(const float *change, const float *query, const float *key_gap, const float *value_gap,
                      const float *gate, const int64_t *at, long stacks, long read, long count, long heads, long size,
                      float *restrict gap, float *restrict of_table)
{
    long width = heads * size;
    for (long s = 0; s < stacks; s++, at += 2 * count)
        for (long i = 0; i < count; i++) {
            long both = (s * count + i) * width;
            float *row[2] = {of_table + at[i] * 3 * width, of_table + at[count + i] * 3 * width};
            memset(gap, 0, width * sizeof(float));
            for (long q = 0; q < read; q++) {
                long place = (s * read + q) * count + i;
                attend_one_back(change + place * width, query + place * width, key_gap + both, value_gap + both,
                                gate + place * heads, heads, size, row[q], gap, row[0] + 2 * width, row[1] + 2 * width);
            }
            for (long k = 0; k < width; k++) {
                row[0][width + k] -= gap[k];
                row[1][width + k] += gap[k];
            }
        }
}

enum { QUAD = 4, BLOCK = 32 }; /* Rows of a block, as columns, fill two lines of the cache each. */

typedef float quad __attribute__((vector_size(QUAD * sizeof(float)), aligned(sizeof(float))));
#ifdef __clang__
#define MIXED(a, b, ...) __builtin_shufflevector(a, b, __VA_ARGS__)
#else
typedef int32_t places __attribute__((vector_size(QUAD * sizeof(int32_t))));
#define MIXED(a, b, ...) __builtin_shuffle(a, b, (places){__VA_ARGS__})
#endif

/* Four rows of four numbers as columns. */
static inline void turn_quad(const quad rows[QUAD], float *to, long stride)
{
    quad low = MIXED(rows[0], rows[1], 0, 4, 1, 5), high = MIXED(rows[0], rows[1], 2, 6, 3, 7);
    quad next_low = MIXED(rows[2], rows[3], 0, 4, 1, 5), next_high = MIXED(rows[2], rows[3], 2, 6, 3, 7);
    *(quad *)to = MIXED(low, next_low, 0, 1, 4, 5);
    *(quad *)(to + stride) = MIXED(low, next_low, 2, 3, 6, 7);
    *(quad *)(to + 2 * stride) = MIXED(high, next_high, 0, 1, 4, 5);
    *(quad *)(to + 3 * stride) = MIXED(high, next_high, 2, 3, 6, 7);
}

/* The transpose of a matrix, and the sums of its columns. */
void turn_and_sum(const float *restrict matrix, long rows, long columns, float *restrict turned, float *restrict sums)
{
    memset(sums, 0, columns * sizeof(float));
    for (long top = 0; top < rows; top += BLOCK) {
        long left = 0, high = rows - top < BLOCK ? rows - top : BLOCK;
        for (; high == BLOCK && left + QUAD <= columns; left += QUAD) {
            quad sum = *(quad *)(sums + left);
            for (long i = top; i < top + BLOCK; i += QUAD) {
                quad block[QUAD];
#pragma GCC unroll 4
                for (int j = 0; j < QUAD; j++) {
                    block[j] = *(const quad *)(matrix + (i + j) * columns + left);
                    sum += block[j];
                }
                turn_quad(block, turned + left * rows + i, rows);
            }
            *(quad *)(sums + left) = sum;
        }
        for (; left < columns; left++)
            for (long i = top; i < top + high; i++) {
                turned[left * rows + i] = matrix[i * columns + left];
                sums[left] += matrix[i * columns + left];
            }
    }
}

/* A step of Adam along gradients: of AdamW where `pull` is 0, and coupled to the decay of weights where `shrink` is 1.
 * Adds to the sums of gradients, and of what decay alone does.
 */
void adam(const float *restrict gradient, long count, float shrink, float pull, float size, float epsilon,
          float first_rest, float second_beta, float second_rest, float *restrict weights, float *restrict first,
          float *restrict second, float *restrict decayed, float *restrict clipped)
{
    float loss = shrink - 1;
#pragma omp simd
    for (long k = 0; k < count; k++) {
        float seen = gradient[k] + pull * weights[k];
        clipped[k] += gradient[k];
        decayed[k] += weights[k] * loss;
        first[k] += first_rest * (seen - first[k]);
        second[k] = second[k] * second_beta + second_rest * seen * seen;
        weights[k] = weights[k] * shrink - first[k] / (sqrtf(second[k]) + epsilon) * size;
    }
}
