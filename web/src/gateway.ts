// The gateway behind the page: its public GraphQL, and nothing else.
import { type Client, createClient } from 'graphql-ws/client';
import type { Document } from './documents';
import { words } from './words';

export interface Problem {
  path?: (string | number)[];
  extensions?: { code?: string; scope?: string };
}

/** What a problem is called for people. */
export const sentence = ({ extensions }: Problem) => words.errors[extensions?.code ?? ''] ?? words.errors.OTHER;

export interface Answer<Data> {
  data: Data | undefined;
  errors: Problem[];
}

const PATIENCE = 30_000;
const KEY = 'key';

/** The visitor's API key or token: kept for as long as the tab. */
export const key = {
  get: () => sessionStorage.getItem(KEY),
  set: (value: string) => (value ? sessionStorage.setItem(KEY, value) : sessionStorage.removeItem(KEY)),
};

const credentials = (): Record<string, string> => {
  const known = key.get();
  return known ? { authorization: `Bearer ${known}` } : {};
};

/**
 * Asks once. What the browser kept is sent again only if the gateway says that nothing changed. What is personal stays out
 * of addresses, which proxies log.
 */
export async function ask<Data, Variables>(document: Document<Data, Variables>, variables: Variables, until: AbortSignal, isPersonal: boolean): Promise<Answer<Data>> {
  const parameters = new URLSearchParams({ documentId: document.id, variables: JSON.stringify(variables) });
  const accept = 'application/graphql-response+json';
  const timeout = AbortSignal.timeout(PATIENCE);
  try {
    const response = await fetch(isPersonal ? '/graphql' : `/graphql?${parameters}`, {
      headers: { accept, ...(isPersonal ? { 'content-type': 'application/json' } : {}), ...credentials() },
      ...(isPersonal ? { method: 'POST', body: JSON.stringify({ documentId: document.id, variables }) } : {}),
      signal: AbortSignal.any([until, timeout]),
    });
    const { data, errors = [] } = (await response.json()) as { data?: Data | null; errors?: Problem[] };
    return { data: data ?? undefined, errors };
  } catch (error) {
    if (until.aborted) throw error;
    return { data: undefined, errors: [{ extensions: { code: timeout.aborted ? 'SILENT' : 'UNREACHABLE' } }] };
  }
}

/** All rows of a report over REST, which sends lists of any length. */
export async function rowsOf<Row>(report: string, parameters: Record<string, string>): Promise<Row[]> {
  const response = await fetch(`/api/reports/${report}?${new URLSearchParams({ ...parameters, format: 'ndjson' })}`, { headers: credentials() });
  if (!response.ok) {
    const { errors } = (await response.json()) as { errors: Problem[] };
    throw new Error(sentence(errors[0] ?? {}));
  }
  const lines = (await response.text()).split('\n');
  // A list that is whole ends with an empty line.
  if (lines.splice(-2).join('')) throw new Error(words.errors.BROKEN_OFF);
  return lines.map((line) => JSON.parse(line) as Row);
}

/** With this, connections of those who are not let in are closed. */
const FORBIDDEN = 4403;
const codeOf = (event: unknown) => (event as Partial<CloseEvent> | null)?.code;

export type Connection = 'connecting' | 'live' | 'lost' | 'refused';

/** Follows answers over one WebSocket, which is opened again for as long as it takes. */
export class Live {
  #client: Client;
  #followed: (() => void)[] = [];

  constructor(tell: (state: Connection) => void) {
    let silence: ReturnType<typeof setTimeout>;
    this.#client = createClient({
      url: `${location.origin.replace(/^http/, 'ws')}/graphql/ws`,
      connectionParams: credentials,
      keepAlive: 10_000,
      // Another view is followed over the same connection.
      lazyCloseTimeout: 3_000,
      retryAttempts: Number.POSITIVE_INFINITY,
      // Whatever closed or refused it (a refusal has no code), but not what the page itself did wrong.
      shouldRetry: (event) => (event instanceof Event || codeOf(event) !== undefined) && codeOf(event) !== FORBIDDEN,
      connectionAckWaitTimeout: 10_000,
      retryWait: (tries) => new Promise((resolve) => setTimeout(resolve, Math.min(1_000 * 2 ** tries, 15_000) * (0.5 + Math.random() / 2))),
      on: {
        connected: () => tell('live'),
        closed: (event) => {
          clearTimeout(silence);
          if (codeOf(event) === FORBIDDEN) tell('refused');
          else if (codeOf(event) !== 1000) tell('lost');
        },
        // A connection that says nothing for five seconds is none.
        ping: (isReceived) => {
          if (!isReceived) silence = setTimeout(() => this.reconnect(), 5_000);
        },
        pong: (isReceived) => {
          if (isReceived) clearTimeout(silence);
        },
      },
    });
  }

  /** Follows an answer until `restart`. */
  follow<Data, Variables>(document: Document<Data, Variables>, variables: Variables, tell: (data: Data) => void): void {
    // By its id: an empty text is none.
    const payload = { query: '', documentId: document.id, variables: { ...variables } as Record<string, unknown> };
    const stop = this.#client.subscribe<Data>(payload, {
      next: ({ data, errors }) => {
        if (data && !errors?.length) tell(data);
      },
      // The state of the connection says it; what is asked wrongly, the page's own question says.
      error: () => {},
      complete: () => {},
    });
    this.#followed.push(stop);
  }

  /** Follows nothing any more, so that something else can be followed. */
  clear(): void {
    for (const stop of this.#followed.splice(0)) stop();
  }

  /** Connects anew: with another key, or since nobody answers. */
  reconnect(): void {
    this.#client.terminate();
  }
}
