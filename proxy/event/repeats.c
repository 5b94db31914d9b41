/* repeats.c: see repeats.h. Sessions lie in sets of four by their hash; the one silent for longest makes
 * room. In a session the least recent of its eight calls makes room. */
#include "proxy/event/repeats.h"

#include "store/base/compiler.h"

#include <pthread.h>
#include <string.h>

enum { SETS = 256, WAYS = 4, CALLS = 8 };

struct call_seen {
    uint64_t digest;
    int64_t last_ms;
    unsigned count;
};

struct session_seen {
    uint64_t hash; /* 0 = free */
    int64_t last_ms;
    struct call_seen calls[CALLS];
};

static struct session_seen sessions[SETS][WAYS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct session_seen *find_session(uint64_t hash)
{
    struct session_seen *set = sessions[hash % SETS], *oldest = set;
    for (size_t i = 0; i < WAYS; i++) {
        if (set[i].hash == hash)
            return &set[i];
        if (set[i].last_ms < oldest->last_ms)
            oldest = &set[i];
    }
    *oldest = (struct session_seen){.hash = hash};
    return oldest;
}

static struct call_seen *find_call(struct session_seen *s, uint64_t digest)
{
    struct call_seen *oldest = s->calls;
    for (size_t i = 0; i < CALLS; i++) {
        if (s->calls[i].count && s->calls[i].digest == digest)
            return &s->calls[i];
        if (s->calls[i].last_ms < oldest->last_ms)
            oldest = &s->calls[i];
    }
    *oldest = (struct call_seen){.digest = digest};
    return oldest;
}

uint64_t repeats_digest(struct str body)
{
    uint64_t h = body.n, word;
    for (; body.n >= sizeof word; body = str_from(body, sizeof word)) {
        memcpy(&word, body.p, sizeof word);
        h = (h ^ word) * 0x9e3779b97f4a7c15u;
        h ^= h >> 32;
    }
    word = 0;
    if (body.n)
        memcpy(&word, body.p, body.n);
    return ((h ^ word) * 0x9e3779b97f4a7c15u) | 1;
}

unsigned repeats_note(struct str session, uint64_t digest, int64_t now_ms)
{
    pthread_mutex_lock(&lock);
    struct session_seen *s = find_session(str_hash(session) | 1);
    struct call_seen *c = find_call(s, digest);
    s->last_ms = c->last_ms = now_ms;
    unsigned count = ++c->count;
    pthread_mutex_unlock(&lock);
    return count;
}
