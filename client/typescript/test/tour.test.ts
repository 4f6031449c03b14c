import assert from "node:assert/strict";
import { test } from "node:test";

import { Client, ConnectLinkError } from "../src/index.js";

// Runs against a service in test mode, which CI starts.
const isReady = process.env["CI"] || process.env["CONNECTLINK_API_URL"];
test("the tour", { skip: isReady ? false : "CONNECTLINK_API_URL is not set" }, async () => {
  const client = Client.fromEnvironment();
  const user = `ts-${crypto.randomUUID()}`;
  const made = await client.createInvite(
    { external_user_id: user, app: "slack", channel: "email", recipient: { email: "delivered+connect@connectlink.test", name: "Pat" } },
    { idempotencyKey: user },
  );
  const done = await client.waitForInvite(made.id, { signal: AbortSignal.timeout(60_000) });
  assert.equal(done.status, "connected");
  assert.match(done.connection?.account_id ?? "", /^apn_/);

  const listed = [];
  for await (const invite of client.listInvites({ external_user_id: [user] })) listed.push(invite.id);
  assert.deepEqual(listed, [made.id]);
  const types = (await client.listInviteEvents(made.id)).map((e) => e.type);
  assert.ok(types.includes("created") && types.includes("connected"), types.join());

  await assert.rejects(client.createInvite({ external_user_id: user, app: "slak", channel: "link" }), (error: unknown) => {
    assert.ok(error instanceof ConnectLinkError && error.code === "unknown_app", String(error));
    return true;
  });
  const link = await client.createInvite({ external_user_id: user, app: "slack", channel: "link" });
  assert.equal((await client.revokeInvite(link.id)).status, "revoked");

  const [made2, refused] = await client.createInvites([{ external_user_id: user, app: "slack", channel: "link" }, { external_user_id: user, app: "slak", channel: "link" }]);
  assert.equal(made2?.invite?.status, "active");
  assert.equal(refused?.problem?.code, "unknown_app");
  assert.equal((await client.searchApps("slack")).data[0]?.slug, "slack");
  assert.equal((await client.revokeInvites({ external_user_id: user })).revoked, 1);
  assert.ok((await client.exportPerson(user)).invites.length >= 3);
  const suppression = await client.addSuppression({ email: "left@connectlink.test", reason: "Asked" });
  assert.equal((await client.liftSuppression(suppression.id)).id, suppression.id);
});
