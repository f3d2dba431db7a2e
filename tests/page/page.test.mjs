// The page in a real browser, with a real server behind it.
import {test, before, after, beforeEach, afterEach} from "node:test";
import assert from "node:assert/strict";
import {mkdirSync, readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";
import {ROOT, isReal, startServer, startBrowser, openPage, addKey, tinyModel, cleanUp, axe, ask, finished, setting,
  lastAnswer, folder} from "./harness.mjs";

const IMAGES = process.env.PAGE_IMAGES; // a folder: screenshots are written there
let server, browser, page, context, faults;

before(async () => {
  server = await startServer();
  browser = await startBrowser();
});
after(async () => {
  await browser.close();
  assert.equal(await server.stop(), 0);
  cleanUp();
});

async function fresh(options) {
  if (context) await context.close();
  ({page, context, faults} = await openPage(browser, server.url, options));
}
beforeEach(() => fresh());
afterEach(() => assert.deepEqual(faults, []));

const bodyOf = (answer) => answer.locator(".body").innerText();

async function picture(name) {
  if (!IMAGES) return;
  mkdirSync(IMAGES, {recursive: true});
  await page.screenshot({path: join(IMAGES, name)});
}

// Somebody else's answer, which takes the only place until it is let go.
async function occupy() {
  const control = new AbortController();
  const {data} = await (await fetch(`${server.url}/v1/models`)).json();
  const reply = await fetch(`${server.url}/v1/chat/completions`, {method: "POST", signal: control.signal, body: JSON.stringify({
    model: data[0].id, stream: true, ignore_eos: true, messages: [{role: "user", content: "Go on for ever."}]})});
  await reply.body.getReader().read();
  return () => control.abort();
}

// --- the files ------------------------------------------------------------------------------------------------------

test("the page comes with its headers, and is not sent twice", async () => {
  const r = await fetch(`${server.url}/chat`);
  assert.equal(r.headers.get("content-security-policy"), "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; " +
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'");
  assert.equal(r.headers.get("x-content-type-options"), "nosniff");
  assert.equal((await fetch(`${server.url}/ui/app.js`, {headers: {"If-None-Match": r.headers.get("etag")}})).status, 200);
  const again = await fetch(`${server.url}/chat`, {headers: {"If-None-Match": `"x", ${r.headers.get("etag")}`}});
  assert.equal(again.status, 304);
  assert.equal((await fetch(`${server.url}/ui/none.js`)).status, 404);
  assert.equal((await fetch(`${server.url}/ui/..%2fMakefile`)).status, 404);
});

test("a browser that comes to / while the hub has nothing is sent to the chat, a program is told what Ollama's clients look for", async () => {
  await page.goto(server.url);
  assert.equal(page.url(), `${server.url}/chat`);
  await page.goto(`${server.url}/ui/`);
  assert.equal(page.url(), `${server.url}/chat`, "its address before");
  assert.equal(await (await fetch(server.url)).text(), "Ollama is running");
});

// --- an answer ------------------------------------------------------------------------------------------------------

test("an answer streams, tells its speed, and its receipt replays", async () => {
  await setting(page, {temperature: "0", max_tokens: "40"});
  await ask(page, "Name three flowers.");
  await page.waitForSelector(".message.assistant[aria-busy]");
  const seen = new Set();
  while (await page.locator("#stop").isVisible()) seen.add(await bodyOf(lastAnswer(page)).catch(() => ""));
  assert.ok(!isReal || seen.size > 2, `it came in ${seen.size} pieces`); // the tiny model is too quick to be seen
  const facts = await lastAnswer(page).locator(".facts").innerText();
  assert.match(facts, /^\d+ tokens · \d+\.\d tokens\/s · first after \d+\.\d\d s/);
  await lastAnswer(page).locator(".receipt summary").click();
  await lastAnswer(page).getByRole("button", {name: "Replay"}).click();
  await lastAnswer(page).locator(".verdict.good").waitFor();
  assert.match(await lastAnswer(page).locator(".verdict").innerText(), /^Identical: all \d+ tokens/);
  assert.deepEqual(await axe(page), []);
  assert.ok((await page.locator("#live").innerText()).trim().length > 0, "it was read out");
});

test("a receipt that was tampered with is found out, and where", async () => {
  const {data} = await (await fetch(`${server.url}/v1/models`)).json();
  const body = {model: data[0].id, messages: [{role: "user", content: "Hello"}], max_tokens: 8, ignore_eos: true, seed: 5, x_receipt: true};
  const {choices: [{x_receipt: receipt}]} = await (await fetch(`${server.url}/v1/chat/completions`, {method: "POST", body: JSON.stringify(body)})).json();
  const replay = async (text) => {
    const r = await fetch(`${server.url}/v1/receipts/replay`, {method: "POST", body: text});
    return {status: r.status, ...await r.json()};
  };
  const changed = (change) => { const r = JSON.parse(receipt.text); change(r); return `${JSON.stringify(r)}\n`; };
  assert.equal(await (await fetch(`${server.url}/v1/receipts/${receipt.id}`)).text(), receipt.text);
  assert.equal((await fetch(`${server.url}/v1/receipts/${receipt.id.slice(0, -1)}`)).status, 404);
  assert.equal((await fetch(`${server.url}/v1/receipts/r_${"0".repeat(64)}`)).status, 404);
  const same = await replay(receipt.text);
  assert.deepEqual([same.same, same.checked, same.tokens, same.same_program], [true, 8, 8, true]);
  const token = await replay(changed((r) => { r.output.tokens[3] ^= 1; }));
  assert.deepEqual([token.same, token.what, token.at, token.stated.id ^ 1], [false, "token", 3, token.found.id]);
  const flip = (hex, at) => hex.slice(0, at) + (hex[at] === "0" ? "1" : "0") + hex.slice(at + 1);
  const link = await replay(changed((r) => { r.chain.links = flip(r.chain.links, 5 * 16); }));
  assert.deepEqual([link.same, link.what, link.at], [false, "logits", 5]);
  const seed = await replay(changed((r) => { r.sampler.temp = "0x0p+0"; r.seed = "9"; }));
  assert.deepEqual([seed.same, seed.what], [false, "token"]);
  const prompt = await replay(changed((r) => { r.prompt.tokens[0] ^= 1; }));
  assert.equal(prompt.status, 400); // it does not fit its own digest
  const model = await replay(changed((r) => { r.model = "0".repeat(64); }));
  assert.equal(model.status, 404);
  assert.equal((await replay(receipt.text.slice(0, -2))).status, 400);
  assert.equal((await replay(changed((r) => { r.prompt.tokens = null; }))).status, 400);
  const held = await (await fetch(`${server.url}/v1/chat/completions`, {method: "POST",
    body: JSON.stringify({...body, response_format: {type: "json_object"}})})).json();
  const text = held.choices[0].x_receipt.text;
  const again = await replay(text);
  assert.deepEqual([JSON.parse(text).grammar.kind, again.same], ["json", true]);
  assert.equal((await replay(text.replace('"kind": "json"', '"kind": "tools"'))).status, 400);
});

test("an answer is stopped by Esc, and made again", async (t) => {
  const letGo = await occupy();
  t.after(letGo);
  await ask(page, "Write a long story about glass.");
  await page.getByText("Number 1 in line").waitFor();
  await page.keyboard.press("Escape");
  await finished(page);
  assert.match(await lastAnswer(page).locator(".facts").innerText(), /stopped/);
  letGo();
  await setting(page, {max_tokens: "12"});
  await lastAnswer(page).getByRole("button", {name: "Regenerate"}).click();
  await finished(page);
  assert.equal(await page.locator(".message").count(), 2);
  assert.ok((await bodyOf(lastAnswer(page))).length > 0);
});

test("an answer is stopped in its middle, and what came stays", {skip: !isReal && "the tiny model is too quick"}, async () => {
  await setting(page, {temperature: "0"});
  await ask(page, "Write a very long story about a garden, with many chapters.");
  await page.waitForFunction(() => document.querySelector(".message.assistant .body").innerText.length > 60);
  await page.click("#stop");
  await finished(page);
  const text = await bodyOf(lastAnswer(page));
  assert.ok(text.length > 60);
  await page.reload();
  await page.locator("#list .open").first().click();
  assert.equal(await bodyOf(lastAnswer(page)), text);
});

test("a past message is edited, and the talk goes on from there", async () => {
  await setting(page, {max_tokens: "8"});
  await ask(page, "First");
  await finished(page);
  await ask(page, "Second");
  await finished(page);
  assert.equal(await page.locator(".message").count(), 4);
  await page.locator(".message.user").first().getByRole("button", {name: "Edit"}).click();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator(".message").count(), 4);
  await page.locator(".message.user").first().getByRole("button", {name: "Edit"}).click();
  await page.locator(".edit textarea").fill("Changed");
  await page.keyboard.press("Enter");
  await finished(page);
  assert.equal(await page.locator(".message").count(), 2);
  assert.equal(await page.locator(".message.user .body").innerText(), "Changed");
});

test("settings are sent and kept, wrong ones are marked", async () => {
  await setting(page, {system: "Be brief.", temperature: "0.5", top_p: "0.9", top_k: "40", min_p: "0.05", seed: "7", max_tokens: "5", logprobs: true});
  const request = page.waitForRequest((r) => r.url().endsWith("/chat/completions"));
  await ask(page, "Hello");
  const body = (await request).postDataJSON();
  assert.deepEqual(body.messages, [{role: "system", content: "Be brief."}, {role: "user", content: "Hello"}]);
  const {temperature, top_p, top_k, min_p, seed, max_tokens, logprobs} = body;
  assert.deepEqual({temperature, top_p, top_k, min_p, seed, max_tokens, logprobs},
    {temperature: 0.5, top_p: 0.9, top_k: 40, min_p: 0.05, seed: 7, max_tokens: 5, logprobs: true});
  await finished(page);
  await page.reload();
  await page.click("#settings-open");
  assert.equal(await page.inputValue("#set-top_k"), "40");
  await page.fill("#set-temperature", "9");
  assert.equal(await page.getAttribute("#set-temperature", "aria-invalid"), "true");
  assert.deepEqual(await axe(page), []);
});

test("probabilities of tokens show under the pointer and by arrow keys", async () => {
  await setting(page, {max_tokens: "10", logprobs: true, temperature: "0"});
  await ask(page, "Hello");
  await finished(page);
  await lastAnswer(page).getByRole("button", {name: "Probabilities"}).click();
  const tokens = page.locator(".token");
  assert.ok(await tokens.count() > 1);
  await tokens.first().hover();
  assert.match(await page.locator("#tip").innerText(), / %/);
  assert.equal(await page.locator("#tip .row").count(), 5);
  await tokens.first().focus();
  await page.keyboard.press("ArrowRight");
  assert.equal(await tokens.nth(1).evaluate((e) => e === document.activeElement), true);
  assert.deepEqual(await axe(page), []);
});

// --- conversations --------------------------------------------------------------------------------------------------

test("conversations are kept, exported, deleted and imported", async () => {
  await setting(page, {max_tokens: "6"});
  await ask(page, "About bells");
  await finished(page);
  await page.click("#new");
  await ask(page, "About glass");
  await finished(page);
  assert.deepEqual(await page.locator("#list .open").allInnerTexts(), ["About glass", "About bells"]);
  const [file] = await Promise.all([page.waitForEvent("download"), page.click("#export")]);
  const path = join(folder, "export.json");
  await file.saveAs(path);
  const kept = JSON.parse(readFileSync(path, "utf8"));
  assert.equal(kept.conversations.length, 2);
  assert.match(kept.conversations[0].messages[1].receipt.text, /^{\n {2}"receipt": "rcp1"/);
  for (const left of [1, 0]) {
    await page.locator("#list .remove").first().click();
    await page.waitForFunction((n) => document.querySelectorAll("#list .open").length === n, left);
  }
  await page.setInputFiles("#import-file", path);
  await page.waitForFunction(() => document.querySelectorAll("#list .open").length === 2);
  // A text that is not the receipt's is found out.
  kept.conversations[0].messages[1].content = "What the model never said.";
  writeFileSync(path, JSON.stringify(kept));
  await page.setInputFiles("#import-file", path);
  await page.waitForFunction(() => document.querySelectorAll("#list .open").length === 4);
  let caught = 0;
  for (const row of await page.locator("#list .open").all()) {
    await row.click();
    await lastAnswer(page).locator(".receipt summary").click();
    await lastAnswer(page).getByRole("button", {name: "Replay"}).click();
    await page.waitForFunction(() => /\.$/.test(document.querySelector(".verdict").innerText) || /Identical/.test(document.querySelector(".verdict").innerText));
    caught += /another text/.test(await page.locator(".verdict").innerText());
  }
  assert.equal(caught, 1);
  writeFileSync(path, "{\"format\": \"other\"}");
  await page.setInputFiles("#import-file", path);
  await page.getByText(/^Not imported: not a file of conversations/).waitFor();
});

const HOSTILE = ["<img src=x onerror=alert(1)><script>alert(2)</script>", "[a](javascript:alert(3)) [b](https://example.org/x) ![i](https://example.org/i.png)",
  "# Head", "- one\n- two\n  - inner `code`", "1. first\n2. second", "> quoted **bold** and *slanted* ~~gone~~ snake_case_name",
  "| a | b |\n|---|---|\n| 1 | 2 |", "```c\nint main(void) { return 0 < 1; }\n```", "*".repeat(20000), "[".repeat(20000), "`".repeat(9999) + " `x", "> ".repeat(3000)].join("\n\n");

test("what a model writes becomes text and a few elements, never markup, in time", async () => {
  const path = join(folder, "hostile.json");
  writeFileSync(path, JSON.stringify({format: "cloche-conversations-1", conversations: [{title: "H", messages: [
    {role: "user", content: "x"}, {role: "assistant", content: HOSTILE}]}]}));
  await page.setInputFiles("#import-file", path);
  const begin = Date.now();
  await page.locator("#list .open").first().click();
  const answer = lastAnswer(page).locator(".body");
  await answer.locator("table").waitFor();
  assert.ok(Date.now() - begin < 5000, `it took ${Date.now() - begin} ms`);
  assert.equal(await answer.locator("img, script").count(), 0);
  assert.deepEqual(await answer.locator("a").evaluateAll((l) => l.map((a) => a.href)), ["https://example.org/x", "https://example.org/i.png"]);
  assert.match(await answer.innerText(), /<img src=x onerror=alert\(1\)><script>/);
  assert.equal(await answer.locator("h2").innerText(), "Head");
  assert.deepEqual(await answer.locator("ul > li > ul > li").allInnerTexts(), ["inner code"]);
  assert.equal(await answer.locator("ol > li").count(), 2);
  assert.equal(await answer.locator("blockquote strong").first().innerText(), "bold");
  assert.equal(await answer.locator("blockquote del").first().innerText(), "gone");
  assert.match(await answer.locator("blockquote").first().innerText(), /snake_case_name/);
  assert.equal(await answer.locator("td").count(), 2);
  assert.equal(await answer.locator("pre code").innerText(), "int main(void) { return 0 < 1; }");
  await context.grantPermissions(["clipboard-read", "clipboard-write"]);
  await answer.getByRole("button", {name: "Copy the code"}).click();
  await answer.getByText("Copied").waitFor();
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), "int main(void) { return 0 < 1; }");
});

