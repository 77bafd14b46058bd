// y = x W^T with W in blocks of 32 small integers: integer products, nobody unpacks a weight to a float. Lecture 15.
//
// W (n_out, n_in) lies in tiles of 16 outputs x 32 inputs, one after another along a row of tiles. A tile of 4 bits:
//   16 float16 scales, 16 float16 minima, then 4 x 64 bytes: byte 4r + j of chunk g holds, of output r, input 4g + j in
//   its low half and input 16 + 4g + j in its high half. weight = scale * code + minimum, codes 0..15.
// A tile of 8 bits: 16 float16 scales, then 8 x 64 bytes: input 4g + j. weight = scale * (code - 128), codes 1..255.
//
// x is rounded here to 8 bits, each 32 neighbours with a scale of their own. Then, block by block,
//   y += x_scale * scale * sum(code * x_code) + x_scale * sum(x_code) * minimum
// where the sum over 32 codes is one of integers: 8 instructions for 16 outputs where the processor has VNNI.
#include <stdint.h>
#include <string.h>
#if defined(__AVX2__)
#include <immintrin.h>
#endif

typedef uint8_t u8x64 __attribute__((vector_size(64)));  // 16 outputs x 4 inputs; any compiler splits it as needed
typedef int32_t i32x16 __attribute__((vector_size(64)));
typedef uint32_t u32x16 __attribute__((vector_size(64)));
typedef float f32x16 __attribute__((vector_size(64)));
typedef uint16_t u16x16 __attribute__((vector_size(32)));
typedef struct { int8_t code[32]; float scale, scaled_sum; int32_t sum, unused; } Block;  // 32 numbers of x

#define INLINE static inline __attribute__((always_inline))
#define LOAD(vector, from) memcpy(&(vector), from, sizeof(vector))

// sum[r] += w[4r] x[0] + ... + w[4r + 3] x[3]
INLINE i32x16 dot4(i32x16 sum, u8x64 w, const int8_t *x, int bits) {
    int32_t four;
    memcpy(&four, x, 4);
#if defined(__AVX512VNNI__)
    return (i32x16)_mm512_dpbusd_epi32((__m512i)sum, (__m512i)w, _mm512_set1_epi32(four));
#elif defined(__AVX2__)
    __m256i half[2], codes[2], ones = _mm256_set1_epi16(1), xs = _mm256_set1_epi32(four), low = _mm256_set1_epi8(15);
    memcpy(half, &sum, 64), memcpy(codes, &w, 64);
    for (int h = 0; h < 2; h++) {  // 8 bits in two halves: the sum of two products has to fit 16 bits
        __m256i pairs = _mm256_maddubs_epi16(_mm256_and_si256(codes[h], low), xs);
        half[h] = _mm256_add_epi32(half[h], _mm256_madd_epi16(pairs, ones));
        if (bits == 8) {
            pairs = _mm256_maddubs_epi16(_mm256_and_si256(_mm256_srli_epi16(codes[h], 4), low), xs);
            half[h] = _mm256_add_epi32(half[h], _mm256_madd_epi16(pairs, _mm256_set1_epi16(16)));
        }
    }
    memcpy(&sum, half, 64);
    return sum;
#else
    for (int r = 0; r < 16; r++) sum[r] += w[4*r] * x[0] + w[4*r + 1] * x[1] + w[4*r + 2] * x[2] + w[4*r + 3] * x[3];
    return sum;
#endif
}

INLINE f32x16 from_half(const uint8_t *p) {  // 16 float16
#if defined(__AVX512F__)
    return (f32x16)_mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)p));
#else
    u16x16 half;
    LOAD(half, p);
    u32x16 h = __builtin_convertvector(half, u32x16);
    f32x16 size = (f32x16)((h & 0x7fff) << 13) * 0x1p112f;  // the exponents' zeros lie 112 apart
    return (f32x16)((u32x16)size | (h & 0x8000) << 16);
#endif
}

