// responses.mjs: the official OpenAI SDK, responses.
import OpenAI from "openai";
import { makeParseableTextFormat } from "openai/lib/parser";

const TOOL = { type: "function", name: "weather", description: "The weather of a city", strict: false,
  parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] } };

export function open(base) {
  const sdk = new OpenAI({ baseURL: base + "/v1", apiKey: "unused", maxRetries: 0 });

  async function ask(body, stream) {
    if (!stream) return sdk.responses.create({ store: false, ...body });
    return sdk.responses.stream({ store: false, ...body }).finalResponse();
  }

  return {
    name: "openai responses",
    status: (error) => error.status,
    fail: (model) => ask({ model, input: "Hi" }),
    async hello(model, { stream, system, image }) {
      const input = !image ? "Hi" : [{ role: "user", content: [{ type: "input_text", text: "What is it?" },
        { type: "input_image", detail: "auto", image_url: "data:image/png;base64," + image }] }];
      const answer = await ask({ model, input, ...(system ? { instructions: system } : {}) }, stream);
      const usage = answer.usage;
      return { text: answer.output_text, stop: answer.status === "completed",
        usage: { input: usage.input_tokens, cached: usage.input_tokens_details?.cached_tokens,
          output: usage.output_tokens } };
    },
    async tools(model, { stream }) {
      const input = [{ role: "user", content: "Weather in Paris and Rome?" }];
      const first = await ask({ model, input, tools: [TOOL] }, stream);
      const made = first.output.filter((item) => item.type === "function_call");
      const calls = made.map((c) => ({ name: c.name, arguments: JSON.parse(c.arguments) }));
      input.push(...first.output, ...made.map((c) => ({ type: "function_call_output", call_id: c.call_id,
        output: `21 degrees in ${JSON.parse(c.arguments).city}` })));
      const last = await ask({ model, input, tools: [TOOL] }, stream);
      return { calls, text: last.output_text };
    },
    async custom(model, { stream }) {
      const tools = [{ type: "custom", name: "patch", description: "Changes files" }];
      const input = [{ role: "user", content: "Change it." }];
      const first = await ask({ model, input, tools }, stream);
      const call = first.output.find((item) => item.type === "custom_tool_call");
      input.push(...first.output, { type: "custom_tool_call_output", call_id: call.call_id, output: "done" });
      return { input: call.input, text: (await ask({ model, input, tools }, stream)).output_text };
    },
    async parsed(model, { stream }) {
      const body = { model, input: "Where?", store: false, text: { format: makeParseableTextFormat({ type: "json_schema",
        name: "place", strict: true, schema: TOOL.parameters }, JSON.parse) } };
      const answer = stream ? await sdk.responses.stream(body).finalResponse() : await sdk.responses.parse(body);
      return answer.output_parsed;
    },
    async look(model, { url }) {
      const content = [{ type: "input_text", text: "What is it?" }, { type: "input_image", detail: "auto", image_url: url }];
      return (await ask({ model, input: [{ role: "user", content }] })).output_text;
    },
    async think(model, { stream }) {
      const answer = await ask({ model, input: "Hi", reasoning: { effort: "low", summary: "auto" } }, stream);
      const item = answer.output.find((i) => i.type === "reasoning");
      return { thought: item?.summary.map((s) => s.text).join(""), text: answer.output_text };
    },
  };
}
