// Members, a page at a time.
import type { DashboardQuery, MemberSegment, MembersQuery, UserVisitsOrderField } from '../documents';
import { fill, h } from '../dom';
import { NONE, count as text, instant, localDate } from '../format';
import { rowsOf } from '../gateway';
import { cell, type Sheet } from '../sheet';
import { PAGE_SIZE, SEGMENTS, type View } from '../view';
import { words } from '../words';
import { Panel } from './panel';

type Page = NonNullable<MembersQuery['members']>;
type Member = Page['nodes'][number];
type Sizes = NonNullable<DashboardQuery['segments']>;

/** A member as REST has it. */
interface Row {
  user_id: number;
  first_name: string | null;
  last_name: string | null;
  segment: MemberSegment;
  visits: number;
  tokens_issued: number;
  joined_at: string | null;
  first_visit_at: string | null;
  last_visit_at: string | null;
  is_active: boolean;
}

let shown: View | undefined;
/** How many members are in each segment. */
let sizes: Sizes = [];
/** A search begins when nobody typed for so long, in milliseconds. */
const PAUSE = 300;

export const panel = new Panel('members', sheet);
/** How many were found, for those who do not see it. */
const told = h('p', { class: 'unseen', role: 'status' });
const list = h('div');

const COLUMNS: [string, UserVisitsOrderField | null][] = [
  [words.members.id, 'USER_ID'],
  [words.members.name, null],
  [words.members.segment, null],
  [words.members.visits, 'VISITS'],
  [words.members.codes, 'TOKENS_ISSUED'],
  [words.members.joined, 'JOINED_AT'],
  [words.members.first, 'FIRST_VISIT_AT'],
  [words.members.last, 'LAST_VISIT_AT'],
  [words.members.membership, null],
];

export function count(found: Sizes): void {
  sizes = found;
  if (shown && panel.body.contains(list)) update(shown);
}

/** Of all segments but the new members, who are in one of the others as well, come all members. */
function sizeOf(segment: View['segment'], isWithEnded: boolean): number {
  return sizes
    .filter((each) => (segment === 'ALL' ? each.segment !== 'NEW' : each.segment === segment))
    .reduce((sum, { members, activeMembers }) => sum + (isWithEnded ? members : activeMembers), 0);
}

export function show(page: Page, view: View, change: (to: Partial<View>) => void): void {
  shown = view;
  // What is being typed stays.
  if (!panel.body.contains(list)) panel.body.replaceChildren(controls(change), told, list);
  update(view);
  told.textContent = view.name ? found(page.totalCount) : '';
  const focused = document.activeElement instanceof HTMLElement && panel.body.contains(document.activeElement) ? document.activeElement.dataset.name : undefined;
  fill(list, page.totalCount ? table(page, view, change) : h('p', { class: 'empty' }, words.members.none), pager(page, change));
  if (focused) panel.body.querySelector<HTMLElement>(`[data-name="${focused}"]`)?.focus();
}

function controls(change: (to: Partial<View>) => void): HTMLFormElement {
  const firstPage = { after: '', before: '' };
  const segments = SEGMENTS.map((segment) => h('button', { type: 'button', value: segment, onclick: () => change({ segment, ...firstPage }) }));
  const ended = h('input', { type: 'checkbox', name: 'ended', onchange: () => change({ ended: ended.checked, ...firstPage }) });
  const search = h('input', { type: 'search', name: 'member', inputmode: 'numeric', pattern: '[0-9]*', placeholder: words.members.any, size: 8, title: words.members.aNumber });
  const find = (event: Event) => {
    event.preventDefault();
    clearTimeout(typing);
    if (search.reportValidity()) change({ member: Math.min(Number(search.value), 2_147_483_647), name: asName(name.value), ...firstPage });
  };
  let typing: ReturnType<typeof setTimeout> | undefined;
  const name = h('input', {
    type: 'search',
    name: 'name',
    maxlength: 101,
    autocomplete: 'off',
    spellcheck: 'false',
    placeholder: words.members.any,
    size: 16,
    title: words.members.inNames,
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => change({ name: asName(name.value), ...firstPage }), PAUSE);
    },
  });
  search.addEventListener('change', find);
  return h(
    'form',
    { class: 'controls', 'aria-label': words.members.which, onsubmit: find },
    h('div', { class: 'segments', role: 'group', 'aria-label': words.members.segment }, ...segments),
    h('label', {}, ended, words.members.endedToo),
    h('label', {}, `${words.members.name} `, name),
    h('label', {}, `${words.members.id} `, search),
    // Enter in a field searches at once.
    h('button', { class: 'unseen', tabindex: '-1', 'aria-hidden': 'true' }),
  );
}

/** What names can contain. */
const asName = (typed: string) => typed.replace(/[\p{Cc}\ufffd-\uffff]/gu, '').trim();

