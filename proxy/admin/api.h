/* api.h: the admin API: HTTP/1.1 with JSON on the unix socket, below /admin/v1/. The one header that
 * the console and the command line share with the gateway.
 *
 * Why: there is one way in for people and scripts, the same verbs everywhere; the peer's unix
 * identity (SO_PEERCRED) decides the role. Money is nano-USD (`*_nano`), durations µs (`*_us`) or
 * ms (`*_ms`), times RFC 3339 with ms unless `_ms`. Errors: {"error":{"code":…,"message":…}} with
 * 400 wrong request, 403 role, 404, 409 revision or state, 503. Unknown members in requests are
 * refused. Lists page by keyset: `limit` and `before` (a cursor from the last answer).
 *
 * A change is answered when it is stored; where that takes long or fails the answer has "not_stored"
 * (why), and the change is in force all the same.
 *
 * "record" below is the object of store/record.def as record_json() writes it.
 *
 * GET  status                → {version, api, pid, owner, owner_uid, you:{user,uid,role}, listen:[url],
 *                               open_to, data, socket, config_file, started, uptime_s, workers, live,
 *                               requests, spend_today_nano, spend_hour_nano, providers:[name], keys,
 *                               demo, try_model (to begin with; "" unknown), drift, warnings:[text],
 *                               capture:{mode, keep_ms, keep_bytes, bytes},
 *                               mem_bytes, consoles}
 * GET  snapshot?since=SEQ&limit=N&wait_ms=MS&live_at=T
 *                            → {seq, time_ms, live_at, resynced, counters:{req_per_s, live, err_ppm (1 min),
 *                               spend_today_nano, nano_per_hour (by 10 min), top_key, mem_bytes, held_bytes,
 *                               held_most_bytes (limits.memory), consoles,
 *                               history:{req_per_s:[60], ttft_p95_us:[60], err_ppm:[60], tok_per_s:[60],
 *                               nano_per_min:[60]}},
 *                               live:[record], counts:[[id, …]] (instead of the record, of those that did
 *                               nothing but count since the live_at given: ADMIN_COUNTS in their order),
 *                               recent:[record] (newest first, only those after SEQ),
 *                               markers:[{seq, time_ms, text, who, undo_rev}],
 *                               trouble:[{provider, err_ppm, state, text}],
 *                               events:[event] (new), refused:[{time_ms, peer, status, reason}]}
 *                              wait_ms: answers when something is new, at the latest after that time.
 * GET  exchanges?filter=E&limit=N&before=C&since=T&until=T&oldest_first=1&live=1
 *                            → {rows:[record], cursor, searched_back_to, done}; live=1: running ones first
 * GET  exchanges/ID          → record + {request:{headers, body, body_cut}, response:{headers, body,
 *                               body_cut}, events:[{us, name, data}] (streams), sentence (timing),
 *                               usual:{ttft_p50_us, ttft_p95_us} (same target, the hour before),
 *                               context_tokens}
 *                               bodies only where `access.bodies` lets the caller; else "denied": text
 * GET  exchanges/ID/messages → {messages:[{role, parts:[{type, text, …}], same_as_before}], cache_note}
 * GET  exchanges/ID/as/openai|anthropic|gemini|responses → {request, response, dropped}
 * GET  exchanges/ID/stream   → text/event-stream: event "chunk" {us, text (as received)}, "done" record
 * POST exchanges/ID/cancel   → {cancelled:1}            POST sessions/NAME/cancel → {cancelled:n}
 * GET  sessions?limit=       → {sessions:[{session, client, key, turns, live, input_tokens,
 *                               cached_tokens, cost_nano, nano_per_hour, model, first_ms, last_ms, last_id}]}
 * GET  models?window=5m|1h|24h → {models:[{model, provider, requests, errors, limited, server_errors,
 *                               timeouts, ttft_p50_us, ttft_p95_us, ttft_p99_us, total_p95_us,
 *                               tokens_per_second, input_tokens, output_tokens, cost_nano, history:[…],
 *                               ttft_spread:[ppm; 12 from under 0.1 s to over 10 s, logarithmic],
 *                               price:{input, output, cached (USD per M, text), besides}, context_tokens}], window}
 * GET  routes                → {revision, routes:[{name, pattern, live, goal, policy, expands_to,
 *                               targets:[{target, weight, health, share_ppm, requests_per_min, err_ppm,
 *                               ttft_p95_us, open_for_us, in_flight}], fallback:[target], rules:[{name,
 *                               enabled, if:{…}, use:[…]}], override:{to, scope, scope_name, until_ms,
 *                               who, when_ms, revision}, overrides:[…of every scope], edited,
 *                               canary:{to, share_ppm, taken_back, why, when_ms} or null,
 *                               object (as in the configuration)}]}
 * GET  targets               → {targets:[{target, provider, model, health, ttft_p95_us, price_in, price_out,
 *                               context_tokens, tools, images}], goals:[{name, expands_to}], profiles:[name]}
 * POST routes/NAME/switch    {to, scope, scope_name, for_ms, dry_run}
 *                            → {revision, in_force_us (from its arrival until the next request meets it),
 *                               marker, preview:{keys, live, requests_5min, too_long_ppm, tools_ppm,
 *                               cost_24h_nano, cold_cache_nano, sentence}}
 * POST routes/NAME/set       {revision, route:{…as in the configuration…}} → {revision, diff}
 * POST routes/NAME/explain   NAME or a request's id; {model, key, session, …, or route and set: as if that
 *                               staged route were in force} → {asked, plan:{route, rule, override,
 *                               candidates:[{target, reason, score}], rejected:[{target, reason}],
 *                               steps, error}}; for an id also went_to, attempts, why
 * GET  undo                  → {changes:[{revision, time_ms, who, text, before, after, mine, undoable}]}
 * POST undo                  {revision} → {revision, text};  409 with the newer change named
 * GET/POST profiles …        {name, states}; POST profiles/NAME/apply {dry_run} → {revision, diff}
 * POST whatif                {route, since_ms, until_ms (the last day) and one of: to (with scope, scope_name),
 *                               rule, policy, goal, set (a whole route)}
 *                            → {proposal, scanned, took_ms, rows, moved, too_long, refused, guessed, unpriced,
 *                               cost_nano, was_nano, ttft_p50_us, ttft_p95_us, total_p50_us, total_p95_us, the
 *                               same with was_, targets:[{target or refused, requests, cost_nano, was_nano,
 *                               ttft_p50_us …, measured_requests, priced}],
 *                               moves:[{from, to or refused, requests, cost_nano, was_nano, ids}], too_long_ids}
 * GET  keys                  → {keys:[{name, team, owner, shown, models:[…], nano_per_hour, today_nano,
 *                               windows:[{window, limit_nano, used_nano, reserved_nano, resets_ms}],
 *                               credit_nano, debt_nano, runs_out_ms, rpm, rpm_used, tpm, tpm_used,
 *                               concurrent, running, expires_ms, state, last_ms, from_file, tags}]}
 * POST keys                  {line} or {name, owner, team, models, budgets:{week:nano}, rpm, …, dry_run}
 *                            → {key, secret (once), lines:[…], meaning}
 * POST keys/NAME/VERB        limit | pause | resume | rotate | revoke | raise
 * POST keys/NAME/grant       {amount:"20usd" or nano, note, from: KEY (a transfer) or request: ID (a refund)}
 * GET  keys/NAME/ledger?request=ID&before=&limit= → {entries:[{time_ms, kind, amount_nano, request, who,
 *                               note}], cursor, done}
 * GET  providers             → {providers:[{name, dialect, base_url, keys:[{name (env:…, file:…,
 *                               sealed:…), shown, fault}], models, models_from: configuration | asked |
 *                               price list, models_count, models_asked_ms, state, breaker, open_for_us,
 *                               in_flight, queued, max_concurrent, err_ppm, ttft_p50_us, ttft_p95_us,
 *                               history:[…], requests_left, tokens_left, last_error, used_by:[route],
 *                               drained, drained_to, by_hand}]}
 * POST providers/NAME/VERB   test | trip {for_ms} | clear | drain {to, for_ms, dry_run} | undrain
 * POST providers             {name, …} add         POST providers/detect → {found:[…]}
 * POST providers/NAME/key    {variable, value}: hands a key over (P), never stored
 * GET  sealed                → {master (where the master key is), master_fault, keys:[{name, shown, opens,
 *                               fault, current (under the newest master key), who, time_ms, used_by}]}
 * POST sealed/NAME           {value}: seals or replaces → {name, shown, master, used_by}
 * POST sealed/NAME/forget    POST reseal: all under a new master key → {master, resealed, left}
 * GET  cost?by=key|team|model|route|session|tag|day&since=T&until=T
 *                            → {rows:[{name, requests, input_tokens, cached_tokens, output_tokens, cost_nano,
 *                               measured_nano, provider_nano, provider_list_nano (the list's price of
 *                               what the provider stated itself), estimated_nano, provider_requests,
 *                               estimated_requests, unpriced_requests, history:[…]}], total_nano, …}
 * GET  events?before=&limit=&level=   → {events:[{seq, time_ms, level, kind, text, request_id, repeated}]}
 * GET  audit?before=&limit=  → {audit:[{revision, time_ms, who, uid, terminal, what, before, after}]}
 * GET  people                → {people:[{user, uid, role, from, terminal, size, since_ms, seen_ms}]}
 * POST people                {terminal, size, from}: a console says hello (kept alive by snapshot)
 * GET  config                → {file, revision, yaml (export), drift:[…]}   GET config/options
 * POST config/check {text} → {ok, error, complaints} · config/apply {text, reset} → {revision, kept}
 * GET  config/diff           → {drift:[{object, value, revision}], file (what changed in it), file_error}
 * GET  prices?part=TEXT · POST prices/import {text, dry_run} · POST prices/reprice {since_ms, write}
 * POST db/check → {ok, problems, report} · db/backup {path} → {ok, sealed, master} · db/prune {older_than_ms}
 * POST run                   {name, model, budget_nano, pid}, or {secret} to go on after a restart →
 *                              event stream: event "key" {key, secret, base_url}; the key ends when the
 *                              connection closes
 * POST down {now} · POST restart · POST reload
 */
#ifndef POINTSMAN_ADMIN_API_H
#define POINTSMAN_ADMIN_API_H

#define ADMIN_PREFIX "/admin/v1/"
#define ADMIN_API_VERSION 1
#define POINTSMAN_VERSION "0.1.0"

/* What grows while a request runs, by its names in a record. */
#define ADMIN_COUNTS(X) X(input_tokens) X(cached_tokens) X(output_tokens) X(reasoning_tokens) \
    X(cost_nano) X(response_bytes) X(tool_calls) X(ttft_us) X(max_gap_us) X(total_us)

#endif
