// A server and a browser of one's own. Every request of the page is looked at: one to another origin fails the test.
//
// CLOCHE_BIN names the program, CLOCHE_SMOLLM2 a SmolLM2 as GGUF (default: what `make run` fetched), CHROMIUM the browser;
// without a real model a tiny one answers gibberish.
import {spawn, execFileSync} from "node:child_process";
import {createRequire} from "node:module";
import {createInterface} from "node:readline";
import {existsSync, mkdtempSync, readFileSync, rmSync} from "node:fs";
import {tmpdir} from "node:os";
import {dirname, join, resolve} from "node:path";
import {fileURLToPath} from "node:url";

export const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const require = createRequire(join(ROOT, "build/page/package.json"));
const {chromium} = require("playwright-core");
const AXE = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");
const FLAGS = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update",
  "--disable-sync", "--no-sandbox"];

export const folder = mkdtempSync(join(tmpdir(), "cloche-page-"));
const real = process.env.CLOCHE_SMOLLM2 ?? join(ROOT, "build/fetch/SmolLM2-135M-Instruct.Q4_1.gguf");
export const isReal = existsSync(real);

export function tinyModel() {
  const lines = execFileSync("python3", [join(ROOT, "tests/tiny_models.py"), folder], {encoding: "utf8"}).trim().split("\n");
  return lines.find((l) => l.includes("q8_0"));
}

export const BIN = resolve(ROOT, process.env.CLOCHE_BIN ?? "build/cloche");

// The key, which is told once.
export const addKey = (data) => JSON.parse(execFileSync(BIN, ["key", "add", "page", "--data", join(folder, data), "--json"], {encoding: "utf8"})).key;

export async function startServer(data = "data", model = isReal ? real : tinyModel()) {
  const p = spawn(BIN, ["serve", "--json", "--listen", "127.0.0.1:0", "--data", join(folder, data), "--parallel", "1", ...(model ? ["--model", model] : [])],
    {stdio: ["ignore", "pipe", "inherit"]});
  let url;
  for await (const line of createInterface({input: p.stdout})) {
    const e = JSON.parse(line);
    if (e.event === "listening") ({url} = e);
    if (e.event === "ready") break;
  }
  p.stdout.resume();
  return {url, stop: () => new Promise((done) => { p.on("exit", done); p.kill(); })};
}

export const startBrowser = () => chromium.launch({executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: FLAGS});

export const cleanUp = () => rmSync(folder, {recursive: true});

// A page in a fresh profile; `faults` gathers what must not happen.
export async function openPage(browser, url, {path = "/chat", ...options} = {}) {
  const context = await browser.newContext({viewport: {width: 1100, height: 800}, acceptDownloads: true, ...options});
  const faults = [];
  await context.route("**", (route) => {
    const to = new URL(route.request().url());
    if (to.origin === url || to.protocol === "blob:" || to.protocol === "data:") return route.continue();
    faults.push(`a request to ${to.origin}`);
    return route.abort();
  });
  const page = await context.newPage();
  page.on("pageerror", (e) => faults.push(`an error: ${e.message}`));
  page.on("console", (m) => { if (/Content Security Policy|TypeError/.test(m.text())) faults.push(m.text()); });
  page.on("dialog", (d) => d.accept());
  await page.goto(`${url}${path}`);
  if (path === "/chat") await page.waitForFunction(() => document.querySelector("#model").value !== "" || document.querySelector("#key").open);
  return {page, context, faults};
}

// Serious faults of accessibility, in words. axe is run by the debugger, which no policy of the page binds.
export async function axe(page) {
  await page.evaluate(AXE);
  const {violations} = await page.evaluate(() => window.axe.run(document, {resultTypes: ["violations"]}));
  return violations.filter((v) => ["serious", "critical"].includes(v.impact))
    .map((v) => `${v.id}: ${v.nodes.map((n) => n.target.join(" ")).join(", ")}`);
}

export const lastAnswer = (page) => page.locator(".message.assistant").last();

export async function ask(page, text) {
  await page.fill("#input", text);
  await page.press("#input", "Enter");
}

export async function finished(page) {
  await page.waitForFunction(() => document.querySelector("#stop").hidden, null, {timeout: 120000});
}

export async function setting(page, values) {
  await page.click("#settings-open");
  for (const [id, v] of Object.entries(values)) {
    if (typeof v === "boolean") await page.locator(`#set-${id}`).setChecked(v);
    else await page.fill(`#set-${id}`, v);
  }
  await page.click("#settings button.primary");
}
