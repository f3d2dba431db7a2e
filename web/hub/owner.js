// A user or an organisation, and what it has here.

import {make, link, section, note} from "./ui.js";
import * as net from "./net.js";
import {collectionsOf} from "./collections.js";
import {listOf, repoRow} from "./list.js";

const orNull = (e) => { if (e.status === 404) return null; throw e; };

export async function owner({name, signal}) {
  const esc = encodeURIComponent(name);
  const [user, org] = await Promise.all([net.get(`/api/users/${esc}/overview`, {signal}).catch(orNull), net.get(`/api/organizations/${esc}/overview`, {signal}).catch(orNull)]);
  const who = user ?? org;
  if (!who) throw new net.HubError(404, "RepoNotFound", "");
  const members = org ? await net.get(`/api/organizations/${esc}/members`, {signal}).catch(() => []) : [];
  const lists = await Promise.all(["models", "datasets", "spaces"].map(async (type) => {
    const {rows, next} = await listOf(type, `author=${esc}&sort=lastModified&limit=30`, signal);
    if (!rows.length) return "";
    return section(type[0].toUpperCase() + type.slice(1), make("ul", {class: "repos"}, ...rows.map((r) => repoRow(type, r))), next ? link(`/${type}?author=${esc}`, "All of them") : "");
  }));
  lists.push(await collectionsOf(name, signal));
  const plain = who.user ?? who.name;
  return {title: plain, node: make("div", {}, make("h1", {}, plain), who.fullname !== plain ? note(who.fullname) : "",
    members.length ? make("p", {}, "Members: ", ...members.flatMap((m, i) => [i ? ", " : "", link(`/${m.user}`, m.user)])) : "",
    lists.some(Boolean) ? make("div", {class: "columns"}, ...lists) : note("Nothing is here yet."))};
}
