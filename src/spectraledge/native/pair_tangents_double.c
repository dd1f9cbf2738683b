#define REAL double
#define NAME(function) function##_float64
#include "pair_tangents.h"
