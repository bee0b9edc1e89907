#include "sample_package.h"

#include "coreml/package.h"
#include "mil/builder.h"

namespace diptych::testing {

Result<std::vector<coreml::FileEntry>> sample_package() {
  using mil::Builder;
  const TensorType type{DType::F32, {2, 3}};
  mil::Program program;
  {
    Builder b(std::make_unique<mil::Function>("main"));
    mil::Value *x = b.input("x", type), *y = b.input("y", type);
    mil::Value *sum = b.add(x, y), *product = b.mul(x, y);
    b.function().rename(sum, "sum");
    b.function().rename(product, "product");
    program.functions.push_back(TRY(b.finish({sum, product})));
  }
  {
    Builder b(std::make_unique<mil::Function>("scaled"));
    mil::Value* x = b.input("x", type);
    mil::Value* out = b.mul(x, b.float_scalar(DType::F32, 2));
    b.function().rename(out, "out");
    program.functions.push_back(TRY(b.finish({out})));
  }
  const auto model = TRY(coreml::write_model(program));
  return coreml::package_files(model, {1, 2});
}

Status write_sample_package(const std::string& directory) {
  return coreml::write_directory(directory, TRY(sample_package()));
}

}  // namespace diptych::testing
