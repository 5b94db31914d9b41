// vercel_compatible.mjs: Vercel's `ai` through @ai-sdk/openai-compatible, which speaks chat.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { opened } from "./vercel.mjs";

export function open(base) {
  const sdk = createOpenAICompatible({ name: "lab", baseURL: base + "/v1", apiKey: "unused",
    includeUsage: true });
  return opened("ai + @ai-sdk/openai-compatible", (id) => sdk(id));
}
