// Everything that is not chat. The queue of the upstream has one answer for each call that reaches it, in this order.
import { toFile } from 'openai'
import { collect, connect, failure, report } from './common.mjs'

const client = connect()
const result = {}

for (const name of ['vectorsFromFloats', 'vectorsFromBase64']) {
  const { data } = await client.embeddings.create({ model: 'embed-public', input: ['a', 'b'] })
  result[name] = data.map((each) => Array.from(each.embedding))
}
result.vectorsAsFloats = (await client.embeddings.create({ model: 'embed-public', input: 'a', encoding_format: 'float' })).data[0].embedding

result.models = await collect(await client.models.list(), (model) => model.id)
result.retrieved = (await client.models.retrieve('org/gpt-slash')).id
result.notFound = await failure(() => client.models.retrieve('org/none'))

const made = await client.images.generate({ model: 'image-public', prompt: 'a dot' })
result.image = made.data[0].b64_json
const noise = Buffer.alloc(1_300_000, 'noise\r\n--')
const pictures = [await toFile(Buffer.from(result.image, 'base64'), 'a.png', { type: 'image/png' }), await toFile(noise, 'ü.png', { type: 'image/png' })]
result.edited = (await client.images.edit({ model: 'image-public', prompt: 'größer', image: pictures })).data[0].b64_json

const speech = await client.audio.speech.create({ model: 'speech-public', input: 'Hello', voice: 'alloy' })
result.speechType = speech.headers.get('content-type')
result.speech = Buffer.from(await speech.arrayBuffer()).toString('base64')

result.flagged = (await client.moderations.create({ model: 'moderation-public', input: '…' })).results[0].flagged
report(result)
