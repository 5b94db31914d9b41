// anthropic.mjs: the official Anthropic SDK, messages.
import Anthropic from "@anthropic-ai/sdk";

const TOOL = { name: "weather", description: "The weather of a city",
  input_schema: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } };

export function open(base) {
  const sdk = new Anthropic({ baseURL: base, apiKey: "unused", maxRetries: 0 });

  async function ask(body, stream) {
    const whole = { max_tokens: 4096, ...body };
    return stream ? sdk.messages.stream(whole).finalMessage() : sdk.messages.create(whole);
  }

  const textOf = (answer) => answer.content.filter((b) => b.type === "text").map((b) => b.text).join("");

  return {
    name: "@anthropic-ai/sdk",
    status: (error) => error.status,
    fail: (model) => ask({ model, messages: [{ role: "user", content: "Hi" }] }),
    async hello(model, { stream, system, image }) {
      const content = !image ? "Hi" : [{ type: "text", text: "What is it?" },
        { type: "image", source: { type: "base64", media_type: "image/png", data: image } }];
      const answer = await ask({ model, messages: [{ role: "user", content }],
        ...(system ? { system } : {}) }, stream);
      const usage = answer.usage;
      const cached = usage.cache_read_input_tokens || 0;
      return { text: textOf(answer), stop: answer.stop_reason === "end_turn",
        usage: { input: usage.input_tokens + cached, cached, output: usage.output_tokens } };
    },
    async tools(model, { stream }) {
      const messages = [{ role: "user", content: "Weather in Paris and Rome?" }];
      const first = await ask({ model, messages, tools: [TOOL] }, stream);
      if (first.stop_reason !== "tool_use") throw new Error("stop_reason " + first.stop_reason);
      const made = first.content.filter((b) => b.type === "tool_use");
      const calls = made.map((c) => ({ name: c.name, arguments: c.input }));
      messages.push({ role: "assistant", content: first.content }, { role: "user",
        content: made.map((c) => ({ type: "tool_result", tool_use_id: c.id,
          content: `21 degrees in ${c.input.city}` })) });
      const last = await ask({ model, messages, tools: [TOOL] }, stream);
      return { calls, text: textOf(last) };
    },
    async loop(model, { stream }) {
      const cities = [];
      const run = ({ city }) => { cities.push(city); return `21 degrees in ${city}`; };
      const runner = sdk.beta.messages.toolRunner({ model, max_tokens: 4096, stream: Boolean(stream),
        messages: [{ role: "user", content: "Weather in Paris and Rome?" }],
        tools: [{ ...TOOL, run, parse: (input) => input }] });
      return { text: textOf(await runner.runUntilDone()), cities };
    },
    async look(model, { url }) {
      const content = [{ type: "text", text: "What is it?" }, { type: "image", source: { type: "url", url } }];
      return textOf(await ask({ model, messages: [{ role: "user", content }] }));
    },
    counted: "anthropic",
    async count(model) {
      const { data, response } = await sdk.messages.countTokens({ model, messages: [{ role: "user", content:
        "How many tokens are there?" }] }).withResponse();
      return { tokens: data.input_tokens, estimated: response.headers.has("x-pointsman-estimated") };
    },
    async models() {
      const names = [];
      for await (const m of sdk.models.list({ limit: 2 }))
        if (m.type === "model" && m.display_name && m.created_at) names.push(m.id);
      return names;
    },
    async think(model, { stream }) {
      const answer = await ask({ model, messages: [{ role: "user", content: "Hi" }],
        thinking: { type: "enabled", budget_tokens: 1024 } }, stream);
      return { thought: answer.content.find((b) => b.type === "thinking")?.thinking, text: textOf(answer) };
    },
  };
}
