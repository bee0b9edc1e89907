// The ExecuTorch backend "CoreMLBackend" on diptych's engine. Registers itself when the library is
// loaded. Follows runtime/backend/interface.h of ExecuTorch 1.5.
#include <executorch/runtime/backend/interface.h>
#include <executorch/runtime/platform/log.h>

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "executorch/arguments.h"
#include "executorch/errors.h"
#include "executorch/events.h"
#include "executorch/model_store.h"
#include "executorch/options.h"
#include "runtime/delegate_call.h"

namespace diptych::plugin {

namespace {

using executorch::runtime::ArrayRef;
using executorch::runtime::Backend;
using executorch::runtime::BackendExecutionContext;
using executorch::runtime::BackendInitContext;
using executorch::runtime::BackendInterface;
using executorch::runtime::BackendOption;
using executorch::runtime::BackendOptionContext;
using executorch::runtime::CompileSpec;
using executorch::runtime::DelegateHandle;
using executorch::runtime::EValue;
using executorch::runtime::FreeableBuffer;
using executorch::runtime::Span;
using Code = executorch::runtime::Error;

// What a DelegateHandle points to. The mutex lets a host call one delegate from several threads,
// which the interface does not forbid.
struct Delegate {
  std::string method;
  std::shared_ptr<runtime::CompiledModel> model;  // keeps it in the store
  std::mutex mutex;
  runtime::DelegateCall call;
  std::vector<ScalarStorage> scalars;  // one per input
};

Result<std::unique_ptr<Delegate>> load(BackendInitContext& context, FreeableBuffer& processed) {
  const auto address = processed.data_safe();
  if (!address.ok() || address.get() == nullptr) return invalid_data("a payload without bytes");
  const Bytes payload{static_cast<const std::byte*>(address.get()), processed.size()};
  const char* name = context.get_method_name();
  const std::string method = name == nullptr ? "" : name;
  const engine::Numerics numerics = TRY(Options::instance().numerics(context.runtime_specs()));

  std::optional<coreml::Reference> reference;
  std::shared_ptr<runtime::CompiledModel> model;
  if (coreml::is_reference(payload)) {
    reference = TRY(coreml::parse_reference(payload));
    if (context.get_named_data_map() == nullptr) {
      return not_found("the delegate refers to named data \"{}\", the program has none",
                       reference->key);
    }
    model =
        TRY(ModelStore::instance().named(*context.get_named_data_map(), reference->key, numerics));
  } else {
    // ExecuTorch keeps the payload until after destroy(), unless it is freed here.
    model = TRY(runtime::CompiledModel::read(payload, nullptr, executable_options(numerics)));
  }
  const auto function = TRY(model->function(method, reference ? &*reference : nullptr));
  auto call = TRY(runtime::DelegateCall::create(function));
  std::vector<ScalarStorage> scalars(call.input_count());
  return std::unique_ptr<Delegate>(
      new Delegate{method, std::move(model), {}, std::move(call), std::move(scalars)});
}

Status run(Delegate& delegate, Span<EValue*> args, executorch::runtime::EventTracer* tracer) {
  std::lock_guard lock(delegate.mutex);
  runtime::DelegateCall& call = delegate.call;
  const size_t inputs = call.input_count(), outputs = call.output_count();
  if (args.size() != inputs + outputs) {
    return invalid_argument("expected {} inputs and {} outputs, found {} arguments", inputs,
                            outputs, args.size());
  }
  for (size_t i = 0; i < inputs; ++i) {
    const Elements elements =
        TRY(within("input " + call.input(i).name, input_elements(*args[i], delegate.scalars[i])));
    TRY(call.bind_input(i, elements.type, elements.bytes));
  }
  for (size_t i = 0; i < outputs; ++i) {
    const Elements elements =
        TRY(within("output " + call.output(i).name, output_elements(*args[inputs + i])));
    TRY(call.bind_output(i, elements.type, elements.bytes));
  }
  const auto threads = TRY(Options::instance().threads());
  if (tracer == nullptr) return call.run(*threads);
  StepEvents events(*tracer);
  return call.run(*threads, &events);
}

class CoremlBackend final : public BackendInterface {
 public:
  bool is_available() const override { return true; }

  executorch::runtime::Result<DelegateHandle*> init(BackendInitContext& context,
                                                    FreeableBuffer* processed,
                                                    ArrayRef<CompileSpec>) const override try {
    const char* method = context.get_method_name();
    auto delegate = load(context, *processed);
    if (delegate) return delegate->release();
    return report(std::move(delegate.error())
                      .within(fmt::format("method {}", method == nullptr ? "(unnamed)" : method)));
  } catch (...) {
    return report_exception();
  }

  Code execute(BackendExecutionContext& context, DelegateHandle* handle,
               Span<EValue*> args) const override try {
    if (handle == nullptr) return Code::DelegateInvalidHandle;
    auto& delegate = *static_cast<Delegate*>(handle);
    Status status = run(delegate, args, context.event_tracer());
    if (status) return Code::Ok;
    return report(std::move(status.error()).within("method " + delegate.method));
  } catch (...) {
    return report_exception();
  }

  Code set_option(BackendOptionContext&, const Span<BackendOption>& options) override try {
    const Status status = Options::instance().set({options.data(), options.size()});
    return status ? Code::Ok : report(status.error());
  } catch (...) {
    return report_exception();
  }

  Code get_option(BackendOptionContext&, Span<BackendOption>& options) override try {
    const Status status = Options::instance().get(options);
    return status ? Code::Ok : report(status.error());
  } catch (...) {
    return report_exception();
  }

  void destroy(DelegateHandle* handle) const override { delete static_cast<Delegate*>(handle); }
};

// Registered for good: ExecuTorch has no way to take a backend back.
[[maybe_unused]] const Code registered = [] {
  static auto* const backend = new CoremlBackend;
  const Code code = executorch::runtime::register_backend({coreml::kBackendId.data(), backend});
  if (code != Code::Ok) {
    ET_LOG(Error,
           "Core ML: the backend %s cannot be registered (error 0x%x): is there one already?",
           coreml::kBackendId.data(), static_cast<unsigned>(code));
  }
  return code;
}();

}  // namespace

}  // namespace diptych::plugin
