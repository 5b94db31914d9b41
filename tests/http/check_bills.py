#!/usr/bin/env python3
"""Bills against an arithmetic of their own: real entries of LiteLLM's price file, answers in the four dialects
at the edges of tiers, cache writes, service tiers, sound and images, fees and halves of a nano-dollar, and many
drawn at random. Each is computed here in fractions, from the entry as it stands in the file; the gateway imports the
file and must charge the same to the nano. Prints TAP."""
import concurrent.futures
import http.client
import http.server
import json
import os
import random
import re
import sys
import threading
from fractions import Fraction

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))

import gateway  # noqa: E402
import tap  # noqa: E402

SHARED = os.environ.get("POINTSMAN_SHARED", os.path.join(os.path.dirname(gateway.ROOT), "shared"))
FILE = os.path.join(SHARED, "prices", "litellm_model_prices_2026-08-01.json")
WORD = {"default": "", "batch": "_batches", "flex": "_flex", "priority": "_priority"}
ANSWERS = {}


# --- the arithmetic -------------------------------------------------------------------------------------------

def ranges(entry):
    """tiered_pricing as if each range were a threshold."""
    flat = dict(entry)
    for r in entry.get("tiered_pricing") or []:
        low = int(float(r["range"][0]))
        for k, v in r.items():
            if k != "range":
                flat[f"{k}_above_{Fraction(low, 1000)}k_tokens" if low else k] = v
    return flat


def rate_of(entry, total, tier):
    at = [int(m.group(1)) for k in entry for m in [re.search(r"_above_(\d+)k_tokens", k)] if m and entry[k] is not None]
    above = [f"_above_{t}k_tokens" for t in sorted(set(at)) if total > t * 1000][-1:]

    def rate(*names):
        for end in [a + WORD[tier] for a in above] + above + [WORD[tier], ""]:
            for name in names:
                if entry.get(name + end) is not None:
                    return Fraction(str(entry[name + end]))
        return None
    return rate


def first(*rates):
    return next((r for r in rates if r is not None), Fraction(0))


def bill(entry, use, tier="default", factor=1, discount=0):
    """nano-USD, half to even."""
    g = use.get
    rate = rate_of(ranges(entry), g("input", 0) + g("tool_input", 0), tier)
    into, out = first(rate("input_cost_per_token")), first(rate("output_cost_per_token"))
    read = first(rate("cache_read_input_token_cost", "input_cost_per_token_cache_hit"), into)
    write = first(rate("cache_creation_input_token_cost"), into)
    write1h = first(rate("cache_creation_input_token_cost_above_1hr"), write)
    sound, image = first(rate("input_cost_per_audio_token"), into), first(rate("input_cost_per_image_token"), into)
    sound_read = first(rate("cache_read_input_audio_token_cost", "cache_creation_input_audio_token_cost"), read)
    text = g("input", 0) - g("cached", 0) - g("write5m", 0) - g("write1h", 0) - g("audio", 0) - g("image", 0)
    total = text * into + (g("cached", 0) - g("audio_cached", 0)) * read + g("audio_cached", 0) * sound_read
    total += g("write5m", 0) * write + g("write1h", 0) * write1h + g("audio", 0) * sound + g("image", 0) * image
    total += g("tool_input", 0) * into
    spoken, drawn, thought = g("audio_out", 0), g("image_out", 0), g("reasoning", 0)
    total += (g("output", 0) - spoken - drawn - thought) * out
    total += spoken * first(rate("output_cost_per_audio_token"), out) + drawn * first(rate("output_cost_per_image_token"), out)
    total += thought * first(rate("output_cost_per_reasoning_token"), out)
    total = total * factor + first(rate("input_cost_per_request"))
    medium = (entry.get("search_context_cost_per_query") or {}).get("search_context_size_medium", 0)
    total += g("searches", 0) * Fraction(str(medium))
    total = (total * (1 - Fraction(discount))) * 10**9
    return round(total)  # Python's round() of a fraction is half to even


# --- answers in each provider's words -------------------------------------------------------------------------

