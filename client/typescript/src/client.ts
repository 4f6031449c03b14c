import type { components, operations } from "./api.js";
import { ConnectLinkError, StatusError, TransportError, type Problem } from "./errors.js";

type Schemas = components["schemas"];
export type Invite = Schemas["Invite"];
export type CreateInvite = Schemas["CreateInvite"];
export type InviteFilter = Omit<NonNullable<operations["listInvites"]["parameters"]["query"]>, "cursor">;
export type EventPage = operations["listPublicEvents"]["responses"][200]["content"]["application/json"];
export type EventFilter = NonNullable<operations["listPublicEvents"]["parameters"]["query"]>;
export type Resend = operations["resendInvite"] extends { requestBody?: { content: { "application/json": infer B } } } ? B : never;
export type InviteSearch = Omit<Schemas["SearchInvites"], "cursor" | "limit">;
export type SuppressionSearch = Omit<Schemas["SearchSuppressions"], "cursor" | "limit">;
export type BatchInvite = Schemas["BatchInvite"];
export type BatchResult = Schemas["BatchResult"];
export type PublicEvent = Schemas["PublicEvent"];
export type WebhookEndpoint = Schemas["WebhookEndpoint"];
export type WebhookAttempt = Schemas["WebhookAttempt"];
export type Suppression = Schemas["Suppression"];
export type Pause = Schemas["Pause"];
export type TimelineEvent = operations["listInviteEvents"]["responses"][200]["content"]["application/json"]["data"][number];

export interface ClientOptions {
  /** The service's address, for example https://connect.acme.example. */
  url: string;
  /** An API key, cl_test_… or cl_live_…. */
  key: string;
  /** How often one request is sent at most; 4 by default, 1 for no retries. */
  maxAttempts?: number;
  /** The time for each attempt in milliseconds; 30,000 by default. */
  timeout?: number;
  /** Sends the requests; the global fetch by default. */
  fetch?: typeof fetch;
}

export interface CallOptions {
  /** Makes a repeated create or resend safe, also after a restart. By default a random one for each call. */
  idempotencyKey?: string;
  signal?: AbortSignal;
}

const firstPause = 500;
const longestPause = 8_000;
const finalStates: ReadonlySet<Invite["status"]> = new Set(["connected", "expired", "revoked", "failed"]);

interface Call {
  method: "GET" | "POST" | "PATCH" | "DELETE";
  path: string;
  query?: object;
  body?: unknown;
  /** An Idempotency-Key makes repeating it safe. */
  takesKey?: boolean;
  /** Repeating it has no further effect. */
  idempotent?: boolean;
}

/** Calls the API. It can be shared by all requests of a program. */
export class Client {
  readonly #base: string;
  readonly #key: string; // private fields are not shown when a client is printed
  readonly #maxAttempts: number;
  readonly #timeout: number;
  readonly #fetch: typeof fetch;

