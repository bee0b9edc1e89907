#include "tools/lint_file.h"

#include "generate/session.h"
#include "runtime/program.h"

namespace diptych::tools {

lint::Subject lint_subject(const Inspection& inspection, const std::string& path) {
  lint::Subject subject;
  for (size_t i = 0; i < inspection.packages.size(); ++i) {
    const Package& package = inspection.packages[i];
    if (package.model == nullptr) continue;
    subject.packages.push_back(
        {fmt::format("package {}", i), &package.model->model.program, package.weights.bytes});
  }
  if (inspection.is_model) return subject;
  if (const auto program = runtime::Program::open(path, {})) {
    if (const auto model = generate::describe(**program)) subject.hidden = model->hidden;
  }
  return subject;
}

}  // namespace diptych::tools
