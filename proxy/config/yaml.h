/* yaml.h: YAML text → a tree in which every node knows its line and column.
 *
 * Why: complaints must point at the place, and one validator walks one tree. Bounded: 1 MiB of text,
 * 24 levels, 50,000 nodes counted as if every alias were written out, so that a "billion laughs" is
 * refused before it is walked. Duplicate keys are refused; `<<` merges. Libyaml is used here alone.
 *
 * Ownership: everything lives in the arena given. */
#ifndef POINTSMAN_CONFIG_YAML_H
#define POINTSMAN_CONFIG_YAML_H

#include "store/base/arena.h"
#include "store/base/err.h"

enum { YAML_BYTES_MAX = 1 << 20, YAML_DEPTH_MAX = 24, YAML_NODES_MAX = 50000 };

enum yaml_kind { YAML_NULL, YAML_TEXT, YAML_LIST, YAML_MAP };

struct yaml {
    enum yaml_kind kind;
    unsigned line, column;         /* from 1 */
    struct str text;               /* YAML_TEXT; may hold any bytes that YAML lets through */
    struct str key;                /* as a member of a map */
    unsigned key_line, key_column;
    struct yaml *first, *next;     /* children; the next sibling */
    size_t count;                  /* children */
    size_t weight;                 /* nodes below and this one, aliases written out */
};

struct yaml_fault {
    unsigned line, column;
    char text[200];
};

/* The root (a map; an empty document gives an empty one), or NULL with *f. */
struct yaml *yaml_read(struct str text, struct arena *a, struct yaml_fault *f);

/* The member of a map, or NULL when absent, null or n is no map. */
const struct yaml *yaml_get(const struct yaml *n, const char *key);

#endif
