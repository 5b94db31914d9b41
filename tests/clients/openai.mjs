// openai.mjs: the official OpenAI SDK against a gateway: what an application does, seen from it.
// Arguments: base URL of the gateway. Prints TAP.
import OpenAI from "openai";

const base = process.argv[2];
const client = new OpenAI({ baseURL: base + "/v1", apiKey: "unused", maxRetries: 0 });
let count = 0;
let failed = 0;

async function test(name, run) {
  try {
    await run();
    console.log(`ok ${++count} - ${name}`);
  } catch (error) {
    failed++;
    console.log(`not ok ${++count} - ${name}`);
    console.log("# " + String(error && error.stack ? error.stack : error).split("\n").join("\n# "));
  }
}

function must(condition, what) {
  if (!condition) throw new Error(what);
}

const messages = [{ role: "user", content: "Say something." }];

await test("a whole chat completion, with our headers", async () => {
  const { data, response } = await client.chat.completions
    .create({ model: "lab/plain", messages })
    .withResponse();
  must(data.choices[0].message.content.length > 0, "no content");
  must(data.usage.prompt_tokens > 0, "no usage");
  must(response.headers.get("x-request-id"), "no x-request-id");
  must(response.headers.get("x-pointsman-target") === "lab/plain", "wrong target");
});

await test("a stream: every delta, in order, without the usage that was not asked for", async () => {
  const stream = await client.chat.completions.create({
    model: "lab/stream-20x5ms", messages, stream: true });
  let next = 0;
  for await (const chunk of stream) {
    const text = chunk.choices[0]?.delta?.content;
    if (text) must(text.startsWith(`w${next++} `), "out of order: " + text);
    must(!chunk.usage, "usage that nobody asked for");
  }
  must(next === 20, `${next} of 20 deltas`);
});

await test("a stream with the usage that was asked for", async () => {
  const stream = await client.chat.completions.create({
    model: "lab/stream-3x1ms", messages, stream: true, stream_options: { include_usage: true } });
  let usage = null;
  for await (const chunk of stream) usage = chunk.usage || usage;
  must(usage && usage.completion_tokens > 0, "no usage");
});

await test("the SDK's own stream helper accepts the stream", async () => {
  const runner = client.chat.completions.stream({ model: "lab/stream-5x1ms", messages });
  const final = await runner.finalChatCompletion();
  must(final.choices[0].message.content.includes("w4 "), "the message is not whole");
});

await test("images and tools pass", async () => {
  const answer = await client.chat.completions.create({
    model: "lab/plain",
    messages: [{ role: "user", content: [
      { type: "text", text: "What is this?" },
      { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0KGgo=" } }] }],
    tools: [{ type: "function", function: { name: "look", parameters: { type: "object",
      properties: { where: { type: "string" } } } } }],
  });
  must(answer.choices.length === 1, "no choice");
});

await test("embeddings", async () => {
  const answer = await client.embeddings.create({ model: "lab/embed", input: "hello" });
  must(answer.data[0].embedding.length > 0, "no vector");
});

await test("responses", async () => {
  const answer = await client.responses.create({ model: "lab/plain", input: "hello" });
  must(answer.output_text.length > 0, "no text");
});

await test("the model list", async () => {
  const list = await client.models.list();
  must(list.data.some((m) => m.id === "lab/plain"), "lab/plain is not listed");
});

await test("an abort ends the stream at once", async () => {
  const stream = await client.chat.completions.create({
    model: "lab/stream-1000x20ms", messages, stream: true });
  let seen = 0;
  for await (const chunk of stream) {
    if (chunk && ++seen === 3) break; // the SDK aborts the request
  }
  must(seen === 3, "too few");
});

await test("a timeout is the SDK's own error", async () => {
  try {
    await client.chat.completions.create({ model: "lab/wait-5000ms", messages }, { timeout: 300 });
  } catch (error) {
    must(error instanceof OpenAI.APIConnectionTimeoutError, "another error: " + error);
    return;
  }
  throw new Error("no error");
});

await test("errors keep status, code and type", async () => {
  for (const [model, kind] of [["lab/status-429", OpenAI.RateLimitError],
    ["lab/status-400", OpenAI.BadRequestError], ["nobody-knows-this", OpenAI.NotFoundError],
    ["lab/status-500", OpenAI.InternalServerError]]) {
    try {
      await client.chat.completions.create({ model, messages });
    } catch (error) {
      must(error instanceof kind, `${model}: ${error}`);
      continue;
    }
    throw new Error(model + ": no error");
  }
});

await test("the SDK's retries reach the gateway", async () => {
  const again = new OpenAI({ baseURL: base + "/v1", apiKey: "unused", maxRetries: 1 });
  try {
    await again.chat.completions.create({ model: "lab/status-503", messages });
  } catch (error) {
    must(error.status === 503, "status " + error.status);
    return;
  }
  throw new Error("no error");
});

await test("a stream that is cut in the middle is an error, never a clean end", async () => {
  try {
    const stream = await client.chat.completions.create({
      model: "lab/stream-10x1ms-cut", messages, stream: true });
    for await (const chunk of stream) void chunk;
  } catch (error) {
    return;
  }
  throw new Error("the SDK took a cut stream for a whole one");
});

console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
