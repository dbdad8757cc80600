// What all parts of the page have in common.
import { byId, h } from '../dom';
import { saveCsv, savePng } from '../save';
import type { Sheet } from '../sheet';

/** A part of the page: a place for its content, and buttons that save it. */
export class Panel {
  readonly element: HTMLElement;
  readonly body: HTMLElement;
  #note: HTMLElement;
  #problem = h('p', { class: 'notice', role: 'status', hidden: true });

  constructor(id: string, sheet: () => Sheet) {
    this.element = byId(id);
    this.body = this.element.querySelector<HTMLElement>('.body') ?? this.element;
    const title = this.element.querySelector('h2');
    const name = `coworking-${id}`;
    const about = `Save “${title?.textContent}”`;
    this.#note = this.element.querySelector<HTMLElement>('.note') ?? h('p', { class: 'note' });
    this.#note.after(this.#problem);
    title?.after(
      h(
        'p',
        { class: 'tools' },
        h('button', { type: 'button', 'aria-label': `${about} as CSV`, onclick: () => saveCsv(name, sheet()) }, 'CSV'),
        h('button', { type: 'button', 'aria-label': `${about} as PNG`, onclick: () => void savePng(name, this.element) }, 'PNG'),
      ),
    );
  }

  /** What the numbers are of, in a sentence. */
  note(text: string): void {
    this.#note.textContent = text;
  }

  /** Why there are none. */
  problem(...content: (Node | string)[]): void {
    this.#problem.replaceChildren(...content);
    this.#problem.hidden = content.length === 0;
    this.body.hidden = content.length > 0;
  }
}
