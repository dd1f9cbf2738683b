#define PRECISION 64
#include "pair_step.h"
