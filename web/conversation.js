// A conversation as a tree: a message that is edited, or an answer that is asked for again, begins
// a branch beside the old one. What is shown and sent is the path of chosen branches.

export class Conversation {
  root = { role: 'root', content: '', children: [], chosen: 0 };

  // The messages from the first to the last of the chosen branches.
  path() {
    const messages = [];
    for (let at = this.root; at.children.length > 0;) {
      at = at.children[at.chosen];
      messages.push(at);
    }
    return messages;
  }
  // The message before, or the root.
  before(message) {
    let at = this.root;
    while (at.children[at.chosen] !== message) at = at.children[at.chosen];
    return at;
  }
  add(parent, role, content) {
    const message = { role, content, children: [], chosen: 0 };
    parent.chosen = parent.children.push(message) - 1;
    return message;
  }
  last() { return this.path().at(-1) ?? this.root; }

  // As chat interfaces write it.
  messages(system, until) {
    const list = system ? [{ role: 'system', content: system }] : [];
    for (const message of this.path()) {
      if (message === until) break;
      list.push({ role: message.role, content: message.content });
    }
    return list;
  }

  toJSON() { return { format: 'diptych.page', version: 1, root: this.root }; }

  // Takes what toJSON() gave, or the file of `diptych chat`; throws where it is neither.
  static from(json) {
    const conversation = new Conversation();
    let system = null;
    if (json?.format === 'diptych.page' && json.version === 1) {
      conversation.root = checked(json.root, 'root', 0);
    } else if (json?.format === 'diptych.chat' && Array.isArray(json.messages)) {
      let at = conversation.root;
      for (const { role, content } of json.messages) {
        if (typeof content !== 'string') throw new Error('a message has no text');
        if (role === 'system') system = content;
        else if (role === 'user' || role === 'assistant') at = conversation.add(at, role, content);
        else throw new Error(`a message is of ${String(role)}`);
      }
    } else {
      throw new Error('this file is no conversation');
    }
    return { conversation, system };
  }
}

// A message of a file with those that follow, and nothing else that the file says.
function checked(node, role, depth) {
  if (depth > 2000) throw new Error('the conversation is too long');
  if (typeof node !== 'object' || node === null || !Array.isArray(node.children)) throw new Error('a message is damaged');
  if (role !== 'root' && !['user', 'assistant'].includes(node.role)) throw new Error('a message has no role');
  if (typeof node.content !== 'string') throw new Error('a message has no text');
  const children = node.children.map((child) => checked(child, 'message', depth + 1));
  const chosen = Number.isInteger(node.chosen) && node.chosen >= 0 && node.chosen < Math.max(children.length, 1) ? node.chosen : 0;
  return { role: role === 'root' ? 'root' : node.role, content: node.content, children, chosen };
}
