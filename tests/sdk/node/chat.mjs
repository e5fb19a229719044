// Chat in all its forms. The queue of the upstream has one answer for each call, in this order.
import { collect, connect, report } from './common.mjs'

const client = connect()
const model = 'gpt-public'
const messages = [{ role: 'user', content: 'Grüße 👩‍👩‍👧‍👦' }]
const tools = [{ type: 'function', function: { name: 'weather', parameters: { type: 'object', properties: { city: { type: 'string' } } } } }]
const result = {}

const { data, response, request_id } = await client.chat.completions.create({ model, messages, seed: 7 }).withResponse()
result.text = data.choices[0].message.content
result.usage = data.usage
result.requestId = request_id
result.headers = Object.fromEntries(['x-request-id', 'x-ipin-provider', 'x-ipin-model'].map((name) => [name, response.headers.get(name)]))

result.stream = await collect(await client.chat.completions.create({ model, messages, stream: true }), (chunk) => chunk.choices[0].delta.content ?? '')
result.streamUsage = (await collect(await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } }), (chunk) => chunk.usage ?? null)).at(-1)

const called = await client.chat.completions.create({ model, messages, tools })
result.toolCall = called.choices[0].message.tool_calls[0].function
const streamed = await client.chat.completions.stream({ model, messages, tools }).finalChatCompletion()
result.streamedCalls = streamed.choices[0].message.tool_calls.map((call) => [call.id, call.function.name, call.function.arguments])

const runner = client.chat.completions.runTools({
  model,
  messages,
  tools: [{ type: 'function', function: { name: 'weather', parse: JSON.parse, function: ({ city }) => `sunny in ${city}`, parameters: tools[0].function.parameters } }],
})
result.ranTools = await runner.finalContent()

const schema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'], additionalProperties: false }
const parsed = await client.chat.completions.parse({ model, messages, response_format: { type: 'json_schema', json_schema: { name: 'person', strict: true, schema } } })
result.schema = JSON.parse(parsed.choices[0].message.content)

const picture = { type: 'image_url', image_url: { url: 'data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==' } }
result.vision = (await client.chat.completions.create({ model, messages: [{ role: 'user', content: [{ type: 'text', text: 'What?' }, picture] }] })).choices[0].message.content

result.completion = (await client.completions.create({ model, prompt: 'Say' })).choices[0].text
result.completionStream = await collect(await client.completions.create({ model, prompt: 'Say', stream: true }), (chunk) => chunk.choices[0].text)

result.response = (await client.responses.create({ model, input: 'Say hello.' })).output_text
result.responseEvents = await collect(await client.responses.create({ model, input: 'Say hello.', stream: true }), (event) => event.type)
result.responseStream = (await client.responses.stream({ model, input: 'Say hello.' }).finalResponse()).output_text

report(result)
