/** The types of providers and models in words, and what a model's name lets one guess. Guesses are shown and can be changed; what is not changed, the server decides by the name. */

/** What a provider speaks like. */
export const PROVIDER_TYPES = [
  ["openai", "OpenAI-compatible"],
  ["anthropic", "Anthropic"],
  ["ollama", "Ollama"],
  ["chutes", "Chutes"],
];

export const TYPES = [
  ["chat", "Chat"],
  ["embedding", "Embedding"],
  ["transcription", "Transcription"],
  ["speech", "Speech"],
  ["reranking", "Reranking"],
  ["ocr", "OCR"],
  ["image", "Image"],
  ["moderation", "Moderation"],
];

export const typeName = (id) => TYPES.find(([each]) => each === id)?.[1] ?? id;

const BY_NAME = [
  [/rerank/i, "reranking"],
  [/embed|(^|[/-])(bge|gte|e5|minilm|nomic)-/i, "embedding"],
  [/whisper|transcri|parakeet|(^|[-_/])(stt|asr)([-_]|$)/i, "transcription"],
  [/(^|[-_/])tts|text-to-speech|kokoro|orpheus|[-_]speech/i, "speech"],
  [/ocr/i, "ocr"],
  [/moderation/i, "moderation"],
  [/dall-e|gpt-image|imagen|flux|stable-diffusion|sdxl|[-_]image([-_]|$)/i, "image"],
];
const SEES =
  /vision|multimodal|(^|[^a-z])vl|gpt-4o(?!.*(audio|transcribe|tts))|gpt-4\.1|gpt-5|(^|\/)o[134](?!-mini$)|claude|gemini|pixtral|llava|internvl|molmo|minicpm-[vo]|llama-?4|gemma-?[34]|grok-4|glm-4(\.\d)?v|kimi-k2\.5|qwen-?3\.[5-9]|mistral-(small|medium)-3/i;

export const guessType = (id) => BY_NAME.find(([pattern]) => pattern.test(id))?.[1] ?? "chat";

export const guessImages = (id) => guessType(id) === "ocr" || (guessType(id) === "chat" && SEES.test(id));
