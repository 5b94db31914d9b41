#!/usr/bin/env python3
"""The admin API and the command line against a real gateway with two providers: what is shown, what a
switch does, what outlives a restart, who may. Prints TAP. Needs the built binary ($POINTSMAN_BIN)."""
import http.client
import http.server
import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import tap  # noqa: E402
from house import House, wait_for  # noqa: E402

NOBODY = 65534


class Unix(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("x", timeout=30)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(30)
        self.sock.connect(self.path)


def as_nobody(path, requests):
    """Asks in a child of another user; returns [(status, body)] or the error's name."""
    code = ("import os,sys,json,http.client,socket\n"
            "os.setgroups([]); os.setgid(%d); os.setuid(%d)\n"
            "out=[]\n"
            "try:\n"
            "  for method, where, body in json.loads(sys.argv[2]):\n"
            "    c=http.client.HTTPConnection('x'); s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); c.sock=s\n"
            "    c.request(method, '/admin/v1/'+where, body); r=c.getresponse(); out.append([r.status, r.read().decode()])\n"
            "except OSError as e: out=type(e).__name__\n"
            "print(json.dumps(out))\n") % (NOBODY, NOBODY)
    done = subprocess.run([sys.executable, "-c", code, path, json.dumps(requests)], capture_output=True, text=True)
    return json.loads(done.stdout or '"failed: %s"' % done.stderr.replace('"', "'").replace("\n", " "))


# ---- the checks ----

def a_record_is_there_at_once_and_in_full(g):
    assert g.text() == "hello from one"
    rows = g.lines("ps")
    assert len(rows) == 1 and rows[0]["target"] == "one/m1" and rows[0]["status"] == 200, rows
    assert rows[0]["input_tokens"] == 10 and rows[0]["cost_nano"] == 20000, rows[0]
    wait_for(lambda: len(g.lines("tail", "--no-follow")) == 1)
    shown = wait_for(lambda: (lambda r: r if r.get("request", {}).get("body") else None)(g.json("show", rows[0]["id"])))
    assert "hi there" in shown["request"]["body"] and "hello from one" in shown["response"]["body"]
    assert "curl" in g.run("export", rows[0]["id"], "--format", "curl").stdout
    messages = Unix(g.socket)
    messages.request("GET", f"/admin/v1/exchanges/{rows[0]['id']}/messages")
    said = json.load(messages.getresponse())["messages"]
    assert [m["role"] for m in said] == ["user", "assistant"], said
    assert g.run("show", "01h00000000000000000000000", code=1).stderr.startswith("pointsman: ")


def said_in(g, ident):
    unix = Unix(g.socket)
    unix.request("GET", f"/admin/v1/exchanges/{ident}/messages")
    answer = unix.getresponse()
    return json.load(answer) if answer.status == 200 else None


def a_translated_conversation_is_readable_beside_what_was_sent(g):
    body = {"model": "fast", "max_tokens": 50, "stream": True, "top_k": 5, "system": "Be brief.", "messages": [
        {"role": "user", "content": [{"type": "text", "text": "look"}, {"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": "AAAAAAAAAAA="}}]},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm", "signature": "s"},
                                          {"type": "tool_use", "id": "t1", "name": "see", "input": {"a": 1}}]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "t1", "is_error": True, "content": "dark"}]}]}
    request = urllib.request.Request(g.url + "/v1/messages", json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        answer.read()
        ident = answer.headers["x-request-id"]
    said = wait_for(lambda: said_in(g, ident))
    assert [m["role"] for m in said["messages"]] == ["system", "user", "assistant", "tool", "assistant"], said
    parts = [p for m in said["messages"] for p in m["parts"]]
    assert {"type": "image", "text": "image/png, 8 bytes"} in parts and {"type": "thinking", "text": "hm"} in parts, parts
    assert {"type": "tool_result", "name": "see", "id": "t1", "text": "dark", "error": True} in parts, parts
    assert said["messages"][-1]["parts"][0]["text"].startswith("w0 w1 "), said["messages"][-1]
    sent = said["sent"]
    assert (said["dialect"], sent["dialect"], sent["provider"]) == ("messages", "chat", "one"), said
    assert "top_k" in sent["changed"] and {"name": "top_k", "said": "5", "sent": ""} in sent["settings"], sent
    assert sent["body"]["messages"][0] == {"role": "system", "content": "Be brief."}, sent["body"]
    streams = {d: g.json("show", ident, "--as", d)["response"] for d in ("openai", "gemini", "responses", "anthropic")}
    assert "chat.completion.chunk" in streams["openai"] and streams["openai"].endswith("data: [DONE]\n\n"), streams
    assert "candidates" in streams["gemini"] and "event: response.completed" in streams["responses"], streams
    assert "event: message_stop" in streams["anthropic"], streams


def a_switch_takes_the_next_request_and_undo_takes_it_back(g):
    shown = g.json("route", "switch", "fast", "two/m2")
    assert shown["revision"] > 0 and "two/m2" in shown["marker"]
    assert g.text() == "hello from two"
    assert g.json("ps", "--limit", "1")["override"] == "everyone"
    g.run("route", "undo")
    assert g.text() == "hello from one"
    assert "gateway" not in g.run("route", "switch", "fast", "tow/m2", code=1).stdout
    g.run("route", "switch", "fast", "two/m2", "--for", "1s")
    assert g.text() == "hello from two"
    wait_for(lambda: g.text() == "hello from one")


def any_asked_name_can_be_switched(g):
    g.run("route", "switch", "gpt-nobody-has", "two/m2")
    assert g.text("gpt-nobody-has") == "hello from two"
    assert any(r["live"] and r["name"] == "gpt-nobody-has" for r in g.lines("route", "list"))
    g.run("route", "undo")


def running_requests_are_seen_streamed_and_cancelled(g):
    answer = g.ask(stream=True)
    answer.readline()
    row = wait_for(lambda: [r for r in g.lines("ps") if r["state"] == "streaming"])[0]
    watch = Unix(g.socket)
    watch.request("GET", f"/admin/v1/exchanges/{row['id']}/stream")
    reply = watch.getresponse()
    assert reply.getheader("content-type") == "text/event-stream"
    line = reply.readline()
    while not line.startswith(b"data:"):
        line = reply.readline()
    assert "text" in json.loads(line[5:]), line
    assert g.json("cancel", row["id"])["cancelled"] == 1
    wait_for(lambda: g.one.left > 0)
    rest = reply.read().decode()
    assert "event: done" in rest, rest[-200:]
    try:
        answer.read()
    except (OSError, http.client.HTTPException):
        pass
    assert wait_for(lambda: [r for r in g.lines("ps") if r["id"] == row["id"] and r["state"] == "done"])
    assert g.run("cancel", row["id"], code=1).stderr


def tail_follows(g):
    child = subprocess.Popen(g.words("tail", "--json", "--limit", "1"), stdout=subprocess.PIPE, text=True, env=g.env)
    child.stdout.readline()
    time.sleep(0.3)
    g.text(session="s")
    line = json.loads(child.stdout.readline())
    child.terminate()
    child.wait()
    assert line["target"] == "one/m1", line
    said = g.run("tail", "--plain", "--no-follow").stdout.splitlines()
    assert re.fullmatch(r"\d\d:\d\d:\d\d ok 200, one/m1, 10 in, 5 out, (first token [\d.]+ s, )?whole [\d.]+ s, <?\$[\d.]+"
                        r", route fast, id \w{26}", said[-1]), said[-1]


def filters_pages_and_faults(g):
    assert all(r["target"] == "two/m2" for r in g.lines("ps", "--filter", "to:two/*"))
    assert g.lines("ps", "--filter", "st:>=500") == []
    assert "column 1" in g.run("ps", "--filter", "st:>=abc", code=1).stderr
    every = g.lines("tail", "--no-follow")
    api, cursor, ids = Unix(g.socket), "", []
    while True:
        api.request("GET", "/admin/v1/exchanges?limit=2&oldest_first=1" + (f"&before={cursor}" if cursor else ""))
        page = json.load(api.getresponse())
        ids += [r["id"] for r in page["rows"]]
        if page["done"]:
            break
        cursor = page["cursor"]
    assert ids == [r["id"] for r in every], (ids, every)


def a_key_is_made_used_paused_and_kept(g):
    made = g.json("key", "add", "bob", "20/week", "models:fast", "rpm:600")
    auth = {"authorization": "Bearer " + made["secret"]}
    assert g.text(**auth) == "hello from one"
    assert g.json("ps", "--limit", "1")["key"] == "bob"
    row = g.json("key", "show", "bob")
    assert row["windows"][0]["used_nano"] == 20000, row
    g.run("key", "pause", "bob")
    try:
        g.text(**auth)
        raise AssertionError("a paused key was let in")
    except urllib.error.HTTPError as refused:
        assert refused.code in (401, 403, 429), refused.code
    g.run("key", "resume", "bob")
    assert made["secret"] not in g.run("audit", "--json").stdout + g.run("config", "export").stdout
    return made["secret"]


def state_outlives_a_restart(g, secret):
    auth = {"authorization": "Bearer " + secret}
    g.run("route", "switch", "fast", "two/m2")
    g.run("profile", "save", "night")
    wait_for(lambda: any("saved" in a["what"] for a in g.lines("audit")))
    said = {(e["time_ms"], e["text"]) for e in g.lines("events", "--limit", "500")}
    assert said
    assert g.run("down").returncode == 0
    g.wait_end(10)
    assert g.run("status", code=3).stderr.startswith("pointsman: no gateway answers")
    g.start()
    assert g.text(**auth) == "hello from two"
    events = g.lines("events", "--limit", "500")
    missing = said - {(e["time_ms"], e["text"]) for e in events}
    assert not missing, missing
    assert events == sorted(events, key=lambda e: -e["time_ms"]), "events are not in order across the two lives"
    assert g.lines("events", "--limit", "1") == events[:1]
    assert g.json("key", "show", "bob")["windows"][0]["used_nano"] >= 20000
    assert [p["name"] for p in g.lines("profile", "list")] == ["night"]
    revision = [c for c in g.lines("audit") if "→ two/m2" in c["what"]][0]["revision"]
    g.run("route", "undo", "--rev", str(revision))
    assert g.text(**auth) == "hello from one"


def a_file_edit_keeps_what_was_switched(g, secret):
    auth = {"authorization": "Bearer " + secret}
    g.run("route", "switch", "fast", "two/m2")
    g.write(routes="  fast: { targets: [one/m1], fallback: [two/m2] }\n  more: { targets: [one/m1] }\n")
    shown = g.json("config", "apply")
    assert "override/everyone//fast" in shown["kept"], shown
    assert g.text(**auth) == "hello from two"
    assert g.json("config", "diff")["drift"], "the drift is shown"
    g.write(routes="  fast: { targets: [nobody/m1] }\n")
    assert "nobody" in g.run("config", "apply", code=1).stderr
    assert g.text(**auth) == "hello from two"
    g.write()
    g.run("config", "apply", "--reset")
    assert g.text(**auth) == "hello from one"


def two_editors_lose_nothing(g):
    api = Unix(g.socket)
    api.request("GET", "/admin/v1/routes")
    seen = json.load(api.getresponse())["revision"]
    rule = json.dumps({"revision": seen, "route": {"targets": ["two/m2"]}})
    for expected in (200, 409):
        api.request("POST", "/admin/v1/routes/fast/set", rule)
        reply = api.getresponse()
        text = reply.read()
        assert reply.status == expected, text
    g.run("route", "undo")


def a_drain_moves_everything(g, secret):
    auth = {"authorization": "Bearer " + secret}
    g.run("provider", "drain", "one", "--to", "two/m2")
    assert g.text(**auth) == "hello from two"
    g.run("route", "undo")
    assert g.text(**auth) == "hello from one"


def a_run_has_a_key_that_ends_with_it(g):
    script = ("import os,json,urllib.request as u;"
              "b=json.dumps({'model':'fast','max_tokens':9,'messages':[]}).encode();"
              "r=u.Request(os.environ['OPENAI_BASE_URL']+'/chat/completions',b,{'content-type':'application/json',"
              "'authorization':'Bearer '+os.environ['OPENAI_API_KEY']});"
              "print(json.load(u.urlopen(r))['choices'][0]['message']['content']); raise SystemExit(7)")
    done = g.run("run", "--budget", "5", "--", sys.executable, "-c", script, code=7)
    assert done.stdout.strip() == "hello from one", done
    assert "1 request, 10 in" in done.stderr, done.stderr
    wait_for(lambda: not any(k["run"] for k in g.lines("key", "list")))
    done = g.run("run", "--model", "two/m2", "--", sys.executable, "-c", script, code=7)
    assert done.stdout.strip() == "hello from two", done


def a_run_outlives_a_restart_of_the_gateway(g):
    started = os.path.join(g.home, "started")
    go = os.path.join(g.home, "go")
    script = ("import os,sys,time,json,urllib.request as u;"
              f"open({started!r},'w').close();"
              f"[time.sleep(.05) for _ in iter(lambda: os.path.exists({go!r}), True)];"
              "b=json.dumps({'model':'one/m1','messages':[]}).encode();"
              "url=open(sys.argv[1]).read()+'/v1/chat/completions';"
              "r=u.Request(url,b,{'content-type':'application/json','authorization':'Bearer '+os.environ['OPENAI_API_KEY']});"
              "print(json.load(u.urlopen(r))['choices'][0]['message']['content'])")
    where = os.path.join(g.home, "url")
    child = subprocess.Popen(g.words("run", "--name", "long") + ["--", sys.executable, "-c", script, where],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=g.env)
    wait_for(lambda: os.path.exists(started))
    g.stop()
    g.start()
    wait_for(lambda: any(k["run"] for k in g.lines("key", "list")))
    time.sleep(1)  # it has asked again
    with open(where, "w") as f:
        f.write(g.url)
    open(go, "w").close()
    out, err = child.communicate(timeout=20)
    assert out.strip() == "hello from one" and "1 request" in err, (out, err)
    wait_for(lambda: not any(k["run"] for k in g.lines("key", "list")))


def what_was_said_in_another_dialects_words(g):
    row = [r for r in g.lines("ps") if r["status"] == 200][0]
    said = g.json("show", row["id"], "--as", "openai")
    assert "messages" in said["request"] and said["response"], said
    assert "openai, anthropic" in g.run("show", row["id"], "--as", "latin", code=1).stderr


def the_events_of_a_stream_have_their_times(g):
    with g.ask(stream=True) as answer:
        answer.read()
    row = g.lines("ps", "--limit", "1")[0]
    events = wait_for(lambda: g.json("show", row["id"]).get("events"))
    assert len(events) >= 40, len(events)
    assert "w1 " in events[1]["data"] and events[10]["us"] > events[1]["us"], events[:2]
    assert json.loads(events[1]["data"])["choices"] and events[-1]["data"] == "[DONE]", events[-2:]


def explain_knows_what_the_request_had(g):
    """A kept request is asked again with its own headers and features, not as a bare name."""
    rules = {"rules": [{"name": "batch", "if": {"header": "x-task: batch"}, "use": "two/m2"},
                       {"name": "tools", "if": {"tools": "yes"}, "use": "two/m2"}], "targets": ["one/m1"]}
    document = os.path.join(g.home, "ruled.json")
    with open(document, "w", encoding="utf-8") as f:
        json.dump(rules, f)
    g.run("route", "set", "fast", document)
    body = {"model": "fast", "messages": [{"role": "user", "content": "hi"}]}
    tool = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    asked = {"batch": (body, {"x-task": "batch"}), "tools": (dict(body, tools=[tool]), {}), "": (body, {})}
    for rule, (body, headers) in asked.items():
        request = urllib.request.Request(g.url + "/v1/chat/completions", json.dumps(body).encode(),
                                         {"content-type": "application/json", **headers})
        with urllib.request.urlopen(request, timeout=10) as answer:
            ident = answer.headers["x-request-id"]
        def explained():
            plan = g.json("route", "explain", ident)["plan"]
            return plan if plan["rule"] == rule else None
        assert wait_for(explained)["candidates"][0]["target"] == ("two/m2" if rule else "one/m1")
    g.run("route", "undo")


def what_if_nothing_is_sent(g):
    stored = len(g.lines("tail", "--no-follow"))
    moved = g.json("route", "whatif", "fast", "two/m2")
    assert moved["rows"] > 0 and moved["scanned"] == stored, moved
    assert [t["target"] for t in moved["targets"]] == ["two/m2"], moved
    assert sum(t["requests"] for t in moved["targets"]) == moved["rows"]
    assert moved["moved"] == sum(m["requests"] for m in moved["moves"]) and moved["moves"][0]["ids"], moved
    rule = json.dumps({"if": {"stream": "yes"}, "use": "two/m2"})
    ruled = g.json("route", "whatif", "fast", "--rule", rule)
    assert {"one/m1", "two/m2"} >= {t["target"] for t in ruled["targets"]}, ruled
    assert ruled["rows"] == moved["rows"] and ruled["guessed"] == 0, ruled
    assert g.json("route", "whatif", "fast", "--goal", "resilience")["rows"] == moved["rows"]
    assert g.json("route", "whatif", "fast", "--policy", "round-robin")["rows"] == moved["rows"]
    document = os.path.join(g.home, "route.json")
    with open(document, "w", encoding="utf-8") as f:
        json.dump({"targets": ["two/m2", "one/m1"]}, f)
    assert g.json("route", "whatif", "fast", "--file", document)["targets"][0]["target"] == "two/m2"
    assert g.json("route", "whatif", "fast", "two/m2", "--until", "1d", "--since", "2d")["rows"] == 0
    for wrong in (["two/m2", "--goal", "cost"], [], ["--goal", "nothing"], ["nobody/x"],
                  ["--rule", json.dumps({"if": {"colour": "red"}, "use": "two/m2"})]):
        assert g.run("route", "whatif", "fast", *wrong, code=None).returncode in (1, 2), wrong
    assert len(g.lines("tail", "--no-follow")) == stored


def reports_add_up(g):
    rows = wait_for(lambda: (lambda r: r if r["rows"] else None)(g.json("cost", "report", "--by", "model")))
    total = sum(r["cost_nano"] for r in rows["rows"])
    assert rows["total_nano"] == total == sum(r["cost_nano"] for r in g.lines("tail", "--no-follow")), rows
    assert g.json("db", "check")["ok"]
    what_if_nothing_is_sent(g)
    assert g.json("route", "explain", "fast")["plan"]["candidates"][0]["target"] == "one/m1"
    explain_knows_what_the_request_had(g)


def restart_keeps_the_socket(g, secret):
    before = g.json("status")
    g.run("restart")
    after = g.json("status")
    assert after["started"] != before["started"]
    g.port = int(after["listen"][0].rsplit(":", 1)[1])
    assert g.text(authorization="Bearer " + secret) == "hello from one"


def others_are_refused_or_see_no_bodies(g):
    assert as_nobody(g.socket, [["GET", "status", None]]) == "PermissionError"
    shared = os.path.join(g.home, "shared.sock")
    group = subprocess.run(["getent", "group", "nogroup"], capture_output=True, text=True).stdout.split(":")[0]
    g.stop()
    g.write(f"socket: {shared}\naccess: {{ group: {group}, roles: {{ viewer: ['*'] }}, bodies: own }}\n")
    g.socket = shared
    g.start()
    status, snapshot, switch, run = as_nobody(shared, [
        ["GET", "status", None], ["GET", "snapshot", None],
        ["POST", "routes/fast/switch", '{"to":"two/m2"}'], ["POST", "run", '{"name":"x"}']])
    assert status[0] == 200 and json.loads(status[1])["you"]["role"] == "viewer", status
    assert snapshot[0] == 200
    assert switch[0] == 403 and "viewer" in switch[1], switch
    assert run[0] == 403
    shown = as_nobody(shared, [["GET", "exchanges/" + g.first, None],
                               ["GET", f"exchanges/{g.first}/messages", None]])
    assert shown[0][0] == 200 and "hi there" not in shown[0][1] and "denied" in shown[0][1], shown
    assert shown[1][0] == 403, shown
    wait_for(lambda: any("was refused the bodies" in a["what"] and a["uid"] == NOBODY for a in g.lines("audit")))


def a_refusal_is_json_where_json_was_asked_for(g):
    for words in (("route", "switch", "fast", "nobody/at-all"), ("route", "show", "nobody"),
                  ("route", "switch", "fast", "fast"), ("route", "undo", "--rev", "99999"),
                  ("profile", "apply", "nobody"), ("provider", "drain", "nobody"), ("key", "show", "nobody")):
        done = g.run(*words[:4], "--json", code=1)
        said = json.loads(done.stdout)["error"]
        assert said["code"] and said["message"] and said["message"][:40] in done.stderr, (words, done)
    assert json.loads(g.run("route", "list", "--json", "--socket", "/nowhere/at/all", code=3).stdout)["error"]


def main():
    g, state = House(), {}

    def first():
        a_record_is_there_at_once_and_in_full(g)
        g.first = (g.lines("ps") or [{"id": ""}])[-1]["id"]

    def made():
        state["secret"] = a_key_is_made_used_paused_and_kept(g)

    def with_secret(check):
        return tap.named(check), lambda: check(g, state["secret"])

    def refused():
        if os.getuid() != 0:
            raise tap.Skip("needs root for a second user")
        others_are_refused_or_see_no_bodies(g)

    try:
        return tap.run([
            (tap.named(a_record_is_there_at_once_and_in_full), first),
            *[tap.test(check, g) for check in (
                a_translated_conversation_is_readable_beside_what_was_sent,
                a_switch_takes_the_next_request_and_undo_takes_it_back, any_asked_name_can_be_switched,
                running_requests_are_seen_streamed_and_cancelled, tail_follows, filters_pages_and_faults,
                two_editors_lose_nothing, a_run_has_a_key_that_ends_with_it,
                a_run_outlives_a_restart_of_the_gateway, what_was_said_in_another_dialects_words,
                the_events_of_a_stream_have_their_times, reports_add_up,
                a_refusal_is_json_where_json_was_asked_for)],
            (tap.named(a_key_is_made_used_paused_and_kept), made),
            *[with_secret(check) for check in (
                state_outlives_a_restart, a_file_edit_keeps_what_was_switched, a_drain_moves_everything,
                restart_keeps_the_socket)],
            (tap.named(others_are_refused_or_see_no_bodies), refused)])
    finally:
        g.close()


if __name__ == "__main__":
    sys.exit(main())
