// Checks a software bill of materials (CycloneDX) against the modules of a program, and
// their licences against those that may be linked into it.
//
//   node .ci/licences.mjs sbom.cdx.json MODULES
//
// MODULES is the number of modules that the program names itself.
import { readFileSync } from "node:fs";

const allowed = new Set(["Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "BSD-Source-Code", "ISC", "MIT", "MPL-2.0"]);
// Read by hand, where the detector finds none: MIT.
const known = new Set(["github.com/pressly/goose/v3"]);

const { components } = JSON.parse(readFileSync(process.argv[2], "utf8"));
const faults = [];
if (components.length !== Number(process.argv[3])) {
  faults.push(`${components.length} components, and the program has ${process.argv[3]} modules`);
}
for (const c of components) {
  const found = [...(c.licenses ?? []), ...(c.evidence?.licenses ?? [])].map((l) => l.license?.id ?? l.license?.name ?? l.expression);
  if (!found.length && !known.has(c.name)) faults.push(`${c.name}: no licence found`);
  for (const l of found) if (!allowed.has(l)) faults.push(`${c.name}: ${l}`);
}
if (faults.length) {
  console.error(faults.join("\n"));
  process.exit(1);
}
console.log(`${components.length} modules, licences allowed`);
