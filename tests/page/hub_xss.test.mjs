// Everything that somebody can write into a repository, as an attack: no page may run it. A dialog, window.pwned, a request to
// elsewhere or a fault of the policy is a find.
import {test, before, after} from "node:test";
import assert from "node:assert/strict";
import {readFileSync} from "node:fs";
import {join} from "node:path";
import {ROOT, startServer, startBrowser, openPage, cleanUp} from "./harness.mjs";
import {addPeople, client, safetensors, PASSWORD} from "./hub_data.mjs";

const RUN = "window.pwned=1;alert(1)";
const CORPUS = [
  `<script>${RUN}</script>`, `<img src=x onerror="${RUN}">`, `<svg onload="${RUN}"></svg>`, `"><svg/onload=${RUN}>`, `'"><img src=x onerror=${RUN}>`,
  `<iframe srcdoc="<script>parent.pwned=1</script>"></iframe>`, `<a href="javascript:${RUN}">x</a>`, `[x](javascript:${RUN})`, `[x](JaVaScRiPt:${RUN})`,
  `[x](java\tscript:${RUN})`, `[x](&#106;avascript:${RUN})`, `[x](data:text/html,<script>${RUN}</script>)`, `![x](data:image/svg+xml,<svg onload="${RUN}"/>)`, `![x](" onerror="${RUN})`,
  `[x]( javascript:${RUN})`, `<javascript:${RUN}>`, `[x](vbscript:${RUN})`, `![<img src=x onerror=${RUN}>](a.png)`, "`<script>alert(1)</script>`", `<details open ontoggle="${RUN}">`,
  `<math><mtext><table><mglyph><style><img src=x onerror=${RUN}>`, `<noscript><p title="</noscript><img src=x onerror=${RUN}>">`, `</title><script>${RUN}</script>`, `</textarea><script>${RUN}</script>`,
  `<form action="javascript:${RUN}"><button autofocus onfocus="${RUN}">`, `<base href="https://evil.test/">`, `<meta http-equiv="refresh" content="0;url=javascript:${RUN}">`, `<link rel="stylesheet" href="https://evil.test/x.css">`,
  `<object data="javascript:${RUN}"></object>`, `<embed src="data:text/html,<script>parent.pwned=1</script>">`, `{{constructor.constructor('${RUN}')()}}`, `\${${RUN}}`, `x\u2028${RUN}`,
  `<img src=https://evil.test/x.png>`, `![x](https://evil.test/x.png)`, `![x](//evil.test/x.png)`, `[x](//evil.test)`, `<style>@import "https://evil.test/x.css";</style>`, `<a id=main name=body href=x>c</a>`,
];
// Names of files and branches: no slash at the wrong place, nothing that git refuses.
const FILE_NAMES = [`<img src=x onerror=alert(1)>.txt`, `"><svg onload=alert(1)>.txt`, `javascript:alert(1).txt`, `'onmouseover='alert(1).txt`, `&lt;script&gt;.txt`, `<script>alert(1).md`, `%3Cscript%3E.txt`, `a?b#c.txt`, `__proto__`, `constructor.json`];
const BRANCHES = [`<script>alert(1)</script>`, `"><svg/onload=alert(1)>`, `a'onclick='alert(1)`, `javascript;alert(1)`, `__proto__`];

let server, browser, alice;
const page_of = [];
const wanted = new Set(["/", "/models", "/datasets", "/lab"]);

