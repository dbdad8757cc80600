// What is on screen, as files.
import { h } from './dom';
import { csvOf, type Sheet } from './sheet';
import { words } from './words';

function save(name: string, content: Blob): void {
  const url = URL.createObjectURL(content);
  h('a', { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

export const saveCsv = (name: string, sheet: Sheet) => save(`${name}.csv`, new Blob([csvOf(sheet)], { type: 'text/csv;charset=utf-8' }));

/** Canvases are not larger. */
const MOST_PIXELS = 16_384;

/** A picture of an element: what the page shows in its place, without buttons that save. */
export async function savePng(name: string, element: HTMLElement): Promise<void> {
  const place = element.getBoundingClientRect();
  // Whole pixels, so that letters stay sharp.
  const [left, top] = [Math.floor(place.left + scrollX), Math.floor(place.top + scrollY)];
  const [width, height] = [Math.ceil(place.right + scrollX) - left, Math.ceil(place.bottom + scrollY) - top];
  const image = new Image();
  image.src = `data:image/svg+xml;charset=utf-8,${encodeURIComponent(new XMLSerializer().serializeToString(pageAsSvg()))}`;
  await image.decode();
  const ratio = Math.min(2, MOST_PIXELS / Math.max(width, height));
  const canvas = h('canvas', { width: Math.round(width * ratio), height: Math.round(height * ratio) });
  const context = canvas.getContext('2d')!;
  context.fillStyle = getComputedStyle(document.body).backgroundColor;
  context.fillRect(0, 0, canvas.width, canvas.height);
  context.scale(ratio, ratio);
  context.drawImage(image, -left, -top);
  const picture = await new Promise<Blob | null>((resolve) => canvas.toBlob(resolve));
  if (!picture) throw new Error(words.errors.TOO_LARGE);
  save(`${name}.png`, picture);
}

/** The page as it is shown: its elements and its style, as wide as the window, so that it is laid out as here. */
function pageAsSvg(): SVGSVGElement {
  const page = document.body.cloneNode(true) as HTMLElement;
  page.dir = document.documentElement.dir;
  const here = [...document.body.querySelectorAll<HTMLElement>('*')];
  // What a copy has not: drawings, choices, places scrolled to, and heights that follow from the window's.
  for (const [index, copy] of [...page.querySelectorAll<HTMLElement>('*')].entries()) {
    const element = here[index]!;
    if (element instanceof HTMLCanvasElement) {
      const drawn = h('img', { src: element.toDataURL() });
      drawn.style.cssText = 'display: block; width: 100%; height: 100%';
      copy.replaceWith(drawn);
    } else if (element instanceof HTMLOptionElement) copy.toggleAttribute('selected', element.selected);
    else if (element instanceof HTMLInputElement && element.type === 'checkbox') copy.toggleAttribute('checked', element.checked);
    else if (element instanceof HTMLInputElement) copy.setAttribute('value', element.type === 'password' ? '' : element.value);
    else if (element.classList.contains('plot')) copy.closest<HTMLElement>('.panel')?.style.setProperty('--plot', `${element.clientHeight}px`);
    else if (element.classList.contains('scroll')) {
      copy.style.overflow = 'hidden';
      const { scrollLeft, scrollTop } = element;
      if (copy.firstElementChild) (copy.firstElementChild as HTMLElement).style.transform = `translate(${-scrollLeft}px, ${-scrollTop}px)`;
      // The first column stays.
      if (scrollLeft) for (const cell of copy.querySelectorAll<HTMLElement>('th:first-child')) cell.style.transform = `translateX(${scrollLeft}px)`;
    } else if (element.matches('header nav, .tools')) copy.style.visibility = 'hidden';
    else if (element.matches('noscript, dialog')) copy.remove();
  }
  const root = getComputedStyle(document.documentElement);
  const { clientWidth, scrollHeight } = document.documentElement;
  const svg = document.createElementNS('http://www.w3.org/2000/svg', 'svg');
  const place = document.createElementNS('http://www.w3.org/2000/svg', 'foreignObject');
  for (const [name, value] of Object.entries({ width: innerWidth, height: scrollHeight })) svg.setAttribute(name, String(value));
  for (const [name, value] of Object.entries({ width: clientWidth, height: scrollHeight })) place.setAttribute(name, String(value));
  // Images do not know the theme.
  const style = document.querySelector('style')!.textContent;
  for (const name of new Set(style.match(/--[a-z-]+/g))) if (root.getPropertyValue(name)) svg.style.setProperty(name, root.getPropertyValue(name));
  svg.style.colorScheme = matchMedia('(prefers-color-scheme: dark)').matches ? 'dark' : 'light';
  place.append(h('style', {}, style), page);
  svg.append(place);
  return svg;
}
