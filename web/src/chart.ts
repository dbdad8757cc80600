// Charts over time: buckets side by side, each as wide as the others, whatever the clocks did.
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import { h } from './dom';
import { compact } from './format';
import type { Noted } from './notes';
import { type Sheet, tableOf } from './sheet';
import { words } from './words';

export interface Series {
  name: string;
  /** The custom property that has its colour. */
  color: string;
  /** What is only said is not drawn. */
  kind: 'bars' | 'behind' | 'line' | 'said';
  /** Of two bars side by side: this one is left (-1) or right (1). */
  side?: -1 | 1;
  values: (number | null)[];
  /** How high it is drawn, where that is not what it says: what stands on something else. */
  heights?: (number | null)[];
  /** Of another time than the bucket: what that is called. */
  times?: (string | null)[];
  format: (value: number | null) => string;
}

export interface Plot {
  /** What the buckets are called in full, and below the axis. */
  names: string[];
  ticks: string[];
  /** The buckets that deserve a tick, from the most to the least deserving ones. */
  tickLevels: number[][];
  /** Buckets that are not over, or of which the range has only a part. */
  isPartial: boolean[];
  /** How much there is of these, in words. */
  parts?: (string | null)[];
  series: Series[];
  /** What the space noted on dates of the buckets. */
  noted: Noted;
  /** What stands where nothing can be drawn. */
  empty: string | null;
}

type Size = Pick<HTMLElement, 'clientWidth' | 'clientHeight'>;

/** Wider than this, ticks can be told apart. */
const TICK_WIDTH = 64;
/** Bars narrower than this are drawn as a line. */
const BAR_WIDTH = 4;
/** More notes than these are in the table only. */
const MOST_NOTES = 8;

export class Chart {
  #readout = h('p', { class: 'readout' });
  #legend = h('ul', { class: 'legend' });
  #canvas: HTMLElement;
  #notes = h('ul', { class: 'notes', 'aria-label': words.chart.notes });
  #table = h('div', { class: 'scroll', tabindex: '0', role: 'region' });
  #details: HTMLDetailsElement;
  #drawn: uPlot | undefined;
  #plot: Plot | undefined;

  /** @param paper its size in pixels when it is printed. */
  constructor(host: HTMLElement, label: string, private sheet: () => Sheet, paper: Size) {
    this.#canvas = h('div', { class: 'plot', role: 'slider', tabindex: '0', 'aria-label': words.chart.keys(label) });
    this.#canvas.addEventListener('keydown', (event) => this.#step(event));
    this.#canvas.addEventListener('blur', () => this.#point(null));
    this.#table.setAttribute('aria-label', words.chart.asTable(label));
    this.#details = h('details', { ontoggle: () => this.#fillTable() }, h('summary', {}, words.chart.table), this.#table);
    host.replaceChildren(h('div', { class: 'caption' }, this.#legend, this.#readout), this.#canvas, this.#notes, this.#details);
    let width = 0;
    new ResizeObserver(() => {
      if (this.#canvas.clientWidth !== width) {
        width = this.#canvas.clientWidth;
        this.#draw();
      }
    }).observe(this.#canvas);
    matchMedia('(prefers-color-scheme: dark)').addEventListener('change', () => this.#draw());
    // Paper is light, and as wide as it is.
    for (const [event, isPaper] of [['beforeprint', true], ['afterprint', false]] as const) {
      addEventListener(event, () => {
        document.documentElement.classList.toggle('paper', isPaper);
        this.#draw(isPaper ? paper : undefined);
      });
    }
  }

  show(plot: Plot): void {
    this.#plot = plot;
    this.#legend.replaceChildren(
      ...inWords(plot).filter(({ kind }) => kind !== 'said').map(({ name, color, kind }) => h('li', { class: `swatch ${kind} ${color}` }, name)),
      ...(plot.isPartial.some(Boolean) ? [h('li', { class: 'swatch partial' }, words.chart.incomplete)] : []),
      ...(plot.noted.list.length ? [h('li', { class: 'swatch noted' }, words.chart.note)] : []),
    );
    const { list } = plot.noted;
    const more = list.length - MOST_NOTES;
    this.#notes.replaceChildren(...list.slice(0, MOST_NOTES).map((note) => h('li', {}, note)), ...(more > 0 ? [h('li', {}, words.chart.moreNotes(more))] : []));
    this.#notes.hidden = !list.length;
    this.#draw();
    this.#fillTable();
  }

  #fillTable(): void {
    if (this.#details.open) this.#table.replaceChildren(tableOf(this.sheet()));
  }

  #draw({ clientWidth: width, clientHeight: height }: Size = this.#canvas): void {
    const plot = this.#plot;
    if (!plot || !width) return;
    const at = this.#drawn?.cursor.idx ?? null;
    this.#drawn?.destroy();
    this.#drawn = undefined;
    this.#canvas.classList.toggle('empty', plot.empty !== null);
    this.#read(null);
    if (plot.empty !== null) {
      this.#canvas.replaceChildren(h('p', {}, plot.empty));
      return;
    }
    this.#canvas.replaceChildren();
    this.#drawn = new uPlot(this.#options(plot, width, height), [plot.names.map((_, index) => index), ...this.#bodies(plot), ...this.#tails(plot)], this.#canvas);
    // Whoever points at a bucket goes on doing so.
    if (at !== null && at < plot.names.length) this.#point(at);
  }

  /** Bars whole, lines without what is incomplete. */
  #bodies(plot: Plot): (number | null)[][] {
    return drawn(plot).map(({ kind, values, heights }) => (kind === 'line' ? values.map((value, index) => (plot.isPartial[index] ? null : value)) : (heights ?? values)));
  }

  /** Of lines, incomplete buckets and what leads to them: dashed. Beyond them, the future has no values. */
  #tails(plot: Plot): (number | null)[][] {
    const { isPartial } = plot;
    const isInTail = (index: number) => [index - 1, index, index + 1].some((at) => isPartial[at]);
    return lines(plot).map(({ values }) => values.map((value, index) => (isInTail(index) ? value : null)));
  }

