// Meta's form: params.json, and model.pth, a zip archive with a pickle.

#include "base/stream.h"
#include "checkpoint/zip.h"
#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"
#include "mutate_json.h"

namespace diptych::fuzz {

namespace {

using namespace std::string_view_literals;

constexpr JsonMember kMembers[] = {
    {"head_dim", "16"},
    {"use_scaled_rope", "true"},
    {"rope_scale_factor", "8"},
    {"use_qk_norm", "true"},
    {"qk_norm_before_rope", "true"},
    {"attention_qkv_bias", "true"},
    {"vocab_size", "-1"},
    {"multiple_of", "256"},
    {"ffn_dim_multiplier", "1.3"},
    {"hidden_dim", "32"},
    {"n_kv_heads", "1"},
    {"norm_eps", "1e-5"},
    {"rope_theta", "10000.0"},
    {"max_seq_len", "128"},
    {"moe", "true"},
    {"num_experts", "4"},
    {"partial_rotary_factor", "0.5"},
};

// Pieces of pickles: doubling by memo, calls, globals, marks without an end, empty values.
constexpr std::string_view kPickles[] = {
    "]q\0h\0h\0\x86q\1h\1h\1\x86q\2h\2h\2\x86q\3"sv,
    "cos\nsystem\nX\2\0\0\0id\x85R"sv,
    "cbuiltins\neval\n"sv,
    "ccollections\nOrderedDict\n)R"sv,
    "((((((((((((((((((((((((((((((((("sv,
    "}q\xff"sv,
    "h\xfe"sv,
    "j\xff\xff\xff\xff"sv,
    "X\xff\xff\xff\x7f"sv,
    "\x8a\xff"sv,
    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"sv,
    "N"sv,
    "."sv,
    "0"sv,
    "G\x7f\xf8\0\0\0\0\0\0"sv,
    "]a"sv,
    "}s"sv,
    "Nb"sv,
};

void mutate_pickle(std::string& pickle, Random& random) {
  if (random.one_in(3)) {
    pickle.insert(random.below(pickle.size() + 1), random.pick(kPickles));
  } else if (random.one_in(3)) {
    // A text in it: the name of a tensor, a storage, a global.
    const size_t at =
        pickle.find(random.one_in(3) ? "storage" : "weight", random.below(pickle.size() + 1));
    if (at != std::string::npos) mutate_bytes(pickle, random, at + 24);
  } else {
    mutate_bytes(pickle, random);
  }
}

// The archive with one entry changed; its bytes when it is no archive any more.
void mutate_archive(std::string& file, Random& random) {
  const auto zip = checkpoint::ZipReader::open(as_bytes(file));
  if (!zip || zip->entries().empty() || random.one_in(5)) {
    // The directory lies at the end.
    if (file.empty() || random.one_in(3)) return mutate_bytes(file, random);
    std::string tail = file.substr(file.size() - std::min<size_t>(file.size(), 2000));
    file.resize(file.size() - tail.size());
    mutate_bytes(tail, random);
    file += tail;
    return;
  }
  const size_t drawn = random.below(zip->entries().size());
  MemorySink out;
  checkpoint::ZipWriter writer(out);
  for (size_t i = 0; i < zip->entries().size(); ++i) {
    const checkpoint::ZipEntry& entry = zip->entries()[i];
    std::string name = entry.name;
    const auto data = zip->data(entry);
    if (!data) return mutate_bytes(file, random);
    std::string bytes(as_text(*data));
    if (name.ends_with("data.pkl") && !random.one_in(4)) {
      mutate_pickle(bytes, random);
    } else if (i == drawn) {
      switch (random.below(4)) {
        case 0:
          name = hostile_text(random).substr(0, 60000);
          break;
        case 1:
          bytes.resize(random.below(bytes.size() + 1));
          break;
        case 2:
          continue;
        default:
          mutate_bytes(bytes, random);
      }
    }
    (void)writer.add(name, *memory_source(bytes));
  }
  (void)writer.finish();
  file = as_text(out.data);
}

class TorchKind : public Kind {
 public:
  explicit TorchKind(const Models& models) : models_(models) {}
  std::string_view name() const override { return "torch"; }

  Files seed(Random& random) const override {
    Files files;
    for (const auto& [name, bytes] : models_.meta) files["m/" + name] = bytes;
    if (random.one_in(5)) files["m/tokenizer.model"] = models_.sentencepiece;
    return files;
  }
  void mutate(Files& files, Random& random) const override {
    if (random.one_in(3)) {
      mutate_json(files["m/params.json"], random, kMembers);
    } else {
      mutate_archive(files["m/model.pth"], random);
    }
  }
  Command command(const Files&, Random& random) const override {
    return export_command(random.one_in(2) ? "m" : "m/model.pth", random);
  }

 private:
  const Models& models_;
};

}  // namespace

std::unique_ptr<const Kind> torch_kind(const Models& models) {
  return std::make_unique<TorchKind>(models);
}

}  // namespace diptych::fuzz
