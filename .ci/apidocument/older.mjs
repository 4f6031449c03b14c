// Writes the OpenAPI document in version 3.0 for generators that read no 3.1:
//
//   node older.mjs openapi.yaml openapi.json
//
// The converter leaves what a schema in 3.1 says by the type "null"; 3.0 says it by
// nullable.
import { readFileSync, writeFileSync } from "node:fs";
import { Converter } from "@apiture/openapi-down-convert";
import { load } from "js-yaml";

const [from, to] = process.argv.slice(2);
const document = new Converter(load(readFileSync(from, "utf8"))).convert();
delete document.info.summary; // new in 3.1
writeFileSync(to, JSON.stringify(convert(document)));

function convert(value) {
  if (Array.isArray(value)) return value.map(convert);
  if (value === null || typeof value !== "object") return value;
  const out = Object.fromEntries(Object.entries(value).map(([name, v]) => [name, convert(v)]));
  if (Array.isArray(out.oneOf) && out.oneOf.some((s) => s.type === "null")) {
    const rest = out.oneOf.filter((s) => s.type !== "null");
    delete out.oneOf;
    Object.assign(out, rest.length === 1 ? { allOf: rest } : { oneOf: rest }, { nullable: true });
  }
  // The generator makes no class of a response that is one of two: of if_connected,
  // which the tour does not send.
  if (out.schema?.oneOf?.every((s) => s.$ref)) out.schema = out.schema.oneOf[0];
  if (Array.isArray(out.enum)) out.enum = out.enum.filter((v) => v !== null);
  return out;
}
