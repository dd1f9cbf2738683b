/* The way there of a transformer on pairs of tokens, in the precision REAL: what models/pairs.py does with PyTorch, in
 * the same way and by the same names, at a few inputs that pass through the whole network, so that what they leave stays
 * in the cache; products are those of matrices.h. Everything runs on the thread that calls it.
 */
#include "layers.h"

/* A layer, and what inputs leave there: q of 2 positions, or 1 in the last layer, times n inputs are its rows. */
struct block {
    struct linear query, key, value, output, up, down;
    long read;
    REAL *queries, *key_gap, *value_gap, *gate, *mixed; /* Attention: see `attend_one`. */
    REAL *gap;                                          /* Of the normalised rows before it. */
    REAL *middle, *normed, *inverse;                    /* The stream behind attention, and normalised. */
    REAL *active, *slope;
    REAL *after, *after_normed, *after_inverse; /* The stream behind the layer. */
};

struct network {
    long tokens, answers, width, depth, heads, hidden;
    const REAL *const *weights;
    REAL *const *gradients;
    struct block *blocks;
    struct linear head;
    REAL *table, *table_normed, *table_inverse, *rows; /* Embeddings; Q, K and V of each beside each other. */
    REAL *of_rows, *of_table;
    REAL *stream, *values, *logits, *panels, *wide, *change, *of_query, *of_gap, *of_value;
};

enum { POSITIONS, TOKENS, FIRST };
enum { NORM1, QKV = 2, OUTPUT = 4, NORM2 = 6, UP = 8, DOWN = 10, PER_LAYER = 12 };

static void arrange(struct network *net, struct arena *arena)
{
    long width = net->width, hidden = net->hidden, both = 2 * CHUNK, rows = 2 * net->tokens;
    long classes = net->answers * net->tokens, most = hidden > width ? hidden : width;
    for (long depth = 0; depth < net->depth; depth++) {
        struct block *block = net->blocks + depth;
        int first = FIRST + PER_LAYER * depth;
        long read = block->read = depth == net->depth - 1 ? 1 : 2, count = read * CHUNK;
        const REAL *const *weights = net->weights;
        REAL *const *gradients = net->gradients;
        block->query = linear_of(arena, width, width, weights, gradients, first + QKV, first + NORM1, 0);
        block->key = linear_of(arena, width, width, weights, gradients, first + QKV, first + NORM1, width);
        block->key.of_bias = NULL; /* Attention does not see a shift of all keys. */
        block->value = linear_of(arena, width, width, weights, gradients, first + QKV, first + NORM1, 2 * width);
        block->output = linear_of(arena, width, width, weights, gradients, first + OUTPUT, -1, 0);
        block->up = linear_of(arena, width, hidden, weights, gradients, first + UP, first + NORM2, 0);
        block->down = linear_of(arena, hidden, width, weights, gradients, first + DOWN, -1, 0);
        REAL **wide[] = {&block->queries, &block->mixed, &block->middle,
                          &block->normed,  &block->after, &block->after_normed};
        for (int i = 0; i < 6; i++)
            *wide[i] = room(arena, count * width);
        block->key_gap = room(arena, CHUNK * width);
        block->value_gap = room(arena, CHUNK * width);
        block->gap = room(arena, CHUNK * width);
        block->gate = room(arena, count * net->heads);
        block->inverse = room(arena, count);
        block->after_inverse = room(arena, count);
        block->active = room(arena, count * hidden);
        block->slope = room(arena, count * hidden);
    }
    int last = FIRST + PER_LAYER * net->depth;
    net->head = linear_of(arena, width, classes, net->weights, net->gradients, last + 2, last, 0);
    net->table = room(arena, rows * width);
    net->table_normed = room(arena, rows * width);
    net->table_inverse = room(arena, rows);
    net->rows = room(arena, rows * 3 * width);
    net->stream = room(arena, both * width);
    net->values = room(arena, both * width);
    net->logits = room(arena, CHUNK * classes);
    if (!arena->back)
        return;
    net->of_rows = room(arena, rows * 3 * width);
    net->of_table = room(arena, rows * width);
    net->panels = room(arena, panel_size(rows > both ? rows : both, most));
    net->wide = room(arena, both * most);
    net->change = room(arena, (rows > both ? rows : both) * width);
    net->of_query = room(arena, both * width);
    net->of_gap = room(arena, (CHUNK + 1) * width);
    net->of_value = room(arena, both * width);
}

