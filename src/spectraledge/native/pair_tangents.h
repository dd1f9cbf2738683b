/* How the stream of a transformer on pairs moves at position 0 when its attention's matrices do: what
 * models/tangents.py does with PyTorch, at a few inputs along every direction after another.
 *
 * Behind the first layer a direction's products are fewer than those of its Q, K and V with rows of both positions:
 * what moves rows moves scores by inner products with vectors that all directions share, and a head's weighted values
 * are V of weighted rows.
 */
#include "pair_pass.h"

/* Directions in a layer's matrices, each after the other; those of Q, K and V with the LayerNorm before them folded in,
 * as weights and bias. Some may be missing.
 */
struct moved {
    const REAL *qkv, *bias, *output;
};

/* What the first layer's attention adds along a direction, which need not move it: models/first_layer_tables.py. */
struct table {
    const REAL *scores, *rows;
};

/* What all directions need of a layer at a few inputs, beside what these left there: of its gates the derivative by the
 * score; and, behind the first, by head, what rows of either position move it by, and weighted normalised rows.
 */
struct shared {
    REAL *gate_slope, *of_rows[2], *blend, *value_gap;
    REAL *query, *key, *output; /* Panels by head, of the first two transposed. */
};

struct pass {
    struct network net;
    struct shared *shared;
    REAL *moved, *query, *key, *mixed, *hidden, *stream, *gates, *blend, *panels;
};

/* Panels of a direction in a layer behind the first: Q, K, the output, and V by head. */
static long panels_of_layer(const struct network *net)
{
    return 3 * panel_size(net->width, net->width) + net->heads * panel_size(net->width, net->width / net->heads);
}

static void arrange_tangents(struct pass *pass, struct arena *arena)
{
    struct network *net = &pass->net;
    long width = net->width, rows = 2 * CHUNK, wide = rows * net->heads * width, size = width / net->heads;
    arrange(net, arena);
    for (struct shared *shared = pass->shared; shared < pass->shared + net->depth; shared++) {
        shared->gate_slope = room(arena, rows * net->heads);
        if (shared == pass->shared)
            continue;
        REAL **by_head[] = {&shared->of_rows[0], &shared->of_rows[1], &shared->blend};
        for (int i = 0; i < 3; i++)
            *by_head[i] = room(arena, wide);
        shared->query = room(arena, net->heads * panel_size(size, width));
        shared->key = room(arena, net->heads * panel_size(size, width));
        shared->output = room(arena, net->heads * panel_size(size, width));
        shared->value_gap = room(arena, CHUNK * width);
    }
    REAL **scratch[] = {&pass->moved, &pass->query, &pass->key, &pass->mixed, &pass->stream};
    for (int i = 0; i < 5; i++)
        *scratch[i] = room(arena, rows * width);
    pass->hidden = room(arena, rows * net->hidden);
    pass->gates = room(arena, rows * net->heads);
    pass->blend = room(arena, wide);
    pass->panels = room(arena, panel_size(size, width));
}

static void begin_tangents(const struct pass *pass)
{
    const struct network *net = &pass->net;
    long width = net->width, size = width / net->heads, part = size * width;
    begin(net);
    for (long depth = 1; depth < net->depth; depth++) {
        const struct block *block = net->blocks + depth;
        const struct shared *shared = pass->shared + depth;
        for (long head = 0; head < net->heads; head++) {
            lay_out(block->query.folded + head * part, size, width, width, 1,
                    shared->query + head * panel_size(size, width));
            lay_out(block->key.folded + head * part, size, width, width, 1,
                    shared->key + head * panel_size(size, width));
            lay_out(block->output.weight + head * size, size, width, 1, width,
                    shared->output + head * panel_size(size, width));
        }
    }
}

