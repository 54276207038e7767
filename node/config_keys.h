/* The keys of fieldmesh.conf: which there are, the form of each value, and what to say of others. Inside of config.c. */
#ifndef FM_NODE_CONFIG_KEYS_H
#define FM_NODE_CONFIG_KEYS_H

#include "node/config.h"

/* What is being read, for the sentence that says what is wrong. */
struct fm_config_reader {
    struct fm_config *config;
    const char *file;
    unsigned line;
    const char *section, *key, *value;
    uint32_t seen; /* a bit for each known key */
    char *why;
    size_t why_len;
};

/* Takes the value of the key in the section. 0, or FM_EFORMAT with a sentence. */
int fm_config_keys_take(struct fm_config_reader *r);
/* Enters a section; likewise. */
int fm_config_keys_section(struct fm_config_reader *r, const char *name);

#endif
