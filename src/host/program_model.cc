// ExecuTorch programs: methods whose delegates are Core ML programs.
#include "host/open.h"
#include "runtime/method.h"
#include "runtime/program.h"

namespace diptych::host {
namespace {

std::vector<Feature> numbered(const std::vector<TensorType>& types, std::string_view side) {
  std::vector<Feature> features;
  for (const TensorType& type : types) {
    features.push_back({fmt::format("{}_{}", side, features.size()), type});
  }
  return features;
}

class ProgramFunction final : public Function {
 public:
  ProgramFunction(Signature signature, std::unique_ptr<runtime::Method> method)
      : Function(std::move(signature)), method_(std::move(method)) {}

  Status bind_input(size_t index, Bytes data) override { return method_->bind_input(index, data); }
  Status bind_output(size_t index, MutableBytes data) override {
    return method_->bind_output(index, data);
  }
  Status run() override { return method_->execute(); }

 private:
  std::unique_ptr<runtime::Method> method_;
};

class ProgramModel final : public Model {
 public:
  explicit ProgramModel(std::shared_ptr<runtime::Program> program) : program_(std::move(program)) {}

  std::vector<std::string> functions() const override { return program_->method_names(); }
  std::string default_function() const override {
    constexpr std::string_view kForward = "forward";
    return program_->has_method(kForward) ? std::string(kForward) : functions().front();
  }
  int specification_version() const override { return 0; }

  Result<Signature> signature(const std::string& name) const override {
    const auto types = TRY(program_->signature(name.empty() ? default_function() : name));
    return Signature{numbered(types.inputs, "input"), numbered(types.outputs, "output"), {}};
  }
  Result<std::unique_ptr<Function>> load(const std::string& name) const override {
    Signature types = TRY(signature(name));
    auto method = TRY(program_->load_method(name.empty() ? default_function() : name));
    return std::make_unique<ProgramFunction>(std::move(types), std::move(method));
  }

 private:
  std::shared_ptr<runtime::Program> program_;
};

}  // namespace

Result<std::shared_ptr<const Model>> open_program(const std::string& path,
                                                  std::shared_ptr<const MappedFile> file,
                                                  const Options& options) {
  runtime::Options runtime_options;
  runtime_options.numerics = options.numerics;
  runtime_options.threads = options.threads;
  runtime_options.wide_floats = false;  // the file's types
  const Bytes bytes = file->bytes();
  auto program = TRY(runtime::Program::from_bytes(bytes, std::move(file), path, runtime_options));
  if (program->method_names().empty()) {
    return within<std::shared_ptr<const Model>>(
        path, invalid_data("the program has no method that computes something"));
  }
  return std::make_shared<const ProgramModel>(std::move(program));
}

}  // namespace diptych::host
