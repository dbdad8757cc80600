// The real binary on its embedded sample database, for the tests beside this file.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { after, before } from 'node:test';

// How long anything may take before a test gives up, in milliseconds.
export const PATIENCE = 30_000;

export class Gateway {
  log = '';

  static async start(variables = {}) {
    const binary = process.env.GATEWAY_BIN;
    assert.ok(binary && existsSync(binary), 'GATEWAY_BIN must name the built gateway; run `make test`');
    const gateway = new Gateway();
    gateway.folder = await mkdtemp(join(tmpdir(), 'gateway-'));
    const port = await freePort();
    gateway.base = `http://127.0.0.1:${port}`;
    const { PATH, HOME } = process.env;
    gateway.env = { PATH, HOME, APP_PORT: String(port), METRICS_PORT: 'off', LOG_FORMAT: 'json', RATE_LIMIT: 'off', ...variables };
    gateway.binary = resolve(binary);
    await gateway.run();
    return gateway;
  }

  async run() {
    this.process = spawn(this.binary, ['serve'], { cwd: this.folder, env: this.env, stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on('data', (chunk) => (this.log += chunk));
    this.process.on('error', (error) => (this.log += error));
    await this.ready().catch((error) => this.stop().finally(() => Promise.reject(error)));
  }

  // Ends it, and starts it again on the same data; meanwhile, connections are refused.
  async restart(away = 0) {
    await this.end();
    await new Promise((resolve) => setTimeout(resolve, away));
    await this.run();
  }

  // Has it not answer anything while `what` happens, its connections still open.
  async pause(what) {
    this.process.kill('SIGSTOP');
    try {
      await what();
    } finally {
      this.process.kill('SIGCONT');
    }
  }

  async ready() {
    const until = Date.now() + PATIENCE;
    while (Date.now() < until) {
      const left = AbortSignal.timeout(until - Date.now() + 1);
      const answer = await fetch(`${this.base}/readiness_check`, { signal: left }).catch(() => undefined);
      if (answer?.ok) return;
      assert.ok(this.isRunning, `the gateway ended early:\n${this.log}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    assert.fail(`the gateway never became ready:\n${this.log}`);
  }

  get isRunning() {
    return this.process.pid && this.process.exitCode === null && this.process.signalCode === null;
  }

  // Writes tokens beside the gateway, issued at a moment such as `2001-01-02 12:00:00`, UTC.
  issue(at, tokens = 1) {
    this.write("INSERT INTO tokens (user_id, token, created_at) VALUES (1, '------', ?)", at, tokens);
  }

  // Has members open the door with codes that were never used.
  use(tokens = 1) {
    const now = new Date().toISOString().replace('T', ' ').replace('Z', '');
    this.write('UPDATE tokens SET used_at = ? WHERE id = (SELECT max(id) FROM tokens WHERE used_at IS NULL)', now, tokens);
  }

  // Runs a statement with a parameter so many times, in one transaction.
  write(statement, parameter, times) {
    const script = `import sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=20)
database.executemany(sys.argv[2], [(sys.argv[3],)] * int(sys.argv[4]))
database.commit()`;
    execFileSync('python3', ['-c', script, join(this.folder, 'data', 'coworking.db'), statement, parameter, String(times)]);
  }

  // Asks it politely to stop; one that does not listen is killed in the end.
  async stop() {
    try {
      await this.end();
    } finally {
      await rm(this.folder, { recursive: true });
    }
  }

  async end() {
    try {
      if (this.isRunning) {
        const ended = once(this.process, 'exit', { signal: AbortSignal.timeout(PATIENCE) });
        this.process.kill('SIGTERM');
        await ended;
      }
      assert.equal(this.process.exitCode, 0, this.log);
    } finally {
      this.process.kill('SIGKILL');
    }
  }
}

// A gateway for as long as the tests of a file take; tests ask the answer for its URL.
// A gateway for the tests of a file, with variables of the environment.
export function serve(variables) {
  let gateway;
  before(async () => (gateway = await Gateway.start(variables)), { timeout: 3 * PATIENCE });
  after(() => gateway?.stop(), { timeout: 2 * PATIENCE });
  return () => `${gateway.base}/graphql`;
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
