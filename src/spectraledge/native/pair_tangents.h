/* How the stream of a transformer on pairs moves at position 0 when its attention's matrices do: what
 * models/tangents.py does with PyTorch, direction after direction at a few inputs, whose own pass is given. In the
 * precision REAL; the file that includes this gives the function a NAME.
 */
#include <math.h>
#include <stdint.h>

#include "matrices.h"

/* Weights of a layer and what n inputs left there; `read` positions, 2 or 1 in the last layer, times n are rows. Linear
 * layers have the LayerNorm before them folded in, and directions, each after the other, too; those may be missing.
 */
struct layer {
    const REAL *qkv, *output, *up, *down;
    const REAL *normed1, *inverse1, *query, *key_gap, *value_gap, *gate, *gate_slope, *mixed, *normed2, *inverse2,
        *slope;
    const REAL *moved_qkv, *moved_bias, *moved_output;
};

/* What the first layer's attention adds along a direction, which need not move it: models/first_layer_tables.py. */
struct table {
    const REAL *scores, *rows;
};

struct panels {
    REAL *query, *key, *value, *output, *up, *down;
};

struct pass {
    long tokens, width, depth, heads, hidden, count;
    struct panels *panels;
    REAL *moved, *gap, *query, *key, *value, *mixed, *hidden_rows, *stream, *direction;
};

static void arrange(struct pass *pass, struct arena *arena)
{
    long width = pass->width, rows = 2 * pass->count, square = panel_size(width, width);
    for (struct panels *panels = pass->panels; panels < pass->panels + pass->depth; panels++) {
        REAL **squares[] = {&panels->query, &panels->key, &panels->value, &panels->output};
        for (int i = 0; i < 4; i++)
            *squares[i] = room(arena, square);
        panels->up = room(arena, panel_size(width, pass->hidden));
        panels->down = room(arena, panel_size(pass->hidden, width));
    }
    REAL **wide[] = {&pass->moved, &pass->query, &pass->value, &pass->mixed, &pass->stream};
    for (int i = 0; i < 5; i++)
        *wide[i] = room(arena, rows * width);
    pass->gap = room(arena, pass->count * width);
    pass->key = room(arena, pass->count * width);
    pass->hidden_rows = room(arena, rows * pass->hidden);
    pass->direction = room(arena, 3 * square);
}

static void begin(const struct pass *pass, const struct layer *layers)
{
    long width = pass->width, square = width * width;
    for (long depth = 0; depth < pass->depth; depth++) {
        const struct layer *layer = layers + depth;
        const struct panels *panels = pass->panels + depth;
        if (depth) {
            lay_out(layer->qkv, width, width, 1, width, panels->query);
            lay_out(layer->qkv + square, width, width, 1, width, panels->key);
            lay_out(layer->qkv + 2 * square, width, width, 1, width, panels->value);
            lay_out(layer->output, width, width, 1, width, panels->output);
        }
        lay_out(layer->up, width, pass->hidden, 1, width, panels->up);
        lay_out(layer->down, pass->hidden, width, 1, pass->hidden, panels->down);
    }
}

/* The stream behind the first layer's attention: sums of rows of the table. */
static void attend_table(const struct pass *pass, const struct layer *first, const struct table *table, long read,
                         const int64_t *at)
{
    long width = pass->width, count = pass->count, heads = pass->heads, rows = 2 * pass->tokens;
    const REAL *own = table->rows + heads * rows * width;
    for (long place = 0; place < read * count; place++) {
        long q = place / count, i = place % count, pair = at[i] * pass->tokens + at[count + i] - pass->tokens;
        REAL *restrict out = pass->stream + place * width;
        for (long k = 0; k < width; k++)
            out[k] = 0;
        for (long head = 0; head < heads; head++) {
            long from = head * rows, one = (from + at[i]) * width, two = (from + at[count + i]) * width;
            REAL share = first->gate[place * heads + head], moved = 0;
            const REAL *a = table->rows + one, *b = table->rows + two;
            if (table->scores)
                moved = table->scores[(2 * pair + q) * heads + head] * first->gate_slope[place * heads + head];
            if (table->scores)
                for (long k = 0; k < width; k++)
                    out[k] += a[k] + share * (b[k] - a[k]) + moved * (own[two + k] - own[one + k]);
            else
                for (long k = 0; k < width; k++)
                    out[k] += a[k] + share * (b[k] - a[k]);
        }
    }
}

static void feed_forward(const struct pass *pass, const struct layer *layer, const struct panels *panels, long rows)
{
    long width = pass->width, hidden = pass->hidden;
    through_normalisation(rows, width, pass->stream, layer->normed2, layer->inverse2, pass->moved, 0);
    multiply(rows, width, hidden, pass->moved, width, 1, panels->up, pass->hidden_rows, hidden, 0);
    for (long k = 0; k < rows * hidden; k++)
        pass->hidden_rows[k] *= layer->slope[k];
    multiply(rows, hidden, width, pass->hidden_rows, hidden, 1, panels->down, pass->stream, width, 1);
}

