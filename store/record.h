/* record.h: the plain structs that cross threads: the record of an exchange and its parts.
 *
 * Why: worker, writer, admin and console speak of one thing; its fields stand once, in record.def.
 *
 *     struct record r = {0};
 *     r.id = STR("…"); r.cost_nano = 12;
 *     record_pack(&r, &buf);                    // into the spool
 *     record_unpack(bytes, &r);                 // texts now point into `bytes`
 *     record_json(&r, &writer);                 // the object that ps, tail and show print
 *
 * Ownership: texts are borrowed from the exchange's arena or from the packed bytes. */
#ifndef POINTSMAN_RECORD_H
#define POINTSMAN_RECORD_H

#include "store/base/buf.h"
#include "store/base/json.h"

enum record_state { STATE_QUEUED, STATE_SENT, STATE_STREAMING, STATE_DONE };

enum record_outcome {
    OUTCOME_NONE, /* still running */
    OUTCOME_OK,
    OUTCOME_CLIENT_ERROR,
    OUTCOME_UPSTREAM_ERROR,
    OUTCOME_TIMEOUT,
    OUTCOME_TRUNCATED,
    OUTCOME_CANCELLED,
    OUTCOME_REFUSED,
    OUTCOME_INTERRUPTED
};

/* What the request asked for, as far as a rule can ask about it. Records of before that was kept
 * have no bit at all. */
enum record_feature {
    RECORD_FEATURES = 1, /* the bits below are known */
    RECORD_TOOLS = 2,    /* it offered tools */
    RECORD_IMAGES = 4,
    RECORD_JSON_SCHEMA = 8,
    RECORD_FORCED = 16,  /* its route was named by x-pointsman-route */
    RECORD_UNSEEN = 32   /* it used what is billed and no answer states: storage, containers, code by the hour */
};

enum usage_source {
    USAGE_NONE,
    USAGE_MEASURED,
    USAGE_PROVIDER,
    USAGE_ESTIMATED,
    USAGE_PARTIAL,
    USAGE_INTERRUPTED
};

enum cost_source {
    COST_NONE,       /* no price known: cost_nano is 0 and says so */
    COST_MEASURED,   /* list price × measured usage */
    COST_PROVIDER,   /* the provider's own figure */
    COST_ESTIMATED,  /* list price × estimated or partial usage */
    COST_SUBSCRIPTION /* list price shown, the caller's own login pays */
};

struct record {
#define TEXT(name, most) struct str name;
#define INT(name) int64_t name;
#include "store/record.def"
};

const char *record_state_name(int64_t state);
const char *record_outcome_name(int64_t outcome);
const char *usage_source_name(int64_t source);
const char *cost_source_name(int64_t source);
/* The value for a name, or -1. */
int record_outcome_from(struct str name);

/* Appends the packed form; texts longer than record.def allows are cut at a character's end. */
void record_pack(const struct record *r, struct buf *out);
/* Texts point into `bytes`. Unknown trailing fields (a newer writer) are skipped. */
int record_unpack(struct str bytes, struct record *r) MUST_CHECK;

/* The members of the public JSON object (interface: "A record"), without the braces. */
void record_json_members(const struct record *r, struct json_writer *w);
void record_json(const struct record *r, struct json_writer *w);

/* The time in which the output came: of a stream, after its first token. */
int64_t record_generation_us(const struct record *r);
/* Of the output, over that time; to one decimal. */
double record_tokens_per_second(const struct record *r);

#endif
