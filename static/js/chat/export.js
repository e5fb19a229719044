/** A conversation as a document to read. Texts only; no page. */

/** Markdown, under this title and time. Images are named, not enclosed. */
export function asMarkdown({ settings, messages }, title, time) {
  const parts = [`# ${title}`, `*${time}*`];
  if (settings.system.trim()) parts.push("## System prompt", settings.system.trim());
  for (const each of messages) {
    parts.push(each.role === "user" ? "## You" : `## ${each.model}`);
    parts.push(...(each.images ?? []).map((image) => `*Image: ${image.name}*`));
    if (each.text) parts.push(each.text.trim());
    if (each.tools?.length) parts.push(`\`\`\`json\n${JSON.stringify(each.tools, null, 2)}\n\`\`\``);
    if (each.error) parts.push(`*Failed: ${each.error.message}*`);
    if (each.state === "stopped") parts.push("*Stopped here.*");
  }
  return `${parts.join("\n\n")}\n`;
}
