/** The same call in curl, Python and JavaScript, ready to copy. Texts only; no page. */

const KEY = "YOUR-KEY";
const WIDE = 88;

/** What each kind of call is: its path, the method of the official SDKs, and what its answer is good for. */
const OPERATIONS = {
  chat: { path: "/v1/chat/completions", method: "chat.completions.create", shown: "choices[0].message.content" },
  embeddings: { path: "/v1/embeddings", method: "embeddings.create", shown: "data[0].embedding" },
  transcription: { path: "/v1/audio/transcriptions", method: "audio.transcriptions.create", shown: "text" },
  translation: { path: "/v1/audio/translations", method: "audio.translations.create", shown: "text" },
  speech: { path: "/v1/audio/speech", method: "audio.speech.create" },
  ocr: { path: "/v1/ocr" },
  rerank: { path: "/v1/rerank" },
  images: { path: "/v1/images/generations", method: "images.generate" },
  moderation: { path: "/v1/moderations", method: "moderations.create", shown: "results[0].flagged" },
};

// Of the members of a chat body, those that the SDK for Python takes by name; the others go in extra_body.
const CHAT_NAMES = new Set(
  `model messages stream stream_options temperature top_p max_tokens max_completion_tokens stop seed n presence_penalty frequency_penalty
  response_format tools tool_choice parallel_tool_calls logit_bias logprobs top_logprobs reasoning_effort user metadata modalities prediction
  verbosity`.split(/\s+/),
);

/**
 * `{ id, label, code }` in three languages. `operation` is one of OPERATIONS, `base` the address of this server, `body`
 * the members; with `file` (a name) it goes out as a form, the file in `file`.
 */
export function snippets(operation, { base, body, file = "", key = KEY }) {
  const plain = withoutData(body);
  return [
    { id: "curl", label: "curl", code: curl(operation, base, plain, file, key) },
    { id: "python", label: "Python", code: python(operation, base, plain, file, key) },
    { id: "javascript", label: "JavaScript", code: javascript(operation, base, plain, file, key) },
  ];
}

/** A first chat call. */
export const chatSnippets = ({ base, model, key = KEY }) => snippets("chat", { base, key, body: { model, messages: [{ role: "user", content: "Hello!" }] } });

/** For the shell: in single quotes when it has to be. */
const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);

/** Images stand for themselves in a few letters; the real ones would bury the rest. */
function withoutData(value) {
  if (typeof value === "string") return value.replace(/^(data:[\w/+.-]+;base64,)[^]{100,}$/, "$1BASE64-OF-YOUR-IMAGE");
  if (Array.isArray(value)) return value.map(withoutData);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, withoutData(each)]));
}

