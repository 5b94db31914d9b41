"""The SDKs from PyPI against providers of each dialect, as table.mjs does it for those from npm: run by
check_pypi.py in an environment that has them. Each client does the same few things as an application
would, and tells the outcome in one form. Prints TAP lines.

    python pypi.py CLIENT GATEWAY-URL CELL...      where a cell is PROVIDER=what,what"""
import base64
import json
import re
import sys

TEXT = "Hello from the lab: “whole” and true ✓."
THOUGHT = "The person wants a greeting."
PIXEL = ("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9"
         "awAAAABJRU5ErkJggg==")
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
QUESTION = "Weather in Paris and Rome?"
PICTURE = "https://pictures.test/a%20b.png?size=1"
PATCH = "*** Begin\n+“one” \\ two\n"
MODELS = ("hello", "system", "tool", "patch", "json", "think", "status-429", "status-400", "embed")
VECTORS = [[3, 97, 99.25, 0.5, 0.5, 0.5, 0.5, 0.5], [4, 380, 119.25, 0.5, 0.5, 0.5, 0.5, 0.5]]


def weather(arguments):
    return f"21 degrees in {arguments['city']}"


def place():
    """What the SDKs' own parsers make of a structured answer."""
    from pydantic import create_model
    return create_model("Place", city=(str, ...))


class Chat:
    name = "openai (PyPI) chat"
    counted = count = loop = None

    def __init__(self, base):
        import openai
        self.client = openai.OpenAI(base_url=base + "/v1", api_key="unused", max_retries=0)
        self.sdk = self.client.chat.completions
        self.tool = {"type": "function", "function": {"name": "weather", "parameters": SCHEMA}}

    def ask(self, stream, **body):
        if not stream:
            return self.sdk.create(**body)
        with self.sdk.stream(**body, stream_options={"include_usage": True}) as events:
            thought = "".join(getattr(e.chunk.choices[0].delta, "reasoning_content", None) or ""
                              for e in events if e.type == "chunk" and e.chunk.choices)
            answer = events.get_final_completion()
        answer.choices[0].message.reasoning_content = thought
        return answer

    def hello(self, model, stream=False, system=None, image=None):
        content = [{"type": "text", "text": "What is it?"},
                   {"type": "image_url", "image_url": {"url": "data:image/png;base64," + image}}] if image else "Hi"
        messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": content}]
        answer = self.ask(stream, model=model, messages=messages)
        usage = answer.usage
        return (answer.choices[0].message.content, answer.choices[0].finish_reason == "stop",
                (usage.prompt_tokens, usage.prompt_tokens_details.cached_tokens, usage.completion_tokens))

    def tools(self, model, stream=False):
        messages = [{"role": "user", "content": QUESTION}]
        message = self.ask(stream, model=model, messages=messages, tools=[self.tool]).choices[0].message
        calls = [(c.function.name, json.loads(c.function.arguments)) for c in message.tool_calls]
        messages.append({"role": "assistant", "content": message.content, "tool_calls": [
            {"id": c.id, "type": "function", "function": {"name": c.function.name, "arguments": c.function.arguments}}
            for c in message.tool_calls]})
        messages += [{"role": "tool", "tool_call_id": c.id, "content": weather(arguments)}
                     for c, (_, arguments) in zip(message.tool_calls, calls)]
        last = self.ask(stream, model=model, messages=messages, tools=[self.tool])
        return calls, last.choices[0].message.content

    def think(self, model, stream=False):
        message = self.ask(stream, model=model, messages=[{"role": "user", "content": "Hi"}],
                           reasoning_effort="low").choices[0].message
        return message.reasoning_content, message.content

    def look(self, model):
        content = [{"type": "text", "text": "What is it?"}, {"type": "image_url", "image_url": {"url": PICTURE}}]
        return self.ask(False, model=model, messages=[{"role": "user", "content": content}]).choices[0].message.content

    def turn(self, stream, **body):
        """The SDK's own stream helper knows functions alone: the chunks are put together as they come."""
        if not stream:
            return self.sdk.create(**body).choices[0].message.model_dump(exclude_none=True)
        text, call = "", {"type": "custom", "custom": {"name": "", "input": ""}}
        for chunk in self.sdk.create(stream=True, **body):
            delta = chunk.choices[0].delta.model_dump(exclude_none=True) if chunk.choices else {}
            text += delta.get("content", "")
            for c in delta.get("tool_calls", []):
                call["id"] = call.get("id") or c["id"]
                call["custom"]["name"] += c["custom"].get("name", "")
                call["custom"]["input"] += c["custom"].get("input", "")
        return {"role": "assistant", "content": text, **({"tool_calls": [call]} if "id" in call else {})}

    def custom(self, model, stream=False):
        tools = [{"type": "custom", "custom": {"name": "patch", "description": "Changes files"}}]
        messages = [{"role": "user", "content": "Change it."}]
        message = self.turn(stream, model=model, messages=messages, tools=tools)
        call = message["tool_calls"][0]
        messages += [message, {"role": "tool", "tool_call_id": call["id"], "content": "done"}]
        return call["custom"]["input"], self.turn(stream, model=model, messages=messages, tools=tools)["content"]

    def parsed(self, model, stream=False):
        body = {"model": model, "messages": [{"role": "user", "content": "Where?"}], "response_format": place()}
        if not stream:
            return self.sdk.parse(**body).choices[0].message.parsed.model_dump()
        with self.sdk.stream(**body) as events:
            return events.get_final_completion().choices[0].message.parsed.model_dump()

    def models(self):
        return [m.id for m in self.client.models.list() if m.object == "model"]

    def embed(self, model, dimensions=None):
        """The SDK asks for base64 and unpacks it; as numbers it is the same."""
        more = {"dimensions": dimensions} if dimensions else {}
        packed = self.client.embeddings.create(model=model, input=["abc", "żółw"], **more)
        plain = self.client.embeddings.create(model=model, input=["abc", "żółw"], encoding_format="float", **more)
        same([e.embedding for e in plain.data], [e.embedding for e in packed.data], "numbers and packed numbers")
        return [e.embedding for e in packed.data]

    def fail(self, model):
        self.ask(False, model=model, messages=[{"role": "user", "content": "Hi"}])

    def status(self, error):
        return error.status_code


