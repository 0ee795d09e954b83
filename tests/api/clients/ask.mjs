// Asks with the official JavaScript client what questions.py says; one line of JSON for each answer.

import { readFileSync } from "node:fs";
import { PostgrestClient } from "@supabase/postgrest-js";

const [url, token, file] = process.argv.slice(2);
const client = new PostgrestClient(url, { headers: { Authorization: `Bearer ${token}` } });

for (const { name, mart, calls } of JSON.parse(readFileSync(file, "utf8"))) {
  let query = mart ? client.from(mart) : client;
  for (const [method, ...given] of calls) {
    const [first, options] = given;
    if (method === "order") {
      const { desc = false, nulls_first, of } = options;
      query = query.order(first, { ascending: !desc, nullsFirst: nulls_first, referencedTable: of });
    } else if (options?.of) {
      query = query[method](first, { referencedTable: options.of });
    } else {
      query = query[method](...given);
    }
  }
  const { data, error, count, status } = await query;
  console.log(JSON.stringify({ name, data, error, count, status }));
}
