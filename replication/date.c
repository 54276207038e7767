#include "replication/date.h"

#include "replication/error.h"

#define DAY_MS UINT64_C(86400000)
#define YEAR_9999_END_MS UINT64_C(253402300799999)

/* Days since 1970-01-01 and back, counted in years that begin in March (H. Hinnant, "chrono-compatible date algorithms"). */
static uint64_t days_of(uint64_t year, uint64_t month, uint64_t day)
{
    uint64_t y = month <= 2 ? year - 1 : year;
    uint64_t era = y / 400, of_era = y % 400;
    uint64_t of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static void date_of(uint64_t days, uint64_t *year, uint64_t *month, uint64_t *day)
{
    uint64_t z = days + 719468;
    uint64_t era = z / 146097, of_era = z % 146097;
    uint64_t years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * years + years / 4 - years / 100);
    uint64_t shifted = (5 * of_year + 2) / 153;
    *day = of_year - (153 * shifted + 2) / 5 + 1;
    *month = shifted < 10 ? shifted + 3 : shifted - 9;
    *year = years + era * 400 + (*month <= 2 ? 1 : 0);
}

static char *put(char *at, uint64_t value, int digits, char after)
{
    for (int i = digits - 1; i >= 0; i--) {
        at[i] = (char)('0' + value % 10);
        value /= 10;
    }
    at[digits] = after;
    return at + digits + 1;
}

void fm_date_text(char out[FM_DATE_CHARS], uint64_t ms)
{
    uint64_t year, month, day;
    if (ms > YEAR_9999_END_MS)
        ms = YEAR_9999_END_MS;
    date_of(ms / DAY_MS, &year, &month, &day);
    uint64_t of_day = ms % DAY_MS;
    char *at = put(out, year, 4, '-');
    at = put(at, month, 2, '-');
    at = put(at, day, 2, 'T');
    at = put(at, of_day / 3600000, 2, ':');
    at = put(at, of_day / 60000 % 60, 2, ':');
    at = put(at, of_day / 1000 % 60, 2, '.');
    at = put(at, of_day % 1000, 3, 'Z');
    *at = '\0';
}

/* Reads exactly `digits` digits at *at, which must lie before end. */
static bool take(const uint8_t **at, const uint8_t *end, int digits, uint64_t *out)
{
    *out = 0;
    if (end - *at < digits)
        return false;
    for (int i = 0; i < digits; i++, (*at)++) {
        if (**at < '0' || **at > '9')
            return false;
        *out = *out * 10 + (uint64_t)(**at - '0');
    }
    return true;
}

static bool take_char(const uint8_t **at, const uint8_t *end, char c)
{
    if (*at == end || **at != (uint8_t)c)
        return false;
    (*at)++;
    return true;
}

static uint64_t days_in(uint64_t year, uint64_t month)
{
    static const uint8_t days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return days[month - 1] + (month == 2 && leap ? 1u : 0u);
}

/* The time of day behind the 'T', up to and with the 'Z'. */
static bool take_time(const uint8_t **at, const uint8_t *end, uint64_t *ms)
{
    uint64_t hour, minute, second = 0, milli = 0;
    if (!take(at, end, 2, &hour) || !take_char(at, end, ':') || !take(at, end, 2, &minute))
        return false;
    if (take_char(at, end, ':')) {
        if (!take(at, end, 2, &second))
            return false;
        if (take_char(at, end, '.')) {
            int digits = 0;
            for (uint64_t digit; digits < 9 && take(at, end, 1, &digit); digits++)
                milli = digits < 3 ? milli * 10 + digit : milli;
            if (digits == 0)
                return false;
            for (; digits < 3; digits++)
                milli *= 10;
        }
    }
    *ms = ((hour * 60 + minute) * 60 + second) * 1000 + milli;
    return take_char(at, end, 'Z') && hour < 24 && minute < 60 && second < 60;
}

int fm_date_parse(uint64_t *ms, struct fm_span text)
{
    const uint8_t *at = text.data, *end = at + text.len;
    uint64_t year, month, day, of_day = 0;
    if (!take(&at, end, 4, &year) || !take_char(&at, end, '-') || !take(&at, end, 2, &month) || !take_char(&at, end, '-') ||
        !take(&at, end, 2, &day))
        return FM_EFORMAT;
    if (year < 1970 || month < 1 || month > 12 || day < 1 || day > days_in(year, month))
        return FM_EFORMAT;
    if (at != end && (!take_char(&at, end, 'T') || !take_time(&at, end, &of_day)))
        return FM_EFORMAT;
    if (at != end)
        return FM_EFORMAT;
    *ms = days_of(year, month, day) * DAY_MS + of_day;
    return FM_OK;
}
