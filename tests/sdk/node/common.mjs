// What every script here shares: a client for the proxy of BASE_URL and API_KEY, and one line of JSON as the result.
import OpenAI from 'openai'

export { OpenAI }

export function connect(options = {}) {
  return new OpenAI({ apiKey: process.env.API_KEY, baseURL: process.env.BASE_URL, maxRetries: 0, timeout: 10_000, ...options })
}

export async function collect(stream, pick) {
  const found = []
  for await (const each of stream) found.push(pick(each))
  return found
}

// What a failing call tells its caller; a call that does not fail is told apart by its `answer`.
export async function failure(action) {
  try {
    return { answer: await action() }
  } catch (error) {
    const name = error?.constructor?.name
    return {
      name,
      isApiError: error instanceof OpenAI.APIError,
      status: error.status ?? null,
      code: error.code ?? null,
      type: error.type ?? null,
      param: error.param ?? null,
      message: error.message,
      requestId: error.requestID ?? null,
    }
  }
}

export function report(result) {
  process.stdout.write(JSON.stringify(result) + '\n')
}
