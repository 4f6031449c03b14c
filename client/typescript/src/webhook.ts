import type { webhooks } from "./api.js";

type BodyOf<T> = T extends { post: { requestBody: { content: { "application/json": infer B } } } } ? B : never;

/** The body of any webhook of the service. */
export type WebhookEvent = BodyOf<webhooks[keyof webhooks]>;

/** How far a timestamp may be from now, in seconds. */
const tolerance = 300;

/** A post that was not signed with the secret, or is too old. */
export class WebhookError extends Error {
  override readonly name = "WebhookError";
}

/** The headers of a request: those of Node, or of the Fetch API. */
export type WebhookHeaders = Headers | Record<string, string | string[] | undefined>;

/**
 * Returns the event in a webhook's body if one of its signatures is that of one of the
 * secrets (`whsec_…`). Pass the bytes of the body as they arrived.
 */
export async function verifyWebhook(
  secrets: string | string[],
  headers: WebhookHeaders,
  body: Uint8Array | string,
  now: Date = new Date(),
): Promise<WebhookEvent> {
  const id = header(headers, "webhook-id");
  const timestamp = header(headers, "webhook-timestamp");
  if (!/^\d+$/.test(timestamp) || Math.abs(now.getTime() / 1000 - Number(timestamp)) > tolerance) {
    throw new WebhookError("the timestamp is missing or more than five minutes away");
  }
  const encoder = new TextEncoder();
  const bytes = typeof body === "string" ? encoder.encode(body) : body;
  const prefix = encoder.encode(`${id}.${timestamp}.`);
  const signed = new Uint8Array(prefix.length + bytes.length);
  signed.set(prefix);
  signed.set(bytes, prefix.length);
  const signatures = header(headers, "webhook-signature")
    .split(" ")
    .filter((s) => s.startsWith("v1,"))
    .map((s) => decodeBase64(s.slice(3)));
  for (const secret of typeof secrets === "string" ? [secrets] : secrets) {
    const raw = decodeBase64(secret.replace(/^whsec_/, ""));
    if (!raw || raw.length === 0) throw new WebhookError("the secret is not whsec_ and base64");
    const key = await crypto.subtle.importKey("raw", raw, { name: "HMAC", hash: "SHA-256" }, false, ["verify"]);
    for (const signature of signatures) {
      // The comparison takes the same time wherever the bytes differ.
      if (signature && (await crypto.subtle.verify("HMAC", key, signature, signed))) {
        return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes)) as WebhookEvent;
      }
    }
  }
  throw new WebhookError("no signature matches");
}

function header(headers: WebhookHeaders, name: string): string {
  if (headers instanceof Headers) return headers.get(name) ?? "";
  const value = headers[name];
  return Array.isArray(value) ? value.join(" ") : (value ?? "");
}

function decodeBase64(text: string): Uint8Array<ArrayBuffer> | undefined {
  try {
    return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  } catch {
    return undefined;
  }
}
