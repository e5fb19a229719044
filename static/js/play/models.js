/** The models that a session may use. */

import { get } from "../api.js";

/**
 * `{ data, refusal }`: the models as `GET /v1/models` lists them, and why there are none. People without a good API key
 * are not asked for: that would only be refused.
 */
export async function sessionModels(user) {
  if (user.role !== "admin") {
    const { apiKey } = await get("/api/user/me");
    const isGood = apiKey && apiKey.enabled !== false && !(apiKey.expiresAt < Date.now() && apiKey.expiresAt);
    if (!isGood) return { data: [], refusal: apiKey ? "Your API key is disabled or expired. An administrator can change that." : "No API key is linked to you yet. An administrator can link one." };
  }
  return { data: (await get("/v1/models")).data, refusal: "" };
}
