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
  // With Numerics::Precise: methods take and give fp32 where the file says fp16, and partitions
  // hand fp32 to one another, so that nothing is rounded on the way. False leaves the file's types.
  bool wide_floats = true;
};

// Says which input of a method counts its tokens: axis `axis` of input `input` has one element for
// each token.
struct TokenInput {
  size_t input = 0, axis = 0;
};

class Program : public std::enable_shared_from_this<Program> {
 public:
  // Maps and parses the file. Delegates are not loaded yet.
  static Result<std::shared_ptr<Program>> open(const std::string& path, const Options& options);
  // The same for bytes that `owner` keeps alive. Errors call them `name`.
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

  // Types of a method's inputs and outputs in the method's order, as Options::wide_floats makes
  // them. The method is not loaded. Errors: Unsupported when one is not a tensor of static shape.
  struct Signature {
    std::vector<TensorType> inputs, outputs;
  };
  Result<Signature> signature(std::string_view method) const;

  // Constant methods, which carry metadata. A tensor's bytes lie in the file, at any address.
  bool has_constant(std::string_view name) const;
  Result<int64_t> constant_int(std::string_view name) const;
  Result<pte::ConstantTensor> constant_tensor(std::string_view name) const;

  // Loads a method. The functions that it calls are compiled once per Program. `tokens` says what
  // Method::limit_tokens() counts; without it that function fails. Callable from any thread.
  // Errors: Unsupported, with a list of everything in the method that cannot run.
  Result<std::unique_ptr<Method>> load_method(std::string_view name,
                                              std::optional<TokenInput> tokens = {});

 private:
  friend class Method;
  struct Impl;
  explicit Program(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diptych::runtime
