/* Answers, losses and gradients of one perceptron on pairs of tokens, in the precision REAL: what models/mlp_passes.py
 * does with PyTorch, in one call, as pair_step.h does it for transformers.
 */
#include "layers.h"

enum { RELU, GELU, SQUARE };

/* A hidden layer and what inputs leave there; the first one's weights are in the table. */
struct stage {
    struct linear linear;
    REAL *active, *slope;
};

struct perceptron {
    long tokens, answers, width, depth, hidden, activation; /* Without embedding the width is 0. */
    const REAL *const *weights;
    REAL *const *gradients;
    struct stage *stages;
    struct linear head;
    REAL *table, *of_table; /* What each token at each position adds to the first layer, the bias at the first. */
    REAL *logits, *panels, *change, *back;
};

enum { EMBEDDING, LAYERS };

static void arrange(struct perceptron *net, struct arena *arena)
{
    long hidden = net->hidden, classes = net->answers * net->tokens, rows = 2 * net->tokens;
    for (long depth = 0; depth < net->depth; depth++) {
        struct stage *stage = net->stages + depth;
        if (depth)
            stage->linear = linear_of(arena, hidden, hidden, net->weights, net->gradients, LAYERS + 2 * depth, -1, 0);
        stage->active = room(arena, CHUNK * hidden);
        stage->slope = room(arena, CHUNK * hidden);
    }
    net->head = linear_of(arena, hidden, classes, net->weights, net->gradients, LAYERS + 2 * net->depth, -1, 0);
    long most = hidden > net->width ? hidden : net->width, long_side = most > rows ? most : rows;
    net->table = room(arena, rows * hidden);
    net->logits = room(arena, CHUNK * classes);
    net->panels = room(arena, panel_size(long_side > CHUNK ? long_side : CHUNK, most));
    net->of_table = room(arena, arena->back ? rows * hidden : 0);
    net->change = room(arena, arena->back ? CHUNK * hidden : 0);
    net->back = room(arena, arena->back ? CHUNK * hidden : 0);
}

static void begin(const struct perceptron *net)
{
    long hidden = net->hidden, tokens = net->tokens, width = net->width;
    const REAL *first = net->weights[LAYERS], *bias = net->weights[LAYERS + 1];
    for (int position = 0; position < 2; position++) {
        REAL *table = net->table + position * tokens * hidden;
        if (width) {
            lay_out(first + position * width, width, hidden, 1, 2 * width, net->panels);
            multiply(tokens, width, hidden, net->weights[EMBEDDING], width, 1, net->panels, table, hidden, 0);
        } else
            for (long k = 0; k < hidden; k++)
                for (long token = 0; token < tokens; token++)
                    table[token * hidden + k] = first[(2 * k + position) * tokens + token];
        for (long i = 0; i < tokens * hidden && bias && position == 0; i++)
            table[i] += bias[i % hidden];
    }
    for (long depth = 1; depth < net->depth; depth++)
        prepare(&net->stages[depth].linear);
    prepare(&net->head);
}

/* What a layer gives, of what it is given, whose place its slope takes. */
static void activate(int activation, long count, REAL *restrict given, REAL *restrict active)
{
    if (activation == GELU)
        gelu_and_slope(1, count, NULL, given, active);
    else if (activation == RELU)
        for (long k = 0; k < count; k++) {
            /* What is no number stays none. */
            active[k] = given[k] < 0 ? 0 : given[k];
            given[k] = given[k] <= 0 ? 0 : 1;
        }
    else
        for (long k = 0; k < count; k++) {
            active[k] = given[k] * given[k];
            given[k] *= 2;
        }
}

static void forward(const void *given, long count, struct inputs at)
{
    const struct perceptron *net = given;
    long hidden = net->hidden;
    for (long depth = 0; depth < net->depth; depth++) {
        struct stage *stage = net->stages + depth;
        if (depth) {
            apply(&stage->linear, count, stage[-1].active, stage->slope, hidden);
            add_onto(count, hidden, stage->linear.bias, NULL, stage->slope);
        } else
            for (long i = 0; i < count; i++) {
                const REAL *row = net->table + row_of(at, 0, i) * hidden,
                           *other = net->table + row_of(at, 1, i) * hidden;
                for (long k = 0; k < hidden; k++)
                    stage->slope[i * hidden + k] = row[k] + other[k];
            }
        activate(net->activation, count * hidden, stage->slope, stage->active);
    }
    apply(&net->head, count, net->stages[net->depth - 1].active, net->logits, net->head.out);
    add_onto(count, net->head.out, net->head.bias, NULL, net->logits);
}

