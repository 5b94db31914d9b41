"""A provider that speaks OpenAI chat and responses, Anthropic messages and Gemini in their real shapes.

What it does is said by the model's name: `…-tool` calls the first tool twice at once, then tells what
the results were; `…-patch` gives the first tool a text;
`…-json` answers with JSON; `…-think` thinks first; `…-status-429` refuses. Anything else greets. It is as strict
as the real ones where translation goes wrong: a tool result must name a call that was made before, a
call must have its result, and arguments must be an object. Every answer states the same usage:
120 in (32 of them from the cache), 60 out. The mock in tests/mock is for load; this one is for shapes.

    with Provider() as p: p.port, p.seen (the requests as they came)"""
import base64
import json
import re
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

TEXT = "Hello from the lab: “whole” and true ✓."
THOUGHT = "The person wants a greeting."
SIGNATURE = base64.b64encode(b"signed by the lab").decode()
UNSIGNED = "skip_thought_signature_validator"  # what Google documents for calls of other models
IN, CACHED, OUT = 120, 32, 60
CALLS = [{"city": "Paris"}, {"city": "Rome"}]
PATCH = {"input": "*** Begin\n+“one” \\ two\n"}


class Refused(Exception):
    def __init__(self, status, message, details=None):
        super().__init__(message)
        self.status, self.details = status, details


