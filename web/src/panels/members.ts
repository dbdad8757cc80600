// Members, a page at a time.
import type { MemberSegment, MembersQuery, UserVisitsOrderField } from '../documents';
import { fill, h } from '../dom';
import { NONE, count, instant, localDate } from '../format';
import { rowsOf } from '../gateway';
import { cell, type Sheet } from '../sheet';
import { PAGE_SIZE, SEGMENTS, type View } from '../view';
import { Panel } from './panel';

type Page = NonNullable<MembersQuery['members']>;
type Member = Page['nodes'][number];

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
export const panel = new Panel('members', sheet);
const list = h('div');

const COLUMNS: [string, UserVisitsOrderField | null][] = [
  ['Id', 'USER_ID'],
  ['Name', null],
  ['Segment', null],
  ['Visits', 'VISITS'],
  ['Codes', 'TOKENS_ISSUED'],
  ['Joined', 'JOINED_AT'],
  ['First visit', 'FIRST_VISIT_AT'],
  ['Last visit', 'LAST_VISIT_AT'],
  ['Membership', null],
];
const NAMES = new Map<MemberSegment, string>(SEGMENTS);

export function show(page: Page, view: View, change: (to: Partial<View>) => void): void {
  shown = view;
  // What is being typed stays.
  if (!panel.body.contains(list)) panel.body.replaceChildren(controls(change), list);
  update(view);
  const focused = document.activeElement instanceof HTMLElement && panel.body.contains(document.activeElement) ? document.activeElement.dataset.name : undefined;
  fill(list, page.totalCount ? table(page, view, change) : h('p', { class: 'empty' }, 'No such members.'), pager(page, change));
  if (focused) panel.body.querySelector<HTMLElement>(`[data-name="${focused}"]`)?.focus();
}

function controls(change: (to: Partial<View>) => void): HTMLFormElement {
  const firstPage = { after: '', before: '' };
  const segment = h(
    'select',
    { name: 'segment', onchange: () => change({ segment: segment.value as View['segment'], ...firstPage }) },
    h('option', { value: 'ALL' }, 'All'),
    ...SEGMENTS.map(([value, name]) => h('option', { value }, name)),
  );
  const search = h('input', { type: 'search', name: 'member', inputmode: 'numeric', pattern: '[0-9]*', placeholder: 'Any', size: 8, title: 'A number' });
  const find = (event: Event) => {
    event.preventDefault();
    if (search.reportValidity()) change({ member: Math.min(Number(search.value), 2_147_483_647), ...firstPage });
  };
  search.addEventListener('change', find);
  return h('form', { class: 'controls', 'aria-label': 'Which members', onsubmit: find }, h('label', {}, 'Segment ', segment), h('label', {}, 'Id ', search));
}

function update({ segment, member }: View): void {
  const form = panel.body.querySelector('form')!;
  (form.elements.namedItem('segment') as HTMLSelectElement).value = segment;
  const search = form.elements.namedItem('member') as HTMLInputElement;
  if (document.activeElement !== search) search.value = member ? String(member) : '';
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
    { class: 'scroll', tabindex: '0', role: 'region', 'aria-label': 'Members, the table' },
    h(
      'table',
      { class: 'members' },
      h('caption', { class: 'unseen' }, 'Members'),
      h('thead', {}, h('tr', {}, ...head)),
      h('tbody', {}, ...nodes.map((member) => h('tr', {}, ...cells(member, view.zone).map(({ text }, index) => (index ? h('td', {}, text) : h('th', { scope: 'row' }, text)))))),
    ),
  );
}

function pager({ pageInfo, totalCount }: Page, change: (to: Partial<View>) => void): HTMLElement {
  const { hasNextPage, hasPreviousPage, startCursor, endCursor } = pageInfo;
  const turn = (name: string, to: Partial<View>, isThere: boolean) => h('button', { type: 'button', 'data-name': name, disabled: !isThere, onclick: () => change(to) }, name);
  return h(
    'p',
    { class: 'pager' },
    h('span', {}, `${count(totalCount)} ${totalCount === 1 ? 'member' : 'members'}, ${PAGE_SIZE} on a page`),
    turn('First', { after: '', before: '' }, hasPreviousPage),
    turn('Previous', { after: '', before: startCursor ?? '' }, hasPreviousPage),
    turn('Next', { after: endCursor ?? '', before: '' }, hasNextPage),
  );
}

const MEMBERSHIPS = new Map([[true, 'current'], [false, 'ended']]);

function cells({ userId, user, segment, visits, tokensIssued, joinedAt, firstVisitAt, lastVisitAt, isActive }: Member, zone: string) {
  const day = (at: string | null | undefined) => (at ? cell(instant(at, zone, { day: 'numeric', month: 'short', year: 'numeric' }), localDate(Date.parse(at), zone)) : cell(NONE, null));
  return [
    cell(String(userId), userId),
    cell(user ? `${user.firstName} ${user.lastName}` : NONE, user ? `${user.firstName} ${user.lastName}` : null),
    cell(NAMES.get(segment) ?? segment, segment),
    cell(count(visits), visits),
    cell(count(tokensIssued), tokensIssued),
    day(joinedAt),
    day(firstVisitAt),
    day(lastVisitAt),
    cell(MEMBERSHIPS.get(isActive ?? true) ?? NONE, isActive === null || isActive === undefined ? null : MEMBERSHIPS.get(isActive)!),
  ];
}

/** All that are listed, not only those on the page. */
async function sheet(): Promise<Sheet> {
  const columns = COLUMNS.map(([name]) => name);
  if (!shown) return { caption: 'Members', columns, rows: [] };
  const { zone, segment, member, sort, direction } = shown;
  const asked = { time_zone: zone, order_by: sort, direction, ...(segment === 'ALL' ? {} : { segment }), ...(member ? { user_ids: String(member) } : {}) };
  const rows = await rowsOf<Row>('members', asked);
  return { caption: 'Members', columns, rows: rows.map((row) => cells(memberOf(row), zone)) };
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
