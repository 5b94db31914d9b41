// refusals.mjs: what an application sees when its key may not: the SDK's own error class, what was hit, when it
// resets, and whether the SDK waits as it was told. Arguments: base URL of the gateway. Prints TAP.
import Anthropic from "@anthropic-ai/sdk";
import { GoogleGenAI } from "@google/genai";
import OpenAI from "openai";

const base = process.argv[2];
const key = (name) => `refusals-${name}-0123456789abcdef`;
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

const CLIENTS = {
  "openai, chat": (apiKey, maxRetries) => {
    const sdk = new OpenAI({ baseURL: base + "/v1", apiKey, maxRetries });
    return { ask: (model, stream, text = "Hi") => sdk.chat.completions.create({ model, stream, max_completion_tokens: 60,
      messages: [{ role: "user", content: text }] }), api: OpenAI.APIError, rate: OpenAI.RateLimitError,
      auth: OpenAI.AuthenticationError, said: (e) => [e.code, e.headers?.get("retry-after")] };
  },
  "openai, responses": (apiKey, maxRetries) => {
    const sdk = new OpenAI({ baseURL: base + "/v1", apiKey, maxRetries });
    return { ask: (model, stream, text = "Hi") => sdk.responses.create({ model, stream, max_output_tokens: 60, input: text }),
      api: OpenAI.APIError, rate: OpenAI.RateLimitError, auth: OpenAI.AuthenticationError,
      said: (e) => [e.code, e.headers?.get("retry-after")] };
  },
  "@anthropic-ai/sdk": (apiKey, maxRetries) => {
    const sdk = new Anthropic({ baseURL: base, apiKey, maxRetries });
    return { ask: (model, stream, text = "Hi") => sdk.messages.create({ model, stream, max_tokens: 60,
      messages: [{ role: "user", content: text }] }), api: Anthropic.APIError, rate: Anthropic.RateLimitError,
      auth: Anthropic.AuthenticationError, said: (e) => [e.error?.error?.type, e.headers?.get("retry-after")] };
  },
  "@google/genai": (apiKey, maxRetries) => {
    const sdk = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: base, apiVersion: "v1beta",
      ...(maxRetries ? { retryOptions: { attempts: maxRetries + 1 } } : {}) } });
    const detail = (e, type) => JSON.parse(e.message).error.details.find((d) => d["@type"].endsWith(type));
    return { ask: (model, stream, text = "Hi") => sdk.models[stream ? "generateContentStream" : "generateContent"]({ model,
      contents: text, config: { maxOutputTokens: 60 } }), google: true,
      said: (e) => [detail(e, "ErrorInfo")?.reason, detail(e, "RetryInfo")?.retryDelay] };
  },
};

async function whole(client, stream, text) {
  const answer = await client.ask(stream ? "lab/stream-3x1ms" : "lab/plain", stream, text);
  if (stream) for await (const event of answer) void event;
}

async function refused(client, stream, text, most = 1) {
  try {
    while (most--) await whole(client, stream, text);
  } catch (error) {
    return error;
  }
  throw new Error("no error");
}

function is(client, error, kind, status, words) {
  must(error.status === status, `status ${error.status}: ${error.message}`);
  must(client.google ? error.name === "ApiError" : error instanceof client[kind], `${error.name} is no ${kind}: ${error.message}`);
  for (const word of words) must(error.message.includes(word), `"${word}" is not in: ${error.message}`);
}

// The error event of a stream that is cut where the money ends.
async function cut(client) {
  try {
    const answer = await client.ask("lab/stream-200x1ms-b40", true);
    for await (const event of answer) void event;
  } catch (error) {
    return error;
  }
  throw new Error("the stream ends as if it were whole");
}

for (const [name, open] of Object.entries(CLIENTS)) {
  const short = name.replace(/\W+/g, "-");
  for (const stream of [false, true]) {
    const how = stream ? "a stream" : "whole";
    await test(`${name}: a daily budget that is used up is a 402 that says until when, ${how}`, async () => {
      const client = open(key("poor-" + short + (stream ? "-stream" : "")), 2);
      const error = await refused(client, stream, "Hi", 8);
      is(client, error, "api", 402, ["daily budget $0.0009: $0.00", " used or reserved, this request may cost", "it resets in"]);
      const [code, after] = client.said(error);
      must(parseFloat(after) > 60 && parseFloat(after) <= 86400, "retry after " + after);
      must(["budget_exceeded", "billing_error"].includes(code), "code " + code);
    });
    await test(`${name}: requests a minute are a rate limit that says when, ${how}`, async () => {
      const client = open(key("slow-" + short + (stream ? "-stream" : "")), 0);
      await whole(client, stream);
      const error = await refused(client, stream);
      is(client, error, "rate", 429, ["limit of 1 requests a minute: 1 used; try again in"]);
      const [code, after] = client.said(error);
      must(["rate_limit_exceeded", "rate_limit_error"].includes(code), "code " + code);
      must(parseFloat(after) > 1 && parseFloat(after) <= 61, "retry after " + after);
    });
  }
  await test(`${name}: what waiting can't help is not tried again`, async () => {
    const client = open(key("few"), 2);
    const from = Date.now();
    const error = await refused(client, false, "some words ".repeat(60));
    is(client, error, "rate", 429, ["tokens a minute", "this request alone asks for"]);
    must(client.google || Date.now() - from < 400, `tried again for ${Date.now() - from} ms`);
  });
  await test(`${name}: a place that is taken is waited for as long as was told, then the answer comes`, async () => {
    const client = open(key("one-" + short), 2);
    if (client.google) return; // this SDK has no way to be told how long
    const running = client.ask("lab/wait-700ms");
    await new Promise((done) => setTimeout(done, 200));
    const from = Date.now();
    await client.ask("lab/plain");
    await running;
    must(Date.now() - from >= 900 && Date.now() - from < 3000, `it took ${Date.now() - from} ms`);
  });
  await test(`${name}: a stream is cut where the money ends, and says so`, async () => {
    const client = open(key("cut-" + short), 2);
    const error = await cut(client);
    for (const word of ["total budget $0.0016", "used or reserved, this answer needs another"])
      must(error.message.includes(word), `"${word}" is not in: ${error.message}`);
    must(client.google ? JSON.stringify(error.message).includes("402") : error instanceof client.api, error.name);
    must(/budget_exceeded|billing_error/.test(error.message + error.code), `${error.code} ${error.message}`);
  });
  await test(`${name}: a paused key is the SDK's authentication error`, async () => {
    const client = open(key("paused"), 2);
    is(client, await refused(client, false), "auth", 401, ["key", "paused"]);
  });
}
console.log(`1..${count}`);
process.exit(failed ? 1 : 0);
