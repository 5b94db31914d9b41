// chat.mjs: the official OpenAI SDK, chat completions.
import OpenAI from "openai";
import { makeParseableResponseFormat } from "openai/lib/parser";

const TOOL = { type: "function", function: { name: "weather", description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } };

export function open(base) {
  const sdk = new OpenAI({ baseURL: base + "/v1", apiKey: "unused", maxRetries: 0 });

  async function ask(body, stream) {
    if (!stream) return sdk.chat.completions.create(body);
    const helper = sdk.chat.completions.stream({ ...body, stream_options: { include_usage: true } });
    let thought = "";
    helper.on("chunk", (chunk) => { thought += chunk.choices[0]?.delta?.reasoning_content || ""; });
    const final = await helper.finalChatCompletion();
    if (thought) final.choices[0].message.reasoning_content = thought;
    return final;
  }

  return {
    name: "openai chat",
    status: (error) => error.status,
    fail: (model) => ask({ model, messages: [{ role: "user", content: "Hi" }] }),
    async hello(model, { stream, system, image }) {
      const content = !image ? "Hi" : [{ type: "text", text: "What is it?" },
        { type: "image_url", image_url: { url: "data:image/png;base64," + image } }];
      const messages = [{ role: "user", content }];
      if (system) messages.unshift({ role: "system", content: system });
      const answer = await ask({ model, messages }, stream);
      const usage = answer.usage;
      return { text: answer.choices[0].message.content, stop: answer.choices[0].finish_reason === "stop",
        usage: { input: usage.prompt_tokens, cached: usage.prompt_tokens_details?.cached_tokens,
          output: usage.completion_tokens } };
    },
    async tools(model, { stream }) {
      const messages = [{ role: "user", content: "Weather in Paris and Rome?" }];
      const first = await ask({ model, messages, tools: [TOOL] }, stream);
      const { message, finish_reason: finish } = first.choices[0];
      if (finish !== "tool_calls") throw new Error("finish_reason " + finish);
      const calls = message.tool_calls.map((c) => ({ name: c.function.name,
        arguments: JSON.parse(c.function.arguments) }));
      messages.push(message, ...message.tool_calls.map((c) => ({ role: "tool", tool_call_id: c.id,
        content: `21 degrees in ${JSON.parse(c.function.arguments).city}` })));
      const last = await ask({ model, messages, tools: [TOOL] }, stream);
      return { calls, text: last.choices[0].message.content };
    },
    async loop(model, { stream }) {
      const cities = [];
      const runner = sdk.chat.completions.runTools({ model, stream: Boolean(stream),
        messages: [{ role: "user", content: "Weather in Paris and Rome?" }],
        tools: [{ type: "function", function: { ...TOOL.function, parse: JSON.parse,
          function: ({ city }) => { cities.push(city); return `21 degrees in ${city}`; } } }] });
      return { text: await runner.finalContent(), cities };
    },
    async custom(model, { stream }) {
      const tools = [{ type: "custom", custom: { name: "patch", description: "Changes files" } }];
      const messages = [{ role: "user", content: "Change it." }];
      // The SDK's own stream helper knows functions alone: the chunks are put together as they come.
      const gather = async (body) => {
        const call = { type: "custom", custom: { name: "", input: "" } };
        let text = "";
        for await (const chunk of await sdk.chat.completions.create({ ...body, stream: true })) {
          const delta = chunk.choices[0]?.delta || {};
          text += delta.content || "";
          for (const c of delta.tool_calls || []) {
            call.id ||= c.id;
            call.custom.name ||= c.custom.name;
            call.custom.input += c.custom.input;
          }
        }
        return { role: "assistant", content: text, ...(call.id ? { tool_calls: [call] } : {}) };
      };
      const turn = async (body) => stream ? gather(body) : (await ask(body)).choices[0].message;
      const message = await turn({ model, messages, tools });
      const call = message.tool_calls[0];
      if (call.type !== "custom" || call.custom.name !== "patch") throw new Error(JSON.stringify(message));
      messages.push(message, { role: "tool", tool_call_id: call.id, content: "done" });
      return { input: call.custom.input, text: (await turn({ model, messages, tools })).content };
    },
    async parsed(model, { stream }) {
      const body = { model, messages: [{ role: "user", content: "Where?" }], response_format: makeParseableResponseFormat(
        { type: "json_schema", json_schema: { name: "place", strict: true, schema: TOOL.function.parameters } },
        JSON.parse) };
      const answer = stream ? await sdk.chat.completions.stream(body).finalChatCompletion()
        : await sdk.chat.completions.parse(body);
      return answer.choices[0].message.parsed;
    },
    async look(model, { url }) {
      const content = [{ type: "text", text: "What is it?" }, { type: "image_url", image_url: { url } }];
      return (await ask({ model, messages: [{ role: "user", content }] })).choices[0].message.content;
    },
    async models() {
      const names = [];
      for await (const m of sdk.models.list()) if (m.object === "model") names.push(m.id);
      return names;
    },
    async embed(model, { dimensions }) { // the SDK asks for base64 and unpacks it
      const { data } = await sdk.embeddings.create({ model, input: ["abc", "żółw"], ...(dimensions ? { dimensions } : {}) });
      return data.map((e) => e.embedding);
    },
    async think(model, { stream }) {
      const { message } = (await ask({ model, messages: [{ role: "user", content: "Hi" }],
        reasoning_effort: "low" }, stream)).choices[0];
      return { thought: message.reasoning_content, text: message.content };
    },
  };
}
