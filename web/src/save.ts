// What is on screen, as files.
import { toBlob } from 'html-to-image';
import { h } from './dom';
import { csvOf, type Sheet } from './sheet';

function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const saveCsv = (name: string, sheet: Sheet) => save(`${name}.csv`, new Blob([csvOf(sheet)], { type: 'text/csv;charset=utf-8' }));

/** A picture of an element, without its buttons. */
export async function savePng(name: string, element: HTMLElement): Promise<void> {
  const backgroundColor = getComputedStyle(document.body).backgroundColor;
  const filter = (node: HTMLElement) => !['BUTTON', 'DETAILS'].includes(node.tagName);
  const picture = await toBlob(element, { backgroundColor, filter, pixelRatio: 2, skipFonts: true });
  if (picture) save(`${name}.png`, picture);
}
