// table.mjs: one client against providers of each dialect, cell by cell, through the gateway.
//
// A client is a module in this folder: it exports `name` and functions that do one thing each as an
// application would and tell the outcome in one form, whatever the SDK calls it:
//   hello(model, { stream, system, image })  -> { text, stop, usage: { input, cached, output } }
//   tools(model, { stream })                 -> { calls: [{ name, arguments }], text }
//   think(model, { stream })                 -> { thought, text }
//   loop(model, { stream })                  -> { cities, text }: the SDK's own helper that runs the tools itself
//   custom(model, { stream })                -> { input, text }: a tool that takes a text (OpenAI's SDK)
//   parsed(model, { stream })                -> what the SDK's own parser made of a structured answer
//   look(model, { url })                     -> the text: an image by its address
//   count(model)                             -> { tokens, estimated }: what the SDK asks to be counted
//   models()                                 -> the names of the SDK's own list, all pages of two
//   embed(model, { dimensions })             -> the numbers of "abc" and "żółw", in one batch
//   fail(model)                              throws the SDK's own error; status(error) -> number
//
// node table.mjs CLIENT GATEWAY-URL CELL... where a cell is PROVIDER=what,what. Prints TAP lines.
const [file, base, ...cells] = process.argv.slice(2);
const client = await import(new URL(file, import.meta.url)).then((m) => m.open(base));
const TEXT = "Hello from the lab: “whole” and true ✓.";
const THOUGHT = "The person wants a greeting.";
const PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9" +
  "awAAAABJRU5ErkJggg==";

const PICTURE = "https://pictures.test/a%20b.png?size=1";
const MODELS = ["hello", "system", "tool", "patch", "json", "think", "status-429", "status-400", "embed"];

function same(got, wanted, what) {
  if (JSON.stringify(got) !== JSON.stringify(wanted))
    throw new Error(`${what}: got ${JSON.stringify(got)}, wanted ${JSON.stringify(wanted)}`);
}

function greeted(answer) {
  same(answer.text, TEXT, "text");
  same(answer.stop, true, "ended by itself");
  same(answer.usage, { input: 120, cached: 32, output: 60 }, "usage");
}

function called(answer) {
  same(answer.calls, [{ name: "weather", arguments: { city: "Paris" } },
    { name: "weather", arguments: { city: "Rome" } }], "calls");
  for (const city of ["Paris", "Rome"])
    if (!new RegExp(`The tool said .*${city}: .*21 degrees in ${city}`).test(answer.text))
      throw new Error("the results did not arrive: " + answer.text);
}

function looped(answer) {
  same(answer.cities, ["Paris", "Rome"], "what the SDK ran the tool for");
  for (const city of answer.cities)
    if (!answer.text.includes(`21 degrees in ${city}`)) throw new Error("the results did not arrive: " + answer.text);
}

function patched(answer) {
  same(answer.input, "*** Begin\n+“one” \\ two\n", "input");
  if (!/The tool said patch: .*done/.test(answer.text)) throw new Error("the result did not arrive: " + answer.text);
}

