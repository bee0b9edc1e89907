#include "grammar/expression.h"

#include <algorithm>

namespace diptych::grammar {

namespace {

Expression node(Node made) { return std::make_shared<const Node>(std::move(made)); }

}  // namespace

Expression text(std::string_view bytes) {
  Node made;
  made.text = bytes;
  return node(std::move(made));
}

Expression chars(std::vector<CharRange> ranges) {
  Node made;
  made.kind = Node::Kind::Chars;
  made.ranges = std::move(ranges);
  return node(std::move(made));
}

Expression chars_except(std::vector<CharRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CharRange& a, const CharRange& b) { return a.first < b.first; });
  std::vector<CharRange> others;
  uint32_t next = 0;
  for (const CharRange& range : ranges) {
    if (range.first > next) others.push_back({next, range.first - 1});
    next = std::max(next, range.last + 1);
  }
  if (next <= kLastChar) others.push_back({next, kLastChar});
  return chars(std::move(others));
}

Expression sequence(std::vector<Expression> parts) {
  Node made;
  made.kind = Node::Kind::Sequence;
  made.parts = std::move(parts);
  return node(std::move(made));
}

Expression any(std::vector<Expression> parts) {
  Node made;
  made.kind = Node::Kind::Any;
  made.parts = std::move(parts);
  return node(std::move(made));
}

Expression repeat(Expression part, size_t least, size_t most) {
  Node made;
  made.kind = Node::Kind::Repeat;
  made.parts.push_back(std::move(part));
  made.least = least;
  made.most = most;
  return node(std::move(made));
}

Expression optional(Expression part) { return repeat(std::move(part), 0, 1); }

Expression rule(size_t index) {
  Node made;
  made.kind = Node::Kind::Rule;
  made.rule = index;
  return node(std::move(made));
}

}  // namespace diptych::grammar
