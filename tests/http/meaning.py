"""What an answer says, read from its bytes in each dialect as a client would read them: text, reasoning, refusal,
calls, the end, usage in OpenAI's words. Written for tests alone and knows nothing of the gateway's readers.

    said = meaning.of("anthropic-messages", body, stream=True)
    said["text"], said["calls"] ([name, arguments]), said["finish"], said["usage"], said["error"]"""
import json

FINISH = {"end_turn": "stop", "stop_sequence": "stop", "max_tokens": "length", "tool_use": "tool_calls",
          "refusal": "content_filter", "STOP": "stop", "MAX_TOKENS": "length", "SAFETY": "content_filter"}


def nothing():
    return {"text": "", "reasoning": "", "refusal": "", "calls": [], "finish": None, "usage": None, "error": None,
            "names": []}


def events(body):
    """(name, value) of each event; [DONE] is left out, its place is checked."""
    text = body.decode("utf-8").replace("\r\n", "\n")
    ended = False
    for block in text.split("\n\n"):
        name, data = None, []
        for line in block.split("\n"):
            if line.startswith("event:"):
                name = line[6:].strip()
            elif line.startswith("data:"):
                data.append(line[5:].removeprefix(" "))
        if data:
            if ended:
                raise ValueError("an event after [DONE]")
            ended = data == ["[DONE]"]
            if not ended:
                yield name, json.loads("\n".join(data))


def arguments_of(text):
    try:
        return json.loads(text or "{}")
    except ValueError:
        return text


# --- chat ---

def chat_usage(u):
    if not u:
        return None
    into, out = u.get("prompt_tokens_details") or {}, u.get("completion_tokens_details") or {}
    return {"prompt_tokens": u.get("prompt_tokens", 0), "completion_tokens": u.get("completion_tokens", 0),
            "cached_tokens": into.get("cached_tokens") or 0, "reasoning_tokens": out.get("reasoning_tokens") or 0}


def chat_message(said, m, calls):
    said["text"] += m.get("content") or ""
    said["refusal"] += m.get("refusal") or ""
    said["reasoning"] += m.get("reasoning_content") or ""
    for place, c in enumerate(m.get("tool_calls") or []):
        at = c.get("index", place)
        begun = calls.setdefault(at, {"id": None, "name": "", "arguments": ""})
        begun["id"] = begun["id"] or c.get("id")
        function = c.get("function") or {}
        begun["name"] = begun["name"] or function.get("name", "")
        begun["arguments"] += function.get("arguments", "")


def chat(said, values, member):
    calls = {}
    for v in values:
        if v.get("error"):
            said["error"] = v["error"]
            continue
        said["usage"] = chat_usage(v.get("usage")) or said["usage"]
        for c in v["choices"]:
            if c.get("index", 0) == 0:
                chat_message(said, c.get(member) or {}, calls)
                said["finish"] = c.get("finish_reason") or said["finish"]
    ids = [c["id"] for c in calls.values()]
    if None in ids or len(set(ids)) != len(ids):
        raise ValueError(f"ids of calls are missing or twice: {ids}")
    said["calls"] = [[c["name"], arguments_of(c["arguments"])] for c in calls.values()]


# --- responses ---

def responses(said, values):
    items, deltas, last = [], "", None
    for name, v in values:
        if name and v.get("type") != name:
            raise ValueError(f"event {name} holds {v.get('type')}")
        kind = v.get("type", "")
        if kind == "error":
            said["error"] = v.get("error") or v
        if kind == "response.output_text.delta":
            deltas += v["delta"]
        if kind == "response.output_item.done":
            items.append(v["item"])
        if kind in ("response.completed", "response.incomplete", "response.failed"):
            last = v["response"]
        if v.get("object") == "response":
            last, items = v, v["output"]
    if last is None:
        return
    if last.get("error"):
        said["error"] = last["error"]
    for item in items:
        for part in item.get("content") or [] if item["type"] == "message" else []:
            said["text"] += part.get("text") or ""
            said["refusal"] += part.get("refusal") or ""
        if item["type"] == "reasoning":
            said["reasoning"] += "".join(p["text"] for p in item.get("summary") or item.get("content") or [])
        if item["type"] == "function_call":
            said["calls"].append([item["name"], arguments_of(item["arguments"])])
    if deltas and not said["error"] and deltas != said["text"]:
        raise ValueError(f"the deltas say {deltas[:200]!r}, the items {said['text'][:200]!r}")
    why = (last.get("incomplete_details") or {}).get("reason")
    said["finish"] = {"completed": "tool_calls" if said["calls"] else "stop", "failed": "error", "incomplete":
                      "content_filter" if why == "content_filter" else "length"}.get(last["status"])
    u = last.get("usage")
    if u:
        said["usage"] = {"prompt_tokens": u["input_tokens"], "completion_tokens": u["output_tokens"],
                         "cached_tokens": u["input_tokens_details"]["cached_tokens"],
                         "reasoning_tokens": u["output_tokens_details"]["reasoning_tokens"]}


