// The page: one question for all of it, asked anew when the view changes and when the data does.
import './style.css';
import { Dashboard, type DashboardQuery, Live as LiveDocument, Members, Today } from './documents';
import { byId, h } from './dom';
import { instant } from './format';
import { type Answer, type Connection, Live, type Problem, ask, key, sentence } from './gateway';
import { all as allNotes, keep as keepNotes } from './notes';
import * as active from './panels/active';
import * as funnel from './panels/funnel';
import * as growth from './panels/growth';
import * as heatmap from './panels/heatmap';
import * as members from './panels/members';
import * as month from './panels/month';
import type { Panel } from './panels/panel';
import * as retention from './panels/retention';
import * as today from './panels/today';
import * as usage from './panels/usage';
import * as verdict from './panels/verdict';
import { savePng } from './save';
import { zone as zoneOfSpace } from './space';
import { words } from './words';
import { BASES, COMPARISONS, GRANULARITIES, MEASURES, RANGES, type View, addDays, address, isDrawable, ofMembers, ownZone, read, readersZone, today as todayIn, variables } from './view';

/** After an answer that took long, the next one is not asked for too soon. */
const REST = { least: 1_000, times: 4, afterProblem: 10_000 };
/** Days and hours end with a quarter of an hour. */
const QUARTER = 15 * 60_000;

let view = read(location.search);
/** Whether members may be asked for: what is refused once is not asked again, so that the answer can be kept. */
let withMembers = true;
let current = new AbortController();
let took = 0;
let isAsking = false;
let isAskedAgain = false;
let lastAsked = 0;
/** The day of the first door code ever: before it, nothing can be compared. */
let recordedFrom: string | null = null;

// -- Controls

const form = byId<HTMLFormElement>('controls');
const field = (name: string) => form.elements.namedItem(name) as HTMLSelectElement | HTMLInputElement;
const option = (value: string, text: string) => h('option', { value }, text);

function fillControls(): void {
  field('range').replaceChildren(...([...RANGES, 'CUSTOM'] as const).map((value) => option(value, words.ranges[value])));
  field('basis').replaceChildren(...BASES.map((value) => option(value, words.bases[value])));
  field('measure').replaceChildren(...MEASURES.map((value) => option(value, words.measures[value])));
  field('compare').replaceChildren(...COMPARISONS.map((value) => option(value, words.comparisons[value])));
  field('by').replaceChildren(...(['AUTO', ...GRANULARITIES] as const).map((value) => option(value, words.granularities[value])));
}

/** All four hundred of them: once there is time for that. */
function fillZones(): void {
  const zones = new Set([view.zone, ownZone, 'UTC', ...Intl.supportedValuesOf('timeZone')]);
  field('zone').replaceChildren(...[...zones].sort().map(zoneOption));
  field('zone').value = view.zone;
}

const zoneName = (zone: string) => zone.replaceAll('_', ' ');
const zoneOption = (zone: string) => option(zone, zoneName(zone));

function showControls(): void {
  for (const name of ['range', 'from', 'to', 'by', 'measure', 'compare', 'basis'] as const) field(name).value = view[name];
  const zone = field('zone') as HTMLSelectElement;
  if (![...zone.options].some(({ value }) => value === view.zone)) zone.append(zoneOption(view.zone));
  zone.value = view.zone;
  // Whose days and hours these are, where they are not the reader's.
  const isUnknown = !readersZone && view.zone === 'UTC';
  byId('zone-note').textContent = isUnknown ? words.page.zoneUnknown : words.zoneOf(zoneName(view.zone));
  byId('zone-note').hidden = isUnknown ? zoneOfSpace === view.zone : view.zone === readersZone;
  document.body.classList.toggle('month', view.month !== '');
  month.link(view);
  form.classList.toggle('custom', view.range === 'CUSTOM');
  for (const choice of (field('by') as HTMLSelectElement).options) choice.disabled = choice.value !== 'AUTO' && !isDrawable(view, choice.value as never);
  byId<HTMLAnchorElement>('query').href = `/graphiql#${new URLSearchParams({ query: Dashboard.text, variables: JSON.stringify(variables({ ...view, name: '' }, withMembers), null, 2) })}`;
}

form.addEventListener('submit', (event) => event.preventDefault());
form.addEventListener('change', () => {
  const chosen = Object.fromEntries(new FormData(form)) as unknown as View;
  if (chosen.range === 'CUSTOM' && view.range !== 'CUSTOM') {
    // Begins with what is shown.
    const to = todayIn(view.zone);
    Object.assign(chosen, { to, from: addDays(to, -29) });
  }
  const { range, from, to } = chosen;
  const problem = range !== 'CUSTOM' ? '' : !from || !to ? words.problem.twoDates : from > to ? words.problem.endsTooSoon : '';
  (field('to') as HTMLInputElement).setCustomValidity(problem);
  if (form.reportValidity()) go(chosen);
});

// -- Going somewhere

