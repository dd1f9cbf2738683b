#define PRECISION 32
#include "pair_step.h"