async function fill() {
  const markdown = `---\nlicense: mit\ntags:\n${CORPUS.slice(0, 10).map((c) => `  - ${JSON.stringify(c.replace(/[\t\u2028]/g, " "))}`).join("\n")}\nlibrary_name: ${JSON.stringify(CORPUS[1])}\npipeline_tag: ${JSON.stringify(CORPUS[2])}\n---\n` +
    CORPUS.map((c) => `${c}\n`).join("\n") + CORPUS.map((c) => `\n# ${c}\n\n- ${c}\n\n> ${c}\n\n| ${c.replaceAll("|", "")} | b |\n| --- | --- |\n| ${c.replaceAll("|", "")} | c |\n`).join("");
  await alice.create("lab/hostile");
  await alice.create("lab/hostile-rows", "dataset");
  const page = `<!doctype html><title>x</title>${CORPUS.join("\n")}`;
  const svg = `<svg xmlns="http://www.w3.org/2000/svg" onload="${RUN}"><script>${RUN}</script><foreignObject><iframe src="javascript:${RUN}"/></foreignObject></svg>`;
  const files = {"README.md": markdown, "page.html": page, "picture.svg": svg, "other.md": markdown, "page.xhtml": page, "page.xml": svg, "script.js": RUN, "fake.png": page, "data.json": JSON.stringify(Object.fromEntries(CORPUS.map((c) => [c, [c, {[c]: c}]]))),
    "__proto__.json": `{"__proto__": {"x": "${CORPUS[0].replaceAll('"', '\\"')}"}}`};
  for (const name of FILE_NAMES) files[name] = page;
  for (const name of FILE_NAMES.slice(0, 3)) files[`${name.replace(".txt", "")}/inner.txt`] = "x";
  await alice.commit("models", "lab/hostile", files, {summary: CORPUS[1]});
  for (const c of CORPUS) await alice.commit("models", "lab/hostile", {"changing.txt": `${c}\n`}, {summary: `${c.replace(/[\n\u2028]/g, " ")}`});
  await alice.large("models", "lab/hostile", "w.safetensors", safetensors(Object.fromEntries(CORPUS.map((c, i) => [`${c}.${i}`, [2]])), Object.fromEntries(CORPUS.map((c, i) => [`${c}.${i}`, c]))), CORPUS[2]);
  const rows = [Object.fromEntries(CORPUS.map((c, i) => [`${c}.${i}`, c])), Object.fromEntries(CORPUS.map((c, i) => [`${c}.${i}`, [c, {[c]: c}]]))];
  const quoted = (c) => `"${c.replaceAll('"', '""')}"`;
  await alice.commit("datasets", "lab/hostile-rows", {"a.jsonl": rows.map((r) => JSON.stringify(r)).join("\n"), "a.csv": [CORPUS.map(quoted).join(","), CORPUS.map(quoted).join(",")].join("\n"), "README.md": markdown});
  const made = [];
  for (const name of BRANCHES) {
    try {
      await alice.ask("POST", `/api/models/lab/hostile/branch/${encodeURIComponent(name)}`, {});
      made.push(name);
    } catch { /* git refuses such a name */ }
  }
  assert.ok(made.length >= 3, `${made.length} branches`);
  for (const name of made) for (const view of ["tree", "commits", "upload"]) wanted.add(`/lab/hostile/${view}/${encodeURIComponent(name)}`);
  for (const c of CORPUS.slice(0, 12)) {
    const {num} = await alice.ask("POST", "/api/models/lab/hostile/discussions", {title: c.replace(/[\t\u2028]/g, " "), description: c});
    await alice.ask("POST", `/api/models/lab/hostile/discussions/${num}/comment`, {comment: CORPUS.join("\n\n")});
    await alice.ask("POST", `/api/models/lab/hostile/discussions/${num}/title`, {title: `${c.replace(/[\t\u2028]/g, " ")} again`});
    wanted.add(`/lab/hostile/discussions/${num}`);
  }
  await alice.commit("models", "lab/hostile", {"<b>pull.txt": CORPUS.join("\n")}, {summary: CORPUS[3], query: "?create_pr=1"});
  wanted.add("/lab/hostile/discussions").add("/lab/hostile/discussions/13");
  const commits = await alice.ask("GET", "/api/models/lab/hostile/commits/main?limit=100");
  for (const c of commits.slice(-8)) wanted.add(`/lab/hostile/commit/${c.id}`);
  for (const f of await alice.ask("GET", "/api/models/lab/hostile/tree/main?recursive=true&limit=200")) {
    const path = f.path.split("/").map(encodeURIComponent).join("/");
    wanted.add(`/lab/hostile/${f.type === "directory" ? "tree" : "blob"}/main/${path}`);
    if (f.type === "file" && f.path.endsWith("md")) wanted.add(`/lab/hostile/blob/main/${path}?as=text`);
  }
  for (const [i, c] of CORPUS.entries()) {
    const line = [...`${i} ${c}`.replace(/[\p{Cc}\u2028]/gu, " ")];
    const {slug} = await alice.ask("POST", "/api/collections", {title: line.slice(0, 100).join(""), namespace: "lab", description: line.slice(0, 150).join("")});
    await alice.ask("POST", `/api/collections/${slug}/items`, {item: {type: "model", id: "lab/hostile"}, note: line.slice(0, 500).join("")});
    if (i < 6) wanted.add(`/collections/${slug}`);
  }
  wanted.add("/lab");
  for (const p of ["/lab/hostile", "/lab/hostile/tree/main", "/lab/hostile/commits/main", "/lab/hostile/settings", "/datasets/lab/hostile-rows", "/datasets/lab/hostile-rows/blob/main/a.jsonl", "/datasets/lab/hostile-rows/blob/main/a.csv"]) wanted.add(p);
  for (const c of CORPUS) {
    const x = encodeURIComponent(c);
    for (const p of [`/models?search=${x}&author=${x}`, `/models?filter=${x}`, `/login?next=${x}`, `/lab/hostile/tree/${x}`, `/lab/hostile/blob/main/${x}`, `/lab/hostile/discussions?status=${x}`, `/lab/hostile/upload/${x}?folder=${x}`]) page_of.push(p);
  }
  page_of.push("/login?next=javascript:alert(1)", "/login?next=//evil.test/", "/login?next=https://evil.test/", "/lab/hostile/blob/main/%E0%A4%A", "/lab/hostile#<img src=x onerror=alert(1)>");
}

before(async () => {
  const tokens = addPeople();
  server = await startServer("hub", null);
  alice = client(server.url, tokens.alice);
  await fill();
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  assert.equal(await server.stop(), 0);
  cleanUp();
});

