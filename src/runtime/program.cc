#include "runtime/program.h"

#include "engine/looked_up.h"
#include "pte/reader.h"
#include "runtime/delegate_cache.h"
#include "runtime/method_impl.h"

namespace diptych::runtime {

struct Program::Impl {
  Impl(std::string program_name, pte::Program program, std::shared_ptr<const void> bytes_owner,
       const Options& options)
      : name(std::move(program_name)),
        owner(std::move(bytes_owner)),
        container(std::move(program)),
        pool(options.threads),
        wide_floats(options.wide_floats && options.numerics == engine::Numerics::Precise),
        delegates(container, owner, executable_options(options.numerics, wide_floats), pool) {}

  static engine::ExecutableOptions executable_options(engine::Numerics numerics, bool wide) {
    engine::ExecutableOptions options;
    options.numerics = numerics;
    options.wide_ports = wide;
    options.looked_up = std::make_shared<engine::LookedUp>();
    return options;
  }

  std::string name;
  std::shared_ptr<const void> owner;  // of the bytes that `container` views
  pte::Program container;
  ThreadPool pool;
  bool wide_floats;
  DelegateCache delegates;
};

Program::Program(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Program::~Program() = default;

Result<std::shared_ptr<Program>> Program::open(const std::string& path, const Options& options) {
  auto file = TRY(MappedFile::open(path));
  file->prefer_huge_pages();
  return from_bytes(file->bytes(), file, path, options);
}

Result<std::shared_ptr<Program>> Program::from_bytes(Bytes bytes, std::shared_ptr<const void> owner,
                                                     const std::string& name,
                                                     const Options& options) {
  pte::Program container = TRY(within(name, pte::read(bytes)));
  return std::shared_ptr<Program>(
      new Program(std::make_unique<Impl>(name, std::move(container), std::move(owner), options)));
}

const std::string& Program::name() const { return impl_->name; }
const pte::Program& Program::container() const { return impl_->container; }
ThreadPool& Program::threads() { return impl_->pool; }

std::vector<std::string> Program::method_names() const {
  std::vector<std::string> names;
  for (const pte::Method& method : impl_->container.methods) {
    if (!pte::is_constant_method(method)) names.push_back(method.name);
  }
  return names;
}

bool Program::has_method(std::string_view name) const {
  const pte::Method* method = pte::find_method(impl_->container, name);
  return method != nullptr && !pte::is_constant_method(*method);
}

bool Program::has_constant(std::string_view name) const {
  const pte::Method* method = pte::find_method(impl_->container, name);
  return method != nullptr && pte::is_constant_method(*method);
}

Result<int64_t> Program::constant_int(std::string_view name) const {
  return within(impl_->name, pte::constant_int(impl_->container, name));
}

Result<pte::ConstantTensor> Program::constant_tensor(std::string_view name) const {
  pte::ConstantValue value = TRY(within(impl_->name, pte::constant_value(impl_->container, name)));
  if (const auto* tensor = std::get_if<pte::ConstantTensor>(&value)) return *tensor;
  return within<pte::ConstantTensor>(
      impl_->name,
      invalid_data("metadata method {}: expected a tensor, found {}", name, pte::to_string(value)));
}

Result<Program::Signature> Program::signature(std::string_view name) const {
  const pte::Method* method = pte::find_method(impl_->container, name);
  if (method == nullptr) {
    Error error{ErrorCode::NotFound, impl_->name,
                fmt::format("no method \"{}\"; the file has", name), method_names()};
    return tl::unexpected(std::move(error));
  }
  return within(fmt::format("{}: method {}", impl_->name, name),
                method_signature(*method, impl_->wide_floats));
}

Result<std::unique_ptr<Method>> Program::load_method(std::string_view name,
                                                     std::optional<TokenInput> tokens) {
  const Signature types = TRY(signature(name));
  const pte::Method& method = *pte::find_method(impl_->container, name);
  auto impl = within(fmt::format("{}: method {}", impl_->name, name),
                     Method::Impl::load(shared_from_this(), method, types, tokens, impl_->delegates,
                                        impl_->wide_floats));
  if (!impl) return tl::unexpected(std::move(impl.error()));
  return std::unique_ptr<Method>(new Method(std::move(*impl)));
}

}  // namespace diptych::runtime
