/* As many numbers in double precision as a register holds. */
#if defined(__AVX512F__)
enum { WIDE = 8 };
#elif defined(__AVX2__)
enum { WIDE = 4 };
#else
enum { WIDE = 2 };
#endif

typedef double vector __attribute__((vector_size(WIDE * sizeof(double))));
typedef double unaligned __attribute__((vector_size(sizeof(vector)), aligned(sizeof(double))));
typedef float narrow __attribute__((vector_size(WIDE * sizeof(float)), aligned(sizeof(float))));

/* WIDE numbers of 4 or 8 bytes each, as doubles. */
static inline vector widened(const char *from, int bytes)
{
    return bytes == sizeof(double) ? *(const unaligned *)from : __builtin_convertvector(*(const narrow *)from, vector);
}
