// Anthropic's SDK through the proxy of BASE_URL and API_KEY. The queue of the upstream has the answers in this order.
import Anthropic from '@anthropic-ai/sdk'
import { report } from './common.mjs'

const connect = (more = {}) => new Anthropic({ apiKey: process.env.API_KEY, baseURL: process.env.BASE_URL, maxRetries: 0, timeout: 10_000, ...more })
const client = connect()
const asked = { model: 'gpt-public', max_tokens: 2000, messages: [{ role: 'user', content: 'The weather in Paris?' }] }
const tools = [{ name: 'get_weather', input_schema: { type: 'object', properties: { city: { type: 'string' } } } }]
const result = {}

const failure = async (action) => {
  try {
    return { answer: await action() }
  } catch (error) {
    return { name: error?.constructor?.name, status: error.status ?? null, error: error.error?.error ?? null, requestId: error.requestID ?? null }
  }
}

const said = await client.messages.create(asked)
result.text = said.content[0].text
result.requestId = said._request_id

const stream = client.messages.stream({ ...asked, tools, thinking: { type: 'adaptive' } })
const texts = []
stream.on('text', (text) => texts.push(text))
const done = await stream.finalMessage()
result.streamed = { texts, content: done.content, stop: done.stop_reason, usage: done.usage }

result.ran = await client.beta.messages
  .toolRunner({
    ...asked,
    tools: [{ type: 'custom', ...tools[0], run: ({ city }) => `18 C in ${city}`, parse: (input) => input }],
  })
  .runUntilDone()
  .then((message) => message.content[0].text)

result.counted = (await client.messages.countTokens({ model: asked.model, messages: asked.messages })).input_tokens
result.models = []
for await (const model of client.models.list({ limit: 1 })) result.models.push(model.id)

result.limited = await failure(() => client.messages.create(asked))
result.wrongKey = await failure(() => connect({ apiKey: 'sk-wrong', maxRetries: 2 }).messages.create(asked))
result.notFound = await failure(() => client.messages.create({ ...asked, model: 'none' }))
result.patient = await failure(async () => (await connect({ maxRetries: 1 }).messages.create(asked)).content[0].text)
result.cut = await failure(() => client.messages.stream(asked).finalMessage())
report(result)