  constructor(options: ClientOptions) {
    const base = new URL(options.url);
    if (!["http:", "https:"].includes(base.protocol) || base.username || base.search || base.hash) {
      throw new TypeError("url must be an address such as https://connect.acme.example");
    }
    if (!options.key) throw new TypeError("key is missing");
    this.#base = base.href.replace(/\/$/, "");
    this.#key = options.key;
    this.#maxAttempts = options.maxAttempts ?? 4;
    this.#timeout = options.timeout ?? 30_000;
    this.#fetch = options.fetch ?? fetch;
    if (!(this.#maxAttempts >= 1)) throw new RangeError("maxAttempts must be 1 or more");
  }

  /** Returns a client for CONNECTLINK_API_URL and CONNECTLINK_API_KEY. */
  static fromEnvironment(environment: Record<string, string | undefined> = process.env): Client {
    const { CONNECTLINK_API_URL: url, CONNECTLINK_API_KEY: key } = environment;
    if (!url || !key) throw new TypeError("CONNECTLINK_API_URL or CONNECTLINK_API_KEY is not set");
    return new Client({ url, key });
  }

  /** Creates an invite and sends it. */
  async createInvite(invite: CreateInvite, options: CallOptions = {}): Promise<Invite> {
    return this.#send({ method: "POST", path: "/v1/invites", body: invite, takesKey: true }, options);
  }

  async getInvite(id: string, options: CallOptions = {}): Promise<Invite> {
    return this.#send({ method: "GET", path: `/v1/invites/${idOf(id)}`, idempotent: true }, options);
  }

  /** Lists invites, newest first, page by page. */
  listInvites(filter: InviteFilter = {}, options: CallOptions = {}): AsyncGenerator<Invite, void> {
    return this.#items<Invite>("/v1/invites", filter, options);
  }

  /** Sends an invite again, by another channel or to a corrected address if asked to. */
  async resendInvite(id: string, resend: Resend = {} as Resend, options: CallOptions = {}): Promise<Invite> {
    return this.#send({ method: "POST", path: `/v1/invites/${idOf(id)}/resend`, body: resend, takesKey: true }, options);
  }

  /** Lets an invite work until `validFor` seconds from now, without a message. It never shortens the time. */
  async extendInvite(id: string, validFor: number, options: CallOptions = {}): Promise<Invite> {
    return this.#send({ method: "POST", path: `/v1/invites/${idOf(id)}/extend`, body: { valid_for: validFor }, takesKey: true }, options);
  }

  /** Creates an invite to connect the account of a connected invite again, and sends it. */
  async reconnectInvite(id: string, body: Schemas["ReconnectInvite"] = {}, options: CallOptions = {}): Promise<Invite> {
    return this.#send({ method: "POST", path: `/v1/invites/${idOf(id)}/reconnect`, body, takesKey: true }, options);
  }

  /** Checks the connected account of an invite at Pipedream now; `connection.health` has the result. */
  async checkConnection(id: string, options: CallOptions = {}): Promise<Invite> {
    return this.#send({ method: "POST", path: `/v1/invites/${idOf(id)}/check_connection`, idempotent: true }, options);
  }

  async revokeInvite(id: string, options: CallOptions = {}): Promise<Invite> {
    return this.#send({ method: "POST", path: `/v1/invites/${idOf(id)}/revoke`, idempotent: true }, options);
  }

  /** Lists everything that happened to an invite, oldest first. */
  async listInviteEvents(id: string, options: CallOptions = {}): Promise<TimelineEvent[]> {
    const page = await this.#send<{ data: TimelineEvent[] }>(
      { method: "GET", path: `/v1/invites/${idOf(id)}/events`, idempotent: true }, options);
    return page.data;
  }

  /**
   * Reads the next page of public events, oldest first. Store `next_cursor` after the page
   * was processed and pass it as `after` next time: it is set at the end of the list too.
   */
  async listEvents(filter: EventFilter = {}, options: CallOptions = {}): Promise<EventPage> {
    return this.#send({ method: "GET", path: "/v1/events", query: { limit: 100, ...filter }, idempotent: true }, options);
  }

  /** Lists public events, oldest first, page by page, up to the newest. */
  async *events(filter: EventFilter = {}, options: CallOptions = {}): AsyncGenerator<PublicEvent, void> {
    yield* this.#items<PublicEvent>("/v1/events", { limit: 100, ...filter }, options, "after");
  }

  async getEvent(id: string, options: CallOptions = {}): Promise<PublicEvent> {
    return this.#send({ method: "GET", path: `/v1/events/${idOf(id)}`, idempotent: true }, options);
  }

  /** Queues an event for one endpoint, or for each enabled one that receives its type. */
  async redeliverEvent(id: string, body: Schemas["RedeliverEvent"] = {}, options: CallOptions = {}): Promise<Schemas["WebhookRedelivery"]> {
    return this.#send({ method: "POST", path: `/v1/events/${idOf(id)}/redeliver`, body }, options);
  }

  /**
   * Creates up to 100 invites with one request and returns a result for each, in their order.
   * An item with a fault has a `problem` and stores nothing; the others are stored.
   */
  async createInvites(invites: BatchInvite[], options: CallOptions = {}): Promise<BatchResult[]> {
    const batch = await this.#send<Schemas["Batch"]>({ method: "POST", path: "/v1/invites/batch", body: { invites }, takesKey: true }, options);
    return batch.results;
  }

  /** Revokes a user's invites that can still lead to a connection, of one app or of all. */
  async revokeInvites(body: Schemas["RevokeInvites"], options: CallOptions = {}): Promise<Schemas["Revocation"]> {
    return this.#send({ method: "POST", path: "/v1/invites/revoke", body, idempotent: true }, options);
  }

  /** Lists invites like listInvites, with the filters in the body: URLs are logged, so addresses belong here. */
  searchInvites(filter: InviteSearch = {}, options: CallOptions = {}): AsyncGenerator<Invite, void> {
    return this.#search<Invite>("/v1/invites/search", filter, options);
  }

  /** Returns the apps that match, the best match first; the most used ones without `q`. */
  async searchApps(q?: string, options: CallOptions = {}): Promise<Schemas["AppList"]> {
    return this.#send({ method: "GET", path: "/v1/apps", query: { q }, idempotent: true }, options);
  }

  async listWebhookEndpoints(options: CallOptions = {}): Promise<WebhookEndpoint[]> {
    const list = await this.#send<{ data: WebhookEndpoint[] }>({ method: "GET", path: "/v1/webhook_endpoints", idempotent: true }, options);
    return list.data;
  }

  /** Creates an endpoint and returns it with its `secret`, which is not shown again. */
  async createWebhookEndpoint(body: Schemas["CreateWebhookEndpoint"], options: CallOptions = {}): Promise<WebhookEndpoint> {
    return this.#send({ method: "POST", path: "/v1/webhook_endpoints", body }, options);
  }

  async getWebhookEndpoint(id: string, options: CallOptions = {}): Promise<WebhookEndpoint> {
    return this.#send({ method: "GET", path: `/v1/webhook_endpoints/${idOf(id)}`, idempotent: true }, options);
  }

  /** Changes the given fields. `disabled: false` enables an endpoint and posts what waits for it. */
  async updateWebhookEndpoint(id: string, body: Schemas["UpdateWebhookEndpoint"], options: CallOptions = {}): Promise<WebhookEndpoint> {
    return this.#send({ method: "PATCH", path: `/v1/webhook_endpoints/${idOf(id)}`, body, idempotent: true }, options);
  }

  async deleteWebhookEndpoint(id: string, options: CallOptions = {}): Promise<void> {
    await this.#send({ method: "DELETE", path: `/v1/webhook_endpoints/${idOf(id)}`, idempotent: true }, options);
  }

  /** Returns the endpoint with its new `secret`; the old one signs too for `expire_old_in` seconds, or 24 hours. */
  async rotateWebhookSecret(id: string, body: Schemas["RotateWebhookSecret"] = {}, options: CallOptions = {}): Promise<WebhookEndpoint> {
    return this.#send({ method: "POST", path: `/v1/webhook_endpoints/${idOf(id)}/rotate_secret`, body }, options);
  }

  /** Posts an invented event once and returns what the endpoint answered. */
  async testWebhookEndpoint(id: string, type: PublicEvent["type"], options: CallOptions = {}): Promise<WebhookAttempt> {
    return this.#send({ method: "POST", path: `/v1/webhook_endpoints/${idOf(id)}/test`, body: { type } }, options);
  }

  /** Queues the events since a time that the endpoint did not take, and returns how many. */
  async recoverWebhookEndpoint(id: string, since: Date, options: CallOptions = {}): Promise<number> {
    const recovery = await this.#send<{ queued: number }>(
      { method: "POST", path: `/v1/webhook_endpoints/${idOf(id)}/recover`, body: { since: since.toISOString() } }, options);
    return recovery.queued;
  }

