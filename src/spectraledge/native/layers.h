/* What networks are made of, in the precision REAL: linear layers behind a LayerNorm or not, there and back, GELU, and
 * losses. Gradients are added to what is there.
 */
#include <stdlib.h>

#include "precision.h"
/* In that precision. */
#include "matrices.h"

static const REAL EPSILON = 1e-5; /* Of every LayerNorm: PyTorch's default. */

enum { CHUNK = 64 }; /* Inputs that pass at a time. */

/* Pairs of tokens: position p of input i reads row rows[p · gap + i] − base of a network's table. */
struct inputs {
    const int64_t *rows;
    long gap, base;
};

static inline long row_of(struct inputs at, int position, long i)
{
    return at.rows[position * at.gap + i] - at.base;
}

/* exp(−x) of x ≥ 0, the smallest normal number where it would be less. What is no number stays none. */
static inline REAL decay(REAL x)
{
    const REAL shift = EXP_SHIFT; /* Adding it rounds to a whole number, which its last bits then hold. */
    REAL y = -(x > EXP_MOST ? EXP_MOST : x), shifted = y * (REAL)0x1.71547652b82fep0 + shift, whole = shifted - shift;
    REAL r = y - whole * LN2 - whole * LN2_REST, p = EXP[0];
#pragma GCC unroll 16
    for (unsigned k = 1; k < sizeof(EXP) / sizeof(REAL); k++)
        p = p * r + EXP[k];
    p = p * (r * r) + r + 1;
    word bits;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << EXP_PLACE) + EXP_ONE;
    REAL power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static inline REAL dot(const REAL *a, const REAL *b, long width)
{
    REAL found = 0;
#pragma omp simd reduction(+ : found)
    for (long k = 0; k < width; k++)
        found += a[k] * b[k];
    return found;
}

/* GELU and its derivative at rows of a product plus bias; the derivative takes the product's place. The normal
 * distribution's upper tail is its density times a polynomial: precision.h. With what is rounded on the way, GELU and
 * its derivative are off by 2.5e-7 (|x| times that), in double precision by 6e-16.
 */
ONCE void gelu_and_slope(long rows, long width, const REAL *restrict bias, REAL *restrict product,
                         REAL *restrict active)
{
    for (long i = 0; i < rows; i++, product += width, active += width)
#pragma omp simd
        for (long k = 0; k < width; k++) {
            REAL x = product[k] + (bias ? bias[k] : 0), size = fabs(x);
            REAL near = size > TAIL_END ? TAIL_END : size, u = 1 / (1 + TAIL_SCALE * near), q = TAIL[0];
#pragma GCC unroll 20
            for (unsigned j = 1; j < sizeof(TAIL) / sizeof(REAL); j++)
                q = q * u + TAIL[j];
            REAL density = decay((REAL)0.5 * x * x), tail = density * (q * u);
            REAL share = x < 0 ? tail : 1 - tail;
            active[k] = x * share;
            product[k] = share + x * (density * (REAL)0.3989422804014326779);
        }
}

/* Rows without their mean, over their root mean square; `inverse` is what they were divided by, inverted. */
ONCE void normalise(long rows, long width, const REAL *restrict x, REAL *restrict out, REAL *restrict inverse)
{
    for (long i = 0; i < rows; i++, x += width, out += width) {
        REAL sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (long k = 0; k < width; k++)
            sum += x[k];
        REAL mean = sum / width;
#pragma omp simd reduction(+ : squares)
        for (long k = 0; k < width; k++) {
            out[k] = x[k] - mean;
            squares += out[k] * out[k];
        }
        inverse[i] = 1 / sqrt(squares / width + EPSILON);
        for (long k = 0; k < width; k++)
            out[k] *= inverse[i];
    }
}

/* Add biases, and rows that were there before, to rows of a product. */
ONCE void add_onto(long rows, long width, const REAL *restrict bias, const REAL *restrict before, REAL *restrict x)
{
    for (long i = 0; i < rows; i++)
        for (long k = 0; k < width; k++)
            x[i * width + k] += (bias ? bias[k] : 0) + (before ? before[i * width + k] : 0);
}

/* A linear layer, with the scale and shift of the LayerNorm before it folded into its weights where there is one.
 * Gradients are those of the folded weights and biases until `unfold`.
 */
struct linear {
    long in, out;
    const REAL *weight, *bias, *scale, *shift;
    REAL *of_weight, *of_bias, *of_scale, *of_shift;
    REAL *folded, *offset, *forth, *back;
};

/* A layer of `out` outputs, those `from` on of the matrix at `place` of a network's parameters; its bias is the next,
 * and so is the shift of the LayerNorm at `norm`, −1 where there is none. While memory is counted there are none.
 */
static inline struct linear linear_of(struct arena *arena, long in, long out, const REAL *const *weights,
                                      REAL *const *gradients, int place, int norm, long from)
{
    struct linear made = {.in = in, .out = out};
    if (weights) {
        made.weight = weights[place] + from * in;
        made.bias = weights[place + 1] ? weights[place + 1] + from : NULL;
        made.scale = norm < 0 ? NULL : weights[norm];
        made.shift = norm < 0 ? NULL : weights[norm + 1];
    }
    if (gradients) {
        made.of_weight = gradients[place] + from * in;
        made.of_bias = gradients[place + 1] ? gradients[place + 1] + from : NULL;
        made.of_scale = norm < 0 ? NULL : gradients[norm];
        made.of_shift = norm < 0 ? NULL : gradients[norm + 1];
    }
    made.folded = norm < 0 ? NULL : room(arena, in * out);
    made.offset = norm < 0 ? NULL : room(arena, out);
    made.forth = room(arena, panel_size(in, out));
    made.back = arena->back ? room(arena, panel_size(out, in)) : NULL;
    return made;
}

