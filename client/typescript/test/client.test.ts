import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { inspect } from "node:util";
import { after, test } from "node:test";

import { Client, ConnectLinkError, StatusError, TransportError } from "../src/index.js";

interface Received {
  method: string;
  url: string;
  headers: IncomingMessage["headers"];
  body: string;
}

const servers: { close(): void; closeAllConnections(): void }[] = [];
after(() => servers.forEach((s) => { s.closeAllConnections(); s.close(); }));

/** Starts a server that answers the nth request by the nth answer, and the rest by the last. */
async function serve(...answers: ((response: ServerResponse) => void)[]): Promise<{ url: string; received: Received[] }> {
  const received: Received[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => (body += chunk));
    request.on("end", () => {
      received.push({ method: request.method ?? "", url: request.url ?? "", headers: request.headers, body });
      answers[Math.min(received.length, answers.length) - 1]?.(response);
    });
  });
  servers.push(server);
  await new Promise<void>((ready) => server.listen(0, "127.0.0.1", ready));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, received };
}

const json = (status: number, body: unknown, headers: Record<string, string> = {}, type = "application/json") => (response: ServerResponse) => {
  response.writeHead(status, { "Content-Type": type, ...headers });
  response.end(JSON.stringify(body));
};
const problem = (status: number, code: string, retryable: boolean, headers: Record<string, string> = {}) =>
  json(status, { code, status, retryable, detail: "It failed.", request_id: "req_1", errors: [{ pointer: "/app", code: "x", detail: "is wrong" }] },
    headers, "application/problem+json");
const invite = { id: "inv_1", status: "active" };
const create = { external_user_id: "user-1", app: "slack", channel: "link" } as const;
const clientOf = (url: string, more = {}) => new Client({ url, key: "cl_test_secret", ...more });

test("a create is repeated with its idempotency key", async () => {
  const s = await serve(
    (r) => r.destroy(), // the answer is lost
    json(502, "no", {}, "text/html"),
    problem(503, "unavailable", true, { "Retry-After": "0" }),
    json(201, invite),
  );
  const made = await clientOf(s.url).createInvite(create, { idempotencyKey: "k-1" });
  assert.equal(made.id, "inv_1");
  assert.equal(s.received.length, 4);
  for (const r of s.received) {
    assert.equal(r.headers["idempotency-key"], "k-1");
    assert.equal(r.headers.authorization, "Bearer cl_test_secret");
    assert.deepEqual(JSON.parse(r.body), create);
  }
});

test("two creates without a key have different ones", async () => {
  const s = await serve(json(201, invite));
  await clientOf(s.url).createInvite(create);
  await clientOf(s.url).createInvite(create);
  const keys = s.received.map((r) => r.headers["idempotency-key"]);
  assert.ok(keys[0] && keys[1] && keys[0] !== keys[1], String(keys));
});

test("a failure that cannot be repeated is reported with code, faults and request id", async () => {
  const s = await serve(problem(422, "invalid_request", false));
  await assert.rejects(clientOf(s.url).createInvite(create), (error: unknown) => {
    assert.ok(error instanceof ConnectLinkError);
    assert.equal(error.code, "invalid_request");
    assert.equal(error.requestId, "req_1");
    assert.equal(error.faults[0]?.pointer, "/app");
    assert.match(error.message, /\/app: is wrong/);
    return true;
  });
  assert.equal(s.received.length, 1);
});

test("attempts are bounded, and a redirect is not followed", async () => {
  const down = await serve(problem(503, "unavailable", true));
  await assert.rejects(clientOf(down.url, { maxAttempts: 2 }).getInvite("inv_1"), ConnectLinkError);
  assert.equal(down.received.length, 2);
  const moved = await serve(json(301, {}, { Location: down.url }));
  await assert.rejects(clientOf(moved.url).createInvite(create), StatusError);
  assert.equal(moved.received.length, 1);
});

test("a list is read page by page, with its filter", async () => {
  const s = await serve(
    json(200, { data: [{ id: "inv_1" }, { id: "inv_2" }], has_more: true, next_cursor: "c2" }),
    json(200, { data: [], has_more: true, next_cursor: "c3" }),
    json(200, { data: [{ id: "inv_3" }], has_more: false, next_cursor: null }),
  );
  const ids: string[] = [];
  for await (const i of clientOf(s.url).listInvites({ external_user_id: ["a", "b"], metadata: { ticket: "4711" } })) ids.push(i.id);
  assert.deepEqual(ids, ["inv_1", "inv_2", "inv_3"]);
  assert.equal(s.received[0]?.url, "/v1/invites?external_user_id=a&external_user_id=b&metadata%5Bticket%5D=4711");
  assert.match(s.received[2]?.url ?? "", /cursor=c3$/);
});

