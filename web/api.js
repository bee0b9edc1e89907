// The server's interface, as far as the page asks.

function headers(key) {
  const all = { 'Content-Type': 'application/json' };
  if (key) all.Authorization = `Bearer ${key}`;
  return all;
}

async function failure(response) {
  try {
    return new Error((await response.json()).error.message);
  } catch {
    return new Error(`the server answers ${response.status}`);
  }
}

export async function models(key) {
  const response = await fetch('/v1/models', { headers: headers(key) });
  if (!response.ok) throw await failure(response);
  return (await response.json()).data;
}

// The events of a streamed answer, as objects.
export async function* answer(request, key, signal) {
  const response = await fetch('/v1/chat/completions', {
    method: 'POST', headers: headers(key), signal,
    body: JSON.stringify({ ...request, stream: true, stream_options: { include_usage: true } }),
  });
  if (!response.ok) throw await failure(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = '';
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    held += value;
    const events = held.split('\n\n');
    held = events.pop();
    for (const event of events) {
      if (!event.startsWith('data: ')) continue;
      if (event === 'data: [DONE]') return;
      const json = JSON.parse(event.slice(6));
      if (json.error) throw new Error(json.error.message);
      yield json;
    }
  }
}
