/* As many numbers in double precision as a register holds. */
#if defined(__AVX512F__)
enum { WIDE = 8 };
#elif defined(__AVX2__)
enum { WIDE = 4 };
#else
enum { WIDE = 2 };
#endif

typedef double vector __attribute__((vector_size(WIDE * sizeof(double))));
