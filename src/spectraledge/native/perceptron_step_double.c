#define PRECISION 64
#include "perceptron_step.h"