def chat(model, use, tier):
    g = use.get
    usage = {"prompt_tokens": g("input", 0), "completion_tokens": g("output", 0), "total_tokens": g("input", 0) + g("output", 0),
             "prompt_tokens_details": {"cached_tokens": g("cached", 0), "cache_write_tokens": g("write5m", 0),
                                       "audio_tokens": g("audio", 0) + g("audio_cached", 0), "image_tokens": g("image", 0),
                                       "cached_tokens_details": {"audio_tokens": g("audio_cached", 0)}},
             "completion_tokens_details": {"reasoning_tokens": g("reasoning", 0), "audio_tokens": g("audio_out", 0),
                                           "image_tokens": g("image_out", 0)}}
    return {"id": "c", "object": "chat.completion", "model": model, "service_tier": tier, "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}], "usage": usage}


def responses(model, use, tier):
    g = use.get
    calls = [{"type": "web_search_call", "id": f"w{i}", "status": "completed", "action": {"type": "search", "query": "q"}}
             for i in range(g("searches", 0))]
    return {"id": "resp_1", "object": "response", "model": model, "status": "completed", "service_tier": tier, "output": calls,
            "usage": {"input_tokens": g("input", 0), "output_tokens": g("output", 0), "total_tokens": 0,
                      "input_tokens_details": {"cached_tokens": g("cached", 0), "cache_write_tokens": g("write5m", 0)},
                      "output_tokens_details": {"reasoning_tokens": g("reasoning", 0)}}}


def messages(model, use, tier):
    g = use.get
    usage = {"input_tokens": g("input", 0) - g("cached", 0) - g("write5m", 0) - g("write1h", 0), "output_tokens": g("output", 0),
             "cache_read_input_tokens": g("cached", 0), "cache_creation_input_tokens": g("write5m", 0) + g("write1h", 0),
             "cache_creation": {"ephemeral_5m_input_tokens": g("write5m", 0), "ephemeral_1h_input_tokens": g("write1h", 0)},
             "service_tier": {"default": "standard"}.get(tier, tier), "server_tool_use": {"web_search_requests": g("searches", 0)}}
    if g("geo"):
        usage["inference_geo"] = g("geo")
    if g("speed"):
        usage["speed"] = g("speed")
    return {"id": "msg_1", "type": "message", "role": "assistant", "model": model, "content": [{"type": "text", "text": "x"}],
            "stop_reason": "end_turn", "usage": usage}


def generate(model, use, tier):
    g = use.get
    usage = {"promptTokenCount": g("input", 0), "candidatesTokenCount": g("output", 0) - g("reasoning", 0),
             "thoughtsTokenCount": g("reasoning", 0), "cachedContentTokenCount": g("cached", 0),
             "toolUsePromptTokenCount": g("tool_input", 0),
             "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": g("audio", 0) + g("audio_cached", 0)},
                                     {"modality": "IMAGE", "tokenCount": g("image", 0)}],
             "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": g("audio_cached", 0)}],
             "candidatesTokensDetails": [{"modality": "IMAGE", "tokenCount": g("image_out", 0)},
                                         {"modality": "AUDIO", "tokenCount": g("audio_out", 0)}],
             "trafficType": {"default": "ON_DEMAND", "priority": "ON_DEMAND_PRIORITY"}.get(tier, tier.upper())}
    return {"candidates": [{"content": {"parts": [{"text": "x"}], "role": "model"}, "finishReason": "STOP", "index": 0}],
            "usageMetadata": usage, "modelVersion": model}


WAYS = {"chat": (chat, "/v1/chat/completions", "o"), "responses": (responses, "/v1/responses", "o"),
        "messages": (messages, "/v1/messages", "a"), "generate": (generate, "/v1beta/models/x:generateContent", "g")}


class Provider(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"])).decode()
        text = ANSWERS[int(re.search(r"case (\d+)", body).group(1))]
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())


CONFIG = """
workers: 2
providers:
  o: {{ dialect: openai, base_url: 'http://127.0.0.1:{port}/v1', api_key: 'sk-lab-0123456789abcdef0' }}
  a: {{ dialect: anthropic, base_url: 'http://127.0.0.1:{port}', api_key: 'sk-lab-0123456789abcdef0' }}
  g: {{ dialect: gemini, base_url: 'http://127.0.0.1:{port}', api_key: 'sk-lab-0123456789abcdef0' }}
alarms: {{ repeats: off }}
prices:
  o/less: {{ input: 3, output: 7, discount: 12.5% }}
  o/gpt-4.1: {{ discount: 33.3333% }}
"""


