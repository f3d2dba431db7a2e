// Before each spec file: addresses that are written out in a case lead to the server too, and the cases that skips.json names
// are skipped for the reason given there.
import {readFileSync} from "node:fs";
import {relative} from "node:path";
import {beforeEach} from "vitest";

const hub = process.env.CLOCHE_HUB;
const skips = JSON.parse(readFileSync("skips.json", "utf8"));
// Names from before there were namespaces, which the Hub redirects.
const old = {
  "/gpt2/": "/openai-community/gpt2/",
  "/roberta-base/": "/FacebookAI/roberta-base/",
  "/api/models/roberta-base/": "/api/models/FacebookAI/roberta-base/",
  "/api/datasets/xsum/": "/api/datasets/EdinburghNLP/xsum/",
};
const plain = globalThis.fetch;

globalThis.fetch = (input, init) => {
  const url = new URL(input instanceof Request ? input.url : input);
  if (url.origin !== "https://huggingface.co" && url.origin !== hub) return plain(input, init);
  let path = url.pathname;
  for (const [from, to] of Object.entries(old)) if (path.startsWith(from)) path = to + path.slice(from.length);
  const there = hub + path + url.search;
  return plain(input instanceof Request ? new Request(there, input) : there, init);
};

beforeEach((context) => {
  const names = [];
  for (let t = context.task; t?.name; t = t.suite) names.unshift(t.name);
  const file = relative("src", context.task.file.filepath);
  const why = skips[file]?.["*"] ?? skips[file]?.[names.filter((n) => !n.endsWith(".spec.ts")).join(" > ")];
  if (why) context.skip(why);
});
