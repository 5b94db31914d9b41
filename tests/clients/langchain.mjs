// langchain.mjs: LangChain's ChatOpenAI, chat completions.
import { HumanMessage, SystemMessage, ToolMessage } from "@langchain/core/messages";
import { ChatOpenAI } from "@langchain/openai";

const TOOL = { type: "function", function: { name: "weather", description: "The weather of a city",
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } } };

export function open(base) {
  async function ask(model, messages, stream, tools) {
    const chat = new ChatOpenAI({ model, apiKey: "unused", maxRetries: 0, useResponsesApi: false,
      configuration: { baseURL: base + "/v1" } });
    const bound = tools ? chat.bindTools(tools) : chat;
    if (!stream) return bound.invoke(messages);
    let whole = null;
    for await (const chunk of await bound.stream(messages)) whole = whole ? whole.concat(chunk) : chunk;
    return whole;
  }

  return {
    name: "@langchain/openai",
    status: (error) => error.status,
    fail: (model) => ask(model, [new HumanMessage("Hi")]),
    async hello(model, { stream, system, image }) {
      const content = !image ? "Hi" : [{ type: "text", text: "What is it?" },
        { type: "image_url", image_url: { url: "data:image/png;base64," + image } }];
      const messages = [new HumanMessage({ content })];
      if (system) messages.unshift(new SystemMessage(system));
      const answer = await ask(model, messages, stream);
      const usage = answer.usage_metadata;
      return { text: answer.content, stop: answer.response_metadata.finish_reason === "stop",
        usage: { input: usage.input_tokens, cached: usage.input_token_details?.cache_read,
          output: usage.output_tokens } };
    },
    async tools(model, { stream }) {
      const messages = [new HumanMessage("Weather in Paris and Rome?")];
      const first = await ask(model, messages, stream, [TOOL]);
      messages.push(first, ...first.tool_calls.map((c) => new ToolMessage({ tool_call_id: c.id,
        content: `21 degrees in ${c.args.city}` })));
      const last = await ask(model, messages, stream, [TOOL]);
      return { text: last.content,
        calls: first.tool_calls.map((c) => ({ name: c.name, arguments: c.args })) };
    },
  };
}
