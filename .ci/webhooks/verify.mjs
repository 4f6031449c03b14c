// Verifies posts of the service with the library that receivers use. The file that is
// named has a list of {type, secret, id, timestamp, signature, body, verifies}; what
// differs from it is printed, and the number of posts.
import { readFileSync } from "node:fs";
import { Webhook } from "standardwebhooks";

const posts = JSON.parse(readFileSync(process.argv[2], "utf8"));
let wrong = 0;
for (const p of posts) {
  const headers = { "webhook-id": p.id, "webhook-timestamp": p.timestamp, "webhook-signature": p.signature };
  let type, fault;
  try {
    type = new Webhook(p.secret).verify(p.body, headers).type;
  } catch (e) {
    fault = e;
  }
  if ((fault === undefined) !== p.verifies || (p.verifies && type !== p.type)) {
    console.error(`${p.type}: ${fault ?? type}, want verified ${p.verifies}`);
    wrong++;
  }
}
console.log(posts.length);
process.exit(wrong > 0 ? 1 : 0);
