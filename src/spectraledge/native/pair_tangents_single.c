#define REAL float
#define NAME(function) function##_float32
#include "pair_tangents.h"