test("waiting ends with a final status, and by its signal", async () => {
  const s = await serve(json(200, { ...invite, status: "active" }), json(200, { ...invite, status: "connected" }));
  assert.equal((await clientOf(s.url).waitForInvite("inv_1")).status, "connected");
  const open = await serve(json(200, invite));
  const stop = new AbortController();
  const waiting = clientOf(open.url).waitForInvite("inv_1", { signal: stop.signal });
  stop.abort(new Error("enough"));
  await assert.rejects(waiting, /enough/);
});

test("a server that does not answer is given up after the timeout", async () => {
  const s = await serve(() => {});
  await assert.rejects(clientOf(s.url, { timeout: 50, maxAttempts: 1 }).getInvite("inv_1"), TransportError);
});

test("what is wrong with the options or an id is said before anything is sent", async () => {
  assert.throws(() => new Client({ url: "ftp://x", key: "k" }), /url must be/);
  assert.throws(() => new Client({ url: "https://x", key: "" }), /key is missing/);
  assert.throws(() => Client.fromEnvironment({}), /CONNECTLINK_API_URL/);
  const s = await serve(json(200, invite));
  for (const id of ["", "../keys", "a/b", "a?b"]) await assert.rejects(clientOf(s.url).getInvite(id), /an id has/);
  assert.equal(s.received.length, 0);
});

test("a printed client shows no key", () => {
  const shown = inspect(clientOf("https://x"), { depth: 9, showHidden: true }) + JSON.stringify(clientOf("https://x"));
  assert.ok(!shown.includes("cl_test_secret"), shown);
});