  /** Lists the posts of events to an endpoint, newest first. */
  webhookAttempts(id: string, filter: { event?: string } = {}, options: CallOptions = {}): AsyncGenerator<WebhookAttempt, void> {
    return this.#items<WebhookAttempt>(`/v1/webhook_endpoints/${idOf(id)}/attempts`, filter, options);
  }

  /** Lists the pauses of the key's project and mode. */
  async pauses(options: CallOptions = {}): Promise<Pause[]> {
    const list = await this.#send<Schemas["PauseList"]>({ method: "GET", path: "/v1/pauses", idempotent: true }, options);
    return list.data;
  }

  /** Pauses a channel, or text messages to a country or a range of numbers; resolves to the current pauses. */
  async pauseSending(body: Schemas["PauseSending"], options: CallOptions = {}): Promise<Pause[]> {
    const list = await this.#send<Schemas["PauseList"]>({ method: "POST", path: "/v1/pauses", body, idempotent: true }, options);
    return list.data;
  }

  /** Ends a pause that was made by hand; resolves to what is still paused. */
  async resumeSending(body: Schemas["ResumeSending"], options: CallOptions = {}): Promise<Pause[]> {
    const list = await this.#send<Schemas["PauseList"]>({ method: "POST", path: "/v1/pauses/resume", body, idempotent: true }, options);
    return list.data;
  }

