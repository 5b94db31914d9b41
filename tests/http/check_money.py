#!/usr/bin/env python3
"""No way to spend more than was granted, over real sockets: 64 clients at a barrier against a nearly
empty budget of a key, a team, a tag and a route, with one worker and four; a dearer target after a
cheap one; streams that outgrow what is left; requests that nothing bounds; tags that a client says.
After each: what the key, its rows and the ledger say is one number. Prints TAP."""
import http.client
import http.server
import json
import os
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402

NANO = 1_000_000_000
CONFIG = """
providers:
  lab:  {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', api_key: 'sk-lab-0123456789abcdef0' }}
  dear: {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', api_key: 'sk-lab-0123456789abcdef0' }}
  bad:  {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', api_key: 'sk-lab-0123456789abcdef0' }}
prices:
  lab/*:  {{ input: 1, output: 2, cached: 0.5 }}
  dear/*: {{ input: 100, output: 1000 }}
  bad/*:  {{ input: 1, output: 2 }}
alarms: {{ repeats: off }}
"""


class House(gateway.Gateway):
    def __init__(self, more, workers=2, providers=""):
        super().__init__()
        self.mock = subprocess.Popen([os.path.join(gateway.BUILD, "tests/mock/mock")], stdout=subprocess.PIPE,
                                     stderr=subprocess.DEVNULL)
        port = int(self.mock.stdout.readline().decode().strip().rsplit(":", 1)[1])
        text = CONFIG.format(port=port).replace("providers:\n", "providers:\n" + providers.replace("PORT", str(port)))
        self.write_config(text + f"workers: {workers}\n" + more)

    def __enter__(self):
        try:
            self.start()
        except Exception:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.remove()
        self.mock.send_signal(signal.SIGTERM)
        self.mock.wait()
        self.mock.stdout.close()

    def ask(self, key, body, path="/v1/chat/completions", headers=()):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request("POST", path, json.dumps(body), {"content-type": "application/json",
                                                   "authorization": f"Bearer {key}", **dict(headers)})
        r = c.getresponse()
        try:
            text = r.read()
        except http.client.IncompleteRead as cut:  # a stream that was cut never ends cleanly
            text = cut.partial
        c.close()
        return r.status, text.decode("utf-8", "replace"), r

    def usage(self, key):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        c.request("GET", "/v1/usage", headers={"authorization": f"Bearer {key}"})
        out = json.loads(c.getresponse().read())
        c.close()
        return out

    def rows(self):
        time.sleep(0.3)
        code, out, err = self.command("tail", "--no-follow", "--json", "--limit", "100000", seconds=60)
        assert code == 0, err
        return [json.loads(line) for line in out.splitlines()]

    def events(self, kind):
        code, out, err = self.command("events", "--json", "--limit", "500")
        assert code == 0, err
        return [e for e in map(json.loads, out.splitlines()) if e["kind"] == kind]

    def proves(self):
        """The database agrees with itself; again after kill -9."""
        for _ in range(2):
            code, out, err = self.command("db", "check", seconds=60)
            if code != 0:
                return [out + err]
            self.kill()
            self.start()
        return []


def chat(model, **more):
    return {"model": model, "messages": [{"role": "user", "content": "hello there"}], **more}


def window(usage, name="total"):
    return next(w for w in usage["windows"] if w["window"] == name)


SECRET = "money-key-0123456789abcdef"


def race(house, clients=64, rounds=6, model="lab/plain"):
    """Every client asks until the budget refuses; the costs of all answers."""
    barrier, lock, codes = threading.Barrier(clients), threading.Lock(), {}

    def one():
        barrier.wait()
        for _ in range(rounds):
            status, _, _ = house.ask(SECRET, chat(model, max_tokens=60))
            with lock:
                codes[status] = codes.get(status, 0) + 1
    threads = [threading.Thread(target=one) for _ in range(clients)]
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    return codes


