#include "tools/lint_file.h"

#include "coreml/package.h"
#include "generate/session.h"
#include "runtime/program.h"

namespace diptych::tools {

lint::Subject lint_subject(const Inspection& inspection, std::optional<float> hidden) {
  lint::Subject subject;
  subject.hidden = hidden;
  for (size_t i = 0; i < inspection.packages.size(); ++i) {
    const Package& package = inspection.packages[i];
    if (package.model == nullptr) continue;
    subject.packages.push_back(
        {fmt::format("package {}", i), &package.model->model.program, package.weights.bytes});
  }
  return subject;
}

Result<std::vector<lint::Finding>> lint_file(const std::string& path) {
  if (coreml::is_model_path(path)) {
    const Inspection inspection = TRY(inspect(path));
    return lint::lint(lint_subject(inspection, std::nullopt));
  }
  const auto program = TRY(runtime::Program::open(path, {}));
  const Inspection inspection = TRY(within(path, inspect(program->container(), program)));
  std::optional<float> hidden;
  if (const auto model = generate::describe(*program)) hidden = model->hidden;
  return lint::lint(lint_subject(inspection, hidden));
}

}  // namespace diptych::tools