function curl(operation, base, body, file, key) {
  const lines = [`curl ${body.stream ? "-N " : ""}${base}${OPERATIONS[operation].path}`, `-H "Authorization: Bearer ${key}"`];
  if (file) lines.push(...inForm(body).map(curlField), `-F ${quoted(`file=@${/[;,"]/.test(file) ? text(file) : file}`)}`);
  else lines.push('-H "Content-Type: application/json"', `-d '${literal(body, JSON_TEXT).replaceAll("'", "'\\''")}'`);
  if (operation === "speech") lines.push(`--output speech.${body.response_format ?? "mp3"}`);
  return lines.join(" \\\n  ");
}

/** The members as a form has them: a list is a field for each. */
const inForm = (body) => Object.entries(body).flatMap(([name, value]) => (Array.isArray(value) ? value.map((each) => [`${name}[]`, each]) : [[name, value]]));

/** Where -F would take a value for the name of a file, or what follows a semicolon for its type, it is said to be text. */
const curlField = ([name, value]) => `${/^[@<]|;/.test(value) ? "--form-string" : "-F"} ${quoted(`${name}=${value}`)}`;

// Python.

function python(operation, base, body, file, key) {
  const { method, path, shown } = OPERATIONS[operation];
  if (operation === "ocr") return pythonForm(base + path, body, file, key);
  const head = `# pip install openai\nfrom openai import OpenAI\n\nclient = OpenAI(base_url=${text(`${base}/v1`)}, api_key=${text(key)})\n`;
  if (!method) return `${head}answer = client.post(${text(path.slice(3))}, cast_to=object, body=${literal(body, PYTHON)})\nprint(answer["results"])`;
  const given = operation === "chat" ? withExtra(body) : body;
  const named = Object.entries(given).map(([name, value]) => `    ${name}=${literal(value, PYTHON, 1)},\n`);
  if (file) named.push(`    file=open(${text(file)}, "rb"),\n`);
  const call = `client.${method}(\n${named.join("")})`;
  if (operation === "speech") {
    const streamed = call.replace(method, "audio.speech.with_streaming_response.create");
    return `${head}with ${streamed} as answer:\n    answer.stream_to_file("speech.${body.response_format ?? "mp3"}")`;
  }
  if (operation === "images") {
    const decode = 'with open("image.png", "wb") as file:\n    file.write(base64.b64decode(answer.data[0].b64_json))';
    return `# pip install openai\nimport base64\n${head.split("\n").slice(1).join("\n")}answer = ${call}\n${decode}`;
  }
  if (body.stream && file) return `${head}stream = ${call}\nfor event in stream:\n    if event.type == "transcript.text.delta":\n        print(event.delta, end="", flush=True)`;
  if (body.stream) return `${head}stream = ${call}\nfor chunk in stream:\n    if chunk.choices:\n        print(chunk.choices[0].delta.content or "", end="", flush=True)`;
  return `${head}answer = ${call}\nprint(${isText(operation, body) ? "answer" : `answer.${shown}`})`;
}

function withExtra(body) {
  const known = Object.fromEntries(Object.entries(body).filter(([name]) => CHAT_NAMES.has(name)));
  const others = Object.fromEntries(Object.entries(body).filter(([name]) => !CHAT_NAMES.has(name)));
  return Object.keys(others).length ? { ...known, extra_body: others } : known;
}

const pythonForm = (url, body, file, key) => `# pip install httpx
import httpx

answer = httpx.post(
    ${text(url)},
    headers={"Authorization": ${text(`Bearer ${key}`)}},
    data=${literal(body, PYTHON, 1)},
    files={"file": open(${text(file)}, "rb")},
    timeout=120,
)
print(answer.json()["text"])`;

// JavaScript.

function javascript(operation, base, body, file, key) {
  const { method, path, shown } = OPERATIONS[operation];
  if (operation === "ocr") return javascriptForm(base + path, body, file, key);
  const reads = file ? 'import fs from "node:fs";\n' : ["speech", "images"].includes(operation) ? 'import { writeFile } from "node:fs/promises";\n' : "";
  const head = `// npm install openai\n${reads}import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: ${text(`${base}/v1`)}, apiKey: ${text(key)} });\n`;
  if (!method) return `${head}const answer = await client.post(${text(path.slice(3))}, { body: ${literal(body, JAVASCRIPT)} });\nconsole.log(answer.results);`;
  const members = Object.entries(body).map(([name, value]) => `  ${JAVASCRIPT.name(name)}: ${literal(value, JAVASCRIPT, 1)},\n`);
  if (file) members.push(`  file: fs.createReadStream(${text(file)}),\n`);
  const call = `await client.${method}({\n${members.join("")}})`;
  if (operation === "speech") return `${head}const answer = ${call};\nawait writeFile("speech.${body.response_format ?? "mp3"}", Buffer.from(await answer.arrayBuffer()));`;
  if (operation === "images") return `${head}const answer = ${call};\nawait writeFile("image.png", Buffer.from(answer.data[0].b64_json, "base64"));`;
  if (body.stream && file) return `${head}const stream = ${call};\nfor await (const event of stream) {\n  if (event.type === "transcript.text.delta") process.stdout.write(event.delta);\n}`;
  if (body.stream) return `${head}const stream = ${call};\nfor await (const chunk of stream) {\n  process.stdout.write(chunk.choices[0]?.delta?.content ?? "");\n}`;
  return `${head}const answer = ${call};\nconsole.log(${isText(operation, body) ? "answer" : `answer.${shown}`});`;
}

const javascriptForm = (url, body, file, key) => `// Node 20 or newer, nothing to install
import { openAsBlob } from "node:fs";

const form = new FormData();
${Object.entries(body).map(([name, value]) => `form.append(${text(name)}, ${text(String(value))});\n`).join("")}form.append("file", await openAsBlob(${text(file)}), ${text(file)});
const answer = await fetch(${text(url)}, { method: "POST", headers: { Authorization: ${text(`Bearer ${key}`)} }, body: form });
console.log((await answer.json()).text);`;

/** Whether a transcript comes as plain text. */
const isText = (operation, body) => ["transcription", "translation"].includes(operation) && ["text", "srt", "vtt"].includes(body.response_format);

// Values as the languages write them.

const text = (value) => JSON.stringify(value);

const PYTHON = { null: "None", true: "True", false: "False", name: text, step: "    ", open: "{", close: "}", tail: "," };
const JAVASCRIPT = { name: (name) => (/^[A-Za-z_$][\w$]*$/.test(name) ? name : text(name)), step: "  ", open: "{ ", close: " }", tail: "," };
const JSON_TEXT = { name: text, step: "  ", open: "{ ", close: " }", tail: "" };

/** A value on one line if that is short, else one member a line. */
function literal(value, language, depth = 0) {
  if (typeof value === "string") return text(value);
  if (value === null || typeof value !== "object") return language[value] ?? String(value);
  const isList = Array.isArray(value);
  const inner = isList ? value.map((each) => literal(each, language, depth + 1)) : Object.entries(value).map(([name, each]) => `${language.name(name)}: ${literal(each, language, depth + 1)}`);
  const [open, close] = isList ? ["[", "]"] : inner.length ? [language.open, language.close] : ["{", "}"];
  const line = open + inner.join(", ") + close;
  if (line.length + depth * 4 <= WIDE && !line.includes("\n")) return line;
  const margin = language.step.repeat(depth + 1);
  return `${open.trim()}\n${inner.map((each) => margin + each).join(",\n")}${language.tail}\n${language.step.repeat(depth)}${close.trim()}`;
}
