// vercel_openai.mjs: Vercel's `ai` through @ai-sdk/openai, which speaks responses.
import { createOpenAI } from "@ai-sdk/openai";
import { opened } from "./vercel.mjs";

export function open(base) {
  const sdk = createOpenAI({ baseURL: base + "/v1", apiKey: "unused" });
  return opened("ai + @ai-sdk/openai", (id) => sdk(id), { openai: { store: false } });
}
