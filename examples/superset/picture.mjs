// Takes a picture of a dashboard in Superset: picture.mjs ADDRESS FILE
import { createRequire } from 'node:module';

const { chromium } = createRequire(new URL('../../tests/clients/package.json', import.meta.url))('playwright-core');
const [address, file] = process.argv.slice(2);
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(new URL('/login/', address).href);
  await page.locator('input[name=username], #username').first().fill(process.env.SUPERSET_USER);
  await page.locator('input[name=password], #password').first().fill(process.env.SUPERSET_PASSWORD);
  await page.keyboard.press('Enter');
  await page.waitForURL((url) => !url.pathname.startsWith('/login'));
  await page.goto(`${address}?standalone=1`);
  await page.locator('.slice_container').nth(3).waitFor({ timeout: 60_000 });
  await page.waitForLoadState('networkidle');
  // Charts draw themselves in half a second or so.
  await page.waitForTimeout(3_000);
  await page.screenshot({ path: file });
} finally {
  await browser.close();
}
