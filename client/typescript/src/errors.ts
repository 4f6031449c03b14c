import type { components } from "./api.js";

export type Problem = components["schemas"]["Problem"];
export type ErrorCode = components["schemas"]["ErrorCode"];

/** A failure that the service reported. Branch on `code`, which never changes. */
export class ConnectLinkError extends Error {
  readonly code: ErrorCode;
  readonly status: number;
  readonly retryable: boolean;
  /** Every faulty field, with a JSON pointer. */
  readonly faults: NonNullable<Problem["errors"]>;
  readonly requestId: string;

  constructor(
    readonly problem: Problem,
    /** The pause that the service asked for, in milliseconds; 0 for none. */
    readonly retryAfter: number,
  ) {
    const faults = (problem.errors ?? []).map((f) => `; ${f.pointer}: ${f.detail}`).join("");
    super(`${problem.code}: ${problem.detail}${faults} (${problem.request_id})`);
    this.name = "ConnectLinkError";
    this.code = problem.code;
    this.status = problem.status;
    this.retryable = problem.retryable;
    this.faults = problem.errors ?? [];
    this.requestId = problem.request_id;
  }
}

/** A response that is not a problem document of the service, for example from a proxy. */
export class StatusError extends Error {
  constructor(
    readonly status: number,
    readonly retryAfter: number,
  ) {
    super(`the response ${status} is not a problem document of the service`);
    this.name = "StatusError";
  }
}

/** A request without a response. It shows no URL, which may contain an address. */
export class TransportError extends Error {
  constructor(cause: unknown) {
    super("the request could not be sent, or its response was not received", { cause });
    this.name = "TransportError";
  }
}
