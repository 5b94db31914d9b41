// gemini.mjs: Google's SDK, generateContent.
import { GoogleGenAI } from "@google/genai";

const TOOL = { functionDeclarations: [{ name: "weather", description: "The weather of a city",
  parameters: { type: "OBJECT", properties: { city: { type: "STRING" } }, required: ["city"] } }] };

export function open(base) {
  const sdk = new GoogleGenAI({ apiKey: "unused", httpOptions: { baseUrl: base, apiVersion: "v1beta" } });

  // The SDK has no helper that joins a stream: what applications do with its chunks is done here.
  async function ask(body, stream) {
    const parts = [];
    let finish, usage;
    const take = (answer) => {
      parts.push(...(answer.candidates?.[0]?.content?.parts || []));
      finish = answer.candidates?.[0]?.finishReason || finish;
      usage = answer.usageMetadata || usage;
    };
    if (stream) for await (const chunk of await sdk.models.generateContentStream(body)) take(chunk);
    else take(await sdk.models.generateContent(body));
    const join = (thought) => parts.filter((p) => p.text && Boolean(p.thought) === thought)
      .map((p) => p.text).join("");
    return { parts, finish, usage, text: join(false), thought: join(true) };
  }

  return {
    name: "@google/genai",
    status: (error) => error.status,
    fail: (model) => ask({ model, contents: "Hi" }),
    async hello(model, { stream, system, image }) {
      const contents = !image ? "Hi" : [{ role: "user", parts: [{ text: "What is it?" },
        { inlineData: { mimeType: "image/png", data: image } }] }];
      const { text, finish, usage } = await ask({ model, contents,
        config: system ? { systemInstruction: system } : {} }, stream);
      return { text, stop: finish === "STOP", usage: { input: usage.promptTokenCount,
        cached: usage.cachedContentTokenCount,
        output: usage.candidatesTokenCount + (usage.thoughtsTokenCount || 0) } };
    },
    async tools(model, { stream }) {
      const contents = [{ role: "user", parts: [{ text: "Weather in Paris and Rome?" }] }];
      const config = { tools: [TOOL] };
      const first = await ask({ model, contents, config }, stream);
      const made = first.parts.filter((p) => p.functionCall).map((p) => p.functionCall);
      const calls = made.map((c) => ({ name: c.name, arguments: c.args }));
      contents.push({ role: "model", parts: first.parts }, { role: "user", parts: made.map((c) => ({
        functionResponse: { ...(c.id ? { id: c.id } : {}), name: c.name,
          response: { output: `21 degrees in ${c.args.city}` } } })) });
      return { calls, text: (await ask({ model, contents, config }, stream)).text };
    },
    async loop(model, { stream }) {
      const cities = [];
      const callTool = async (calls) => calls.map(({ id, name, args: { city } }) => {
        cities.push(city);
        return { functionResponse: { ...(id ? { id } : {}), name, response: { output: `21 degrees in ${city}` } } };
      });
      const { text } = await ask({ model, contents: "Weather in Paris and Rome?",
        config: { tools: [{ tool: async () => TOOL, callTool }] } }, stream);
      return { text, cities };
    },
    async look(model, { url }) {
      const parts = [{ text: "What is it?" }, { fileData: { fileUri: url, mimeType: "image/png" } }];
      return (await ask({ model, contents: [{ role: "user", parts }] })).text;
    },
    counted: "gemini",
    async count(model) {
      const answer = await sdk.models.countTokens({ model, contents: "How many tokens are there?" });
      const said = answer.sdkHttpResponse?.headers;
      return { tokens: answer.totalTokens, ...(said ? { estimated: "x-pointsman-estimated" in said } : {}) };
    },
    async models() {
      const names = [];
      for await (const m of await sdk.models.list({ config: { pageSize: 2 } }))
        if (m.displayName) names.push(m.name.replace("models/", ""));
      return names;
    },
    async embed(model, { dimensions }) {
      const { embeddings } = await sdk.models.embedContent({ model, contents: ["abc", "żółw"],
        config: dimensions ? { outputDimensionality: dimensions } : {} });
      return embeddings.map((e) => e.values);
    },
    async think(model, { stream }) {
      const { thought, text } = await ask({ model, contents: "Hi",
        config: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } }, stream);
      return { thought, text };
    },
  };
}