class Desk(gateway.Gateway):
    """A gateway that knows the file's prices, and the provider that answers what a case says."""

    def __enter__(self):
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Provider)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        try:
            self.write_config(CONFIG.format(port=self.server.server_port))
            self.start()
            code, out, err = self.command("prices", "import", FILE, seconds=60)
            assert code == 0, out + err
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.remove()
        self.server.shutdown()
        self.server.server_close()

    def ask(self, n, way, model, answer=None, use=None, tier="default"):
        make, path, provider = WAYS[way]
        ANSWERS[n] = answer if isinstance(answer, str) else json.dumps(answer or make(model, use, tier))
        words = f"case {n} "
        body = {"responses": {"model": f"{provider}/{model}", "input": words},
                "generate": {"contents": [{"role": "user", "parts": [{"text": words}]}]}}.get(
                    way, {"model": f"{provider}/{model}", "max_tokens": 5, "messages": [{"role": "user", "content": words}]})
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {"content-type": "application/json"}
        if way == "generate":
            headers["x-pointsman-route"] = f"{provider}/{model}"
        c.request("POST", path, json.dumps(body), headers)
        r = c.getresponse()
        text = r.read()
        c.close()
        ident = r.getheader("x-request-id")
        said = r.getheader("x-pointsman-cost-usd")
        return r.status, ident, said, text[:200]


def judge(desk, cases):
    """cases: (name, way, model, use or answer, tier, nano, source). Asked four at once, then compared with what is stored."""
    def one(n):
        name, way, model, use, tier, nano, source = cases[n]
        said = isinstance(use, dict) and "use" in use
        return desk.ask(n, way, model, None if said else use, use["use"] if said else None, tier)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        asked = list(pool.map(one, range(len(cases))))
    code, out, err = desk.command("tail", "--no-follow", "--json", "--limit", "100000", seconds=60)
    for _ in range(50):
        if code == 0 and all(a[1] and a[1] in out for a in asked[-20:]):
            break
        code, out, err = desk.command("tail", "--no-follow", "--json", "--limit", "100000", seconds=60)
    rows = {r["id"]: r for r in map(json.loads, out.splitlines())}
    faults = []
    for (name, way, model, use, tier, nano, source), (status, ident, header, text) in zip(cases, asked):
        row = rows.get(ident)
        if not row or status != 200:
            faults.append(f"{name}: {status} {text} {ident}")
        elif row["cost_nano"] != nano or (source and row["cost_source"] != source):
            faults.append(f"{name} {way} {model} {tier} {json.dumps(use)[:600]}: {row['cost_nano']} {row['cost_source']}, not {nano} {source}")
        elif header is None or Fraction(header) * 10**9 != nano:
            faults.append(f"{name}: the header says {header}, not {nano} nano-USD")
    return faults


# --- cases ----------------------------------------------------------------------------------------------------

