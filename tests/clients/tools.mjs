// Commands of other makers, for the tests that drive them.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

// A path from this folder, wherever the tests are started from.
export const fromHere = (path) => fileURLToPath(new URL(path, import.meta.url));

// What the command said; a failure shows all of it.
export async function run(command, options, limits) {
  return promisify(execFile)(command, options, { cwd: fromHere('.'), ...limits }).catch(({ message, stdout }) =>
    assert.fail(`${message}\n${stdout}`),
  );
}
