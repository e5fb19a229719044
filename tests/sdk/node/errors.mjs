// Failures and what the SDK does about them. The queue of the upstream has the answers in this order.
import { connect, failure, report } from './common.mjs'

const client = connect()
const patient = connect({ maxRetries: 2 })
const model = 'gpt-public'
const messages = [{ role: 'user', content: 'Say hello.' }]
const ask = (who, more = {}) => failure(async () => (await who.chat.completions.create({ model, messages, ...more })).choices[0].message.content)
const result = {}

// Refused by the proxy itself.
result.wrongKey = await ask(connect({ apiKey: 'sk-wrong', maxRetries: 2 }))
result.notAllowed = await ask(connect({ apiKey: process.env.LIMITED_KEY, maxRetries: 2 }), { model: 'gpt-same' })
result.notFound = await ask(patient, { model: 'none' })
result.noModel = await ask(patient, { model: '' })

// Refused by the upstream.
for (const status of [400, 422, 429, 500, 503]) result[status] = await ask(client)
result.foreign = await ask(client)
result.providerKey = await ask(patient)
result.quota = await ask(patient)
result.errorIn200 = await ask(client)
result.hangUp = await ask(client)

// Tried again.
result.patient = await ask(patient)
result.gaveUp = await ask(patient)

// In mid-stream.
const listen = (action) => {
  const texts = []
  return failure(async () => {
    for await (const chunk of await action()) texts.push(chunk.choices?.[0]?.delta?.content ?? '')
    return 'ended cleanly'
  }).then((failed) => ({ ...failed, texts }))
}
result.errorInStream = await listen(() => client.chat.completions.create({ model, messages, stream: true }))
result.cutStream = await listen(() => client.chat.completions.create({ model, messages, stream: true }))
result.cutResponse = await listen(() => client.responses.create({ model, input: 'Say hello.', stream: true }))

// A caller who leaves.
const stream = await client.chat.completions.create({ model, messages, stream: true })
for await (const chunk of stream) {
  result.leftAfter = chunk.choices[0].delta.content
  break
}
report(result)