  /** Lists active suppressions, newest first. */
  suppressions(filter: SuppressionSearch = {}, options: CallOptions = {}): AsyncGenerator<Suppression, void> {
    return this.#search<Suppression>("/v1/suppressions/search", filter, options);
  }

  /** Stops messages to an address. A suppressed address keeps its suppression, which is returned. */
  async addSuppression(body: Schemas["AddSuppression"], options: CallOptions = {}): Promise<Suppression> {
    return this.#send({ method: "POST", path: "/v1/suppressions", body, idempotent: true }, options);
  }

  /** Allows messages to the address again. The reason is for later readers. */
  async liftSuppression(id: string, reason?: string, options: CallOptions = {}): Promise<Suppression> {
    const body = reason === undefined ? undefined : { reason };
    return this.#send({ method: "DELETE", path: `/v1/suppressions/${idOf(id)}`, body, idempotent: true }, options);
  }

  /** Returns all data of a user, without links. The key needs the scope `admin`. */
  async exportPerson(externalUserId: string, options: CallOptions = {}): Promise<Schemas["PrivacyExport"]> {
    return this.#send({ method: "POST", path: "/v1/privacy/export", body: { external_user_id: externalUserId }, idempotent: true }, options);
  }

  /** Erases the personal data of a user for good. The key needs the scope `admin`. */
  async erasePerson(externalUserId: string, reason?: string, options: CallOptions = {}): Promise<Schemas["Erasure"]> {
    return this.#send({ method: "POST", path: "/v1/privacy/erase", body: { external_user_id: externalUserId, reason }, idempotent: true }, options);
  }

  /**
   * Reads an invite until its status is final, or until the signal is aborted. Products
   * that wait longer than minutes use webhooks.
   */
  async waitForInvite(id: string, options: CallOptions = {}): Promise<Invite> {
    for (let pause = 1_000; ; pause = Math.min(pause * 1.5, 10_000)) {
      const invite = await this.getInvite(id, options);
      if (finalStates.has(invite.status)) return invite;
      await sleep(jitter(pause), options.signal);
    }
  }

