// In which language the page speaks: that of the link (`?lang=de`), else the first of the reader's that it knows, else
// English. Another language is another file here, which only its readers load.
import { en } from './en';

/** What the page says. Other languages have all of it, or do not compile. */
export type Words = typeof en;

const CATALOGUES: Record<string, () => Promise<Words>> = {
  de: async () => (await import('./de')).de,
  en: async () => en,
  he: async () => (await import('./he')).he,
};

const languageOf = (tag: string) => {
  try {
    return new Intl.Locale(tag).language;
  } catch {
    return '';
  }
};
const isKnown = (tag: string) => Object.hasOwn(CATALOGUES, languageOf(tag));

const asked = new URLSearchParams(location.search).get('lang') ?? '';
/** The language of the link; empty where it names none that the page knows. */
export const linked = isKnown(asked) ? asked : '';
const reader = navigator.languages;
const found = [...(linked ? [...reader.filter((tag) => languageOf(tag) === linked), linked] : reader)].find(isKnown);

/** English for all the world has days before months. */
const ENGLISH = 'en-150';
// Without its words, the page is in English rather than not there.
const loaded = await CATALOGUES[languageOf(found ?? ENGLISH)]!().catch(() => undefined);

/** Where numbers and dates are written as the words are. */
export const locale = loaded ? (found ?? ENGLISH) : ENGLISH;
export const words: Words = loaded ?? en;

type Week = { firstDay: number };
type Text = { direction: string };
type Here = Intl.Locale & { getWeekInfo?: () => Week; weekInfo?: Week; getTextInfo?: () => Text; textInfo?: Text };

const here = new Intl.Locale(found ?? reader[0] ?? locale) as Here;
/** The day on which the reader's weeks begin; Monday is 0. */
export const firstDay = ((here.getWeekInfo?.() ?? here.weekInfo)?.firstDay ?? 1) - 1;

// The page as it was sent is in English.
const written = new Intl.Locale(locale) as Here;
document.documentElement.lang = locale;
if ((written.getTextInfo?.() ?? written.textInfo)?.direction === 'rtl') document.documentElement.dir = 'rtl';
const said = (name: string | undefined) => words.page[name as keyof Words['page']];
for (const element of document.querySelectorAll<HTMLElement>('[data-words]')) element.textContent = said(element.dataset.words);
for (const element of document.querySelectorAll<HTMLElement>('[data-label]')) element.setAttribute('aria-label', said(element.dataset.label));