class Responses(Chat):
    name = "openai (PyPI) responses"

    def __init__(self, base):
        import openai
        self.sdk = openai.OpenAI(base_url=base + "/v1", api_key="unused", max_retries=0).responses
        self.tool = {"type": "function", "name": "weather", "strict": False, "parameters": SCHEMA}

    def ask(self, stream, **body):
        if not stream:
            return self.sdk.create(store=False, **body)
        with self.sdk.stream(store=False, **body) as events:
            for _ in events:
                pass
            return events.get_final_response()

    def hello(self, model, stream=False, system=None, image=None):
        asked = [{"role": "user", "content": [
            {"type": "input_text", "text": "What is it?"},
            {"type": "input_image", "detail": "auto", "image_url": "data:image/png;base64," + image}]}] if image else "Hi"
        answer = self.ask(stream, model=model, input=asked, **({"instructions": system} if system else {}))
        usage = answer.usage
        return (answer.output_text, answer.status == "completed",
                (usage.input_tokens, usage.input_tokens_details.cached_tokens, usage.output_tokens))

    def tools(self, model, stream=False):
        asked = [{"role": "user", "content": QUESTION}]
        first = self.ask(stream, model=model, input=asked, tools=[self.tool])
        made = [i for i in first.output if i.type == "function_call"]
        calls = [(c.name, json.loads(c.arguments)) for c in made]
        asked += [i.model_dump(exclude={"parsed_arguments"}, exclude_none=True) for i in first.output]
        asked += [{"type": "function_call_output", "call_id": c.call_id, "output": weather(a)}
                  for c, (_, a) in zip(made, calls)]
        return calls, self.ask(stream, model=model, input=asked, tools=[self.tool]).output_text

    def think(self, model, stream=False):
        answer = self.ask(stream, model=model, input="Hi", reasoning={"effort": "low", "summary": "auto"})
        thought = next((i for i in answer.output if i.type == "reasoning"), None)
        return thought and "".join(s.text for s in thought.summary), answer.output_text

    def look(self, model):
        content = [{"type": "input_text", "text": "What is it?"},
                   {"type": "input_image", "detail": "auto", "image_url": PICTURE}]
        return self.ask(False, model=model, input=[{"role": "user", "content": content}]).output_text

    def custom(self, model, stream=False):
        tools = [{"type": "custom", "name": "patch", "description": "Changes files"}]
        asked = [{"role": "user", "content": "Change it."}]
        first = self.ask(stream, model=model, input=asked, tools=tools)
        call = next(i for i in first.output if i.type == "custom_tool_call")
        asked += [i.model_dump(exclude_none=True) for i in first.output]
        asked.append({"type": "custom_tool_call_output", "call_id": call.call_id, "output": "done"})
        return call.input, self.ask(stream, model=model, input=asked, tools=tools).output_text

    def parsed(self, model, stream=False):
        body = {"model": model, "input": "Where?", "store": False, "text_format": place()}
        if not stream:
            return self.sdk.parse(**body).output_parsed.model_dump()
        with self.sdk.stream(**body) as events:
            for _ in events:
                pass
            return events.get_final_response().output_parsed.model_dump()

    models = embed = None  # as with chat

    def fail(self, model):
        self.ask(False, model=model, input="Hi")


