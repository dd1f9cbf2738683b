#define PRECISION 32
#include "pair_tangents.h"
