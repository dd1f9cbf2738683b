/* The way there of a transformer on pairs of tokens, in the precision REAL: what models/pairs.py does with PyTorch, in
 * nearly the same way and by the same names, at a few inputs that pass through the whole network, so that what they
 * leave stays in the cache; products are those of matrices.h. Everything runs on the thread that calls it.
 *
 * Products are fewer than PyTorch's. What a head of the first layer adds to the stream is a sum of two rows of a table.
 * In later layers the values of a head are weighted before they are values: V of weighted rows.
 */
#include "layers.h"

/* A layer, and what inputs leave there: q of 2 positions, or 1 in the last layer, times n inputs are its rows. */
struct block {
    struct linear query, key, *value, output, up, down; /* Values by head. */
    long read;
    REAL *queries, *key_gap, *gate;  /* Attention: see `gates`. */
    REAL *gap, *mixed;               /* Behind the first layer: of the normalised rows before it; weighted values. */
    REAL *middle, *normed, *inverse; /* The stream behind attention, and normalised. */
    REAL *active, *slope;
    REAL *after, *after_normed, *after_inverse; /* The stream behind the layer. */
};

struct network {
    long tokens, answers, width, depth, heads, hidden;
    const REAL *const *weights;
    REAL *const *gradients;
    struct block *blocks;
    struct linear *values, head;
    REAL *table, *table_normed, *table_inverse, *rows; /* Embeddings; Q, K and V of each beside each other. */
    REAL *sent;                                        /* By row and head: what values add to the stream. */
    REAL *blend, *logits, *panels;
    REAL *of_rows, *of_sent, *of_table; /* These and what follows are of the way back. */
    REAL *stream, *wide, *change, *of_query, *of_gap, *of_normed;
};

enum { POSITIONS, TOKENS, FIRST };
enum { NORM1, QKV = 2, OUTPUT = 4, NORM2 = 6, UP = 8, DOWN = 10, PER_LAYER = 12 };

static void arrange(struct network *net, struct arena *arena)
{
    long width = net->width, hidden = net->hidden, both = 2 * CHUNK, rows = 2 * net->tokens;
    long classes = net->answers * net->tokens, most = hidden > width ? hidden : width, size = width / net->heads;
    for (long depth = 0; depth < net->depth; depth++) {
        struct block *block = net->blocks + depth;
        block->value = net->values + depth * net->heads;
        int first = FIRST + PER_LAYER * depth;
        long read = block->read = depth == net->depth - 1 ? 1 : 2, count = read * CHUNK;
        const REAL *const *weights = net->weights;
        REAL *const *gradients = net->gradients;
        block->query = linear_of(arena, width, width, weights, gradients, first + QKV, first + NORM1, 0);
        block->key = linear_of(arena, width, width, weights, gradients, first + QKV, first + NORM1, width);
        block->key.of_bias = NULL; /* Attention does not see a shift of all keys. */
        for (long head = 0; head < net->heads; head++)
            block->value[head] =
                linear_of(arena, width, size, weights, gradients, first + QKV, first + NORM1, 2 * width + head * size);
        block->output = linear_of(arena, width, width, weights, gradients, first + OUTPUT, -1, 0);
        block->up = linear_of(arena, width, hidden, weights, gradients, first + UP, first + NORM2, 0);
        block->down = linear_of(arena, hidden, width, weights, gradients, first + DOWN, -1, 0);
        REAL **wide[] = {&block->queries, &block->middle, &block->normed, &block->after, &block->after_normed};
        for (int i = 0; i < 5; i++)
            *wide[i] = room(arena, count * width);
        block->key_gap = room(arena, CHUNK * width);
        block->gap = room(arena, depth ? CHUNK * width : 0);
        block->mixed = room(arena, depth ? count * width : 0);
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
    net->sent = room(arena, rows * net->heads * width);
    net->blend = room(arena, both * width);
    net->logits = room(arena, CHUNK * classes);
    long side = rows > both ? rows : both;
    net->panels = room(arena, panel_size(side > width ? side : width, most));
    if (!arena->back)
        return;
    net->stream = room(arena, both * width);
    net->of_rows = room(arena, rows * 3 * width);
    net->of_sent = room(arena, rows * net->heads * width);
    net->of_table = room(arena, rows * width);
    net->wide = room(arena, both * most);
    net->change = room(arena, side * width);
    net->of_query = room(arena, both * width);
    net->of_gap = room(arena, (CHUNK + 1) * width);
    net->of_normed = room(arena, both * width);
}

/* Fill some of the columns of the rows of Q, K and V. */
static void fill_rows(const struct network *net, const struct linear *layer, long from)
{
    long rows = 2 * net->tokens, wide = 3 * net->width;
    apply(layer, rows, net->table_normed, net->rows + from, wide);
    for (long row = 0; row < rows; row++) {
        REAL *restrict place = net->rows + row * wide + from;
        for (long k = 0; k < layer->out; k++)
            place[k] += layer->offset[k];
    }
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
        const struct block *block = net->blocks + depth;
        const struct linear *layers[] = {&block->query, &block->key, &block->up, &block->down, &block->output};
        /* What the first layer's values add to the stream is in a table. */
        for (int i = 0; i < (depth ? 5 : 4); i++)
            prepare(layers[i]);
        for (long head = 0; head < net->heads; head++)
            prepare(block->value + head);
    }
    prepare(&net->head);
    const struct block *first = net->blocks;
    fill_rows(net, &first->query, 0);
    fill_rows(net, &first->key, width);
    for (long head = 0; head < net->heads; head++) {
        long from = head * (width / net->heads);
        fill_rows(net, first->value + head, 2 * width + from);
        lay_out(first->output.weight + from, width / net->heads, width, 1, width, net->panels);
        multiply(rows, width / net->heads, width, net->rows + 2 * width + from, 3 * width, 1, net->panels,
                 net->sent + head * width, net->heads * width, 0);
    }
}