function go(change: Partial<View>): void {
  const next = { ...view, ...change };
  if (next.range !== 'CUSTOM') Object.assign(next, { from: '', to: '' });
  if (next.by !== 'AUTO' && !isDrawable(next, next.by)) next.by = 'AUTO';
  // A key that is pressed in a field, and leaving that field, are one change.
  const [here, there] = [address(view), address(next)];
  if (here === there && next.name === view.name) return;
  view = next;
  if (here !== there) history.pushState(null, '', there);
  const isOfMembers = Object.keys(change).every((name) => ['segment', 'ended', 'member', 'name', 'sort', 'direction', 'after', 'before'].includes(name));
  void (isOfMembers ? loadMembers() : load());
}

addEventListener('popstate', () => {
  view = { ...read(location.search), name: view.name };
  void load();
});

/** Asks for everything, and follows it. */
async function load(): Promise<void> {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  isAsking = isAskedAgain = false;
  const refreshed = refresh(signal);
  // While the gateway looks.
  showControls();
  byId('notice').hidden = true;
  document.body.setAttribute('aria-busy', 'true');
  await refreshed;
  if (!signal.aborted) follow(signal);
}

async function refresh(signal: AbortSignal): Promise<void> {
  if (isAsking) {
    isAskedAgain = true;
    return;
  }
  isAsking = true;
  const asked = view;
  lastAsked = performance.now();
  const answer = await ask(Dashboard, variables(asked, withMembers && !asked.month), signal, asked.name !== '').catch(() => undefined);
  // Something else is looked at by now.
  if (!answer || signal.aborted) return;
  took = performance.now() - lastAsked;
  isAsking = false;
  document.body.removeAttribute('aria-busy');
  if (isAskedAgain) later(signal);
  else if (answer.errors.some(isPassing)) later(signal, REST.afterProblem);
  isAskedAgain = false;
  show(answer, asked === view);
}

/** Asks again, soon; more calls than one are one. */
let timer: ReturnType<typeof setTimeout> | undefined;
function later(signal: AbortSignal, least = REST.least): void {
  clearTimeout(timer);
  const rest = Math.max(least, REST.times * took) - (performance.now() - lastAsked);
  timer = setTimeout(() => signal.aborted || void refresh(signal), Math.max(rest, 0));
}

async function loadMembers(): Promise<void> {
  showControls();
  const asked = view;
  const answer = await ask(Members, ofMembers(asked), current.signal, asked.name !== '').catch(() => undefined);
  if (!answer || asked !== view) return;
  if (answer.data?.members) members.show(answer.data.members, view, go);
  part(members.panel, answer.errors, 'members');
}

// -- Live

const connection = byId('live');

let told: Connection = 'connecting';
/** Whether the page was refused its numbers: then an open connection brings none either. */
let needsKey = false;

function showConnection(): void {
  const isKeyMissing = told === 'live' && needsKey;
  connection.dataset.state = isKeyMissing ? 'refused' : told;
  connection.firstElementChild!.textContent = words.connection[isKeyMissing ? 'needsKey' : told];
  showAge();
}

function tell(state: Connection): void {
  const wasLost = told === 'lost';
  told = state;
  showConnection();
  // What was missed.
  if (state === 'live' && wasLost) later(current.signal);
}

const live = new Live(tell);

function follow(signal: AbortSignal): void {
  live.clear();
  const { filter, granularity, weekStart, timeZone, basis, averageOver, compareTo, withVisitors } = variables(view, false);
  const asked = view;
  let isFirstToday = true;
  live.follow(LiveDocument, { filter, granularity, weekStart, timeZone, basis, averageOver, compareTo, withVisitors }, ({ usage: found }) => {
    if (signal.aborted || !found) return;
    // What differs from the rest of the page makes that be asked for.
    if (showUsage(found, asked)) later(signal);
    fresh();
  });
  live.follow(Today, { timeZone }, () => {
    if (!isFirstToday && !signal.aborted) later(signal);
    isFirstToday = false;
  });
}

/** When the numbers were the gateway's, last. */
let age = 0;

function fresh(): void {
  age = Date.now();
  showAge();
}

function showAge(): void {
  const time = connection.querySelector('time')!;
  if (!age) return;
  time.dateTime = new Date(age).toISOString();
  time.textContent = words.updated(instant(age, view.zone, { hour: 'numeric', minute: '2-digit' }));
}

setTimeout(function turn() {
  later(current.signal);
  setTimeout(turn, QUARTER - (Date.now() % QUARTER) + 1_000);
}, QUARTER - (Date.now() % QUARTER) + 1_000);

// -- Showing

let shownUsage = '';
/** What the numbers on the page are of; members apart. */
let shownRange = '';
const rangeOf = ({ range, from, to, month, by, measure, compare, basis, zone }: View) => [range, from, to, month, by, measure, compare, basis, zone].join();

