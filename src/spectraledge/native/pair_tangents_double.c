#define PRECISION 64
#include "pair_tangents.h"
