/* live.h: the live state: what people changed while the gateway runs, and the one place that
 * publishes snapshots.
 *
 * Why: a switch, a drain, a profile, a key's limit or an edited route is the same thing: a few named
 * objects change together, in one step that can be seen, audited and undone. So live state is a flat
 * map from object names to small JSON texts, and a change is a list of (object, before, after):
 *
 *     override/SCOPE/SCOPE_NAME/ASKED   {"to", "until_ms", "who", "when_ms", "revision"}
 *     drain/PROVIDER                    {"until_ms", "probe", …}
 *     canary/ROUTE                      {"to", "share_ppm", "why", "when_ms"}: that canary was taken back
 *     route/NAME                        a route as in the file: replaces or adds to the file's
 *     provider/NAME                     a provider as in the file, added live
 *     profile/NAME                      {"states": {object: value or null}}
 *     key/NAME                          owner, limits, state of a key (also laid over a file's key)
 *     secret/NAME                       {"digest", "shown", "old_digest", "old_until_ms"}
 *
 * Every change: new snapshot published atomically (the next request takes it, those in flight keep
 * theirs) → audit row, marker event → objects kept in the store, asynchronously; the call that made it
 * is answered when they are. Objects with
 * "until_ms" go back by themselves when it passes. Undo puts the objects of one revision back to
 * what they were; if one of them was changed since, it is refused and the newer change is named.
 *
 * Thread: after the start everything here runs in the admin thread alone; no lock. No sockets, no
 * store: what leaves goes through struct live_hooks, so that tests can look at it.
 *
 *     live_open(&live, &hooks, config, accounts, &e);
 *     live_load(live, name, json, revision);      // for each object kept in the store
 *     live_publish(live, &e);                     // the first snapshot
 *
 * Ownership: live owns its objects and history; `config` is counted (config_get, config_put). */
#ifndef POINTSMAN_LIVE_H
#define POINTSMAN_LIVE_H

#include "proxy/config/snapshot.h"
#include "store/base/json.h"

struct live;
struct account_set;

/* Who does it. uid -1 and user "pointsman": the gateway itself (automatic return). */
struct live_who {
    int64_t uid;
    struct str user, terminal;
};

/* One object of a change; texts are JSON, empty = the object does not exist. */
struct live_part {
    struct str object, before, after;
    int64_t before_revision; /* of the change that had made `before` */
};

struct live_change {
    int64_t revision, time_ms, uid;
    int64_t undoes;        /* revision that this one undid; 0 = none */
    int64_t undone_by;     /* 0 = stands */
    struct str user, terminal, text; /* "fast → anthropic/claude-haiku-4-5, everyone, back 14:17" */
    const struct live_part *parts;
    size_t part_count;
    bool undoable;         /* secrets, revokes and grants are not */
};

struct live_hooks {
    void *ctx;
    /* Takes the reference; usually snapshot_publish. */
    void (*publish)(void *ctx, struct snapshot *next);
    /* Keeps or (json empty) forgets one object. Must not block. */
    void (*keep)(void *ctx, struct str object, struct str json, int64_t revision);
    /* After the change is in force: audit row, marker, event. */
    void (*changed)(void *ctx, const struct live_change *c);
    /* The file's configuration, as last applied, with the "route/…" and "provider/…" objects laid over
     * it (a JSON object of the file's shape): a counted reference, or NULL with *e. A NULL function:
     * edits of rules are refused. */
    struct config *(*configure)(void *ctx, struct str overlay, struct err *e);
};

/* Takes the reference of `config` on success. accounts may be NULL (tests). */
int live_open(struct live **out, const struct live_hooks *hooks, struct config *config,
    struct account_set *accounts, struct err *e) MUST_CHECK;
void live_close(struct live *l);

/* At start, before live_publish(): an object as it was kept, and changes for undo (oldest first). */
int live_load(struct live *l, struct str object, struct str json, int64_t revision) MUST_CHECK;
int live_load_change(struct live *l, const struct live_change *c) MUST_CHECK;

/* Builds a snapshot of the present state and publishes it. */
int live_publish(struct live *l, struct err *e) MUST_CHECK;
/* The overlay for hooks.configure: {"routes":{…},"providers":{…}}; empty when there is none. */
void live_overlay(const struct live *l, struct buf *out);
/* A reload: a new configuration (overlay laid over it already) under the same live state. Live objects
 * that the file changed too are kept and named in `kept`, one a line (may be NULL). Takes the
 * reference of `config` on success. */
int live_publish_config(struct live *l, struct config *config, struct buf *kept,
    struct err *e) MUST_CHECK;
/* The configuration in force (borrowed). */
const struct config *live_config(const struct live *l);

/* Applies parts (before is filled in here) as one change. 0 and *revision; -ERR_CONFLICT when
 * `expect` >= 0 and one of the objects was changed after revision `expect`; -ERR_SYNTAX and others
 * when a value is not acceptable: then nothing has changed. */
int live_apply(struct live *l, const struct live_who *who, const struct live_part *parts,
    size_t n, struct str text, int64_t expect, int64_t *revision, struct err *e) MUST_CHECK;
/* As live_apply(), but only says whether it could be done. */
int live_try(struct live *l, const struct live_part *parts, size_t n, struct err *e) MUST_CHECK;
/* The same, and hands over the snapshot that it would make, never to be published: for a look at
 * where requests would go. One reference. */
int live_trial(struct live *l, const struct live_part *parts, size_t n, struct snapshot **out,
    struct err *e) MUST_CHECK;

/* Undoes one revision (0: the caller's own latest that still stands). -ERR_CONFLICT names the newer
 * change; -ERR_NOT_FOUND lists the last five; -ERR_STATE: it can't be undone. */
int live_undo(struct live *l, const struct live_who *who, int64_t revision, int64_t *now_revision,
    struct err *e) MUST_CHECK;

/* Automatic return. live_due_ms(): wall time of the next one, INT64_MAX when there is none. */
int64_t live_due_ms(const struct live *l);
void live_tick(struct live *l, int64_t wall_ms);

/* Reading. Texts are valid until the next change. */
int64_t live_revision(const struct live *l);
/* The next revision, for an audit row that is no change of objects. */
int64_t live_take_revision(struct live *l);
/* At start: revisions up to this one are taken. */
void live_see_revision(struct live *l, int64_t revision);
enum { LIVE_NAME_MAX = 200 }; /* bytes of an object's name */
struct str live_get(const struct live *l, struct str object);  /* empty when absent */
int64_t live_object_revision(const struct live *l, struct str object); /* 0: never changed */
/* Objects whose names start with prefix, in order of name; fn returns false to stop. */
void live_each(const struct live *l, struct str prefix,
    bool (*fn)(void *ctx, struct str object, struct str json, int64_t revision), void *ctx);
/* The last changes, newest first (at most LIVE_HISTORY). */
enum { LIVE_HISTORY = 200 };
void live_history(const struct live *l, bool (*fn)(void *ctx, const struct live_change *c),
    void *ctx);

#endif
