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


def weather(arguments):
    return f"21 degrees in {arguments['city']}"


class Chat:
    name = "openai (PyPI) chat"

    def __init__(self, base):
        import openai
        self.sdk = openai.OpenAI(base_url=base + "/v1", api_key="unused", max_retries=0).chat.completions
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

    def fail(self, model):
        self.ask(False, model=model, input="Hi")


class Messages(Chat):
    name = "anthropic (PyPI)"

    def __init__(self, base):
        import anthropic
        self.sdk = anthropic.Anthropic(base_url=base, api_key="unused", max_retries=0).messages
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


CHECKS = {
    "whole": lambda c, p: greeted(c.hello(p + "-hello")),
    "stream": lambda c, p: greeted(c.hello(p + "-hello", stream=True)),
    "system": lambda c, p: same(c.hello(p + "-system", system="Be brief.")[0], "My orders: Be brief.", "text"),
    "image": lambda c, p: same(c.hello(p + "-hello", image=PIXEL)[0], "I see image/png of 70 bytes", "text"),
    "tools": lambda c, p: called(c.tools(p + "-tool")),
    "toolstream": lambda c, p: called(c.tools(p + "-tool", stream=True)),
    "think": lambda c, p: same(c.think(p + "-think"), (THOUGHT, TEXT), "thought, text"),
    "thinkstream": lambda c, p: same(c.think(p + "-think", stream=True), (THOUGHT, TEXT), "thought, text"),
    "errors": refused,
}


def main():
    client = CLIENTS[sys.argv[1]](sys.argv[2])
    failed = 0
    for cell in sys.argv[3:]:
        provider, checks = cell.split("=")
        for what in [w for w in checks.split(",") if w in CHECKS]:
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