/* What all directions share, of inputs that just went forward. */
static void share(const struct pass *pass, long count)
{
    const struct network *net = &pass->net;
    long width = net->width, heads = net->heads, size = width / heads;
    REAL root = sqrt((REAL)size);
    for (long depth = 0; depth < net->depth; depth++) {
        const struct block *block = net->blocks + depth;
        const struct shared *shared = pass->shared + depth;
        long rows = block->read * count;
        for (long k = 0; k < rows * heads; k++)
            shared->gate_slope[k] = block->gate[k] * (1 - block->gate[k]) / root;
        if (!depth)
            continue;
        for (long head = 0; head < heads; head++) {
            const REAL *query = shared->query + head * panel_size(size, width),
                       *key = shared->key + head * panel_size(size, width);
            long from = head * size, at = head * width, stride = heads * width;
            for (long q = 0; q < block->read; q++)
                multiply(count, size, width, block->key_gap + from, width, 1, query,
                         shared->of_rows[0] + q * count * stride + at, stride, 0);
            multiply(rows, size, width, block->queries + from, width, 1, key, shared->of_rows[1] + at, stride, 0);
            apply(block->value + head, count, block->gap, shared->value_gap + from, width);
            weigh(net, block, head, count, block[-1].after_normed, shared->blend + head * rows * width);
        }
        for (long place = 0; place < rows; place++)
            for (long head = 0; head < heads; head++) {
                long at = (place * heads + head) * width;
                REAL *restrict one = shared->of_rows[0] + at, *restrict two = shared->of_rows[1] + at;
                REAL slope = shared->gate_slope[place * heads + head];
                /* `one` is by the query so far, `two` by the difference of the keys. */
                for (long k = 0; k < width; k++) {
                    REAL by_query = slope * one[k], by_gap = slope * two[k];
                    one[k] = place < count ? by_query - by_gap : -by_gap;
                    two[k] = place < count ? by_gap : by_query + by_gap;
                }
            }
    }
}

/* What one head of the first layer adds to the stream, added to `out`: a sum of rows of the table. */
static void add_head(const struct pass *pass, const struct table *table, long head, long count, long place,
                     struct inputs at, REAL *restrict out)
{
    const struct network *net = &pass->net;
    long width = net->width, heads = net->heads, rows = 2 * net->tokens, q = place / count, i = place % count;
    long zero = row_of(at, 0, i), other = row_of(at, 1, i), pair = zero * net->tokens + other - net->tokens;
    const REAL *a = table->rows + (head * rows + zero) * width, *b = table->rows + (head * rows + other) * width;
    REAL share = net->blocks->gate[place * heads + head];
    if (!table->scores) {
        for (long k = 0; k < width; k++)
            out[k] += a[k] + share * (b[k] - a[k]);
        return;
    }
    const REAL *own_a = a + heads * rows * width, *own_b = b + heads * rows * width;
    REAL moved = table->scores[(2 * pair + q) * heads + head] * pass->shared->gate_slope[place * heads + head];
    for (long k = 0; k < width; k++)
        out[k] += a[k] + share * (b[k] - a[k]) + moved * (own_b[k] - own_a[k]);
}

/* The stream behind the first layer's attention. */
static void attend_table(const struct pass *pass, const struct table *table, long count, struct inputs at)
{
    long width = pass->net.width, rows = pass->net.blocks->read * count;
    memset(pass->stream, 0, rows * width * sizeof(REAL));
    for (long place = 0; place < rows; place++)
        for (long head = 0; head < pass->net.heads; head++)
            add_head(pass, table, head, count, place, at, pass->stream + place * width);
}

static void feed_forward(const struct pass *pass, const struct block *block, long rows)
{
    long width = pass->net.width, hidden = pass->net.hidden;
    through_normalisation(rows, width, pass->stream, block->normed, block->inverse, pass->moved, 0);
    apply(&block->up, rows, pass->moved, pass->hidden, hidden);
    for (long k = 0; k < rows * hidden; k++)
        pass->hidden[k] *= block->slope[k];
    multiply(rows, hidden, width, pass->hidden, hidden, 1, block->down.forth, pass->stream, width, 1);
}

/* Gates and weighted values of a later layer, by a direction in its own matrices. */
static void move_layer(const struct pass *pass, long depth, const REAL *panels, const REAL *bias, long count)
{
    const struct block *block = pass->net.blocks + depth;
    const struct shared *shared = pass->shared + depth;
    long width = pass->net.width, heads = pass->net.heads, size = width / heads, rows = block->read * count;
    long square = panel_size(width, width);
    multiply(rows, width, width, block[-1].after_normed, width, 1, panels, pass->query, width, 0);
    /* The bias of the difference of two keys is nothing. */
    multiply(count, width, width, block->gap, width, 1, panels + square, pass->key, width, 0);
    for (long head = 0; head < heads; head++)
        multiply(rows, width, size, shared->blend + head * rows * width, width, 1,
                 panels + 3 * square + head * panel_size(width, size), pass->mixed + head * size, width, 0);
    for (long place = 0; place < rows; place++) {
        const REAL *query = pass->query + place * width, *key = pass->key + place % count * width;
        const REAL *own_query = block->queries + place * width, *key_gap = block->key_gap + place % count * width;
        for (long head = 0; head < heads; head++) {
            REAL score = 0;
#pragma omp simd reduction(+ : score)
            for (long k = head * size; k < (head + 1) * size; k++)
                score += (query[k] + bias[k]) * key_gap[k] + own_query[k] * key[k];
            pass->gates[place * heads + head] = score * shared->gate_slope[place * heads + head];
        }
        for (long k = 0; k < width; k++)
            pass->mixed[place * width + k] += bias[2 * width + k];
    }
}

