// Core ML models: packages, and specifications on their own.
#include <map>
#include <mutex>

#include "base/thread_pool.h"
#include "coreml/package.h"
#include "engine/executable.h"
#include "host/open.h"
#include "runtime/convert.h"

namespace diptych::host {
namespace {

class CoreMlModel;

class CoreMlFunction final : public Function {
 public:
  CoreMlFunction(std::shared_ptr<const CoreMlModel> model, ThreadPool& pool, Signature signature,
                 std::unique_ptr<engine::Execution> execution)
      : Function(std::move(signature)),
        model_(std::move(model)),
        pool_(pool),
        execution_(std::move(execution)) {}

  Status bind_input(size_t index, Bytes data) override {
    const auto standard = defaults_.find(index);
    if (data.empty() && standard != defaults_.end()) data = standard->second;
    TRY(check(signature().inputs, index, data.size(), "input"));
    return execution_->bind_input(index, data.data(), signature().inputs[index].type);
  }
  Status bind_output(size_t index, MutableBytes data) override {
    TRY(check(signature().outputs, index, data.size(), "output"));
    return execution_->bind_output(index, data.data(), signature().outputs[index].type);
  }
  Status run() override { return execution_->run(pool_); }

  // Makes `value` the default of all elements of an input, and binds it.
  Status set_default(size_t index, double value) {
    const TensorType& type = signature().inputs[index].type;
    std::vector<std::byte> element(static_cast<size_t>(bit_width(type.dtype)) / 8);
    const auto bytes = std::as_bytes(std::span(&value, 1));
    TRY(runtime::convert(bytes, DType::F64, element, type.dtype));
    const uint64_t count = TRY(element_count(type.shape));
    std::vector<std::byte>& all = defaults_[index];
    for (uint64_t i = 0; i < count; ++i) all.insert(all.end(), element.begin(), element.end());
    return bind_input(index, {});
  }

 private:
  static Status check(const std::vector<Feature>& features, size_t index, size_t size,
                      std::string_view side) {
    if (index >= features.size()) {
      return invalid_argument("{} {} does not exist: there are {}", side, index, features.size());
    }
    const uint64_t expected = TRY(packed_size(features[index].type));
    if (size == expected) return {};
    return invalid_argument("{} \"{}\" is {}: expected {} bytes, found {}", side,
                            features[index].name, to_string(features[index].type), expected, size);
  }

  std::shared_ptr<const CoreMlModel> model_;
  ThreadPool& pool_;
  std::unique_ptr<engine::Execution> execution_;
  std::map<size_t, std::vector<std::byte>> defaults_;  // by input
};

class CoreMlModel final : public Model, public std::enable_shared_from_this<CoreMlModel> {
 public:
  CoreMlModel(std::string path, const Options& options)
      : path_(std::move(path)), options_(options), pool_(options.threads) {}

  ThreadPool& pool() const { return pool_; }
  void set(coreml::Model model) { model_ = std::move(model); }

  std::vector<std::string> functions() const override {
    std::vector<std::string> names;
    for (const auto& function : model_.program.functions) names.push_back(function->name);
    return names;
  }
  std::string default_function() const override { return model_.default_function; }
  int specification_version() const override { return model_.specification_version; }

  Result<Signature> signature(const std::string& name) const override {
    const mil::Function& function = *TRY(find(name));
    Signature signature;
    const auto& defaults = model_.defaults.at(function.name);
    for (const mil::Value* value : function.inputs) {
      signature.inputs.push_back({value->name, value->type, defaults.contains(value->name)});
    }
    for (const mil::Value* value : function.outputs) {
      signature.outputs.push_back({value->name, value->type});
    }
    if (const auto found = model_.classes.find(function.name); found != model_.classes.end()) {
      signature.classes = found->second;
    }
    return signature;
  }

  Result<std::unique_ptr<Function>> load(const std::string& name) const override {
    const mil::Function& function = *TRY(find(name));
    const auto& defaults = model_.defaults.at(function.name);
    Signature types = TRY(signature(name));
    auto execution = TRY(engine::Execution::create(TRY(compiled(function))));
    auto loaded = std::make_unique<CoreMlFunction>(shared_from_this(), pool_, std::move(types),
                                                   std::move(execution));
    for (size_t i = 0; i < function.inputs.size(); ++i) {
      const std::string& input = function.inputs[i]->name;
      if (const auto value = defaults.find(input); value != defaults.end()) {
        TRY(within("input \"" + input + "\"", loaded->set_default(i, value->second)));
      }
    }
    return loaded;
  }

 private:
  Result<const mil::Function*> find(const std::string& name) const {
    const mil::Function* found = model_.program.find(name.empty() ? model_.default_function : name);
    if (found == nullptr) return no_function(path_, name, functions());
    return found;
  }

  Result<std::shared_ptr<const engine::Executable>> compiled(const mil::Function& function) const {
    std::lock_guard lock(mutex_);
    auto& executable = executables_[&function];
    if (!executable) {
      engine::ExecutableOptions options;
      options.numerics = options_.numerics;
      options.verified = true;
      executable = TRY(within(fmt::format("{}: function {}", path_, function.name),
                              engine::Executable::compile(function, options)));
    }
    return executable;
  }

  const std::string path_;
  const Options options_;
  mutable ThreadPool pool_;
  coreml::Model model_;
  mutable std::mutex mutex_;
  mutable std::map<const mil::Function*, std::shared_ptr<const engine::Executable>> executables_;
};

}  // namespace

Result<std::shared_ptr<const Model>> open_core_ml(const std::string& path, const Options& options) {
  auto model = std::make_shared<CoreMlModel>(path, options);
  const coreml::FileMap files = TRY(coreml::map_model(path));
  model->set(TRY(within(path, coreml::read_mapped_model(files, &model->pool()))));
  return std::shared_ptr<const Model>(std::move(model));
}

}  // namespace diptych::host
