// Opens the dashboard in Chromium, again and again, and prints in JSON when it was painted and when it had its numbers, in
// milliseconds from the beginning of the navigation: for visitors who come for the first time (`first`), for whom the
// answer is kept; for those who come back while nothing changed (`again`); and for a question that nobody asked (`asked`).
// `numbers` is when the totals are there, `all` when the rest of the page is.
import { launch } from '../tests/clients/browser.mjs';

const [base, samples, zone, from, to] = process.argv.slice(2);
const view = (number) => `${base}/?${new URLSearchParams({ from: day(from, -number), to, zone, basis: 'USED_AT' })}`;
const day = (date, days) => new Date(Date.parse(date) + days * 86_400_000).toISOString().slice(0, 10);

async function newPage() {
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 }, timezoneId: zone, locale: 'en-GB' })).newPage();
  await page.addInitScript(() => {
    new MutationObserver((_, observer) => {
      if (!document.querySelector('.tile')) return;
      // When the next frame is painted.
      requestAnimationFrame(() => setTimeout(() => (window.hasNumbers = performance.now())));
      observer.disconnect();
    }).observe(document, { childList: true, subtree: true });
    let isAsking = false;
    new MutationObserver(() => {
      const was = isAsking;
      isAsking = document.body.hasAttribute('aria-busy');
      if (was && !isAsking) requestAnimationFrame(() => setTimeout(() => (window.hasAll ??= performance.now())));
    }).observe(document, { attributes: true, attributeFilter: ['aria-busy'], subtree: true });
  });
  return page;
}

async function measured(page) {
  await page.waitForFunction(() => window.hasNumbers && window.hasAll, null, { timeout: 60_000 });
  return page.evaluate(() => ({
    painted: performance.getEntriesByName('first-contentful-paint')[0].startTime,
    numbers: window.hasNumbers,
    all: window.hasAll,
  }));
}

const browser = await launch();
try {
  const found = { first: [], again: [], asked: [] };
  // The browser's own start does not count.
  for (const path of ['/graphiql', '/']) await (await newPage()).goto(`${base}${path}`);
  for (let sample = 0; sample <= Number(samples); sample++) {
    const page = await newPage();
    await page.goto(view(0));
    const first = await measured(page);
    await page.reload();
    const again = await measured(page);
    await page.goto(view(1 + sample));
    const asked = await measured(page);
    // The first of them asked what nobody had.
    if (sample) for (const [kind, values] of Object.entries({ first, again, asked })) found[kind].push(values);
    await page.context().close();
  }
  console.log(JSON.stringify(found));
} finally {
  await browser.close();
}
