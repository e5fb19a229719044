/** What keys or users have spent this month, and how their limits stand: for the lists of them, and their forms. */

import { ApiError, get } from "../api.js";
import { h } from "../dom.js";
import { limitBars, spendCell } from "./limits.js";

/** { of(id) → US dollars, cell(id) → node, bars(id) → node or null }. `by` is "key" or "user". */
export async function fetchSpend(by) {
  const now = new Date();
  const from = Date.UTC(now.getUTCFullYear(), now.getUTCMonth());
  try {
    const [usage, limits] = await Promise.all([get(`/api/admin/usage?${new URLSearchParams({ by, from })}`), get("/api/admin/limits")]);
    const spent = new Map(usage.series.map((row) => [row.bucket, row]));
    const standing = (id) => limits[`${by}s`][id] ?? [];
    return {
      of: (id) => spent.get(id)?.costUsd ?? 0,
      cell: (id) => spendCell(spent.get(id), standing(id)),
      bars: (id) => (standing(id).length ? limitBars(standing(id)) : null),
    };
  } catch (error) {
    // A ledger that cannot be read keeps nobody from keys and users.
    if (!(error instanceof ApiError) || error.isSilence) throw error;
    return { of: () => null, cell: () => h("span.quiet-text", { title: error.message }, "not known"), bars: () => null };
  }
}
