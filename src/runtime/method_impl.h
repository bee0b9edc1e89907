// The inside of a Method, shared by program.cc (which loads it) and method.cc.
#pragma once

#include <cstdlib>
#include <memory>
#include <vector>

#include "runtime/delegate_cache.h"
#include "runtime/delegate_call.h"
#include "runtime/method.h"
#include "runtime/needed_calls.h"
#include "runtime/program.h"

namespace diptych::runtime {

// The types of a tensor and of a method. With `wide`, fp16 counts as fp32 (Options::wide_floats).
Result<TensorType> value_type(const pte::Tensor& tensor, bool wide);
Result<Program::Signature> method_signature(const pte::Method& method, bool wide);

// Zeroed memory. Pages are only taken when touched.
class ArenaMemory {
 public:
  static Result<ArenaMemory> allocate(uint64_t size);
  std::byte* data() const { return data_.get(); }

 private:
  struct Free {
    void operator()(std::byte* data) const { std::free(data); }
  };
  std::unique_ptr<std::byte, Free> data_;
};

struct Method::Impl {
  struct Call {
    DelegateCall delegate;
    bool bound = false;  // the delegate's buffers are those of the values
  };
  // A tensor value and where its elements are now; null until the caller binds it.
  struct Slot {
    bool is_tensor = false;
    TensorType type;
    uint64_t size = 0;
    const std::byte* data = nullptr;
    std::byte* mutable_data = nullptr;
  };

  static Result<std::unique_ptr<Impl>> load(std::shared_ptr<Program> program,
                                            const pte::Method& method,
                                            const Program::Signature& types,
                                            std::optional<TokenInput> tokens,
                                            DelegateCache& delegates, bool wide);
  Status allocate_arenas(const pte::Method& method);
  Status place_values(const pte::Program& container, const pte::Method& method, bool wide);
  Status place_intermediate(const pte::Method& method, const pte::Tensor& tensor, Slot& slot);
  Status add_call(const pte::Method& method, const pte::DelegateCall& call,
                  DelegateCache& delegates, std::vector<bool>& ready);
  // Checks that a value can be an argument of the given type.
  Status match(int32_t value, const TensorType& type, bool is_input) const;
  Status bind_call(size_t index);
  // Finds the calls that the wanted outputs need.
  void mark_needed_calls();
  Status check_bound() const;
  void copy_pass_throughs() const;

  std::shared_ptr<Program> program;
  std::string name;
  Program::Signature signature;
  std::vector<int32_t> input_values, output_values;
  std::vector<Slot> slots;
  std::vector<ArenaMemory> arenas;        // as the file plans them
  std::vector<ArenaMemory> wide_buffers;  // for tensors that are wider than planned
  std::vector<Call> calls;
  std::vector<CallValues> call_values;  // the arguments of each
  bool counts_tokens = false;
  std::vector<engine::TokenAxis> token_axes;  // of the values
  std::vector<bool> wanted_outputs, needed_calls;
  std::vector<bool> needed_values;  // while needed_calls is found
  // Outputs that no call writes: an input or a constant handed straight through, copied at the end
  // from the first value's memory to where the caller wants the second output.
  struct PassThrough {
    size_t value = 0, output = 0;
    std::byte* to = nullptr;
  };
  std::vector<PassThrough> pass_throughs;
  engine::RunObserver* observer = nullptr;
  // For execute_together() with this method in front.
  engine::JointMemory joint;
  std::vector<DelegateCall*> together;
};

}  // namespace diptych::runtime
