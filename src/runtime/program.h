// A .pte opened for execution: immutable, shared by its methods.
//
// Follows ExecuTorch's runtime model (runtime/executor: Program, Method): a Program is the mapped
// file and everything derived from it once; a Method is a cheap, mutable instance of one of its
// methods. Core ML delegates run on diptych's own engine; other backends are refused by name.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/thread_pool.h"
#include "engine/executable.h"
#include "pte/program.h"
#include "tensor/type.h"

namespace diptych::runtime {

class Method;

struct Options {
  engine::Numerics numerics = engine::Numerics::Precise;
  int threads = 0;  // 0: ThreadPool::default_threads()
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

  const pte::Program& container() const;
  const std::string& name() const;  // the file's path
  ThreadPool& threads();

  // Names of the methods that compute something, in file order.
  std::vector<std::string> method_names() const;
  bool has_method(const std::string& name) const;
  // Types of a method's inputs and outputs, in its order, without loading it.
  struct Signature {
    std::vector<TensorType> inputs, outputs;
  };
  Result<Signature> signature(const std::string& method) const;

  // Constant ("metadata") methods: the value that an instruction-free method returns. A method that
  // does not exist, computes, or returns another kind is an error naming it.
  bool has_constant(const std::string& name) const;
  Result<int64_t> constant_int(const std::string& name) const;
  struct ConstantTensor {
    TensorType type;
    Bytes data;  // in the file, at any alignment; valid as long as the Program
  };
  Result<ConstantTensor> constant_tensor(const std::string& name) const;

  // Loads a method: compiles the functions it needs, once per Program. Callable from any thread.
  Result<std::unique_ptr<Method>> load_method(const std::string& name);

 private:
  friend class Method;
  struct Impl;
  explicit Program(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace diptych::runtime
