/* replay_class.h: which keys, teams, tags, clients, sessions and times of day this snapshot can tell
 * apart. Private to replay.c.
 *
 * Why: two hundred keys in a day of 96 quarter hours are twenty thousand kinds of requests, and each
 * would be planned; but a rule that says `key: ci-*, hour: 22-06` sees only four. The class of a value
 * is a hash of the answers that it gives to every condition and override that asks for such a value:
 * conditions are asked by match.c itself, so a class can't differ from the rule.
 *
 *     struct classes *c = classes_new(snapshot, text);
 *     class = classes_of(c, CLASS_KEY, &request, ctx);    // equal: the planner sees no difference
 *
 * Ownership: as in replay.h. Memory is bounded: some thousand values are remembered, others are
 * asked again. */
#ifndef POINTSMAN_REPLAY_CLASS_H
#define POINTSMAN_REPLAY_CLASS_H

#include "proxy/route/replay.h"

enum replay_class { CLASS_KEY /* and its team */, CLASS_TAGS, CLASS_CLIENT, CLASS_SESSION, CLASS_TIME,
    CLASS_COUNT };

struct classes;
struct classes *classes_new(const struct snapshot *s, replay_text_fn *text); /* NULL without memory */
void classes_free(struct classes *c);

/* 0 where nothing asks for such a value. */
int64_t classes_of(struct classes *c, enum replay_class what, const struct replay_request *q,
    void *ctx);
/* Does any rule ask for that? */
bool classes_ask(const struct classes *c, enum condition_kind k);
/* The key as it is now; one that is gone keeps its name and team. In the arena or the snapshot. */
const struct key *replay_key(const struct snapshot *s, replay_text_fn *text, struct arena *a,
    const struct replay_request *q, void *ctx);

#endif
