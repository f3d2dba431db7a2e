// The hub's pages in a real browser, with a real server behind them.
import {test, before, after, beforeEach, afterEach} from "node:test";
import assert from "node:assert/strict";
import {createHash, randomBytes} from "node:crypto";
import {mkdirSync, readFileSync, readdirSync} from "node:fs";
import {join} from "node:path";
import {ROOT, startServer, startBrowser, openPage, cleanUp, axe, tinyModel} from "./harness.mjs";
import {addPeople, client, safetensors, PASSWORD} from "./hub_data.mjs";
import {Sha256} from "../../web/hub/sha256.js";

const IMAGES = process.env.PAGE_IMAGES;
const CARD = `---
license: apache-2.0
library_name: transformers
pipeline_tag: text-generation
language: en
tags: [garden]
---
# A small model

It knows **flowers**. See [the config](config.json) and [elsewhere](https://example.com/).

| a | b |
| --- | --- |
| 1 | 2 |
`;
const WEIGHTS = safetensors({"model.embed.weight": [64, 32], "model.norm.weight": [32], "lm_head.weight": [64, 32]});
const ROWS = Array.from({length: 120}, (_, i) => JSON.stringify({text: `row ${i}`, label: i % 3})).join("\n");

let server, browser, tokens, alice, bob, page, context, faults;

async function fill() {
  await alice.create("lab/flowers");
  await alice.commit("models", "lab/flowers", {"README.md": CARD, "config.json": '{"model_type": "llama", "hidden_size": 32}\n', "src/main.py": "print('one')\nprint('two')\n"});
  await alice.large("models", "lab/flowers", "model.safetensors", WEIGHTS, "The weights");
  await alice.commit("models", "lab/flowers", {"src/main.py": "print('one')\nprint('three')\n"}, {summary: "Three, not two"});
  await alice.ask("POST", "/api/models/lab/flowers/branch/side", {});
  await alice.ask("POST", "/api/models/lab/flowers/tag/main", {tag: "v1"});
  await alice.create("lab/rows", "dataset");
  await alice.commit("datasets", "lab/rows", {"README.md": "---\nlicense: mit\ntask_categories: [text-classification]\n---\n# Rows\n", "train.jsonl": ROWS, "small.csv": "a,b\n1,x\n2,y\n"});
  await alice.create("lab/secret", "model", {private: true});
  for (let i = 0; i < 35; i++) await alice.create(`alice/many-${i}`);
}

before(async () => {
  tokens = addPeople();
  server = await startServer("hub", null);
  [alice, bob] = [client(server.url, tokens.alice), client(server.url, tokens.bob)];
  await fill();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  assert.equal(await server.stop(), 0);
  cleanUp();
});

async function fresh(options = {}) {
  if (context) await context.close();
  ({page, context, faults} = await openPage(browser, server.url, {path: "/", ...options}));
  await settled();
}
beforeEach(() => fresh());
afterEach(() => assert.deepEqual(faults, []));

