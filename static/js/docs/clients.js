/** How well-known clients are pointed at this server: what to write, and where. Texts only; no page. */

const text = (value) => JSON.stringify(value);
const shell = (value) => (/^[\w@%+=:,./-]+$/.test(value) ? value : `'${value.replaceAll("'", "'\\''")}'`);

/**
 * `{ id, name, about, steps: [{ where, code }], note }` for a model. `types` says which kinds of models a client has a use
 * for. `base` is the address of this server, without /v1.
 */
export function clients({ base, model, key = "YOUR-KEY" }) {
  const v1 = `${base}/v1`;
  return [
    {
      id: "openai",
      name: "OpenAI SDKs",
      types: "all",
      about: "For Python, Node, Go, Java and .NET: two variables, and no change of code.",
      steps: [{ where: "In the environment", code: `export OPENAI_BASE_URL=${shell(v1)}\nexport OPENAI_API_KEY=${shell(key)}` }],
      note: "Then name the model as it is called here.",
    },
    {
      id: "langchain",
      name: "LangChain",
      types: ["chat"],
      about: "pip install langchain-openai",
      steps: [
        {
          where: "In Python",
          code: `from langchain_openai import ChatOpenAI\n\nllm = ChatOpenAI(\n    model=${text(model)},\n    base_url=${text(v1)},\n    api_key=${text(key)},\n    stream_usage=True,\n)\nprint(llm.invoke("Hello!").content)`,
        },
      ],
      note: "Without stream_usage=True it does not ask how many tokens a stream took.",
    },
    {
      id: "langchain-embeddings",
      name: "LangChain, embeddings",
      types: ["embedding"],
      about: "pip install langchain-openai",
      steps: [
        {
          where: "In Python",
          code: `from langchain_openai import OpenAIEmbeddings\n\nembeddings = OpenAIEmbeddings(\n    model=${text(model)},\n    base_url=${text(v1)},\n    api_key=${text(key)},\n    check_embedding_ctx_length=False,\n)\nprint(len(embeddings.embed_query("Hello!")))`,
        },
      ],
      note: "Without check_embedding_ctx_length=False it sends numbers instead of texts, which only OpenAI's own models understand.",
    },
    {
      id: "llm",
      name: "llm",
      types: ["chat"],
      about: "The command for the terminal.",
      steps: [
        {
          where: 'extra-openai-models.yaml, in the folder that this prints: dirname "$(llm logs path)"',
          code: `- model_id: ${text(model)}\n  model_name: ${text(model)}\n  api_base: ${text(v1)}\n  api_key_name: ipin\n  supports_tools: true\n  supports_schema: true`,
        },
        { where: "In the terminal", code: `llm keys set ipin --value ${shell(key)}\nllm -m ${shell(model)} 'Hello!'` },
      ],
    },
    {
      id: "aider",
      name: "aider",
      types: ["chat"],
      about: "Pair programming in the terminal.",
      steps: [{ where: "In the terminal", code: `aider --model ${shell(`openai/${model}`)} \\\n  --openai-api-base ${shell(v1)} \\\n  --openai-api-key ${shell(key)}` }],
      note: "openai/ before the name is aider's way of saying which protocol to speak.",
    },
    {
      id: "continue",
      name: "Continue",
      types: ["chat", "embedding", "reranking"],
      about: "For VS Code and JetBrains.",
      steps: [{ where: "~/.continue/config.yaml", code: (type) => continueYaml(model, v1, key, type) }],
    },
    {
      id: "open-webui",
      name: "Open WebUI",
      types: ["chat"],
      about: "A chat page for many people.",
      steps: [
        {
          where: "Start it so, or add the address and the key under Admin Settings, Connections, OpenAI API",
          code: `docker run -d -p 8080:8080 \\\n  -e OPENAI_API_BASE_URL=${shell(v1)} \\\n  -e OPENAI_API_KEY=${shell(key)} \\\n  -v open-webui:/app/backend/data ghcr.io/open-webui/open-webui:main`,
        },
      ],
      note: "It lists every model that the key may use. From inside a container, localhost is the container itself: use the address of this machine.",
    },
    {
      id: "codex",
      name: "Codex",
      types: ["chat"],
      about: "It speaks the Responses API alone, so choose a model whose provider offers that.",
      steps: [
        { where: "~/.codex/config.toml", code: `model = ${text(model)}\nmodel_provider = "ipin"\n\n[model_providers.ipin]\nname = "iPin Proxy"\nbase_url = ${text(v1)}\nenv_key = "IPIN_API_KEY"\nwire_api = "responses"` },
        { where: "In the terminal", code: `export IPIN_API_KEY=${shell(key)}\ncodex` },
      ],
      note: "It ignores OPENAI_BASE_URL.",
    },
    {
      id: "qwen",
      name: "Qwen Code",
      types: ["chat"],
      about: "A coding agent for the terminal.",
      steps: [{ where: "In the terminal", code: `export OPENAI_BASE_URL=${shell(v1)}\nexport OPENAI_API_KEY=${shell(key)}\nexport OPENAI_MODEL=${shell(model)}\nqwen --auth-type openai` }],
    },
    {
      id: "opencode",
      name: "opencode",
      types: ["chat"],
      about: "A coding agent for the terminal.",
      steps: [
        { where: "opencode.json, in the project or in ~/.config/opencode", code: opencodeJson(model, v1) },
        { where: "In the terminal", code: `export IPIN_API_KEY=${shell(key)}\nopencode` },
      ],
    },
    claudeCode({ base, key, model }),
    anthropic({ base, key, model }),
  ];
}

