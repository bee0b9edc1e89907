#include "mutate_json.h"

#include <fmt/format.h>

#include <cctype>
#include <cstdlib>
#include <optional>
#include <utility>
#include <vector>

#include "hostile.h"
#include "mutate_bytes.h"

namespace diptych::fuzz {

namespace {

// JSON as it is spelt: doubled keys stay, and a scalar is any run of characters.
struct Node {
  enum class Kind : uint8_t { Scalar, List, Object } kind = Kind::Scalar;
  std::string text;                                 // of a scalar, quotes included
  std::vector<std::pair<std::string, Node>> items;  // keys with quotes, empty in lists
};

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Node> run() {
    Node node;
    if (!value(node, 0)) return std::nullopt;
    skip_space();
    if (at_ != text_.size()) return std::nullopt;
    return node;
  }

 private:
  static constexpr size_t kDeepest = 200;

  void skip_space() {
    while (at_ < text_.size() && std::isspace(static_cast<unsigned char>(text_[at_])) != 0) ++at_;
  }
  bool take(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  bool scalar(std::string& out) {
    skip_space();
    const size_t begin = at_;
    if (at_ < text_.size() && text_[at_] == '"') {
      for (++at_; at_ < text_.size() && text_[at_] != '"'; ++at_) at_ += text_[at_] == '\\' ? 1 : 0;
      if (at_ >= text_.size()) return false;
      ++at_;
    } else {
      while (at_ < text_.size() &&
             std::string_view("[]{},:\" \n\t\r").find(text_[at_]) == std::string_view::npos) {
        ++at_;
      }
    }
    out = text_.substr(begin, at_ - begin);
    return at_ > begin;
  }
  bool value(Node& node, size_t depth) {
    const bool list = take('[');
    if (!list && !take('{')) return scalar(node.text);
    if (depth == kDeepest) return false;
    const char end = list ? ']' : '}';
    node.kind = list ? Node::Kind::List : Node::Kind::Object;
    if (take(end)) return true;
    do {
      auto& [key, item] = node.items.emplace_back();
      if (!list && (!scalar(key) || !take(':'))) return false;
      if (!value(item, depth + 1)) return false;
    } while (take(','));
    return take(end);
  }

  std::string_view text_;
  size_t at_ = 0;
};

void write(const Node& node, std::string& out) {
  if (node.kind == Node::Kind::Scalar) {
    out += node.text;
    return;
  }
  const bool list = node.kind == Node::Kind::List;
  out += list ? '[' : '{';
  for (size_t i = 0; i < node.items.size(); ++i) {
    if (i > 0) out += ',';
    if (!list) out += node.items[i].first + ":";
    write(node.items[i].second, out);
  }
  out += list ? ']' : '}';
}

Node as_scalar(std::string text) {
  Node node;
  node.text = std::move(text);
  return node;
}

void replace(Node& node, Random& random) {
  const bool text = node.text.starts_with('"');
  const bool number =
      !node.text.empty() &&
      (std::isdigit(static_cast<unsigned char>(node.text[0])) != 0 || node.text[0] == '-');
  if (number && random.one_in(4)) {
    // Close to what was valid: one more, one less, doubled, negative, a fraction, as a text.
    const int64_t old = std::strtoll(node.text.c_str(), nullptr, 10);
    const std::string near[] = {fmt::format("{}", old + 1),    fmt::format("{}", old - 1),
                                fmt::format("{}", old / 2),    fmt::format("-{}", node.text),
                                fmt::format("{}0", node.text), fmt::format("\"{}\"", node.text),
                                fmt::format("{}.5", old),      fmt::format("[{}]", node.text)};
    node = as_scalar(random.pick(near));
  } else if (number && !random.one_in(4)) {
    node = as_scalar(hostile_number(random));
  } else if (text && !random.one_in(3)) {
    node = as_scalar(json_quoted(hostile_text(random), random));
  } else {
    node = as_scalar(hostile_json(random));
  }
}

std::string hostile_key(const Node& object, Random& random) {
  if (random.one_in(3)) return random.pick(object.items).first;  // so it occurs twice
  return json_quoted(hostile_text(random), random);
}

void add_member(Node& node, Random& random, std::span<const JsonMember> members) {
  if (node.kind == Node::Kind::List) {
    node.items.emplace_back("", as_scalar(hostile_json(random)));
  } else if (!members.empty() && !random.one_in(8)) {
    const JsonMember& member = random.pick(members);
    Node value = as_scalar(std::string(member.value));
    if (random.one_in(2)) replace(value, random);
    const std::string key = fmt::format("\"{}\"", member.key);
    std::erase_if(node.items, [&](const auto& item) { return item.first == key; });
    node.items.emplace_back(key, std::move(value));
  } else {
    node.items.emplace_back(json_quoted(hostile_text(random), random),
                            as_scalar(hostile_json(random)));
  }
}

// Changes a container's own list of items.
void mutate_items(Node& node, Random& random, std::span<const JsonMember> members) {
  const size_t at = random.below(node.items.size());
  const auto place = node.items.begin() + static_cast<std::ptrdiff_t>(at);
  switch (node.items.empty() ? 0 : random.below(7)) {
    case 0:
      add_member(node, random, members);
      break;
    case 1:
      node.items.erase(place);
      break;
    case 2: {
      const auto copy = *place;
      node.items.insert(place, copy);
      break;
    }
    case 3:
      std::swap(*place, node.items[random.below(node.items.size())]);
      break;
    case 4:
      if (node.kind == Node::Kind::Object) {
        place->first = hostile_key(node, random);
      } else {
        place->second = node.items[random.below(node.items.size())].second;
      }
      break;
    case 5: {  // many of one
      const auto copy = *place;
      std::string text = copy.first;
      write(copy.second, text);
      const size_t count = random.one_in(20) ? 20000 : 1 + random.below(70);
      node.items.insert(place, affordable(count, text.size()), copy);
      break;
    }
    default:
      place->second = as_scalar(hostile_json(random));
  }
}

void mutate_node(Node& node, Random& random, std::span<const JsonMember> members, size_t depth) {
  if (node.kind == Node::Kind::Scalar) return replace(node, random);
  // The deeper, the likelier to stop: large lists must not draw all mutations to themselves.
  if (!node.items.empty() && random.below(8) >= 2 + depth / 2) {
    return mutate_node(node.items[random.below(node.items.size())].second, random, members,
                       depth + 1);
  }
  if (random.one_in(12)) {
    node = as_scalar(hostile_json(random));
  } else {
    mutate_items(node, random, depth == 0 ? members : std::span<const JsonMember>());
  }
}

void mutate_text(std::string& text, Random& random) {
  switch (random.below(5)) {
    case 0:
      text.resize(random.below(text.size()));
      break;
    case 1:
      text.insert(random.below(text.size() + 1), hostile_text(random));
      break;
    case 2:
      text += text.substr(0, random.below(1 << 20));
      break;
    case 3:
      text = "\xef\xbb\xbf" + text;
      break;
    default:
      mutate_bytes(text, random);
  }
}

}  // namespace

void mutate_json(std::string& text, Random& random, std::span<const JsonMember> members) {
  constexpr size_t kLargest = 1 << 20;  // as a tree it is many times as large
  std::optional<Node> root;
  if (text.size() <= kLargest) root = Parser(text).run();
  if (!root || random.one_in(20)) return mutate_text(text, random);
  if (root->kind == Node::Kind::Object && !members.empty() && random.one_in(3)) {
    add_member(*root, random, members);
  } else {
    mutate_node(*root, random, members, 0);
  }
  text.clear();
  write(*root, text);
}

}  // namespace diptych::fuzz