LIMITS = {
    "key": "keys:\n  ci: {{ secret: {s}, budget: {{ total: {b} }} }}\n",
    "team": "keys:\n  ci: {{ secret: {s}, team: red, budget: {{ total: $9 }} }}\nteams:\n  red: {{ budget: {{ day: {b}, total: $7 }} }}\n",
    "the second tag": "keys:\n  ci: {{ secret: {s}, team: red, tags: [env:prod, project:search] }}\n"
                      "tags:\n  env:prod: {{ budget: {{ total: $9 }} }}\n  project:search: {{ budget: {{ month: {b} }} }}\n",
    "route": "keys:\n  ci: {{ secret: {s}, team: red, tags: [env:prod] }}\ntags:\n  env:prod: {{ budget: {{ total: $9 }} }}\n"
             "routes:\n  fast: {{ targets: [lab/plain], budget: {{ week: {b} }} }}\n",
}


def a_race_of_64_never_overspends():
    faults = []
    budget = 20_000_000  # a request reserves up to 660,000 nano-USD and costs 224,000
    for name, text in LIMITS.items():
        for workers in (1, 4):
            with House(text.format(s=SECRET, b="$0.02"), workers) as g:
                model = "fast" if name == "route" else "lab/plain"
                codes = race(g, model=model)
                while g.ask(SECRET, chat(model, max_tokens=60))[0] == 200:  # the last ones, one by one
                    codes[200] += 1
                rows = g.rows()
                spent = sum(r["cost_nano"] for r in rows)
                ok = sum(r["outcome"] == "ok" for r in rows)
                where = f"{name}, {workers} workers: {codes}"
                if spent > budget:
                    faults.append(f"{where}: spent {spent} of {budget}")
                if spent < budget - 700_000:
                    faults.append(f"{where}: {budget - spent} nano-USD stay unspendable")
                if ok != codes.get(200) or set(codes) - {200, 402, 429}:
                    faults.append(f"{where}: {ok} rows are ok")
                faults += [f"{where}: {f}" for f in g.proves()]
                status, text2, _ = g.ask(SECRET, chat(model, max_tokens=60))
                if status == 200:
                    faults.append(f"{where}: after kill -9 the budget is forgotten: {text2[:100]}")
    return faults


def a_dearer_target_needs_its_own_reserve():
    """The first target fails; the second costs more than is left: it is not asked."""
    more = f"""keys:
  ci: {{ secret: {SECRET}, budget: {{ total: $0.01 }} }}
routes:
  two: {{ targets: [bad/status-500], fallback: [dear/plain] }}
"""
    with House(more) as g:
        status, text, _ = g.ask(SECRET, chat("two", max_tokens=60))
        row = g.record()
        faults = [] if status == 402 and "total budget" in text else [f"{status} {text}"]
        if [a["outcome"] for a in row["attempts"]][-1] != "refused" or row["cost_nano"]:
            faults.append(f"attempts {row['attempts']} cost {row['cost_nano']}")
        used = window(g.usage(SECRET))
        if used["reserved_nano"] or used["spent_nano"]:
            faults.append(f"what was reserved in vain did not come back: {used}")
        return faults


def a_stream_is_cut_where_the_money_ends():
    """Without a maximum; 4,000 deltas of some 10 tokens at $2 a million; cut, marked, never more."""
    base = f"reserve_output: 200\nkeys:\n  ci: {{ secret: {SECRET}, budget: {{ total: $0.004 }} }}\n"
    faults = []
    for rule in ("cut", "debt"):
        with House(base + f"top_up: {rule}\n") as g:
            status, text, _ = g.ask(SECRET, chat("lab/stream-600x0ms-b40", stream=True))
            row = g.record()
            used = window(g.usage(SECRET))
            if rule == "cut":
                if status != 200 or "total budget" not in text or "[DONE]" in text:
                    faults.append(f"cut: {status} …{text[-300:]}")
                if row["outcome"] != "refused" or row["cost_nano"] > 4_000_000 or used["spent_nano"] != row["cost_nano"]:
                    faults.append(f"cut: {row['outcome']} {row['cost_nano']} {used}")
            elif "[DONE]" not in text or row["outcome"] != "ok" or used["spent_nano"] != row["cost_nano"]:
                faults.append(f"debt: {row['outcome']} {row['cost_nano']} {used} …{text[-200:]}")
            again, text, _ = g.ask(SECRET, chat("lab/plain", max_tokens=2000))
            if again not in (402, 429):
                faults.append(f"{rule}: then {again} {text}")
            faults += g.proves()
    return faults


