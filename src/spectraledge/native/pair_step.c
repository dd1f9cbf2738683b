/* Answers, losses and gradients of one transformer on pairs of tokens, in single precision: what models/pairs.py and
 * models/gradients.py do with PyTorch, in the same way and by the same names, in one call. A few inputs pass through
 * the whole network, there and back, so that what they leave stays in the cache; products are those of matrices.h.
 * Everything runs on the thread that calls it.
 */
#include "layers.h"

/* A layer, and what inputs leave there: q of 2 positions, or 1 in the last layer, times n inputs are its rows. */
struct block {
    struct linear query, key, value, output, up, down;
    long read;
    float *queries, *key_gap, *value_gap, *gate, *mixed; /* Attention: see `attend_one`. */
    float *gap;                                          /* Of the normalised rows before it. */
    float *middle, *normed, *inverse;                    /* The stream behind attention, and normalised. */
    float *active, *slope;
    float *after, *after_normed, *after_inverse; /* The stream behind the layer. */
};

struct network {
    long tokens, answers, width, depth, heads, hidden;
    const float *const *weights;
    float *const *gradients;
    struct block *blocks;
    struct linear head;
    float *table, *table_normed, *table_inverse, *rows; /* Embeddings; Q, K and V of each beside each other. */
    float *of_rows, *of_table;
    float *stream, *values, *logits, *panels, *wide, *change, *of_query, *of_gap, *of_value;
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
        const float *const *weights = net->weights;
        float *const *gradients = net->gradients;
        block->query = linear_of(arena, width, width, weights, gradients, first + QKV, first + NORM1, 0);
        block->key = linear_of(arena, width, width, weights, gradients, first + QKV, first + NORM1, width);
        block->key.of_bias = NULL; /* Attention does not see a shift of all keys. */
        block->value = linear_of(arena, width, width, weights, gradients, first + QKV, first + NORM1, 2 * width);
        block->output = linear_of(arena, width, width, weights, gradients, first + OUTPUT, -1, 0);
        block->up = linear_of(arena, width, hidden, weights, gradients, first + UP, first + NORM2, 0);
        block->down = linear_of(arena, hidden, width, weights, gradients, first + DOWN, -1, 0);
        float **wide[] = {&block->queries, &block->mixed, &block->middle,
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
        const float *position = net->weights[POSITIONS] + row / net->tokens * width;
        const float *token = net->weights[TOKENS] + row % net->tokens * width;
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
static void attend_one(const struct network *net, const float *query, const float *key_gap, const float *value,
                       const float *value_gap, float *restrict gate, float *restrict mixed)
{
    long size = net->width / net->heads;
    float root = sqrtf(size);
    for (long head = 0; head < net->heads; head++) {
        long from = head * size;
        float score = dot(query + from, key_gap + from, size) / root, other = decay(fabsf(score));
        float share = (score < 0 ? other : 1) / (1 + other);
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
        const float *row[2] = {net->rows + row_of(at, 0, i) * 3 * width, net->rows + row_of(at, 1, i) * 3 * width};
        float *keys = block->key_gap + i * width, *values = block->value_gap + i * width;
        for (long k = 0; k < width; k++)
            keys[k] = row[1][width + k] - row[0][width + k];
        for (long k = 0; k < width; k++)
            values[k] = row[1][2 * width + k] - row[0][2 * width + k];
        for (long q = 0; q < block->read; q++) {
            long place = q * count + i;
            memcpy(block->queries + place * width, row[q], width * sizeof(float));
            attend_one(net, row[q], keys, row[0] + 2 * width, values, block->gate + place * net->heads,
                       block->mixed + place * width);
        }
    }
}

/* The attention of a later layer, at normalised rows of both positions. */
static void attend(const struct network *net, struct block *block, long count, const float *normed)
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
    const float *before = net->stream, *normed = NULL;
    for (long q = 0; q < net->blocks->read; q++)
        for (long i = 0; i < count; i++)
            memcpy(net->stream + (q * count + i) * width, net->table + row_of(at, q, i) * width, width * sizeof(float));
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

/* Add to changes of one query, of the gap of two keys and of both values what a change of the weighted values gives. */
static void attend_one_back(const struct network *net, const float *change, const float *query, const float *key_gap,
                            const float *value_gap, const float *gate, float *restrict of_query, float *restrict of_gap,
                            float *restrict of_first, float *restrict of_second)
{
    long size = net->width / net->heads;
    float root = sqrtf(size);
    for (long head = 0; head < net->heads; head++) {
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

/* Back from the first layer's weighted values to the rows of the table that inputs read. */
static void attend_rows_back(const struct network *net, long count, struct inputs at)
{
    const struct block *block = net->blocks;
    long width = net->width;
    float *gap = net->of_gap;
    for (long i = 0; i < count; i++) {
        float *row[2] = {net->of_rows + row_of(at, 0, i) * 3 * width, net->of_rows + row_of(at, 1, i) * 3 * width};
        memset(gap, 0, width * sizeof(float));
        for (long q = 0; q < block->read; q++) {
            long place = q * count + i;
            attend_one_back(net, net->change + place * width, block->queries + place * width,
                            block->key_gap + i * width, block->value_gap + i * width, block->gate + place * net->heads,
                            row[q], gap, row[0] + 2 * width, row[1] + 2 * width);
            float *of_table = net->of_table + row_of(at, q, i) * width;
            for (long k = 0; k < width; k++)
                of_table[k] += net->stream[place * width + k];
        }
        for (long k = 0; k < width; k++) {
            row[0][width + k] -= gap[k];
            row[1][width + k] += gap[k];
        }
    }
}

/* Back from a later layer's weighted values, through the normalised rows before it, to the stream there. */
static void attend_back(const struct network *net, const struct block *block, long count, const float *normed,
                        const float *inverse)
{
    long width = net->width, rows = block->read * count;
    memset(net->of_query, 0, rows * width * sizeof(float));
    memset(net->of_gap, 0, count * width * sizeof(float));
    memset(net->of_value, 0, 2 * count * width * sizeof(float));
    for (long q = 0; q < block->read; q++)
        for (long i = 0; i < count; i++) {
            long place = q * count + i;
            attend_one_back(net, net->change + place * width, block->queries + place * width,
                            block->key_gap + i * width, block->value_gap + i * width, block->gate + place * net->heads,
                            net->of_query + place * width, net->of_gap + i * width, net->of_value + i * width,
                            net->of_value + (count + i) * width);
        }
    float *between = net->wide;
    go_back(&block->value, 2 * count, net->of_value, width, normed, net->panels, net->change, 0);
    go_back(&block->query, rows, net->of_query, width, normed, net->panels, net->change, 1);
    go_back(&block->key, count, net->of_gap, width, block->gap, net->panels, between, 0);
    for (long k = 0; k < count * width; k++) {
        net->change[k] -= between[k];
        net->change[count * width + k] += between[k];
    }
    memset(net->stream + rows * width, 0, (2 * count - rows) * width * sizeof(float));
    through_normalisation(2 * count, width, net->change, normed, inverse, net->stream, 1);
}

/* Back from the slopes in `logits`, of inputs that just went forward, to all gradients but the first layer's. */
static void backward(const void *given, long count, struct inputs at)
{
    const struct network *net = given;
    long width = net->width, hidden = net->hidden;
    const struct block *last = net->blocks + net->depth - 1;
    go_back(&net->head, count, net->logits, net->head.out, last->after_normed, net->panels, net->change, 0);
    memset(net->stream, 0, count * width * sizeof(float));
    through_normalisation(count, width, net->change, last->after_normed, last->after_inverse, net->stream, 1);
    for (const struct block *block = last;; block--) {
        long rows = block->read * count;
        go_back(&block->down, rows, net->stream, width, block->active, net->panels, net->wide, 0);
        for (long k = 0; k < rows * hidden; k++)
            net->wide[k] *= block->slope[k];
        go_back(&block->up, rows, net->wide, hidden, block->normed, net->panels, net->change, 0);
        through_normalisation(rows, width, net->change, block->normed, block->inverse, net->stream, 1);
        go_back(&block->output, rows, net->stream, width, block->mixed, net->panels, net->change, 0);
        if (block == net->blocks)
            break;
        attend_back(net, block, count, block[-1].after_normed, block[-1].after_inverse);
    }
    attend_rows_back(net, count, at);
}

/* From the rows of the tables, which all inputs have added to, to the first layer's matrices and the embeddings. */
static void end(const struct network *net)
{
    long width = net->width, rows = 2 * net->tokens;
    struct block *first = net->blocks;
    const struct linear *parts[] = {&first->query, &first->key, &first->value};
    for (int i = 0; i < 3; i++)
        go_back(parts[i], rows, net->of_rows + i * width, 3 * width, net->table_normed, net->panels, net->change,
                i > 0);
    through_normalisation(rows, width, net->change, net->table_normed, net->table_inverse, net->of_table, 1);
    for (long row = 0; row < rows; row++)
        for (long k = 0; k < width; k++) {
            net->gradients[TOKENS][row % net->tokens * width + k] += net->of_table[row * width + k];
            net->gradients[POSITIONS][row / net->tokens * width + k] += net->of_table[row * width + k];
        }
    for (struct block *block = first; block < first + net->depth; block++) {
        unfold(&block->query);
        unfold(&block->key);
        unfold(&block->value);
        unfold(&block->up);
    }
    unfold(&net->head);
}

static struct network network_of(const long *sizes, const float *const *weights, float *const *gradients,
                                 struct block *blocks)
{
    return (struct network){sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], weights, gradients, blocks};
}

static struct passes passes_of(const struct network *net)
{
    return (struct passes){net, net->tokens, net->answers, net->logits, forward, backward};
}

/* How many numbers the memory of a pass is, with the way back or without; `sizes` are those of `struct network`. */
int pair_room(const long *sizes, int back)
{
    struct block blocks[sizes[3]];
    struct network net = network_of(sizes, NULL, NULL, blocks);
    struct arena arena = {.back = back};
    arrange(&net, &arena);
    return arena.used;
}

/* Add to gradients those of `share` times the losses of inputs, and to `losses` their sum. */
void pair_gradient(const long *sizes, float *memory, const float *const *weights, float *const *gradients,
                   struct inputs at, const int64_t *labels, long count, int squared, float share, double *losses)
{
    struct block blocks[sizes[3]];
    struct network net = network_of(sizes, weights, gradients, blocks);
    struct arena arena = {.base = memory, .back = 1};
    arrange(&net, &arena);
    begin(&net);
    memset(net.of_rows, 0, 2 * net.tokens * 3 * net.width * sizeof(float));
    memset(net.of_table, 0, 2 * net.tokens * net.width * sizeof(float));
    there_and_back(passes_of(&net), at, labels, count, squared, share, losses);
    end(&net);
}

/* Logits of inputs. */
void pair_logits(const long *sizes, float *memory, const float *const *weights, struct inputs at, long count,
                 float *logits)
{
    struct block blocks[sizes[3]];
    struct network net = network_of(sizes, weights, NULL, blocks);
    struct arena arena = {.base = memory};
    arrange(&net, &arena);
    begin(&net);
    answer(passes_of(&net), at, count, logits);
}
