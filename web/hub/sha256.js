// SHA-256 (FIPS 180-4), piece by piece. Browsers have it for whole texts only, and without TLS not at all.
//
//   const h = new Sha256(); h.add(bytes); h.add(more); h.hex()

const K = new Int32Array(64), START = new Int32Array(8);
// The first 32 bits of the fractions of the cube and square roots of primes.
for (let n = 2, i = 0; i < 64; n++) {
  let prime = true;
  for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
  if (!prime) continue;
  if (i < 8) START[i] = fraction(Math.sqrt(n));
  K[i++] = fraction(Math.cbrt(n));
}
function fraction(x) { return ((x - Math.floor(x)) * 4294967296) | 0; }

export class Sha256 {
  #h = START.slice();
  #w = new Int32Array(64);
  #rest = new Uint8Array(64);
  #n = 0;     // bytes in rest
  #bytes = 0; // of all

  add(data) {
    this.#bytes += data.length;
    let at = 0;
    if (this.#n > 0) {
      at = Math.min(64 - this.#n, data.length);
      this.#rest.set(data.subarray(0, at), this.#n);
      this.#n += at;
      if (this.#n < 64) return this;
      this.#blocks(this.#rest, 0, 64);
      this.#n = 0;
    }
    const whole = at + ((data.length - at) & ~63);
    this.#blocks(data, at, whole);
    this.#rest.set(data.subarray(whole));
    this.#n = data.length - whole;
    return this;
  }

  // 64 hex digits; nothing is added after.
  hex() {
    const bits = this.#bytes * 8, pad = new Uint8Array((this.#n < 56 ? 64 : 128) - this.#n), view = new DataView(pad.buffer);
    pad[0] = 0x80;
    view.setUint32(pad.length - 8, Math.floor(bits / 4294967296));
    view.setUint32(pad.length - 4, bits >>> 0);
    this.add(pad);
    return [...this.#h].map((x) => (x >>> 0).toString(16).padStart(8, "0")).join("");
  }

  #blocks(p, from, to) {
    const w = this.#w, H = this.#h;
    let h0 = H[0], h1 = H[1], h2 = H[2], h3 = H[3], h4 = H[4], h5 = H[5], h6 = H[6], h7 = H[7];
    for (let at = from; at < to; at += 64) {
      for (let i = 0, j = at; i < 16; i++, j += 4) w[i] = (p[j] << 24) | (p[j + 1] << 16) | (p[j + 2] << 8) | p[j + 3];
      for (let i = 16; i < 64; i++) {
        const x = w[i - 15], y = w[i - 2];
        w[i] = (w[i - 16] + w[i - 7] + (((x >>> 7) | (x << 25)) ^ ((x >>> 18) | (x << 14)) ^ (x >>> 3)) +
          (((y >>> 17) | (y << 15)) ^ ((y >>> 19) | (y << 13)) ^ (y >>> 10))) | 0;
      }
      let a = h0, b = h1, c = h2, d = h3, e = h4, f = h5, g = h6, h = h7;
      for (let i = 0; i < 64; i++) {
        const t1 = (h + (((e >>> 6) | (e << 26)) ^ ((e >>> 11) | (e << 21)) ^ ((e >>> 25) | (e << 7))) + ((e & f) ^ (~e & g)) + K[i] + w[i]) | 0;
        const t2 = ((((a >>> 2) | (a << 30)) ^ ((a >>> 13) | (a << 19)) ^ ((a >>> 22) | (a << 10))) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
        h = g; g = f; f = e; e = (d + t1) | 0;
        d = c; c = b; b = a; a = (t1 + t2) | 0;
      }
      h0 = (h0 + a) | 0; h1 = (h1 + b) | 0; h2 = (h2 + c) | 0; h3 = (h3 + d) | 0;
      h4 = (h4 + e) | 0; h5 = (h5 + f) | 0; h6 = (h6 + g) | 0; h7 = (h7 + h) | 0;
    }
    H.set([h0, h1, h2, h3, h4, h5, h6, h7]);
  }
}