  #items<T>(path: string, filter: object, options: CallOptions, name = "cursor"): AsyncGenerator<T, void> {
    return this.#pages<T>((cursor) => ({ method: "GET", path, query: cursor === undefined ? filter : { ...filter, [name]: cursor }, idempotent: true }), options);
  }

  #search<T>(path: string, filter: object, options: CallOptions): AsyncGenerator<T, void> {
    return this.#pages<T>((cursor) => ({ method: "POST", path, body: { ...filter, limit: 100, cursor }, idempotent: true }), options);
  }

  async *#pages<T>(callAt: (cursor: string | undefined) => Call, options: CallOptions): AsyncGenerator<T, void> {
    let cursor: string | undefined;
    for (;;) {
      const page = await this.#send<{ data: T[]; has_more: boolean; next_cursor: string | null }>(callAt(cursor), options);
      yield* page.data;
      if (!page.has_more || !page.next_cursor || page.next_cursor === cursor) return;
      cursor = page.next_cursor;
    }
  }

  async #send<T>(call: Call, options: CallOptions): Promise<T> {
    const key = call.takesKey ? (options.idempotencyKey ?? crypto.randomUUID()) : undefined;
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#attempt<T>(call, key, options.signal);
      } catch (error) {
        const pause = pauseBefore(error, attempt, Boolean(call.idempotent || call.takesKey));
        if (pause === undefined || attempt >= this.#maxAttempts || options.signal?.aborted) throw error;
        await sleep(pause, options.signal);
      }
    }
  }

  async #attempt<T>(call: Call, key: string | undefined, signal: AbortSignal | undefined): Promise<T> {
    const url = new URL(this.#base + call.path);
    url.search = queryOf(call.query ?? {});
    const headers: Record<string, string> = { Authorization: `Bearer ${this.#key}`, Accept: "application/json" };
    if (call.body !== undefined) headers["Content-Type"] = "application/json";
    if (key !== undefined) headers["Idempotency-Key"] = key;
    const timeout = AbortSignal.timeout(this.#timeout);
    let response: Response, text: string;
    try {
      response = await this.#fetch(url, {
        method: call.method,
        headers,
        redirect: "manual", // a redirect turns a POST into a GET
        signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
        ...(call.body === undefined ? {} : { body: JSON.stringify(call.body) }),
      });
      text = await response.text();
    } catch (cause) {
      if (signal?.aborted) throw signal.reason;
      throw new TransportError(cause);
    }
    if (!response.ok) throw errorOf(response, text);
    if (response.status === 204) return undefined as T;
    try {
      return JSON.parse(text) as T;
    } catch {
      throw new StatusError(response.status, 0);
    }
  }
}

/** An empty id, or one with a slash, would lead to another operation. */
function idOf(id: string): string {
  if (!/^[a-z0-9_]+$/i.test(id)) throw new TypeError("an id has letters, digits and _ only");
  return id;
}

/** Repeats arrays, and writes objects as metadata[name]. */
function queryOf(query: object): string {
  const out = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    if (value === undefined || value === null) continue;
    if (Array.isArray(value)) for (const one of value) out.append(name, String(one));
    else if (typeof value === "object") for (const [k, v] of Object.entries(value)) out.append(`${name}[${k}]`, String(v));
    else out.append(name, String(value));
  }
  return out.toString();
}

/** Returns the pause before another attempt; undefined if it is not safe or cannot succeed. */
function pauseBefore(error: unknown, attempt: number, safe: boolean): number | undefined {
  let asked = 0;
  if (error instanceof ConnectLinkError) {
    if (!error.retryable) return undefined;
    asked = error.retryAfter;
  } else if (error instanceof StatusError) {
    // A proxy's answer: the service may have received the request.
    if (!safe || (error.status !== 429 && error.status < 502)) return undefined;
    asked = error.retryAfter;
  } else if (!(error instanceof TransportError) || !safe) {
    return undefined;
  }
  return asked > 0 ? asked : jitter(Math.min(firstPause * 2 ** (attempt - 1), longestPause));
}

function errorOf(response: Response, text: string): Error {
  const retryAfter = parseRetryAfter(response.headers.get("Retry-After"));
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    try {
      const problem = JSON.parse(text) as Problem;
      if (problem.code) return new ConnectLinkError(problem, retryAfter);
    } catch {
      // not the service's
    }
  }
  return new StatusError(response.status, retryAfter);
}

/** Seconds or an HTTP date (RFC 9110, 10.2.3), in milliseconds from now. */
function parseRetryAfter(header: string | null): number {
  if (!header) return 0;
  if (/^\d+$/.test(header)) return Number(header) * 1_000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? 0 : Math.max(0, at - Date.now());
}

function jitter(pause: number): number {
  return pause / 2 + (Math.random() * pause) / 2;
}

function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const abort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", abort);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", abort, { once: true });
  });
}
