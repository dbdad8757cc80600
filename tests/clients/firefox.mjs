// Firefox by WebDriver BiDi, which it speaks itself: https://w3c.github.io/webdriver-bidi/
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import WebSocket from 'ws';
import { ZONE } from './browser.mjs';
import { PATIENCE } from './gateway.mjs';

const FIREFOX = process.env.FIREFOX ?? '/usr/bin/firefox-esr';
export const MISSING = existsSync(FIREFOX) ? false : `there is no ${FIREFOX}: install firefox-esr, or name a Firefox in FIREFOX`;

export const ENTER = '\ue007';

export class Firefox {
  #last = 0;
  #waiting = new Map();
  #log = '';
  // What pages said on their console.
  complaints = [];

  static async start() {
    const firefox = new Firefox();
    firefox.folder = await mkdtemp(join(tmpdir(), 'firefox-'));
    try {
      await firefox.#run();
    } catch (error) {
      await firefox.stop();
      throw new Error(`${error}\n${firefox.#log}`);
    }
    return firefox;
  }

  async #run() {
    this.downloads = join(this.folder, 'downloads');
    await mkdir(this.downloads);
    const settings = {
      'browser.download.dir': this.downloads,
      'browser.download.folderList': 2,
      'intl.accept_languages': 'en-GB,en',
      // It reaches nothing but this machine.
      'network.proxy.type': 1,
      'network.proxy.http': '127.0.0.1',
      'network.proxy.http_port': 9,
      'network.proxy.ssl': '127.0.0.1',
      'network.proxy.ssl_port': 9,
      'network.proxy.no_proxies_on': '127.0.0.1',
    };
    const lines = Object.entries(settings).map(([name, value]) => `user_pref(${JSON.stringify(name)}, ${JSON.stringify(value)});\n`);
    await writeFile(join(this.folder, 'user.js'), lines.join(''));
    const { PATH } = process.env;
    this.process = spawn(FIREFOX, ['--headless', '--no-remote', '--profile', this.folder, '--remote-debugging-port', '0', 'about:blank'], {
      env: { PATH, HOME: this.folder, TZ: ZONE, MOZ_CRASHREPORTER_DISABLE: '1' },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const address = await new Promise((found, failed) => {
      const patience = setTimeout(() => failed(new Error('Firefox did not start in time')), 2 * PATIENCE);
      this.process.on('error', failed);
      this.process.on('exit', () => failed(new Error('Firefox ended')));
      this.process.stderr.on('data', (text) => {
        this.#log = (this.#log + text).slice(-10_000);
        const listening = /WebDriver BiDi listening on (ws:\S+)/.exec(this.#log);
        if (!listening) return;
        clearTimeout(patience);
        found(listening[1]);
      });
    });
    this.socket = new WebSocket(`${address}/session`);
    await once(this.socket, 'open', { signal: AbortSignal.timeout(PATIENCE) });
    this.socket.on('message', (text) => this.#hear(JSON.parse(text)));
    await this.send('session.new', { capabilities: {} });
    await this.send('session.subscribe', { events: ['log.entryAdded'] });
    const { contexts } = await this.send('browsingContext.getTree', {});
    this.context = contexts[0].context;
    await this.send('browsingContext.setViewport', { context: this.context, viewport: { width: 1440, height: 900 } });
  }

  #hear({ id, type, result, error, message, method, params }) {
    if (method === 'log.entryAdded' && ['error', 'warn'].includes(params.level)) this.complaints.push(params.text);
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (type === 'success') waiting?.done(result);
    else if (type === 'error') waiting?.failed(new Error(`${error}: ${message}`));
  }

  /** The result of a command. */
  async send(method, params) {
    const id = ++this.#last;
    const answer = new Promise((done, failed) => this.#waiting.set(id, { done, failed }));
    this.socket.send(JSON.stringify({ id, method, params }));
    const patience = AbortSignal.timeout(PATIENCE);
    const late = new Promise((_, failed) => (patience.onabort = () => failed(new Error(`${method} was not answered in time`))));
    return Promise.race([answer, late]);
  }

  go(url) {
    return this.send('browsingContext.navigate', { context: this.context, url, wait: 'complete' });
  }

  /** What a function returns on the page, as JSON. */
  async evaluate(what, ...given) {
    const { type, result, exceptionDetails } = await this.send('script.callFunction', {
      functionDeclaration: `async (given) => JSON.stringify(await (${what})(...JSON.parse(given)))`,
      arguments: [{ type: 'string', value: JSON.stringify(given) }],
      awaitPromise: true,
      target: { context: this.context },
    });
    assert.equal(type, 'success', exceptionDetails?.text);
    return result.value === undefined ? undefined : JSON.parse(result.value);
  }

  /** Waits until a function returns something on the page. */
  async until(what, ...given) {
    const end = Date.now() + PATIENCE;
    for (;;) {
      const found = await this.evaluate(what, ...given);
      if (found) return found;
      assert.ok(Date.now() < end, `never: ${what} of ${JSON.stringify(given)}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  /** Presses the mouse on the middle of an element. */
  async click(selector) {
    const place = await this.evaluate((selector) => {
      const element = document.querySelector(selector);
      element.scrollIntoView({ block: 'center' });
      const { left, top, width, height } = element.getBoundingClientRect();
      return { x: Math.round(left + width / 2), y: Math.round(top + height / 2) };
    }, selector);
    const actions = [{ type: 'pointerMove', ...place }, { type: 'pointerDown', button: 0 }, { type: 'pointerUp', button: 0 }];
    await this.send('input.performActions', { context: this.context, actions: [{ type: 'pointer', id: 'mouse', actions }] });
  }

  /** Types keys, wherever the focus is. */
  async type(text) {
    const actions = [...text].flatMap((value) => [{ type: 'keyDown', value }, { type: 'keyUp', value }]);
    await this.send('input.performActions', { context: this.context, actions: [{ type: 'key', id: 'keys', actions }] });
  }

  /** The page on paper, as PDF. */
  async print() {
    return Buffer.from((await this.send('browsingContext.print', { context: this.context, background: true })).data, 'base64');
  }

  async stop() {
    this.socket?.terminate();
    if (this.process?.pid && this.process.exitCode === null && this.process.signalCode === null) {
      const ended = once(this.process, 'exit');
      this.process.kill('SIGKILL');
      await ended;
    }
    // Its own processes end a moment later.
    await rm(this.folder, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
