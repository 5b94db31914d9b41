// vercel.mjs: Vercel's `ai` with one of its providers: generateText and streamText with tools that run.
import { generateText, jsonSchema, stepCountIs, streamText, tool } from "ai";

globalThis.AI_SDK_LOG_WARNINGS = false; // its advice about unknown model names

export function opened(name, model, options = {}) {
  async function ask(body, stream) {
    const whole = { maxRetries: 0, providerOptions: options, ...body };
    if (!stream) return generateText(whole);
    let failure = null;
    const answer = streamText({ ...whole, onError: ({ error }) => { failure = error; } });
    for await (const part of answer.fullStream) if (part.type === "error") throw part.error;
    if (failure) throw failure;
    const [text, reasoningText, finishReason, totalUsage, steps] = await Promise.all([answer.text,
      answer.reasoningText, answer.finishReason, answer.totalUsage, answer.steps]);
    return { text, reasoningText, finishReason, totalUsage, steps };
  }

  return {
    name,
    status: (error) => error.statusCode,
    fail: (id) => ask({ model: model(id), prompt: "Hi" }),
    async hello(id, { stream, system, image }) {
      const content = !image ? "Hi" : [{ type: "text", text: "What is it?" },
        { type: "image", image: "data:image/png;base64," + image }];
      const answer = await ask({ model: model(id), messages: [{ role: "user", content }],
        ...(system ? { system } : {}) }, stream);
      const usage = answer.totalUsage;
      return { text: answer.text, stop: answer.finishReason === "stop", usage: { input: usage.inputTokens,
        cached: usage.inputTokenDetails?.cacheReadTokens ?? usage.cachedInputTokens,
        output: usage.outputTokens } };
    },
    async tools(id, { stream }) {
      const weather = tool({ description: "The weather of a city",
        inputSchema: jsonSchema({ type: "object", properties: { city: { type: "string" } },
          required: ["city"] }),
        execute: async ({ city }) => `21 degrees in ${city}` });
      const answer = await ask({ model: model(id), prompt: "Weather in Paris and Rome?",
        tools: { weather }, stopWhen: stepCountIs(3) }, stream);
      const calls = answer.steps[0].toolCalls.map((c) => ({ name: c.toolName, arguments: c.input }));
      return { calls, text: answer.text };
    },
    async think(id, { stream }) {
      const answer = await ask({ model: model(id), prompt: "Hi" }, stream);
      return { thought: answer.reasoningText, text: answer.text };
    },
  };
}
