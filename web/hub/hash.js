// A worker: SHA-256 of a file, read in pieces. Gets a File; says {done: bytes} on the way, {hex} at the end, or {error}.

import {Sha256} from "./sha256.js";

const STEP = 16 << 20; // bytes between two words of where it is

addEventListener("message", async ({data: file}) => {
  try {
    const h = new Sha256(), reader = file.stream().getReader();
    let done = 0, told = 0;
    for (;;) {
      const {value, done: end} = await reader.read();
      if (end) break;
      h.add(value);
      done += value.length;
      if (done - told >= STEP) { told = done; postMessage({done}); }
    }
    postMessage({hex: h.hex()});
  } catch (e) { postMessage({error: e.message}); }
});
