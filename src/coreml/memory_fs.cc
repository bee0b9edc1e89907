#include "coreml/memory_fs.h"

#include <algorithm>
#include <optional>

#include "base/json.h"

namespace diptych::coreml {

namespace {

// A package has about ten nodes, four deep. The limits bound what a hostile index can make us hold.
constexpr size_t kMaxIndexBytes = 4 << 20;
constexpr size_t kMaxNodes = 4096;
constexpr size_t kMaxDepth = 16;
constexpr size_t kMaxFileNameBytes = 255;

constexpr int64_t kFile = 0;
constexpr int64_t kDirectory = 1;

struct Node {
  std::string name;
  int64_t kind = kFile;
  uint64_t offset = 0, size = 0;
  std::vector<std::pair<std::string, uint64_t>> children;
  // Set by link(): where the node hangs in the tree.
  std::optional<size_t> parent;
};

// The index as text, and the offset in the blob where its bytes begin.
struct Index {
  std::string json;
  uint64_t begin = 0;
};

// Reads backwards from the end: zeros, then one balanced object.
Result<Index> find_index(Bytes blob) {
  size_t end = blob.size();
  while (end > 0 && blob[end - 1] == std::byte{0}) --end;
  if (end == 0 || blob[end - 1] != std::byte{'{'}) {
    return invalid_data("expected a file index that ends in '{{' at offset {}, found {}", end,
                        end == 0 ? "nothing" : fmt::format("{:#04x}", uint8_t(blob[end - 1])));
  }
  Index index;
  size_t depth = 0;
  bool in_string = false, escaped = false;
  for (size_t at = end; at > 0;) {
    const char c = static_cast<char>(blob[--at]);
    if (index.json.size() == kMaxIndexBytes) {
      return invalid_data("the file index is larger than {} bytes", kMaxIndexBytes);
    }
    index.json += c;
    if (in_string) {
      if (escaped) {
        escaped = false;
      } else if (c == '\\') {
        escaped = true;
      } else if (c == '"') {
        in_string = false;
      }
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{') {
      ++depth;
    } else if (c == '}' && --depth == 0) {
      index.begin = at;
      return index;
    }
  }
  return invalid_data("the file index at the end of the blob has no beginning");
}

Result<uint64_t> json_size(const Json& object, std::string_view key) {
  const int64_t value = TRY(json_int(object, key));
  if (value < 0) return invalid_data("\"{}\": expected a size, found {}", key, value);
  return static_cast<uint64_t>(value);
}

Result<Node> read_node(const Json& json, size_t index, uint64_t data_end) {
  Node node;
  node.name = TRY(json_string(json, "name"));
  node.kind = TRY(json_int(json, "kind"));
  if (node.kind != kFile && node.kind != kDirectory) {
    return invalid_data("\"kind\": expected 0 or 1, found {}", node.kind);
  }
  if (node.name.size() > kMaxFileNameBytes) {
    return invalid_data("name of {} bytes, at most {} are allowed", node.name.size(),
                        kMaxFileNameBytes);
  }
  if (node.kind == kFile) {
    const Json* region = TRY(json_member(json, "dataRegion"));
    node.offset = TRY(json_size(*region, "offset"));
    node.size = TRY(json_size(*region, "size"));
    if (!range_fits(node.offset, node.size, data_end)) {
      return invalid_data("\"{}\": {} bytes at offset {} exceed the {} bytes of data", node.name,
                          node.size, node.offset, data_end);
    }
    return node;
  }
  const Json* children = TRY(json_member(json, "children"));
  if (!children->is_object()) return invalid_data("\"children\": expected an object");
  for (const auto& item : children->items()) {
    const Json& child = item.value();
    if (!child.is_number_unsigned() || child.get<uint64_t>() >= index) {
      return invalid_data("child \"{}\": expected an index below {}, found {}", item.key(), index,
                          dump_json(child).substr(0, 40));
    }
    node.children.emplace_back(item.key(), child.get<uint64_t>());
  }
  return node;
}

// Gives every listed child its parent. Children precede parents, so there are no cycles.
Status link(std::vector<Node>& nodes) {
  for (size_t i = 0; i < nodes.size(); ++i) {
    for (const auto& [name, index] : nodes[i].children) {
      Node& child = nodes[index];
      if (child.name != name) {
        return invalid_data("node {}: listed as \"{}\", named \"{}\"", index, name, child.name);
      }
      if (name.find('/') != name.npos) {
        return invalid_data("node {}: \"{}\" is not the name of a file", index, name);
      }
      TRY(check_relative_path(name, fmt::format("node {}", index)));
      if (child.parent) {
        return invalid_data("node {} (\"{}\") is in two directories", index, name);
      }
      child.parent = i;
    }
  }
  return {};
}

// Concatenates sources.
class ConcatenatedSource : public Source {
 public:
  void append(SourceRef part) {
    size_ += part->size();
    parts_.push_back(std::move(part));
  }
  uint64_t size() const override { return size_; }
  Status write_to(Sink& sink) const override {
    for (const SourceRef& part : parts_) TRY(part->write_to(sink));
    return {};
  }

 private:
  std::vector<SourceRef> parts_;
  uint64_t size_ = 0;
};

// A directory while the index is built.
struct Directory {
  struct Entry {
    std::unique_ptr<Directory> directory;  // or a file:
    uint64_t offset = 0, size = 0;
  };
  std::map<std::string, Entry> entries;
};

Status insert(Directory& root, std::string_view path, uint64_t offset, uint64_t size) {
  TRY(check_relative_path(path, "file of the file system"));
  Directory* directory = &root;
  size_t begin = 0;
  for (size_t slash; (slash = path.find('/', begin)) != path.npos; begin = slash + 1) {
    const std::string name(path.substr(begin, slash - begin));
    const auto [entry, fresh] = directory->entries.try_emplace(name);
    if (fresh) entry->second.directory = std::make_unique<Directory>();
    if (!entry->second.directory) {
      return invalid_argument("\"{}\": \"{}\" is a file", path, path.substr(0, slash));
    }
    directory = entry->second.directory.get();
  }
  const auto [entry, fresh] = directory->entries.try_emplace(std::string(path.substr(begin)));
  if (!fresh) return invalid_argument("\"{}\" occurs twice", path);
  entry->second.offset = offset;
  entry->second.size = size;
  return {};
}

Json node_json(Json children, uint64_t offset, uint64_t size, int64_t kind, std::string_view name) {
  Json region = {{"offset", offset}, {"size", size}};
  return {{"children", std::move(children)},
          {"dataRegion", std::move(region)},
          {"kind", kind},
          {"name", std::string(name)}};
}

// Appends the nodes of a directory in post-order; the last one is the directory's.
void append_nodes(const Directory& directory, std::string_view name, Json& nodes) {
  Json children = Json::object();
  for (const auto& [entry_name, entry] : directory.entries) {
    if (entry.directory) {
      append_nodes(*entry.directory, entry_name, nodes);
    } else {
      nodes.push_back(node_json(Json::object(), entry.offset, entry.size, kFile, entry_name));
    }
    children[entry_name] = nodes.size() - 1;
  }
  nodes.push_back(node_json(std::move(children), 0, 0, kDirectory, name));
}

}  // namespace

Result<MemoryFs> read_memory_fs(Bytes blob, std::shared_ptr<const void> owner) {
  const Index index = TRY(find_index(blob));
  const Json json = TRY(within("file index", parse_json(index.json)));
  const Json* list = TRY(within("file index", json_member(json, "nodes")));
  if (!list->is_array() || list->empty() || list->size() > kMaxNodes) {
    return invalid_data("file index: expected \"nodes\" to be a list of 1 to {} nodes", kMaxNodes);
  }
  std::vector<Node> nodes;
  for (size_t i = 0; i < list->size(); ++i) {
    nodes.push_back(
        TRY(within(fmt::format("file index: node {}", i), read_node((*list)[i], i, index.begin))));
  }
  TRY(within("file index", link(nodes)));
  if (nodes.back().kind != kDirectory) {
    return invalid_data("file index: expected the last node to be the root directory");
  }

  MemoryFs fs;
  fs.root_name = nodes.back().name;
  // From the root down, so that a parent's path is known before its children's.
  std::vector<std::optional<std::string>> paths(nodes.size());
  std::vector<size_t> depths(nodes.size());
  paths.back() = "";
  for (size_t i = nodes.size() - 1; i-- > 0;) {
    const Node& node = nodes[i];
    if (!node.parent || !paths[*node.parent]) continue;
    depths[i] = depths[*node.parent] + 1;
    if (depths[i] > kMaxDepth) {
      return invalid_data("file index: directories are nested deeper than {}", kMaxDepth);
    }
    paths[i] = *paths[*node.parent] + node.name + (node.kind == kDirectory ? "/" : "");
    if (node.kind == kFile) {
      fs.files.emplace(*paths[i], FileView{blob.subspan(node.offset, node.size), owner});
    }
  }
  return fs;
}

Result<SourceRef> write_memory_fs(std::string_view root_name, const std::vector<FileEntry>& files) {
  auto blob = std::make_shared<ConcatenatedSource>();
  Directory root;
  for (const FileEntry& file : files) {
    TRY(insert(root, file.path, blob->size(), file.contents->size()));
    blob->append(file.contents);
  }
  Json nodes = Json::array();
  append_nodes(root, root_name, nodes);
  std::string index = dump_json(Json{{"nodes", std::move(nodes)}});
  std::reverse(index.begin(), index.end());
  blob->append(memory_source(index));
  return blob;
}

}  // namespace diptych::coreml