// --- who uses it ----------------------------------------------------------------------------------------------------

test("a server with keys asks for one, which the tab alone keeps", async (t) => {
  const key = addKey("keys");
  const closed = await startServer("keys", tinyModel());
  t.after(closed.stop);
  await context.close();
  ({page, context, faults} = await openPage(browser, closed.url));
  await page.locator("#key[open]").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.fill("#key-input", "wrong");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#key").open && document.querySelector("#key-input").value === "");
  await page.fill("#key-input", key);
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#model").value !== "");
  await setting(page, {max_tokens: "6"});
  await ask(page, "Hello");
  await finished(page);
  await lastAnswer(page).locator(".receipt summary").click();
  await lastAnswer(page).getByRole("button", {name: "Replay"}).click();
  await lastAnswer(page).locator(".verdict.good").waitFor();
  assert.equal(await page.evaluate(() => sessionStorage.getItem("cloche.key")), key);
  assert.ok(!await page.evaluate((k) => JSON.stringify({...localStorage}).includes(k), key));
});

test("everything works by keyboard alone", async () => {
  await setting(page, {max_tokens: "6"});
  await page.focus("#input");
  await page.keyboard.type("One");
  await page.keyboard.press("Shift+Enter");
  await page.keyboard.type("two");
  assert.equal(await page.inputValue("#input"), "One\ntwo");
  await page.keyboard.press("Enter");
  await page.waitForSelector(".message.assistant");
  await finished(page);
  await page.evaluate(() => document.activeElement.blur());
  await page.reload();
  await page.waitForFunction(() => document.querySelector("#model").value !== "");
  await page.locator("#list .open").first().press("Enter");
  await page.evaluate(() => { document.activeElement.blur(); getSelection().removeAllRanges(); document.body.tabIndex = -1; document.body.focus(); });
  const order = [];
  for (let i = 0; i < 30; i++) {
    await page.keyboard.press("Tab");
    const at = await page.evaluate(() => {
      const e = document.activeElement, s = getComputedStyle(e), frame = getComputedStyle(e.closest("form") ?? e);
      return {name: e.id || e.textContent.trim(), ring: s.outlineStyle !== "none" || frame.outlineStyle !== "none", body: e === document.body};
    });
    if (at.body) break;
    assert.ok(at.ring, `${at.name} shows that it has the focus`);
    order.push(at.name);
    if (at.name === "send") break;
  }
  for (const name of ["new", "export", "import", "model", "settings-open", "Copy", "Regenerate", "Edit", "input", "send"])
    assert.ok(order.includes(name), `Tab reaches ${name}: ${order}`);
  assert.ok(order.indexOf("new") < order.indexOf("model") && order.indexOf("model") < order.indexOf("Regenerate") &&
    order.indexOf("Regenerate") < order.indexOf("input"), `${order}`);
  await page.focus("#settings-open");
  await page.keyboard.press("Enter");
  await page.locator("#settings[open]").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.evaluate(() => document.activeElement.id), "settings-open");
});