static void backward(const void *given, long count, struct inputs at)
{
    const struct perceptron *net = given;
    long hidden = net->hidden, depth = net->depth - 1;
    const struct linear *behind = &net->head;
    const REAL *change = net->logits;
    REAL *into = net->change, *other = net->back;
    for (;; depth--) {
        const struct stage *stage = net->stages + depth;
        go_back(behind, count, change, behind->out, stage->active, net->panels, into, 0);
        for (long k = 0; k < count * hidden; k++)
            into[k] *= stage->slope[k];
        if (!depth)
            break;
        behind = &stage->linear;
        change = into;
        into = other;
        other = (REAL *)change;
    }
    for (int position = 0; position < 2; position++)
        for (long i = 0; i < count; i++) {
            REAL *row = net->of_table + row_of(at, position, i) * hidden;
            for (long k = 0; k < hidden; k++)
                row[k] += into[i * hidden + k];
        }
}

/* From the table, which all inputs have added to, to the first layer and the embedding. */
static void end(const struct perceptron *net)
{
    long hidden = net->hidden, tokens = net->tokens, width = net->width;
    const REAL *first = net->weights[LAYERS];
    REAL *of_first = net->gradients[LAYERS], *of_bias = net->gradients[LAYERS + 1];
    for (long i = 0; i < tokens * hidden && of_bias; i++)
        of_bias[i % hidden] += net->of_table[i];
    for (int position = 0; position < 2; position++) {
        const REAL *rows = net->of_table + position * tokens * hidden;
        if (width) {
            lay_out(net->weights[EMBEDDING], tokens, width, width, 1, net->panels);
            multiply(hidden, tokens, width, rows, 1, hidden, net->panels, of_first + position * width, 2 * width, 1);
            lay_out(first + position * width, hidden, width, 2 * width, 1, net->panels);
            multiply(tokens, hidden, width, rows, hidden, 1, net->panels, net->gradients[EMBEDDING], width, 1);
        } else
            for (long k = 0; k < hidden; k++)
                for (long token = 0; token < tokens; token++)
                    of_first[(2 * k + position) * tokens + token] += rows[token * hidden + k];
    }
}

static struct perceptron perceptron_of(const long *sizes, const REAL *const *weights, REAL *const *gradients,
                                       struct stage *stages)
{
    return (struct perceptron){sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], weights, gradients, stages};
}

static struct passes passes_of(const struct perceptron *net)
{
    return (struct passes){net, net->tokens, net->answers, net->logits, forward, backward};
}

/* As `pair_room` and `pair_gradient`, with sizes of `struct perceptron`. */
int NAME(perceptron_room)(const long *sizes, int back)
{
    struct stage stages[sizes[3]];
    struct perceptron net = perceptron_of(sizes, NULL, NULL, stages);
    struct arena arena = {.back = back};
    arrange(&net, &arena);
    return arena.used;
}

void NAME(perceptron_gradient)(const long *sizes, REAL *memory, const REAL *const *weights, REAL *const *gradients,
                               struct inputs at, const int64_t *labels, long count, int squared, REAL share,
                               double *losses)
{
    struct stage stages[sizes[3]];
    struct perceptron net = perceptron_of(sizes, weights, gradients, stages);
    struct arena arena = {.base = memory, .back = 1};
    arrange(&net, &arena);
    begin(&net);
    memset(net.of_table, 0, 2 * net.tokens * net.hidden * sizeof(REAL));
    there_and_back(passes_of(&net), at, labels, count, squared, share, losses);
    end(&net);
}

/* Logits of inputs. */
void NAME(perceptron_logits)(const long *sizes, REAL *memory, const REAL *const *weights, struct inputs at, long count,
                             REAL *logits)
{
    struct stage stages[sizes[3]];
    struct perceptron net = perceptron_of(sizes, weights, NULL, stages);
    struct arena arena = {.base = memory};
    arrange(&net, &arena);
    begin(&net);
    for (long from = 0; from < count; from += CHUNK, at.rows += CHUNK) {
        long high = count - from < CHUNK ? count - from : CHUNK;
        forward(&net, high, at);
        hand_out(high, net.head.out, net.logits, logits, from);
    }
}
