#define PRECISION 32
#include "perceptron_step.h"
