#include "replication/fields.h"

#include "replication/date.h"
#include "replication/error.h"
#include "replication/uuid.h"

bool fm_fields_word(const char *values, struct fm_span text, size_t *place)
{
    size_t at = 0;
    for (const char *word = values; *word != '\0'; at++) {
        size_t len = 0;
        while (word[len] != ' ' && word[len] != '\0')
            len++;
        if (fm_span_eq(text, fm_span(word, len))) {
            if (place != NULL)
                *place = at;
            return true;
        }
        word += word[len] == ' ' ? len + 1 : len;
    }
    return false;
}

/* |number| <= limit, by the bits: a float64's order without its sign is the order of its bits. */
static bool within(const struct fm_value *value, int64_t limit, uint64_t limit_bits)
{
    if (value->type == FM_INT)
        return value->integer >= -limit && value->integer <= limit;
    uint64_t bits;
    memcpy(&bits, &value->number, sizeof bits);
    return value->type == FM_DOUBLE && (bits & ~(UINT64_C(1) << 63)) <= limit_bits;
}

static bool above_zero(const struct fm_value *value)
{
    if (value->type == FM_INT)
        return value->integer > 0;
    uint64_t bits;
    memcpy(&bits, &value->number, sizeof bits);
    return value->type == FM_DOUBLE && bits >> 63 == 0; /* zero is an integer in any document */
}

/* A list of texts, each of `values` if it is given. */
static bool is_list(const struct fm_value *value, const char *values)
{
    if (value->type != FM_ARRAY)
        return false;
    struct fm_span rest = value->inner;
    for (uint32_t i = 0; i < value->count; i++) {
        struct fm_value item;
        fm_value_next(&rest, &item);
        if (item.type != FM_STR || (values != NULL && !fm_fields_word(values, item.text, NULL)))
            return false;
    }
    return true;
}

static bool is_hex_key(struct fm_span text)
{
    for (size_t i = 0; i < text.len; i++)
        if (!(text.data[i] >= '0' && text.data[i] <= '9') && !(text.data[i] >= 'a' && text.data[i] <= 'f'))
            return false;
    return text.len == 2 * FM_KEY_BYTES;
}

static bool fits(const struct fm_value *value, const struct fm_field_rule *rule)
{
    struct fm_record_id id;
    uint64_t ms;
    bool text = value->type == FM_STR;
    switch (rule->want) {
    case FM_WANT_TEXT:
        return text;
    case FM_WANT_BOOL:
        return value->type == FM_BOOL;
    case FM_WANT_COUNT:
        return value->type == FM_INT && value->integer >= 0;
    case FM_WANT_ABOVE_ZERO:
        return above_zero(value);
    case FM_WANT_LATITUDE:
        return within(value, 90, UINT64_C(0x4056800000000000));
    case FM_WANT_LONGITUDE:
        return within(value, 180, UINT64_C(0x4066800000000000));
    case FM_WANT_STRINGS:
        return is_list(value, NULL);
    case FM_WANT_DATE:
        return text && fm_date_parse(&ms, value->text) == FM_OK;
    case FM_WANT_UUID:
        return text && fm_uuid_parse(&id, value->text) == FM_OK;
    case FM_WANT_ENUM:
        return text && fm_fields_word(rule->values, value->text, NULL);
    case FM_WANT_ENUMS:
        return is_list(value, rule->values);
    case FM_WANT_HEX_KEY:
        return text && is_hex_key(value->text);
    case FM_WANT_MAP:
    default:
        return value->type == FM_MAP;
    }
}

static const char *const wanted[] = {
    [FM_WANT_TEXT] = "a text",
    [FM_WANT_BOOL] = "true or false",
    [FM_WANT_COUNT] = "a whole number, 0 or more",
    [FM_WANT_ABOVE_ZERO] = "a number above 0",
    [FM_WANT_LATITUDE] = "a number from -90 to 90",
    [FM_WANT_LONGITUDE] = "a number from -180 to 180",
    [FM_WANT_STRINGS] = "a list of texts",
    [FM_WANT_DATE] = "a date in UTC such as 2026-11-01T09:12:00Z",
    [FM_WANT_UUID] = "a UUID such as 01890a5d-ac96-774b-bcce-b302099a8057",
    [FM_WANT_ENUM] = "one of",
    [FM_WANT_ENUMS] = "a list of",
    [FM_WANT_HEX_KEY] = "a node's key, 64 hexadecimal digits",
    [FM_WANT_MAP] = "an object",
};

int fm_fields_check(struct fm_span doc, const struct fm_field_rule *rules, size_t count, const char *prefix, char *why,
                    size_t why_len)
{
    for (size_t i = 0; i < count; i++) {
        const struct fm_field_rule *rule = &rules[i];
        struct fm_span packed;
        struct fm_value value;
        if (fm_doc_get(doc, rule->name, &packed) != FM_OK)
            continue;
        fm_value_next(&packed, &value);
        if (value.type == FM_NIL || fits(&value, rule))
            continue;
        (void)snprintf(why, why_len, "%s%s: want %s%s%s", prefix, rule->name, wanted[rule->want],
                       rule->values == NULL ? "" : " ", rule->values == NULL ? "" : rule->values);
        return FM_EFORMAT;
    }
    return FM_OK;
}

int fm_fields_complete(struct fm_span doc, const struct fm_field_rule *rules, size_t count, char *why, size_t why_len)
{
    for (size_t i = 0; i < count; i++) {
        if (!rules[i].required || fm_doc_has(doc, rules[i].name))
            continue;
        (void)snprintf(why, why_len, "%s: required", rules[i].name);
        return FM_EFORMAT;
    }
    return FM_OK;
}
