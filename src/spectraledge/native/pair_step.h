/* Answers, losses and gradients of one transformer on pairs of tokens: with pair_pass.h what models/gradients.py does
 * with PyTorch, in one call.
 */
#include "pair_pass.h"

/* Add to changes of one query, of the gap of two keys and of both values what a change of the weighted values gives. */
static void attend_one_back(const struct network *net, const REAL *change, const REAL *query, const REAL *key_gap,
                            const REAL *value_gap, const REAL *gate, REAL *restrict of_query, REAL *restrict of_gap,
                            REAL *restrict of_first, REAL *restrict of_second)
{
    long size = net->width / net->heads;
    REAL root = sqrt(size);
    for (long head = 0; head < net->heads; head++) {
        long from = head * size;
        REAL share = gate[head], score = dot(change + from, value_gap + from, size) * share * (1 - share) / root;
        for (long k = from; k < from + size; k++) {
            REAL second = share * change[k];
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
    REAL *gap = net->of_gap;
    for (long i = 0; i < count; i++) {
        REAL *row[2] = {net->of_rows + row_of(at, 0, i) * 3 * width, net->of_rows + row_of(at, 1, i) * 3 * width};
        memset(gap, 0, width * sizeof(REAL));
        for (long q = 0; q < block->read; q++) {
            long place = q * count + i;
            attend_one_back(net, net->change + place * width, block->queries + place * width,
                            block->key_gap + i * width, block->value_gap + i * width, block->gate + place * net->heads,
                            row[q], gap, row[0] + 2 * width, row[1] + 2 * width);
            REAL *of_table = net->of_table + row_of(at, q, i) * width;
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
static void attend_back(const struct network *net, const struct block *block, long count, const REAL *normed,
                        const REAL *inverse)
{
    long width = net->width, rows = block->read * count;
    memset(net->of_query, 0, rows * width * sizeof(REAL));
    memset(net->of_gap, 0, count * width * sizeof(REAL));
    memset(net->of_value, 0, 2 * count * width * sizeof(REAL));
    for (long q = 0; q < block->read; q++)
        for (long i = 0; i < count; i++) {
            long place = q * count + i;
            attend_one_back(net, net->change + place * width, block->queries + place * width,
                            block->key_gap + i * width, block->value_gap + i * width, block->gate + place * net->heads,
                            net->of_query + place * width, net->of_gap + i * width, net->of_value + i * width,
                            net->of_value + (count + i) * width);
        }
    REAL *between = net->wide;
    go_back(&block->value, 2 * count, net->of_value, width, normed, net->panels, net->change, 0);
    go_back(&block->query, rows, net->of_query, width, normed, net->panels, net->change, 1);
    go_back(&block->key, count, net->of_gap, width, block->gap, net->panels, between, 0);
    for (long k = 0; k < count * width; k++) {
        net->change[k] -= between[k];
        net->change[count * width + k] += between[k];
    }
    memset(net->stream + rows * width, 0, (2 * count - rows) * width * sizeof(REAL));
    through_normalisation(2 * count, width, net->change, normed, inverse, net->stream, 1);
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

static struct passes passes_of(const struct network *net)
{
    return (struct passes){net, net->tokens, net->answers, net->logits, forward, backward};
}

/* How many numbers the memory of a pass is, with the way back or without; `sizes` are those of `struct network`. */
int NAME(pair_room)(const long *sizes, int back)
{
    struct block blocks[sizes[3]];
    struct network net = network_of(sizes, NULL, NULL, blocks);
    struct arena arena = {.back = back};
    arrange(&net, &arena);
    return arena.used;
}

/* Add to gradients those of `share` times the losses of inputs, and to `losses` their sum. */
void NAME(pair_gradient)(const long *sizes, REAL *memory, const REAL *const *weights, REAL *const *gradients,
                         struct inputs at, const int64_t *labels, long count, int squared, REAL share, double *losses)
{
    struct block blocks[sizes[3]];
    struct network net = network_of(sizes, weights, gradients, blocks);
    struct arena arena = {.base = memory, .back = 1};
    arrange(&net, &arena);
    begin(&net);
    memset(net.of_rows, 0, 2 * net.tokens * 3 * net.width * sizeof(REAL));
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
    struct network net = network_of(sizes, weights, NULL, blocks);
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