/* What the stream before a later layer, which moves, adds to its gates and weighted values; sets them without `add`. */
static void move_rows(const struct pass *pass, long depth, long count, int add)
{
    const struct block *block = pass->net.blocks + depth;
    const struct shared *shared = pass->shared + depth;
    long width = pass->net.width, heads = pass->net.heads, size = width / heads, rows = block->read * count;
    through_normalisation(2 * count, width, pass->stream, block[-1].after_normed, block[-1].after_inverse, pass->moved,
                          0);
    for (long place = 0; place < rows; place++) {
        const REAL *restrict one = pass->moved + place % count * width, *restrict two = one + count * width;
        for (long head = 0; head < heads; head++) {
            long at = place * heads + head;
            const REAL *by_one = shared->of_rows[0] + at * width, *by_two = shared->of_rows[1] + at * width;
            REAL *restrict blend = pass->blend + (head * rows + place) * width, gate = block->gate[at], moved = 0;
#pragma omp simd reduction(+ : moved)
            for (long k = 0; k < width; k++) {
                moved += one[k] * by_one[k] + two[k] * by_two[k];
                blend[k] = one[k] + gate * (two[k] - one[k]);
            }
            pass->gates[at] = moved + (add ? pass->gates[at] : 0);
        }
    }
    for (long head = 0; head < heads; head++)
        multiply(rows, width, size, pass->blend + head * rows * width, width, 1, block->value[head].forth,
                 pass->mixed + head * size, width, add);
}

/* The stream behind a later layer's attention, and whether it moves; `moves` says whether that before it does. */
static int attend_moved(const struct pass *pass, long depth, const struct moved *moved, long direction,
                        const REAL *panels, long count, int moves)
{
    const struct block *block = pass->net.blocks + depth;
    long width = pass->net.width, heads = pass->net.heads, size = width / heads, rows = block->read * count;
    if (moved->qkv)
        move_layer(pass, depth, panels, moved->bias + 3 * direction * width, count);
    if (moves)
        move_rows(pass, depth, count, moved->qkv != NULL);
    int mixed = moves || moved->qkv;
    if (mixed) {
        for (long place = 0; place < rows; place++)
            for (long head = 0; head < heads; head++) {
                const REAL *gap = pass->shared[depth].value_gap + place % count * width;
                REAL gate = pass->gates[place * heads + head];
                for (long k = head * size; k < (head + 1) * size; k++)
                    pass->mixed[place * width + k] += gate * gap[k];
            }
        multiply(rows, width, width, pass->mixed, width, 1, block->output.forth, pass->stream, width, moves);
    }
    if (moved->output)
        multiply(rows, width, width, block->mixed, width, 1, panels + 2 * panel_size(width, width), pass->stream, width,
                 mixed);
    return mixed || moved->output;
}

/* What every head adds to the stream at the first position, an input's `stride` from the next, of a layer whose
 * weighted values just moved where `mixed` says so; the first layer's have a table, if they move.
 */
static void give_heads(const struct pass *pass, long depth, const struct moved *moved, long direction,
                       const struct table *table, struct inputs at, long count, int mixed, REAL *found, long stride)
{
    const struct block *block = pass->net.blocks + depth;
    long width = pass->net.width, size = width / pass->net.heads;
    for (long head = 0; head < pass->net.heads; head++, found += width) {
        for (long i = 0; i < count; i++)
            memset(found + i * stride, 0, width * sizeof(REAL));
        for (long i = 0; i < count && table && table->rows; i++)
            add_head(pass, table, head, count, i, at, found + i * stride);
        if (depth && mixed)
            multiply(count, size, width, pass->mixed + head * size, width, 1,
                     pass->shared[depth].output + head * panel_size(size, width), found, stride, 1);
        if (depth && moved->output) {
            lay_out(moved->output + direction * width * width + head * size, size, width, 1, width, pass->panels);
            multiply(count, size, width, block->mixed + head * size, width, 1, pass->panels, found, stride, 1);
        }
    }
}