class Messages(Chat):
    name = "anthropic (PyPI)"

    def __init__(self, base):
        import anthropic
        self.client = anthropic.Anthropic(base_url=base, api_key="unused", max_retries=0)
        self.sdk = self.client.messages
        self.tool = {"name": "weather", "input_schema": SCHEMA}

    def ask(self, stream, **body):
        if not stream:
            return self.sdk.create(max_tokens=4096, **body)
        with self.sdk.stream(max_tokens=4096, **body) as events:
            return events.get_final_message()

    @staticmethod
    def text(answer):
        return "".join(b.text for b in answer.content if b.type == "text")

    def hello(self, model, stream=False, system=None, image=None):
        content = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": {
            "type": "base64", "media_type": "image/png", "data": image}}] if image else "Hi"
        answer = self.ask(stream, model=model, messages=[{"role": "user", "content": content}],
                          **({"system": system} if system else {}))
        usage = answer.usage
        cached = usage.cache_read_input_tokens or 0
        return (self.text(answer), answer.stop_reason == "end_turn",
                (usage.input_tokens + cached, cached, usage.output_tokens))

    def tools(self, model, stream=False):
        messages = [{"role": "user", "content": QUESTION}]
        first = self.ask(stream, model=model, messages=messages, tools=[self.tool])
        made = [b for b in first.content if b.type == "tool_use"]
        messages += [{"role": "assistant", "content": [b.model_dump(exclude_none=True) for b in first.content]},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": b.id,
                                                   "content": weather(b.input)} for b in made]}]
        last = self.ask(stream, model=model, messages=messages, tools=[self.tool])
        return [(b.name, b.input) for b in made], self.text(last)

    counted = "anthropic"
    custom = embed = None

    def look(self, model):
        content = [{"type": "text", "text": "What is it?"}, {"type": "image", "source": {"type": "url", "url": PICTURE}}]
        return self.text(self.ask(False, model=model, messages=[{"role": "user", "content": content}]))

    def loop(self, model, stream=False):
        import anthropic
        cities = []

        @anthropic.beta_tool(name="weather", description="The weather of a city", input_schema=SCHEMA)
        def tell(city):
            cities.append(city)
            return weather({"city": city})
        runner = self.client.beta.messages.tool_runner(
            model=model, max_tokens=4096, stream=stream, tools=[tell], messages=[{"role": "user", "content": QUESTION}])
        last = None
        for turn in runner:
            last = turn.get_final_message() if stream else turn
        return cities, self.text(last)

    def parsed(self, model, stream=False):
        body = {"model": model, "max_tokens": 4096, "output_format": place(),
                "messages": [{"role": "user", "content": "Where?"}]}
        if not stream:
            return self.sdk.parse(**body).parsed_output.model_dump()
        with self.sdk.stream(**body) as events:
            return events.get_final_message().parsed_output.model_dump()

    def count(self, model):
        raw = self.sdk.with_raw_response.count_tokens(model=model, messages=[
            {"role": "user", "content": "How many tokens are there?"}])
        return raw.parse().input_tokens, "x-pointsman-estimated" in raw.headers

    def models(self):
        return [m.id for m in self.client.models.list(limit=2) if m.type == "model" and m.created_at and m.display_name]

    def think(self, model, stream=False):
        answer = self.ask(stream, model=model, messages=[{"role": "user", "content": "Hi"}],
                          thinking={"type": "enabled", "budget_tokens": 1024})
        return next((b.thinking for b in answer.content if b.type == "thinking"), None), self.text(answer)


