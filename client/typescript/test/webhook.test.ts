import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";

import { verifyWebhook, WebhookError } from "../src/index.js";

const secret = "whsec_" + Buffer.from("a secret of 24 bytes ok?").toString("base64");
const other = "whsec_" + Buffer.from("another secret, 24 bytes").toString("base64");
const body = '{"type":"invite.connected","note":"naïve – 日本"}';
const now = new Date("2026-11-29T12:00:00Z");

function headersFor(by: string, at = now, text = body) {
  const timestamp = String(Math.floor(at.getTime() / 1000));
  const mac = createHmac("sha256", Buffer.from(by.slice(6), "base64")).update(`evt_1.${timestamp}.${text}`).digest("base64");
  return { "webhook-id": "evt_1", "webhook-timestamp": timestamp, "webhook-signature": `v1,${mac}` };
}

test("an event is returned if one of its signatures is that of one of the secrets", async () => {
  assert.equal((await verifyWebhook(secret, headersFor(secret), body, now)).type, "invite.connected");
  assert.equal((await verifyWebhook([other, secret], headersFor(secret), Buffer.from(body), now)).type, "invite.connected");
  const both = headersFor(secret);
  both["webhook-signature"] = `${headersFor(other)["webhook-signature"]} v1a,xyz ${both["webhook-signature"]}`;
  assert.equal((await verifyWebhook(secret, new Headers(both), body, now)).type, "invite.connected");
});

test("a post that is changed, old, unsigned or signed by another secret is refused", async () => {
  const hour = 3_600_000;
  for (const [name, headers, text] of [
    ["changed", headersFor(secret), body.replace("connected", "revoked")],
    ["old", headersFor(secret, new Date(now.getTime() - hour)), body],
    ["from the future", headersFor(secret, new Date(now.getTime() + hour)), body],
    ["another secret", headersFor(other), body],
    ["another timestamp", { ...headersFor(secret), "webhook-timestamp": String(now.getTime() / 1000 + 1) }, body],
    ["without a timestamp", { ...headersFor(secret), "webhook-timestamp": "" }, body],
    ["without a signature", { ...headersFor(secret), "webhook-signature": undefined }, body],
    ["no base64", { ...headersFor(secret), "webhook-signature": "v1,***" }, body],
  ] as const) {
    await assert.rejects(verifyWebhook(secret, headers, text, now), WebhookError, name);
  }
});
