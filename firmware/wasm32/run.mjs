// Runs the module in node: it must ask for nothing, and `run` must return 0.
import { readFileSync } from 'node:fs';

const module = new WebAssembly.Module(readFileSync(process.argv[2]));
const imports = WebAssembly.Module.imports(module);
if (imports.length !== 0) {
  console.error('the module has imports:', imports);
  process.exit(1);
}
const { memory, run, text, written } = new WebAssembly.Instance(module).exports;
let code = 101;
try {
  code = run(100_000);
} catch (trap) {
  console.error(String(trap));
}
process.stdout.write(new TextDecoder().decode(new Uint8Array(memory.buffer, text(), written())));
process.exit(code);