static struct pass pass_of(const long *sizes, const REAL *const *weights, struct block *blocks, struct linear *values,
                           struct shared *shared)
{
    return (struct pass){.net = network_of(sizes, weights, NULL, blocks, values), .shared = shared};
}

/* How many numbers the memory of a thread is; sizes as in `struct network`. */
int NAME(pair_tangents_room)(const long *sizes)
{
    struct block blocks[sizes[3]];
    struct linear values[sizes[3] * sizes[4]];
    struct shared shared[sizes[3]];
    struct pass pass = pass_of(sizes, NULL, blocks, values, shared);
    struct arena arena = {0};
    arrange_tangents(&pass, &arena);
    return arena.used;
}

/* How many numbers the panels of a direction are. */
int NAME(pair_tangents_panels)(const long *sizes)
{
    struct network net = network_of(sizes, NULL, NULL, NULL, NULL);
    return (net.depth - 1) * panels_of_layer(&net);
}

/* Lay out the panels of directions, which all threads read. */
void NAME(pair_tangents_lay_out)(const long *sizes, const struct moved *moved, long directions, REAL *panels)
{
    struct network net = network_of(sizes, NULL, NULL, NULL, NULL);
    long width = net.width, size = width / net.heads, area = width * width, square = panel_size(width, width);
    for (long direction = 0; direction < directions; direction++)
        for (long depth = 1; depth < net.depth; depth++, panels += panels_of_layer(&net)) {
            const REAL *qkv = moved[depth].qkv, *output = moved[depth].output;
            for (int i = 0; i < 2 && qkv; i++)
                lay_out(qkv + (3 * direction + i) * area, width, width, 1, width, panels + i * square);
            for (long head = 0; head < net.heads && qkv; head++)
                lay_out(qkv + (3 * direction + 2) * area + head * size * width, width, size, 1, width,
                        panels + 3 * square + head * panel_size(width, size));
            if (output)
                lay_out(output + direction * area, width, width, 1, width, panels + 2 * square);
        }
}

/* Tangents of inputs along directions; `found` has those of a direction together, `stride` numbers from the next. They
 * are the stream's, or, `by_head`, of what every head adds to it, layer by layer.
 */
void NAME(pair_tangents)(const long *sizes, REAL *memory, const REAL *const *weights, const struct moved *moved,
                         const struct table *tables, const REAL *panels, long directions, struct inputs at, long count,
                         int by_head, REAL *found, long stride)
{
    struct block blocks[sizes[3]];
    struct linear values[sizes[3] * sizes[4]];
    struct shared shared[sizes[3]];
    struct pass pass = pass_of(sizes, weights, blocks, values, shared);
    struct arena arena = {.base = memory};
    arrange_tangents(&pass, &arena);
    begin_tangents(&pass);
    long width = pass.net.width, wide = by_head ? pass.net.depth * pass.net.heads * width : width;
    for (long from = 0; from < count; from += CHUNK, at.rows += CHUNK) {
        long high = count - from < CHUNK ? count - from : CHUNK;
        forward(&pass.net, high, at);
        share(&pass, high);
        const REAL *own = panels;
        for (long direction = 0; direction < directions; direction++) {
            const struct table *table = tables + direction;
            REAL *place = found + direction * stride + from * wide;
            int moves = table->rows != NULL;
            for (long depth = 0; depth < pass.net.depth; depth++) {
                int mixed = depth && (moves || moved[depth].qkv);
                if (depth) {
                    moves = attend_moved(&pass, depth, moved + depth, direction, own, high, moves);
                    own += panels_of_layer(&pass.net);
                } else if (moves)
                    attend_table(&pass, table, high, at);
                if (by_head)
                    give_heads(&pass, depth, moved + depth, direction, depth ? NULL : table, at, high, mixed,
                               place + depth * pass.net.heads * width, wide);
                if (moves && !(by_head && depth == pass.net.depth - 1))
                    feed_forward(&pass, blocks + depth, blocks[depth].read * high);
            }
            if (!by_head)
                memcpy(place, pass.stream, high * width * sizeof(REAL));
        }
    }
}