ONCE void prepare(const struct linear *layer)
{
    const REAL *matrix = layer->weight;
    if (layer->scale) {
        for (long i = 0; i < layer->out; i++) {
            const REAL *row = layer->weight + i * layer->in, *scale = layer->scale;
            REAL *restrict folded = layer->folded + i * layer->in;
            layer->offset[i] = layer->bias[i] + dot(row, layer->shift, layer->in);
            for (long k = 0; k < layer->in; k++)
                folded[k] = row[k] * scale[k];
        }
        matrix = layer->folded;
    }
    lay_out(matrix, layer->in, layer->out, 1, layer->in, layer->forth);
    if (layer->back)
        lay_out(matrix, layer->out, layer->in, layer->in, 1, layer->back);
}

/* The product alone, without bias. */
static inline void apply(const struct linear *layer, long rows, const REAL *x, REAL *out, long stride)
{
    multiply(rows, layer->in, layer->out, x, layer->in, 1, layer->forth, out, stride, 0);
}

/* Go back through a layer: from changes of what it gives, whose rows are `stride` apart, to those of what it is given,
 * and to the gradients of its weights, and of its biases where those count. `panels` is room for x, laid out.
 */
ONCE void go_back(const struct linear *layer, long rows, const REAL *change, long stride, const REAL *x,
                  REAL *restrict panels, REAL *into, int add)
{
    lay_out(x, rows, layer->in, layer->in, 1, panels);
    multiply(layer->out, rows, layer->in, change, 1, stride, panels, layer->of_weight, layer->in, 1);
    REAL *restrict of_bias = layer->of_bias;
    for (long i = 0; i < rows && of_bias; i++)
        for (long k = 0; k < layer->out; k++)
            of_bias[k] += change[i * stride + k];
    multiply(rows, layer->out, layer->in, change, stride, 1, layer->back, into, layer->in, add);
}

/* Split the gradient of folded weights among the LayerNorm and the layer. */
ONCE void unfold(const struct linear *layer)
{
    if (!layer->scale)
        return;
    const REAL *scale = layer->scale, *shift = layer->shift;
    REAL *restrict of_scale = layer->of_scale, *restrict of_shift = layer->of_shift;
    for (long i = 0; i < layer->out; i++) {
        const REAL *row = layer->weight + i * layer->in;
        REAL *restrict of_row = layer->of_weight + i * layer->in, of_bias = layer->of_bias ? layer->of_bias[i] : 0;
#pragma omp simd
        for (long k = 0; k < layer->in; k++) {
            of_scale[k] += of_row[k] * row[k];
            of_shift[k] += of_bias * row[k];
            of_row[k] = of_row[k] * scale[k] + of_bias * shift[k];
        }
    }
}

/* Loss of one answer, whose logits become `share` times its slope in them: see models/losses.py. */
static inline double loss_and_slope(long classes, long label, int squared, REAL share, REAL *restrict logits)
{
    REAL sum = 0, most = logits[0], loss;
    if (squared) {
        logits[label] -= 1;
        for (long k = 0; k < classes; k++)
            sum += logits[k];
        REAL mean = sum / classes, squares = 0;
        for (long k = 0; k < classes; k++) {
            REAL gap = logits[k] - mean;
            squares += gap * gap;
            logits[k] = 2 * share * gap;
        }
        return squares;
    }
    for (long k = 0; k < classes; k++)
        most = logits[k] > most ? logits[k] : most;
    REAL right = logits[label];
#pragma omp simd reduction(+ : sum)
    for (long k = 0; k < classes; k++) {
        logits[k] = decay(most - logits[k]);
        sum += logits[k];
    }
    loss = log(sum) + (most - right);
    for (long k = 0; k < classes; k++)
        logits[k] *= share / sum;
    logits[label] -= share;
    return loss;
}

/* A network whose way there leaves logits, and whose way back adds to its gradients. */
struct passes {
    const void *net;
    long tokens, answers;
    REAL *logits;
    void (*forward)(const void *net, long count, struct inputs at),
        (*backward)(const void *net, long count, struct inputs at);
};

/* Copy rows to their place behind `from` others, if there is one. */
static inline void hand_out(long rows, long width, const REAL *found, REAL *place, long from)
{
    if (place)
        memcpy(place + from * width, found, rows * width * sizeof(REAL));
}

/* Take inputs there and back, a few at a time, with `share` of the losses' slopes; add their losses to `losses`. */
static inline void there_and_back(struct passes passes, struct inputs at, const int64_t *labels, long count,
                                  int squared, REAL share, double *losses)
{
    for (long from = 0; from < count; from += CHUNK, at.rows += CHUNK) {
        long high = count - from < CHUNK ? count - from : CHUNK;
        passes.forward(passes.net, high, at);
        for (long i = 0; i < high * passes.answers; i++)
            *losses += loss_and_slope(passes.tokens, *labels++, squared, share, passes.logits + i * passes.tokens);
        passes.backward(passes.net, high, at);
    }
}