# --- messages ---

def messages_usage(u):
    read = u.get("cache_read_input_tokens") or 0
    return {"prompt_tokens": u["input_tokens"] + read + (u.get("cache_creation_input_tokens") or 0),
            "completion_tokens": u["output_tokens"], "cached_tokens": read}


def messages_blocks(said, blocks):
    for b in blocks:
        said["text"] += b.get("text", "") if b["type"] == "text" else ""
        said["reasoning"] += b.get("thinking", "") if b["type"] == "thinking" else ""
        if b["type"] == "tool_use":
            said["calls"].append([b["name"], b["input"]])


def messages_delta(block, d):
    for kind, member in (("text_delta", "text"), ("thinking_delta", "thinking"), ("signature_delta", "signature")):
        if d["type"] == kind:
            block[member] = block.get(member, "") + d[member]
    if d["type"] == "input_json_delta":
        block["json"] = block.get("json", "") + d["partial_json"]


def messages(said, values):
    blocks, open_at, usage = [], None, {}
    for name, v in values:
        if name and v["type"] != name:
            raise ValueError(f"event {name} holds {v['type']}")
        kind = v["type"]
        if kind == "error":
            said["error"] = v["error"]
        elif kind == "message":
            blocks, usage, said["finish"] = v["content"], v["usage"], v["stop_reason"]
        elif kind == "message_start":
            usage.update(v["message"]["usage"])
        elif kind == "content_block_start":
            if open_at is not None or v["index"] != len(blocks):
                raise ValueError(f"block {v['index']} begins while {open_at} is open")
            open_at = v["index"]
            blocks.append(dict(v["content_block"]))
        elif kind == "content_block_delta":
            if v["index"] != open_at:
                raise ValueError("a delta of a block that isn't open")
            messages_delta(blocks[open_at], v["delta"])
        elif kind == "content_block_stop":
            if "json" in blocks[open_at]:
                blocks[open_at]["input"] = arguments_of(blocks[open_at].pop("json"))
            open_at = None
        elif kind == "message_delta":
            usage.update({k: n for k, n in v["usage"].items() if n is not None})
            said["finish"] = v["delta"]["stop_reason"]
    messages_blocks(said, blocks)
    said["finish"] = FINISH.get(said["finish"], said["finish"])
    said["usage"] = messages_usage(usage) if "output_tokens" in usage else None


# --- generateContent ---

def gemini(said, values):
    native = None
    for v in values:
        if v.get("error"):
            said["error"] = v["error"]
        u = v.get("usageMetadata")
        if u:
            thoughts = u.get("thoughtsTokenCount") or 0
            said["usage"] = {"prompt_tokens": u.get("promptTokenCount", 0) + (u.get("toolUsePromptTokenCount") or 0),
                             "completion_tokens": (u.get("candidatesTokenCount") or 0) + thoughts,
                             "cached_tokens": u.get("cachedContentTokenCount") or 0, "reasoning_tokens": thoughts}
        for c in v.get("candidates") or []:
            if c.get("index", 0):
                continue
            for p in (c.get("content") or {}).get("parts") or []:
                said["reasoning" if p.get("thought") else "text"] += p.get("text") or ""
                if "functionCall" in p:
                    said["calls"].append([p["functionCall"]["name"], p["functionCall"].get("args") or {}])
            native = c.get("finishReason") or native
    said["finish"] = FINISH.get(native, native)
    if said["finish"] == "stop" and said["calls"]:
        said["finish"] = "tool_calls"


def of(dialect, body, stream):
    said = nothing()
    pairs = list(events(body)) if stream else [(None, json.loads(body))]
    if dialect == "openai-chat":
        chat(said, [v for _, v in pairs], "delta" if stream else "message")
    elif dialect == "openai-responses":
        responses(said, pairs)
    elif dialect == "anthropic-messages":
        messages(said, pairs)
    else:
        gemini(said, [v for _, v in pairs])
    said["names"] = [name for name, _ in pairs]
    return said


def error_of(dialect, body):
    """The message of a whole error body."""
    v = json.loads(body)
    if dialect == "anthropic-messages" and (v["type"] != "error" or not v["error"]["type"]):
        raise ValueError("no error of Anthropic's: " + str(v))
    if dialect == "gemini-generate" and not (v["error"]["status"] and v["error"]["code"]):
        raise ValueError("no error of Google's: " + str(v))
    return v["error"]["message"]
