/* Answers, losses and gradients of one transformer on pairs of tokens: with pair_pass.h what models/gradients.py does
 * with PyTorch, in one call.
 */
#include "pair_pass.h"

/* Add to changes of a query and of the difference of two keys what a change of how much a head's second key gets
 * gives.
 */
static void back_through_gate(const struct network *net, const struct block *block, long head, long place, long row,
                              REAL change, REAL *restrict of_query, REAL *restrict of_gap)
{
    long width = net->width, size = width / net->heads, from = head * size;
    const REAL *query = block->queries + place * width, *gap = block->key_gap + row * width;
    REAL share = block->gate[place * net->heads + head], score = change * share * (1 - share) / sqrt((REAL)size);
    for (long k = from; k < from + size; k++) {
        of_query[k] += score * gap[k];
        of_gap[k] += score * query[k];
    }
}

/* Back from the stream behind the first layer's attention to the rows of tables that inputs read. */
static void attend_rows_back(const struct network *net, long count, struct inputs at)
{
    const struct block *block = net->blocks;
    long width = net->width, heads = net->heads;
    REAL *gap = net->of_gap, *restrict of_bias = block->output.of_bias;
    for (long i = 0; i < count; i++) {
        long rows[2] = {row_of(at, 0, i), row_of(at, 1, i)};
        memset(gap, 0, width * sizeof(REAL));
        for (long q = 0; q < block->read; q++) {
            long place = q * count + i;
            const REAL *change = net->stream + place * width;
            REAL *restrict of_table = net->of_table + rows[q] * width;
            for (long k = 0; k < width; k++)
                of_table[k] += change[k];
            for (long k = 0; k < width && of_bias; k++)
                of_bias[k] += change[k];
            for (long head = 0; head < heads; head++) {
                long one = (rows[0] * heads + head) * width, two = (rows[1] * heads + head) * width;
                const REAL *first = net->sent + one, *second = net->sent + two;
                REAL *restrict of_first = net->of_sent + one, *restrict of_second = net->of_sent + two;
                REAL share = block->gate[place * heads + head], of_share = 0;
#pragma omp simd reduction(+ : of_share)
                for (long k = 0; k < width; k++) {
                    REAL part = share * change[k];
                    of_share += change[k] * (second[k] - first[k]);
                    of_first[k] += change[k] - part;
                    of_second[k] += part;
                }
                back_through_gate(net, block, head, place, i, of_share, net->of_rows + 3 * rows[q] * width, gap);
            }
        }
        for (int position = 0; position < 2; position++) {
            REAL *restrict key = net->of_rows + (3 * rows[position] + 1) * width;
            for (long k = 0; k < width; k++)
                key[k] += position ? gap[k] : -gap[k];
        }
    }
}

/* Back from a later layer's weighted values, through the normalised rows before it, to the stream there. */
static void attend_back(const struct network *net, const struct block *block, long count, const REAL *normed,
                        const REAL *inverse)
{
    long width = net->width, rows = block->read * count, size = width / net->heads;
    REAL *change = net->wide;
    memset(net->of_query, 0, rows * width * sizeof(REAL));
    memset(net->of_gap, 0, count * width * sizeof(REAL));
    memset(net->of_normed, 0, 2 * count * width * sizeof(REAL));
    for (long head = 0; head < net->heads; head++) {
        weigh(net, block, head, count, normed, net->blend);
        go_back(block->value + head, rows, net->change + head * size, width, net->blend, net->panels, change, 0);
        for (long place = 0; place < rows; place++) {
            long row = place % count;
            const REAL *of_blend = change + place * width;
            REAL *restrict one = net->of_normed + row * width, *restrict two = one + count * width;
            REAL share = block->gate[place * net->heads + head];
            for (long k = 0; k < width; k++) {
                REAL part = share * of_blend[k];
                one[k] += of_blend[k] - part;
                two[k] += part;
            }
            back_through_gate(net, block, head, place, row, dot(of_blend, block->gap + row * width, width),
                              net->of_query + place * width, net->of_gap + row * width);
        }
    }
    go_back(&block->query, rows, net->of_query, width, normed, net->panels, net->of_normed, 1);
    go_back(&block->key, count, net->of_gap, width, block->gap, net->panels, change, 0);
    REAL *restrict one = net->of_normed, *restrict two = one + count * width;
    for (long k = 0; k < count * width; k++) {
        one[k] -= change[k];
        two[k] += change[k];
    }
    memset(net->stream + rows * width, 0, (2 * count - rows) * width * sizeof(REAL));
    through_normalisation(2 * count, width, net->of_normed, normed, inverse, net->stream, 1);
}

