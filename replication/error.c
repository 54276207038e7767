#include "replication/error.h"

const char *fm_error_code(int error)
{
    switch (error) {
    case FM_OK: return "ok";
#define X(name, number, code, text) case name: return code;
    FM_ERRORS(X)
#undef X
    default: return "unknown";
    }
}

const char *fm_error_text(int error)
{
    switch (error) {
    case FM_OK: return "done";
#define X(name, number, code, text) case name: return text;
    FM_ERRORS(X)
#undef X
    default: return "an error of no known kind";
    }
}