def dump(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def need(condition, message):
    if not condition:
        raise Refused(400, message)


def text_of(content):
    """Any dialect's content as plain text, to be told back."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return " ".join(text_of(part) for part in content)
    if isinstance(content, dict):
        return content["text"] if isinstance(content.get("text"), str) else dump(content)
    return ""


class Asked:
    """What a request says, in one form: tools by name, calls made, results by call, images, system."""

    def __init__(self):
        self.tools, self.calls, self.results, self.images, self.system = [], {}, {}, [], ""
        self.last_is_result = False

    def call(self, key, arguments):
        if isinstance(arguments, str):
            arguments = json.loads(arguments)
        need(isinstance(arguments, dict), "the arguments of a tool call must be an object")
        self.calls[key] = arguments
        self.last_is_result = False

    def result(self, key, content):
        need(key in self.calls, f"a tool result names {key!r}, which was never called")
        self.results[key] = text_of(content)
        self.last_is_result = True

    def image(self, url_or_type, data=None):
        if data is None and url_or_type.startswith("https://"):
            self.images.append(url_or_type)
            return
        if data is None:
            found = re.match(r"data:([^;]+);base64,(.*)", url_or_type)
            need(found, "an image must be a data URL here")
            url_or_type, data = found.groups()
        self.images.append((url_or_type, len(base64.b64decode(data, validate=True))))


def read_chat(body, asked):
    asked.tools = [t[t["type"]]["name"] for t in body.get("tools", [])]
    for m in body["messages"]:
        role, content = m["role"], m.get("content")
        need(role in ("system", "developer", "user", "assistant", "tool"), f"unknown role {role}")
        if role in ("system", "developer"):
            asked.system += text_of(content)
        if role == "user":
            asked.last_is_result = False
        for part in content if isinstance(content, list) else []:
            if part["type"] == "image_url":
                asked.image(part["image_url"]["url"])
        for c in m.get("tool_calls") or []:
            if c["type"] == "custom":
                asked.call(c["id"], {"input": c["custom"]["input"]})
                continue
            need(c["type"] == "function", "a tool call needs its type")
            need(isinstance(c["function"]["arguments"], str), "arguments must be a string")
            asked.call(c["id"], c["function"]["arguments"])
        if role == "tool":
            asked.result(m["tool_call_id"], content)


def responses_tools(body):
    """Tools by name: (type, namespace). They stand in `tools`, in namespaces, and in the input."""
    found = {}

    def add(tools, space=None):
        for tool in tools:
            if tool["type"] == "namespace":
                add(tool["tools"], tool["name"])
            elif tool["type"] in ("function", "custom"):
                found[tool["name"]] = (tool["type"], space)
    add(body.get("tools", []))
    for item in body["input"] if isinstance(body["input"], list) else []:
        if item.get("type") == "additional_tools":
            add(item["tools"])
    return found


def read_responses(body, asked):
    asked.tools = list(responses_tools(body))
    asked.system = body.get("instructions") or ""
    items = body["input"]
    for item in [] if isinstance(items, str) else items:
        kind = item.get("type", "message")
        if kind == "message":
            if item["role"] in ("system", "developer"):
                asked.system += text_of(item["content"])
            if item["role"] == "user":
                asked.last_is_result = False
            for part in item["content"] if isinstance(item["content"], list) else []:
                need(part["type"] != "text", "content parts are input_text or output_text")
                if part["type"] == "input_image":
                    asked.image(part["image_url"])
        elif kind == "function_call":
            need(isinstance(item["arguments"], str), "arguments must be a string")
            asked.call(item["call_id"], item["arguments"])
        elif kind == "custom_tool_call":
            asked.call(item["call_id"], {"input": item["input"]})
        elif kind in ("function_call_output", "custom_tool_call_output"):
            asked.result(item["call_id"], item["output"])
        else:
            need(kind in ("reasoning", "additional_tools"), f"unknown item {kind}")


def read_messages(body, asked):
    need(isinstance(body.get("max_tokens"), int), "max_tokens: Field required")
    if body.get("thread"):  # as a server says it that keeps no conversations
        raise Refused(400, "no threads here", {"error_code": "thread_unsupported_request", "unsupported": ["lab"]})
    asked.tools = [t["name"] for t in body.get("tools", [])]
    asked.system = text_of(body.get("system", ""))
    last = None
    for m in body["messages"]:
        need(m["role"] in ("user", "assistant", "system"), f"unknown role {m['role']}")
        last = m["role"] if m["role"] != "system" else last
        for block in m["content"] if isinstance(m["content"], list) else []:
            kind = block["type"]
            if kind == "image":
                source = block["source"]
                asked.image(*([source["url"]] if source["type"] == "url" else [source["media_type"], source["data"]]))
            if kind == "thinking":
                need(block.get("signature") == SIGNATURE, "Invalid `signature` in `thinking` block")
            if kind == "tool_use":
                need(re.fullmatch("[a-zA-Z0-9_-]+", block["id"]), "tool_use.id has a bad character")
                asked.call(block["id"], block["input"])
            if kind == "tool_result":
                asked.result(block["tool_use_id"], block.get("content", ""))
            if kind == "text" and m["role"] == "user":
                asked.last_is_result = asked.last_is_result and "reminder" in block["text"]
        if m["role"] == "user" and isinstance(m["content"], str):
            asked.last_is_result = False
    need(last == "user", "the last message must be the user's")


def read_gemini(body, asked):
    for tool in body.get("tools", []):
        asked.tools += [f["name"] for f in tool.get("functionDeclarations", [])]
    asked.system = text_of(body.get("systemInstruction", {}).get("parts", []))
    waiting = []
    for content in body["contents"]:
        need(content.get("role", "user") in ("user", "model"), "Please use a valid role: user, model.")
        for part in content["parts"]:
            media = part.get("inlineData") or part.get("inline_data")
            if media:  # Google takes both spellings of keys, and both alphabets of base64
                asked.image(media.get("mimeType") or media["mime_type"],
                            media["data"].replace("-", "+").replace("_", "/"))
            file = part.get("fileData") or part.get("file_data")
            if file:
                asked.image(file.get("fileUri") or file["file_uri"])
            if "functionCall" in part:
                need(part.get("thoughtSignature") in (None, SIGNATURE, UNSIGNED),
                     "Corrupted thought signature.")
                key = part["functionCall"]["name"] + str(len(asked.calls))
                asked.call(key, part["functionCall"].get("args", {}))
                waiting.append((part["functionCall"]["name"], key))
            if "functionResponse" in part:
                name, key = waiting.pop(0) if waiting else (None, None)
                need(name == part["functionResponse"]["name"], "functionResponse without functionCall")
                need(isinstance(part["functionResponse"]["response"], dict), "response must be an object")
                asked.result(key, dump(part["functionResponse"]["response"]))
            if "text" in part and content.get("role") == "user":
                asked.last_is_result = False


def decide(model, asked):
    """The parts of the answer: ("think", text), ("text", text), ("call", name, arguments)."""
    missing = [k for k in asked.calls if k not in asked.results]
    need(not missing, f"tool calls without result: {missing}")
    status = re.search(r"-status-(\d+)", model)
    if status:
        raise Refused(int(status.group(1)), f"the lab was asked for a {status.group(1)}")
    parts = [("think", THOUGHT)] if "-think" in model else []
    if asked.last_is_result:
        told = "; ".join(f"{asked.calls[k].get('city', 'patch')}: {r}" for k, r in asked.results.items())
        return parts + [("text", "The tool said " + told)]
    if "-tool" in model:
        need(asked.tools, "no tool was defined")
        return parts + [("call", asked.tools[0], arguments) for arguments in CALLS]
    if "-patch" in model:
        need(asked.tools, "no tool was defined")
        return [("call", asked.tools[0], PATCH)]
    if "-json" in model:  # a tool is what asks for the schema where there is no other way
        answer = {"city": "Rome"}
        return [("call", asked.tools[0], answer) if asked.tools else ("text", dump(answer))]
    if asked.images:
        seen = [i if isinstance(i, str) else f"{i[0]} of {i[1]} bytes" for i in asked.images]
        return parts + [("text", "I see " + ", ".join(seen))]
    if "-system" in model:
        return parts + [("text", "My orders: " + asked.system)]
    return parts + [("text", TEXT)]


def pieces(text, n=7):
    return [text[i:i + n] for i in range(0, len(text), n)]


# ---- chat ----

def chat_usage():
    return {"prompt_tokens": IN, "completion_tokens": OUT, "total_tokens": IN + OUT,
            "prompt_tokens_details": {"cached_tokens": CACHED, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0}}


def chat_call(body, name, text):
    """The members of a call: those of a custom tool where that was asked for."""
    kinds = {t[t["type"]]["name"]: t["type"] for t in body.get("tools", [])}
    if kinds[name] == "custom":
        return {"type": "custom", "custom": {"name": name, "input": json.loads(text)["input"] if text else ""}}
    return {"type": "function", "function": {"name": name, "arguments": text}}


def chat_whole(model, parts, body):
    calls = [p for p in parts if p[0] == "call"]
    message = {"role": "assistant", "content": "".join(p[1] for p in parts if p[0] == "text") or None}
    if any(p[0] == "think" for p in parts):
        message["reasoning_content"] = THOUGHT
    if calls:
        message["tool_calls"] = [dict({"id": f"call_lab{i}"}, **chat_call(body, c[1], dump(c[2])))
                                 for i, c in enumerate(calls)]
    return {"id": "chatcmpl-lab", "object": "chat.completion", "created": 1700000000, "model": model,
            "choices": [{"index": 0, "message": message, "logprobs": None,
                         "finish_reason": "tool_calls" if calls else "stop"}],
            "usage": chat_usage(), "system_fingerprint": "fp_lab"}


def chat_stream(model, parts, body):
    def chunk(delta, finish=None, **more):
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return None, dict({"id": "chatcmpl-lab", "object": "chat.completion.chunk",
                           "created": 1700000000, "model": model, "choices": [choice]}, **more)
    yield chunk({"role": "assistant", "content": ""})
    calls = 0
    for part in parts:
        if part[0] == "call":
            begun = chat_call(body, part[1], "")
            member, words = ("custom", "input") if begun["type"] == "custom" else ("function", "arguments")
            yield chunk({"tool_calls": [dict({"index": calls, "id": f"call_lab{calls}"}, **begun)]})
            for piece in pieces(part[2]["input"] if member == "custom" else dump(part[2])):
                yield chunk({"tool_calls": [{"index": calls, member: {words: piece}}]})
            calls += 1
        else:
            for piece in pieces(part[1]):
                yield chunk({"content" if part[0] == "text" else "reasoning_content": piece})
    yield chunk({}, "tool_calls" if calls else "stop")
    if (body.get("stream_options") or {}).get("include_usage"):
        yield chunk({}, choices=[], usage=chat_usage())
    yield None, "[DONE]"


# ---- responses ----

def responses_call(i, part, body):
    kind, space = responses_tools(body).get(part[1], ("function", None))
    custom = kind == "custom"
    item = {"id": f"fc_lab{i}", "type": "custom_tool_call" if custom else "function_call",
            "status": "completed", "call_id": f"call_lab{i}", "name": part[1]}
    item["input" if custom else "arguments"] = part[2]["input"] if custom else dump(part[2])
    return dict(item, namespace=space) if space else item


def responses_items(parts, body):
    for i, part in enumerate(parts):
        if part[0] == "think":
            yield {"id": f"rs_lab{i}", "type": "reasoning",
                   "summary": [{"type": "summary_text", "text": part[1]}]}
        elif part[0] == "text":
            yield {"id": f"msg_lab{i}", "type": "message", "status": "completed", "role": "assistant",
                   "content": [{"type": "output_text", "text": part[1], "annotations": [],
                                "logprobs": []}]}
        else:
            yield responses_call(i, part, body)


def responses_usage():
    return {"input_tokens": IN, "input_tokens_details": {"cached_tokens": CACHED}, "output_tokens": OUT,
            "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": IN + OUT}


def responses_whole(model, parts, body, status="completed"):
    done = status == "completed"
    return {"id": "resp_lab", "object": "response", "created_at": 1700000000, "status": status,
            "error": None, "incomplete_details": None, "instructions": None, "model": model,
            "output": list(responses_items(parts, body)) if done else [], "parallel_tool_calls": True,
            "previous_response_id": None, "metadata": {}, "temperature": 1, "tool_choice": "auto",
            "tools": [], "top_p": 1, "usage": responses_usage() if done else None}


def responses_events(model, parts, body):
    yield "response.created", {"response": responses_whole(model, parts, body, "in_progress")}
    yield "response.in_progress", {"response": responses_whole(model, parts, body, "in_progress")}
    for i, item in enumerate(responses_items(parts, body)):
        at = {"output_index": i, "item_id": item["id"]}
        empty = dict(item, **({"summary": []} if item["type"] == "reasoning" else {"status": "in_progress"}))
        if item["type"] == "message":
            empty["content"] = []
        words = {"function_call": "arguments", "custom_tool_call": "input"}.get(item["type"])
        if words:
            empty[words] = ""
        yield "response.output_item.added", {"output_index": i, "item": empty}
        if item["type"] == "reasoning":
            part = dict(at, summary_index=0)
            yield "response.reasoning_summary_part.added", dict(
                part, part={"type": "summary_text", "text": ""})
            for piece in pieces(THOUGHT):
                yield "response.reasoning_summary_text.delta", dict(part, delta=piece)
            yield "response.reasoning_summary_text.done", dict(part, text=THOUGHT)
            yield "response.reasoning_summary_part.done", dict(part, part=item["summary"][0])
        elif item["type"] == "message":
            part, whole = dict(at, content_index=0), item["content"][0]
            yield "response.content_part.added", dict(part, part=dict(whole, text=""))
            for piece in pieces(whole["text"]):
                yield "response.output_text.delta", dict(part, delta=piece, logprobs=[])
            yield "response.output_text.done", dict(part, text=whole["text"], logprobs=[])
            yield "response.content_part.done", dict(part, part=whole)
        else:
            name = {"arguments": "function_call_arguments", "input": "custom_tool_call_input"}[words]
            for piece in pieces(item[words]):
                yield f"response.{name}.delta", dict(at, delta=piece)
            yield f"response.{name}.done", dict(at, **{words: item[words]})
        yield "response.output_item.done", {"output_index": i, "item": item}
    yield "response.completed", {"response": responses_whole(model, parts, body)}


def responses_stream(model, parts, body):
    for n, (name, data) in enumerate(responses_events(model, parts, body)):
        yield name, dict({"type": name, "sequence_number": n}, **data)


# ---- messages ----

def messages_usage(out):
    return {"input_tokens": IN - CACHED, "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": CACHED, "output_tokens": out}


def messages_blocks(parts):
    for i, part in enumerate(parts):
        if part[0] == "think":
            yield {"type": "thinking", "thinking": part[1], "signature": SIGNATURE}
        elif part[0] == "text":
            yield {"type": "text", "text": part[1]}
        else:
            yield {"type": "tool_use", "id": f"toolu_lab{i}", "name": part[1], "input": part[2]}


def messages_whole(model, parts, _body):
    called = any(p[0] == "call" for p in parts)
    return {"id": "msg_lab", "type": "message", "role": "assistant", "model": model,
            "content": list(messages_blocks(parts)), "stop_reason": "tool_use" if called else "end_turn",
            "stop_sequence": None, "usage": messages_usage(OUT)}


def messages_events(model, parts, body):
    whole = messages_whole(model, parts, body)
    yield "message_start", {"message": dict(whole, content=[], stop_reason=None, usage=messages_usage(1))}
    yield "ping", {}
    for i, block in enumerate(whole["content"]):
        kind = block["type"]
        empty = dict(block, **{"thinking": {"thinking": "", "signature": ""}, "text": {"text": ""},
                               "tool_use": {"input": {}}}[kind])
        yield "content_block_start", {"index": i, "content_block": empty}
        if kind == "tool_use":
            deltas = [{"type": "input_json_delta", "partial_json": p}
                      for p in ["", *pieces(dump(block["input"]))]]
        elif kind == "text":
            deltas = [{"type": "text_delta", "text": p} for p in pieces(block["text"])]
        else:
            deltas = [{"type": "thinking_delta", "thinking": p} for p in pieces(block["thinking"])]
            deltas.append({"type": "signature_delta", "signature": SIGNATURE})
        for delta in deltas:
            yield "content_block_delta", {"index": i, "delta": delta}
        yield "content_block_stop", {"index": i}
    yield "message_delta", {"delta": {"stop_reason": whole["stop_reason"], "stop_sequence": None},
                            "usage": {"output_tokens": OUT}}
    yield "message_stop", {}


def messages_stream(model, parts, body):
    for name, data in messages_events(model, parts, body):
        yield name, dict({"type": name}, **data)


# ---- gemini ----

def gemini_answer(model, parts, finish=True):
    out = []
    for part in parts:
        if part[0] == "call":
            out.append({"functionCall": {"name": part[1], "args": part[2]}})
            if part[2] == CALLS[0]:
                out[-1]["thoughtSignature"] = SIGNATURE  # parallel calls: only the first is signed
        else:
            out.append(dict({"text": part[1]}, **({"thought": True} if part[0] == "think" else {})))
    candidate = {"content": {"parts": out, "role": "model"}, "index": 0}
    if finish:
        candidate["finishReason"] = "STOP"
    return {"candidates": [candidate], "usageMetadata": {
        "promptTokenCount": IN, "cachedContentTokenCount": CACHED, "candidatesTokenCount": OUT,
        "totalTokenCount": IN + OUT}, "modelVersion": model, "responseId": "lab"}


def gemini_whole(model, parts, _body):
    return gemini_answer(model, parts)


def gemini_stream(model, parts, _body):
    small = []
    for part in parts:
        small += [part] if part[0] == "call" else [(part[0], piece) for piece in pieces(part[1])]
    for i, part in enumerate(small):
        yield None, gemini_answer(model, [part], i + 1 == len(small))


# ---- embeddings: of "abc" [3, 97, 99 …] ----

def vector(text, dimensions):
    need(isinstance(text, str) and text, "only texts are embedded here")
    return ([float(len(text)), float(ord(text[0])), float(ord(text[-1])) + 0.25] + [0.5] * 5)[:dimensions or 8]


def embed_openai(body):
    need(set(body) <= {"model", "input", "dimensions", "encoding_format", "user"}, f"unknown member in {list(body)}")
    texts = body["input"] if isinstance(body["input"], list) else [body["input"]]
    found = [vector(t, body.get("dimensions")) for t in texts]
    if body.get("encoding_format") == "base64":
        found = [base64.b64encode(struct.pack(f"<{len(v)}f", *v)).decode() for v in found]
    return {"object": "list", "model": body["model"], "usage": {"prompt_tokens": IN, "total_tokens": IN},
            "data": [{"object": "embedding", "index": i, "embedding": v} for i, v in enumerate(found)]}


def embed_gemini(body):
    """Both verbs: of one content, and of many requests."""
    def one(request):
        text = "".join(p["text"] for p in request["content"]["parts"])
        return {"values": vector(text, request.get("outputDimensionality"))}
    return {"embeddings": [one(r) for r in body["requests"]]} if "requests" in body else {"embedding": one(body)}


EMBEDS = {"/embeddings": ("chat", embed_openai), ":embedContent": ("gemini", embed_gemini),
          ":batchEmbedContents": ("gemini", embed_gemini)}
DIALECTS = {"chat": (read_chat, chat_whole, chat_stream),
            "responses": (read_responses, responses_whole, responses_stream),
            "anthropic": (read_messages, messages_whole, messages_stream),
            "gemini": (read_gemini, gemini_whole, gemini_stream)}
ENDS = (("/chat/completions", "chat"), ("/responses", "responses"), ("/messages", "anthropic"),
        ("/messages/count_tokens", "anthropic"), (":generateContent", "gemini"),
        (":streamGenerateContent", "gemini"), (":countTokens", "gemini"))


def error_body(dialect, status, message):
    names = {400: ("invalid_request_error", "INVALID_ARGUMENT"),
             429: ("rate_limit_error", "RESOURCE_EXHAUSTED")}
    kind, state = names.get(status, ("api_error", "INTERNAL"))
    if dialect == "anthropic":
        return {"type": "error", "error": {"type": kind, "message": message}, "request_id": "req_lab"}
    if dialect == "gemini":
        return {"error": {"code": status, "message": message, "status": state}}
    return {"error": {"message": message, "type": kind, "param": None, "code": "lab_code"}}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def send(self, status, value, kind="application/json"):
        body = dump(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-request-id", "req_lab")
        if status == 429:
            self.send_header("Retry-After", "1")
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.send(200, {"object": "list", "data": []})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"{}")
        path = self.path.split("?")[0]
        embeds = next((e for end, e in EMBEDS.items() if path.endswith(end)), None)
        if embeds:
            self.embed(path, body, *embeds)
            return
        dialect = next((d for end, d in ENDS if path.endswith(end)), None)
        if not dialect:
            self.send(404, error_body("chat", 404, "no such path: " + path))
            return
        self.server.seen.append((dialect, path, body))
        read, whole, stream = DIALECTS[dialect]
        model = body.get("model") or path.rsplit("/", 1)[1].split(":")[0]
        try:
            asked = Asked()
            read(dict(body, max_tokens=1) if path.endswith("/count_tokens") else body, asked)
            if path.endswith("/count_tokens"):
                self.send(200, {"input_tokens": IN})
                return
            if path.endswith(":countTokens"):
                self.send(200, {"totalTokens": IN})
                return
            parts = self.server.decide(model, asked)
        except Refused as refused:
            said = error_body(dialect, refused.status, str(refused))
            if refused.details:
                said["error"]["details"] = refused.details
            self.send(refused.status, said)
            return
        except (KeyError, TypeError, ValueError) as bad:
            self.send(400, error_body(dialect, 400, f"{type(bad).__name__}: {bad}"))
            return
        if body.get("stream") or path.endswith(":streamGenerateContent"):
            self.stream(stream(model, parts, body), "\r\n" if dialect == "gemini" else "\n")
        else:
            self.send(200, whole(model, parts, body))

    def embed(self, path, body, dialect, answer):
        self.server.seen.append((dialect, path, body))
        try:
            self.send(200, answer(body))
        except (Refused, KeyError, TypeError) as bad:
            self.send(400, error_body(dialect, 400, f"{type(bad).__name__}: {bad}"))

    def stream(self, events, end):
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for name, data in events:
            data = data if isinstance(data, str) else dump(data)
            event = ((f"event: {name}{end}" if name else "") + f"data: {data}{end}{end}").encode()
            self.wfile.write(b"%x\r\n%s\r\n" % (len(event), event))
        self.wfile.write(b"0\r\n\r\n")


class Provider:
    def __init__(self, decides=decide):
        self.decides = decides

    def __enter__(self):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.seen = self.seen = []
        self.server.decide = self.decides
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