def what_nothing_bounds_is_refused_and_says_what_to_do():
    keys = f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ total: $5 }} }}\n  open: {{ secret: open-{SECRET} }}\n"
    faults = []
    with House(keys) as g:
        for what, body, words in (
                ("no maximum", chat("lab/plain"), ("maximum of output tokens", "max_output", "unbounded: debt")),
                ("a URL", {"model": "lab/plain", "max_tokens": 9, "messages": [{"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "http://x/y.png"}}]}]}, ("by content", "context"))):
            status, text, _ = g.ask(SECRET, body)
            if status != 400 or "unbounded_cost" not in text or any(w not in text for w in words):
                faults.append(f"{what}: {status} {text}")
            if g.ask("open-" + SECRET, body)[0] != 200:
                faults.append(f"{what}: a key without a budget is refused too")
        if g.ask(SECRET, chat("lab/stream-3x0ms", stream=True))[0] != 200:
            faults.append("a stream without a maximum is refused")
    with House(keys + "unbounded: debt\n") as g:
        if g.ask(SECRET, chat("lab/plain"))[0] != 200:
            faults.append("unbounded: debt refuses")
    known = "".join(f"  lab/{m}: {{ input: 1, output: 2, {x} }}\n" for m, x in
                    (("plain", "max_output: 1000"), ("b5", "context: 8000")))
    with House(keys) as g:
        text = open(g.config, encoding="utf-8").read()
        g.write_config(text.replace("prices:\n", "prices:\n" + known))
        code, out, err = g.command("config", "apply")
        for m in ("plain", "b5"):
            status, text, _ = g.ask(SECRET, chat("lab/" + m))
            if status != 200 or g.record()["cost_nano"] <= 0:
                faults.append(f"{m} with a known maximum: {status} {text} {out}{err}")
    return faults


def an_unknown_price_is_marked_or_refused_everywhere():
    keys = f"keys:\n  ci: {{ secret: {SECRET} }}\nroutes:\n  two: {{ targets: [bad/status-500], fallback: [free/plain] }}\n"
    faults = []
    for rule, wanted in (("allow", 200), ("refuse", 403)):
        free = "  free: { dialect: openai, base_url: 'http://127.0.0.1:PORT/v1', api_key: 'sk-lab-0123456789abcdef0' }\n"
        with House(keys + f"unknown_price: {rule}\n", providers=free) as g:
            status, text, _ = g.ask(SECRET, chat("free/plain", max_tokens=5))
            if status != wanted or (wanted == 403 and "prices import" not in text):
                faults.append(f"{rule}: {status} {text}")
            elif wanted == 200 and g.record()["cost_source"] != "none":
                faults.append(f"{rule}: {g.record()}")
            status, text, _ = g.ask(SECRET, chat("two", max_tokens=5))
            if (status == 200) != (rule == "allow"):
                faults.append(f"{rule}, after a failure: {status} {text}")
    return faults


def a_client_can_not_say_another_teams_tag():
    more = f"""keys:
  ci: {{ secret: {SECRET}, tags: [project:a] }}
  prod: {{ secret: prod-{SECRET}, tags: [env:prod] }}
tags:
  env:prod: {{ budget: {{ total: $0.005 }} }}
"""
    with House(more) as g:
        faults = []
        said = {"x-pointsman-tags": "env:prod, project:a, run:7"}
        for _ in range(5):
            g.ask(SECRET, chat("lab/plain", max_tokens=60), headers=said.items())
        if g.record()["tags"] not in ("project:a,run:7", ["project:a", "run:7"]):
            faults.append(f"tags are {g.record()['tags']!r}")
        g.kill()
        g.start()
        if g.ask("prod-" + SECRET, chat("lab/plain", max_tokens=60))[0] != 200:
            faults.append("another key has spent what the tag may")
        return faults


def a_sliding_minute_can_not_be_pushed():
    """Slow uploads tell an old time; they must not make the minute of requests pass faster."""
    with House(f"keys:\n  ci: {{ secret: {SECRET}, rpm: 5 }}\n", 4) as g:
        codes = [g.ask(SECRET, chat("lab/plain", max_tokens=5))[0] for _ in range(12)]
        return [] if codes.count(200) == 5 else [str(codes)]


class Works(http.server.BaseHTTPRequestHandler):
    """A provider of images, speech, transcriptions, documents and reranking."""
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        kind, text = "application/json", "{}"
        if self.path.endswith("/images/generations"):
            text = json.dumps({"created": 1, "data": [{"url": "x"}] * json.loads(body).get("n", 1)})
        elif self.path.endswith("/audio/speech"):
            kind, text = "audio/mpeg", "ID3 some sound"
        elif self.path.endswith("/audio/transcriptions"):
            text = json.dumps({"text": "hello", "usage": {"type": "duration", "seconds": 7}} if b"said" in body
                              else {"text": "hello"})
        elif self.path.endswith("/ocr"):
            text = json.dumps({"pages": [], "usage_info": {"pages_processed": 3, "doc_size_bytes": 9}})
        elif self.path.endswith("/rerank"):
            text = json.dumps({"results": [], "meta": {"billed_units": {"search_units": 2}}})
        elif self.path.endswith("/responses"):
            drawn = b"image_generation" in body
            calls = [{"type": "image_generation_call", "id": "ig", "status": "completed", "result": "aWNo"}] if drawn else [
                {"type": "web_search_call", "id": f"ws{i}", "action": {"type": "search"}} for i in range(2)]
            calls += [] if drawn else [
                {"type": "web_search_call", "id": "ws9", "action": {"type": "open_page"}},
                      {"type": "file_search_call", "id": "fs"}, {"type": "code_interpreter_call", "container_id": "k"}]
            more = {"tools": json.loads(body)["tools"], "tool_usage": {"image_gen": {
                "input_tokens": 50, "input_tokens_details": {"image_tokens": 0, "text_tokens": 50}, "output_tokens": 4160,
                "output_tokens_details": {"image_tokens": 4160, "text_tokens": 0}}, "web_search": {"num_requests": 0}}} if drawn else {}
            text = json.dumps({"id": "resp_1", "object": "response", "status": "completed", "output": calls, **more, "usage": {
                "input_tokens": 1000, "output_tokens": 100, "total_tokens": 1100, "input_tokens_details": {"cached_tokens": 0}}})
        elif b"web_search_options" in body:
            text = json.dumps({"id": "x", "choices": [{"index": 0, "message": {"content": "hi"}, "finish_reason": "stop"}],
                               "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}})
        elif self.path.endswith("/chat/completions"):
            text = json.dumps({"id": "x", "choices": [], "service_tier": "flex", "usage": {
                "prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100,
                "server_tool_use": {"web_search_requests": 2}}})
        self.send_response(200)
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


def works():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Works)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"  w: {{ dialect: openai, base_url: 'http://127.0.0.1:{server.server_port}/v1', " \
                   "models: [dall-e-3, tts-1, whisper-1, rr, mistral-ocr-latest, m], api_key: 'sk-lab-0123456789abcdef0' }\n"


def upload(word, size=32000):
    body = ("--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\n"
            "Content-Disposition: form-data; name=\"file\"; filename=\"a.mp3\"\r\n\r\n" + word + "x" * size +
            "\r\n--b--\r\n")
    return body.encode()


def images_sound_and_documents_are_billed():
    server, provider = works()
    more = f"raw_provider: w\nkeys:\n  ci: {{ secret: {SECRET}, raw: [other], budget: {{ total: $1 }} }}\n"
    with House(more, providers=provider) as g:
        faults = []

        def costs(path, body, nano, source, kind="application/json"):
            c = http.client.HTTPConnection("127.0.0.1", g.port, timeout=30)
            c.request("POST", path, body if isinstance(body, bytes) else json.dumps(body), {
                "content-type": kind, "authorization": f"Bearer {SECRET}"})
            r = c.getresponse()
            text = r.read()
            row = g.record(r.getheader("x-request-id"))
            if r.status != 200 or row["cost_nano"] != nano or row["cost_source"] != source:
                faults.append(f"{path} {body[:80] if isinstance(body, bytes) else body}: {r.status} {text[:200]} "
                              f"{row['cost_nano']} {row['cost_source']} {row['billed']}, not {nano} {source}")
            if row["reserve_nano"] < nano and nano:
                faults.append(f"{path}: {row['reserve_nano']} was reserved for {nano}")
        image = {"model": "dall-e-3", "prompt": "a", "n": 2}
        costs("/v1/images/generations", image, 80_000_000, "measured")
        costs("/v1/images/generations", {**image, "size": "1024x1024", "quality": "hd"}, 160_000_000, "measured")
        costs("/v1/audio/speech", {"model": "tts-1", "voice": "v", "input": "grüße"}, 75_000, "measured")
        form = "multipart/form-data; boundary=b"
        costs("/v1/audio/transcriptions", upload("said"), 700_000, "measured", form)
        heard = upload("", 80_000)  # 128 kbit/s, says the guess
        costs("/v1/audio/transcriptions", heard, len(heard) * 1000 // 16000 * 100, "estimated", form)
        costs("/v1/rerank", {"model": "rr", "query": "a", "documents": ["b"]}, 0, "none")
        if (status := g.ask(SECRET, {"model": "mistral-ocr-latest", "document": {}}, "/v1/ocr")[0]) != 400:
            faults.append(f"a document of unknown length is let through: {status}")
        faults += g.proves()
        server.shutdown()
        return faults


def sources(g):
    return json.loads(g.command("cost", "report", "--sources", "--json")[1])


def tools_places_and_images_are_billed():
    """Work at the provider's side, where it stands, and images asked about: billed, reserved, shown."""
    server, provider = works()
    rates = ("  w/m: { input: 1, output: 2, max_output: 100, context: 2000, per_search: 0.01, per_search_low: 0.005, "
             "per_file_search: 0.0025, per_session: 0.03, per_image_in: 0.004, uplift_eu: 1.1 }\n")
    more = f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ total: $5 }} }}\n"
    text, faults = 1_200_000, []
    for place, tokens in (("by_host", text), ("eu", text * 11 // 10)):
        with House(more, providers=provider.replace("dialect", f"residency: {place}, dialect")) as g:
            with open(g.config, encoding="utf-8") as f:
                g.write_config(f.read().replace("prices:\n", "prices:\n" + rates))
            code, out, err = g.command("config", "apply")
            if code:
                faults.append(out + err)
            draw = [{"type": "image_generation", "model": "gpt-image-1.5", "quality": "high"}]
            tools = [{"type": "web_search", "search_context_size": "low"}, {"type": "file_search"}, {"type": "code_interpreter"}]
            eu = "eu " if place == "eu" else ""
            picture = [{"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}]
            for path, body, nano, billed in (
                    ("/v1/responses", {"model": "w/m", "input": "q", "tools": tools}, 2 * 5_000_000 + 2_500_000 + 30_000_000,
                     "searches_low:2 file_searches:1 sessions:1"),
                    ("/v1/responses", {"model": "w/m", "input": "draw", "tools": draw}, 50 * 5_000 + 4160 * 32_000,
                     "image_gen:gpt-image-1.5 image_gen_input:50 image_gen_output:4160 image_gen_image_out:4160"),
                    ("/v1/chat/completions", chat("w/m", web_search_options={}), 10_000_000, "searches:1"),
                    ("/v1/chat/completions", chat("w/m", web_search_options={"search_context_size": "low"}), 5_000_000, "searches_low:1"),
                    ("/v1/chat/completions", {**chat("w/m", web_search_options={"search_context_size": "high"}), "messages": [
                        {"role": "user", "content": picture}]}, 14_000_000, "searches_high:1 images_in:1")):
                status, answer, r = g.ask(SECRET, body, path)
                row = g.record(r.getheader("x-request-id"))
                billed = " ".join(sorted((eu + billed).split()))
                if status != 200 or row["cost_nano"] != nano + tokens or " ".join(sorted(row["billed"].split())) != billed:
                    faults.append(f"{place} {path}: {status} {answer[:200]} {row['cost_nano']} not {nano + tokens}, {row['billed']} not {billed}")
                if row["reserve_nano"] < row["cost_nano"]:
                    faults.append(f"{place} {path}: {row['reserve_nano']} was reserved for {row['cost_nano']}")
                code, shown, _ = g.command("show", row["id"])
                if code or row["billed"] not in shown:
                    faults.append(f"show does not say {row['billed']}: {shown[:600]}")
            time.sleep(0.4)
            before = sources(g)["unseen_requests"]
            g.ask(SECRET, chat("w/m", max_tokens=9))
            stored = [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]
            g.ask(SECRET, {"model": "w/m", "messages": stored, "max_tokens": 9})
            time.sleep(0.4)
            if (before, sources(g)["unseen_requests"]) != (1, 2):  # the code interpreter's, the file's
                faults.append(f"{before} {sources(g)}")
            code, out, err = g.command("cost", "report", "--sources", "--by", "day")
            if "not seen by a gateway: storage" not in out + err or " 2 requests used such; their provider" not in out + err:
                faults.append(f"{sources(g)} {out}{err}")
            code, out, err = g.command("prices", "list", "w/m")
            if "per_search_low 0.005" not in out or "eu 1.1" not in out:
                faults.append(f"prices list: {out}{err}")
            code, out, err = g.command("prices", "reprice", "--since", "1h")
            if code or "no request would cost anything else" not in out + err:
                faults.append(f"the records priced again differ: {out}{err}")
            faults += g.proves()
    server.shutdown()
    return faults


def prices_put_right_move_rows_ledger_and_balances():
    server, provider = works()
    more = f"keys:\n  ci: {{ secret: {SECRET}, team: red, budget: {{ total: $1 }} }}\n"
    price = "  w/m: { input: %s, output: 2, per_search: 0.01, flex: { input: %s, output: 1 } }\n"
    with House(more, providers=provider) as g:
        faults = []
        text = open(g.config, encoding="utf-8").read()

        def put(a, b):
            g.write_config(text.replace("prices:\n", "prices:\n" + price % (a, b)))
            g.command("config", "apply")
        put(1, "0.5")
        for _ in range(3):
            g.ask(SECRET, chat("w/m", max_tokens=100))
        before, each = g.rows(), 500 * 1000 + 100 * 1000 + 20_000_000
        if [r["cost_nano"] for r in before] != [each] * 3 or before[0]["billed"] != "flex searches:2":
            faults.append(f"{[(r['cost_nano'], r['billed']) for r in before]}")
        put(2, 3)
        code, out, err = g.command("prices", "reprice", "--since", "1h", "--json")
        said = json.loads(out)
        if said["changed"] != 3 or said["after_nano"] - said["before_nano"] != 3 * 2_500_000 or said["written"]:
            faults.append(out + err)
        code, out, err = g.command("prices", "reprice", "--since", "1h")
        if "w/m" not in out or "nothing was written" not in out:
            faults.append(out + err)
        if [r["cost_nano"] for r in g.rows()] != [each] * 3:
            faults.append("it wrote without --write")
        g.command("prices", "reprice", "--since", "1h", "--write")
        rows = g.rows()
        if [r["cost_nano"] for r in rows] != [each + 2_500_000] * 3:
            faults.append(f"{[r['cost_nano'] for r in rows]}")
        for _ in range(2):
            if window(g.usage(SECRET))["spent_nano"] != 3 * (each + 2_500_000):
                faults.append(f"the budget says {window(g.usage(SECRET))}")
            faults += g.proves()
        book = sum(e["amount_nano"] for e in entries(g, "ci"))
        if book != -3 * (each + 2_500_000):
            faults.append(f"the ledger says {book}")
        code, out, err = g.command("cost", "report", "--sources", "--by", "model")
        if "w/m" not in out or "By-list" not in out:
            faults.append(out + err)
        code, out, err = g.command("cost", "report", "--by", "day", "--csv")
        if ",3,3000,0,300,0.069300000,0.069300000," not in out:
            faults.append(out + err)
        server.shutdown()
        return faults


def entries(g, key, *words):
    code, out, err = g.command("key", "show", key, "--ledger", "--json", "--limit", "1000", *words)
    assert code == 0, err
    return [json.loads(line) for line in out.splitlines()]


def credit_is_granted_spent_refunded_and_handed_on():
    more = f"credits_per_dollar: 1000\nkeys:\n  bob: {{ secret: {SECRET} }}\n  eve: {{ secret: eve-{SECRET} }}\n"
    with House(more) as g:
        faults = []

        def said(words, wanted, code=0):
            got, out, err = g.command("key", "grant", *words)
            if got != code or wanted not in out + err:
                faults.append(f"{words}: {got} {out}{err}")
        g.ask(SECRET, chat("lab/plain", max_tokens=60))
        said(["bob", "5"], "5 credits")  # half a cent; what was spent before is not taken from it
        said(["bob", "1usd"], "1,005 credits")
        said(["bob", "-1usd"], "5 credits")
        said(["bob", "0"], "zero", 1)
        said(["eve", "1", "--request", "x"], "no prepaid credit", 1)
        g.ask(SECRET, chat("lab/plain", max_tokens=60))
        request = g.record()["id"]
        said(["bob", "1", "--request", request], "more than the request has cost", 1)
        said(["bob", "0.1", "--request", request], "4.88")
        said(["eve", "4.9", "--from", "bob"], "does not have that much", 1)
        said(["eve", "4", "--from", "bob"], "4 credits")
        if g.usage(SECRET)["credit_nano"] != 5_000_000 - 224_000 + 100_000 - 4_000_000:
            faults.append(str(g.usage(SECRET)))
        if g.usage(SECRET)["credit"] != "0.8760 credits":
            faults.append(str(g.usage(SECRET)))
        time.sleep(0.5)
        book = entries(g, "bob")
        kinds = [e["kind"] for e in book]
        if kinds != ["transfer", "refund", "settle", "release", "reserve", "grant", "grant", "grant", "opening",
                     "settle", "release", "reserve"]:
            faults.append(f"{kinds}")
        if sum(e["amount_nano"] for e in book) != 876_000:
            faults.append(f"the entries are worth {sum(e['amount_nano'] for e in book)}")
        if {e["request"] for e in book if e["kind"] in ("settle", "refund")} != {request, book[-1]["request"]}:
            faults.append("an entry does not lead to its request")
        status, text, _ = g.ask(SECRET, chat("lab/plain", max_tokens=2000))
        if status != 402 or "insufficient_credit" not in text:
            faults.append(f"{status} {text}")
        faults += g.proves()
        if g.usage(SECRET)["credit_nano"] != 876_000 or g.usage("eve-" + SECRET)["credit_nano"] != 4_000_000:
            faults.append(f"after a restart: {g.usage(SECRET)}")
        return faults


def a_budget_is_raised_once():
    more = f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ day: $0.001 }} }}\n"
    with House(more) as g:
        faults = []
        while g.ask(SECRET, chat("lab/plain", max_tokens=60))[0] == 200:
            pass
        spent = window(g.usage(SECRET), "day")["spent_nano"]
        code, out, err = g.command("key", "limit", "ci", "+0.001/day")
        if code or "more once" not in out or g.ask(SECRET, chat("lab/plain", max_tokens=60))[0] != 200:
            faults.append(f"{code} {out}{err}")
        if window(g.usage(SECRET), "day")["limit_nano"] != 2_000_000 or spent > 1_000_000:
            faults.append(f"{spent} {window(g.usage(SECRET), 'day')}")
        code, out, err = g.command("key", "limit", "ci", "+1/month")
        if code != 1 or "no budget for month" not in err:
            faults.append(f"{code} {out}{err}")
        time.sleep(1)  # what a person changed is stored within a second
        g.kill()
        g.start()
        if window(g.usage(SECRET), "day")["limit_nano"] != 2_000_000:
            faults.append(f"after a restart {window(g.usage(SECRET), 'day')}")
        return faults


def a_budget_near_its_end_is_said_once():
    more = f"keys:\n  ci: {{ secret: {SECRET}, budget: {{ month: $0.01, total: $9 }} }}\n"
    with House(more) as g:
        for _ in range(37):
            g.ask(SECRET, chat("lab/plain", max_tokens=20))
        time.sleep(3)
        first = g.events("BUDGET_NEAR")
        g.kill()
        g.start()
        time.sleep(3)
        again = [e for e in g.events("BUDGET_NEAR") if e["time_ms"] > first[0]["time_ms"]] if first else []
        return [] if len(first) == 1 and not again else [f"said {len(first)} and {len(again)} times"]


TESTS = [a_budget_is_raised_once, images_sound_and_documents_are_billed, tools_places_and_images_are_billed,
         prices_put_right_move_rows_ledger_and_balances,
         credit_is_granted_spent_refunded_and_handed_on, a_budget_near_its_end_is_said_once,
         a_race_of_64_never_overspends, a_dearer_target_needs_its_own_reserve,
         a_stream_is_cut_where_the_money_ends, what_nothing_bounds_is_refused_and_says_what_to_do,
         an_unknown_price_is_marked_or_refused_everywhere, a_client_can_not_say_another_teams_tag,
         a_sliding_minute_can_not_be_pushed]


def main():
    return tap.run([tap.test(t) for t in TESTS if not sys.argv[1:] or any(a in t.__name__ for a in sys.argv[1:])])


if __name__ == "__main__":
    sys.exit(main())