function update({ segment, ended, member, name }: View): void {
  const form = panel.body.querySelector('form')!;
  for (const button of form.querySelectorAll<HTMLButtonElement>('.segments button')) {
    const value = button.value as View['segment'];
    button.replaceChildren(words.segments[value], ...(sizes.length && !name ? [' ', h('b', {}, text(sizeOf(value, ended)))] : []));
    button.setAttribute('aria-pressed', String(value === segment));
  }
  (form.elements.namedItem('ended') as HTMLInputElement).checked = ended;
  const search = form.elements.namedItem('member') as HTMLInputElement;
  if (document.activeElement !== search) search.value = member ? String(member) : '';
  const named = form.elements.namedItem('name') as HTMLInputElement;
  if (document.activeElement !== named) named.value = name;
}

function table({ nodes }: Page, view: View, change: (to: Partial<View>) => void): HTMLElement {
  const head = COLUMNS.map(([name, field]) => {
    if (!field) return h('th', { scope: 'col' }, name);
    const isSorted = view.sort === field;
    const isAscending = view.direction === 'ASC';
    const order = isSorted ? (isAscending ? 'ascending' : 'descending') : 'none';
    const turn = () => change({ sort: field, direction: isSorted === isAscending ? 'DESC' : 'ASC', after: '', before: '' });
    return h('th', { scope: 'col', 'aria-sort': order }, h('button', { type: 'button', 'data-name': field, onclick: turn }, name));
  });
  return h(
    'div',
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': words.chart.theTable(words.page.members) },
    h(
      'table',
      { class: 'members' },
      h('caption', { class: 'unseen' }, words.page.members),
      h('thead', {}, h('tr', {}, ...head)),
      h('tbody', {}, ...nodes.map((member) => h('tr', {}, ...cells(member, view.zone).map(({ text }, index) => (index ? h('td', {}, text) : h('th', { scope: 'row' }, text)))))),
    ),
  );
}

const found = (members: number) => words.members.count(members, text(members), PAGE_SIZE);

function pager({ pageInfo, totalCount }: Page, change: (to: Partial<View>) => void): HTMLElement {
  const { hasNextPage, hasPreviousPage, startCursor, endCursor } = pageInfo;
  const turn = (name: string, to: Partial<View>, isThere: boolean) => h('button', { type: 'button', 'data-name': name, disabled: !isThere, onclick: () => change(to) }, name);
  return h(
    'p',
    { class: 'pager' },
    h('span', {}, found(totalCount)),
    turn(words.members.firstPage, { after: '', before: '' }, hasPreviousPage),
    turn(words.members.previousPage, { after: '', before: startCursor ?? '' }, hasPreviousPage),
    turn(words.members.nextPage, { after: endCursor ?? '', before: '' }, hasNextPage),
  );
}

const MEMBERSHIPS = new Map([[true, words.members.current], [false, words.members.ended]]);

function cells({ userId, user, segment, visits, tokensIssued, joinedAt, firstVisitAt, lastVisitAt, isActive }: Member, zone: string) {
  const day = (at: string | null | undefined) => (at ? cell(instant(at, zone, { day: 'numeric', month: 'short', year: 'numeric' }), localDate(Date.parse(at), zone)) : cell(NONE, null));
  return [
    cell(String(userId), userId),
    cell(user ? `${user.firstName} ${user.lastName}` : NONE, user ? `${user.firstName} ${user.lastName}` : null),
    cell(words.segments[segment], segment),
    cell(text(visits), visits),
    cell(text(tokensIssued), tokensIssued),
    day(joinedAt),
    day(firstVisitAt),
    day(lastVisitAt),
    cell(MEMBERSHIPS.get(isActive ?? true) ?? NONE, isActive === null || isActive === undefined ? null : MEMBERSHIPS.get(isActive)!),
  ];
}

/** All that are listed, not only those on the page. */
async function sheet(): Promise<Sheet> {
  const columns = COLUMNS.map(([name]) => name);
  if (!shown) return { caption: words.page.members, columns, rows: [] };
  const { zone, segment, ended, member, name, sort, direction } = shown;
  const asked = { time_zone: zone, order_by: sort, direction, ...(segment === 'ALL' ? {} : { segment }), ...(member ? { user_ids: String(member) } : ended ? {} : { is_active: 'true' }), ...(name ? { name_contains: name } : {}) };
  const rows = await rowsOf<Row>('members', asked);
  return { caption: words.page.members, columns, rows: rows.map((row) => cells(memberOf(row), zone)) };
}

const memberOf = (row: Row): Member => ({
  userId: row.user_id,
  user: row.first_name === null || row.last_name === null ? null : { firstName: row.first_name, lastName: row.last_name },
  segment: row.segment,
  visits: row.visits,
  tokensIssued: row.tokens_issued,
  joinedAt: row.joined_at,
  firstVisitAt: row.first_visit_at,
  lastVisitAt: row.last_visit_at,
  isActive: row.is_active,
});
