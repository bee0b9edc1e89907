// Renders what a model writes: headings, lists, tables, quotes, code. Every piece of text becomes a
// text node and elements are made one by one, so nothing that a model says is ever read as HTML.
// Links are shown as text: a model may say any address.

function element(name, ...children) {
  const made = document.createElement(name);
  made.append(...children);
  return made;
}

// **bold**, *italic*, `code` within a line.
export function inline(text) {
  const pieces = [];
  const pattern = /(`+)([^`]|[^`].*?[^`])\1(?!`)|\*\*([^*\n]+)\*\*|\*([^*\s][^*\n]*)\*/g;
  let done = 0;
  for (const match of text.matchAll(pattern)) {
    pieces.push(text.slice(done, match.index));
    if (match[1]) pieces.push(element('code', match[2]));
    else if (match[3]) pieces.push(element('strong', match[3]));
    else pieces.push(element('em', match[4]));
    done = match.index + match[0].length;
  }
  pieces.push(text.slice(done));
  return pieces.filter((piece) => piece !== '');
}

const isTableRow = (line) => line !== undefined && line.trim().startsWith('|');
const isTableRule = (line) => line !== undefined && /^\s*\|?[\s:|-]+\|[\s:|-]*$/.test(line) && line.includes('-');
const cells = (line) => line.trim().replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());

function table(lines) {
  const row = (line, name) => element('tr', ...cells(line).map((cell) => element(name, ...inline(cell))));
  return element('table', element('thead', row(lines[0], 'th')),
                 element('tbody', ...lines.slice(2).map((line) => row(line, 'td'))));
}

function codeBlock(language, lines) {
  const code = element('code', lines.join('\n'));
  const block = element('pre', code);
  block.tabIndex = 0;
  block.setAttribute('aria-label', language ? `Code in ${language}` : 'Code');
  return block;
}

// The text's blocks as nodes.
export function render(text) {
  const lines = text.split('\n');
  const blocks = [];
  for (let i = 0; i < lines.length;) {
    const fence = /^\s*(```+|~~~+)\s*([\w+#-]*)/.exec(lines[i]);
    if (fence) {
      const body = [];
      for (++i; i < lines.length && !lines[i].trim().startsWith(fence[1]); ++i) body.push(lines[i]);
      ++i;
      blocks.push(codeBlock(fence[2], body));
      continue;
    }
    const heading = /^(#{1,6})\s+(.*)/.exec(lines[i]);
    if (heading) {
      // The page's own headings come before: these begin at the third level.
      blocks.push(element(`h${Math.min(heading[1].length + 2, 6)}`, ...inline(heading[2])));
      ++i;
      continue;
    }
    if (isTableRow(lines[i]) && isTableRule(lines[i + 1])) {
      const begin = i;
      while (isTableRow(lines[i])) ++i;
      blocks.push(table(lines.slice(begin, i)));
      continue;
    }
    const item = /^\s*(?:[-*+]|(\d+)[.)])\s+/;
    if (item.test(lines[i])) {
      const first = item.exec(lines[i]);
      const list = element(first[1] ? 'ol' : 'ul');
      if (first[1]) list.start = Number(first[1]);
      for (; i < lines.length && item.test(lines[i]); ++i) {
        list.append(element('li', ...inline(lines[i].replace(item, ''))));
      }
      blocks.push(list);
      continue;
    }
    if (lines[i].startsWith('>')) {
      const body = [];
      for (; i < lines.length && lines[i].startsWith('>'); ++i) body.push(lines[i].replace(/^>\s?/, ''));
      blocks.push(element('blockquote', ...inline(body.join('\n'))));
      continue;
    }
    if (lines[i].trim() === '') {
      ++i;
      continue;
    }
    const begin = i++;
    while (i < lines.length && lines[i].trim() !== '' && !/^\s*(```|~~~|#{1,6}\s|>|\|)/.test(lines[i]) && !item.test(lines[i])) ++i;
    blocks.push(element('p', ...inline(lines.slice(begin, i).join('\n'))));
  }
  return blocks;
}
