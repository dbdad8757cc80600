// The description of the REST routes, held against the running gateway by schemathesis: requests that fit it and
// requests that do not.
import assert from 'node:assert/strict';
import { execFile, spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PATIENCE, serve } from './gateway.mjs';

const here = dirname(fileURLToPath(import.meta.url));
// Every route is asked by somebody who may: an operator's key comes on top of what everybody may.
const made = spawnSync(process.env.GATEWAY_BIN, ['key', 'new', 'operator', '--scopes', 'admin', '--until', 'never']);
const [key, line] = [String(made.stdout).trim(), String(made.stderr).trim().split('\n').at(-1)];
const uri = serve({ API_KEYS: line });
const schemathesis = join(here, '../../target/clients-venv/bin/schemathesis');

test('schemathesis finds nothing wrong', { timeout: 10 * PATIENCE }, async () => {
  const document = uri().replace('/graphql', '/api/openapi.json');
  const options = [
    ...['--config-file', join(here, 'schemathesis.toml'), 'run', document, '--header', `x-api-key: ${key}`],
    // The same requests each time; as many as take some seconds.
    ...['--seed', '1', '--max-examples', '12', '--phases', 'examples,coverage,fuzzing', '--no-color'],
    ...['--generation-database', 'none', '--checks', 'all'],
  ];
  const { stdout } = await promisify(execFile)(schemathesis, options, { cwd: tmpdir(), maxBuffer: 1 << 24 }).catch((error) =>
    assert.fail(`${error.stdout}\n${error.stderr}`),
  );
  assert.match(stdout, /No issues found/);
});
