// Pictures of the dashboard on the sample data: for the documentation, and for the test that compares with them.
// `make pictures` asks a gateway and keeps its answer; the test shows that answer again, at the same moment.
import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { ZONE, answered, close, launch, open } from './browser.mjs';
import { Gateway } from './gateway.mjs';
import { fromHere } from './tools.mjs';

const ANSWER = fromHere('dashboard.answer.json');
export const picture = (name) => fromHere(`../../docs/pictures/${name}.png`);

export const PICTURES = [
  { name: 'dashboard-light', options: { colorScheme: 'light', viewport: { width: 1280, height: 1180 } } },
  { name: 'dashboard-dark', options: { colorScheme: 'dark', viewport: { width: 1280, height: 1180 } } },
  { name: 'dashboard-phone', options: { colorScheme: 'light', viewport: { width: 390, height: 844 } }, fullPage: true },
];

const isDashboard = (url) => url.pathname === '/graphql' && url.searchParams.has('documentId');

/** The bytes of a picture that shows the answer that is kept. */
export async function take(browser, base, { options, fullPage = false }) {
  const { at, answer } = JSON.parse(await readFile(ANSWER, 'utf8'));
  // The same letters on every machine.
  const faces = await Promise.all(
    [400, 500, 700].map(async (weight) => {
      const font = await readFile(fromHere(`node_modules/@fontsource/roboto/files/roboto-latin-${weight}-normal.woff2`), 'base64');
      return `@font-face { font-family: Pictured; font-weight: ${weight}; src: url(data:font/woff2;base64,${font}) }`;
    }),
  );
  const style = `${faces.join('\n')} :root { font-family: Pictured !important; } * { transition: none !important; caret-color: transparent !important; }`;
  const page = await open(browser, base, '/', {
    ...options,
    bypassCSP: true,
    prepare: async (page) => {
      await page.clock.setFixedTime(at);
      await page.route(isDashboard, (route) => route.fulfill({ json: answer }));
      await page.routeWebSocket(/\/graphql\/ws$/, (socket) =>
        socket.onMessage((text) => JSON.parse(text).type === 'connection_init' && socket.send('{"type":"connection_ack"}')),
      );
      await page.addInitScript((style) => {
        const sheet = new CSSStyleSheet();
        sheet.replaceSync(style);
        document.adoptedStyleSheets.push(sheet);
      }, style);
    },
  });
  await page.evaluate(() => Promise.all([400, 500, 700].map((weight) => document.fonts.load(`${weight} 16px Pictured`))));
  // Charts are drawn again, with the letters that have come.
  const { width, height } = options.viewport;
  await page.setViewportSize({ width: width + 1, height });
  await page.setViewportSize({ width, height });
  await page.locator('#live[data-state=live]').waitFor();
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  const bytes = await page.screenshot({ fullPage });
  await close(page, 'picture');
  return bytes;
}

const day = (ahead) => new Date(Date.now() + ahead * 86_400_000).toISOString().slice(0, 10);
const emptied = (gateway) => gateway.write('DELETE FROM tokens WHERE id > ?', 0, 1);

/** What else there is to see, of today's sample data: each is looked at when it is taken, and compared with nothing. */
const SCREENS = [
  { name: 'wall', options: { colorScheme: 'dark', viewport: { width: 1920, height: 1080 } } },
  { name: 'phone-dark', options: { colorScheme: 'dark', viewport: { width: 390, height: 844 } } },
  { name: 'german', options: { locale: 'de-DE' } },
  { name: 'hebrew', options: { locale: 'he-IL' } },
  { name: 'future', path: `/?from=${day(-2)}&to=${day(9)}` },
  { name: 'decades', path: `/?from=1996-01-01&to=${day(0)}` },
  { name: 'key-needed', variables: { ANONYMOUS_SCOPES: 'none' }, expected: [/401/] },
  { name: 'empty', prepare: emptied },
  { name: 'one-code', prepare: (gateway) => (emptied(gateway), gateway.issue(`${day(-1)} 10:00:00`)) },
  { name: 'away', then: away, expected: [/ERR_CONNECTION_REFUSED/] },
  { name: 'notes', path: '/?view=month', noted: true, variables: { SPACE_NAME: 'Harbour Desks', CAPACITY: '40' }, fullPage: true },
  { name: 'print', path: '/?range=LAST_30_DAYS', isPaper: true },
];
const screen = (name) => fromHere(`../../docs/pictures/screens/${name}.png`);

/** The gateway goes away, and another range is chosen. */
async function away(page, gateway) {
  await page.locator('#live[data-state=live]').waitFor();
  await gateway.end();
  await page.locator('#live[data-state=lost]').waitFor();
  await page.getByRole('combobox', { name: 'Range', exact: true }).selectOption('LAST_7_DAYS');
  await page.locator('#notice').waitFor();
}

async function takeScreen(browser, gateway, { name, path = '/', options = {}, then, expected, fullPage = false, isPaper }) {
  const page = await open(browser, gateway.base, path, { viewport: { width: 1280, height: 900 }, ...options });
  await then?.(page, gateway);
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  if (isPaper) {
    const pdf = await page.pdf({ format: 'A4', printBackground: true });
    execFileSync('pdftoppm', ['-png', '-r', '80', '-f', '1', '-singlefile', '-', screen(name).replace(/\.png$/, '')], { input: pdf });
  } else await page.screenshot({ path: screen(name), fullPage });
  await close(page, 'screen', expected);
}

async function takeScreens(browser) {
  await mkdir(fromHere('../../docs/pictures/screens'), { recursive: true });
  const notes = join(await mkdtemp(join(tmpdir(), 'notes-')), 'notes.txt');
  const today = day(0);
  await writeFile(notes, `${today.slice(0, 8)}03 holiday\n${today.slice(0, 8)}12..${today.slice(0, 8)}13 fair in town\n`);
  const gateway = await Gateway.start();
  try {
    for (const each of SCREENS) {
      const { variables, prepare, then, noted } = each;
      if (!variables && !prepare && !then) {
        await takeScreen(browser, gateway, each);
        continue;
      }
      const other = await Gateway.start({ ...variables, ...(noted ? { NOTES_FILE: notes } : {}) });
      try {
        prepare?.(other);
        await takeScreen(browser, other, each);
      } finally {
        await other.stop();
      }
    }
  } finally {
    await gateway.stop();
    await rm(dirname(notes), { recursive: true });
  }
}

async function record(browser, base) {
  const at = new Date().toISOString();
  let answer;
  const page = await open(browser, base, '/', {
    prepare: (page) =>
      page.on('response', async (response) => {
        if (isDashboard(new URL(response.url()))) answer ??= await response.json();
      }),
  });
  await answered(page);
  await close(page, 'recorded');
  await writeFile(ANSWER, `${JSON.stringify({ at, zone: ZONE, answer })}\n`);
}

if (process.argv[1] === fromHere('pictures.mjs')) {
  const gateway = await Gateway.start();
  const browser = await launch();
  try {
    await record(browser, gateway.base);
    for (const each of PICTURES) await writeFile(picture(each.name), await take(browser, gateway.base, each));
    await takeScreens(browser);
  } finally {
    await browser.close();
    await gateway.stop();
  }
}
