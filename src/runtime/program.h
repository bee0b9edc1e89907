// A .pte opened for execution: immutable, shared by its methods.
//
// Follows ExecuTorch's runtime model (runtime/executor: Program, Method): a Program is the mapped
// file and everything derived from it once; a Method is a cheap, mutable instance of one of its
// methods. Core ML delegates run on diptych's own engine; other backends are refused by name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "engine/numerics.h"
#include "pte/constant_method.h"
#include "pte/program.h"
#include "tensor/type.h"

namespace diptych::runtime {

class Method;

struct Options {
  engine::Numerics numerics = engine::Numerics::Precise;
  int threads = 0;  // 0: ThreadPool::default_threads()
  // With Precise, methods take and give fp32 where the file says fp16, and hand fp32 from partition
  // to partition: nothing is rounded on the way. Without, types are the file's.
  bool wide_floats = true;
};

// The input of a method that counts tokens: axis `axis` of input `input` has one element for each.
struct TokenInput {
  size_t input = 0, axis = 0;
};

class Program : public std::enable_shared_from_this<Program> {
 public:
  // Maps and parses the file. Delegates are not loaded yet.
  static Result<std::shared_ptr<Program>> open(const std::string& path, const Options& options);
  // The same over bytes that `owner` keeps alive; `name` stands in errors.
  static Result<std::shared_ptr<Program>> from_bytes(Bytes bytes, std::shared_ptr<const void> owner,
                                                     const std::string& name,
                                                     const Options& options);
  ~Program();

  const std::string& name() const;  // the file's path
  const pte::Program& container() const;
  ThreadPool& threads();

  // Names of the methods that compute something, in file order.
  std::vector<std::string> method_names() const;
  bool has_method(std::string_view name) const;

  // Types of a method's inputs and outputs, in its order, without loading it (see
  // Options::wide_floats). Inputs and outputs that are no static tensors are Unsupported.
  struct Signature {
    std::vector<TensorType> inputs, outputs;
  };
  Result<Signature> signature(std::string_view method) const;

  // Constant ("metadata") methods. The tensor's bytes lie in the file, at any address.
  bool has_constant(std::string_view name) const;
  Result<int64_t> constant_int(std::string_view name) const;
  Result<pte::ConstantTensor> constant_tensor(std::string_view name) const;

  // Loads a method: compiles the functions it calls, once per Program. Callable from any thread.
  // Everything that is not supported is listed. `tokens`, if given, says what
  // Method::limit_tokens() counts.
  Result<std::unique_ptr<Method>> load_method(std::string_view name,
                                              std::optional<TokenInput> tokens = {});

 private:
  friend class Method;
  struct Impl;
  explicit Program(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diptych::runtime
