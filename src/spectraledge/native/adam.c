#include <math.h>

/* A step of Adam along gradients: of AdamW where `pull` is 0, and coupled to the decay of weights where `shrink` is 1.
 * Adds to the sums of gradients, and of what decay alone does.
 */
void adam(const float *restrict gradient, long count, float shrink, float pull, float size, float epsilon,
          float first_rest, float second_beta, float second_rest, float *restrict weights, float *restrict first,
          float *restrict second, float *restrict decayed, float *restrict clipped)
{
    float loss = shrink - 1;
#pragma omp simd
    for (long k = 0; k < count; k++) {
        float seen = gradient[k] + pull * weights[k];
        clipped[k] += gradient[k];
        decayed[k] += weights[k] * loss;
        first[k] += first_rest * (seen - first[k]);
        second[k] = second[k] * second_beta + second_rest * seen * seen;
        weights[k] = weights[k] * shrink - first[k] / (sqrtf(second[k]) + epsilon) * size;
    }
}
