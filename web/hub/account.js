// Signing in and out, tokens, a new repository.

import {make, link, note, section, table, row, ago} from "./ui.js";
import {form, field, text, choice, radios, action} from "./forms.js";
import * as net from "./net.js";
import {copyButton} from "../dom.js";

const changed = () => document.dispatchEvent(new Event("cloche-who"));

// Only to a page of this server.
function nextOf(query) {
  try {
    const url = new URL(query.get("next") ?? "/", location.origin);
    return url.origin === location.origin && url.pathname !== "/login" ? url.pathname + url.search : "/";
  } catch { return "/"; }
}

export async function login({query, go}) {
  const enter = async (body) => {
    await net.post("/api/login", body);
    changed();
    go(nextOf(query));
  };
  const name = text("name", {autocomplete: "username"});
  return {title: "Sign in", shown: () => name.focus(), node: make("div", {class: "narrow"}, make("h1", {}, "Sign in"),
    form("Sign in", [field("Name", name), field("Password", make("input", {name: "password", type: "password", autocomplete: "current-password"}))], enter),
    make("details", {}, make("summary", {}, "With a token instead"),
      form("Sign in with the token", [field("Token", make("input", {name: "token", type: "password", autocomplete: "off", spellcheck: "false"}),
        "It may then what the token may, until the browser is closed.")], ({token}) => enter({token: token.trim()}), {class: ""})),
    note("Accounts are made by who runs this server: cloche user add NAME."))};
}

// --- tokens ---------------------------------------------------------------------------------------------------------

const date = (s) => (s ? ago(new Date(s * 1000).toISOString()) : "never");

function tokenTable(label, tokens, again) {
  return table(label, ["Name", "May", "Made", "Last use", "Ends", ""], tokens.map((t) => row(t.name, t.scope ? `${t.may_write ? "write" : "read"} ${t.scope}` : t.role, date(t.created), date(t.used),
    t.expires ? new Date(t.expires * 1000).toLocaleDateString() : "never", t.current ? "this one" : action("Revoke", async () => {
      await net.send("DELETE", `/api/settings/tokens/${t.id}`);
      again();
    }, {class: "quiet", "aria-label": `Revoke ${t.name}`}))));
}

function newToken(told, refresh) {
  return form("Make a token", [field("Name", text("name", {required: true})), radios("It may", "role", [["read", "Read"], ["write", "Read and write"]], "read"),
    field("Only this repository", text("scope", {placeholder: "all of mine"}), "lab/model, datasets/lab/data"),
    field("Ends", choice("expires", [["", "never"], ["7d", "in 7 days"], ["30d", "in 30 days"], ["90d", "in 90 days"], ["365d", "in a year"]], "90d"))], async ({name, role, scope, expires}) => {
    const {token} = await net.post("/api/settings/tokens", {name: name.trim(), role, scope: scope.trim(), expires});
    told.replaceChildren(make("p", {}, "This is the token. It is shown this once:"), make("p", {class: "row"}, make("code", {class: "token"}, token), copyButton(() => token)));
    await refresh();
  });
}

async function tokens(signal) {
  const told = make("div", {role: "status"}), lists = make("div", {});
  async function refresh() {
    const all = await net.get("/api/settings/tokens", {signal});
    const mine = all.filter((t) => !t.session), sessions = all.filter((t) => t.session);
    lists.replaceChildren(mine.length ? tokenTable("Tokens", mine, refresh) : note("No tokens yet."),
      make("h3", {}, "Browsers that are signed in"), tokenTable("Sessions", sessions, refresh));
  }
  await refresh();
  return section("Tokens", note("What programs send in place of a password."), told, lists, make("h3", {}, "A new one"), newToken(told, refresh));
}

export async function account({go, signal}) {
  const user = await net.me();
  if (!user) { go("/login?next=/settings", {replace: true}); await new Promise(() => {}); }
  const out = action("Sign out", async () => {
    await net.send("POST", "/api/logout", {});
    changed();
    go("/");
  });
  const who = section("You", make("p", {}, link(`/${user.name}`, user.name), user.fullname !== user.name ? ` (${user.fullname})` : ""),
    user.orgs.length ? make("p", {}, "Organisations: ", ...user.orgs.flatMap((o) => [link(`/${o.name}`, o.name), ` (${o.roleInOrg}) `])) : "", out);
  const rest = net.hasSession(user) ? await tokens(signal) : note("You are signed in with a token. Sign in with name and password to manage tokens.");
  return {title: "Settings", node: make("div", {}, make("h1", {}, "Settings"), who, rest)};
}

// --- a new repository -----------------------------------------------------------------------------------------------

export async function newRepo({go}) {
  const user = await net.me();
  if (!user) { go("/login?next=/new", {replace: true}); await new Promise(() => {}); }
  const owners = [user.name, ...user.orgs.filter((o) => o.roleInOrg !== "read").map((o) => o.name)];
  return {title: "New repository", node: make("div", {class: "narrow"}, make("h1", {}, "New repository"), form("Make it", [
    radios("Kind", "type", [["model", "Model"], ["dataset", "Dataset"]], "model"), field("Owner", choice("organization", owners.map((o) => [o, o]), user.name)),
    field("Name", text("name", {required: true, maxlength: "96"})),
    radios("Visibility", "visibility", [["private", "Private"], ["public", "Public"]], "private")], async ({type, organization, name, visibility}) => {
    const made = await net.post("/api/repos/create", {type, name: name.trim(), organization, private: visibility === "private"});
    const [ns, short] = made.name.split("/");
    go(net.pageOf({type: `${type}s`, ns, name: short}, "tree", "main"));
  }))};
}