const settled = () => page.waitForFunction(() => document.querySelector("#main")?.childElementCount > 0 && !document.querySelector("#main").hasAttribute("aria-busy"));
async function open(path) {
  await page.goto(server.url + path);
  await settled().catch((e) => { throw new Error(`${path}: ${e.message} ${faults}`); });
}
const main = () => page.locator("#main");
const at = () => new URL(page.url()).pathname + new URL(page.url()).search;
// The link is followed without loading the shell again.
async function follow(locator) {
  const to = new URL(await locator.getAttribute("href"), page.url());
  await locator.click();
  await page.waitForURL(to.href);
  await settled();
}
async function signIn(name = "alice", next = "/") {
  await open(`/login?next=${encodeURIComponent(next)}`);
  await page.fill("input[name=name]", name);
  await page.fill("input[name=password]", PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(server.url + next);
  await settled();
}
async function picture(name) {
  if (!IMAGES) return;
  mkdirSync(IMAGES, {recursive: true});
  await page.screenshot({path: join(IMAGES, name)});
}

// --- finding and reading --------------------------------------------------------------------------------------------

test("SHA-256 in JavaScript is SHA-256", () => {
  const of = (data, step = data.length || 1) => {
    const h = new Sha256();
    for (let i = 0; i < data.length; i += step) h.add(data.subarray(i, i + step));
    return h.hex();
  };
  assert.equal(of(Buffer.from("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  assert.equal(of(Buffer.from("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  assert.equal(of(Buffer.alloc(1000000, "a"), 997), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  for (let n = 0; n < 300; n++) {
    const data = randomBytes(n);
    assert.equal(of(data, 1 + n % 70), createHash("sha256").update(data).digest("hex"));
  }
});

test("addresses of the pages: a browser gets the shell, programs get what they got before", async () => {
  const html = {headers: {Accept: "text/html"}};
  for (const path of ["/", "/models", "/datasets", "/login", "/lab", "/lab/flowers", "/lab/none", "/datasets/lab/rows", "/lab/flowers/tree/main/src", "/lab/flowers/blob/refs%2Fpr%2F1/a", "/lab/flowers/commit/main"]) {
    const r = await fetch(server.url + path, html);
    assert.equal(r.status, 200, path);
    assert.match(r.headers.get("content-type"), /^text\/html/, path);
    assert.match(r.headers.get("content-security-policy"), /^default-src 'none'; script-src 'self'; .*require-trusted-types-for 'script'/);
    assert.equal(r.headers.get("vary"), "Accept");
  }
  assert.ok((await (await fetch(`${server.url}/models`, {headers: {Authorization: `Bearer ${tokens.bob}`}})).json()).data, "the list of models that answer");
  assert.equal((await fetch(`${server.url}/lab/flowers`)).status, 404);
  for (const path of ["/v1/nothing", "/lab/flowers/commit/main.diff", "/lab/flowers/other", "/-x/y", "/api/nothing"]) assert.notEqual((await fetch(server.url + path, html)).headers.get("content-type"), "text/html; charset=utf-8", path);
  assert.equal((await fetch(`${server.url}/lab/flowers`, {method: "POST", ...html})).status, 404);
});

test("the first page shows what is new; search leads to a repository, its card, its files", async () => {
  assert.deepEqual(await axe(page), []);
  await page.locator("#main input[type=search]").first().fill("flow");
  await page.keyboard.press("Enter");
  await page.waitForURL(`${server.url}/models?search=flow`);
  await settled();
  assert.deepEqual(await main().locator(".repos a").allInnerTexts(), ["lab/flowers"]);
  await follow(page.getByRole("link", {name: "lab/flowers"}));
  assert.equal(await page.title(), "lab/flowers – Cloche");
  assert.equal(await main().locator(".card-text h2").innerText(), "A small model");
  assert.equal(await main().locator(".card-text strong").innerText(), "flowers");
  assert.match(await main().locator(".use").innerText(), /AutoModelForCausalLM/);
  assert.deepEqual(await axe(page), []);
  await picture("hub-card.png");
  await follow(main().locator(".card-text a").first());
  assert.equal(at(), "/lab/flowers/blob/main/config.json");
  assert.match(await main().locator(".json").innerText(), /hidden_size: 32/);
  await follow(main().getByRole("link", {name: "As text"}));
  assert.match(await main().locator("table.text").innerText(), /"model_type": "llama"/);
  await page.reload();
  await settled();
  assert.match(await main().locator("table.text").innerText(), /"model_type": "llama"/);
  await page.goBack();
  await page.goBack();
  await page.goBack();
  await main().locator(".repos").waitFor();
  assert.equal(at(), "/models?search=flow");
});

test("lists: filters, order, pages", async () => {
  await open("/models?author=alice");
  assert.equal(await main().locator(".repo-row").count(), 30);
  await follow(main().getByRole("link", {name: "Next page"}));
  assert.equal(await main().locator(".repo-row").count(), 5);
  await follow(main().getByRole("link", {name: "First page"}));
  await open("/models");
  await main().getByLabel("Licence").selectOption({label: "apache-2.0"});
  await page.waitForURL(/filter=license/);
  await settled();
  assert.deepEqual(await main().locator(".repo-row a").allInnerTexts(), ["lab/flowers"]);
  await main().getByLabel("Task").selectOption("text-generation");
  await page.waitForURL(/pipeline_tag=text-generation/);
  await settled();
  assert.equal(await main().locator(".chips li").count(), 2);
  assert.deepEqual(await axe(page), []);
  await main().getByLabel("Order").selectOption("likes");
  await page.waitForURL(/sort=likes/);
  await settled();
  assert.deepEqual(await main().locator(".repo-row a").allInnerTexts(), ["lab/flowers"]);
  await open("/datasets");
  assert.deepEqual(await main().locator(".repo-row a").allInnerTexts(), ["lab/rows"]);
});

test("files, their last commits, branches and tags, history, a diff", async () => {
  await open("/lab/flowers/tree/main");
  const row = main().getByRole("row").filter({hasText: "model.safetensors"});
  assert.match(await row.innerText(), /LFS/);
  assert.match(await row.innerText(), /The weights/);
  assert.deepEqual(await axe(page), []);
  await main().locator("details.refs > summary").click();
  await follow(main().getByRole("link", {name: "v1"}));
  assert.equal(at(), "/lab/flowers/tree/v1");
  await follow(main().getByRole("link", {name: "src/"}));
  await follow(main().getByRole("link", {name: "main.py", exact: true}));
  assert.match(await main().locator("table.text").innerText(), /print\('three'\)/);
  await page.goto(`${page.url()}#L2`);
  await follow(main().getByRole("link", {name: "History"}));
  await follow(main().locator(".commits a").first());
  assert.match(at(), /^\/lab\/flowers\/commit\/[0-9a-f]{40}$/);
  const diff = await main().locator("table.diff").innerText();
  assert.match(diff, /-print\('two'\)/);
  assert.match(diff, /\+print\('three'\)/);
  assert.equal(await main().locator("tr.removed").count(), 1);
  assert.deepEqual(await axe(page), []);
  await picture("hub-diff.png");
});

test("a safetensors file is looked into", async () => {
  await open("/lab/flowers/blob/main/model.safetensors");
  const text = await main().locator(".inspector").innerText();
  assert.match(text, /4\.1 K/);
  assert.match(text, /model\.embed\.weight\s+F32\s+\[64, 32\]/);
  await page.fill("input[name=find]", "norm");
  assert.deepEqual(await main().locator(".inspector td.file").allInnerTexts(), ["model.norm.weight"]);
  assert.deepEqual(await axe(page), []);
  await picture("hub-inspect.png");
});

test("a model is talked with from its page, whoever may read it", async () => {
  await alice.create("lab/talks", "model", {private: true});
  await alice.large("models", "lab/talks", "tiny-Q8_0.gguf", readFileSync(tinyModel()), "A model");
  await signIn("alice", "/lab/talks");
  await page.getByRole("link", {name: "Chat with this model"}).click();
  await page.waitForFunction(() => document.querySelector("#model")?.value === "lab/talks");
  await page.fill("#input", "Hello");
  await page.keyboard.press("Enter");
  await page.waitForFunction(() => document.querySelector("#messages")?.innerText.length > 20, null, {timeout: 60000});
  const answer = await page.evaluate(async () => (await (await fetch("/v1/models")).json()).data.map((m) => m.id));
  assert.deepEqual(answer, ["lab/talks"]);
  await context.close();
  context = undefined;
});

test("a dataset's rows are read", async (t) => {
  if ((await fetch(`${server.url}/api/datasets/lab/rows/rows/main/train.jsonl`)).status === 404) { t.skip("this server does not read rows"); return; }
  await open("/datasets/lab/rows/blob/main/train.jsonl");
  assert.match(await main().locator(".rows").innerText(), /Rows (from 0|0 to 49 of 120)/);
  assert.match(await main().locator(".rows tbody tr").first().innerText(), /row 0/);
  await follow(main().getByRole("link", {name: "Rows after"}));
  assert.match(await main().locator(".rows tbody tr").first().innerText(), /row 50/);
  assert.deepEqual(await axe(page), []);
  await picture("hub-rows.png");
  await open("/datasets/lab/rows/blob/main/small.csv");
  assert.match(await main().locator(".rows thead").innerText(), /a .*b /s);
});

// --- signing in, writing --------------------------------------------------------------------------------------------

test("signing in by password: a cookie that no script sees, tokens, signing out", async () => {
  await open("/lab/secret");
  assert.match(await main().innerText(), /no such page/);
  await page.getByRole("link", {name: "Sign in"}).last().click();
  await page.fill("input[name=name]", "alice");
  await page.fill("input[name=password]", "wrong password");
  await page.keyboard.press("Enter");
  await page.getByText("Invalid username or password.").waitFor();
  assert.deepEqual(await axe(page), []);
  await page.fill("input[name=password]", PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${server.url}/lab/secret`);
  await settled();
  assert.match(await main().locator(".repo-head").innerText(), /private/);
  const [cookie] = await context.cookies();
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite, cookie.path], ["cloche_session", true, "Strict", "/"]);
  assert.equal(await page.evaluate(() => document.cookie + JSON.stringify({...localStorage}) + JSON.stringify({...sessionStorage})), "{}{}");
  await page.locator("#who").getByRole("link", {name: "Settings"}).click();
  await page.getByRole("heading", {name: "Tokens"}).waitFor();
  await page.fill("input[name=name]", "from the page");
  await page.getByRole("button", {name: "Make a token"}).click();
  const token = await page.locator("code.token").innerText();
  assert.match(token, /^hf_\w{51}$/);
  const who = await (await fetch(`${server.url}/api/whoami-v2`, {headers: {Authorization: `Bearer ${token}`}})).json();
  assert.deepEqual([who.name, who.auth.accessToken.role], ["alice", "read"]);
  assert.deepEqual(await axe(page), []);
  await page.getByRole("button", {name: "Revoke from the page"}).click();
  await page.getByRole("button", {name: "Revoke from the page"}).waitFor({state: "detached"});
  assert.equal((await fetch(`${server.url}/api/whoami-v2`, {headers: {Authorization: `Bearer ${token}`}})).status, 401);
  await page.getByRole("button", {name: "Sign out"}).click();
  await page.locator("#who").getByRole("link", {name: "Sign in"}).waitFor();
  assert.deepEqual(await context.cookies(), []);
  const old = {headers: {Cookie: `cloche_session=${cookie.value}`}};
  assert.equal((await fetch(`${server.url}/api/whoami-v2`, old)).status, 401, "the session is over at the server too");
});

test("a cookie counts on pages of this server alone", async () => {
  const signed = await fetch(`${server.url}/api/login`, {method: "POST", body: JSON.stringify({name: "alice", password: PASSWORD})});
  const Cookie = signed.headers.get("set-cookie").split(";")[0], host = server.url;
  const like = (headers, method = "POST") => fetch(`${server.url}/api/models/lab/flowers/like`, {method, headers: {Cookie, ...headers}}).then((r) => r.status);
  assert.equal(await like({}), 401, "what changes something says where it comes from");
  assert.equal(await like({Origin: host}), 200);
  assert.equal(await like({"Sec-Fetch-Site": "same-origin"}), 200);
  for (const headers of [{Origin: "http://127.0.0.1:1"}, {Origin: "http://localhost:5"}, {Origin: host, "Sec-Fetch-Site": "same-site"}, {"Sec-Fetch-Site": "cross-site"}, {"Sec-Fetch-Site": "none"}])
    assert.equal(await like(headers), 401, JSON.stringify(headers));
  assert.notEqual(await like({Origin: "http://evil.test"}), 200);
  assert.notEqual(await like({Origin: "null"}), 200);
  const secret = (headers) => fetch(`${server.url}/api/models/lab/secret`, {headers: {Cookie, ...headers}}).then((r) => r.status);
  assert.deepEqual([await secret({}), await secret({"Sec-Fetch-Site": "none"}), await secret({Origin: "http://localhost:5"}), await secret({"Sec-Fetch-Site": "same-site"})], [200, 200, 401, 401]);
  const from = (headers) => fetch(`${server.url}/api/login`, {method: "POST", headers, body: JSON.stringify({token: tokens.bob})}).then((r) => r.status);
  assert.deepEqual([await from({Origin: host}), await from({Origin: "http://localhost:5"})], [200, 403]);
  const byToken = (await fetch(`${server.url}/api/login`, {method: "POST", body: JSON.stringify({token: tokens.bob})})).headers.get("set-cookie");
  assert.match(byToken, /; HttpOnly; SameSite=Strict$/);
  const manage = await fetch(`${server.url}/api/settings/tokens`, {headers: {Cookie: byToken.split(";")[0]}});
  assert.equal(manage.status, 403, "a token does not manage tokens");
});

test("passwords cannot be tried for ever, whether the name is there or not", async () => {
  for (const name of ["nobody-1", "lab"]) {
    const tries = [];
    for (let i = 0; i < 11; i++) tries.push((await fetch(`${server.url}/api/login`, {method: "POST", body: JSON.stringify({name, password: "wrong password"})})).status);
    assert.deepEqual(tries, [...Array(10).fill(401), 429], name);
  }
});

async function drop(files) {
  const data = await page.evaluateHandle((list) => {
    const t = new DataTransfer();
    for (const [name, size, fillWith] of list) t.items.add(new File([size === null ? fillWith : new Uint8Array(size).fill(fillWith)], name));
    return t;
  }, files);
  await page.dispatchEvent("#drop", "dragover", {dataTransfer: data});
  await page.dispatchEvent("#drop", "drop", {dataTransfer: data});
}

test("files are uploaded by drag and drop: small ones and a large one in one commit", async () => {
  await alice.create("alice/drop");
  await signIn("alice", "/alice/drop/upload/main?folder=sub");
  await drop([["a.txt", null, "dropped\n"], ["big.bin", 12000000, 7]]);
  await page.locator(".picked li").nth(1).waitFor();
  await page.fill("input[name=summary]", "By drag and drop");
  assert.deepEqual(await axe(page), []);
  await page.getByRole("button", {name: "Upload", exact: true}).click();
  await page.waitForURL(`${server.url}/alice/drop/tree/main`, {timeout: 60000});
  await settled();
  assert.match(await main().locator("table").innerText(), /sub\/\s+By drag and drop/);
  const big = Buffer.from(await (await fetch(`${server.url}/alice/drop/resolve/main/sub/big.bin`)).arrayBuffer());
  assert.equal(big.length, 12000000);
  assert.ok(big.every((b) => b === 7));
  const [row] = (await alice.ask("GET", "/api/models/alice/drop/tree/main/sub")).filter((e) => e.path === "sub/big.bin");
  assert.equal(row.lfs.oid, createHash("sha256").update(big).digest("hex"));
  assert.equal(await (await fetch(`${server.url}/alice/drop/resolve/main/sub/a.txt`)).text(), "dropped\n");
});

test("an upload by the picker becomes a pull request, is read, answered and merged; a refused one says why", async () => {
  await signIn("bob", "/lab/flowers/upload/main");
  await page.setInputFiles("#pick", [{name: "more.txt", mimeType: "text/plain", buffer: Buffer.from("more\n")}]);
  await page.getByRole("button", {name: "Upload", exact: true}).click();
  await page.waitForURL(/\/lab\/flowers\/discussions\/\d+$/);
  await settled();
  const pull = at();
  assert.match(await main().locator(".changes-box").innerText(), /more\.txt.*\+more/s);
  await page.fill("textarea[name=comment]", "Please *take* it.");
  await page.getByRole("button", {name: "Comment"}).click();
  await main().locator(".comment em").waitFor();
  assert.equal(await page.getByRole("button", {name: /^Merge/}).count(), 0, "he may not merge");
  await fresh();
  await signIn("alice", pull);
  assert.deepEqual(await axe(page), []);
  await picture("hub-pull.png");
  await page.getByRole("button", {name: "Merge into main"}).click();
  await main().locator(".badge.merged").first().waitFor();
  assert.equal(await (await fetch(`${server.url}/lab/flowers/resolve/main/more.txt`)).text(), "more\n");
  await open("/lab/flowers/upload/main");
  await drop([[".git", null, "x"]]);
  await page.getByRole("button", {name: "Upload", exact: true}).click();
  await page.locator(".told.fault").waitFor();
  assert.match(await page.locator(".told.fault").innerText(), /^Nothing was committed: .+/);
});

test("a repository is made, set, liked, renamed, gated, and deleted by its name", async () => {
  await signIn("alice", "/new");
  await page.fill("input[name=name]", "made-here");
  await page.getByRole("button", {name: "Make it"}).click();
  await page.waitForURL(`${server.url}/alice/made-here/tree/main`);
  await open("/alice/made-here/settings");
  assert.deepEqual(await axe(page), []);
  await page.getByLabel(/^Public/).check();
  await page.getByLabel("Files").selectOption("manual");
  await page.getByRole("button", {name: "Save"}).click();
  await main().getByText("gated: manual").waitFor();
  await page.locator(".like").click();
  await page.locator(".like[aria-pressed=true]").waitFor();
  await page.fill("input[name=to]", "alice/renamed");
  await page.getByRole("button", {name: "Rename"}).click();
  await page.waitForURL(`${server.url}/alice/renamed/settings`);
  await fresh();
  await signIn("bob", "/alice/made-here");
  await page.waitForURL(`${server.url}/alice/renamed`);
  await page.getByRole("button", {name: "Ask for access"}).click();
  await page.getByText("the owners will answer").waitFor();
  await fresh();
  await signIn("alice", "/alice/renamed/settings");
  await page.getByRole("button", {name: "Let in bob"}).click();
  await main().getByRole("cell", {name: "accepted"}).waitFor();
  await page.fill("input[name=typed]", "alice/rename");
  await page.getByRole("button", {name: "Delete for ever"}).click();
  await page.getByText("That is not alice/renamed.").waitFor();
  await page.fill("input[name=typed]", "alice/renamed");
  await page.getByRole("button", {name: "Delete for ever"}).click();
  await page.waitForURL(`${server.url}/models`);
  assert.equal((await fetch(`${server.url}/api/models/alice/renamed`)).status, 401);
});

test("collections: those of an owner, what is in one, what is hidden is not there", async () => {
  const {slug} = await alice.ask("POST", "/api/collections", {title: "For the ward", namespace: "lab", description: "What we read"});
  const inner = await alice.ask("POST", "/api/collections", {title: "Inner", namespace: "lab", private: true});
  for (const [type, id, note] of [["model", "lab/flowers", "the small one"], ["dataset", "lab/rows"], ["model", "lab/secret"], ["collection", inner.slug]])
    await alice.ask("POST", `/api/collections/${slug}/items`, {item: {type, id}, note});
  await open("/lab");
  await follow(main().getByRole("link", {name: "For the ward"}));
  assert.equal(at(), `/collections/${slug}`);
  assert.equal(await page.title(), "For the ward – Cloche");
  assert.deepEqual(await axe(page), []);
  assert.deepEqual(await main().locator(".repos a").allInnerTexts(), ["lab/flowers", "lab/rows"]);
  assert.match(await main().innerText(), /What we read[^]*the small one/);
  await follow(main().getByRole("link", {name: "lab/rows"}));
  assert.equal(at(), "/datasets/lab/rows");
  await signIn("alice", `/collections/${slug}`);
  assert.deepEqual(await main().locator(".repos a").allInnerTexts(), ["lab/flowers", "lab/rows", "lab/secret", "Inner"]);
  await follow(main().getByRole("link", {name: "Inner"}));
  assert.match(await main().innerText(), /Nothing is in it/);
  await fresh();
  await open(`/collections/${inner.slug}`);
  assert.match(await main().innerText(), /Not shown/);
  faults = faults.filter((f) => !f.includes("401"));
  assert.equal((await fetch(`${server.url}/collections/lab/x/y`, {headers: {Accept: "text/html"}})).headers.get("content-type"), "application/json");
});

test("a branch and a tag are made in the menu, a discussion is begun and closed", async () => {
  await signIn("alice", "/lab/flowers/tree/main");
  await page.locator("details.refs > summary").click();
  await page.fill(".refs input[name=name]", "from/page");
  await page.getByRole("button", {name: "Create"}).click();
  await page.waitForURL(`${server.url}/lab/flowers/tree/from%2Fpage`);
  await settled();
  assert.match(await page.locator("details.refs > summary").innerText(), /Branch: from\/page/);
  await open("/lab/flowers/discussions/new");
  await page.fill("input[name=title]", "A question");
  await page.fill("textarea[name=description]", "Is it **good**?");
  await page.getByRole("button", {name: "Begin it"}).click();
  await main().locator(".comment strong").waitFor();
  await page.getByRole("button", {name: "Close"}).click();
  await main().locator(".badge.closed").first().waitFor();
  await open("/lab/flowers/discussions?status=closed");
  assert.match(await main().innerText(), /A question/);
});

// --- for everyone ---------------------------------------------------------------------------------------------------

test("everything works by keyboard alone", async () => {
  const tabTo = async (name) => {
    for (let i = 0; i < 60; i++) {
      await page.keyboard.press("Tab");
      const e = await page.evaluate(() => {
        const a = document.activeElement, s = getComputedStyle(a);
        return {name: (a.getAttribute("aria-label") ?? a.textContent.trim()) || a.name, ring: s.outlineStyle !== "none" && s.outlineWidth !== "0px", body: a === document.body};
      });
      if (!e.body) assert.ok(e.ring, `${e.name} shows that it has the focus`);
      if (e.name === name) return;
    }
    assert.fail(`Tab does not reach ${name}`);
  };
  await tabTo("Search models");
  await page.keyboard.type("flowers");
  await page.keyboard.press("Enter");
  await page.waitForURL(/search=flowers/);
  await settled();
  await tabTo("lab/flowers");
  await page.keyboard.press("Enter");
  await page.waitForURL(/lab\/flowers$/);
  await settled();
  assert.equal(await page.evaluate(() => document.activeElement.id), "main", "the focus is at the new page's beginning");
  await tabTo("Files");
  await page.keyboard.press("Enter");
  await page.waitForURL(/tree\/main$/);
  await settled();
  await tabTo("Branch: main");
  await page.keyboard.press("Enter");
  await page.locator("details.refs[open]").waitFor();
  await page.keyboard.press("Escape");
  assert.equal(await page.locator("details.refs[open]").count(), 0);
  await tabTo("config.json");
  await page.keyboard.press("Enter");
  await page.waitForURL(/config\.json$/);
  await signIn("alice", "/lab/flowers/upload/main");
  await page.evaluate(() => document.activeElement.blur());
  for (const name of ["Pick files", "Pick a folder", "folder", "summary"]) await tabTo(name);
});

for (const [name, options] of Object.entries({
  light: {colorScheme: "light"}, dark: {colorScheme: "dark"},
  phone: {colorScheme: "light", viewport: {width: 390, height: 780}, isMobile: true, hasTouch: true, deviceScaleFactor: 1},
})) {
  test(`the pages are readable and without serious faults: ${name}`, async () => {
    await fresh({...options, reducedMotion: "reduce"});
    await signIn("alice");
    const pages = ["/", "/models", "/lab/flowers", "/lab/flowers/tree/main", "/lab/flowers/blob/main/src/main.py", "/lab/flowers/blob/main/model.safetensors", "/lab/flowers/blob/main/config.json",
      "/lab/flowers/commits/main", "/lab/flowers/commit/main", "/lab/flowers/discussions", "/lab/flowers/settings", "/lab/flowers/upload/main", "/datasets/lab/rows/blob/main/train.jsonl", "/settings", "/new", "/lab", "/login"];
    for (const path of pages) {
      await open(path);
      assert.deepEqual(await axe(page), [], path);
      assert.equal(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), true, `${path}: nothing is wider than the window`);
      await picture(`hub-${name}${path.replaceAll("/", "-")}.png`);
    }
    const colour = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    assert.equal(colour === "rgb(23, 25, 22)", name === "dark");
  });
}

test("files of the pages are small", () => {
  const files = ["hub.html", "hub.css", "base.css", ...readdirSync(join(ROOT, "web/hub")).map((f) => `hub/${f}`)];
  const total = files.reduce((n, f) => n + readFileSync(join(ROOT, "web", f)).length, 0);
  assert.ok(total < 150000, `${total} bytes`);
});
