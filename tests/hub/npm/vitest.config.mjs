// Runs the spec files of @huggingface/hub as they are shipped. What they call the Hub is the server that CLOCHE_HUB names:
// the two files of constants get its address and a token of it, all else is theirs.
import {defineConfig} from "vitest/config";

const {CLOCHE_HUB, CLOCHE_TOKEN} = process.env;
const constants = {
  "/src/consts.ts": {HUB_URL: CLOCHE_HUB},
  "/src/test/consts.ts": {TEST_HUB_URL: CLOCHE_HUB, TEST_ACCESS_TOKEN: CLOCHE_TOKEN},
};

export default defineConfig({
  plugins: [{
    name: "constants",
    transform(code, id) {
      for (const [file, values] of Object.entries(constants))
        if (id.endsWith(file))
          for (const [name, value] of Object.entries(values))
            code = code.replace(new RegExp(`(export const ${name} = )"[^"]*"`), `$1${JSON.stringify(value)}`);
      return code;
    },
  }],
  test: {setupFiles: ["./setup.mjs"], testTimeout: 30_000, include: ["src/**/*.spec.ts"], fileParallelism: false},
});