/** Whether there was something new to show. */
function showUsage(found: usage.Usage, asked: View): boolean {
  const text = JSON.stringify([found, rangeOf(asked), allNotes()]);
  const isNew = text !== shownUsage;
  if (isNew) usage.show(found, asked, recordedFrom);
  shownUsage = text;
  shownRange = rangeOf(asked);
  return isNew;
}

/** Shows an answer; its members only if nobody turned their page meanwhile. */
function show({ data, errors }: Answer<DashboardQuery>, hasMembers: boolean): void {
  const timeZone = view.zone;
  const isEmpty = Object.values(data ?? {}).every((report) => report === null);
  // Of what befell everything, one word is enough.
  const general = isEmpty ? errors : errors.filter(({ path }) => !path?.length);
  const refused = errors.find(({ extensions }) => extensions?.code === 'UNAUTHENTICATED' || extensions?.code === 'FORBIDDEN');
  const notice = byId('notice');
  if (data?.heatmap) recordedFrom = data.heatmap.recordedFrom ?? null;
  if (data?.notes) keepNotes(data.notes);
  if (data?.usage) showUsage(data.usage, view);
  const isStale = shownRange !== '' && shownRange !== rangeOf(view);
  document.body.classList.toggle('stale', isStale);
  notice.hidden = general.length === 0;
  notice.replaceChildren(...general.slice(0, 1).map(explain), isStale ? ` ${words.problem.stale}` : '');
  needsKey = isEmpty && refused !== undefined;
  // There is nothing to wait for.
  document.body.classList.toggle('closed', needsKey && !age);
  showConnection();
  if (data && view.month) month.show(data, view, recordedFrom);
  else if (data?.thisMonth && data.thisWeek) verdict.show(data.thisMonth, data.thisWeek, recordedFrom);
  else if (!age) verdict.unknown();
  if (data?.today && data.usual && data.heatmap) today.show(data.today, data.usual, timeZone, recordedFrom);
  if (data?.heatmap) heatmap.show(data.heatmap, view, data.hours?.busiest ?? null);
  if (data?.activeUsers) active.show(data.activeUsers, timeZone);
  if (data?.membership) growth.show(data.membership, timeZone, recordedFrom);
  if (data?.retention) retention.show(data.retention);
  if (data?.tokenFunnel) funnel.show(data.tokenFunnel);
  if (data?.segments) members.count(data.segments);
  if (data?.members && hasMembers) members.show(data.members, view, go);
  if (!general.length) {
    part(usage.panel, errors, 'usage');
    part(heatmap.panel, errors, 'heatmap');
    part(active.panel, errors, 'activeUsers');
    part(growth.panel, errors, 'membership');
    part(retention.panel, errors, 'retention');
    part(funnel.panel, errors, 'tokenFunnel');
    if (withMembers && hasMembers) part(members.panel, errors, 'members');
    fresh();
  }
  if (withMembers && refused?.path?.[0] === 'members' && data?.usage) {
    withMembers = false;
    showControls();
  }
}

/** A part of the answer that is missing, and why. */
function part(panel: Panel, errors: Problem[], name: string): void {
  const problem = errors.find(({ path }) => !path?.length || path[0] === name);
  panel.problem(...(problem ? [explain(problem)] : []));
}

/** What goes by itself. */
const PASSING = ['UNREACHABLE', 'SILENT', 'RATE_LIMITED', 'SERVICE_UNAVAILABLE', 'DATABASE_BUSY', 'REQUEST_TIMEOUT'];
const isPassing = ({ extensions }: Problem) => PASSING.includes(extensions?.code ?? '');

function explain(problem: Problem): Node {
  const { code, scope } = problem.extensions ?? {};
  if (code === 'UNAUTHENTICATED' || code === 'FORBIDDEN') {
    const text = scope ? words.problem.needsScope(scope) : sentence(problem);
    return h('span', {}, `${text} `, h('button', { type: 'button', onclick: askForKey }, words.problem.enterKey));
  }
  return h('span', {}, `${sentence(problem)} `, isPassing(problem) && h('button', { type: 'button', onclick: () => void load() }, words.problem.again));
}

// -- Buttons

const dialog = byId<HTMLDialogElement>('key-dialog');

function askForKey(): void {
  dialog.querySelector('input')!.value = '';
  dialog.returnValue = 'cancel';
  dialog.showModal();
}

// Only one button submits the form, so that Enter uses the key.
for (const button of dialog.querySelectorAll<HTMLButtonElement>('[type=button]')) button.addEventListener('click', () => dialog.close(button.value));
dialog.addEventListener('close', () => {
  const entered = dialog.querySelector('input')!.value.trim();
  if (dialog.returnValue === 'use' && entered) key.set(entered);
  else if (dialog.returnValue === 'forget') key.set('');
  else return;
  withMembers = true;
  live.reconnect();
  void load();
});

byId('key').addEventListener('click', askForKey);
byId('picture').addEventListener('click', () => void savePng('coworking-analytics', document.body));

fillControls();
void load().then(() => setTimeout(fillZones));
