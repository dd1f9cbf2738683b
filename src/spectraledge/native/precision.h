/* The precision REAL that a file is compiled in, by PRECISION in bits, and what exponentials and GELU need in it. */
#include <stdint.h>
#include <tgmath.h>

#if PRECISION == 32
#define REAL float
#define NAME(function) function##_float32
typedef uint32_t word;
enum { EXP_PLACE = 23 };
static const word EXP_ONE = 0x3f800000;
static const REAL EXP_SHIFT = 0x1.8p23f, EXP_MOST = 87, LN2 = 0.693359375f, LN2_REST = -2.12194440e-4f;
/* exp(r) less 1 + r, over r², for |r| up to half of ln 2: Cephes (Moshier 1989). */
static const REAL EXP[] = {1.9875691500e-4f, 1.3981999507e-3f, 8.3334519073e-3f,
                           4.1665795894e-2f, 1.6666665459e-1f, 5.0000001201e-1f};
/* The upper tail of the normal distribution over exp(−x²/2) and u = 1 / (1 + TAIL_SCALE · x), in powers of u: to 2.4e-8
 * of itself, by least squares with weights that even out its largest errors.
 */
static const REAL TAIL_SCALE = 0.27f, TAIL_END = INFINITY;
static const REAL TAIL[] = {0.028826870024204254f, -0.12580916285514832f, 0.1683311015367508f,
                            -0.06747180223464966f, 0.10656522959470749f,  0.07261551916599274f,
                            0.10165728628635406f,  0.107565738260746f,    0.10771922022104263f};
#else
#define REAL double
#define NAME(function) function##_float64
typedef uint64_t word;
enum { EXP_PLACE = 52 };
static const word EXP_ONE = 0x3ff0000000000000;
static const REAL EXP_SHIFT = 0x1.8p52, EXP_MOST = 708, LN2 = 0x1.62e42fefap-1, LN2_REST = 0x1.cf79abc9e3b3ap-40;
/* As above: Taylor's, to 4e-18 of the exponential. */
static const REAL EXP[] = {1.60590438368216146e-10,  2.087675698786809898e-9, 2.505210838544171878e-8,
                           2.755731922398589065e-7,  2.755731922398589065e-6, 0.00002480158730158730159,
                           0.0001984126984126984127, 0.001388888888888888889, 0.008333333333333333333,
                           0.04166666666666666667,   0.1666666666666666667,   0.5};
/* As above, by interpolation at Chebyshev's points up to TAIL_END, where the tail is no longer seen beside 1: to 5e-17
 * of itself.
 */
static const REAL TAIL_SCALE = 0.22, TAIL_END = 8.6;
static const REAL TAIL[] = {0.002424205416361801179, -0.02790313579121773117, 0.1458104226724021994,
                            -0.4554604071475778532,  0.9455205674144077348,   -1.383532177485015896,
                            1.497907911920248707,    -1.253398767554963157,   0.8142701656748313127,
                            -0.4097323055920593241,  0.1883791103328595723,   -0.02077557843095846301,
                            0.06170582731759110659,  0.06039343102019930457,  0.07536746034827031073,
                            0.08348683216272018552,  0.08776918612560726955,  0.08776725159629293545};
#endif
