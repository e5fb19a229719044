/**
 * Markdown as models write it → nodes of the page. Nothing becomes markup: HTML is shown as it was written, links go to
 * http, https and mailto alone, images are links. Text that is still growing is drawn anew from its last block only.
 */

import { h } from "../dom.js";
import { copyButton } from "../parts/copy.js";

const DEEPEST = 8;
const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^`]*)$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}([-*_])(?:[ \t]*\1){2,}[ \t]*$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( *)([-*+]|\d{1,9}[.)])(?:[ \t]+|$)/;
const TABLE_LINE = /^\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?$/;

/** The nodes of a text. */
export const markdown = (text) => blocks(text.split(/\r?\n/)).map((block) => render(block, 0));

/** Shows a text that grows in `element`: call the answer with all of it each time there is more. */
export function growing(element) {
  let shown = [];
  return (text) => {
    const now = blocks(text.split(/\r?\n/));
    const keys = now.map((block) => `${block.kind}\n${block.lines.join("\n")}`);
    let same = 0;
    while (same < shown.length && same < keys.length && shown[same].key === keys[same]) same += 1;
    const last = shown[same];
    if (last && now[same]?.kind === "fence" && last.kind === "fence" && now[same].language === last.language) {
      // The same block of code, longer: its scroll position and its button stay.
      last.node.querySelector("code").textContent = now[same].lines.join("\n");
      last.key = keys[same];
      same += 1;
    }
    for (const { node } of shown.splice(same)) node.remove();
    for (let at = same; at < now.length; at += 1) {
      const node = render(now[at], 0);
      shown.push({ key: keys[at], kind: now[at].kind, language: now[at].language, node });
      element.append(node);
    }
  };
}

// Blocks: { kind, lines, … }, the lines without what marks the block where that is simple.

function blocks(lines) {
  const found = [];
  for (let at = 0; at < lines.length; ) {
    const block = lines[at].trim() === "" ? null : blockAt(lines, at);
    at = block ? block.end : at + 1;
    if (block) found.push(block);
  }
  return found;
}

function blockAt(lines, at) {
  const line = lines[at];
  const fence = FENCE.exec(line);
  if (fence) return fenceAt(lines, at, fence);
  const heading = HEADING.exec(line);
  if (heading) return { kind: "heading", level: heading[1].length, lines: [line], text: withoutTail(heading[2] ?? ""), end: at + 1 };
  if (RULE.test(line)) return { kind: "rule", lines: [line], end: at + 1 };
  if (QUOTE.test(line)) return gather(lines, at, "quote", (each) => QUOTE.test(each));
  if (ITEM.test(line)) return listAt(lines, at);
  if (isTable(lines, at)) return gather(lines, at, "table", (each) => each.includes("|"));
  return gather(lines, at, "paragraph", (each, where) => where === at || !interrupts(lines, where));
}

function gather(lines, at, kind, belongs) {
  let end = at + 1;
  while (end < lines.length && lines[end].trim() !== "" && belongs(lines[end], end)) end += 1;
  return { kind, lines: lines.slice(at, end), end };
}

function fenceAt(lines, at, [, mark, info]) {
  const isEnd = (line) => {
    const text = line.trim();
    return text.length >= mark.length && text === mark[0].repeat(text.length);
  };
  let end = at + 1;
  while (end < lines.length && !isEnd(lines[end])) end += 1;
  return { kind: "fence", language: info.trim().split(/\s/)[0], lines: lines.slice(at + 1, end), end: end + 1 };
}

/** Items of one sort; what is indented more than their marks belongs to them, which is how models indent. */
function listAt(lines, at) {
  const [, { length: indent }, mark] = ITEM.exec(lines[at]);
  const sort = mark.at(-1);
  const items = [];
  let isLoose = false;
  let end = at;
  for (; end < lines.length; end += 1) {
    const line = lines[end];
    const item = ITEM.exec(line);
    const isAfterBlank = end > at && lines[end - 1].trim() === "";
    if (line.trim() === "") {
      items.at(-1).push("");
    } else if (item && item[1].length <= indent + 1 && item[2].at(-1) === sort && !RULE.test(line)) {
      isLoose ||= isAfterBlank && items.length > 0;
      items.push([line.slice(item[0].length)]);
    } else if (line.search(/\S/) > indent + 1) {
      items.at(-1).push(line.slice(Math.min(line.search(/\S/), indent + mark.length + 1)));
    } else if (isAfterBlank || interrupts(lines, end)) {
      break;
    } else {
      items.at(-1).push(line);
    }
  }
  const start = /\d/.test(mark) ? Number.parseInt(mark, 10) : null;
  return { kind: "list", start, items, isLoose, lines: lines.slice(at, end), end };
}

/** Whether a line ends the paragraph before it. */
function interrupts(lines, at) {
  const line = lines[at];
  const item = ITEM.exec(line);
  const beginsList = item && line.length > item[0].length && (!/\d/.test(item[2]) || item[2].startsWith("1"));
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || Boolean(beginsList) || isTable(lines, at);
}

const isTable = (lines, at) => lines[at].includes("|") && lines[at + 1]?.includes("-") && lines[at + 1].includes("|") && TABLE_LINE.test(lines[at + 1].trim());

/** "Title ##" is "Title". */
function withoutTail(text) {
  const trimmed = text.trim();
  let end = trimmed.length;
  while (trimmed[end - 1] === "#") end -= 1;
  return end === 0 || trimmed[end - 1] === " " ? trimmed.slice(0, end).trim() : trimmed;
}

function render(block, depth) {
  const { kind, lines } = block;
  if (kind === "fence") return code(lines.join("\n"), block.language);
  // The page has its own two levels of headings above these.
  if (kind === "heading") return h(`h${Math.max(3, Math.min(6, block.level + 1))}`, inline(block.text));
  if (kind === "rule") return h("hr");
  if (kind === "table") return table(lines);
  if (kind === "paragraph" || depth >= DEEPEST) return h("p", inline(lines.map((line) => line.trim()).join("\n")));
  if (kind === "quote") return h("blockquote", blocks(lines.map((line) => line.replace(QUOTE, ""))).map((each) => render(each, depth + 1)));
  return h(block.start === null ? "ul" : "ol", { start: block.start > 1 ? block.start : null }, block.items.map((item) => listItem(item, block.isLoose, depth)));
}

function listItem(lines, isLoose, depth) {
  const task = /^\[([ xX])\] +/.exec(lines[0]);
  const rest = task ? [lines[0].slice(task[0].length), ...lines.slice(1)] : lines;
  const box = task && h("input", { type: "checkbox", checked: task[1] !== " ", disabled: true, "aria-label": task[1] === " " ? "to do" : "done" });
  const inner = blocks(rest);
  const isTight = !isLoose && inner[0]?.kind === "paragraph";
  const first = isTight ? inline(inner[0].lines.map((line) => line.trim()).join("\n")) : [];
  return h("li", { class: task ? "task" : null }, box, first, inner.slice(isTight ? 1 : 0).map((each) => render(each, depth + 1)));
}

function table([head, marks, ...rows]) {
  const sides = cells(marks).map((mark) => (mark.endsWith(":") ? (mark.startsWith(":") ? "center" : "right") : null));
  const row = (line, tag) => {
    const texts = cells(line);
    return h("tr", sides.map((side, at) => h(tag, { scope: tag === "th" ? "col" : null, data: side ? { side } : {} }, inline(texts[at] ?? ""))));
  };
  const made = h("table", h("thead", row(head, "th")), h("tbody", rows.map((line) => row(line, "td"))));
  return h("div.table-scroll", { tabindex: "0", role: "region", "aria-label": "Table" }, made);
}

const cells = (line) =>
  line
    .trim()
    .replace(/^\||\|$/g, "")
    .split(/(?<!\\)\|/)
    .map((text) => text.trim().replaceAll("\\|", "|"));

function code(text, language) {
  const inner = h("code", text);
  return h(
    "div.code-block",
    h("pre", { tabindex: "0", role: "region", "aria-label": language ? `Code, ${language}` : "Code" }, inner),
    copyButton(() => inner.textContent, { label: "this code" }),
    language && h("span.language", { "aria-hidden": "true" }, language),
  );
}

// What stands in a line.

const TOKEN = /\\[!-/:-@[-`{-~]|`+|!?\[|<(?:https?:|mailto:)[^\s<>]+>|https?:\/\/[^\s<>"]+|\*{1,3}|_{1,3}|~~|&(?:amp|lt|gt|quot|nbsp|#39);|<br ?\/?>|\n/g;
const TARGET = /\([ ]?(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\((?:[^\s()\\]|\\.)*\))*))(?:\s+(?:"[^"]*"|'[^']*'))?[ ]?\)/y;
const ENTITIES = { "&amp;": "&", "&lt;": "<", "&gt;": ">", "&quot;": '"', "&nbsp;": "\u00a0", "&#39;": "'" };
const TAGS = { "*": "em", _: "em", "**": "strong", __: "strong", "~~": "del" };
const LABEL_CHARS = 1000;

function inline(text, depth = 0) {
  const found = [];
  const barren = new Set();
  let from = 0;
  const pattern = new RegExp(TOKEN);
  for (let token = pattern.exec(text); token; token = pattern.exec(text)) {
    const made = meaning(text, token, depth, barren);
    if (!made) continue;
    if (token.index > from) found.push(text.slice(from, token.index));
    found.push(made.node);
    from = pattern.lastIndex = made.end;
  }
  if (from < text.length) found.push(text.slice(from));
  return found;
}

/** `{ node, end }` of what begins at a token, or null when it only stands for itself. */
function meaning(text, token, depth, barren) {
  const [mark] = token;
  const end = token.index + mark.length;
  // The one tag that is meant: models break lines in the cells of tables with it.
  if (mark === "\n" || mark.startsWith("<br")) return { node: h("br"), end };
  if (mark[0] === "\\") return { node: mark[1], end };
  if (mark[0] === "&") return { node: ENTITIES[mark], end };
  if (mark[0] === "`") return codeSpan(text, token.index, mark, barren);
  if (mark[0] === "<") return { node: link(mark.slice(1, -1).replace(/^mailto:/, ""), mark.slice(1, -1)), end };
  if (mark[0] === "h") return bareLink(mark, token.index);
  if (mark.endsWith("[")) return depth < DEEPEST ? bracketed(text, token.index, mark, depth) : null;
  return depth < DEEPEST ? emphasis(text, token.index, mark, depth, barren) : null;
}

