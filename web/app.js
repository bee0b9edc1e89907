// The page: what is shown, and what happens when something is clicked.
import { answer, models } from './api.js';
import { Conversation } from './conversation.js';
import { render } from './markdown.js';

const $ = (id) => document.getElementById(id);
const kSettings = ['system', 'temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'seed', 'max_tokens', 'theme', 'logprobs', 'model'];
const kNumbers = ['temperature', 'top_p', 'top_k', 'min_p', 'repetition_penalty', 'seed', 'max_tokens'];

let conversation = new Conversation();
let running = null;  // the AbortController of the answer that is coming
let contexts = {};   // of the models, in tokens
const probabilities = new WeakMap();  // by message: its tokens
const kOpening = 'Ask something.';

// --- What is kept over a reload ---

function save() {
  const settings = Object.fromEntries(kSettings.map((id) => [id, $(id).type === 'checkbox' ? $(id).checked : $(id).value]));
  try {
    localStorage.setItem('diptych.settings', JSON.stringify(settings));
    localStorage.setItem('diptych.conversation', JSON.stringify(conversation));
  } catch { /* private windows keep nothing */ }
}

function restore() {
  try {
    const settings = JSON.parse(localStorage.getItem('diptych.settings') ?? '{}');
    for (const id of kSettings) {
      if (settings[id] === undefined) continue;
      if ($(id).type === 'checkbox') $(id).checked = settings[id];
      else $(id).value = settings[id];
    }
    const saved = localStorage.getItem('diptych.conversation');
    if (saved) conversation = Conversation.from(JSON.parse(saved)).conversation;
    return settings;
  } catch {
    return {};
  }
}

function applyTheme() {
  const theme = $('theme').value;
  if (theme) document.documentElement.dataset.theme = theme;
  else delete document.documentElement.dataset.theme;
}

// --- Messages ---

function button(label, action, title) {
  const made = document.createElement('button');
  made.type = 'button';
  made.textContent = label;
  if (title) made.setAttribute('aria-label', title);
  made.addEventListener('click', action);
  return made;
}

function tokenSpan(token) {
  const piece = document.createElement('span');
  piece.textContent = token.text;
  piece.tabIndex = 0;
  const probability = Math.exp(token.logprob);
  piece.className = probability < 0.2 ? 'p1' : probability < 0.6 ? 'p2' : 'p3';
  const rows = [`${(100 * probability).toFixed(1)} %  ${JSON.stringify(token.text)}`, '',
    ...token.top.map((other) => `${(100 * Math.exp(other.logprob)).toFixed(1).padStart(5)} %  ${JSON.stringify(other.token)}`)];
  piece.setAttribute('aria-label', `${token.text}, ${(100 * probability).toFixed(0)} percent`);
  const show = () => {
    const box = piece.getBoundingClientRect();
    $('tip').textContent = rows.join('\n');
    $('tip').hidden = false;
    $('tip').style.left = `${Math.max(4, Math.min(box.left, innerWidth - 240))}px`;
    $('tip').style.top = `${box.bottom + 4}px`;
  };
  const hide = () => { $('tip').hidden = true; };
  for (const event of ['mouseenter', 'focus']) piece.addEventListener(event, show);
  for (const event of ['mouseleave', 'blur']) piece.addEventListener(event, hide);
  return piece;
}

// Adds the tokens that are not shown yet: an answer's come one by one.
function showTokens(body, tokens) {
  let line = body.firstElementChild;
  if (!line?.classList.contains('tokens') || line.children.length > tokens.length) {
    line = document.createElement('div');
    line.className = 'tokens';
    body.replaceChildren(line);
  }
  line.append(...tokens.slice(line.children.length).map(tokenSpan));
}

function fill(body, message) {
  const tokens = probabilities.get(message);
  if (tokens?.length > 0 && $('logprobs').checked) showTokens(body, tokens);
  else body.replaceChildren(...render(message.content));
  if (message.error) {
    const note = document.createElement('p');
    note.className = 'wrong';
    note.setAttribute('role', 'alert');
    note.textContent = message.error;
    body.append(note);
  }
}

// The other versions of a message, which branches begin with.
function branches(message) {
  const parent = conversation.before(message);
  const count = parent.children.length;
  if (count < 2) return [];
  const index = parent.chosen;
  const go = (to) => () => {
    if (running) return;
    parent.chosen = (to + count) % count;
    show();
    save();
  };
  const where = document.createElement('span');
  where.textContent = `${index + 1}/${count}`;
  return [button('‹', go(index - 1), 'Previous version'), where, button('›', go(index + 1), 'Next version')];
}

function edit(message, article) {
  const field = document.createElement('textarea');
  field.className = 'edit';
  field.value = message.content;
  field.rows = Math.min(12, message.content.split('\n').length + 1);
  field.setAttribute('aria-label', 'Edit the message');
  const done = button('Send', () => {
    const parent = conversation.before(message);
    const content = field.value.trim();
    if (content === '' || running) return;
    const changed = conversation.add(parent, 'user', content);
    ask(changed);
  });
  article.querySelector('.body').replaceChildren(field);
  article.querySelector('.tools').replaceChildren(done, button('Cancel', show));
  field.focus();
}

function articleOf(message) {
  const article = document.createElement('article');
  article.className = message.role;
  const title = document.createElement('h2');
  title.textContent = message.role === 'user' ? 'You' : 'Model';
  const body = document.createElement('div');
  body.className = 'body';
  fill(body, message);
  const tools = document.createElement('div');
  tools.className = 'tools';
  tools.append(...branches(message));
  if (message.role === 'user') {
    tools.append(button('Edit', () => { if (!running) edit(message, article); }));
  } else {
    tools.append(button('Regenerate', () => { if (!running) ask(conversation.before(message)); }));
  }
  tools.append(button('Copy', () => navigator.clipboard?.writeText(message.content)));
  article.append(title, body, tools);
  return article;
}

function show() {
  const messages = conversation.path();
  if (messages.length === 0) {
    const hint = document.createElement('p');
    hint.textContent = kOpening;
    $('messages').replaceChildren(hint);
    return;
  }
  $('messages').replaceChildren(...messages.map(articleOf));
  $('messages').scrollTop = $('messages').scrollHeight;
}

// --- Asking ---

function setRunning(controller) {
  running = controller;
  $('send').hidden = controller !== null;
  $('stop').hidden = controller === null;
}

function request(until) {
  const body = { model: $('model').value, messages: conversation.messages($('system').value.trim(), until) };
  for (const id of kNumbers) {
    if ($(id).value !== '' && Number.isFinite($(id).valueAsNumber)) body[id] = $(id).valueAsNumber;
  }
  if ($('logprobs').checked) Object.assign(body, { logprobs: true, top_logprobs: 5 });
  return body;
}

function showMeters(usage, tokens, first, start) {
  const seconds = (performance.now() - first) / 1000;
  const parts = [];
  if (tokens > 1 && seconds > 0) parts.push(`${((tokens - 1) / seconds).toFixed(1)} tokens/s`);
  parts.push(`first after ${((first - start) / 1000).toFixed(2)} s`);
  if (usage) {
    const context = contexts[$('model').value];
    parts.push(`${usage.total_tokens}${context ? ` of ${context}` : ''} tokens of context`);
    const reused = usage.prompt_tokens_details?.cached_tokens ?? 0;
    if (reused > 0) parts.push(`${reused} reused`);
  }
  $('meters').textContent = parts.join(' · ');
}

// Asks for an answer to what the conversation says up to `parent`, as a branch of its own.
async function ask(parent) {
  const message = conversation.add(parent, 'assistant', '');
  const controller = new AbortController();
  setRunning(controller);
  show();
  const body = $('messages').lastElementChild.querySelector('.body');
  const tokens = [];
  probabilities.set(message, tokens);
  const start = performance.now();
  let first = 0, count = 0, usage = null, due = false;
  const draw = () => {
    due = false;
    const atEnd = $('messages').scrollHeight - $('messages').scrollTop - $('messages').clientHeight < 80;
    fill(body, message);
    if (atEnd) $('messages').scrollTop = $('messages').scrollHeight;
  };
  try {
    for await (const event of answer(request(message), $('key').value, controller.signal)) {
      usage = event.usage ?? usage;
      const choice = event.choices?.[0];
      const text = choice?.delta?.content;
      if (text) {
        first ||= performance.now();
        ++count;
        message.content += text;
      }
      for (const entry of choice?.logprobs?.content ?? []) {
        if (entry.bytes.length > 0) tokens.push({ text: entry.token, logprob: entry.logprob, top: entry.top_logprobs });
      }
      if ((text || usage) && !due) {
        due = true;
        requestAnimationFrame(draw);
      }
      if (first) showMeters(usage, usage?.completion_tokens ?? count, first, start);
    }
  } catch (error) {
    if (error.name !== 'AbortError') message.error = error.message;
  }
  setRunning(null);
  if (message.content === '' && !message.error) message.content = '…';
  show();
  save();
  $('input').focus();
}

function send() {
  const text = $('input').value.trim();
  if (text === '' || running) return;
  $('input').value = '';
  ask(conversation.add(conversation.last(), 'user', text));
}

// --- Conversations as files ---

function exportFile() {
  const link = document.createElement('a');
  link.href = URL.createObjectURL(new Blob([JSON.stringify(conversation, null, 1)], { type: 'application/json' }));
  link.download = 'conversation.json';
  link.click();
  URL.revokeObjectURL(link.href);
}

async function importFile() {
  const file = $('file').files[0];
  $('file').value = '';
  if (!file || running) return;
  try {
    const found = Conversation.from(JSON.parse(await file.text()));
    conversation = found.conversation;
    if (found.system !== null) $('system').value = found.system;
    show();
    save();
  } catch (error) {
    $('meters').textContent = `Not imported: ${error.message}`;
  }
}

async function loadModels(wanted) {
  try {
    const list = await models($('key').value);
    contexts = Object.fromEntries(list.map((model) => [model.id, model.context_length]));
    $('model').replaceChildren(...list.filter((model) => model.chat).map((model) => new Option(model.id, model.id)));
    if (wanted && wanted in contexts) $('model').value = wanted;
    $('meters').textContent = $('model').options.length > 0 ? '' : 'No model here carries a chat template.';
  } catch (error) {
    $('meters').textContent = error.message;
  }
}

// --- Begin ---

$('form').addEventListener('submit', (event) => { event.preventDefault(); send(); });
$('input').addEventListener('keydown', (event) => {
  if (event.key === 'Enter' && !event.shiftKey && !event.isComposing) {
    event.preventDefault();
    send();
  }
});
document.addEventListener('keydown', (event) => { if (event.key === 'Escape') running?.abort(); });
$('stop').addEventListener('click', () => running?.abort());
$('new').addEventListener('click', () => {
  if (running) return;
  conversation = new Conversation();
  show();
  save();
  $('input').focus();
});
$('export').addEventListener('click', exportFile);
$('import').addEventListener('click', () => $('file').click());
$('file').addEventListener('change', importFile);
$('settings-toggle').addEventListener('click', () => {
  $('settings').hidden = !$('settings').hidden;
  $('settings-toggle').setAttribute('aria-expanded', String(!$('settings').hidden));
});
for (const id of kSettings) $(id).addEventListener('change', () => { applyTheme(); save(); });
$('logprobs').addEventListener('change', show);
$('key').addEventListener('change', () => loadModels($('model').value));

const settings = restore();
applyTheme();
show();
loadModels(settings.model);