/* How much the second of two keys gets of one query, head by head. */
static void gates(const struct network *net, const REAL *query, const REAL *key_gap, REAL *restrict gate)
{
    long size = net->width / net->heads;
    REAL root = sqrt((REAL)size);
    for (long head = 0; head < net->heads; head++) {
        REAL score = dot(query + head * size, key_gap + head * size, size) / root, other = decay(fabs(score));
        gate[head] = (score < 0 ? other : 1) / (1 + other);
    }
}

/* The stream behind the first layer's attention: inputs read rows of tables. */
static void attend_rows(const struct network *net, long count, struct inputs at)
{
    const struct block *block = net->blocks;
    long width = net->width, heads = net->heads;
    const REAL *bias = block->output.bias;
    for (long i = 0; i < count; i++) {
        long rows[2] = {row_of(at, 0, i), row_of(at, 1, i)};
        const REAL *key[2] = {net->rows + (3 * rows[0] + 1) * width, net->rows + (3 * rows[1] + 1) * width};
        REAL *restrict gap = block->key_gap + i * width;
        for (long k = 0; k < width; k++)
            gap[k] = key[1][k] - key[0][k];
        for (long q = 0; q < block->read; q++) {
            long place = q * count + i;
            REAL *query = block->queries + place * width, *gate = block->gate + place * heads;
            const REAL *table = net->table + rows[q] * width;
            REAL *restrict out = block->middle + place * width;
            memcpy(query, net->rows + 3 * rows[q] * width, width * sizeof(REAL));
            gates(net, query, gap, gate);
            for (long k = 0; k < width; k++)
                out[k] = table[k] + (bias ? bias[k] : 0);
            for (long head = 0; head < heads; head++) {
                const REAL *first = net->sent + (rows[0] * heads + head) * width,
                           *second = net->sent + (rows[1] * heads + head) * width;
                for (long k = 0; k < width; k++)
                    out[k] += first[k] + gate[head] * (second[k] - first[k]);
            }
        }
    }
}

/* A head's weighted rows, of normalised rows of both positions. */
static void weigh(const struct network *net, const struct block *block, long head, long count, const REAL *normed,
                  REAL *weighed)
{
    long width = net->width;
    for (long place = 0; place < block->read * count; place++) {
        const REAL *first = normed + place % count * width, *gap = block->gap + place % count * width;
        REAL gate = block->gate[place * net->heads + head], *restrict out = weighed + place * width;
        for (long k = 0; k < width; k++)
            out[k] = first[k] + gate * gap[k];
    }
}

/* The stream behind a later layer's attention, from that before it and its normalised rows, of both positions. */
static void attend(const struct network *net, const struct block *block, long count, const REAL *before,
                   const REAL *normed)
{
    long width = net->width, rows = block->read * count, size = width / net->heads;
    for (long k = 0; k < count * width; k++)
        block->gap[k] = normed[count * width + k] - normed[k];
    apply(&block->query, rows, normed, block->queries, width);
    add_onto(rows, width, block->query.offset, NULL, block->queries);
    /* The bias of the difference of two keys is nothing. */
    apply(&block->key, count, block->gap, block->key_gap, width);
    for (long place = 0; place < rows; place++)
        gates(net, block->queries + place * width, block->key_gap + place % count * width,
              block->gate + place * net->heads);
    for (long head = 0; head < net->heads; head++) {
        const struct linear *value = block->value + head;
        weigh(net, block, head, count, normed, net->blend);
        apply(value, rows, net->blend, block->mixed + head * size, width);
        for (long place = 0; place < rows; place++) {
            REAL *restrict mixed = block->mixed + place * width + head * size;
            for (long k = 0; k < size; k++)
                mixed[k] += value->offset[k];
        }
    }
    apply(&block->output, rows, block->mixed, block->middle, width);
    add_onto(rows, width, block->output.bias, before, block->middle);
}

/* Logits of a few inputs. */
static void forward(const void *given, long count, struct inputs at)
{
    const struct network *net = given;
    long width = net->width, hidden = net->hidden;
    for (long depth = 0; depth < net->depth; depth++) {
        const struct block *block = net->blocks + depth;
        long rows = block->read * count;
        if (depth)
            attend(net, block, count, block[-1].after, block[-1].after_normed);
        else
            attend_rows(net, count, at);
        normalise(rows, width, block->middle, block->normed, block->inverse);
        apply(&block->up, rows, block->normed, block->slope, hidden);
        gelu_and_slope(rows, hidden, block->up.offset, block->slope, block->active);
        apply(&block->down, rows, block->active, block->after, width);
        add_onto(rows, width, block->down.bias, block->middle, block->after);
        normalise(rows, width, block->after, block->after_normed, block->after_inverse);
    }
    apply(&net->head, count, net->blocks[net->depth - 1].after_normed, net->logits, net->head.out);
    add_onto(count, net->head.out, net->head.offset, NULL, net->logits);
}

/* Sizes are those of `struct network`; there is a block per layer, and values per layer and head. */
static struct network network_of(const long *sizes, const REAL *const *weights, REAL *const *gradients,
                                 struct block *blocks, struct linear *values)
{
    return (struct network){sizes[0], sizes[1], sizes[2],  sizes[3], sizes[4],
                            sizes[5], weights,  gradients, blocks,   values};
}
