// run_method MODEL.pte [METHOD]: runs a method once on zeros with stock ExecuTorch's Module API,
// and shows what goes in and what comes out.

#include <executorch/extension/module/module.h>
#include <executorch/extension/tensor/tensor.h>

#include <cstdio>
#include <string>
#include <vector>

using executorch::extension::Module;
using executorch::extension::TensorPtr;
using executorch::runtime::Error;
using executorch::runtime::EValue;
using executorch::runtime::TensorInfo;

namespace {

// A tensor of zeros, with memory of its own. Static Llama methods leave the memory of their inputs
// and outputs to the caller.
TensorPtr zeros(const TensorInfo& info) {
  return executorch::extension::zeros({info.sizes().begin(), info.sizes().end()},
                                      info.scalar_type());
}

void show(const char* what, size_t index, const TensorPtr& tensor) {
  std::printf("%s %zu: %s[", what, index, executorch::runtime::toString(tensor->scalar_type()));
  for (ssize_t axis = 0; axis < tensor->dim(); ++axis) {
    std::printf("%s%d", axis > 0 ? "," : "", static_cast<int>(tensor->size(axis)));
  }
  std::printf("]\n");
}

int fail(const char* what, Error error) {
  std::fprintf(stderr, "run_method: %s: %s\n", what, executorch::runtime::to_string(error));
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: run_method MODEL.pte [METHOD]\n");
    return 2;
  }
  const std::string method = argc > 2 ? argv[2] : "forward";
  Module module(argv[1], Module::LoadMode::Mmap);
  const auto meta = module.method_meta(method);
  if (!meta.ok()) return fail("cannot read the method's description", meta.error());

  std::vector<TensorPtr> tensors;  // own the memory of what is bound
  std::vector<EValue> inputs;
  for (size_t i = 0; i < meta->num_inputs(); ++i) {
    const auto info = meta->input_tensor_meta(i);
    if (!info.ok()) return fail("an input is no tensor", info.error());
    tensors.push_back(zeros(*info));
    show("input", i, tensors.back());
    inputs.emplace_back(*tensors.back());
  }
  for (size_t i = 0; i < meta->num_outputs(); ++i) {
    const auto info = meta->output_tensor_meta(i);
    if (!info.ok()) return fail("an output is no tensor", info.error());
    tensors.push_back(zeros(*info));
    if (const Error error = module.set_output(method, EValue(*tensors.back()), i);
        error != Error::Ok) {
      return fail("cannot bind an output", error);
    }
  }

  const auto outputs = module.execute(method, inputs);
  if (!outputs.ok()) return fail("execution failed", outputs.error());
  for (size_t i = 0; i < outputs->size(); ++i) show("output", i, tensors[inputs.size() + i]);
  return 0;
}