for (const [name, options] of Object.entries({
  light: {colorScheme: "light"}, dark: {colorScheme: "dark"},
  phone: {colorScheme: "light", viewport: {width: 390, height: 780}, isMobile: true, hasTouch: true, deviceScaleFactor: 1},
})) {
  test(`it is readable and without serious faults: ${name}`, async () => {
    await fresh({...options, reducedMotion: "reduce"});
    await setting(page, {temperature: "0", max_tokens: "90", logprobs: true});
    await ask(page, "Name three flowers, and say a word about each.");
    await finished(page);
    await lastAnswer(page).locator(".receipt summary").click();
    await lastAnswer(page).getByRole("button", {name: "Replay"}).click();
    await lastAnswer(page).locator(".verdict.good").waitFor();
    await lastAnswer(page).locator(".verdict").scrollIntoViewIfNeeded();
    assert.deepEqual(await axe(page), []);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, "nothing is wider than the window");
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0, "nothing moves where that is not wanted");
    const dark = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(dark === "rgb(23, 25, 22)", name === "dark");
    await picture(`page-${name}.png`);
    if (name === "phone") {
      await page.click("#side-open");
      await page.locator("#side.open").waitFor();
      assert.deepEqual(await axe(page), []);
      await page.keyboard.press("Escape");
      assert.equal(await page.locator("#new").isVisible(), false);
    }
  });
}

test("the page's files are small", () => {
  const total = ["index.html", "base.css", "style.css", "icon.svg", "app.js", "api.js", "dom.js", "markdown.js", "message.js", "settings.js", "store.js"]
    .reduce((n, f) => n + readFileSync(join(ROOT, "web", f)).length, 0);
  assert.ok(total < 100000, `${total} bytes`);
});
