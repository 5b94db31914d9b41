// vercel_anthropic.mjs: Vercel's `ai` through @ai-sdk/anthropic.
import { createAnthropic } from "@ai-sdk/anthropic";
import { opened } from "./vercel.mjs";

export function open(base) {
  const sdk = createAnthropic({ baseURL: base + "/v1", apiKey: "unused" });
  return opened("ai + @ai-sdk/anthropic", (id) => sdk(id),
    { anthropic: { thinking: { type: "enabled", budgetTokens: 1024 } } });
}