/* Embeddings, folded weights, panels, and what the first layer makes of every (position, token). */
static void begin(const struct network *net)
{
    long width = net->width, rows = 2 * net->tokens;
    for (long row = 0; row < rows; row++) {
        const REAL *position = net->weights[POSITIONS] + row / net->tokens * width;
        const REAL *token = net->weights[TOKENS] + row % net->tokens * width;
        for (long k = 0; k < width; k++)
            net->table[row * width + k] = position[k] + token[k];
    }
    normalise(rows, width, net->table, net->table_normed, net->table_inverse);
    for (long depth = 0; depth < net->depth; depth++) {
        struct block *block = net->blocks + depth;
        const struct linear *layers[] = {&block->query,  &block->key, &block->value,
                                         &block->output, &block->up,  &block->down};
        for (int i = 0; i < 6; i++)
            prepare(layers[i]);
    }
    prepare(&net->head);
    const struct linear *parts[] = {&net->blocks->query, &net->blocks->key, &net->blocks->value};
    for (int i = 0; i < 3; i++) {
        apply(parts[i], rows, net->table_normed, net->rows + i * width, 3 * width);
        for (long row = 0; row < rows; row++)
            for (long k = 0; k < width; k++)
                net->rows[(3 * row + i) * width + k] += parts[i]->offset[k];
    }
}

/* Attention of one query over two keys, head by head: how much the second gets, and the weighted values. */
static void attend_one(const struct network *net, const REAL *query, const REAL *key_gap, const REAL *value,
                       const REAL *value_gap, REAL *restrict gate, REAL *restrict mixed)
{
    long size = net->width / net->heads;
    REAL root = sqrt(size);
    for (long head = 0; head < net->heads; head++) {
        long from = head * size;
        REAL score = dot(query + from, key_gap + from, size) / root, other = decay(fabs(score));
        REAL share = (score < 0 ? other : 1) / (1 + other);
        gate[head] = share;
        for (long k = from; k < from + size; k++)
            mixed[k] = value[k] + share * value_gap[k];
    }
}

/* The first layer's attention: inputs read rows of a table. */
static void attend_rows(const struct network *net, long count, struct inputs at)
{
    struct block *block = net->blocks;
    long width = net->width;
    for (long i = 0; i < count; i++) {
        const REAL *row[2] = {net->rows + row_of(at, 0, i) * 3 * width, net->rows + row_of(at, 1, i) * 3 * width};
        REAL *keys = block->key_gap + i * width, *values = block->value_gap + i * width;
        for (long k = 0; k < width; k++)
            keys[k] = row[1][width + k] - row[0][width + k];
        for (long k = 0; k < width; k++)
            values[k] = row[1][2 * width + k] - row[0][2 * width + k];
        for (long q = 0; q < block->read; q++) {
            long place = q * count + i;
            memcpy(block->queries + place * width, row[q], width * sizeof(REAL));
            attend_one(net, row[q], keys, row[0] + 2 * width, values, block->gate + place * net->heads,
                       block->mixed + place * width);
        }
    }
}

/* The attention of a later layer, at normalised rows of both positions. */
static void attend(const struct network *net, struct block *block, long count, const REAL *normed)
{
    long width = net->width;
    for (long k = 0; k < count * width; k++)
        block->gap[k] = normed[count * width + k] - normed[k];
    apply(&block->query, block->read * count, normed, block->queries, width);
    add_onto(block->read * count, width, block->query.offset, NULL, block->queries);
    /* The bias of the difference of two keys is nothing. */
    apply(&block->key, count, block->gap, block->key_gap, width);
    apply(&block->value, count, normed, net->values, width);
    add_onto(count, width, block->value.offset, NULL, net->values);
    apply(&block->value, count, block->gap, block->value_gap, width);
    for (long i = 0; i < count; i++)
        for (long q = 0; q < block->read; q++) {
            long place = q * count + i;
            attend_one(net, block->queries + place * width, block->key_gap + i * width, net->values + i * width,
                       block->value_gap + i * width, block->gate + place * net->heads, block->mixed + place * width);
        }
}

/* Logits of a few inputs. */
static void forward(const void *given, long count, struct inputs at)
{
    const struct network *net = given;
    long width = net->width, hidden = net->hidden;
    const REAL *before = net->stream, *normed = NULL;
    for (long q = 0; q < net->blocks->read; q++)
        for (long i = 0; i < count; i++)
            memcpy(net->stream + (q * count + i) * width, net->table + row_of(at, q, i) * width, width * sizeof(REAL));
    for (long depth = 0; depth < net->depth; depth++) {
        struct block *block = net->blocks + depth;
        long rows = block->read * count;
        if (depth)
            attend(net, block, count, normed);
        else
            attend_rows(net, count, at);
        apply(&block->output, rows, block->mixed, block->middle, width);
        add_onto(rows, width, block->output.bias, before, block->middle);
        normalise(rows, width, block->middle, block->normed, block->inverse);
        apply(&block->up, rows, block->normed, block->slope, hidden);
        gelu_and_slope(rows, hidden, block->up.offset, block->slope, block->active);
        apply(&block->down, rows, block->active, block->after, width);
        add_onto(rows, width, block->down.bias, block->middle, block->after);
        normalise(rows, width, block->after, block->after_normed, block->after_inverse);
        before = block->after;
        normed = block->after_normed;
    }
    apply(&net->head, count, normed, net->logits, net->head.out);
    add_onto(count, net->head.out, net->head.offset, NULL, net->logits);
}

static struct network network_of(const long *sizes, const REAL *const *weights, REAL *const *gradients,
                                 struct block *blocks)
{
    return (struct network){sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], weights, gradients, blocks};
}
