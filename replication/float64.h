/* IEEE float64 by its bits: which numbers have a float form in a document (TRAPS K2). No floating point is computed. */
#ifndef FM_REPLICATION_FLOAT64_H
#define FM_REPLICATION_FLOAT64_H

#include <stdbool.h>
#include <stdint.h>

/* What the canonical form of a float64 is. */
enum fm_float64_form { FM_FLOAT64_AS_FLOAT, FM_FLOAT64_AS_INTEGER, FM_FLOAT64_NONE /* NaN, infinity */ };

/* *integer is set if the form is FM_FLOAT64_AS_INTEGER (an integral value in -2^63..2^63-1; -0 is 0). */
static inline enum fm_float64_form fm_float64_form_of(uint64_t bits, int64_t *integer)
{
    int exponent = (int)(bits >> 52 & 0x7ff) - 1023;
    uint64_t fraction = bits & ((UINT64_C(1) << 52) - 1);
    bool negative = bits >> 63 != 0;

    *integer = 0;
    if (exponent == 1024)
        return FM_FLOAT64_NONE;
    if (bits << 1 == 0)
        return FM_FLOAT64_AS_INTEGER;
    if (exponent < 0)
        return FM_FLOAT64_AS_FLOAT;
    if (exponent >= 63) { /* too large for an integer, but for -2^63 itself */
        if (exponent > 63 || !negative || fraction != 0)
            return FM_FLOAT64_AS_FLOAT;
        *integer = INT64_MIN;
        return FM_FLOAT64_AS_INTEGER;
    }
    if (exponent < 52 && (fraction & ((UINT64_C(1) << (52 - exponent)) - 1)) != 0)
        return FM_FLOAT64_AS_FLOAT;
    uint64_t whole = fraction | UINT64_C(1) << 52;
    whole = exponent < 52 ? whole >> (52 - exponent) : whole << (exponent - 52);
    *integer = negative ? -(int64_t)whole : (int64_t)whole;
    return FM_FLOAT64_AS_INTEGER;
}

#endif
