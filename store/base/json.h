/* json.h: a streaming JSON writer for what we say ourselves, and cJSON helpers for small trees.
 *
 * Why: admin answers, records and error bodies are written straight into a buf; small documents
 * (configuration, admin requests, price lists) are read as a cJSON tree. json.c is the only file
 * that includes cJSON. No client's or provider's body ever goes through here: see json_span.h.
 *
 *     struct json_writer w = json_writer(&buf);
 *     json_object_begin(&w, NULL);
 *         json_put_str(&w, "id", id);
 *         json_put_int(&w, "cost_nano", 12);
 *         json_array_begin(&w, "attempts");
 *         json_array_end(&w);
 *     json_object_end(&w);
 *
 * In arrays the key is NULL. Errors stay in the buf (buf.h). Trees are freed with json_free(). */
#ifndef POINTSMAN_JSON_H
#define POINTSMAN_JSON_H

#include "store/base/buf.h"
#include "store/base/err.h"

enum { JSON_WRITER_DEPTH = 32 };

struct json_writer {
    struct buf *out;
    unsigned depth;
    bool comma[JSON_WRITER_DEPTH];
};

struct json_writer json_writer(struct buf *out);
void json_object_begin(struct json_writer *w, const char *key);
void json_object_end(struct json_writer *w);
void json_array_begin(struct json_writer *w, const char *key);
void json_array_end(struct json_writer *w);
void json_put_str(struct json_writer *w, const char *key, struct str value);
void json_put_c(struct json_writer *w, const char *key, const char *value);
void json_put_int(struct json_writer *w, const char *key, int64_t value);
void json_put_double(struct json_writer *w, const char *key, double value);
void json_put_bool(struct json_writer *w, const char *key, bool value);
/* {"error":{"code":"not_found","message":"…"}}: what the admin API and `--json` answer to what went
 * wrong; a code's capitals (err_name()) become small letters. */
void json_write_error(struct buf *out, const char *code, const char *message);
void json_put_null(struct json_writer *w, const char *key);
void json_put_raw(struct json_writer *w, const char *key, struct str json); /* already JSON */
void json_put_key(struct json_writer *w, struct str key); /* any text as key; a value must follow:
                                                             put it with key NULL */

/* A tree (opaque; it is a cJSON). Exact-case keys; integers outside ±2^53 are refused by json_int.
 */
struct json;
struct json *json_parse(struct str text, struct err *e); /* NULL on error, offset in the text */
void json_free(struct json *j);
struct json *json_member(const struct json *object, const char *key); /* NULL when absent */
struct json *json_first(const struct json *container);
struct json *json_following(const struct json *item);
const char *json_key(const struct json *item); /* of an object's member */
bool json_is_object(const struct json *j);
bool json_is_array(const struct json *j);
bool json_is_string(const struct json *j);
bool json_is_number(const struct json *j);
bool json_is_bool(const struct json *j);
bool json_is_null(const struct json *j);
/* With a default for what is absent or of another type. */
const char *json_string(const struct json *object, const char *key, const char *otherwise);
int64_t json_int(const struct json *object, const char *key, int64_t otherwise);
double json_double(const struct json *object, const char *key, double otherwise);
bool json_bool(const struct json *object, const char *key, bool otherwise);
/* Of the item itself. */
const char *json_item_string(const struct json *item, const char *otherwise);
int64_t json_item_int(const struct json *item, int64_t otherwise);
double json_item_double(const struct json *item, double otherwise);
bool json_item_bool(const struct json *item, bool otherwise);
size_t json_size(const struct json *container);

#endif