/* Back from the slopes in `logits`, of inputs that just went forward, to all gradients but the first layer's. */
static void backward(const void *given, long count, struct inputs at)
{
    const struct network *net = given;
    long width = net->width, hidden = net->hidden;
    const struct block *last = net->blocks + net->depth - 1;
    go_back(&net->head, count, net->logits, net->head.out, last->after_normed, net->panels, net->change, 0);
    memset(net->stream, 0, count * width * sizeof(REAL));
    through_normalisation(count, width, net->change, last->after_normed, last->after_inverse, net->stream, 1);
    for (const struct block *block = last;; block--) {
        long rows = block->read * count;
        go_back(&block->down, rows, net->stream, width, block->active, net->panels, net->wide, 0);
        REAL *restrict wide = net->wide;
        for (long k = 0; k < rows * hidden; k++)
            wide[k] *= block->slope[k];
        go_back(&block->up, rows, net->wide, hidden, block->normed, net->panels, net->change, 0);
        through_normalisation(rows, width, net->change, block->normed, block->inverse, net->stream, 1);
        if (block == net->blocks)
            break;
        go_back(&block->output, rows, net->stream, width, block->mixed, net->panels, net->change, 0);
        attend_back(net, block, count, block[-1].after_normed, block[-1].after_inverse);
    }
    attend_rows_back(net, count, at);
}

/* From the rows of the tables, which all inputs have added to, to the first layer's matrices and the embeddings. */
static void end(const struct network *net)
{
    long width = net->width, wide = 3 * width, size = width / net->heads, rows = 2 * net->tokens;
    const struct block *first = net->blocks;
    go_back(&first->query, rows, net->of_rows, wide, net->table_normed, net->panels, net->change, 0);
    go_back(&first->key, rows, net->of_rows + width, wide, net->table_normed, net->panels, net->change, 1);
    for (long head = 0; head < net->heads; head++) {
        long from = head * size, of_values = 2 * width + from, stride = net->heads * width;
        const REAL *of_sent = net->of_sent + head * width;
        lay_out(first->output.weight + from, width, size, width, 1, net->panels);
        multiply(rows, width, size, of_sent, stride, 1, net->panels, net->of_rows + of_values, wide, 0);
        lay_out(net->rows + of_values, rows, size, wide, 1, net->panels);
        multiply(width, rows, size, of_sent, 1, stride, net->panels, first->output.of_weight + from, width, 1);
        go_back(first->value + head, rows, net->of_rows + of_values, wide, net->table_normed, net->panels, net->change,
                1);
    }
    through_normalisation(rows, width, net->change, net->table_normed, net->table_inverse, net->of_table, 1);
    for (long row = 0; row < rows; row++) {
        const REAL *change = net->of_table + row * width;
        REAL *restrict of_token = net->gradients[TOKENS] + row % net->tokens * width;
        REAL *restrict of_position = net->gradients[POSITIONS] + row / net->tokens * width;
        for (long k = 0; k < width; k++) {
            of_token[k] += change[k];
            of_position[k] += change[k];
        }
    }
    for (const struct block *block = first; block < first + net->depth; block++) {
        unfold(&block->query);
        unfold(&block->key);
        for (long head = 0; head < net->heads; head++)
            unfold(block->value + head);
        unfold(&block->up);
    }
    unfold(&net->head);
}

static struct passes passes_of(const struct network *net)
{
    return (struct passes){net, net->tokens, net->answers, net->logits, forward, backward};
}

/* How many numbers the memory of a pass is, with the way back or without; `sizes` are those of `struct network`. */
int NAME(pair_room)(const long *sizes, int back)
{
    struct block blocks[sizes[3]];
    struct linear values[sizes[3] * sizes[4]];
    struct network net = network_of(sizes, NULL, NULL, blocks, values);
    struct arena arena = {.back = back};
    arrange(&net, &arena);
    return arena.used;
}

/* Add to gradients those of `share` times the losses of inputs, and to `losses` their sum. */
void NAME(pair_gradient)(const long *sizes, REAL *memory, const REAL *const *weights, REAL *const *gradients,
                         struct inputs at, const int64_t *labels, long count, int squared, REAL share, double *losses)
{
    struct block blocks[sizes[3]];
    struct linear values[sizes[3] * sizes[4]];
    struct network net = network_of(sizes, weights, gradients, blocks, values);
    struct arena arena = {.base = memory, .back = 1};
    arrange(&net, &arena);
    begin(&net);
    memset(net.of_rows, 0, 2 * net.tokens * 3 * net.width * sizeof(REAL));
    memset(net.of_sent, 0, 2 * net.tokens * net.heads * net.width * sizeof(REAL));
    memset(net.of_table, 0, 2 * net.tokens * net.width * sizeof(REAL));
    there_and_back(passes_of(&net), at, labels, count, squared, share, losses);
    end(&net);
}

/* What inputs leave: logits, the stream behind the last layer, and its neurons; of the latter two what is asked for. A
 * network without answers has no logits.
 */
void NAME(pair_still)(const long *sizes, REAL *memory, const REAL *const *weights, struct inputs at, long count,
                      REAL *logits, REAL *residual, REAL *neurons)
{
    struct block blocks[sizes[3]];
    struct linear values[sizes[3] * sizes[4]];
    struct network net = network_of(sizes, weights, NULL, blocks, values);
    struct arena arena = {.base = memory};
    arrange(&net, &arena);
    begin(&net);
    const struct block *last = blocks + net.depth - 1;
    for (long from = 0; from < count; from += CHUNK, at.rows += CHUNK) {
        long high = count - from < CHUNK ? count - from : CHUNK;
        forward(&net, high, at);
        hand_out(high, net.head.out, net.logits, logits, from);
        hand_out(high, net.width, last->after, residual, from);
        hand_out(high, net.hidden, last->active, neurons, from);
    }
}