def edges(file):
    """Each step of each model exactly at its edge, one above, and far above; in each service tier."""
    cases = []
    for model, way in (("gpt-5.6", "chat"), ("gpt-5.4", "responses"), ("claude-sonnet-4-5", "messages"), ("gemini-2.5-pro", "generate"),
                       ("claude-sonnet-4-20250514", "messages"), ("gemini-3-pro-preview", "generate"), ("xai/grok-4-1-fast-reasoning", "chat"),
                       ("dashscope/qwen3-max", "chat"), ("openrouter/qwen/qwen3.5-plus-02-15", "chat"), ("minimax/MiniMax-M3", "chat")):
        entry = file[model]
        at = sorted({int(m.group(1)) * 1000 for k in ranges(entry) for m in [re.search(r"_above_(\d+)k", k)] if m})
        for edge in at:
            for total in (edge, edge + 1, edge * 3 // 2):
                for tier in ("default", "priority", "flex", "batch"):
                    use = {"input": total, "cached": total // 3, "write5m": total // 7, "output": 1001, "reasoning": 99}
                    if way == "messages":
                        use["write1h"] = total // 11
                        use["reasoning"] = 0
                    if way == "generate":
                        use["write5m"] = 0
                    cases.append((f"{total} of {edge}", way, model, {"use": use}, tier, bill(entry, use, tier), "measured"))
    return cases


def parts(file):
    """Things billed apart, mixed."""
    cases = []

    def add(name, way, model, use, tier="default", factor=1):
        entry = file[model]
        cases.append((name, way, model, {"use": use}, tier, bill(entry, use, tier, factor), "measured"))
    for five, hour in ((1, 0), (0, 1), (2000, 1000), (999, 1), (0, 0), (7, 7)):
        for model in ("claude-sonnet-4-5", "claude-opus-5", "claude-haiku-4-5", "claude-3-haiku-20240307"):
            add("cache writes", "messages", model, {"input": 21 + 18000 + five + hour, "cached": 18000, "write5m": five, "write1h": hour, "output": 393})
    for audio, cached, spoken in ((100, 0, 0), (100, 50, 0), (0, 50, 30), (33, 1, 77)):
        add("sound", "chat", "gpt-4o-audio-preview", {"input": 400, "audio": audio, "audio_cached": cached, "cached": cached + 60, "output": 100,
                                                      "audio_out": spoken})
        add("sound", "generate", "gemini-2.5-flash", {"input": 400, "audio": audio, "audio_cached": cached, "cached": cached + 60, "output": 100,
                                                      "reasoning": 13})
        add("sound live", "chat", "gpt-4o-realtime-preview-2024-12-17", {"input": 500, "audio": audio, "audio_cached": cached, "cached": cached + 10,
                                                                         "output": 90, "audio_out": spoken})
    for image, drawn in ((258, 0), (0, 1290), (1120, 1120)):
        add("images", "generate", "gemini-2.5-flash-image", {"input": 2000, "image": image, "output": 1400, "image_out": drawn})
        add("images", "generate", "gemini-3-pro-image-preview", {"input": 2000, "image": image, "output": 1400, "image_out": drawn, "reasoning": 55})
    for geo, speed, factor in (("us", None, Fraction(11, 10)), (None, "fast", 2), ("us", "fast", Fraction(22, 10)), ("eu", "standard", 1)):
        add("where and how fast", "messages", "claude-opus-5", {"input": 1003, "cached": 7, "write5m": 3, "write1h": 1, "output": 55, "geo": geo,
                                                                "speed": speed, "searches": 2}, factor=factor)
    for n in (1, 3):
        add("searches", "messages", "claude-sonnet-4-5", {"input": 10, "output": 10, "searches": n})
        add("searches", "responses", "gpt-4o-search-preview", {"input": 10, "output": 10, "searches": n})
    add("a fee a request", "chat", "perplexity/pplx-7b-online", {"input": 17, "output": 9})
    add("a tool's own prompt", "generate", "gemini-2.5-pro", {"input": 199999, "tool_input": 2, "output": 9})
    for odd in (1, 3, 5, 7, 9, 11, 13, 15):  # 2.5 nano-USD a token: halves go to even
        add("half a nano", "chat", "gpt-5-nano", {"input": odd, "cached": odd, "output": 0}, "flex")
        add("half a nano", "responses", "gpt-5-nano", {"input": odd + 1, "cached": odd, "output": 1}, "flex")
    less = {"input_cost_per_token": "3e-06", "output_cost_per_token": "7e-06"}
    for tokens in range(1, 9):
        use = {"input": tokens, "output": tokens // 3}
        cases.append(("less an eighth", "chat", "less", {"use": use}, "default", bill(less, use, discount=Fraction(1, 8)), "measured"))
        use = {"input": tokens, "cached": tokens // 2, "output": tokens // 3}
        cases.append(("less a third", "chat", "gpt-4.1", {"use": use}, "default",
                      bill(file["gpt-4.1"], use, discount=Fraction(333333, 1000000)), "measured"))
    return cases


def odd_words(file):
    """Figures that lie, and costs that providers state."""
    o3 = file["o3"]
    plain = bill(o3, {"input": 100, "output": 10})

    def says(usage, nano, source="measured", **beside):
        return ("stated", "chat", "o3", {"id": "c", "choices": [{"index": 0, "message": {"content": "x"}, "finish_reason": "stop"}],
                                         "usage": usage, **beside}, "default", nano, source)
    io = {"prompt_tokens": 100, "completion_tokens": 10}
    return [
        says(io, plain),
        says({**io, "cost": 0}, plain),
        says({**io, "cost": 0.0}, plain),
        says({**io, "cost": None}, plain),
        says({**io, "cost": -1}, plain),
        says({**io, "cost": "abc"}, plain),
        says({**io, "cost": 0.00012345678951}, 123457, "provider"),
        says({**io, "cost": "1.5e-6"}, 1500, "provider"),
        says({**io, "cost": 2.5e-9}, 2, "provider"),
        says({**io, "cost": 3.5e-9}, 4, "provider"),
        says({**io, "cost": {"total_cost": 0.006}}, 6000000, "provider"),
        says({**io, "cost_in_usd_ticks": 1466250}, 146625, "provider"),
        says({**io, "cost_in_usd_ticks": 15}, 2, "provider"),
        says({**io, "cost_in_usd_ticks": 25}, 2, "provider"),
        says({**io, "cost_in_usd_ticks": 0}, plain),
        says({**io, "cost": 0.001, "is_byok": True, "cost_details": {"upstream_inference_cost": 0.02}}, 21000000, "provider"),
        says({**io, "cost": 0.001, "is_byok": True}, plain),
        says(io, 5000000, "provider", cost={"usd": 0.005}),
        says({"prompt_tokens": 100, "completion_tokens": -10}, bill(o3, {"input": 100})),
        says({"prompt_tokens": -100, "completion_tokens": 10}, bill(o3, {"output": 10})),
        says({"prompt_tokens": 100.9, "completion_tokens": 10.2}, plain),
        says({"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": 1000}}, bill(o3, {"input": 100, "cached": 100, "output": 10})),
        says({"prompt_tokens": 100, "completion_tokens": 10, "prompt_tokens_details": {"cached_tokens": -7}}, plain),
        says({"prompt_tokens": 100, "completion_tokens": 10, "completion_tokens_details": {"reasoning_tokens": 999}}, plain),
        says({"prompt_tokens": 100, "completion_tokens": 10, "completion_tokens_details": {"rejected_prediction_tokens": 4}}, plain),
        says({"prompt_tokens": 2**40, "completion_tokens": 0}, bill(o3, {"input": 2**40})),
        says({"prompt_tokens": 2**63, "completion_tokens": 0}, bill(o3, {"input": 2**40})),
        says({"prompt_tokens": 12, "completion_tokens": 1, "total_tokens": 303, "completion_tokens_details": {"reasoning_tokens": 290}},
             bill(o3, {"input": 12, "output": 291})),
        says(io, bill(o3, {"input": 100, "output": 10}, "flex"), service_tier="flex"),
        says(io, bill(o3, {"input": 100, "output": 10}, "priority"), service_tier="fast"),
        says(io, plain, service_tier="scale"),
    ]


def drawn(file, count=400):
    """Any chat model of the file, any mix of parts."""
    dice = random.Random(20260801)
    renamed = ("together_ai/", "fireworks_ai/", "vertex_ai/")  # other names here
    models = [m for m, e in sorted(file.items()) if e.get("mode") in ("chat", "completion", "responses") and "input_cost_per_token" in e
              and 0 < float(e["input_cost_per_token"] or 0) < 1e-3 and len(m) < 120 and m.isascii() and not m.startswith(renamed)
              and not e.get("output_cost_per_image") and not e.get("input_cost_per_image") and not e.get("input_cost_per_character")
              and not re.search(r"[ %]", m) and e.get("input_cost_per_query") is None]
    cases = []
    while len(cases) < count:
        model, way, tier = dice.choice(models), dice.choice(list(WAYS)), dice.choice(list(WORD))
        size = dice.choice((9, 3000, 150000, 400000))

        def some():
            return dice.choice((0, 0, dice.randrange(size)))
        use = {"cached": some(), "write5m": some(), "output": dice.randrange(5000)}
        if way == "messages":
            use["write1h"] = some()
        if way in ("chat", "generate"):
            use["audio"], use["image"] = some(), some()
            use["audio_cached"] = dice.randrange(use["cached"] + 1)
            use["audio_out"] = dice.randrange(use["output"] + 1) // 3
            use["image_out"] = dice.randrange(use["output"] + 1) // 3
        if way == "generate":
            use["write5m"], use["tool_input"] = 0, some()
        if way != "messages":
            use["reasoning"] = dice.randrange(use["output"] + 1) // 3
        if way == "responses":
            use["write5m"] = 0 if dice.random() < .5 else use["write5m"]
        use["input"] = some() + sum(use.get(k, 0) for k in ("cached", "write5m", "write1h", "audio", "image"))
        cases.append(("drawn", way, model, {"use": use}, tier, bill(file[model], use, tier), "measured"))
    return cases


def main():
    checks = (edges, parts, odd_words, drawn)
    if not gateway.present() or not os.path.exists(FILE):
        return tap.run([tap.test(make) for make in checks], skip="../shared/prices is not here")
    with open(FILE, encoding="utf-8") as f:
        file = json.load(f, parse_float=str)
    with Desk() as desk:
        return tap.run([tap.test(lambda make=make: judge(desk, make(file)), name=f"{make.__name__.replace('_', ' ')}: {make.__doc__}")
                        for make in checks])


if __name__ == "__main__":
    sys.exit(main())