class Gemini(Chat):
    name = "google-genai (PyPI)"

    def __init__(self, base):
        from google import genai
        self.client = genai.Client(api_key="unused", http_options={"base_url": base})  # closes when dropped
        self.sdk = self.client.models
        self.tool = {"function_declarations": [{"name": "weather", "parameters_json_schema": SCHEMA}]}

    def ask(self, stream, model, contents, **config):
        """The parts, the finish and the usage: what applications join from the chunks."""
        call = self.sdk.generate_content_stream if stream else self.sdk.generate_content
        answers = call(model=model, contents=contents, config=config)
        parts, finish, usage = [], None, None
        for answer in answers if stream else [answers]:
            candidate = answer.candidates[0] if answer.candidates else None
            parts += (candidate.content.parts if candidate and candidate.content else None) or []
            finish = candidate and candidate.finish_reason or finish
            usage = answer.usage_metadata or usage
        return parts, finish, usage

    @staticmethod
    def text(parts, thought=False):
        return "".join(p.text for p in parts if p.text and bool(p.thought) == thought)

    def hello(self, model, stream=False, system=None, image=None):
        contents = [{"role": "user", "parts": [{"text": "What is it?"}, {"inline_data": {
            "mime_type": "image/png", "data": base64.b64decode(image)}}]}] if image else "Hi"
        parts, finish, usage = self.ask(stream, model, contents, **({"system_instruction": system} if system else {}))
        return (self.text(parts), finish.name == "STOP",
                (usage.prompt_token_count, usage.cached_content_token_count,
                 usage.candidates_token_count + (usage.thoughts_token_count or 0)))

    def tools(self, model, stream=False):
        contents = [{"role": "user", "parts": [{"text": QUESTION}]}]
        off = {"automatic_function_calling": {"disable": True}}
        parts, _, _ = self.ask(stream, model, contents, tools=[self.tool], **off)
        made = [p.function_call for p in parts if p.function_call]
        contents += [{"role": "model", "parts": parts}, {"role": "user", "parts": [
            {"function_response": {"id": c.id, "name": c.name, "response": {"output": weather(c.args)}}}
            for c in made]}]
        last, _, _ = self.ask(stream, model, contents, tools=[self.tool], **off)
        return [(c.name, dict(c.args)) for c in made], self.text(last)

    counted = "gemini"
    custom = None

    def look(self, model):
        parts = [{"text": "What is it?"}, {"file_data": {"file_uri": PICTURE, "mime_type": "image/png"}}]
        return self.text(self.ask(False, model, [{"role": "user", "parts": parts}])[0])

    def loop(self, model, stream=False):
        cities = []

        def tell(city: str) -> str:
            """The weather of a city"""
            cities.append(city)
            return weather({"city": city})
        tell.__name__ = "weather"
        return cities, self.text(self.ask(stream, model, QUESTION, tools=[tell])[0])

    def parsed(self, model, stream=False):
        config = {"response_mime_type": "application/json", "response_schema": place()}
        if not stream:
            return self.sdk.generate_content(model=model, contents="Where?", config=config).parsed.model_dump()
        chunks = self.sdk.generate_content_stream(model=model, contents="Where?", config=config)
        return json.loads("".join(c.text or "" for c in chunks))

    def count(self, model):
        answer = self.sdk.count_tokens(model=model, contents="How many tokens are there?")
        said = answer.sdk_http_response
        return answer.total_tokens, "x-pointsman-estimated" in said.headers if said and said.headers else None

    def models(self):
        return [m.name.removeprefix("models/") for m in self.sdk.list(config={"page_size": 2}) if m.display_name]

    def embed(self, model, dimensions=None):
        config = {"output_dimensionality": dimensions} if dimensions else None
        batches = [["abc"], ["żółw"]] if "gemini-" in model else [["abc", "żółw"]]  # one of many parts for such names
        answers = [self.sdk.embed_content(model=model, contents=texts, config=config) for texts in batches]
        return [e.values for answer in answers for e in answer.embeddings]

    def think(self, model, stream=False):
        parts, _, _ = self.ask(stream, model, "Hi", thinking_config={"include_thoughts": True, "thinking_budget": 1024})
        return self.text(parts, True), self.text(parts)

    def fail(self, model):
        self.ask(False, model, "Hi")

    def status(self, error):
        return error.code


CLIENTS = {"chat": Chat, "responses": Responses, "anthropic": Messages, "gemini": Gemini}


def same(got, wanted, what):
    if got != wanted:
        raise AssertionError(f"{what}: got {got!r}, wanted {wanted!r}")


