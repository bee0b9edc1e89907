#include "pte/tree_spec.h"

#include <fmt/format.h>

#include "base/json_fwd.h"

namespace diptych::pte {

namespace {

constexpr int kProtocol = 1;  // of torch.utils._pytree's serialisation

// As json.dumps: quoted, and ASCII only.
std::string quote(const std::string& text) { return json_quoted(text, /*ascii=*/true); }

// JSON of the keys; it is itself stored as a JSON string.
std::string keys_json(const std::vector<TreeSpec::Key>& keys) {
  std::vector<std::string> items;
  for (const TreeSpec::Key& key : keys) {
    const auto* text = std::get_if<std::string>(&key);
    items.push_back(text != nullptr ? quote(*text) : std::to_string(std::get<int64_t>(key)));
  }
  return fmt::format("[{}]", fmt::join(items, ", "));
}

std::string node_json(const TreeSpec& spec) {
  std::vector<std::string> children;
  for (const TreeSpec& child : spec.children) children.push_back(node_json(child));
  std::string_view type = "null";
  std::string context = "null";
  switch (spec.kind) {
    case TreeSpec::Kind::Leaf:
      break;
    case TreeSpec::Kind::Tuple:
      type = R"("builtins.tuple")";
      context = R"("null")";
      break;
    case TreeSpec::Kind::List:
      type = R"("builtins.list")";
      context = R"("null")";
      break;
    case TreeSpec::Kind::Dict:
      type = R"("builtins.dict")";
      context = quote(keys_json(spec.keys));
      break;
  }
  return fmt::format(R"({{"type": {}, "context": {}, "children_spec": [{}]}})", type, context,
                     fmt::join(children, ", "));
}

}  // namespace

TreeSpec TreeSpec::tuple(std::vector<TreeSpec> children) {
  return {Kind::Tuple, {}, std::move(children)};
}

TreeSpec TreeSpec::list(std::vector<TreeSpec> children) {
  return {Kind::List, {}, std::move(children)};
}

TreeSpec TreeSpec::dict(std::vector<std::pair<Key, TreeSpec>> members) {
  TreeSpec spec;
  spec.kind = Kind::Dict;
  for (auto& [key, child] : members) {
    spec.keys.push_back(std::move(key));
    spec.children.push_back(std::move(child));
  }
  return spec;
}

TreeSpec TreeSpec::arguments(std::vector<TreeSpec> positional) {
  return tuple({tuple(std::move(positional)), dict({})});
}

std::string to_json(const TreeSpec& spec) {
  return fmt::format("[{}, {}]", kProtocol, node_json(spec));
}

}  // namespace diptych::pte