const checks = {
  whole: ["a whole answer with its usage", async (p) => greeted(await client.hello(p + "-hello", {}))],
  stream: ["a stream that ends with the same message and usage", async (p) =>
    greeted(await client.hello(p + "-hello", { stream: true }))],
  system: ["a system message", async (p) =>
    same((await client.hello(p + "-system", { system: "Be brief." })).text, "My orders: Be brief.", "text")],
  image: ["an image", async (p) =>
    same((await client.hello(p + "-hello", { image: PIXEL })).text, "I see image/png of 70 bytes", "text")],
  tools: ["two calls at once, their results, the answer", async (p) =>
    called(await client.tools(p + "-tool", {}))],
  toolstream: ["streamed calls, their results, the answer", async (p) =>
    called(await client.tools(p + "-tool", { stream: true }))],
  loop: ["tools that the SDK runs itself", async (p) => looped(await client.loop(p + "-tool", {}))],
  loopstream: ["tools that the SDK runs itself, streamed", async (p) =>
    looped(await client.loop(p + "-tool", { stream: true }))],
  think: ["thinking, then the answer", async (p) =>
    same(await client.think(p + "-think", {}), { thought: THOUGHT, text: TEXT }, "answer")],
  thinkstream: ["streamed thinking, then the answer", async (p) =>
    same(await client.think(p + "-think", { stream: true }), { thought: THOUGHT, text: TEXT }, "answer")],
  custom: ["a custom tool: its text, the result, the answer", async (p) => patched(
    await client.custom(p + "-patch", {}))],
  customstream: ["a custom tool, streamed", async (p) => patched(
    await client.custom(p + "-patch", { stream: true }))],
  parsed: ["a structured answer, parsed by the SDK", async (p) =>
    same(await client.parsed(p + "-json", {}), { city: "Rome" }, "parsed")],
  parsedstream: ["a structured answer, streamed and parsed by the SDK", async (p) =>
    same(await client.parsed(p + "-json", { stream: true }), { city: "Rome" }, "parsed")],
  look: ["an image by its address", async (p) =>
    same(await client.look(p + "-hello", { url: PICTURE }), "I see " + PICTURE, "text")],
  count: ["a count of tokens", async (p) => {
    const { tokens, estimated } = await client.count(p + "-hello");
    const own = p === client.counted;
    same(own ? tokens : tokens > 3 && tokens < 60, own ? 120 : true, "tokens");
    if (estimated !== undefined) same(estimated, !own, "said to be an estimate");
  }],
  models: ["the list of models, page by page", async (p) => {
    const names = (await client.models()).filter((n) => n.startsWith(p + "/"));
    same(names, MODELS.map((m) => `${p}/${p}-${m}`), "names");
  }],
  embed: ["embeddings: a batch, and as many numbers as were asked for", async (p) => {
    if (p !== "chat" && p !== "gemini") return;
    same(await client.embed(p + "-embed", {}), [[3, 97, 99.25, 0.5, 0.5, 0.5, 0.5, 0.5],
      [4, 380, 119.25, 0.5, 0.5, 0.5, 0.5, 0.5]], "numbers");
    same(await client.embed(p + "-embed", { dimensions: 2 }), [[3, 97], [4, 380]], "numbers");
  }],
  errors: ["429 and 400 as the SDK's own errors", async (p) => {
    for (const wanted of [429, 400]) {
      let error = null;
      await client.fail(`${p}-status-${wanted}`).catch((e) => { error = e; });
      if (!error) throw new Error("no error for " + wanted);
      same(client.status(error), wanted, "status");
      if (!String(error.message + (error.responseBody || "")).includes(`the lab was asked for a ${wanted}`))
        throw new Error("the provider's message is lost: " + error.message);
    }
  }],
};

async function limited(run, provider) {
  let timer;
  const late = new Promise((_, no) => { timer = setTimeout(() => no(new Error("took over 20 s")), 20000); });
  try {
    await Promise.race([run(provider), late]);
  } finally {
    clearTimeout(timer);
  }
}

let failed = 0;
for (const cell of cells) {
  const [provider, list] = cell.split("=");
  for (const what of list.split(",")) {
    const part = ["loop", "think", "custom", "parsed", "look", "count", "models", "embed"].find((w) => what.startsWith(w));
    if ((part && !client[part]) || (what === "image" && client.blind)) continue;
    const [name, run] = checks[what];
    try {
      await limited(run, provider);
      console.log(`ok - ${client.name} × ${provider}: ${name}`);
    } catch (error) {
      failed++;
      console.log(`not ok - ${client.name} × ${provider}: ${name}`);
      console.log("# " + String(error?.stack || error).split("\n").slice(0, 6).join("\n# "));
    }
  }
}
process.exit(failed ? 1 : 0);
