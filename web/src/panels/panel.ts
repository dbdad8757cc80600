// What all parts of the page have in common.
import { byId, h } from '../dom';
import { saveCsv, savePng } from '../save';
import type { Sheet } from '../sheet';
import { words } from '../words';

/** A part of the page: a place for its content, and buttons that save it. */
export class Panel {
  readonly element: HTMLElement;
  readonly body: HTMLElement;
  #note: HTMLElement;
  #problem = h('p', { class: 'notice', role: 'status', hidden: true });

  constructor(id: string, sheet: () => Sheet | Promise<Sheet>) {
    this.element = byId(id);
    this.body = this.element.querySelector<HTMLElement>('.body') ?? this.element;
    const title = this.element.querySelector('h2');
    const name = `coworking-${id}`;
    const about = title?.textContent ?? '';
    this.#note = this.element.querySelector<HTMLElement>('.note') ?? h('p', { class: 'note' });
    this.#note.after(this.#problem);
    title?.after(
      h(
        'p',
        { class: 'tools' },
        h('button', { type: 'button', 'aria-label': words.save.csv(about), onclick: (event) => this.#save(event, async () => saveCsv(name, await sheet())) }, 'CSV'),
        h('button', { type: 'button', 'aria-label': words.save.png(about), onclick: (event) => this.#save(event, () => savePng(name, this.element)) }, 'PNG'),
      ),
    );
  }

  /** What the numbers are of, in a sentence. */
  note(text: string): void {
    this.#note.textContent = text;
  }

  /** Makes a file, once at a time; says why there is none. */
  async #save({ currentTarget }: Event, make: () => Promise<void>): Promise<void> {
    const button = currentTarget as HTMLButtonElement;
    button.disabled = true;
    try {
      await make();
    } catch (error) {
      this.#problem.replaceChildren(words.problem.noFile(error instanceof Error ? error.message : ''));
      this.#problem.hidden = false;
    } finally {
      button.disabled = false;
    }
  }

  /** Why there are none. */
  problem(...content: (Node | string)[]): void {
    this.#problem.replaceChildren(...content);
    this.#problem.hidden = content.length === 0;
    this.body.hidden = content.length > 0;
  }
}
