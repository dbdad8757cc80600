// Elements, made and found.

type Child = Node | string | number | null | undefined | false;
type Attributes = Record<string, string | number | boolean | null | undefined | ((event: Event) => void)>;

/** An element; `on…` attributes are listeners, and those that are null or false are left out. */
export function h<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? '' : String(value));
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false).map((child) => (child instanceof Node ? child : String(child))));
  return element;
}

/** The element of the page with this id. */
export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const element = document.getElementById(id);
  if (!element) throw new Error(`the page has no #${id}`);
  return element as Kind;
}

/** Sets a custom property: what a policy without inline styles allows. */
export function styled<Kind extends HTMLElement>(element: Kind, property: string, value: number | string): Kind {
  element.style.setProperty(property, String(value));
  return element;
}

/** A cell as warm as `heat`, from 0 to 1, says; its class chooses a colour of text that can be read on it, in light and dark. */
export const heatCell = (heat: number, attributes: Attributes, text: string, more = '') =>
  styled(h('td', { class: [heat > 0.88 ? 'hot' : heat > 0.66 ? 'warm' : '', more].join(' ').trim() || null, ...attributes }, text), '--heat', heat);

/** Gives an element other content, scrolled as what it takes the place of was. */
export function fill(host: HTMLElement, ...content: Node[]): void {
  const { scrollLeft = 0, scrollTop = 0 } = host.getElementsByClassName('scroll')[0] ?? {};
  host.replaceChildren(...content);
  host.getElementsByClassName('scroll')[0]?.scrollTo(scrollLeft, scrollTop);
}