/** Claude Code at an address. `model`: for everything it asks for; without one its own names have to mean something there. */
export function claudeCode({ base, key, model = "" }) {
  const names = { ANTHROPIC_BASE_URL: base, ANTHROPIC_AUTH_TOKEN: key };
  if (model) Object.assign(names, { ANTHROPIC_MODEL: model, ANTHROPIC_DEFAULT_HAIKU_MODEL: model });
  const lines = (each) => Object.entries(names).map(([name, value]) => each(name, value));
  return {
    id: "claude-code",
    name: "Claude Code",
    types: ["chat"],
    about: "A coding agent for the terminal.",
    steps: [
      { where: "In the terminal", code: [...lines((name, value) => `export ${name}=${shell(value)}`), "claude"].join("\n") },
      { where: "In PowerShell", code: [...lines((name, value) => `$env:${name} = '${value.replaceAll("'", "''")}'`), "claude"].join("\n") },
      { where: "Or for good, in ~/.claude/settings.json", code: JSON.stringify({ env: names }, null, 2) },
    ],
    note: "The address is without /v1: it appends that itself.",
  };
}

/** Anthropic's own libraries, and whatever has a field for their address. */
export function anthropic({ base, key, model = "claude-sonnet-5" }) {
  return {
    id: "anthropic",
    name: "Anthropic SDKs",
    types: ["chat"],
    about: "For everything that has a field for Anthropic's base URL: the address without /v1, and a key of this server.",
    steps: [
      { where: "In the environment", code: `export ANTHROPIC_BASE_URL=${shell(base)}\nexport ANTHROPIC_API_KEY=${shell(key)}` },
      {
        where: "In Python",
        code: `from anthropic import Anthropic\n\nclient = Anthropic(base_url=${text(base)}, api_key=${text(key)})\nmessage = client.messages.create(\n    model=${text(model)},\n    max_tokens=1024,\n    messages=[{"role": "user", "content": "Hello!"}],\n)\nprint(message.content[0].text)`,
      },
      {
        where: "In JavaScript",
        code: `import Anthropic from "@anthropic-ai/sdk";\n\nconst client = new Anthropic({ baseURL: ${text(base)}, apiKey: ${text(key)} });\nconst message = await client.messages.create({\n  model: ${text(model)},\n  max_tokens: 1024,\n  messages: [{ role: "user", content: "Hello!" }],\n});\nconsole.log(message.content[0].text);`,
      },
    ],
  };
}

function continueYaml(model, v1, key, type) {
  const roles = { embedding: "embed", reranking: "rerank" }[type];
  const list = roles ? `      - ${roles}` : "      - chat\n      - edit\n      - apply";
  return `name: iPin Proxy\nversion: 1.0.0\nschema: v1\nmodels:\n  - name: ${text(model)}\n    provider: openai\n    model: ${text(model)}\n    apiBase: ${text(v1)}\n    apiKey: ${text(key)}\n    roles:\n${list}`;
}

function opencodeJson(model, v1) {
  const provider = { npm: "@ai-sdk/openai-compatible", name: "iPin Proxy", options: { baseURL: v1, apiKey: "{env:IPIN_API_KEY}" }, models: { [model]: { name: model } } };
  return JSON.stringify({ $schema: "https://opencode.ai/config.json", model: `ipin/${model}`, provider: { ipin: provider } }, null, 2);
}