// alice's page, and what looks at an address in it and throws at a find.
async function signedIn(options = {}, change = async () => {}) {
  const {page, context, faults} = await openPage(browser, server.url, {path: "/login", ...options});
  page.on("dialog", (d) => faults.push(`a dialog: ${d.message()}`));
  await change(context);
  await page.goto(`${server.url}/login`);
  await page.fill("input[name=name]", "alice");
  await page.fill("input[name=password]", PASSWORD);
  await page.keyboard.press("Enter");
  await page.waitForURL(`${server.url}/`);
  const shown = [];
  // One shell for all: the address changes and the page is made anew, as a click does it.
  const look = async (path, load) => {
    if (load) await page.goto(server.url + path);
    else await page.evaluate((p) => { history.pushState(null, "", p); dispatchEvent(new PopStateEvent("popstate")); }, path);
    await page.waitForFunction(() => document.querySelector("#main").childElementCount > 0 && !document.querySelector("#main").hasAttribute("aria-busy"));
    await page.evaluate(() => { for (const d of document.querySelectorAll("#main details")) d.open = true; });
    const found = await page.evaluate(() => ({pwned: window.pwned ?? null, odd: [...document.querySelectorAll("#main *")].filter((e) =>
      /^(script|iframe|object|embed|svg|math|base|meta|link|style)$/i.test(e.tagName) || [...e.attributes].some((a) => a.name.startsWith("on") || /^\s*(javascript|vbscript|data):/i.test(a.value))).map((e) => e.outerHTML.slice(0, 200)),
    text: document.querySelector("#main").innerText.length}));
    assert.equal(found.pwned, null, path);
    assert.deepEqual(found.odd, [], path);
    assert.deepEqual(faults, [], path);
    shown.push(path);
    return found.text;
  };
  return {context, look, shown};
}

test("nothing of what was written runs", async () => {
  const {context, look, shown} = await signedIn();
  for (const path of wanted) assert.ok(await look(path, false) > 20, `${path} shows something`);
  for (const [i, path] of page_of.entries()) await look(path, i % 8 === 0);
  assert.ok(shown.length > 300, `${shown.length} pages`);
  await context.close();
});

// The check itself is checked: the one line that puts text into the page is made to put it in as markup.
const DOM = readFileSync(join(ROOT, "web/dom.js"), "utf8");
const BROKEN = DOM.replace("e.append(...children);", 'for (const c of children) if (typeof c === "string") e.insertAdjacentHTML("beforeend", c); else e.append(c);');
const planted = (context) => context.route("**/ui/dom.js", (route) => route.fulfill({contentType: "text/javascript", body: BROKEN}));

test("a page that took text for markup is found, without the policy by what it shows and runs", async () => {
  assert.notEqual(BROKEN, DOM);
  const {context, look} = await signedIn({bypassCSP: true}, planted);
  const finds = [];
  for (const path of ["/lab/hostile/tree/main", "/lab/hostile/commits/main", "/lab/hostile/discussions"])
    await look(path, true).catch((e) => { if (e.code === "ERR_ASSERTION" && (e.actual === 1 || e.actual?.length)) finds.push(path); else throw e; });
  assert.equal(finds.length, 3, `found on ${finds}`);
  await context.close();
});

test("a page that took text for markup is found, with the policy by its refusal", async () => {
  const {page, context, faults} = await openPage(browser, server.url, {path: "/login"});
  assert.deepEqual(faults, []);
  await planted(context);
  await page.goto(`${server.url}/lab/hostile/tree/main`);
  for (let i = 0; i < 100 && faults.length === 0; i++) await page.waitForTimeout(100);
  assert.match(faults.join("\n"), /TrustedHTML|Trusted Type/);
  await context.close();
});

test("files of repositories are no pages of this server", async () => {
  const {page, context, faults} = await openPage(browser, server.url, {path: "/login"});
  page.on("dialog", (d) => faults.push(`a dialog: ${d.message()}`));
  for (const name of ["page.html", "picture.svg", "page.xhtml", "page.xml", "script.js", "fake.png", "other.md", encodeURIComponent(FILE_NAMES[0])]) {
    for (const view of ["resolve", "raw"]) {
      const address = `${server.url}/lab/hostile/${view}/main/${name}`, r = await fetch(address);
      assert.equal(r.headers.get("x-content-type-options"), "nosniff", address);
      assert.match(r.headers.get("content-security-policy"), /sandbox/, address);
      assert.doesNotMatch(r.headers.get("content-type"), /html|svg|xml|javascript/, address);
      await page.goto(address).catch(() => {}); // what is no text is downloaded
      assert.equal(await page.evaluate(() => window.pwned ?? null), null, address);
    }
  }
  // A page cannot be made to take one for a script either.
  await page.goto(`${server.url}/login`);
  const ran = await page.evaluate(() => new Promise((done) => {
    const s = document.createElement("script");
    try { s.src = "/lab/hostile/resolve/main/script.js"; } catch { done("refused"); return; }
    s.onload = () => done("loaded");
    s.onerror = () => done("refused");
    document.head.append(s);
  }));
  assert.equal(ran, "refused");
  assert.deepEqual(faults.filter((f) => !/TrustedScriptURL|Trusted ?Type|MIME|Content Security Policy/.test(f)), []);
  await context.close();
});