test("each operation sends its request and reads the response", async () => {
  const one = { data: [{ id: "x" }], has_more: false, next_cursor: null };
  const first = async (items: AsyncGenerator<{ id: string | null }>) => (await items.next()).value?.id;
  const calls: [string, unknown, (c: Client) => Promise<unknown>, string, unknown?][] = [
    ["createInvites", { results: [{ index: 0, status: 201 }] }, (c) => c.createInvites([create]), "POST /v1/invites/batch", { invites: [create] }],
    ["reconnectInvite", { kind: "reconnect" }, (c) => c.reconnectInvite("inv_1", { note: "Again" }), "POST /v1/invites/inv_1/reconnect", { note: "Again" }],
    ["extendInvite", { status: "active" }, (c) => c.extendInvite("inv_1", 86400), "POST /v1/invites/inv_1/extend", { valid_for: 86400 }],
    ["checkConnection", { kind: "invite" }, (c) => c.checkConnection("inv_1"), "POST /v1/invites/inv_1/check_connection", undefined],
    ["revokeInvites", { revoked: 1 }, (c) => c.revokeInvites({ external_user_id: "u" }), "POST /v1/invites/revoke", { external_user_id: "u" }],
    ["searchInvites", one, (c) => first(c.searchInvites({ recipient: "a@b.example" })), "POST /v1/invites/search", { recipient: "a@b.example", limit: 100 }],
    ["searchApps", one, (c) => c.searchApps("google sheets"), "GET /v1/apps?q=google+sheets"],
    ["events", one, (c) => first(c.events({ invite: "inv_1" })), "GET /v1/events?limit=100&invite=inv_1"],
    ["getEvent", { id: "evt_1" }, (c) => c.getEvent("evt_1"), "GET /v1/events/evt_1"],
    ["redeliverEvent", { endpoints: [] }, (c) => c.redeliverEvent("evt_1", { endpoint: "whe_1" }), "POST /v1/events/evt_1/redeliver", { endpoint: "whe_1" }],
    ["listWebhookEndpoints", one, (c) => c.listWebhookEndpoints(), "GET /v1/webhook_endpoints"],
    ["createWebhookEndpoint", { secret: "s" }, (c) => c.createWebhookEndpoint({ url: "https://a.example/" }), "POST /v1/webhook_endpoints", { url: "https://a.example/" }],
    ["getWebhookEndpoint", { id: "whe_1" }, (c) => c.getWebhookEndpoint("whe_1"), "GET /v1/webhook_endpoints/whe_1"],
    ["updateWebhookEndpoint", { id: "whe_1" }, (c) => c.updateWebhookEndpoint("whe_1", { disabled: false }), "PATCH /v1/webhook_endpoints/whe_1", { disabled: false }],
    ["rotateWebhookSecret", { secret: "s" }, (c) => c.rotateWebhookSecret("whe_1", { expire_old_in: 0 }), "POST /v1/webhook_endpoints/whe_1/rotate_secret", { expire_old_in: 0 }],
    ["testWebhookEndpoint", { delivered: true }, (c) => c.testWebhookEndpoint("whe_1", "invite.expired"), "POST /v1/webhook_endpoints/whe_1/test", { type: "invite.expired" }],
    ["recoverWebhookEndpoint", { queued: 2 }, (c) => c.recoverWebhookEndpoint("whe_1", new Date(0)), "POST /v1/webhook_endpoints/whe_1/recover", { since: "1970-01-01T00:00:00.000Z" }],
    ["webhookAttempts", one, (c) => first(c.webhookAttempts("whe_1", { event: "evt_1" })), "GET /v1/webhook_endpoints/whe_1/attempts?event=evt_1"],
    ["suppressions", one, (c) => first(c.suppressions({ recipient: "a@b.example" })), "POST /v1/suppressions/search", { recipient: "a@b.example", limit: 100 }],
    ["addSuppression", { id: "sup_1" }, (c) => c.addSuppression({ email: "a@b.example", reason: "r" }), "POST /v1/suppressions", { email: "a@b.example", reason: "r" }],
    ["pauses", { data: [] }, (c) => c.pauses(), "GET /v1/pauses", undefined],
    ["pauseSending", { data: [] }, (c) => c.pauseSending({ channel: "sms", country: "GB", reason: "pumping" }), "POST /v1/pauses", { channel: "sms", country: "GB", reason: "pumping" }],
    ["resumeSending", { data: [] }, (c) => c.resumeSending({ channel: "sms", country: "GB" }), "POST /v1/pauses/resume", { channel: "sms", country: "GB" }],
    ["liftSuppression", { id: "sup_1" }, (c) => c.liftSuppression("sup_1", "r"), "DELETE /v1/suppressions/sup_1", { reason: "r" }],
    ["exportPerson", { invites: [] }, (c) => c.exportPerson("u"), "POST /v1/privacy/export", { external_user_id: "u" }],
    ["erasePerson", { invites: 1 }, (c) => c.erasePerson("u", "r"), "POST /v1/privacy/erase", { external_user_id: "u", reason: "r" }],
  ];
  for (const [name, answer, call, line, body] of calls) {
    const s = await serve(json(200, answer));
    const got = await call(clientOf(s.url));
    assert.ok(got !== undefined, name);
    assert.equal(`${s.received[0]?.method} ${s.received[0]?.url}`, line, name);
    assert.deepEqual(s.received[0]?.body ? JSON.parse(s.received[0].body) : undefined, body, name);
  }
  const gone = await serve((r) => { r.writeHead(204); r.end(); });
  assert.equal(await clientOf(gone.url).deleteWebhookEndpoint("whe_1"), undefined);
  assert.equal(gone.received[0]?.method, "DELETE");
});

test("a request that acts again when it is repeated is sent once, and others are repeated", async () => {
  const lost = (r: ServerResponse) => r.destroy();
  const s = await serve(lost);
  await assert.rejects(clientOf(s.url).createWebhookEndpoint({ url: "https://a.example/" }), TransportError);
  assert.equal(s.received.length, 1);
  const again = await serve(lost, json(200, { revoked: 1 }));
  assert.equal((await clientOf(again.url).revokeInvites({ external_user_id: "u" })).revoked, 1);
  assert.equal(again.received.length, 2);
});

test("events go on at the cursor of the page before", async () => {
  const s = await serve(
    json(200, { data: [{ id: "evt_1" }], has_more: true, next_cursor: "c2" }),
    json(200, { data: [{ id: "evt_2" }], has_more: false, next_cursor: "c3" }),
  );
  const ids: string[] = [];
  for await (const e of clientOf(s.url).events({ after: "c1" })) ids.push(e.id);
  assert.deepEqual(ids, ["evt_1", "evt_2"]);
  assert.deepEqual(s.received.map((r) => r.url), ["/v1/events?limit=100&after=c1", "/v1/events?limit=100&after=c2"]);
});
