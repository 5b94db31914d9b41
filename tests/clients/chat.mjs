// chat.mjs: the official OpenAI SDK, chat completions.
import OpenAI from "openai";

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
    async think(model, { stream }) {
      const { message } = (await ask({ model, messages: [{ role: "user", content: "Hi" }],
        reasoning_effort: "low" }, stream)).choices[0];
      return { thought: message.reasoning_content, text: message.content };
    },
  };
}
