// vercel_google.mjs: Vercel's `ai` through @ai-sdk/google.
import { createGoogleGenerativeAI } from "@ai-sdk/google";
import { opened } from "./vercel.mjs";

export function open(base) {
  const sdk = createGoogleGenerativeAI({ baseURL: base + "/v1beta", apiKey: "unused" });
  return opened("ai + @ai-sdk/google", (id) => sdk(id),
    { google: { thinkingConfig: { includeThoughts: true, thinkingBudget: 1024 } } });
}
