/* What networks are made of, in single precision: linear layers behind a LayerNorm or not, there and back, GELU, and
 * losses. Gradients are added to what is there.
 */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define REAL float
#include "matrices.h"

static const float EPSILON = 1e-5f; /* Of every LayerNorm: PyTorch's default. */

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

static inline float dot(const float *a, const float *b, long width)
{
    float found = 0;
#pragma omp simd reduction(+ : found)
    for (long k = 0; k < width; k++)
        found += a[k] * b[k];
    return found;
}

/* GELU and its derivative at rows of a product plus bias; the derivative takes the product's place. The normal
 * distribution's upper tail is its density times a polynomial of degree 9 in 1 / (1 + 0.27 |x|): to 2.4e-8 of itself,
 * by least squares with weights that even out its largest errors. With what is rounded on the way, GELU is off by
 * 2.5e-7 |x| at most, its derivative by 2.5e-7.
 */
static inline void gelu_and_slope(long rows, long width, const float *restrict bias, float *restrict product,
                                  float *restrict active)
{
    for (long i = 0; i < rows; i++, product += width, active += width)
#pragma omp simd
        for (long k = 0; k < width; k++) {
            float x = product[k] + (bias ? bias[k] : 0), size = fabsf(x), u = 1 / (1 + 0.27f * size);
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
            product[k] = share + x * (density * 0.3989422804014327f);
        }
}

/* Rows without their mean, over their root mean square; `inverse` is what they were divided by, inverted. */
static inline void normalise(long rows, long width, const float *restrict x, float *restrict out,
                             float *restrict inverse)
{
    for (long i = 0; i < rows; i++, x += width, out += width) {
        float sum = 0, squares = 0;
#pragma omp simd reduction(+ : sum)
        for (long k = 0; k < width; k++)
            sum += x[k];
        float mean = sum / width;
#pragma omp simd reduction(+ : squares)
        for (long k = 0; k < width; k++) {
            out[k] = x[k] - mean;
            squares += out[k] * out[k];
        }
        inverse[i] = 1 / sqrtf(squares / width + EPSILON);
        for (long k = 0; k < width; k++)
            out[k] *= inverse[i];
    }
}

/* Add biases, and rows that were there before, to rows of a product. */
static inline void add_onto(long rows, long width, const float *restrict bias, const float *restrict before,
                            float *restrict x)
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
    const float *weight, *bias, *scale, *shift;
    float *of_weight, *of_bias, *of_scale, *of_shift;
    float *folded, *offset, *forth, *back;
};

/* A layer of `out` outputs, those `from` on of the matrix at `place` of a network's parameters; its bias is the next,
 * and so is the shift of the LayerNorm at `norm`, −1 where there is none. While memory is counted there are none.
 */
static inline struct linear linear_of(struct arena *arena, long in, long out, const float *const *weights,
                                      float *const *gradients, int place, int norm, long from)
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

static inline void prepare(const struct linear *layer)
{
    const float *matrix = layer->weight;
    if (layer->scale) {
        for (long i = 0; i < layer->out; i++) {
            const float *row = layer->weight + i * layer->in;
            layer->offset[i] = layer->bias[i] + dot(row, layer->shift, layer->in);
            for (long k = 0; k < layer->in; k++)
                layer->folded[i * layer->in + k] = row[k] * layer->scale[k];
        }
        matrix = layer->folded;
    }
    lay_out(matrix, layer->in, layer->out, 1, layer->in, layer->forth);
    if (layer->back)
        lay_out(matrix, layer->out, layer->in, layer->in, 1, layer->back);
}

/* The product alone, without bias. */
static inline void apply(const struct linear *layer, long rows, const float *x, float *out, long stride)
{
    multiply(rows, layer->in, layer->out, x, layer->in, 1, layer->forth, out, stride, 0);
}