  #options(plot: Plot, width: number, height: number): uPlot.Options {
    const style = getComputedStyle(this.#canvas);
    const color = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const font = `${Math.round(0.75 * Number.parseFloat(getComputedStyle(document.documentElement).fontSize))}px ${style.fontFamily}`;
    const number = plot.names.length;
    const isDense = width / number < BAR_WIDTH;
    const ticks = plot.tickLevels.find((level) => level.length * TICK_WIDTH <= width) ?? [];
    const bars = (series: Series): Partial<uPlot.Series> => {
      const fill = color(series.color);
      if (isDense) return { stroke: fill, width: series.kind === 'bars' ? 2 : 1, fill: `${fill}40`, points: { show: false } };
      const isBehind = series.kind === 'behind';
      const hatched = isBehind ? fill : hatch(fill, color('surface'));
      const fills = plot.isPartial.map((isPartial) => (isPartial ? hatched : fill));
      return {
        stroke: fill,
        width: 0,
        fill,
        points: { show: false },
        // Types know of strings only, canvases take patterns as well.
        paths: uPlot.paths.bars!({ size: isBehind ? [0.92, 90] : series.side ? [0.3, 27] : [0.56, 54], align: series.side ?? 0, disp: { fill: { unit: 3, values: () => fills as string[] } } }),
      };
    };
    const line = (series: Series, isTail = false): Partial<uPlot.Series> => ({
      stroke: color(series.color),
      width: 2,
      // What has no neighbours to be joined with.
      points: { show: true, size: 7, fill: color(series.color), filter: ({ data }, at) => lone(data[at] as (number | null)[]) },
      ...(isTail ? { dash: [4, 4] } : {}),
    });
    return {
      width,
      height,
      legend: { show: false },
      cursor: { y: false, points: { show: false }, drag: { x: false, y: false, setScale: false } },
      scales: { x: { time: false, range: () => [-0.5, number - 0.5] }, y: { range: (_, __, most) => [0, Math.max(1, (most ?? 0) * 1.08)] } },
      axes: [
        { splits: () => ticks, values: () => ticks.map((index) => plot.ticks[index] ?? ''), grid: { show: false }, ticks: { stroke: color('line'), size: 5 }, stroke: color('quiet'), font, size: 34 },
        { incrs: [1, 2, 5, 10, 20, 50, ...[1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8].flatMap((power) => [power, 2 * power, 5 * power])], values: (_, splits) => splits.map(compact), grid: { stroke: color('line'), width: 1 }, ticks: { show: false }, stroke: color('quiet'), font, size: 48 },
      ],
      series: [{}, ...drawn(plot).map((series) => (series.kind === 'line' ? line(series) : bars(series))), ...lines(plot).map((series) => line(series, true))],
      hooks: {
        setCursor: [(drawn) => this.#read(drawn.cursor.idx ?? null)],
        draw: [(drawn) => mark(drawn, plot.noted.marks, color('ink'))],
      },
    };
  }

  #step(event: KeyboardEvent): void {
    const last = (this.#plot?.names.length ?? 0) - 1;
    const at = this.#drawn?.cursor.idx ?? last + 1;
    const to = { ArrowLeft: at - 1, ArrowRight: at + 1, ArrowDown: at - 1, ArrowUp: at + 1, PageUp: at + 7, PageDown: at - 7, Home: 0, End: last }[event.key];
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.#point(Math.min(Math.max(to, 0), last));
  }

  #point(index: number | null): void {
    if (this.#drawn && index !== null) this.#drawn.setCursor({ left: this.#drawn.valToPos(index, 'x'), top: 0 });
    else if (this.#drawn) this.#drawn.setCursor({ left: -10, top: -10 });
    this.#read(index);
  }

  /** Says what the bucket under the cursor holds. */
  #read(index: number | null): void {
    const plot = this.#plot;
    if (!plot) return;
    const at = index ?? plot.names.length - 1;
    const values = inWords(plot).map(({ name, values, times, format }) => `${times?.[at] ?? name} ${format(values[at] ?? null)}`);
    const note = plot.noted.marks[at];
    if (note) values.push(`${words.chart.note} ${note}`);
    const text = plot.empty ?? `${plot.names[at]}${plot.isPartial[at] ? ` (${plot.parts?.[at] ?? words.chart.incomplete})` : ''}: ${values.join(' · ')}`;
    this.#readout.textContent = index === null ? '' : text;
    for (const [name, value] of [['now', at], ['min', 0], ['max', Math.max(plot.names.length - 1, 0)], ['text', text]] as const) {
      this.#canvas.setAttribute(`aria-value${name}`, String(value));
    }
  }
}

/** The places of values between none. */
const lone = (values: (number | null)[]) => values.flatMap((value, at) => (value !== null && [values[at - 1], values[at + 1]].every((next) => next === null || next === undefined) ? [at] : []));

const drawn = ({ series }: Plot) => series.filter(({ kind }) => kind !== 'said');

const lines = (plot: Plot) => (plot.isPartial.some(Boolean) ? plot.series.filter(({ kind }) => kind === 'line') : []);

/** What is drawn behind is drawn first, and said last. */
const inWords = ({ series }: Plot) => [...series.filter(({ kind }) => kind !== 'behind'), ...series.filter(({ kind }) => kind === 'behind')];

/** A bar at the top over the buckets with notes: one over those of the same. */
function mark({ ctx, bbox, valToPos }: uPlot, marks: string[], color: string): void {
  ctx.save();
  ctx.fillStyle = color;
  for (const [index, note] of marks.entries()) {
    if (!note || marks[index - 1] === note) continue;
    const end = marks.findIndex((other, at) => at > index && other !== note);
    const [left, right] = [valToPos(index - 0.5, 'x', true), valToPos((end < 0 ? marks.length : end) - 0.5, 'x', true)];
    const width = Math.max(right - left - 2 * devicePixelRatio, 3 * devicePixelRatio);
    ctx.fillRect((left + right - width) / 2, bbox.top, width, 4 * devicePixelRatio);
  }
  ctx.restore();
}

/** Stripes: what is incomplete. */
function hatch(color: string, surface: string): CanvasPattern {
  const ratio = devicePixelRatio;
  const size = Math.round(6 * ratio);
  const canvas = h('canvas', { width: size, height: size });
  const context = canvas.getContext('2d')!;
  context.fillStyle = surface;
  context.fillRect(0, 0, size, size);
  context.globalAlpha = 0.25;
  context.fillStyle = color;
  context.fillRect(0, 0, size, size);
  context.globalAlpha = 1;
  context.strokeStyle = color;
  context.lineWidth = 1.5 * ratio;
  context.beginPath();
  for (const offset of [-size, 0, size]) {
    context.moveTo(offset, size);
    context.lineTo(offset + size, 0);
  }
  context.stroke();
  return context.createPattern(canvas, 'repeat')!;
}
