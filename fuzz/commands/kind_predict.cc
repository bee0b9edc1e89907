// Core ML packages and the arrays that their functions are called with.

#include "commands.h"
#include "hostile.h"
#include "mutate_bytes.h"
#include "mutate_json.h"
#include "numpy/npy.h"
#include "sample_package.h"

namespace diptych::fuzz {

namespace {

constexpr const char* kPackage = "m.mlpackage";
constexpr const char* kModel = "m.mlpackage/Data/com.apple.CoreML/model.mlmodel";
constexpr const char *kX = "x.npy", *kBoth = "both.npz";

std::string text_of(Bytes bytes) { return std::string(as_text(bytes)); }

numpy::Array array_of(TensorType type, size_t bytes) {
  numpy::Array array;
  array.type = std::move(type);
  array.data.assign(bytes, std::byte{1});
  return array;
}

Files make_files() {
  Files files;
  const auto package = testing::sample_package();
  for (const coreml::FileEntry& entry : *package) {
    files[std::string(kPackage) + "/" + entry.path] = text_of(read_all(*entry.contents).value());
  }
  const numpy::Array x = array_of({DType::F32, {2, 3}}, 24);
  MemorySink both;
  (void)numpy::write_npz({{"x", &x}, {"y", &x}}, both);
  files[kX] = text_of(numpy::format_npy(x));
  files[kBoth] = text_of(both.data);
  return files;
}

class PredictKind : public Kind {
 public:
  std::string_view name() const override { return "predict"; }

  Files seed(Random& /*random*/) const override {
    static const Files files = make_files();
    return files;
  }

  void mutate(Files& files, Random& random) const override {
    const std::string manifest = std::string(kPackage) + "/Manifest.json";
    switch (random.below(4)) {
      case 0:
        return mutate_json(files[manifest], random);
      case 1:
        return mutate_bytes(files[random.one_in(2) ? kX : kBoth], random);
      default:
        return mutate_protobuf(files[kModel], random);
    }
  }

  Command command(const Files& /*files*/, Random& random) const override {
    Command command;
    command.words = {"predict", random.one_in(4) ? kModel : kPackage};
    if (random.one_in(3)) {
      command.words.insert(command.words.end(),
                           {"--function", "scaled", "--input", std::string("x=") + kX});
    } else {
      command.words.insert(command.words.end(), {"--input", kBoth});
    }
    command.options = {
        {"--json"}, {"--numerics", "typed"}, {"--threads", "1"}, {"--output", "out.npz"}};
    command.outputs = {"out.npz"};
    command.prints_text = true;
    return command;
  }
};

}  // namespace

std::unique_ptr<const Kind> predict_kind(const Models& /*models*/) {
  return std::make_unique<PredictKind>();
}

}  // namespace diptych::fuzz