// 16 outputs of `rows` vectors, which share each unpacked tile
INLINE void row_of_tiles(const uint8_t *w, const Block *x, float *y, int n_blocks, int n_out, int rows, int bits,
                         int add) {
    f32x16 sums[8] = {0};
    for (int b = 0; b < n_blocks; b++) {
        f32x16 scale = from_half(w), minimum = bits == 4 ? from_half(w + 32) : scale;
        u8x64 codes[8];
        w += bits == 4 ? 64 : 32;
        for (int g = 0; g < bits; g++, w += 64) LOAD(codes[g], w);
        if (bits == 4)
            for (int g = 0; g < 4; g++) codes[g + 4] = codes[g] >> 4, codes[g] &= 15;
        for (int r = 0; r < rows; r++) {
            const Block *block = x + r * n_blocks + b;
            i32x16 sum = (i32x16){0} - (bits == 8 ? 128 * block->sum : 0);
            for (int g = 0; g < 8; g++) sum = dot4(sum, codes[g], block->code + 4 * g, bits);
            sums[r] += __builtin_convertvector(sum, f32x16) * (scale * block->scale);
            if (bits == 4) sums[r] += minimum * block->scaled_sum;
        }
    }
    for (int r = 0; r < rows; r++) {
        f32x16 before = {0};
        if (add) LOAD(before, y + r * n_out);
        sums[r] += before;
        memcpy(y + r * n_out, &sums[r], 64);
    }
}

static void round_blocks(const float *x, Block *blocks, int n) {
    for (int b = 0; b < n; b++, x += 32) {
        Block *block = blocks + b;
        int32_t bits, largest = 0, sum = 0;  // the bits of positive floats have the order of the floats
        for (int i = 0; i < 32; i++) {
            memcpy(&bits, x + i, 4);
            bits &= 0x7fffffff;
            largest = bits > largest ? bits : largest;
        }
        float size;
        memcpy(&size, &largest, 4);
        float inverse = size > 0 ? 127 / size : 0;
        for (int i = 0; i < 32; i++) {
            int32_t code = (int32_t)__builtin_rintf(x[i] * inverse);
            block->code[i] = (int8_t)code;
            sum += code;
        }
        block->scale = size / 127, block->sum = sum, block->scaled_sum = block->scale * sum;
    }
}

#define CASES(BITS)                                                             \
    if (step == 8) row_of_tiles(tiles, from, to, n_blocks, n_out, 8, BITS, add); \
    else if (step == 4) row_of_tiles(tiles, from, to, n_blocks, n_out, 4, BITS, add); \
    else if (step == 2) row_of_tiles(tiles, from, to, n_blocks, n_out, 2, BITS, add); \
    else row_of_tiles(tiles, from, to, n_blocks, n_out, 1, BITS, add);

// x (rows, n_in), y (rows, n_out), both float32; add: to what y holds. scratch: 48 bytes for each 32 numbers of x.
void blockwise_matmul(const float *x, const uint8_t *w, float *y, void *scratch, int rows, int n_in, int n_out, int bits,
                      int add, int threads) {
    Block *blocks = scratch;
    int n_blocks = n_in / 32, row_bytes = n_blocks * (bits == 4 ? 320 : 544);
    round_blocks(x, blocks, rows * n_blocks);
#pragma omp parallel for num_threads(threads) if (threads > 1) schedule(static)
    for (int o = 0; o < n_out / 16; o++) {
        const uint8_t *tiles = w + (int64_t)o * row_bytes;
        for (int r = 0, step; r < rows; r += step) {
            step = rows - r >= 8 ? 8 : rows - r >= 4 ? 4 : rows - r >= 2 ? 2 : 1;
            const Block *from = blocks + r * n_blocks;
            float *to = y + (int64_t)r * n_out + 16 * o;
            if (bits == 4) { CASES(4) } else { CASES(8) }
        }
    }
}

const char *blockwise_instructions(void) {
#if defined(__AVX512VNNI__)
    return "AVX512-VNNI";
#elif defined(__AVX2__)
    return "AVX2";
#else
    return "plain C";
#endif
}