/* Q, the difference of the keys, and V of rows, to which they are added where `add` says so. */
static void project(const struct pass *pass, const REAL *rows, const REAL *const panels[3], long read, int add)
{
    long width = pass->width, count = pass->count;
    for (long k = 0; k < count * width; k++)
        pass->gap[k] = rows[count * width + k] - rows[k];
    multiply(read * count, width, width, rows, width, 1, panels[0], pass->query, width, add);
    multiply(count, width, width, pass->gap, width, 1, panels[1], pass->key, width, add);
    multiply(2 * count, width, width, rows, width, 1, panels[2], pass->value, width, add);
}

/* Attention's weighted values, from changes of queries, the keys' difference and values. */
static void mix(const struct pass *pass, const struct layer *layer, long read)
{
    long width = pass->width, count = pass->count, heads = pass->heads, size = width / heads;
    for (long place = 0; place < read * count; place++)
        for (long head = 0; head < heads; head++) {
            long wide = place * width + head * size, narrow = place % count * width + head * size;
            const REAL *first = pass->value + narrow, *second = first + count * width;
            REAL score = 0, share = layer->gate[place * heads + head];
#pragma omp simd reduction(+ : score)
            for (long k = 0; k < size; k++)
                score +=
                    pass->query[wide + k] * layer->key_gap[narrow + k] + layer->query[wide + k] * pass->key[narrow + k];
            score *= layer->gate_slope[place * heads + head];
            for (long k = 0; k < size; k++)
                pass->mixed[wide + k] =
                    first[k] + share * (second[k] - first[k]) + score * layer->value_gap[narrow + k];
        }
}

/* The stream behind a later layer's attention, and whether it moves; `moves` says whether that before it does. */
static int attend(const struct pass *pass, const struct layer *layer, const struct panels *panels, long direction,
                  long read, int moves)
{
    long width = pass->width, square = width * width, projected = layer->moved_qkv || moves;
    if (layer->moved_qkv) {
        const REAL *bias = layer->moved_bias + 3 * direction * width;
        const REAL *along[3];
        for (int i = 0; i < 3; i++) {
            REAL *place = pass->direction + i * panel_size(width, width);
            lay_out(layer->moved_qkv + (3 * direction + i) * square, width, width, 1, width, place);
            along[i] = place;
        }
        project(pass, layer->normed1, along, read, 0);
        /* The bias of the difference of two keys is nothing. */
        for (long k = 0; k < read * pass->count * width; k++)
            pass->query[k] += bias[k % width];
        for (long k = 0; k < 2 * pass->count * width; k++)
            pass->value[k] += bias[2 * width + k % width];
    }
    if (moves) {
        const REAL *own[3] = {panels->query, panels->key, panels->value};
        through_normalisation(2 * pass->count, width, pass->stream, layer->normed1, layer->inverse1, pass->moved, 0);
        project(pass, pass->moved, own, read, layer->moved_qkv != NULL);
    }
    long rows = read * pass->count;
    if (projected) {
        mix(pass, layer, read);
        multiply(rows, width, width, pass->mixed, width, 1, panels->output, pass->stream, width, moves);
    }
    if (layer->moved_output) {
        lay_out(layer->moved_output + direction * square, width, width, 1, width, pass->direction);
        multiply(rows, width, width, layer->mixed, width, 1, pass->direction, pass->stream, width, projected);
    }
    return projected || layer->moved_output;
}

static struct pass pass_of(const long *sizes, struct panels *panels)
{
    return (struct pass){sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5], panels};
}

/* How many numbers the memory of a pass is; sizes as in `struct pass`. */
int NAME(pair_tangents_room)(const long *sizes)
{
    struct panels panels[sizes[2]];
    struct pass pass = pass_of(sizes, panels);
    struct arena arena = {0};
    arrange(&pass, &arena);
    return arena.used;
}

/* The tangents along some directions, those of all being `stride` apart. at[p · count + i] is the row of the table of
 * tokens that position p of input i reads, those of the second position behind all of the first.
 */
void NAME(pair_tangents)(const long *sizes, REAL *memory, const struct layer *layers, const struct table *tables,
                         const int64_t *at, long first, long end, REAL *found, long stride)
{
    struct panels panels[sizes[2]];
    struct pass pass = pass_of(sizes, panels);
    struct arena arena = {.base = memory};
    arrange(&pass, &arena);
    begin(&pass, layers);
    for (long direction = first; direction < end; direction++) {
        int moves = tables[direction].rows != NULL;
        for (long depth = 0; depth < pass.depth; depth++) {
            long read = depth == pass.depth - 1 ? 1 : 2;
            if (depth)
                moves = attend(&pass, layers + depth, panels + depth, direction, read, moves);
            else if (moves)
                attend_table(&pass, layers, tables + direction, read, at);
            if (moves)
                feed_forward(&pass, layers + depth, panels + depth, read * pass.count);
        }
        memcpy(found + direction * stride, pass.stream, pass.count * pass.width * sizeof(REAL));
    }
}