function codeSpan(text, at, mark, barren) {
  if (barren.has(mark)) return null;
  for (let to = at + mark.length; (to = text.indexOf(mark, to)) >= 0; ) {
    let end = to + mark.length;
    while (text[end] === "`") end += 1;
    if (end - to === mark.length) {
      const inner = text.slice(at + mark.length, to).replaceAll("\n", " ");
      const isPadded = inner.length > 2 && inner.startsWith(" ") && inner.endsWith(" ");
      return { node: h("code", isPadded ? inner.slice(1, -1) : inner), end };
    }
    to = end;
  }
  barren.add(mark);
  return null;
}

/** An address as it stands; the full stop after it is not part of it, nor is a bracket that was opened before it. */
function bareLink(address, at) {
  let end = address.length;
  let unopened = address.split(")").length - address.split("(").length;
  for (; ; end -= 1) {
    const last = address[end - 1];
    const isBeyond = last === ")" && unopened > 0;
    if (isBeyond) unopened -= 1;
    else if (!/[.,;:!?'*_~]/.test(last)) break;
  }
  const url = address.slice(0, end);
  return { node: link(url, url), end: at + end };
}

/** [text](address) and ![text](address). */
function bracketed(text, at, mark, depth) {
  const start = at + mark.length;
  let open = 1;
  let to = start;
  for (; to < text.length && to - start < LABEL_CHARS; to += 1) {
    if (text[to] === "\\") to += 1;
    else if (text[to] === "[") open += 1;
    else if (text[to] === "]" && (open -= 1) === 0) break;
  }
  if (text[to] !== "]") return null;
  const near = text.slice(to + 1, to + 1 + 2 * LABEL_CHARS);
  TARGET.lastIndex = 0;
  const target = TARGET.exec(near);
  if (!target) return null;
  const url = (target[1] ?? target[2]).replace(/\\([!-/:-@[-`{-~])/g, "$1");
  const label = text.slice(start, to);
  const shown = mark === "![" ? `Image: ${label || url}` : inline(label || url, depth + 1);
  return { node: link(shown, url), end: to + 1 + target[0].length };
}

/** A link, or only its words when it leads where links may not lead. */
function link(shown, url) {
  let to = null;
  try {
    to = new URL(url);
  } catch {
    // Not an address by itself, such as "#part" of a page that is not there.
  }
  if (!["http:", "https:", "mailto:"].includes(to?.protocol)) return h("span", { title: url }, shown);
  return h("a", { href: to.href, target: "_blank", rel: "noopener noreferrer" }, shown);
}

const isWord = (letter) => letter !== undefined && /[\p{L}\p{N}]/u.test(letter);
const isSpace = (letter) => letter === undefined || /\s/.test(letter);

function emphasis(text, at, mark, depth, barren) {
  const start = at + mark.length;
  if (barren.has(mark) || isSpace(text[start]) || (mark[0] === "_" && isWord(text[at - 1]))) return null;
  for (let to = start; (to = text.indexOf(mark[0], to)) >= 0; ) {
    let end = to + 1;
    while (text[end] === mark[0]) end += 1;
    const length = end - to;
    const fits = length === mark.length || (length === 3 && mark.length < 3);
    if (fits && !isSpace(text[to - 1]) && text[to - 1] !== "\\" && !(mark[0] === "_" && isWord(text[end]))) {
      const inner = inline(text.slice(start, end - mark.length), depth + 1);
      return { node: mark.length === 3 ? h("strong", h("em", inner)) : h(TAGS[mark], inner), end };
    }
    to = end;
  }
  barren.add(mark);
  return null;
}
