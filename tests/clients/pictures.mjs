// Pictures of the dashboard on the sample data: for the documentation, and for the test that compares with them.
// `make pictures` asks a gateway and keeps its answer; the test shows that answer again, at the same moment.
import { readFile, writeFile } from 'node:fs/promises';
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
  } finally {
    await browser.close();
    await gateway.stop();
  }
}