/* Go back through a layer: from changes of what it gives, whose rows are `stride` apart, to those of what it is given,
 * and to the gradients of its weights, and of its biases where those count. `panels` is room for x, laid out.
 */
static inline void go_back(const struct linear *layer, long rows, const float *change, long stride, const float *x,
                           float *restrict panels, float *into, int add)
{
    lay_out(x, rows, layer->in, layer->in, 1, panels);
    multiply(layer->out, rows, layer->in, change, 1, stride, panels, layer->of_weight, layer->in, 1);
    for (long i = 0; i < rows && layer->of_bias; i++)
        for (long k = 0; k < layer->out; k++)
            layer->of_bias[k] += change[i * stride + k];
    multiply(rows, layer->out, layer->in, change, stride, 1, layer->back, into, layer->in, add);
}

/* Split the gradient of folded weights among the LayerNorm and the layer. */
static inline void unfold(const struct linear *layer)
{
    if (!layer->scale)
        return;
    for (long i = 0; i < layer->out; i++) {
        const float *row = layer->weight + i * layer->in;
        float *restrict of_row = layer->of_weight + i * layer->in, of_bias = layer->of_bias ? layer->of_bias[i] : 0;
        for (long k = 0; k < layer->in; k++) {
            layer->of_scale[k] += of_row[k] * row[k];
            layer->of_shift[k] += of_bias * row[k];
            of_row[k] = of_row[k] * layer->scale[k] + of_bias * layer->shift[k];
        }
    }
}

/* Loss of one answer, whose logits become `share` times its slope in them: see models/losses.py. */
static inline double loss_and_slope(long classes, long label, int squared, float share, float *restrict logits)
{
    float sum = 0, most = logits[0], loss;
    if (squared) {
        logits[label] -= 1;
        for (long k = 0; k < classes; k++)
            sum += logits[k];
        float mean = sum / classes, squares = 0;
        for (long k = 0; k < classes; k++) {
            float gap = logits[k] - mean;
            squares += gap * gap;
            logits[k] = 2 * share * gap;
        }
        return squares;
    }
    for (long k = 0; k < classes; k++)
        most = logits[k] > most ? logits[k] : most;
    float right = logits[label];
#pragma omp simd reduction(+ : sum)
    for (long k = 0; k < classes; k++) {
        logits[k] = decay(most - logits[k]);
        sum += logits[k];
    }
    loss = logf(sum) + (most - right);
    for (long k = 0; k < classes; k++)
        logits[k] *= share / sum;
    logits[label] -= share;
    return loss;
}

/* A network whose way there leaves logits, and whose way back adds to its gradients. */
struct passes {
    const void *net;
    long tokens, answers;
    float *logits;
    void (*forward)(const void *net, long count, struct inputs at),
        (*backward)(const void *net, long count, struct inputs at);
};

/* Take inputs there, a few at a time, and leave their logits. */
static inline void answer(struct passes passes, struct inputs at, long count, float *logits)
{
    long wide = passes.tokens * passes.answers;
    for (long from = 0; from < count; from += CHUNK, at.rows += CHUNK) {
        long high = count - from < CHUNK ? count - from : CHUNK;
        passes.forward(passes.net, high, at);
        memcpy(logits + from * wide, passes.logits, high * wide * sizeof(float));
    }
}

/* Take inputs there and back, a few at a time, with `share` of the losses' slopes; add their losses to `losses`. */
static inline void there_and_back(struct passes passes, struct inputs at, const int64_t *labels, long count,
                                  int squared, float share, double *losses)
{
    for (long from = 0; from < count; from += CHUNK, at.rows += CHUNK) {
        long high = count - from < CHUNK ? count - from : CHUNK;
        passes.forward(passes.net, high, at);
        for (long i = 0; i < high * passes.answers; i++)
            *losses += loss_and_slope(passes.tokens, *labels++, squared, share, passes.logits + i * passes.tokens);
        passes.backward(passes.net, high, at);
    }
}
