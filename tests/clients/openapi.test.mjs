// The description of the REST routes, held against the running gateway by schemathesis: requests that fit it and
// requests that do not.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { PATIENCE, serve } from './gateway.mjs';

const uri = serve();
const here = dirname(fileURLToPath(import.meta.url));
const schemathesis = join(here, '../../target/clients-venv/bin/schemathesis');

test('schemathesis finds nothing wrong', { timeout: 6 * PATIENCE }, async () => {
  const document = uri().replace('/graphql', '/api/openapi.json');
  const options = [
    ...['--config-file', join(here, 'schemathesis.toml'), 'run', document],
    // The same requests each time; as many as take some seconds.
    ...['--seed', '1', '--max-examples', '40', '--phases', 'examples,coverage,fuzzing', '--no-color'],
    ...['--generation-database', 'none', '--checks', 'all'],
  ];
  const { stdout } = await promisify(execFile)(schemathesis, options, { cwd: tmpdir(), maxBuffer: 1 << 24 }).catch((error) =>
    assert.fail(`${error.stdout}\n${error.stderr}`),
  );
  assert.match(stdout, /No issues found/);
});