def greeted(answer):
    same(answer, (TEXT, True, (120, 32, 60)), "text, ended by itself, usage")


def called(answer):
    calls, text = answer
    same(calls, [("weather", {"city": "Paris"}), ("weather", {"city": "Rome"})], "calls")
    for city in ("Paris", "Rome"):
        if not re.search(f"The tool said .*{city}: .*21 degrees in {city}", text):
            raise AssertionError("the results did not arrive: " + text)


def refused(client, provider):
    for wanted in (429, 400):
        try:
            client.fail(f"{provider}-status-{wanted}")
        except Exception as error:  # the SDK's own kind, whichever that is
            same(client.status(error), wanted, "status")
            if f"the lab was asked for a {wanted}" not in str(error):
                raise AssertionError(f"the provider's message is lost: {error}") from error
        else:
            raise AssertionError(f"no error for {wanted}")


def counts(client, provider):
    tokens, estimated = client.count(provider + "-hello")
    own = provider == client.counted
    same(tokens if own else 3 < tokens < 60, 120 if own else True, f"tokens ({tokens})")
    if estimated is not None:
        same(estimated, not own, "said to be an estimate")


def lists(client, provider):
    same([n for n in client.models() if n.startswith(provider + "/")], [f"{provider}/{provider}-{m}" for m in MODELS],
         "names")


def embeds(client, provider):
    if provider in ("chat", "gemini"):
        same(client.embed(provider + "-embed"), VECTORS, "numbers")
        same(client.embed(provider + "-embed", dimensions=2), [v[:2] for v in VECTORS], "numbers")


def patched(answer):
    same(answer[0], PATCH, "input")
    if not re.search("The tool said patch: .*done", answer[1]):
        raise AssertionError("the result did not arrive: " + answer[1])


def looped(answer):
    same(answer[0], ["Paris", "Rome"], "what the SDK ran the tool for")
    for city in answer[0]:
        if f"21 degrees in {city}" not in answer[1]:
            raise AssertionError("the results did not arrive: " + answer[1])


CHECKS = {
    "whole": lambda c, p: greeted(c.hello(p + "-hello")),
    "stream": lambda c, p: greeted(c.hello(p + "-hello", stream=True)),
    "system": lambda c, p: same(c.hello(p + "-system", system="Be brief.")[0], "My orders: Be brief.", "text"),
    "image": lambda c, p: same(c.hello(p + "-hello", image=PIXEL)[0], "I see image/png of 70 bytes", "text"),
    "tools": lambda c, p: called(c.tools(p + "-tool")),
    "toolstream": lambda c, p: called(c.tools(p + "-tool", stream=True)),
    "think": lambda c, p: same(c.think(p + "-think"), (THOUGHT, TEXT), "thought, text"),
    "thinkstream": lambda c, p: same(c.think(p + "-think", stream=True), (THOUGHT, TEXT), "thought, text"),
    "look": lambda c, p: same(c.look(p + "-hello"), "I see " + PICTURE, "text"),
    "loop": lambda c, p: looped(c.loop(p + "-tool")),
    "loopstream": lambda c, p: looped(c.loop(p + "-tool", stream=True)),
    "custom": lambda c, p: patched(c.custom(p + "-patch")),
    "customstream": lambda c, p: patched(c.custom(p + "-patch", stream=True)),
    "parsed": lambda c, p: same(c.parsed(p + "-json"), {"city": "Rome"}, "parsed"),
    "parsedstream": lambda c, p: same(c.parsed(p + "-json", stream=True), {"city": "Rome"}, "parsed"),
    "count": counts,
    "models": lists,
    "embed": embeds,
    "errors": refused,
}
# Not every SDK has a word for these: None in its class.
OPTIONAL = ("loop", "custom", "count", "models", "embed")


def main():
    client = CLIENTS[sys.argv[1]](sys.argv[2])
    failed = 0
    for cell in sys.argv[3:]:
        provider, checks = cell.split("=")
        for what in checks.split(","):
            if what.removesuffix("stream") in OPTIONAL and not getattr(client, what.removesuffix("stream")):
                continue
            try:
                CHECKS[what](client, provider)
                print(f"ok - {client.name} × {provider}: {what}")
            except Exception as error:  # whatever it is, the check has failed
                failed += 1
                text = f"{type(error).__name__}: {error}"[:1500].replace("\n", "\n# ")
                print(f"not ok - {client.name} × {provider}: {what}\n# {text}")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
